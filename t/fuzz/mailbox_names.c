/* Any bytes as a mailbox's name: what is decoded encodes back to the same bytes, and the other way
 * round, so that no two mailboxes become one. In a command they stand in one line, or in a literal,
 * and are read there as the same bytes. */
#include <stdlib.h>
#include <string.h>

#include "fuzz/fuzz.h"
#include "imap/cmd.h"
#include "imap/token.h"

static void demand(bool holds)
{
	if (!holds)
		abort();
}

static bool same(const struct buf *b, struct slice s)
{
	return b->len == s.len && (s.len == 0 || memcmp(b->data, s.data, s.len) == 0);
}

static void there_and_back(struct slice wire, bool utf8)
{
	struct buf name, again;
	buf_init(&name, 0);
	buf_init(&again, 0);
	if (!imap_name_decode(wire, utf8, &name)) {
		demand(name.len == 0);
	} else {
		demand(name.len == 0 || memchr(name.data, '\0', name.len) == NULL);
		imap_name_encode(buf_slice(&name), utf8, &again);
		demand(same(&again, wire) || slice_is_nocase(wire, "INBOX"));
	}
	buf_release(&name);
	buf_release(&again);
}

static bool is_utf8(struct slice s)
{
	uint32_t rune;
	for (size_t len; s.len > 0; s.data += len, s.len -= len) {
		len = mail_utf8_next(s, &rune);
		if (len == 0 || rune == 0)
			return false;
	}
	return true;
}

static void back_and_there(struct slice name, bool utf8)
{
	struct buf wire, again;
	if (!is_utf8(name))
		return;
	buf_init(&wire, 0);
	buf_init(&again, 0);
	imap_name_encode(name, utf8, &wire);
	demand(imap_name_decode(buf_slice(&wire), utf8, &again));
	demand(same(&again, name) || slice_is_nocase(name, "INBOX"));
	buf_release(&wire);
	buf_release(&again);
}

static void check_wire(struct slice wire, struct slice s)
{
	struct buf unescaped;
	buf_init(&unescaped, 0);
	struct tokens t = tokens_of(wire, &unescaped);
	struct token token = token_next(&t);
	demand(token.kind == TOKEN_ATOM || token.kind == TOKEN_STRING);
	demand(!token_is_nil(&token));
	demand(token.text.len == s.len && (s.len == 0 || memcmp(token.text.data, s.data, s.len) == 0));
	demand(t.at == t.end);
	buf_release(&unescaped);
}

static void in_a_command(struct slice s, bool atom_ok, bool utf8)
{
	struct imap_cmd *cmd = imap_cmd_new(IMAP_CMD_PLAIN, NULL, NULL);
	struct buf out;
	buf_init(&out, 0);
	imap_cmd_utf8(cmd, utf8);
	imap_cmd_add_string(cmd, s, atom_ok);
	bool literal = cmd->literal_count > 0;
	demand(cmd_piece(cmd, CMD_PLUS, &out, NULL, NULL) == 1);
	demand(out.len >= 2 && memcmp(out.data + out.len - 2, "\r\n", 2) == 0);
	buf_truncate(&out, out.len - 2);
	for (size_t i = 0; i < out.len && !literal; i++) {
		unsigned char c = (unsigned char)out.data[i];
		demand(c >= ' ' && c != 127 && (c < 127 || utf8));
	}
	demand(literal || !utf8 || is_utf8(buf_slice(&out)));
	check_wire(buf_slice(&out), s);
	buf_release(&out);
	imap_cmd_free(cmd);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct slice s = { (const char *)data, size };
	there_and_back(s, false);
	there_and_back(s, true);
	back_and_there(s, false);
	back_and_there(s, true);
	in_a_command(s, true, false);
	in_a_command(s, false, true);
	return 0;
}
