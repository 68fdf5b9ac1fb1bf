/* Which mailboxes, and what holds for each. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "conf/conf.h"

/* INBOX in any case, alone or with something below it. */
static bool is_inbox(const char *mailbox, char delimiter)
{
	return strncasecmp(mailbox, "INBOX", 5) == 0 &&
		(mailbox[5] == '\0' || (delimiter != '\0' && mailbox[5] == delimiter));
}

static char upper(char c)
{
	return c >= 'a' && c <= 'z' ? (char)(c - 'a' + 'A') : c;
}

/* reach[i]: what stands before here in the pattern can match the first i octets of the name. Each
 * octet of the pattern moves the marks once, so no pattern costs more than length times length. */
bool conf_pattern_matches(const char *pattern, const char *mailbox, char delimiter)
{
	size_t n = strlen(mailbox), folded = is_inbox(mailbox, delimiter) ? 5 : 0;
	bool *reach = mem_new(n + 1);
	bool matches;

	reach[0] = true;
	for (const char *p = pattern; *p != '\0'; p++) {
		if (*p == '*' || *p == '%') {
			for (size_t i = 0; i < n; i++) {
				if (reach[i] && (*p == '*' || mailbox[i] != delimiter))
					reach[i + 1] = true;
			}
			continue;
		}
		for (size_t i = n; i > 0; i--) {
			char c = mailbox[i - 1];

			reach[i] = reach[i - 1] &&
				(c == *p || (i <= folded && upper(c) == upper(*p)));
		}
		reach[0] = false;
	}
	matches = reach[n];
	free(reach);
	return matches;
}

/* The last pattern that matches decides: all, then not the lists, then this list after all. */
bool conf_chooses(const struct conf_account *account, const char *mailbox, char delimiter)
{
	bool chosen = false;

	if (strcasecmp(mailbox, "INBOX") == 0)
		return true;
	for (size_t i = 0; i < account->mailbox_count; i++) {
		const char *pattern = account->mailboxes[i];
		bool away = *pattern == '!';

		if (conf_pattern_matches(pattern + away, mailbox, delimiter))
			chosen = !away;
	}
	return chosen;
}

static void apply(struct conf_mailbox_rules *rules, const struct conf_section *section,
	const char *mailbox)
{
	if (!conf_pattern_matches(section->pattern, mailbox, '/'))
		return;
	if (section->has_bodies)
		rules->bodies = section->rules.bodies;
	if (section->has_max_size)
		rules->max_size = section->rules.max_size;
	if (section->has_old)
		rules->old_skip = section->rules.old_skip;
}

struct conf_mailbox_rules conf_rules(const struct conf_account *account,
	const struct conf_profile *profile, const char *mailbox)
{
	struct conf_mailbox_rules rules = account->rules;

	for (size_t i = 0; i < account->section_count; i++)
		apply(&rules, &account->sections[i], mailbox);
	if (profile == NULL)
		return rules;
	apply(&rules, &profile->own, mailbox);
	for (size_t i = 0; i < profile->section_count; i++)
		apply(&rules, &profile->sections[i], mailbox);
	return rules;
}

const struct conf_profile *conf_profile(const struct conf_account *account, const char *name)
{
	for (size_t i = 0; i < account->profile_count; i++) {
		if (strcmp(account->profiles[i].name, name) == 0)
			return &account->profiles[i];
	}
	return NULL;
}
