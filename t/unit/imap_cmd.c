#include "imap/cmd.h"

#include <stdlib.h>
#include <unistd.h>

#include "lib/tap.h"

/* A string's form. */
static const struct {
	const char *in;
	bool atom_ok;
	const char *wire; /* with LITERAL+ */
	const char *utf8; /* and where UTF-8 may be quoted; NULL: the same */
} strings[] = {
	{ "Gr\303\274n \"\360\237\230\200\"\\", true, "{13+}\r\nGr\303\274n \"\360\237\230\200\"\\",
		"\"Gr\303\274n \\\"\360\237\230\200\\\"\\\\\"" },
	{ "Gr\303\274n\r\na2 X", true, "{11+}\r\nGr\303\274n\r\na2 X", NULL },
	{ "Gr\374n", true, "{4+}\r\nGr\374n", NULL }, /* not UTF-8 */
	{ "\303", true, "{1+}\r\n\303", NULL },
	{ "\300\212", true, "{2+}\r\n\300\212", NULL }, /* LF, overlong */
	{ "\355\240\200", true, "{3+}\r\n\355\240\200", NULL }, /* half a surrogate pair */
	{ "\303\251\t", true, "{3+}\r\n\303\251\t", NULL },
	{ "\303\251\177", true, "{3+}\r\n\303\251\177", NULL },
	{ "\303\251", true, "{2+}\r\n\303\251", "\"\303\251\"" },
	{ "Gr\303\274n", false, "{5+}\r\nGr\303\274n", "\"Gr\303\274n\"" },
	{ "INBOX\r\na2 DELETE INBOX", true, "{22+}\r\nINBOX\r\na2 DELETE INBOX", NULL },
	{ "a\rb", true, "{3+}\r\na\rb", NULL },
	{ "tab\t", true, "{4+}\r\ntab\t", NULL },
	{ "\177", true, "{1+}\r\n\177", NULL },
	{ "", true, "\"\"", NULL },
	{ "NIL", true, "\"NIL\"", NULL },
	{ "nil", true, "\"nil\"", NULL },
	{ "a\"b\\c", true, "\"a\\\"b\\\\c\"", NULL },
	{ "a b", true, "\"a b\"", NULL },
	{ "100%", true, "\"100%\"", NULL },
	{ "a*", true, "\"a*\"", NULL },
	{ "(", true, "\"(\"", NULL },
	{ "{3}", true, "\"{3}\"", NULL },
	{ "a]", true, "\"a]\"", NULL },
	{ "~x", true, "\"~x\"", NULL },
	{ "&AOk-t&AOk-", true, "&AOk-t&AOk-", NULL },
	{ "INBOX", true, "INBOX", NULL },
	{ "INBOX", false, "\"INBOX\"", NULL },
};

static void test_string(const char *in, bool atom_ok, bool utf8, const char *wire)
{
	struct imap_cmd *cmd = imap_cmd_new(IMAP_CMD_PLAIN, NULL, NULL);
	struct buf out;

	buf_init(&out, 0);
	imap_cmd_add(cmd, "X ");
	if (utf8)
		imap_cmd_utf8(cmd, true);
	imap_cmd_add_string(cmd, slice_of(in), atom_ok);
	is_int(cmd_piece(cmd, CMD_PLUS, &out, NULL, NULL), 1, "whole at once");
	buf_truncate(&out, out.len - 2);
	is_str(buf_str(&out) + 2, wire, "%s", wire);
	buf_release(&out);
	imap_cmd_free(cmd);
}

