/* Flags of a message, and the letters that stand for them in a Maildir (maildir(5)). */
#include <stdlib.h>

#include "mail/mail.h"

/* In the order of the enum, so that bit n is row n. */
static const struct {
	const char *name;
	char letter;
} systems[] = {
	{ "\\Seen", 'S' },    { "\\Answered", 'R' }, { "\\Flagged", 'F' },
	{ "\\Deleted", 'T' }, { "\\Draft", 'D' },    { "$Forwarded", 'P' },
};
#define SYSTEMS (sizeof systems / sizeof *systems)

/* The bit of a system flag, 0 for a keyword. */
static uint32_t system_bit(struct slice name)
{
	for (unsigned i = 0; i < SYSTEMS; i++)
		if (slice_is_nocase(name, systems[i].name))
			return 1u << i;
	return 0;
}

/* What would not come back from mail_flags_print in one piece is no keyword; nor are \Recent and
 * the "\*" of PERMANENTFLAGS. */
static bool is_keyword(struct slice name)
{
	for (size_t i = 0; i < name.len; i++)
		if ((unsigned char)name.data[i] <= ' ' || name.data[i] == 0x7f)
			return false;
	return name.len > 0 && !slice_is(name, "\\") && !slice_is(name, "\\*") &&
		!slice_is_nocase(name, "\\Recent");
}

static int compare(struct slice name, const char *keyword)
{
	int order = strncasecmp(name.data, keyword, name.len);
	return order == 0 && keyword[name.len] != '\0' ? -1 : order;
}

/* Where the keyword is, or belongs. */
static size_t find(const struct mail_flags *f, struct slice name, bool *found)
{
	size_t low = 0, high = f->count;
	*found = false;
	while (low < high) {
		size_t middle = low + (high - low) / 2;
		int order = compare(name, f->keywords[middle]);
		if (order == 0) {
			*found = true;
			return middle;
		}
		if (order < 0)
			high = middle;
		else
			low = middle + 1;
	}
	return low;
}

void mail_flags_init(struct mail_flags *f)
{
	*f = (struct mail_flags){ 0 };
}

void mail_flags_clear(struct mail_flags *f)
{
	for (size_t i = 0; i < f->count; i++)
		free(f->keywords[i]);
	f->count = 0;
	f->system = 0;
}

void mail_flags_release(struct mail_flags *f)
{
	mail_flags_clear(f);
	free(f->keywords);
	f->keywords = NULL;
}

void mail_flags_copy(struct mail_flags *to, const struct mail_flags *from)
{
	if (to == from)
		return;
	mail_flags_clear(to);
	to->system = from->system;
	if (from->count == 0)
		return;
	to->keywords = mem_grow(to->keywords, from->count, sizeof *to->keywords);
	for (size_t i = 0; i < from->count; i++)
		to->keywords[i] = mem_copy(from->keywords[i]);
	to->count = from->count;
}

bool mail_flags_equal(const struct mail_flags *a, const struct mail_flags *b)
{
	if (a->system != b->system || a->count != b->count)
		return false;
	for (size_t i = 0; i < a->count; i++)
		if (strcasecmp(a->keywords[i], b->keywords[i]) != 0)
			return false;
	return true;
}

bool mail_flags_add(struct mail_flags *f, struct slice name)
{
	uint32_t bit = system_bit(name);
	f->system |= bit;
	if (bit != 0)
		return true;
	if (!is_keyword(name))
		return false;
	bool found;
	size_t at = find(f, name, &found);
	if (found || f->count == MAIL_KEYWORDS_MAX)
		return found;
	f->keywords = mem_grow(f->keywords, f->count + 1, sizeof *f->keywords);
	memmove(f->keywords + at + 1, f->keywords + at, (f->count - at) * sizeof *f->keywords);
	f->keywords[at] = mem_copy_slice(name);
	f->count++;
	return true;
}

bool mail_flags_remove(struct mail_flags *f, struct slice name)
{
	uint32_t bit = system_bit(name);
	if (bit != 0) {
		bool had = (f->system & bit) != 0;
		f->system &= ~bit;
		return had;
	}
	bool found;
	size_t at = find(f, name, &found);
	if (!found)
		return false;
	free(f->keywords[at]);
	f->count--;
	memmove(f->keywords + at, f->keywords + at + 1, (f->count - at) * sizeof *f->keywords);
	return true;
}

bool mail_flags_has(const struct mail_flags *f, struct slice name)
{
	uint32_t bit = system_bit(name);
	if (bit != 0)
		return (f->system & bit) != 0;
	bool found;
	find(f, name, &found);
	return found;
}

void mail_flags_change(struct mail_flags *f, const struct mail_flags *add, const struct mail_flags *remove)
{
	f->system = (f->system | add->system) & ~remove->system;
	for (size_t i = 0; i < add->count; i++)
		mail_flags_add(f, slice_of(add->keywords[i]));
	for (size_t i = 0; i < remove->count; i++)
		mail_flags_remove(f, slice_of(remove->keywords[i]));
}

static void print_one(const char *name, const char **gap, struct buf *out)
{
	buf_add_str(out, *gap);
	buf_add_str(out, name);
	*gap = " ";
}

void mail_flags_print(const struct mail_flags *f, struct buf *out)
{
	const char *gap = "";
	for (unsigned i = 0; i < SYSTEMS; i++)
		if ((f->system & 1u << i) != 0)
			print_one(systems[i].name, &gap, out);
	for (size_t i = 0; i < f->count; i++)
		print_one(f->keywords[i], &gap, out);
}

void mail_flags_parse(struct mail_flags *f, struct slice text)
{
	mail_flags_clear(f);
	for (size_t i = 0; i < text.len;) {
		size_t begin = i;
		while (i < text.len && text.data[i] != ' ')
			i++;
		if (i > begin)
			mail_flags_add(f, (struct slice){ text.data + begin, i - begin });
		else
			i++;
	}
}

static uint32_t letter_bit(char letter)
{
	for (unsigned i = 0; i < SYSTEMS; i++)
		if (systems[i].letter == letter)
			return 1u << i;
	return 0;
}

void mail_flags_letters(uint32_t system, char out[8])
{
	for (const char *letter = "DFPRST"; *letter != '\0'; letter++)
		if ((system & letter_bit(*letter)) != 0)
			*out++ = *letter;
	*out = '\0';
}

uint32_t mail_flags_from_letters(struct slice letters, char others[32])
{
	uint32_t system = 0;
	size_t count = 0;
	for (size_t i = 0; i < letters.len; i++) {
		uint32_t bit = letter_bit(letters.data[i]);
		system |= bit;
		if (bit == 0 && others != NULL && count < 31)
			others[count++] = letters.data[i];
	}
	if (others != NULL)
		others[count] = '\0';
	return system;
}
