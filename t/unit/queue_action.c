/* Lines to actions and back. */
#include <stdlib.h>

#include "lib/tap.h"
#include "queue/queue.h"

#define HEAD "17\t2026-11-22T15:05:00Z\t"

/* What is printed after parsing; NULL: the error that is expected instead. */
static const struct {
	const char *line, *printed, *error;
} lines[] = {
	/* Escapes. */
	{ HEAD "create\ta%09b%0Ac%0Dd%25\t", HEAD "create\ta%09b%0Ac%0Dd%25\t", NULL },
	{ HEAD "create\ta%0db\t", HEAD "create\ta%0Db\t", NULL },
	{ HEAD "create\t%41%7F\xc3\xa9 =,:\x01\t", HEAD "create\tA\x7f\xc3\xa9 =,:\x01\t", NULL },
	{ HEAD "create\t100%\t", NULL, "field 4 (mailbox): no escape (% itself is %25): \"%\"" },
	{ HEAD "create\t%4\t", NULL, "field 4 (mailbox): no escape (% itself is %25): \"%4\"" },
	{ HEAD "create\t%zz9\t", NULL, "field 4 (mailbox): no escape (% itself is %25): \"%zz\"" },
	{ HEAD "create\t%00\t", NULL, "field 4 (mailbox): no escape (% itself is %25): \"%00\"" },
	{ HEAD "copy\tA\tm1:2:3\tto=%", NULL,
		"field 6 (key=value): no escape (% itself is %25): \"%\"" },
	{ HEAD "copy\tA\tm1:2:3\ta=\tto=%x", NULL,
		"field 7 (key=value): no escape (% itself is %25): \"%x\"" },
	{ HEAD "fl%61g\tA\tm1:2:3", HEAD "flag\tA\tm1:2:3", NULL },

	/* CR. */
	{ HEAD "create\tA\t\r", NULL, "field 5 (messages): has a CR; a line ends with LF alone, "
		"a CR in a value is %0D: \"?\"" },
	{ HEAD "copy\tA\tm1:2:3\tto=B\r", NULL, "field 6 (key=value): has a CR; a line ends with "
		"LF alone, a CR in a value is %0D: \"to=B?\"" },
	{ "\r", NULL, "field 1 (number): has a CR; a line ends with LF alone, a CR in a value is "
		"%0D: \"?\"" },

	/* Number and time. */
	{ "-\t-\tcreate\tA\t", "-\t-\tcreate\tA\t", NULL },
	{ "9223372036854775807\t-\tcreate\tA\t", "9223372036854775807\t-\tcreate\tA\t", NULL },
	{ "9223372036854775808\t-\tcreate\tA\t", NULL,
		"field 1 (number): no number: \"9223372036854775808\"" },
	{ "99999999999999999999\t-\tcreate\tA\t", NULL,
		"field 1 (number): no number: \"99999999999999999999\"" },
	{ "0\t-\tcreate\tA\t", NULL, "field 1 (number): no number: \"0\"" },
	{ "007\t-\tcreate\tA\t", NULL, "field 1 (number): no number: \"007\"" },
	{ "+7\t-\tcreate\tA\t", NULL, "field 1 (number): no number: \"+7\"" },
	{ "", NULL, "field 1 (number): no number: \"\"" },
	{ "1\t1970-01-01T00:00:00Z\tcreate\tA\t", "1\t-\tcreate\tA\t", NULL },
	{ "1\t9999-12-31T23:59:59Z\tcreate\tA\t", "1\t9999-12-31T23:59:59Z\tcreate\tA\t", NULL },
	{ "1\t2028-02-29T00:00:00Z\tcreate\tA\t", "1\t2028-02-29T00:00:00Z\tcreate\tA\t", NULL },
	{ "1\t2026-02-29T00:00:00Z\tcreate\tA\t", NULL, "field 2 (time): not of the form "
		"2026-11-22T15:05:00Z: \"2026-02-29T00:00:00Z\"" },
	{ "1\t2026-11-22 15:05:00\tcreate\tA\t", NULL, "field 2 (time): not of the form "
		"2026-11-22T15:05:00Z: \"2026-11-22 15:05:00\"" },
	{ "1\t2026-11-22T24:00:00Z\tcreate\tA\t", NULL, "field 2 (time): not of the form "
		"2026-11-22T15:05:00Z: \"2026-11-22T24:00:00Z\"" },
	{ "1\t1969-12-31T23:59:59Z\tcreate\tA\t", NULL, "field 2 (time): not of the form "
		"2026-11-22T15:05:00Z: \"1969-12-31T23:59:59Z\"" },

	/* Fields that are not there. */
	{ "1", NULL, "field 2 (time) is missing" },
	{ "1\t-", NULL, "field 3 (verb) is missing" },
	{ "1\t-\tflag", NULL, "field 4 (mailbox) is missing" },
	{ "1\t-\tflag\tA", NULL, "field 5 (messages) is missing" },
	{ "1\t-\t\tA\t", NULL, "field 3 (verb): is empty: \"\"" },
	{ HEAD "retry\t\t\taction=3,9", HEAD "retry\t\t\taction=3,9", NULL },
	{ HEAD "Flag\tA%25\tm1:2:3\tx=%0A", HEAD "Flag\tA%25\tm1:2:3\tx=%0A", NULL },

	/* Messages. */
	{ HEAD "fetch\tA\tm1", HEAD "fetch\tA\tm1:0:0", NULL },
	{ HEAD "fetch\tA\tm18446744073709551615:4294967295:18446744073709551615",
		HEAD "fetch\tA\tm18446744073709551615:4294967295:18446744073709551615", NULL },
	{ HEAD "fetch\tA\tm1:0:7,@17,m3:9:7", HEAD "fetch\tA\tm1:0:7,@17,m3:9:7", NULL },
	{ HEAD "fetch\tA\tm1:4294967296:7", NULL, "field 5 (messages): neither mN:UID:UIDVALIDITY "
		"nor @N: \"m1:4294967296:7\"" },
	{ HEAD "fetch\tA\tm0:1:7", NULL,
		"field 5 (messages): neither mN:UID:UIDVALIDITY nor @N: \"m0:1:7\"" },
	{ HEAD "fetch\tA\tm1:2", NULL,
		"field 5 (messages): neither mN:UID:UIDVALIDITY nor @N: \"m1:2\"" },
	{ HEAD "fetch\tA\tm1:", NULL,
		"field 5 (messages): neither mN:UID:UIDVALIDITY nor @N: \"m1:\"" },
	{ HEAD "fetch\tA\tm1:2:3:4", NULL,
		"field 5 (messages): neither mN:UID:UIDVALIDITY nor @N: \"m1:2:3:4\"" },
	{ HEAD "fetch\tA\t7", NULL, "field 5 (messages): neither mN:UID:UIDVALIDITY nor @N: \"7\"" },
	{ HEAD "fetch\tA\t@0", NULL,
		"field 5 (messages): neither mN:UID:UIDVALIDITY nor @N: \"@0\"" },
	{ HEAD "fetch\tA\t@1:2:3", NULL,
		"field 5 (messages): neither mN:UID:UIDVALIDITY nor @N: \"@1:2:3\"" },
	{ HEAD "fetch\tA\tm1,,m2", NULL,
		"field 5 (messages): neither mN:UID:UIDVALIDITY nor @N: \"\"" },
	{ HEAD "fetch\tA\tm1,", NULL, "field 5 (messages): ends with a comma: \"m1,\"" },
	{ HEAD "fetch\tA\tm*", NULL, "field 5 (messages): neither mN:UID:UIDVALIDITY nor @N: \"m*\"" },

	/* Pairs. */
	{ HEAD "flag\tA\tm1:2:3\tadd=\\Seen $Label1\tremove=\\Flagged",
		HEAD "flag\tA\tm1:2:3\tadd=\\Seen $Label1\tremove=\\Flagged", NULL },
	{ HEAD "copy\tA\tm1:2:3\tto=a=b", HEAD "copy\tA\tm1:2:3\tto=a=b", NULL },
	{ HEAD "copy\tA\tm1:2:3\tto=", HEAD "copy\tA\tm1:2:3\tto=", NULL },
	{ HEAD "copy\tA\tm1:2:3\tlater-key2=x", HEAD "copy\tA\tm1:2:3\tlater-key2=x", NULL },
	{ HEAD "copy\tA\tm1:2:3\t", NULL, "field 6 (key=value): is not key=value: \"\"" },
	{ HEAD "copy\tA\tm1:2:3\tto", NULL, "field 6 (key=value): is not key=value: \"to\"" },
	{ HEAD "copy\tA\tm1:2:3\t=B", NULL,
		"field 6 (key=value): a key is made of a-z, 0-9 and -: \"\"" },
	{ HEAD "copy\tA\tm1:2:3\tTo=B", NULL,
		"field 6 (key=value): a key is made of a-z, 0-9 and -: \"To\"" },
	{ HEAD "copy\tA\tm1:2:3\tto=B\tto=C", NULL,
		"field 7 (key=value): the key is there twice: \"to\"" },
	{ "a\nb", NULL, "the line has a line end in it" },
	{ HEAD "copy\tA\t123456789012345678901234567890123456789\xc3\xa9\xc3\xa9", NULL,
		"field 5 (messages): neither mN:UID:UIDVALIDITY nor @N: "
		"\"123456789012345678901234567890123456789...\"" },
};

