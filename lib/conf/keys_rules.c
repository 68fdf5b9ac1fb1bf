/* The keys of RULES FOR MAILBOXES: what a mailbox section, a profile and an account may say. */
#include "conf/keys.h"

#include "conf/take.h"
#include "conf/values.h"

static int take_bodies(struct conf_taking *t)
{
	if (conf_value_bodies(t->value, &t->section->rules.bodies, t->err) != 0)
		return err_prefix(t->err, "\"%s\"", t->key);
	t->section->has_bodies = true;
	return 0;
}

static int take_max_size(struct conf_taking *t)
{
	if (!conf_value_size(t->value, &t->section->rules.max_size))
		return conf_must_be(t, "a size such as \"200K\" or \"64M\", or \"0\" for no limit");
	t->section->has_max_size = true;
	return 0;
}

static int take_old(struct conf_taking *t)
{
	static const char *const words[] = { "full", "skip", NULL };
	unsigned place;

	if (!conf_value_word(t->value, words, &place))
		return conf_must_be(t, "\"full\" or \"skip\"");
	t->section->rules.old_skip = place == 1;
	t->section->has_old = true;
	return 0;
}

static int take_on_aged(struct conf_taking *t)
{
	static const char *const words[] = { "keep", "drop", NULL };
	unsigned place;

	if (!conf_value_word(t->value, words, &place))
		return conf_must_be(t, "\"keep\" or \"drop\"");
	t->section->rules.drop_aged = place == 1;
	t->section->has_on_aged = true;
	return 0;
}

static int take_large(struct conf_taking *t)
{
	static const char *const words[] = { "stand-in", "skip", NULL };
	unsigned place;

	if (!conf_value_word(t->value, words, &place))
		return conf_must_be(t, "\"stand-in\" or \"skip\"");
	t->section->rules.large = (enum conf_large)place;
	t->section->has_large = true;
	return 0;
}

static int take_mode(struct conf_taking *t)
{
	static const char *const words[] = { "normal", "descriptors", "new", "blind", NULL };
	unsigned place;

	if (!conf_value_word(t->value, words, &place))
		return conf_must_be(t, "\"normal\", \"descriptors\", \"new\" or \"blind\"");
	t->section->mode = (enum conf_mode)place;
	t->section->has_mode = true;
	return 0;
}

const struct conf_key conf_section_keys[] = {
	{ "bodies", take_bodies, 0 },
	{ "max-size", take_max_size, 0 },
	{ "large", take_large, 0 },
	{ "old", take_old, 0 },
	{ "on-aged", take_on_aged, 0 },
	{ "mode", take_mode, 0 },
	{ NULL, NULL, 0 },
};
