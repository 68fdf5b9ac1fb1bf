/* The reader of responses: one pass over the text, tables of keywords, no memory of its own for
 * what is common. An item that cannot be read is left out; a response that would then say something
 * else (a set of UIDs with a hole in it) becomes IMAP_OTHER. */
#include "imap/resp.h"

#include <stdlib.h>
#include <string.h>

#include "imap/resp_private.h"

/* Bounds for what one response may hold beyond its text (C9). */
#define KEYWORDS_MAX 4096
#define RANGES_MAX (4u << 20)
/* What is kept from one response to the next. */
#define UNESCAPED_KEEP (64u << 10)
#define RANGES_KEEP 4096

struct resp_space {
	struct buf unescaped;
	struct slice *keywords;
	size_t keyword_size;
	struct imap_section sections[SECTIONS_MAX];
	struct uids uids;
	uint32_t *late; /* UIDs of a SEARCH that came out of order */
	size_t late_count, late_size;
};

struct resp_space *resp_space_new(void)
{
	struct resp_space *s = mem_new(sizeof *s);
	buf_init(&s->unescaped, 0);
	uids_init(&s->uids);
	return s;
}

void resp_space_free(struct resp_space *s)
{
	if (s == NULL)
		return;
	buf_release(&s->unescaped);
	uids_release(&s->uids);
	free(s->keywords);
	free(s->late);
	free(s);
}

/* Called at the beginning of each response, so that one that was huge does not cost for good. */
static void space_clear(struct resp_space *s)
{
	if (s->unescaped.len > 0)
		buf_shrink(&s->unescaped, UNESCAPED_KEEP);
	if (s->uids.count > RANGES_KEEP) {
		uids_release(&s->uids);
		uids_init(&s->uids);
	}
	if (s->uids.count > 0)
		uids_clear(&s->uids);
	if (s->late_size > RANGES_KEEP) {
		free(s->late);
		s->late = NULL;
		s->late_size = 0;
	}
	s->late_count = 0;
}

/* Flags */

static const struct resp_bits system_flags[] = {
	RESP_BITS("\\SEEN", MAIL_SEEN), RESP_BITS("\\ANSWERED", MAIL_ANSWERED), RESP_BITS("\\FLAGGED", MAIL_FLAGGED),
	RESP_BITS("\\DELETED", MAIL_DELETED), RESP_BITS("\\DRAFT", MAIL_DRAFT), RESP_BITS("$FORWARDED", MAIL_FORWARDED),
	RESP_BITS("\\RECENT", 0),
};

static bool find_flag(const struct resp_bits *table, size_t count, struct slice name, uint32_t *flags)
{
	for (size_t i = 0; i < count; i++) {
		if (token_is(name, table[i].name, table[i].len)) {
			*flags |= table[i].bits;
			return true;
		}
	}
	return false;
}

static void add_keyword(struct resp_space *s, struct imap_flags *flags, struct slice name)
{
	if (name.len == 0 || flags->count == KEYWORDS_MAX)
		return;
	if (flags->count == s->keyword_size) {
		s->keyword_size = s->keyword_size > 0 ? s->keyword_size * 2 : 16;
		s->keywords = mem_grow(s->keywords, s->keyword_size, sizeof *s->keywords);
	}
	s->keywords[flags->count++] = name;
	flags->keywords = s->keywords;
}

static void add_flag(struct resp_space *s, struct imap_flags *flags, struct slice name)
{
	if (name.len == 2 && memcmp(name.data, "\\*", 2) == 0)
		flags->any = true;
	else if ((name.len == 0 || (name.data[0] != '\\' && name.data[0] != '$')) ||
	    !find_flag(system_flags, sizeof system_flags / sizeof *system_flags, name, &flags->system))
		add_keyword(s, flags, name);
}

