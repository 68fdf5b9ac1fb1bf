/* Any bytes as one response: every slice can be read, every number is in its bounds, and the memory
 * of the response before it does no harm. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "fuzz/fuzz.h"
#include "imap/resp.h"

static volatile unsigned char seen;

static void demand(bool holds)
{
	if (!holds)
		abort();
}

static void touch(struct slice s)
{
	for (size_t i = 0; i < s.len; i++)
		seen = (unsigned char)(seen ^ s.data[i]);
}

static void touch_flags(const struct imap_flags *flags)
{
	for (size_t i = 0; i < flags->count; i++) {
		demand(flags->keywords[i].len > 0);
		touch(flags->keywords[i]);
	}
}

static void check_uids(const struct uids *uids)
{
	demand(uids != NULL);
	for (size_t i = 0; i < uids->count; i++) {
		demand(uids->ranges[i].first > 0 && uids->ranges[i].first <= uids->ranges[i].last);
		demand(i == 0 || uids->ranges[i].first > uids->ranges[i - 1].last);
	}
}

static void check_sections(const struct imap_resp *r)
{
	demand(r->fetch.section_count <= 64);
	demand(((r->fetch.items & IMAP_HAS_SECTIONS) != 0) == (r->fetch.section_count > 0));
	for (size_t i = 0; i < r->fetch.section_count; i++) {
		touch(r->fetch.sections[i].spec);
		touch(r->fetch.sections[i].data);
		demand(!r->fetch.sections[i].nil || r->fetch.sections[i].data.len == 0);
	}
}

/* From one parenthesis to the other. */
static void check_structure(const struct imap_resp *r)
{
	struct slice s = r->fetch.bodystructure;
	touch(s);
	demand(((r->fetch.items & IMAP_HAS_BODYSTRUCTURE) != 0) == (s.len > 0));
	demand(s.len == 0 || (s.len >= 2 && s.data[0] == '(' && s.data[s.len - 1] == ')'));
}

static void check_fetch(const struct imap_resp *r)
{
	demand(((r->fetch.items & IMAP_HAS_UID) != 0) == (r->fetch.uid != 0));
	demand(r->fetch.modseq <= INT64_MAX && r->fetch.size <= INT64_MAX);
	demand((r->fetch.items & IMAP_HAS_BODY) == 0 || (r->fetch.items & IMAP_HAS_BODY_NIL) == 0);
	touch_flags(&r->fetch.flags);
	touch(r->fetch.body);
	demand(((r->fetch.items & IMAP_HAS_EMAILID) != 0) == (r->fetch.emailid.len != 0));
	touch(r->fetch.emailid);
	check_sections(r);
	check_structure(r);
}

static void check_status(const struct imap_resp *r)
{
	demand(((r->status.items & IMAP_HAS_UIDNEXT) != 0) == (r->status.uidnext != 0));
	demand(((r->status.items & IMAP_HAS_UIDVALIDITY) != 0) == (r->status.uidvalidity != 0));
	demand(r->status.highestmodseq <= INT64_MAX);
	demand(((r->status.items & IMAP_HAS_MAILBOXID) != 0) == (r->status.mailboxid.len != 0));
	touch(r->status.name);
	touch(r->status.mailboxid);
}

static void check_list(struct imap_uid_list *list)
{
	demand(list->count > 0 && list->count <= 200000);
	for (size_t i = 0; i < list->count; i++)
		demand(list->uids[i] > 0);
	imap_uid_list_release(list);
	demand(list->count == 0);
}

static void check_codes(const struct imap_resp *r)
{
	struct imap_uid_list from, to;
	struct uids set;
	uint64_t uidvalidity;

	uids_init(&set);
	if (imap_appenduid(r, &uidvalidity, &to)) {
		demand(r->cond.code == IMAP_APPENDUID && uidvalidity > 0 && uidvalidity <= INT64_MAX);
		check_list(&to);
	}
	if (imap_copyuid(r, &uidvalidity, &from, &to)) {
		demand(r->cond.code == IMAP_COPYUID && uidvalidity > 0 && uidvalidity <= INT64_MAX);
		demand(from.count == to.count);
		check_list(&from);
		check_list(&to);
	}
	if (imap_modified(r, &set))
		demand(r->cond.code == IMAP_MODIFIED && !uids_is_empty(&set));
	check_uids(&set);
	uids_release(&set);
}

static void check(const struct imap_resp *r, struct slice tag)
{
	touch(tag);
	demand(r->tagged == (tag.len > 0));
	demand(r->cond.code != IMAP_THROTTLED || r->cond.throttled);
	touch(r->cond.code_name);
	touch(r->cond.code_text);
	touch(r->cond.text);
	touch_flags(&r->cond.flags);
	touch_flags(&r->flags);
	touch(r->list.name);
	check_codes(r);
	check_status(r);
	check_fetch(r);
	touch(r->search.tag);
	if (r->kind == IMAP_SEARCH || r->kind == IMAP_ESEARCH)
		check_uids(r->search.uids);
	if (r->kind == IMAP_VANISHED)
		check_uids(r->vanished.uids);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct resp_space *space;
	struct imap_resp resp;
	struct slice tag, text = { (const char *)data, size };
	uint32_t uid;
	if (space == NULL)
		space = resp_space_new();
	resp_parse(space, text, &resp, &tag);
	check(&resp, tag);
	if (!resp_is_body(text, &uid))
		return 0;
	demand(resp.kind == IMAP_FETCH);
	return 0;
}
