/* Status responses and their codes. */
#include <string.h>

#include "imap/resp_private.h"

static const struct {
	const char *name;
	size_t len;
	enum imap_code code;
} codes[] = {
#define CODE(name, code) { name, sizeof(name) - 1, code }
	CODE("ALERT", IMAP_ALERT), CODE("ALREADYEXISTS", IMAP_ALREADYEXISTS),
	CODE("APPENDUID", IMAP_APPENDUID), CODE("AUTHENTICATIONFAILED", IMAP_AUTHENTICATIONFAILED),
	CODE("AUTHORIZATIONFAILED", IMAP_AUTHORIZATIONFAILED), CODE("CLOSED", IMAP_CLOSED),
	CODE("COMPRESSIONACTIVE", IMAP_COMPRESSIONACTIVE), CODE("CANNOT", IMAP_CANNOT),
	CODE("CAPABILITY", IMAP_CODE_CAPABILITY),
	CODE("CONTACTADMIN", IMAP_CONTACTADMIN), CODE("COPYUID", IMAP_COPYUID),
	CODE("EXPIRED", IMAP_EXPIRED), CODE("EXPUNGEISSUED", IMAP_EXPUNGEISSUED),
	CODE("HASCHILDREN", IMAP_HASCHILDREN),
	CODE("HIGHESTMODSEQ", IMAP_HIGHESTMODSEQ), CODE("INUSE", IMAP_INUSE), CODE("LIMIT", IMAP_LIMIT),
	CODE("MAILBOXID", IMAP_MAILBOXID), CODE("MODIFIED", IMAP_MODIFIED),
	CODE("NOMODSEQ", IMAP_NOMODSEQ), CODE("NONEXISTENT", IMAP_NONEXISTENT),
	CODE("NOPERM", IMAP_NOPERM), CODE("OVERQUOTA", IMAP_OVERQUOTA),
	CODE("PERMANENTFLAGS", IMAP_PERMANENTFLAGS), CODE("PRIVACYREQUIRED", IMAP_PRIVACYREQUIRED),
	CODE("READ-ONLY", IMAP_READONLY), CODE("READ-WRITE", IMAP_READWRITE),
	CODE("SERVERBUG", IMAP_SERVERBUG), CODE("THROTTLED", IMAP_THROTTLED), CODE("TOOBIG", IMAP_TOOBIG),
	CODE("TRYCREATE", IMAP_TRYCREATE), CODE("UIDNEXT", IMAP_UIDNEXT),
	CODE("UIDNOTSTICKY", IMAP_UIDNOTSTICKY), CODE("UIDVALIDITY", IMAP_UIDVALIDITY),
	CODE("UNAVAILABLE", IMAP_UNAVAILABLE), CODE("UNKNOWN-CTE", IMAP_UNKNOWN_CTE),
	CODE("UNSEEN", IMAP_UNSEEN),
#undef CODE
};

static enum imap_code find_code(struct slice name)
{
	for (size_t i = 0; i < sizeof codes / sizeof *codes; i++)
		if (token_is(name, codes[i].name, codes[i].len))
			return codes[i].code;
	return IMAP_CODE_OTHER;
}

/* A code whose number or list cannot be read counts as unknown. */
static bool read_code_value(struct reader *r, enum imap_code code)
{
	uint64_t *n = &r->resp->cond.code_number;
	switch (code) {
	case IMAP_HIGHESTMODSEQ:
		return token_number(&r->t, UINT63_MAX, n);
	case IMAP_UIDVALIDITY:
		return token_number(&r->t, UINT63_MAX, n) && *n > 0;
	case IMAP_UIDNEXT:
		return token_number(&r->t, UID_MAX, n) && *n > 0;
	case IMAP_UNSEEN:
		return token_number(&r->t, UINT32_MAX, n);
	case IMAP_MAILBOXID:
		return resp_object_id(r, &r->resp->cond.code_text);
	case IMAP_PERMANENTFLAGS:
		return resp_flags(r, &r->resp->cond.flags);
	default:
		return true;
	}
}

static void read_code(struct reader *r, struct slice text)
{
	struct reader inner = *r;
	inner.t = tokens_of(text, r->t.unescaped);
	struct slice name = token_item(&inner.t);
	struct tokens rest = inner.t;
	r->resp->cond.code_name = name;
	r->resp->cond.code_text = token_rest(&rest);
	r->resp->cond.code = find_code(name);
	if (!read_code_value(&inner, r->resp->cond.code))
		r->resp->cond.code = IMAP_CODE_OTHER;
}