/* A parenthesized list; false, and *flags empty, where it is none. Flags may be quoted (Q84). */
bool resp_flags(struct reader *r, struct imap_flags *flags)
{
	*flags = (struct imap_flags){ 0 };
	if (!token_open(&r->t)) {
		token_skip(&r->t);
		return false;
	}
	for (;;) {
		struct token token = token_next(&r->t);
		if (token.kind == TOKEN_CLOSE)
			return true;
		if (token.kind == TOKEN_ATOM || token.kind == TOKEN_STRING)
			add_flag(r->s, flags, token.text);
		if (token.kind == TOKEN_OPEN)
			token_skip_list(&r->t);
		if (token.kind == TOKEN_END) {
			*flags = (struct imap_flags){ 0 };
			return false;
		}
	}
}

void resp_add_section(struct reader *r, const struct imap_section *section)
{
	struct imap_resp *resp = r->resp;
	if (resp->fetch.section_count == SECTIONS_MAX)
		return;
	r->s->sections[resp->fetch.section_count++] = *section;
	resp->fetch.sections = r->s->sections;
	resp->fetch.items |= IMAP_HAS_SECTIONS;
}

/* Cyrus 3.6 puts octets of freed memory where LIST asks for a MAILBOXID, others each time. */
static bool is_object_id(struct slice text)
{
	for (size_t i = 0; i < text.len; i++) {
		unsigned char c = (unsigned char)text.data[i];
		if (!((c >= '0' && c <= '9') || ((c | 32) >= 'a' && (c | 32) <= 'z') || c == '_' || c == '-'))
			return false;
	}
	return text.len >= 1 && text.len <= 255;
}

bool resp_object_id(struct reader *r, struct slice *id)
{
	bool list = token_open(&r->t);
	struct token token = token_next(&r->t);
	bool is_id = token.kind == TOKEN_ATOM || token.kind == TOKEN_STRING;
	if (list && token.kind == TOKEN_OPEN)
		token_skip_list(&r->t);
	if (list && token.kind != TOKEN_CLOSE)
		token_skip_list(&r->t);
	if (!is_id || token_is_nil(&token) || !is_object_id(token.text))
		return false;
	*id = token.text;
	return true;
}

/* Sets */

static bool read_set(struct reader *r)
{
	struct token token = token_next(&r->t);
	if (token.kind == TOKEN_OPEN)
		token_skip_list(&r->t);
	return token.kind == TOKEN_ATOM && uids_parse(&r->s->uids, token.text, RANGES_MAX) == 0;
}

static int compare_uids(const void *a, const void *b)
{
	uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
	return x < y ? -1 : x > y;
}

/* In the order in which they mostly come, UIDs go right into the set; the others are sorted first
 * (answers in descending order, or none: Q48, Q79), as each would cost a move of half the set. */
static void add_uid(struct resp_space *s, uint32_t uid)
{
	if (uid > uids_last(&s->uids)) {
		uids_add(&s->uids, uid);
		return;
	}
	if (s->late_count == s->late_size) {
		s->late_size = s->late_size > 0 ? s->late_size * 2 : 64;
		s->late = mem_grow(s->late, s->late_size, sizeof *s->late);
	}
	s->late[s->late_count++] = uid;
}

static void add_late(struct resp_space *s)
{
	if (s->late_count == 0)
		return;
	struct uids late;
	uids_init(&late);
	qsort(s->late, s->late_count, sizeof *s->late, compare_uids);
	for (size_t i = 0; i < s->late_count; i++)
		uids_add(&late, s->late[i]);
	uids_add_all(&s->uids, &late);
	uids_release(&late);
}

/* Mailbox names */

static struct slice inbox_or(struct slice name)
{
	return TOKEN_IS(name, "INBOX") ? slice_of("INBOX") : name;
}

/* An atom, quoted, or a literal (Q77). */
static bool read_name(struct reader *r, struct slice *name)
{
	struct token token = token_name(&r->t);
	if (token.kind != TOKEN_ATOM && token.kind != TOKEN_STRING)
		return false;
	*name = inbox_or(token.text);
	return true;
}

