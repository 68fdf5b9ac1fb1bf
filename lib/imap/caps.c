#include "imap/caps.h"

#include "imap/token.h"
#include "imap/word.h"

/* In the order of enum imap_cap. */
static const char *const names[IMAP_CAP_COUNT] = {
	"APPENDLIMIT", "BINARY", "COMPRESS=DEFLATE", "CONDSTORE",
	"ENABLE", "ESEARCH", "ID", "IDLE", "IMAP4rev1",
	"IMAP4rev2", "LIST-EXTENDED", "LIST-STATUS", "LITERAL-",
	"LITERAL+", "LOGINDISABLED", "MOVE", "MULTIAPPEND",
	"NAMESPACE", "NOTIFY", "OBJECTID", "QRESYNC", "SASL-IR",
	"SPECIAL-USE", "STARTTLS", "STATUS=SIZE", "UIDPLUS",
	"UNSELECT", "UTF8=ACCEPT", "X-GM-EXT-1",
};

/* IMAP4rev2 holds these without naming them (RFC 9051 appendix E); of SPECIAL-USE only the attributes, not the
 * words with which LIST asks for them. */
static const enum imap_cap rev2_holds[] = {
	IMAP_CAP_ENABLE, IMAP_CAP_ESEARCH, IMAP_CAP_IDLE, IMAP_CAP_LIST_EXTENDED,
	IMAP_CAP_LIST_STATUS, IMAP_CAP_LITERAL_MINUS, IMAP_CAP_MOVE, IMAP_CAP_NAMESPACE,
	IMAP_CAP_SASL_IR, IMAP_CAP_STATUS_SIZE, IMAP_CAP_UIDPLUS,
	IMAP_CAP_UNSELECT,
};

void caps_init(struct caps *caps)
{
	*caps = (struct caps){ 0 };
	buf_init(&caps->text, 0);
}

void caps_release(struct caps *caps)
{
	buf_release(&caps->text);
}

void caps_forget(struct caps *caps)
{
	caps->known = false;
	memset(caps->has, 0, sizeof caps->has);
	caps->append_limit = 0;
	buf_clear(&caps->text);
}

static bool is_avoided(const struct caps *caps, struct slice word)
{
	for (size_t i = 0; i < caps->avoid_count; i++)
		if (slice_is_nocase(word, caps->avoid[i]))
			return true;
	return false;
}

/* "APPENDLIMIT=35651584" (RFC 7889); without a number each mailbox has its own, told by STATUS. */
static void note_append_limit(struct caps *caps, struct slice word)
{
	size_t len = strlen("APPENDLIMIT=");

	caps->has[IMAP_CAP_APPENDLIMIT] = true;
	if (!token_to_number((struct slice){ word.data + len, word.len - len }, INT64_MAX,
			&caps->append_limit))
		caps->append_limit = 0;
}

static void note(struct caps *caps, struct slice word)
{
	for (size_t i = 0; i < IMAP_CAP_COUNT; i++)
		if (slice_is_nocase(word, names[i]))
			caps->has[i] = true;
	if (slice_starts_nocase(word, "APPENDLIMIT="))
		note_append_limit(caps, word);
	/* UTF8=ONLY (RFC 6855) asks for the same ENABLE UTF8=ACCEPT. */
	if (slice_is_nocase(word, "UTF8=ONLY"))
		caps->has[IMAP_CAP_UTF8_ACCEPT] = true;
}

/* Also what another word stood for. ENABLE QRESYNC would enable CONDSTORE (RFC 7162 3.2.3). */
static void forget_avoided(struct caps *caps)
{
	for (size_t i = 0; i < IMAP_CAP_COUNT; i++)
		if (is_avoided(caps, slice_of(names[i])))
			caps->has[i] = false;
	if (is_avoided(caps, slice_of("CONDSTORE")))
		caps->has[IMAP_CAP_QRESYNC] = false;
	if (!caps->has[IMAP_CAP_APPENDLIMIT])
		caps->append_limit = 0;
}

void caps_parse(struct caps *caps, struct slice list)
{
	struct slice rest = list, word;

	caps_forget(caps);
	caps->known = true;
	buf_add_slice(&caps->text, list);
	while (word_next(&rest, &word))
		if (!is_avoided(caps, word))
			note(caps, word);
	if (caps->has[IMAP_CAP_IMAP4REV2])
		for (size_t i = 0; i < sizeof rev2_holds / sizeof *rev2_holds; i++)
			caps->has[rev2_holds[i]] = true;
	forget_avoided(caps);
}

bool caps_auth(const struct caps *caps, const char *mechanism)
{
	struct slice rest = buf_slice(&caps->text), word;

	while (word_next(&rest, &word)) {
		if (!slice_starts_nocase(word, "AUTH=") || is_avoided(caps, word))
			continue;
		word.data += strlen("AUTH=");
		word.len -= strlen("AUTH=");
		if (slice_is_nocase(word, mechanism))
			return true;
	}
	return false;
}