static void test_lines(void)
{
	for (size_t i = 0; i < sizeof lines / sizeof *lines; i++) {
		struct queue_action a = { .number = 4711 };
		struct err err;
		struct buf out;
		int rc = queue_action_parse(slice_of(lines[i].line), &a, &err);
		buf_init(&out, 0);
		if (lines[i].printed == NULL) {
			is_str(rc < 0 ? err.text : "parsed", lines[i].error, "refused: %s",
				lines[i].line);
			is_int(a.number, 4711, "and nothing is changed");
		} else {
			if (rc == 0)
				queue_action_print(&a, &out);
			is_str(rc == 0 ? buf_str(&out) : err.text, lines[i].printed, "%s",
				lines[i].line);
			queue_action_release(&a);
		}
		buf_release(&out);
	}
}

static void test_fields(void)
{
	struct queue_action a;

	ok(queue_action_parse(slice_of(HEAD "append\tA%09B\t@3,m5:6:7\tsha256=ab\tflags=\\Seen"), &a,
		NULL) == 0, "a line");
	is_int(a.number, 17, "number");
	is_int(a.time, 1795359900, "time");
	is_int(a.verb, QUEUE_APPEND, "verb");
	is_str(a.verb_text, "append", "its text");
	is_str(a.mailbox, "A\tB", "mailbox");
	is_int(a.message_count, 2, "two messages");
	is_int(a.messages[0].action, 3, "the first by its action");
	is_int(a.messages[0].number, 0, "without a number");
	is_int(a.messages[1].number, 5, "the second by number");
	is_int(a.messages[1].uid, 6, "UID");
	is_int(a.messages[1].uidvalidity, 7, "UIDVALIDITY");
	is_str(queue_action_get(&a, "flags"), "\\Seen", "a value");
	ok(queue_action_get(&a, "flag") == NULL, "no such key");
	queue_action_set(&a, "flags", "\\Draft");
	is_str(queue_action_get(&a, "flags"), "\\Draft", "a value in place of another");
	is_int(a.pair_count, 2, "still two");
	queue_action_release(&a);
	queue_action_release(&a);

	ok(queue_action_parse(slice_of(HEAD "teleport\tA\t"), &a, NULL) == 0, "a later verb");
	is_int(a.verb, QUEUE_UNKNOWN, "is unknown");
	is_str(a.verb_text, "teleport", "and kept");
	queue_action_release(&a);
	for (int v = 0; v < QUEUE_UNKNOWN; v++)
		is_int(queue_verb_of(slice_of(queue_verb_name((enum queue_verb)v))), v, "%s",
			queue_verb_name((enum queue_verb)v));
	is_int(queue_verb_of(slice_of("")), QUEUE_UNKNOWN, "no verb");
}