static void test_strings(void)
{
	for (size_t i = 0; i < sizeof strings / sizeof *strings; i++) {
		const char *utf8 = strings[i].utf8 != NULL ? strings[i].utf8 : strings[i].wire;
		test_string(strings[i].in, strings[i].atom_ok, false, strings[i].wire);
		test_string(strings[i].in, strings[i].atom_ok, true, utf8);
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
		whole = cmd_piece(cmd, mode, &out, &log, NULL) > 0;
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
	while (cmd_piece(cmd, CMD_SYNC, &out, &log, NULL) == 0)
		;
	is_str(buf_str(&log), "LOGIN [secret]", "not the password, nor its length");
	is_str(buf_str(&out), "LOGIN u {5}\r\np\303\244ss\r\n", "but on the wire");
	buf_release(&out);
	buf_release(&log);
	imap_cmd_free(cmd);
}

/* Literals of files: which of them ask. */
static const struct {
	uint64_t size;
	bool utf8, sync;
	enum cmd_literals mode;
	const char *wire; /* up to the octets */
} uploads[] = {
	{ 0, false, false, CMD_SYNC, "APPEND x {0}\r\n" },
	{ 5, false, true, CMD_PLUS, "APPEND x {5}\r\n" },
	{ 5, true, true, CMD_MINUS, "APPEND x UTF8 (~{5}\r\n" },
	{ 5, true, false, CMD_PLUS, "APPEND x UTF8 (~{5+}\r\n" },
	{ 4096, false, false, CMD_MINUS, "APPEND x {4096+}\r\n" },
	{ 4097, false, false, CMD_MINUS, "APPEND x {4097}\r\n" },
	{ 1 << 20, false, false, CMD_PLUS, "APPEND x {1048576+}\r\n" },
	{ (1 << 20) + 1, false, false, CMD_PLUS, "APPEND x {1048577}\r\n" },
	{ 200 << 20, false, false, CMD_SYNC, "APPEND x {209715200}\r\n" },
};

/* Letters, then zeros that take no room. */
static char *make_file(off_t size)
{
	static const char text[] = "abcdefghijklmnopqrstuvwabcdefghijklmnopqrstuvw";
	char *path = mem_copy("/tmp/imap-cmd-XXXXXX");
	int fd = mkstemp(path);

	if (write(fd, text, 46) != 46 || ftruncate(fd, size) < 0 || close(fd) < 0)
		diag("%s: not written", path);
	return path;
}

static void test_upload(size_t i, const char *path)
{
	struct imap_cmd *cmd = imap_cmd_new(IMAP_CMD_PLAIN, NULL, NULL);
	size_t len = strlen(uploads[i].wire);
	uint64_t total = 0;
	struct buf out;
	int rc;

	buf_init(&out, 0);
	imap_cmd_add(cmd, "APPEND x ");
	imap_cmd_add_file(cmd, path, uploads[i].size, uploads[i].utf8);
	if (uploads[i].sync)
		imap_cmd_sync_literals(cmd);
	is_int(imap_cmd_len(cmd), uploads[i].utf8 ? 17 : 9, "the file does not count for the line");
	rc = cmd_piece(cmd, uploads[i].mode, &out, NULL, NULL);
	is_mem(out.data, out.len < len ? out.len : len, uploads[i].wire, len, "%s", uploads[i].wire);
	ok(out.len > len || rc == 0, "asks, or goes on");
	is_int(cmd->fd >= 0, out.len > len && rc == 0, "opened only when the octets are due");
	for (total = out.len; rc == 0; total += out.len) {
		buf_clear(&out);
		rc = cmd_piece(cmd, uploads[i].mode, &out, NULL, NULL);
		if (out.len > CMD_PIECE + 100)
			break;
	}
	is_int(rc, 1, "whole");
	ok(out.len <= CMD_PIECE + 100, "in small pieces");
	is_int(cmd->fd, -1, "closed");
	is_int(total, len + uploads[i].size + (uploads[i].utf8 ? 3 : 2), "all octets");
	is_mem(out.data + out.len - 2, 2, "\r\n", 2, "and the line's end");
	buf_release(&out);
	imap_cmd_free(cmd);
}

/* Longer than told: what was announced is what is sent. */
static void test_uploads(void)
{
	char *path = make_file(201 << 20);

	for (size_t i = 0; i < sizeof uploads / sizeof *uploads; i++)
		test_upload(i, path);
	unlink(path);
	free(path);
}

/* MULTIAPPEND of many: one file is open at a time. */
static void test_many_files(void)
{
	struct imap_cmd *cmd = imap_cmd_new(IMAP_CMD_PLAIN, NULL, NULL);
	char *path = make_file(46);
	struct buf out, log;
	size_t pieces = 1;
	int before = dup(0), after;

	buf_init(&out, 0);
	buf_init(&log, 0);
	close(before);
	imap_cmd_add(cmd, "APPEND x");
	for (int i = 0; i < 5000; i++) {
		imap_cmd_add(cmd, " () ");
		imap_cmd_add_file(cmd, path, 46, i % 2);
	}
	for (; cmd_piece(cmd, CMD_PLUS, &out, &log, NULL) == 0; pieces++) {
		if (pieces == 1)
			is_mem(out.data, 130, "APPEND x () {46+}\r\nabcdefghijklmnopqrstuvwabcdefghijklmnopqrstuvw "
				"() UTF8 (~{46+}\r\nabcdefghijklmnopqrstuvwabcdefghijklmnopqrstuvw)", 130, "two of them");
		after = dup(0);
		if (after - before > 1 || out.len > CMD_PIECE + 100)
			ok(0, "%d files open, %zu octets", after - before, out.len);
		close(after);
		buf_clear(&out);
	}
	is_int(pieces, 5, "340 KB in pieces of 64 KB");
	is_mem(log.data, 38, "APPEND x () {46+} () UTF8 (~{46+}) () ", 38, "the log has no mail");
	unlink(path);
	free(path);
	buf_release(&out);
	buf_release(&log);
	imap_cmd_free(cmd);
}

static void test_file_fails(const char *path, uint64_t size, const char *want)
{
	struct imap_cmd *cmd = imap_cmd_new(IMAP_CMD_PLAIN, NULL, NULL);
	struct err err = { 0 };
	struct buf out;

	buf_init(&out, 0);
	imap_cmd_add(cmd, "APPEND x ");
	imap_cmd_add_file(cmd, path, size, false);
	is_int(cmd_piece(cmd, CMD_SYNC, &out, NULL, &err), 0, "nobody looks at it before it is due");
	is_int(cmd_piece(cmd, CMD_SYNC, &out, NULL, &err), -1, "then it fails");
	ok(err.cls == ERR_RETRY && err.scope == ERR_ACCOUNT, "and so does the connection");
	ok(strstr(err.text, path) != NULL && strstr(err.text, want) != NULL, "%s", err.text);
	buf_release(&out);
	imap_cmd_free(cmd);
}

static void test_files_fail(void)
{
	char *path = make_file(46);

	test_file_fails("/nonexistent", 5, "No such file");
	test_file_fails("/tmp", 5, "Is a directory");
	test_file_fails(path, 47, "1 octets shorter");
	unlink(path);
	free(path);
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
	test_uploads();
	test_many_files();
	test_files_fail();
	test_secret_is_not_shown();
	test_name("UID FETCH 1:* FLAGS", "UID FETCH");
	test_name("uid search all", "uid search");
	test_name("EXAMINE x", "EXAMINE");
	test_name("NOOP", "NOOP");
	test_name("UID ", "UID ");
	test_long_format();
	return done_testing();
}
