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

/* What has been said so far: by the keys alone, and with the modes. */
struct said {
	struct conf_mailbox_rules keys, all;
};

static void apply_mode(struct said *said, enum conf_mode mode)
{
	said->all.bodies = said->keys.bodies;
	said->all.bodies_at_once = mode == CONF_BLIND;
	said->all.old_skip = mode == CONF_NEW || said->keys.old_skip;
	if (mode == CONF_DESCRIPTORS)
		said->all.bodies = (struct conf_bodies){ .none = true };
}

static void apply_keys(struct conf_mailbox_rules *rules, const struct conf_section *section)
{
	if (section->has_bodies) {
		rules->bodies = section->rules.bodies;
		rules->bodies_at_once = false;
	}
	if (section->has_max_size)
		rules->max_size = section->rules.max_size;
	if (section->has_large)
		rules->large = section->rules.large;
	if (section->has_old)
		rules->old_skip = section->rules.old_skip;
	if (section->has_on_aged)
		rules->drop_aged = section->rules.drop_aged;
}

static void apply(struct said *said, const struct conf_section *section, const char *mailbox)
{
	if (!conf_pattern_matches(section->pattern, mailbox, '/'))
		return;
	if (section->has_mode)
		apply_mode(said, section->mode);
	apply_keys(&said->keys, section);
	apply_keys(&said->all, section);
}

struct conf_mailbox_rules conf_rules(const struct conf_account *account,
	const struct conf_profile *profile, const char *mailbox)
{
	static const struct conf_mailbox_rules defaults = { .max_size = (uint64_t)64 << 20 };
	struct said said = { defaults, defaults };

	apply(&said, &account->own, mailbox);
	for (size_t i = 0; i < account->section_count; i++)
		apply(&said, &account->sections[i], mailbox);
	if (profile == NULL)
		return said.all;
	apply(&said, &profile->own, mailbox);
	for (size_t i = 0; i < profile->section_count; i++)
		apply(&said, &profile->sections[i], mailbox);
	return said.all;
}

/* FNV-1a, each field as eight octets, least first. */
static uint64_t mix(uint64_t hash, uint64_t field)
{
	for (int i = 0; i < 8; i++) {
		hash ^= field >> (8 * i) & 0xff;
		hash *= UINT64_C(0x100000001b3);
	}
	return hash;
}

/* Stores keep these numbers: a field that joins goes to the end, mixed in only where it does not
 * hold its default, or else every mailbox of every user would be looked through once. */
uint64_t conf_rules_fingerprint(const struct conf_mailbox_rules *r)
{
	uint64_t hash = UINT64_C(0xcbf29ce484222325);

	hash = mix(hash, r->bodies.none);
	hash = mix(hash, (uint64_t)r->bodies.newer_s);
	hash = mix(hash, r->bodies.smaller);
	hash = mix(hash, r->bodies.flagged);
	hash = mix(hash, r->bodies.unseen);
	hash = mix(hash, r->bodies_at_once);
	hash = mix(hash, r->max_size);
	hash = mix(hash, (uint64_t)r->large);
	hash = mix(hash, r->old_skip);
	if (r->drop_aged)
		hash = mix(hash, 1);
	return hash != 0 ? hash : 1;
}

const struct conf_profile *conf_profile(const struct conf_account *account, const char *name)
{
	for (size_t i = 0; i < account->profile_count; i++) {
		if (strcmp(account->profiles[i].name, name) == 0)
			return &account->profiles[i];
	}
	return NULL;
}