/* The length of the code at the beginning of `text`, behind its "[". Where brackets and quotes do
 * not match, the first "]" ends it; without any there is no code. */
static bool find_code_end(struct slice text, size_t *len)
{
	if (token_code(text, len))
		return true;
	const char *end = text.len > 0 ? memchr(text.data, ']', text.len) : NULL;
	if (end == NULL)
		return false;
	*len = (size_t)(end - text.data);
	return true;
}

/* `upper` behind a bracket, in any case. */
static const char *find_bracketed(struct slice text, const char *upper, size_t len)
{
	const char *end = text.data + text.len, *at = text.data;

	while ((at = memchr(at, '[', (size_t)(end - at))) != NULL) {
		at++;
		if ((size_t)(end - at) >= len && token_is((struct slice){ at, len }, upper, len))
			return at;
	}
	return NULL;
}

/* Servers put some codes in the middle or at the end ("APPEND [TRYCREATE] failed"; Q1). Only those are
 * looked for that cost no more than a try where the text is a user's own: [NONEXISTENT] in it may be
 * the name of a mailbox that is there. */
static void find_stray_code(struct imap_resp *resp)
{
	static const char *const names[] = {
		"THROTTLED]", "TRYCREATE]", "OVERQUOTA]", "LIMIT]", "INUSE]", "UNAVAILABLE]",
	};
	struct slice text = resp->cond.text;
	if (text.len == 0 || memchr(text.data, '[', text.len) == NULL)
		return;
	size_t count = resp->cond.cond == IMAP_OK ? 1 : sizeof names / sizeof *names;
	for (size_t i = 0; i < count; i++) {
		size_t len = strlen(names[i]);
		const char *at = find_bracketed(text, names[i], len);
		if (at == NULL)
			continue;
		resp->cond.code_name = (struct slice){ at, len - 1 };
		resp->cond.code_text = (struct slice){ 0 };
		resp->cond.code = find_code(resp->cond.code_name);
		return;
	}
}

/* "[READ-ONLY] INBOX selected. (Success) [THROTTLED]" (Q1): one code cannot say both. */
static bool ends_throttled(struct slice text)
{
	static const char word[] = "[THROTTLED]";
	size_t len = sizeof word - 1;
	return text.len >= len && token_is((struct slice){ text.data + text.len - len, len }, word, len);
}

static void read_cond(struct reader *r)
{
	struct imap_resp *resp = r->resp;
	size_t len;
	struct slice text = token_rest(&r->t), code = { 0 };
	resp->cond.text = text;
	if (text.len > 0 && text.data[0] == '[')
		code = (struct slice){ text.data + 1, text.len - 1 };
	if (!find_code_end(code, &len)) {
		find_stray_code(resp);
		return;
	}
	/* Nothing may stand behind it (Q12). */
	struct tokens rest = tokens_of((struct slice){ code.data + len + 1, code.len - len - 1 }, NULL);
	resp->cond.text = token_rest(&rest);
	read_code(r, (struct slice){ code.data, len });
	/* One that we do not know says less. */
	if (resp->cond.code == IMAP_CODE_OTHER && resp->cond.cond == IMAP_NO)
		find_stray_code(resp);
}

void resp_cond(struct reader *r, enum imap_cond cond)
{
	struct imap_resp *resp = r->resp;
	resp->kind = IMAP_COND;
	resp->cond.cond = cond;
	read_cond(r);
	resp->cond.throttled = resp->cond.code == IMAP_THROTTLED || ends_throttled(resp->cond.text);
}

bool resp_find_cond(struct slice word, enum imap_cond *cond)
{
	if (TOKEN_IS(word, "OK"))
		*cond = IMAP_OK;
	else if (TOKEN_IS(word, "NO"))
		*cond = IMAP_NO;
	else if (TOKEN_IS(word, "BAD"))
		*cond = IMAP_BAD;
	else if (TOKEN_IS(word, "BYE"))
		*cond = IMAP_BYE;
	else if (TOKEN_IS(word, "PREAUTH"))
		*cond = IMAP_PREAUTH;
	else
		return false;
	return true;
}