/* LIST, STATUS and the others that begin with a word */

/* \All is any server's (Q63), and no sign of Gmail's ways. */
static const struct resp_bits list_attrs[] = {
	RESP_BITS("\\NOSELECT", IMAP_NOSELECT), RESP_BITS("\\NONEXISTENT", IMAP_NONEXISTENT_ATTR | IMAP_NOSELECT),
	RESP_BITS("\\NOINFERIORS", IMAP_NOINFERIORS), RESP_BITS("\\SUBSCRIBED", IMAP_SUBSCRIBED),
	RESP_BITS("\\ALL", IMAP_ALL), RESP_BITS("\\ALLMAIL", IMAP_ALL), RESP_BITS("\\ARCHIVE", IMAP_ARCHIVE),
	RESP_BITS("\\DRAFTS", IMAP_DRAFTS), RESP_BITS("\\FLAGGED", IMAP_FLAGGED_ATTR),
	RESP_BITS("\\STARRED", IMAP_FLAGGED_ATTR), RESP_BITS("\\JUNK", IMAP_JUNK), RESP_BITS("\\SPAM", IMAP_JUNK),
	RESP_BITS("\\SENT", IMAP_SENT), RESP_BITS("\\TRASH", IMAP_TRASH),
};

/* False where the list is never closed. *is_inbox: XLIST names the INBOX in the user's language
 * (Q14). */
static bool read_attrs(struct reader *r, uint32_t *attrs, bool *is_inbox)
{
	if (!token_open(&r->t))
		return token_skip(&r->t);
	for (;;) {
		struct token token = token_next(&r->t);
		if (token.kind == TOKEN_CLOSE)
			return true;
		if (token.kind == TOKEN_END)
			return false;
		if (token.kind == TOKEN_OPEN)
			token_skip_list(&r->t);
		else if (TOKEN_IS(token.text, "\\INBOX"))
			*is_inbox = true;
		else
			find_flag(list_attrs, sizeof list_attrs / sizeof *list_attrs, token.text, attrs);
	}
}

static void read_any_list(struct reader *r, bool lsub, bool xlist)
{
	uint32_t attrs = 0;
	bool is_inbox = false;
	struct slice name;
	if (!read_attrs(r, &attrs, &is_inbox))
		return;
	struct token delimiter = token_next(&r->t);
	if (delimiter.kind != TOKEN_ATOM && delimiter.kind != TOKEN_STRING)
		return;
	if (!read_name(r, &name))
		return;
	r->resp->kind = IMAP_LIST;
	r->resp->list.lsub = lsub;
	r->resp->list.attrs = attrs;
	r->resp->list.delimiter = delimiter.text.len == 1 ? delimiter.text.data[0] : 0;
	r->resp->list.name = xlist && is_inbox ? slice_of("INBOX") : name;
}

static void read_list(struct reader *r)
{
	read_any_list(r, false, false);
}

static void read_lsub(struct reader *r)
{
	read_any_list(r, true, false);
}

static void read_xlist(struct reader *r)
{
	read_any_list(r, false, true);
}

static const struct resp_bits status_items[] = {
	RESP_BITS("MESSAGES", IMAP_HAS_MESSAGES), RESP_BITS("UIDNEXT", IMAP_HAS_UIDNEXT),
	RESP_BITS("UIDVALIDITY", IMAP_HAS_UIDVALIDITY), RESP_BITS("HIGHESTMODSEQ", IMAP_HAS_HIGHESTMODSEQ),
};

static void status_mailboxid(struct reader *r)
{
	if (resp_object_id(r, &r->resp->status.mailboxid))
		r->resp->status.items |= IMAP_HAS_MAILBOXID;
}

