/* Message-ID and Date of hostile headers. */
#include <stdlib.h>

#include "lib/tap.h"
#include "mail/mail.h"

#define NONE INT64_MIN

static const struct {
	const char *header;
	const char *id;
	int64_t date;
} cases[] = {
	{ "", NULL, NONE },
	{ "\r\nMessage-ID: <in@body>\r\n", NULL, NONE },
	{ "Message-ID: <a@b>\r\n\r\n", "a@b", NONE },
	{ "Message-ID: <a@b>", "a@b", NONE },
	{ "message-id:<a@b>\n\n", "a@b", NONE },
	{ "Message-ID :\t<a@b>\n", "a@b", NONE },
	{ "Message-ID:\r\n <a@b>\r\n", "a@b", NONE },
	{ "Message-ID:\n\t<a@b>\n", "a@b", NONE },
	{ "Message-ID: a@b\n", "a@b", NONE },
	{ "Message-ID: <nodomain>\n", "nodomain", NONE },
	{ "Message-ID: (c (d) \\) e) <a@b>\n", "a@b", NONE },
	{ "Message-ID: <a@b> (c)\n", "a@b", NONE },
	{ "Message-ID: <a(b)@c>\n", "a(b)@c", NONE },
	{ "Message-ID: <a@b> <c@d>\n", NULL, NONE },
	{ "Message-ID: a@b c@d\n", NULL, NONE },
	{ "Message-ID: <a@b>\nMessage-Id: <a@b>\n", NULL, NONE },
	{ "Message-ID:\nMessage-Id: <a@b>\n", NULL, NONE },
	{ "Message-ID: <>\n", NULL, NONE },
	{ "Message-ID: <a@b\n", NULL, NONE },
	{ "Message-ID: (never ends <a@b>\n", NULL, NONE },
	{ "Message-ID:\n", NULL, NONE },
	{ "Message-ID\n", NULL, NONE },
	{ ": <a@b>\nMessage-ID: <c@d>\n", "c@d", NONE },
	{ "X-Message-ID: <a@b>\nResent-Message-ID: <c@d>\n", NULL, NONE },
	{ " folded at once\nMessage-ID: <a@b>\n", "a@b", NONE },
	{ "From ana Mon Jul 17 02:44:25 1996\nMessage-ID: <a@b>\n", "a@b", NONE },
	{ "no field\nMessage-ID: <a@b>\n", "a@b", NONE },
	{ "Date: Wed, 17 Jul 1996 02:44:25 -0700\n", NULL, 837596665 },
	{ "Date: 17 Jul 1996 02:44:25 -0700 (PDT)\n", NULL, 837596665 },
	{ "Date: 17 Jul 96 09:44:25 GMT\n", NULL, 837596665 },
	{ "Date: 17 Jul 1996 09:44 +0000\n", NULL, 837596640 },
	{ "Date: 17 Jul 20 09:44:25 +0000\n", NULL, 1594979065 },
	{ "Date: 17 Jul\n 1996\n 09:44:25 +0000\n", NULL, 837596665 },
	{ "Date: 99 Jul 1996 09:44:25 +0000\n", NULL, NONE },
	{ "Date: 17 Jul 1996 99:44:25 +0000\n", NULL, NONE },
	{ "Date: 17 Jul 99999999999 09:44:25 +0000\n", NULL, NONE },
	{ "Date: yesterday\n", NULL, NONE },
	{ "Date: yesterday\nDate: 17 Jul 1996 02:44:25 -0700\n", NULL, NONE },
};

static char *padded(const char *head, char fill, size_t count, const char *tail)
{
	struct buf b;
	buf_init(&b, 0);
	buf_add_str(&b, head);
	for (size_t i = 0; i < count; i++)
		buf_add_char(&b, fill);
	buf_add_str(&b, tail);
	return buf_take(&b);
}

static void test_long(const char *head, char fill, size_t count, const char *tail, const char *id)
{
	struct mail_header h;
	char *text = padded(head, fill, count, tail);
	mail_header_parse(slice_of(text), &h);
	is_str(h.message_id, id, "%zu times '%c'", count, fill);
	mail_header_release(&h);
	free(text);
}

int main(void)
{
	struct mail_header h;
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		mail_header_parse(slice_of(cases[i].header), &h);
		is_str(h.message_id, cases[i].id, "Message-ID of '%s'", cases[i].header);
		is_int(h.date, cases[i].date, "and its date");
		mail_header_release(&h);
	}
	mail_header_parse((struct slice){ "Message-ID: <a\0b@c>\nX: \0\nDate: 1\0", 33 }, &h);
	ok(h.message_id == NULL || strlen(h.message_id) > 0, "NUL does no harm");
	mail_header_release(&h);
	mail_header_parse((struct slice){ NULL, 0 }, &h);
	ok(h.message_id == NULL, "nothing is no header");

	test_long("Message-ID: ", '(', 60000, "<a@b>\n", NULL);
	test_long("Message-ID: ", '<', 60000, "a@b>\n", NULL);
	test_long("Message-ID: <", 'a', 9000, "@b>\n", NULL);
	test_long("Message-ID: ", '"', 8001, "\n", NULL);
	test_long("X: ", 'x', 20000, "\nMessage-ID: <a@b>\n", "a@b");
	test_long("X: ", 'x', 70000, "\nMessage-ID: <a@b>\n", NULL);
	test_long("Message-ID: <a@b>\nX: ", 'x', 70000, "\n", "a@b");
	return done_testing();
}
