/* The pure parts of the replay, in tables: flags of one message joined (R14), is it another message (R16), is what
 * a look has found ours (R10). */
#include <stdlib.h>
#include <string.h>

#include "lib/tap.h"
#include "sync/push_private.h"

/* Joining changes of flags: "+a -b" each; those of one message stand together */

struct change {
	uint64_t message;
	const char *text;   /* the change; "gone": the message is */
	const char *result; /* what is sent; "": an other carries it */
};
static const struct merge {
	const char *name;
	struct change changes[6];
} merges[] = {
	{ "one stays as it is", { { 1, "+a -b", "+a -b" } } },
	{ "an add and then a remove is the remove, not nothing", { { 1, "+a", "" }, { 1, "-a", "-a" } } },
	{ "a remove and then an add is the add", { { 1, "-a", "" }, { 1, "+a", "+a" } } },
	{ "three words: the last counts", { { 1, "+a", "" }, { 1, "-a", "" }, { 1, "+a", "+a" } } },
	{ "not shortened: a flag that is named once",
	  { { 1, "+a", "" }, { 1, "-b", "" }, { 1, "+c", "+a +c -b" } } },
	{ "not shortened: what another message is told", { { 1, "+a", "+a" }, { 2, "-a", "-a" } } },
	{ "one in the middle", { { 1, "+a", "+a" }, { 2, "+a", "" }, { 2, "-a +b", "+b -a" }, { 3, "+a", "+a" } } },
	{ "keywords in any case", { { 1, "+Work", "" }, { 1, "-work", "-work" } } },
	{ "system flags", { { 1, "+\\Seen -\\Flagged", "" }, { 1, "-\\Seen", "-\\Seen -\\Flagged" } } },
	{ "what is gone carries nothing", { { 1, "+a", "+a" }, { 1, "gone", "" } } },
	{ "and is not carried", { { 1, "gone", "" }, { 1, "+a", "+a" } } },
};

static void parse(struct work *w, const char *text)
{
	char *words = mem_copy(text), *save = NULL;

	for (char *word = strtok_r(words, " ", &save); word; word = strtok_r(NULL, " ", &save))
		mail_flags_add(*word == '+' ? &w->add : &w->remove, slice_of(word + 1));
	free(words);
}

static void print_signed(const struct mail_flags *f, char sign, struct buf *out)
{
	struct buf names;
	char *save = NULL;

	buf_init(&names, 0);
	mail_flags_print(f, &names);
	char *text = mem_copy(buf_str(&names));
	for (char *word = strtok_r(text, " ", &save); word; word = strtok_r(NULL, " ", &save))
		buf_addf(out, "%s%c%s", out->len ? " " : "", sign, word);
	free(text);
	buf_release(&names);
}

static void test_merge(const struct merge *t)
{
	struct work works[6] = { 0 };
	size_t count = 0;
	struct buf got;

	for (; count < 6 && t->changes[count].text; count++) {
		struct work *w = &works[count];
		w->message = t->changes[count].message;
		w->action = count + 1;
		if (strcmp(t->changes[count].text, "gone") == 0)
			w->outcome = WORK_GONE;
		else
			parse(w, t->changes[count].text);
	}
	push_merge_flags(works, count);
	buf_init(&got, 0);
	for (size_t i = 0; i < count; i++) {
		buf_clear(&got);
		if (works[i].outcome == WORK_OPEN && !works[i].carried) {
			print_signed(&works[i].add, '+', &got);
			print_signed(&works[i].remove, '-', &got);
		}
		is_str(buf_str(&got), t->changes[i].result, "%s: %zu", t->name, i + 1);
		mail_flags_release(&works[i].add);
		mail_flags_release(&works[i].remove);
	}
	buf_release(&got);
}

/* Another message? Ours has date 100, size 22 */

static const uint32_t both = IMAP_HAS_DATE | IMAP_HAS_SIZE;
static const struct {
	const char *name, *ours, *theirs;
	uint32_t items;
	int64_t date;
	uint64_t size;
	bool other;
} others[] = {
	{ "the same", NULL, NULL, IMAP_HAS_DATE | IMAP_HAS_SIZE, 100, 22, false },
	{ "another date", NULL, NULL, IMAP_HAS_DATE | IMAP_HAS_SIZE, 101, 22, false },
	{ "another size", NULL, NULL, IMAP_HAS_DATE | IMAP_HAS_SIZE, 100, 23, false },
	{ "both differ", NULL, NULL, IMAP_HAS_DATE | IMAP_HAS_SIZE, 101, 23, true },
	{ "the size is not told", NULL, NULL, IMAP_HAS_DATE, 101, 23, false },
	{ "nothing is told", NULL, NULL, 0, 101, 23, false },
	{ "another EMAILID", "M1", "M2", IMAP_HAS_DATE | IMAP_HAS_SIZE | IMAP_HAS_EMAILID, 100, 22, true },
	{ "the same EMAILID", "M1", "M1", IMAP_HAS_DATE | IMAP_HAS_SIZE | IMAP_HAS_EMAILID, 101, 23, false },
	{ "EMAILID differs in case: it is an id", "M1", "m1", IMAP_HAS_EMAILID, 0, 0, true },
	{ "an EMAILID that we never had", NULL, "M1", IMAP_HAS_DATE | IMAP_HAS_SIZE | IMAP_HAS_EMAILID, 101, 23, true },
	{ "one that is NIL now", "M1", NULL, IMAP_HAS_DATE | IMAP_HAS_SIZE | IMAP_HAS_EMAILID, 101, 22, false },
};

