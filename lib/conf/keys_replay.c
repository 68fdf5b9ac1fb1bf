/* The keys of YOUR ACTIONS: what replaying the queue does where the server is not as the user saw
 * it. Asked here, before the sync, since nobody may be there during it (R12). */
#include "conf/keys.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/buf.h"
#include "conf/take.h"
#include "conf/values.h"

/* What stands behind `word` and blanks; NULL where another word or nothing stands there. */
static const char *name_after(const char *value, const char *word)
{
	size_t n = strlen(word);

	if (strncasecmp(value, word, n) != 0 || strchr(" \t", value[n]) == NULL)
		return NULL;
	value += n;
	value += strspn(value, " \t");
	return *value != '\0' ? value : NULL;
}

static void set_name(char **out, const char *name)
{
	free(*out);
	*out = mem_copy(name);
}

static int take_on_missing_mailbox(struct conf_taking *t)
{
	static const char *const words[] = { "create", "skip", "abort", NULL };
	struct conf_account *a = t->account;
	const char *name = name_after(t->value, "use");
	unsigned place;

	if (name != NULL && *name == '\\')
		return conf_must_be(t, "\"use\" and the name of a mailbox");
	if (name != NULL) {
		a->on_missing_mailbox = CONF_MISSING_USE;
		set_name(&a->missing_use, name);
		return 0;
	}
	if (!conf_value_word(t->value, words, &place))
		return conf_must_be(t, "\"create\", \"skip\", \"abort\" or \"use NAME\"");
	a->on_missing_mailbox = (enum conf_on_missing)place;
	return 0;
}

static int take_on_missing_source(struct conf_taking *t)
{
	static const char *const words[] = { "skip", "abort", NULL };
	unsigned place;

	if (!conf_value_word(t->value, words, &place))
		return conf_must_be(t, "\"skip\" or \"abort\"");
	t->account->missing_source_abort = place == 1;
	return 0;
}

static int take_on_message_gone(struct conf_taking *t)
{
	static const char *const words[] = { "skip", "abort", "upload", NULL };
	unsigned place;

	if (!conf_value_word(t->value, words, &place))
		return conf_must_be(t, "\"skip\", \"abort\" or \"upload\"");
	t->account->on_message_gone = (enum conf_on_gone)place;
	return 0;
}

/* A task as RFC 6154 spells it (some servers' names of mailboxes are in the user's language, Q13),
 * or a mailbox. INBOX would give back what was thrown away. */
static int take_target(const char *name, struct conf_taking *t)
{
	static const char *const tasks[] = { "\\Trash", "\\Archive", "\\Junk", NULL };
	bool task = *name == '\\';
	unsigned place = 0;

	if (task && !conf_value_word(name, tasks, &place))
		return conf_must_be(t, "\"move\" and a mailbox, or one of \\Trash, \\Archive, \\Junk");
	if (strcasecmp(name, "INBOX") == 0)
		return conf_must_be(t, "\"move\" and a mailbox other than INBOX");
	t->account->on_deleted = CONF_DELETED_MOVE;
	set_name(&t->account->deleted_to, task ? tasks[place] : name);
	return 0;
}

static int take_on_deleted(struct conf_taking *t)
{
	static const char *const words[] = { "expunge", "flag", NULL };
	const char *name = name_after(t->value, "move");
	unsigned place;

	if (name != NULL)
		return take_target(name, t);
	if (!conf_value_word(t->value, words, &place))
		return conf_must_be(t, "\"expunge\", \"flag\" or \"move NAME\"");
	t->account->on_deleted = (enum conf_on_deleted)place;
	return 0;
}

static int take_expunge_emulation(struct conf_taking *t)
{
	return conf_take_bool(&t->account->expunge_emulation, t);
}

static int take_on_flag_conflict(struct conf_taking *t)
{
	static const char *const words[] = { "mine", "server", NULL };
	unsigned place;

	if (!conf_value_word(t->value, words, &place))
		return conf_must_be(t, "\"mine\" or \"server\"");
	t->account->conflict_server = place == 1;
	return 0;
}

static int take_look_again(struct conf_taking *t)
{
	if (!conf_value_pause(t->value, &t->account->look_again_s))
		return conf_must_be(t, "a time from \"0\" to \"600\" (seconds), such as \"3\" or \"0.5\"");
	return 0;
}

const struct conf_key conf_replay_keys[] = {
	{ "on-deleted", take_on_deleted, 0 },
	{ "on-missing-mailbox", take_on_missing_mailbox, 0 },
	{ "on-missing-source", take_on_missing_source, 0 },
	{ "on-message-gone", take_on_message_gone, 0 },
	{ "on-flag-conflict", take_on_flag_conflict, 0 },
	{ "expunge-emulation", take_expunge_emulation, 0 },
	{ "look-again", take_look_again, 0 },
	{ NULL, NULL, 0 },
};
