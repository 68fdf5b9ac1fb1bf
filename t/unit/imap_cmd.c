#include "imap/cmd.h"
#include "lib/tap.h"

/* A string's form. */
static const struct {
	const char *in;
	bool atom_ok;
	const char *wire; /* with LITERAL+ */
} strings[] = {
	{ "INBOX\r\na2 DELETE INBOX", true, "{22+}\r\nINBOX\r\na2 DELETE INBOX" },
	{ "a\rb", true, "{3+}\r\na\rb" },
	{ "tab\t", true, "{4+}\r\ntab\t" },
	{ "Gr\303\274n", true, "{5+}\r\nGr\303\274n" },
	{ "\177", true, "{1+}\r\n\177" },
	{ "", true, "\"\"" },
	{ "NIL", true, "\"NIL\"" },
	{ "nil", true, "\"nil\"" },
	{ "a\"b\\c", true, "\"a\\\"b\\\\c\"" },
	{ "a b", true, "\"a b\"" },
	{ "100%", true, "\"100%\"" },
	{ "a*", true, "\"a*\"" },
	{ "(", true, "\"(\"" },
	{ "{3}", true, "\"{3}\"" },
	{ "a]", true, "\"a]\"" },
	{ "~x", true, "\"~x\"" },
	{ "&AOk-t&AOk-", true, "&AOk-t&AOk-" },
	{ "INBOX", true, "INBOX" },
	{ "INBOX", false, "\"INBOX\"" },
};

static void test_strings(void)
{
	for (size_t i = 0; i < sizeof strings / sizeof *strings; i++) {
		struct imap_cmd *cmd = imap_cmd_new(IMAP_CMD_PLAIN, NULL, NULL);
		struct buf out;
		buf_init(&out, 0);
		imap_cmd_add(cmd, "X ");
		imap_cmd_add_string(cmd, slice_of(strings[i].in), strings[i].atom_ok);
		ok(cmd_piece(cmd, CMD_PLUS, &out, NULL), "whole at once");
		buf_truncate(&out, out.len - 2);
		is_str(buf_str(&out) + 2, strings[i].wire, "string %zu", i);
		buf_release(&out);
		imap_cmd_free(cmd);
	}
}

static void test_long_quoted(void)
{
	struct imap_cmd *cmd = imap_cmd_new(IMAP_CMD_PLAIN, NULL, NULL);
	char text[3000];

	memset(text, 'x', sizeof text);
	imap_cmd_add(cmd, "LIST ");
	imap_cmd_add_string(cmd, (struct slice){ text, sizeof text }, true);
	is_int(cmd->literal_count, 1, "what is long is a literal");
	is_int(imap_cmd_len(cmd), 5, "which does not count for the line (C6)");
	imap_cmd_free(cmd);
}

/* Piece by piece, as "+" arrives. */
static void test_pieces(enum cmd_literals mode, size_t big, const char *const *pieces)
{
	struct imap_cmd *cmd = imap_cmd_new(IMAP_CMD_PLAIN, NULL, NULL);
	char text[5000];
	struct buf out, log;
	size_t n = 0;
	bool whole;

	memset(text, '\001', sizeof text);
	buf_init(&out, 0);
	buf_init(&log, 0);
	imap_cmd_add(cmd, "LOGIN ");
	imap_cmd_add_string(cmd, slice_of("\303\251"), true);
	imap_cmd_add(cmd, " ");
	imap_cmd_add_string(cmd, (struct slice){ text, big }, true);
	imap_cmd_add(cmd, " X");
	do {
		buf_clear(&out);
		whole = cmd_piece(cmd, mode, &out, &log);
		for (size_t i = 0; i + big <= out.len && big > 10; i++)
			if (memcmp(out.data + i, text, big) == 0) {
				out.data[i] = '#';
				memmove(out.data + i + 1, out.data + i + big, out.len - i - big);
				buf_truncate(&out, out.len - big + 1);
			}
		is_str(buf_str(&out), pieces[n], "piece %zu", n + 1);
		n++;
	} while (!whole && pieces[n] != NULL);
	ok(whole && pieces[n] == NULL, "as many pieces");
	is_str(buf_str(&log), pieces[n + 1], "the log shows literals as their size");
	is_int(cmd->unasked, mode != CMD_SYNC, "unasked");
	buf_release(&out);
	buf_release(&log);
	imap_cmd_free(cmd);
}

static void test_secret_is_not_shown(void)
{
	struct imap_cmd *cmd = imap_cmd_new(IMAP_CMD_PLAIN, NULL, NULL);
	struct buf out, log;

	buf_init(&out, 0);
	buf_init(&log, 0);
	imap_cmd_add(cmd, "LOGIN u ");
	imap_cmd_add_string(cmd, slice_of("p\303\244ss"), false);
	cmd->shown = mem_copy("LOGIN [secret]");
	while (!cmd_piece(cmd, CMD_SYNC, &out, &log))
		;
	is_str(buf_str(&log), "LOGIN [secret]", "not the password, nor its length");
	is_str(buf_str(&out), "LOGIN u {5}\r\np\303\244ss\r\n", "but on the wire");
	buf_release(&out);
	buf_release(&log);
	imap_cmd_free(cmd);
}

static void test_name(const char *text, const char *name)
{
	struct imap_cmd *cmd = imap_cmd_new(IMAP_CMD_PLAIN, NULL, NULL);

	imap_cmd_add(cmd, "%s", text);
	ok(slice_is(cmd_name(cmd), name), "\"%s\" is called %s", text, name);
	imap_cmd_free(cmd);
}

static void test_long_format(void)
{
	struct imap_cmd *cmd = imap_cmd_new(IMAP_CMD_PLAIN, NULL, NULL);
	char text[1000];

	memset(text, 'y', sizeof text - 1);
	text[sizeof text - 1] = '\0';
	imap_cmd_add(cmd, "%s%d", text, 7);
	is_int(imap_cmd_len(cmd), 1000, "a long text whole");
	is_int(cmd->text.data[999], '7', "to its end");
	imap_cmd_free(cmd);
}

int main(void)
{
	static const char *const sync[] = {
		"LOGIN {2}\r\n", "\303\251 {5000}\r\n", "# X\r\n", NULL, "LOGIN {2} {5000} X",
	};
	static const char *const minus[] = {
		"LOGIN {2+}\r\n\303\251 {5000}\r\n", "# X\r\n", NULL, "LOGIN {2+} {5000} X",
	};
	static const char *const minus_fits[] = {
		"LOGIN {2+}\r\n\303\251 {4096+}\r\n# X\r\n", NULL, "LOGIN {2+} {4096+} X",
	};
	static const char *const plus[] = {
		"LOGIN {2+}\r\n\303\251 {5000+}\r\n# X\r\n", NULL, "LOGIN {2+} {5000+} X",
	};

	test_strings();
	test_long_quoted();
	test_pieces(CMD_SYNC, 5000, sync);
	test_pieces(CMD_MINUS, 5000, minus);
	test_pieces(CMD_MINUS, 4096, minus_fits);
	test_pieces(CMD_PLUS, 5000, plus);
	test_secret_is_not_shown();
	test_name("UID FETCH 1:* FLAGS", "UID FETCH");
	test_name("uid search all", "uid search");
	test_name("EXAMINE x", "EXAMINE");
	test_name("NOOP", "NOOP");
	test_name("UID ", "UID ");
	test_long_format();
	return done_testing();
}
