/* Can this action be done, as far as can be known without the network? What is refused here costs the
 * user a glance; found out by the server in a week it would cost the thread. */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#include "cmd.h"
#include "mail/mail.h"
#include "queue.h"

#define NAME_MAX_OCTETS 1000
#define PART_MAX_OCTETS 255

struct check {
	const struct actions *q;
	struct queue_action *a;
	struct store_mailbox box; /* the action's mailbox; id 0: nothing is in the store */
};

static int refuse(struct err *err, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

static int refuse(struct err *err, const char *fmt, ...)
{
	char text[sizeof err->text];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof text, fmt, ap);
	va_end(ap);
	return err_set(err, ERR_USER, ERR_MESSAGE, "%s", text);
}

/* Flags */

static const char *const system_flags[] = { "\\Seen", "\\Answered", "\\Flagged", "\\Deleted",
	"\\Draft" };

static bool is_system(const char *name)
{
	for (size_t i = 0; i < sizeof system_flags / sizeof system_flags[0]; i++)
		if (strcasecmp(name, system_flags[i] + 1) == 0)
			return true;
	return false;
}

/* RFC 9051: flag-keyword is an atom. */
static bool is_atom(const char *text)
{
	for (const char *c = text; *c; c++)
		if ((unsigned char)*c <= 0x20 || (unsigned char)*c >= 0x7f || strchr("(){%*\"\\]", *c))
			return false;
	return text[0] != '\0';
}

static int check_word(const char *flag, struct err *err)
{
	struct similar similar;

	if (strcasecmp(flag, "\\Recent") == 0)
		return refuse(err, "\"%.200s\" is the server's alone", flag);
	if (flag[0] == '\\' && is_system(flag + 1))
		return 0;
	if (flag[0] == '\\') {
		similar_to(&similar, flag);
		for (size_t i = 0; i < sizeof system_flags / sizeof system_flags[0]; i++)
			similar_add(&similar, system_flags[i]);
		return refuse(err, "there is no system flag \"%.60s\"%s", flag,
			similar.best ? similar_text(&similar) :
			": they are \\Seen, \\Answered, \\Flagged, \\Deleted and \\Draft");
	}
	if (is_system(flag))
		return refuse(err, "\"%.200s\" has lost its backslash; for a shell it is written "
			"'\\%.200s'", flag, flag);
	if (!is_atom(flag))
		return refuse(err, "\"%.200s\" is no keyword: it is made of ASCII letters, digits and signs, "
			"without blanks and ( ) { %% * \" \\ ]", flag);
	return 0;
}

/* Checks each, and brings them into their usual form. */
static int check_flags(struct queue_action *a, const char *key, struct mail_flags *flags,
	struct err *err)
{
	const char *at = queue_action_get(a, key);
	struct buf text;
	int rc = 0;

	while (rc == 0 && at && *(at += strspn(at, " "))) {
		size_t len = strcspn(at, " ");
		char *flag = mem_copy_slice((struct slice){ at, len });
		rc = check_word(flag, err);
		if (rc == 0 && !mail_flags_add(flags, slice_of(flag)))
			rc = refuse(err, "there are too many flags: \"%.200s\"", flag);
		free(flag);
		at += len;
	}
	if (rc < 0 || !queue_action_get(a, key))
		return rc;
	buf_init(&text, 0);
	mail_flags_print(flags, &text);
	queue_action_set(a, key, buf_str(&text));
	buf_release(&text);
	return 0;
}

static int check_contradiction(const struct mail_flags *add, const struct mail_flags *remove,
	struct err *err)
{
	struct mail_flags both;
	struct buf text;

	mail_flags_init(&both);
	both.system = add->system & remove->system;
	for (size_t i = 0; i < add->count; i++)
		if (mail_flags_has(remove, slice_of(add->keywords[i])))
			mail_flags_add(&both, slice_of(add->keywords[i]));
	buf_init(&text, 0);
	mail_flags_print(&both, &text);
	mail_flags_release(&both);
	if (text.len > 0)
		refuse(err, "\"%.200s\" is to be added and taken away", buf_str(&text));
	int rc = text.len > 0 ? -1 : 0;
	buf_release(&text);
	return rc;
}

static int check_flag(const struct check *c, struct err *err)
{
	struct mail_flags add, remove;
	int rc;

	mail_flags_init(&add);
	mail_flags_init(&remove);
	rc = check_flags(c->a, "add", &add, err);
	if (rc == 0)
		rc = check_flags(c->a, "remove", &remove, err);
	if (rc == 0 && !add.system && !add.count && !remove.system && !remove.count)
		rc = refuse(err, "nothing to do: no flag to add (+\\Seen) or to take away (-\\Seen)");
	if (rc == 0)
		rc = check_contradiction(&add, &remove, err);
	mail_flags_release(&add);
	mail_flags_release(&remove);
	return rc;
}