static void test_others(void)
{
	for (size_t i = 0; i < sizeof others / sizeof *others; i++) {
		struct store_message m = { .date = 100, .size = 22, .emailid = (char *)others[i].ours };
		struct push_seen seen = { .uid = 1, .items = others[i].items, .date = others[i].date,
			.size = others[i].size, .emailid = (char *)others[i].theirs };
		ok(push_is_other(&m, &seen) == others[i].other, "other: %s", others[i].name);
	}
}

/* Ours? Message-IDs and hashes are numbers here, 0: none. The end where bodies are not read, and where they are */

static const struct {
	const char *name;
	int id, hash; /* of ours; a body that is not here has no hash */
	int seen_id, seen_hash;
	int64_t date;
	uint64_t size;
	enum push_likeness like, read;
} looks[] = {
	{ "all the same", 1, 1, 1, 0, 100, 22, PUSH_SAME, PUSH_SAME },
	{ "Message-ID and size, equal bodies", 1, 1, 1, 1, 99, 22, PUSH_SAME, PUSH_SAME },
	{ "Message-ID and size, bodies that differ", 1, 1, 1, 2, 99, 22, PUSH_SAME, PUSH_PERHAPS },
	{ "Message-ID and size, no body", 1, 1, 1, 0, 99, 22, PUSH_SAME, PUSH_PERHAPS },
	{ "Message-ID and date: the server has rewritten it", 1, 1, 1, 0, 100, 23, PUSH_SAME, PUSH_SAME },
	{ "Message-ID alone", 1, 1, 1, 0, 99, 23, PUSH_PERHAPS, PUSH_PERHAPS },
	{ "another Message-ID", 1, 1, 2, 0, 99, 22, PUSH_OTHER, PUSH_OTHER },
	{ "another Message-ID, equal bodies: nonsense", 1, 1, 2, 1, 99, 22, PUSH_OTHER, PUSH_OTHER },
	{ "another Message-ID, same size and date", 1, 1, 2, 0, 100, 22, PUSH_PERHAPS, PUSH_PERHAPS },
	{ "the Message-ID was lost on the way", 1, 1, 0, 0, 100, 22, PUSH_PERHAPS, PUSH_PERHAPS },
	{ "lost, and another size", 1, 1, 0, 0, 100, 23, PUSH_OTHER, PUSH_OTHER },
	{ "it was given one", 0, 1, 2, 0, 100, 22, PUSH_PERHAPS, PUSH_PERHAPS },
	{ "given one, and another date", 0, 1, 2, 0, 99, 22, PUSH_OTHER, PUSH_OTHER },
	{ "none has one: the bodies are equal", 0, 1, 0, 1, 99, 22, PUSH_PERHAPS, PUSH_SAME },
	{ "none has one: the bodies differ", 0, 1, 0, 2, 100, 22, PUSH_SAME, PUSH_OTHER },
	{ "the bodies are equal, the server tells another size", 0, 1, 0, 1, 100, 23, PUSH_OTHER, PUSH_OTHER },
	{ "no body came, the date is the same", 0, 1, 0, 0, 100, 22, PUSH_SAME, PUSH_PERHAPS },
	{ "no body came, the date is another", 0, 1, 0, 0, 99, 22, PUSH_PERHAPS, PUSH_PERHAPS },
	{ "a copy whose body is not here", 0, 0, 0, 0, 100, 22, PUSH_SAME, PUSH_SAME },
	{ "a copy whose body is not here, of another date", 0, 0, 0, 0, 99, 22, PUSH_OTHER, PUSH_OTHER },
};

static void test_look(size_t i, bool read)
{
	struct store_message m = { .date = 100, .size = 22, .body = looks[i].hash != 0 };
	struct push_seen seen = { .uid = 1, .items = both, .date = looks[i].date, .size = looks[i].size,
		.has_id = true };
	uint8_t id[16] = { 0 }, hash[MAIL_HASH_SIZE] = { 0 }, seen_hash[MAIL_HASH_SIZE] = { 0 };

	id[15] = (uint8_t)looks[i].id;
	hash[0] = (uint8_t)looks[i].hash;
	seen.message_id[15] = (uint8_t)looks[i].seen_id;
	seen_hash[0] = (uint8_t)looks[i].seen_hash;
	is_int(push_compare(&m, looks[i].id ? id : NULL, looks[i].hash ? hash : NULL, &seen,
		looks[i].seen_hash ? seen_hash : NULL, read), read ? looks[i].read : looks[i].like,
		"look: %s%s", looks[i].name, read ? ", where bodies are read" : "");
}

static void test_looks(void)
{
	for (size_t i = 0; i < sizeof looks / sizeof *looks; i++) {
		test_look(i, false);
		test_look(i, true);
	}
}

int main(void)
{
	for (size_t i = 0; i < sizeof merges / sizeof *merges; i++)
		test_merge(&merges[i]);
	test_others();
	test_looks();
	return done_testing();
}
