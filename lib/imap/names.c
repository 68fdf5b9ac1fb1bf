/* Mailbox names between the wire and us (L3): modified UTF-7, or UTF-8 where that was enabled. */
#include "imap/imap.h"

static bool is_inbox(struct slice name)
{
	return slice_is_nocase(name, "INBOX");
}

static bool is_utf8(struct slice text)
{
	while (text.len > 0) {
		uint32_t rune;
		size_t len = mail_utf8_next(text, &rune);
		if (len == 0 || rune == 0)
			return false;
		text.data += len;
		text.len -= len;
	}
	return true;
}

bool imap_name_decode(struct slice wire, bool utf8, struct buf *name)
{
	if (is_inbox(wire))
		return buf_add_str(name, "INBOX");
	if (utf8)
		return is_utf8(wire) && buf_add_slice(name, wire);
	size_t len = name->len;
	bool canonical;
	if (!mail_utf7_decode(wire, name, &canonical))
		return false;
	/* "&AEkATgBCAE8AWA-" is not canonical; nothing that is decodes to another case of INBOX. */
	if (!canonical)
		buf_truncate(name, len);
	return canonical;
}

void imap_name_encode(struct slice name, bool utf8, struct buf *wire)
{
	if (is_inbox(name))
		buf_add_str(wire, "INBOX");
	else if (utf8 || !mail_utf7_encode(name, wire))
		buf_add_slice(wire, name);
}