static void status_item(struct reader *r, struct slice name)
{
	uint32_t item = 0;
	uint64_t n;
	if (TOKEN_IS(name, "MAILBOXID")) {
		status_mailboxid(r);
		return;
	}
	if (!find_flag(status_items, sizeof status_items / sizeof *status_items, name, &item)) {
		token_skip(&r->t);
		return;
	}
	bool is_short = item == IMAP_HAS_MESSAGES || item == IMAP_HAS_UIDNEXT;
	if (!token_number(&r->t, is_short ? UINT32_MAX : UINT63_MAX, &n))
		return;
	if (n == 0 && (item == IMAP_HAS_UIDNEXT || item == IMAP_HAS_UIDVALIDITY))
		return; /* Q67 */
	r->resp->status.items |= item;
	if (item == IMAP_HAS_MESSAGES)
		r->resp->status.messages = (uint32_t)n;
	else if (item == IMAP_HAS_UIDNEXT)
		r->resp->status.uidnext = (uint32_t)n;
	else if (item == IMAP_HAS_UIDVALIDITY)
		r->resp->status.uidvalidity = n;
	else
		r->resp->status.highestmodseq = n;
}

/* A name with unquoted spaces would be another mailbox's up to the first one: no STATUS at all. */
static void read_status(struct reader *r)
{
	if (!read_name(r, &r->resp->status.name) || !token_open(&r->t))
		return;
	r->resp->kind = IMAP_STATUS;
	for (;;) {
		struct slice name = token_item(&r->t);
		if (name.len > 0)
			status_item(r, name);
		else if (token_close(&r->t) || !token_skip(&r->t))
			return;
	}
}

static void read_flags_response(struct reader *r)
{
	if (resp_flags(r, &r->resp->flags))
		r->resp->kind = IMAP_FLAGS;
}

/* The (MODSEQ n) at the end of a SEARCH. */
static void search_modseq(struct reader *r)
{
	if (!token_open(&r->t))
		return;
	if (TOKEN_IS(token_item(&r->t), "MODSEQ"))
		token_number(&r->t, UINT63_MAX, &r->resp->search.modseq);
	token_skip_list(&r->t);
}

/* UID 0 and what has more than 32 bits is nobody's (Q89). */
static void read_search(struct reader *r)
{
	struct imap_resp *resp = r->resp;
	for (;;) {
		struct slice word = token_item(&r->t);
		uint64_t n;
		if (word.len == 0)
			break;
		if (!token_to_number(word, UINT64_MAX, &n))
			return;
		if (n > 0 && n <= UID_MAX)
			add_uid(r->s, (uint32_t)n);
	}
	search_modseq(r);
	if (token_skip(&r->t))
		return;
	add_late(r->s);
	resp->search.uids = &r->s->uids;
	resp->kind = IMAP_SEARCH;
}

/* (TAG "a1") */
static void esearch_correlator(struct reader *r)
{
	if (!token_open(&r->t))
		return;
	struct token name = token_next(&r->t);
	struct token tag = { .kind = TOKEN_CLOSE };
	if (name.kind == TOKEN_ATOM)
		tag = token_next(&r->t);
	if (TOKEN_IS(name.text, "TAG") && (tag.kind == TOKEN_ATOM || tag.kind == TOKEN_STRING))
		r->resp->search.tag = tag.text;
	if (name.kind != TOKEN_CLOSE && tag.kind != TOKEN_CLOSE)
		token_skip_list(&r->t);
}

/* False where the set cannot be read: to take it as empty would say that all are gone. */
static bool esearch_item(struct reader *r, struct slice name)
{
	struct imap_resp *resp = r->resp;
	if (TOKEN_IS(name, "ALL"))
		return read_set(r);
	if (TOKEN_IS(name, "COUNT"))
		resp->search.has_count = token_number(&r->t, UINT63_MAX, &resp->search.count);
	else if (TOKEN_IS(name, "MODSEQ"))
		token_number(&r->t, UINT63_MAX, &resp->search.modseq);
	else
		token_skip(&r->t);
	return true;
}

