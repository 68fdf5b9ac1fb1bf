/* One action as fields, and as a line. */
#include "queue/queue_private.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

#define TIME_MAX 253402300799 /* the last second of the year 9999 */

static const char *const verb_names[] = {
	[QUEUE_FLAG] = "flag",
	[QUEUE_COPY] = "copy",
	[QUEUE_MOVE] = "move",
	[QUEUE_APPEND] = "append",
	[QUEUE_EXPUNGE] = "expunge",
	[QUEUE_FETCH] = "fetch",
	[QUEUE_CREATE] = "create",
	[QUEUE_DELETE] = "delete",
	[QUEUE_RENAME] = "rename",
	[QUEUE_SUBSCRIBE] = "subscribe",
	[QUEUE_UNSUBSCRIBE] = "unsubscribe",
	[QUEUE_RETRY] = "retry",
	[QUEUE_DROP] = "drop",
	[QUEUE_UNKNOWN] = "",
};

const char *queue_verb_name(enum queue_verb verb)
{
	return verb_names[verb];
}

enum queue_verb queue_verb_of(struct slice name)
{
	for (int verb = 0; verb < QUEUE_UNKNOWN; verb++)
		if (slice_is(name, verb_names[verb]))
			return (enum queue_verb)verb;
	return QUEUE_UNKNOWN;
}

/* The struct. */

void queue_action_init(struct queue_action *a, enum queue_verb verb, const char *mailbox)
{
	*a = (struct queue_action){
		.verb = verb,
		.verb_text = mem_copy(queue_verb_name(verb)),
		.mailbox = mem_copy(mailbox != NULL ? mailbox : ""),
	};
}

void queue_action_release(struct queue_action *a)
{
	for (size_t i = 0; i < a->pair_count; i++) {
		free(a->pairs[i].key);
		free(a->pairs[i].value);
	}
	free(a->pairs);
	free(a->messages);
	free(a->mailbox);
	free(a->verb_text);
	*a = (struct queue_action){ .verb = QUEUE_UNKNOWN };
}

static bool is_power_of_two(size_t n)
{
	return (n & (n - 1)) == 0;
}

void queue_action_add_message(struct queue_action *a, const struct queue_message *m)
{
	size_t n = a->message_count;

	if (is_power_of_two(n)) /* full, or 0 */
		a->messages = mem_grow(a->messages, n > 0 ? 2 * n : 1, sizeof *a->messages);
	a->messages[n] = *m;
	a->message_count++;
}

static struct queue_pair *find_pair(const struct queue_action *a, const char *key)
{
	for (size_t i = 0; i < a->pair_count; i++)
		if (strcmp(a->pairs[i].key, key) == 0)
			return &a->pairs[i];
	return NULL;
}

/* Key and value move in. */
static void add_pair(struct queue_action *a, char *key, char *value)
{
	a->pairs = mem_grow(a->pairs, a->pair_count + 1, sizeof *a->pairs);
	a->pairs[a->pair_count++] = (struct queue_pair){ key, value };
}

void queue_action_set(struct queue_action *a, const char *key, const char *value)
{
	struct queue_pair *pair = find_pair(a, key);
	char *copy = mem_copy(value);

	if (pair == NULL) {
		add_pair(a, mem_copy(key), copy);
		return;
	}
	free(pair->value);
	pair->value = copy;
}

const char *queue_action_get(const struct queue_action *a, const char *key)
{
	const struct queue_pair *pair = find_pair(a, key);

	return pair != NULL ? pair->value : NULL;
}

/* To a line. */

static void print_escaped(const char *text, struct buf *out)
{
	for (;;) {
		size_t plain = strcspn(text, "\t\n\r%");
		buf_add(out, text, plain);
		text += plain;
		if (*text == '\0')
			return;
		buf_addf(out, "%%%02X", (unsigned)*text++);
	}
}

/* A clock that is wrong by thousands of years must not make a line that nobody can read. */
void queue_print_time(int64_t time, struct buf *out)
{
	time_t seconds = time < 0 ? 0 : time > TIME_MAX ? TIME_MAX : time;
	struct tm tm;
	char text[32];

	if (seconds == 0) {
		buf_add_char(out, '-');
		return;
	}
	gmtime_r(&seconds, &tm);
	strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%SZ", &tm);
	buf_add_str(out, text);
}

static void print_number(uint64_t n, struct buf *out)
{
	char digits[20];
	size_t at = sizeof digits;

	do {
		digits[--at] = (char)('0' + n % 10);
		n /= 10;
	} while (n > 0);
	buf_add(out, digits + at, sizeof digits - at);
}

static void print_message(const struct queue_message *m, struct buf *out)
{
	buf_add_char(out, m->action != 0 ? '@' : 'm');
	print_number(m->action != 0 ? m->action : m->number, out);
	if (m->action != 0)
		return;
	buf_add_char(out, ':');
	print_number(m->uid, out);
	buf_add_char(out, ':');
	print_number(m->uidvalidity, out);
}

void queue_print_as(const struct queue_action *a, uint64_t number, int64_t time, struct buf *line)
{
	if (number == 0)
		buf_add_char(line, '-');
	else
		print_number(number, line);
	buf_add_char(line, '\t');
	queue_print_time(time, line);
	buf_add_char(line, '\t');
	print_escaped(a->verb == QUEUE_UNKNOWN ? a->verb_text : queue_verb_name(a->verb), line);
	buf_add_char(line, '\t');
	print_escaped(a->mailbox, line);
	buf_add_char(line, '\t');
	for (size_t i = 0; i < a->message_count; i++) {
		if (i > 0)
			buf_add_char(line, ',');
		print_message(&a->messages[i], line);
	}
	for (size_t i = 0; i < a->pair_count; i++) {
		buf_add_char(line, '\t');
		print_escaped(a->pairs[i].key, line);
		buf_add_char(line, '=');
		print_escaped(a->pairs[i].value, line);
	}
}

void queue_action_print(const struct queue_action *a, struct buf *line)
{
	queue_print_as(a, a->number, a->time, line);
}
