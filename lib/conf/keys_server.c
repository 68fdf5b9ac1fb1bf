/* The keys of THE SERVER: what it is spared, what it is called, what is made of its answers. */
#include "conf/keys.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/buf.h"
#include "conf/take.h"
#include "conf/values.h"

/* A capability is an atom (RFC 9051 9), so a list in one text or a response does not pass. */
static bool is_capability(const char *text)
{
	if (strlen(text) > 64)
		return false;
	for (const char *p = text; *p != '\0'; p++) {
		if (*p <= ' ' || *p >= 0x7f || strchr("(){%*\"\\],", *p) != NULL)
			return false;
	}
	return true;
}

static int take_avoid(struct conf_taking *t)
{
	struct conf_account *a = t->account;
	char *name;

	if (!is_capability(t->value))
		return conf_must_be(t, "a list of capabilities, each in quotes, such as "
			"{ \"QRESYNC\", \"NOTIFY\" }");
	name = mem_copy(t->value);
	for (char *p = name; *p != '\0'; p++)
		*p = (char)toupper((unsigned char)*p);
	a->avoid = mem_grow(a->avoid, a->avoid_count + 1, sizeof *a->avoid);
	a->avoid[a->avoid_count++] = name;
	return 0;
}

static int take_max_commands(struct conf_taking *t)
{
	return conf_take_number(&t->account->max_commands, 1, 10000, t);
}

static int take_max_set(struct conf_taking *t)
{
	return conf_take_number(&t->account->max_set_uids, 0, 1000000, t);
}

static int take_max_line(struct conf_taking *t)
{
	return conf_take_number(&t->account->max_line_bytes, 500, 1000000, t);
}

/* Below 1 KB a second even a mailbox in which nothing changed would run into timeouts. */
static int take_max_rate(struct conf_taking *t)
{
	uint64_t rate;

	if (!conf_value_size(t->value, &rate) || (rate > 0 && rate < 1024))
		return conf_must_be(t, "what may come in a second, such as \"500K\" (1K or more), "
			"or \"0\" for no limit");
	t->account->max_rate_bytes_s = rate;
	return 0;
}

static int take_match_bodies(struct conf_taking *t)
{
	return conf_take_bool(&t->account->match_bodies, t);
}

static int take_id(struct conf_taking *t)
{
	return conf_take_bool(&t->account->send_id, t);
}

/* INBOX as one of them would send what is thrown away back to where it was. */
static int take_role(char **mailbox, struct conf_taking *t)
{
	if (strcasecmp(t->value, "INBOX") == 0)
		return conf_must_be(t, "a mailbox other than INBOX");
	return conf_take_text(mailbox, t);
}

static int take_trash(struct conf_taking *t)
{
	return take_role(&t->account->roles.trash, t);
}

static int take_sent(struct conf_taking *t)
{
	return take_role(&t->account->roles.sent, t);
}

static int take_drafts(struct conf_taking *t)
{
	return take_role(&t->account->roles.drafts, t);
}

static int take_archive(struct conf_taking *t)
{
	return take_role(&t->account->roles.archive, t);
}

static int take_junk(struct conf_taking *t)
{
	return take_role(&t->account->roles.junk, t);
}

const struct conf_key conf_server_keys[] = {
	{ "avoid", take_avoid, CONF_LIST },
	{ "max-commands", take_max_commands, 0 },
	{ "max-set", take_max_set, 0 },
	{ "max-line", take_max_line, 0 },
	{ "max-rate", take_max_rate, 0 },
	{ "match-bodies", take_match_bodies, 0 },
	{ "id", take_id, 0 },
	{ "trash", take_trash, 0 },
	{ "sent", take_sent, 0 },
	{ "drafts", take_drafts, 0 },
	{ "archive", take_archive, 0 },
	{ "junk", take_junk, 0 },
	{ NULL, NULL, 0 },
};