static void read_esearch(struct reader *r)
{
	struct imap_resp *resp = r->resp;
	esearch_correlator(r);
	for (;;) {
		struct slice name = token_item(&r->t);
		if (TOKEN_IS(name, "UID"))
			resp->search.uid = true;
		else if (name.len > 0 && !esearch_item(r, name))
			return;
		else if (name.len == 0 && !token_skip(&r->t))
			break;
	}
	resp->search.uids = &r->s->uids;
	resp->kind = IMAP_ESEARCH;
}

static void read_vanished(struct reader *r)
{
	if (token_open(&r->t)) {
		r->resp->vanished.earlier = TOKEN_IS(token_item(&r->t), "EARLIER");
		if (!r->resp->vanished.earlier || !token_close(&r->t))
			return;
	}
	if (!read_set(r))
		return;
	r->resp->vanished.uids = &r->s->uids;
	r->resp->kind = IMAP_VANISHED;
}

static void read_capability(struct reader *r)
{
	r->resp->cond.text = token_rest(&r->t);
	r->resp->kind = IMAP_CAPABILITY;
}

static void read_enabled(struct reader *r)
{
	r->resp->cond.text = token_rest(&r->t);
	r->resp->kind = IMAP_ENABLED;
}

/* The beginning of a response */

static const struct {
	const char *name;
	size_t len;
	void (*read)(struct reader *r);
} words[] = {
#define WORD(name, read) { name, sizeof(name) - 1, read }
	WORD("LIST", read_list), WORD("STATUS", read_status), WORD("SEARCH", read_search),
	WORD("ESEARCH", read_esearch), WORD("VANISHED", read_vanished),
	WORD("FLAGS", read_flags_response), WORD("CAPABILITY", read_capability),
	WORD("ENABLED", read_enabled), WORD("LSUB", read_lsub), WORD("XLIST", read_xlist),
#undef WORD
};

/* FETCH may count beyond what there is (Q28); its number is of no use to anybody, so any is taken. */
static void read_numbered(struct reader *r, struct slice digits)
{
	uint64_t number = 0;
	bool fits = token_to_number(digits, UINT32_MAX, &number);
	struct slice word = token_item(&r->t);
	r->resp->number = (uint32_t)number;
	if (TOKEN_IS(word, "FETCH"))
		resp_fetch(r);
	else if (fits && TOKEN_IS(word, "EXISTS"))
		r->resp->kind = IMAP_EXISTS;
	else if (fits && TOKEN_IS(word, "EXPUNGE"))
		r->resp->kind = IMAP_EXPUNGE;
}

static void read_untagged(struct reader *r)
{
	struct slice word = token_item(&r->t);
	enum imap_cond cond;
	if (word.len > 0 && word.data[0] >= '0' && word.data[0] <= '9') {
		read_numbered(r, word);
		return;
	}
	for (size_t i = 0; i < sizeof words / sizeof *words; i++) {
		if (token_is(word, words[i].name, words[i].len)) {
			words[i].read(r);
			return;
		}
	}
	if (resp_find_cond(word, &cond))
		resp_cond(r, cond);
}

static void read_tagged(struct reader *r, struct slice *tag)
{
	enum imap_cond cond;
	*tag = token_item(&r->t);
	r->resp->tagged = tag->len > 0;
	if (resp_find_cond(token_item(&r->t), &cond))
		resp_cond(r, cond);
}

void resp_parse(struct resp_space *s, struct slice text, struct imap_resp *resp, struct slice *tag)
{
	space_clear(s);
	memset(resp, 0, sizeof *resp);
	*tag = (struct slice){ text.data, 0 };
	struct reader r = { .t = tokens_of(text, &s->unescaped), .s = s, .resp = resp };
	if (text.len > 0 && text.data[0] == '+') {
		r.t.at++;
		resp->kind = IMAP_CONTINUE;
		resp->cond.text = token_rest(&r.t);
	} else if (text.len > 0 && text.data[0] == '*') {
		r.t.at++;
		read_untagged(&r);
	} else {
		read_tagged(&r, tag);
	}
}