/* Names */

static void set_mailbox(struct queue_action *a, const char *name)
{
	free(a->mailbox);
	a->mailbox = mem_copy(name);
}

static bool is_inbox(const char *name)
{
	return strcasecmp(name, "INBOX") == 0;
}

const char *queue_usual_name(const char *mailbox)
{
	return is_inbox(mailbox) ? "INBOX" : mailbox;
}

static bool has_control(const char *name)
{
	for (size_t n; *name; name += n) {
		uint32_t rune;
		n = mail_utf8_next(slice_of(name), &rune);
		if (n == 0 || rune < 0x20 || (rune >= 0x7f && rune < 0xa0))
			return true;
	}
	return false;
}

static bool has_empty_part(const char *name, char delimiter)
{
	size_t len = strlen(name);
	char doubled[3] = { delimiter, delimiter, '\0' };

	return delimiter && (name[0] == delimiter || name[len - 1] == delimiter || strstr(name, doubled));
}

static bool has_long_part(const char *name, char delimiter)
{
	char ends[2] = { delimiter, '\0' };

	for (;;) {
		size_t len = delimiter ? strcspn(name, ends) : strlen(name);
		if (len > PART_MAX_OCTETS)
			return true;
		if (!name[len])
			return false;
		name += len + 1;
	}
}

/* A name that the server is to learn (L4). */
static int check_new_name(const struct check *c, const char *name, struct err *err)
{
	char delimiter = c->q->delimiter;

	if (!name || !name[0])
		return refuse(err, "the name of the mailbox is empty");
	if (has_control(name))
		return refuse(err, "\"%.200s\" is no name: control characters, or no UTF-8", name);
	if (has_empty_part(name, delimiter))
		return refuse(err, "\"%.100s\" is no name: \"%c\" separates the levels, and one of them is empty", name,
			delimiter);
	if (strlen(name) > NAME_MAX_OCTETS || has_long_part(name, delimiter))
		return refuse(err, "\"%.40s...\" is too long for a name: at most %d "
			"octets, and %d in a level", name, NAME_MAX_OCTETS, PART_MAX_OCTETS);
	return 0;
}

static int unknown(const struct check *c, const char *name, struct err *err)
{
	struct store_mailbox there;

	if (!name || !name[0])
		return refuse(err, "the name of the mailbox is empty");
	if (store_mailbox_find(c->q->store, name, &there)) {
		uint32_t state = there.state;
		store_mailbox_release(&there);
		return refuse(err, state & STORE_MAILBOX_GONE ? "the mailbox \"%.200s\" is gone from the server" :
			(state & STORE_MAILBOX_HERE) && c->q->edited_count > 0 ?
			"no action creates the mailbox \"%.200s\" any more" :
			"a queued action renames or deletes \"%.200s\"", name);
	}
	return refuse(err, "no mailbox \"%.200s\" is known%s", name,
		similar_mailbox(c->q->store, name, c->q->account->name));
}

static int holds_none(const char *name, struct err *err)
{
	return refuse(err, "\"%.200s\" only holds other mailboxes, no mail", name);
}

/* The mailbox of the action is there; fills in c->box. */
static int check_mailbox(struct check *c, bool for_mail, struct err *err)
{
	if (is_inbox(c->a->mailbox))
		set_mailbox(c->a, "INBOX");
	if (!known_mailbox(c->q, c->a->mailbox, &c->box))
		return unknown(c, c->a->mailbox, err);
	if (for_mail && (c->box.state & STORE_MAILBOX_NOSELECT))
		return holds_none(c->a->mailbox, err);
	return 0;
}

/* copy, move */
static int check_to(struct check *c, struct err *err)
{
	struct store_mailbox to;
	const char *name;
	int rc = 0;

	if (queue_action_get(c->a, "to") && is_inbox(queue_action_get(c->a, "to")))
		queue_action_set(c->a, "to", "INBOX");
	name = queue_action_get(c->a, "to");
	if (!name || !known_mailbox(c->q, name, &to))
		return unknown(c, name, err);
	if (to.state & STORE_MAILBOX_NOSELECT)
		rc = holds_none(name, err);
	else if (c->a->verb == QUEUE_MOVE && strcmp(name, c->a->mailbox) == 0)
		rc = refuse(err, "nothing to do: \"%.200s\" is where the messages are", name);
	store_mailbox_release(&to);
	return rc;
}

