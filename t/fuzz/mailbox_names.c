/* Any bytes as a mailbox's name: what is decoded encodes back to the same bytes, and the other way
 * round, so that no two mailboxes become one. */
#include <stdlib.h>
#include <string.h>

#include "fuzz/fuzz.h"
#include "imap/imap.h"

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

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct slice s = { (const char *)data, size };
	there_and_back(s, false);
	there_and_back(s, true);
	back_and_there(s, false);
	back_and_there(s, true);
	return 0;
}
