/* FETCH responses: one reader for each item. The first item of a kind counts, since the framer had to
 * choose a body's sink by it before the rest had come; for BODY[] even if its value cannot be read. */
#include "imap/resp_private.h"

/* A "BODY[]" further in than this is taken for one, without its UID. */
#define BODY_TEXT_MAX (64u << 10)

static void fetch_uid(struct reader *r)
{
	uint64_t uid;
	if (!token_number(&r->t, UID_MAX, &uid) || uid == 0)
		return;
	r->resp->fetch.uid = (uint32_t)uid;
	r->resp->fetch.items |= IMAP_HAS_UID;
}

static void fetch_flags(struct reader *r)
{
	if (resp_flags(r, &r->resp->fetch.flags))
		r->resp->fetch.items |= IMAP_HAS_FLAGS;
}

static void fetch_modseq(struct reader *r)
{
	bool list = token_open(&r->t);
	if (token_number(&r->t, UINT63_MAX, &r->resp->fetch.modseq))
		r->resp->fetch.items |= IMAP_HAS_MODSEQ;
	if (list)
		token_skip_list(&r->t);
}

static void fetch_date(struct reader *r)
{
	struct token token = token_next(&r->t);
	if (token.kind == TOKEN_OPEN)
		token_skip_list(&r->t);
	else if (token.kind == TOKEN_STRING && mail_date_parse(token.text, &r->resp->fetch.date))
		r->resp->fetch.items |= IMAP_HAS_DATE;
}

static void fetch_size(struct reader *r)
{
	if (token_number(&r->t, UINT63_MAX, &r->resp->fetch.size))
		r->resp->fetch.items |= IMAP_HAS_SIZE;
}

static void fetch_body(struct reader *r)
{
	if (r->body_seen) {
		token_skip(&r->t);
		return;
	}
	r->body_seen = true;
	struct token token = token_next(&r->t);
	if (token.kind == TOKEN_STRING) {
		r->resp->fetch.body = token.text;
		r->resp->fetch.body_size = token.text.len;
		r->resp->fetch.items |= IMAP_HAS_BODY;
	} else if (token.kind == TOKEN_STREAMED) {
		r->resp->fetch.body_size = token.size;
		r->resp->fetch.items |= IMAP_HAS_BODY;
	} else if (token_is_nil(&token)) {
		r->resp->fetch.items |= IMAP_HAS_BODY_NIL;
	} else if (token.kind == TOKEN_OPEN) {
		token_skip_list(&r->t);
	}
}

static void fetch_emailid(struct reader *r)
{
	if (r->own_emailid) {
		token_skip(&r->t);
	} else if (resp_object_id(r, &r->resp->fetch.emailid)) {
		r->resp->fetch.items |= IMAP_HAS_EMAILID;
		r->own_emailid = true;
	}
}

static bool is_decimal(struct slice text)
{
	for (size_t i = 0; i < text.len; i++)
		if (text.data[i] < '0' || text.data[i] > '9')
			return false;
	return text.len > 0 && text.len <= 20 && text.data[0] != '0';
}

/* Gmail's own, which is older than EMAILID. A server that has both is taken at its EMAILID in whatever
 * order they come, or a message would change its id. */
static void fetch_gmail_id(struct reader *r)
{
	struct token token = token_next(&r->t);
	if (token.kind == TOKEN_OPEN)
		token_skip_list(&r->t);
	else if (token.kind == TOKEN_ATOM && is_decimal(token.text)) {
		r->resp->fetch.emailid = token.text;
		r->resp->fetch.items |= IMAP_HAS_EMAILID;
	}
}

/* Nobody needs its parts here; the raw text is read where it is of use. */
static void fetch_bodystructure(struct reader *r)
{
	if (!token_open(&r->t)) {
		token_skip(&r->t);
		return;
	}
	const char *start = r->t.at - 1;
	if (!token_skip_list(&r->t))
		return;
	r->resp->fetch.bodystructure = (struct slice){ start, (size_t)(r->t.at - start) };
	r->resp->fetch.items |= IMAP_HAS_BODYSTRUCTURE;
}