static int check_rename(struct check *c, struct err *err)
{
	const char *to = queue_action_get(c->a, "to");
	struct store_mailbox there;
	size_t len = strlen(c->a->mailbox);

	if (is_inbox(c->a->mailbox))
		return refuse(err, "INBOX cannot be renamed; create another mailbox and move the mail there");
	if (check_mailbox(c, false, err) < 0 || check_new_name(c, to, err) < 0)
		return -1;
	if (is_inbox(to) || known_mailbox(c->q, to, &there)) {
		if (!is_inbox(to))
			store_mailbox_release(&there);
		return refuse(err, "there is a mailbox \"%.200s\" already", to);
	}
	if (c->q->delimiter && strncmp(to, c->a->mailbox, len) == 0 && to[len] == c->q->delimiter)
		return refuse(err, "\"%.200s\" would be a part of itself", c->a->mailbox);
	return 0;
}

static int check_create(struct check *c, struct err *err)
{
	if (is_inbox(c->a->mailbox))
		return refuse(err, "INBOX is always there");
	return check_new_name(c, c->a->mailbox, err);
}

static int check_delete(struct check *c, struct err *err)
{
	if (is_inbox(c->a->mailbox))
		return refuse(err, "INBOX cannot be deleted");
	return check_mailbox(c, false, err);
}

/* Messages */

static int check_message(const struct check *c, struct queue_message *m, struct err *err)
{
	struct queue_message named = *m;

	if (known_message_in(c->q, m, c->a, &c->box, err) < 0)
		return -1;
	if (named.uid && named.uid != m->uid)
		return refuse(err, "m%llu has the UID %lu in \"%.200s\", not %lu",
			(unsigned long long)m->number, (unsigned long)m->uid, c->a->mailbox,
			(unsigned long)named.uid);
	return 0;
}

static int check_messages(struct check *c, struct err *err)
{
	if (check_mailbox(c, true, err) < 0)
		return -1;
	if (c->a->message_count == 0)
		return refuse(err, "it names no message");
	for (size_t i = 0; i < c->a->message_count; i++)
		if (check_message(c, &c->a->messages[i], err) < 0)
			return -1;
	return 0;
}

/* Uploads */

static int check_body(const struct check *c, struct err *err)
{
	const char *hash = queue_action_get(c->a, "sha256"), *file = queue_action_get(c->a, "file");
	uint64_t size;
	int fd;

	if (!hash && (!file || file[0] != '/'))
		return refuse(err, "it names no file, with its whole path");
	if (!hash)
		return access(file, R_OK) == 0 ? 0 : refuse(err, "the file \"%.200s\" cannot be read", file);
	fd = queue_body_open(c->q->account->state, hash, &size, err);
	if (fd < 0)
		return refuse(err, "there is no message \"outgoing/%.200s\"", hash);
	close(fd);
	return 0;
}

static int check_append(struct check *c, struct err *err)
{
	struct mail_flags flags;
	int rc;

	if (check_mailbox(c, true, err) < 0)
		return -1;
	mail_flags_init(&flags);
	rc = check_flags(c->a, "flags", &flags, err);
	mail_flags_release(&flags);
	return rc == 0 ? check_body(c, err) : -1;
}

static int check_verb(struct check *c, struct err *err)
{
	switch (c->a->verb) {
	case QUEUE_FLAG:
		return check_messages(c, err) < 0 ? -1 : check_flag(c, err);
	case QUEUE_COPY:
	case QUEUE_MOVE:
		return check_messages(c, err) < 0 ? -1 : check_to(c, err);
	case QUEUE_EXPUNGE:
	case QUEUE_FETCH:
		return check_messages(c, err);
	case QUEUE_APPEND:
		return check_append(c, err);
	case QUEUE_CREATE:
		return check_create(c, err);
	case QUEUE_DELETE:
		return check_delete(c, err);
	case QUEUE_RENAME:
		return check_rename(c, err);
	case QUEUE_SUBSCRIBE:
	case QUEUE_UNSUBSCRIBE:
		return check_mailbox(c, false, err);
	default:
		return refuse(err, "\"%.200s\" is no verb of an action", c->a->verb_text);
	}
}

int queue_check(const struct actions *q, struct queue_action *a, struct err *err)
{
	struct check c = { .q = q, .a = a };
	int rc = check_verb(&c, err);

	store_mailbox_release(&c.box);
	return rc;
}
