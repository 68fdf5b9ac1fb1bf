/* Any bytes as a BODYSTRUCTURE: what is read has sections that can be asked for, and what is chosen
 * keeps to its bounds. */
#include <ctype.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "fuzz/fuzz.h"
#include "mail/mail.h"

/* libetpan loses a few octets where it works round a server's oddity: bounded by what was read. */
const char *__lsan_default_suppressions(void);
const char *__lsan_default_suppressions(void)
{
	return "leak:libetpan\n";
}

static void check(int good)
{
	if (!good)
		abort();
}

static void check_part(const struct mail_part *p, unsigned last_group)
{
	size_t len = strlen(p->section);
	check(len > 0 && strspn(p->section, "0123456789.") == len && isdigit((unsigned char)p->section[0]) &&
		isdigit((unsigned char)p->section[len - 1]) && strstr(p->section, "..") == NULL);
	check(p->type != NULL && p->subtype != NULL && p->encoding != NULL);
	check(p->alternative == (p->group != 0) && (p->group == 0 || p->group >= last_group));
	check(p->filename == NULL || p->filename[0] != '\0');
}

static void check_texts(const struct mail_part *parts, size_t count, uint64_t max_octets)
{
	size_t chosen[16], found = mail_parts_texts(parts, count, max_octets, chosen, 16);
	uint64_t sum = 0;
	check(found <= 16);
	for (size_t i = 0; i < found; i++) {
		check(chosen[i] < count && (i == 0 || chosen[i] > chosen[i - 1]));
		check(!parts[chosen[i]].attachment && strcmp(parts[chosen[i]].type, "text") == 0);
		sum += parts[chosen[i]].size_bytes;
	}
	check(sum <= max_octets);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct mail_part *parts = NULL;
	size_t count = 0;
	unsigned last_group = 0;
	char *copy = malloc(size > 0 ? size : 1);
	if (copy == NULL)
		abort();
	memcpy(copy, data, size);
	int result = mail_structure_parse((struct slice){ copy, size }, &parts, &count);
	free(copy);
	check(result == 0 || (result == -1 && parts == NULL && count == 0));
	for (size_t i = 0; i < count; i++) {
		check_part(&parts[i], last_group);
		last_group = parts[i].group > last_group ? parts[i].group : last_group;
	}
	check_texts(parts, count, 1000);
	check_texts(parts, count, UINT64_MAX);
	mail_parts_free(parts, count);
	return 0;
}