/* "BODY[1.MIME]<0>": what stands in the brackets. False for BODY[] and what is no section. */
static bool find_spec(struct slice name, struct slice *spec)
{
	size_t len;
	if (name.len < 6 || !TOKEN_IS(((struct slice){ name.data, 5 }), "BODY["))
		return false;
	struct slice inside = { name.data + 5, name.len - 5 };
	if (!token_code(inside, &len))
		return false;
	struct slice origin = { inside.data + len + 1, inside.len - len - 1 };
	bool partial = origin.len >= 2 && origin.data[0] == '<' && origin.data[origin.len - 1] == '>';
	if (origin.len > 0 && !partial)
		return false;
	struct tokens t = tokens_of((struct slice){ inside.data, len }, NULL);
	*spec = token_rest(&t);
	return spec->len > 0 || partial;
}

static void fetch_section(struct reader *r, struct slice spec)
{
	struct imap_section section = { .spec = spec };
	struct token token = token_next(&r->t);
	if (token.kind == TOKEN_OPEN) {
		token_skip_list(&r->t);
		return;
	}
	section.nil = token_is_nil(&token);
	if (token.kind == TOKEN_STRING)
		section.data = token.text;
	else if (!section.nil)
		return;
	resp_add_section(r, &section);
}

static const struct {
	const char *name;
	size_t len;
	uint32_t items; /* present already: skipped */
	void (*read)(struct reader *r);
} fetch_items[] = {
#define ITEM(name, items, read) { name, sizeof(name) - 1, items, read }
	ITEM("UID", IMAP_HAS_UID, fetch_uid),
	ITEM("FLAGS", IMAP_HAS_FLAGS, fetch_flags),
	ITEM("MODSEQ", IMAP_HAS_MODSEQ, fetch_modseq),
	ITEM("BODY[]", 0, fetch_body),
	ITEM("RFC822.SIZE", IMAP_HAS_SIZE, fetch_size),
	ITEM("INTERNALDATE", IMAP_HAS_DATE, fetch_date),
	ITEM("EMAILID", 0, fetch_emailid), ITEM("X-GM-MSGID", IMAP_HAS_EMAILID, fetch_gmail_id),
	ITEM("BODYSTRUCTURE", IMAP_HAS_BODYSTRUCTURE, fetch_bodystructure),
#undef ITEM
};

static void fetch_item(struct reader *r, struct slice name)
{
	struct slice spec;
	for (size_t i = 0; i < sizeof fetch_items / sizeof *fetch_items; i++) {
		if (!token_is(name, fetch_items[i].name, fetch_items[i].len))
			continue;
		if (r->resp->fetch.items & fetch_items[i].items)
			break;
		fetch_items[i].read(r);
		return;
	}
	if (find_spec(name, &spec))
		fetch_section(r, spec);
	else
		token_skip(&r->t);
}

void resp_fetch(struct reader *r)
{
	if (!token_open(&r->t))
		return;
	r->resp->kind = IMAP_FETCH;
	for (;;) {
		struct slice name = token_item(&r->t);
		if (name.len > 0)
			fetch_item(r, name);
		else if (token_close(&r->t) || !token_skip(&r->t))
			return;
	}
}

/* "* 12 FETCH (", as resp_parse reads it. */
static bool pass_fetch_head(struct tokens *t)
{
	if (t->at == t->end || *t->at++ != '*')
		return false;
	struct slice number = token_item(t);
	if (number.len == 0 || number.data[0] < '0' || number.data[0] > '9')
		return false;
	return TOKEN_IS(token_item(t), "FETCH") && token_open(t);
}

/* Without the "~" and the space that may stand before a literal. */
static struct slice before_literal(struct slice text)
{
	if (text.len > 0 && text.data[text.len - 1] == '~')
		text.len--;
	struct tokens t = tokens_of(text, NULL);
	struct slice rest = token_rest(&t);
	if (rest.len > 0)
		text.len = (size_t)(rest.data + rest.len - text.data);
	return text;
}

bool resp_is_body(struct slice text, uint32_t *uid)
{
	*uid = 0;
	text = before_literal(text);
	if (text.len < 6 || !TOKEN_IS(((struct slice){ text.data + text.len - 6, 6 }), "BODY[]"))
		return false;
	struct tokens t = tokens_of(text, NULL);
	if (!pass_fetch_head(&t))
		return false;
	if (text.len > BODY_TEXT_MAX)
		return true;
	for (;;) {
		struct slice name = token_item(&t);
		uint64_t n;
		if (TOKEN_IS(name, "BODY[]"))
			return t.at == t.end;
		if (!TOKEN_IS(name, "UID") || *uid != 0) {
			if (!token_skip(&t))
				return false;
		} else if (token_number(&t, UID_MAX, &n)) {
			*uid = (uint32_t)n;
		}
	}
}