static void test_limits(void)
{
	struct queue_action a, b;
	struct queue_message m = { .number = UINT64_MAX, .uid = UINT32_MAX,
		.uidvalidity = UINT64_MAX };
	struct buf line;
	struct err err;
	char key[16];

	queue_action_init(&a, QUEUE_FETCH, "A");
	for (int i = 0; i < QUEUE_MESSAGES_MAX; i++)
		queue_action_add_message(&a, &m);
	for (int i = 0; i < QUEUE_PAIRS_MAX; i++) {
		snprintf(key, sizeof key, "k%d", i);
		queue_action_set(&a, key, "v");
	}
	a.time = INT64_MAX;
	buf_init(&line, 0);
	queue_action_print(&a, &line);
	ok(queue_action_parse(buf_slice(&line), &b, &err) == 0, "as much as there may be");
	is_int(b.message_count, QUEUE_MESSAGES_MAX, "100000 messages");
	is_int(b.pair_count, QUEUE_PAIRS_MAX, "64 pairs");
	is_int(b.time, 253402300799, "a time beyond all bounds is the last that can be written");
	queue_action_release(&b);

	queue_action_set(&a, "one-more", "v");
	buf_clear(&line);
	queue_action_print(&a, &line);
	ok(queue_action_parse(buf_slice(&line), &b, &err) < 0, "a pair too many");
	is_str(err.text, "field 70 (key=value): more than 64 of them: \"one-more=v\"", "says so");
	queue_action_add_message(&a, &m);
	buf_clear(&line);
	queue_action_print(&a, &line);
	ok(queue_action_parse(buf_slice(&line), &b, &err) < 0, "a message too many");
	buf_clear(&line);
	ok(queue_action_parse((struct slice){ "17\t-\tfl\0g", 9 }, &b, &err) < 0, "NUL");
	while (line.len <= QUEUE_LINE_MAX)
		buf_add_str(&line, "0123456789abcdef");
	ok(queue_action_parse(buf_slice(&line), &b, &err) < 0, "a line too long");
	is_str(err.text, "the line is longer than 8388608 octets", "says so");
	ok(queue_action_parse((struct slice){ NULL, 0 }, &b, &err) < 0, "nothing at all");
	buf_release(&line);
	queue_action_release(&a);
}

int main(void)
{
	test_lines();
	test_fields();
	test_limits();
	return done_testing();
}
