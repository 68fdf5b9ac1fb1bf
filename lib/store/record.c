/* Records to octets and back; schema.h says where each octet stands. What is read is checked, for
 * a disk may have changed it: a record that ends too early, or is of another version, decodes to
 * false, never to a wrong one. */
#include <stdlib.h>

#include "store/record.h"

enum { MESSAGE_SHOWN = 1, MESSAGE_SAME_FLAGS = 2, MESSAGE_BASE = 4, MESSAGE_EMAILID = 8,
	MESSAGE_MESSAGE_ID = 16 };
enum { BODY_FILE_HASH = 1 };

struct slice store_counters_encode(struct store *s, const struct store_counters *c)
{
	uint8_t *p = record_begin(s, 64);
	p = store_put_u64(p, c->mailbox);
	p = store_put_u64(p, c->message);
	p = store_put_u64(p, c->body);
	p = store_put_u64(p, c->projection);
	p = store_put_u64(p, c->keyword);
	p = store_put_u64(p, c->indexed);
	return record_end(s, p);
}

bool store_counters_decode(struct slice in, struct store_counters *c)
{
	struct fields f = fields_of(in);
	struct store_counters got;
	got.mailbox = take_u64(&f);
	got.message = take_u64(&f);
	got.body = take_u64(&f);
	got.projection = take_u64(&f);
	got.keyword = take_u64(&f);
	got.indexed = take_u64(&f);
	if (!f.bad)
		*c = got;
	return !f.bad;
}

struct slice store_mailbox_encode(struct store *s, const struct store_mailbox *m)
{
	uint8_t *p = record_begin(s, 64 + text_size(m->name) + text_size(m->wire) +
		text_size(m->folder) + text_size(m->mailboxid));
	*p++ = (uint8_t)m->delimiter;
	p = store_put_u32(p, m->attrs);
	p = store_put_u32(p, m->state);
	p = store_put_u64(p, m->uidvalidity);
	p = store_put_u64(p, m->highestmodseq);
	p = store_put_u32(p, m->uidnext);
	p = store_put_u32(p, m->messages);
	p = store_put_u32(p, m->lastseen);
	p = store_put_u64(p, (uint64_t)m->synced);
	p = store_put_u64(p, m->rules);
	p = put_str(p, m->name);
	p = put_str(p, m->wire);
	p = put_str(p, m->folder);
	p = put_str(p, m->mailboxid);
	return record_end(s, p);
}

/* The id is the key's. */
bool store_mailbox_decode(struct slice in, struct store_mailbox *m)
{
	struct fields f = fields_of(in);
	struct store_mailbox got = { 0 };
	got.delimiter = (char)take_u8(&f);
	got.attrs = take_u32(&f);
	got.state = take_u32(&f);
	got.uidvalidity = take_u64(&f);
	got.highestmodseq = take_u64(&f);
	got.uidnext = take_u32(&f);
	got.messages = take_u32(&f);
	got.lastseen = take_u32(&f);
	got.synced = (int64_t)take_u64(&f);
	got.rules = take_u64(&f);
	struct slice name = take_text(&f), wire = take_text(&f), folder = take_text(&f);
	struct slice mailboxid = take_text(&f);
	if (f.bad)
		return false;
	got.name = mem_copy_slice(name);
	got.wire = mem_copy_slice(wire);
	got.folder = mem_copy_slice(folder);
	got.mailboxid = mailboxid.len > 0 ? mem_copy_slice(mailboxid) : NULL;
	*m = got;
	return true;
}

struct slice store_tally_encode(struct store *s, const struct store_tally *t)
{
	uint8_t *p = record_begin(s, 64);
	p = store_put_u64(p, t->counts.messages);
	p = store_put_u64(p, t->counts.bodies);
	p = store_put_u64(p, t->counts.owed);
	p = store_put_u64(p, t->counts.owed_octets);
	p = store_put_u64(p, t->counts.unseen);
	p = store_put_u64(p, t->uids);
	p = store_put_u64(p, t->apart);
	return record_end(s, p);
}

bool store_tally_decode(struct slice in, struct store_tally *t)
{
	struct fields f = fields_of(in);
	struct store_tally got;
	got.counts.messages = take_u64(&f);
	got.counts.bodies = take_u64(&f);
	got.counts.owed = take_u64(&f);
	got.counts.owed_octets = take_u64(&f);
	got.counts.unseen = take_u64(&f);
	got.uids = take_u64(&f);
	got.apart = take_u64(&f);
	if (!f.bad)
		*t = got;
	return !f.bad;
}

static bool knows_message_id(const struct store_message *m)
{
	static const uint8_t zeros[sizeof m->message_id];
	return memcmp(m->message_id, zeros, sizeof zeros) != 0;
}

static uint8_t *put_identity(uint8_t *p, const struct store_message *m, uint32_t bits)
{
	if ((bits & MESSAGE_EMAILID) != 0)
		p = put_str(p, m->emailid);
	if ((bits & MESSAGE_MESSAGE_ID) != 0)
		p = put_octets(p, m->message_id, sizeof m->message_id);
	return p;
}

size_t store_flags_size(const struct mail_flags *flags)
{
	return 4 + 4 * flags->count;
}

uint8_t *store_flags_put(struct store *s, uint8_t *p, const struct mail_flags *flags)
{
	INVARIANT(flags->system <= UINT16_MAX && flags->count <= MAIL_KEYWORDS_MAX);
	p = store_put_u16(p, flags->system);
	p = store_put_u16(p, (uint32_t)flags->count);
	for (size_t i = 0; i < flags->count; i++)
		p = store_put_u32(p, store_keyword_number(s, flags->keywords[i]));
	return p;
}

void store_flags_number(struct store *s, const struct mail_flags *flags)
{
	for (size_t i = 0; i < flags->count; i++)
		store_keyword_number(s, flags->keywords[i]);
}

static uint8_t *put_shown(struct store *s, uint8_t *p, const struct store_message *m, bool same)
{
	p = store_put_u32(p, m->shown_mailbox);
	p = store_put_u64(p, m->device);
	p = store_put_u64(p, m->inode);
	p = store_put_u64(p, m->file_size);
	p = store_put_u64(p, (uint64_t)m->file_mtime_ns);
	p = store_put_u32(p, m->run);
	return same ? p : store_flags_put(s, p, &m->shown);
}

struct slice store_message_encode(struct store *s, const struct store_message *m)
{
	INVARIANT(m->state <= UINT16_MAX);
	size_t base_len = m->base != NULL ? strlen(m->base) : 0;
	bool same = mail_flags_equal(&m->flags, &m->shown);
	uint8_t bits = 0;
	if ((m->state & STORE_SHOWN) != 0 || m->base != NULL)
		bits |= MESSAGE_SHOWN;
	if (same)
		bits |= MESSAGE_SAME_FLAGS;
	if (m->base != NULL)
		bits |= MESSAGE_BASE;
	if (m->emailid != NULL)
		bits |= MESSAGE_EMAILID;
	if (knows_message_id(m))
		bits |= MESSAGE_MESSAGE_ID;

	store_flags_number(s, &m->flags);
	store_flags_number(s, &m->shown);
	uint8_t *p = record_begin(s, 128 + store_flags_size(&m->flags) +
		store_flags_size(&m->shown) + base_len + text_size(m->emailid));
	*p++ = bits;
	p = store_put_u16(p, m->state);
	p = store_put_u32(p, m->mailbox);
	p = store_put_u32(p, m->uid);
	p = store_put_u64(p, (uint64_t)m->date);
	p = store_put_u64(p, m->size);
	p = store_put_u64(p, m->body);
	p = store_flags_put(s, p, &m->flags);
	p = put_identity(p, m, bits);
	if ((bits & MESSAGE_SHOWN) != 0)
		p = put_octets(put_shown(s, p, m, same), m->base, base_len);
	return record_end(s, p);
}

bool store_flags_take(struct store *s, struct fields *f, struct mail_flags *flags)
{
	flags->system = take_u16(f);
	uint32_t count = take_u16(f);
	if (count > MAIL_KEYWORDS_MAX || f->bad)
		return false;
	for (uint32_t i = 0; i < count; i++) {
		const char *name = store_keyword_name(s, take_u32(f));
		if (f->bad || name == NULL)
			return false;
		mail_flags_add(flags, slice_of(name));
	}
	return true;
}

static void take_identity(struct fields *f, uint32_t bits, struct store_message *m)
{
	if ((bits & MESSAGE_EMAILID) != 0)
		m->emailid = mem_copy_slice(take_text(f));
	if ((bits & MESSAGE_MESSAGE_ID) != 0)
		memcpy(m->message_id, take_octets(f, sizeof m->message_id), sizeof m->message_id);
}

static bool take_shown(struct store *s, struct fields *f, uint32_t bits, struct store_message *m)
{
	m->shown_mailbox = take_u32(f);
	m->device = take_u64(f);
	m->inode = take_u64(f);
	m->file_size = take_u64(f);
	m->file_mtime_ns = (int64_t)take_u64(f);
	m->run = take_u32(f);
	if ((bits & MESSAGE_SAME_FLAGS) != 0)
		mail_flags_copy(&m->shown, &m->flags);
	else if (!store_flags_take(s, f, &m->shown))
		return false;
	if ((bits & MESSAGE_BASE) != 0)
		m->base = mem_copy_slice((struct slice){ (const char *)f->at, f->left });
	return !f->bad;
}

/* The number is the key's. *m is initialised. */
bool store_message_decode(struct store *s, struct slice in, struct store_message *m)
{
	struct fields f = fields_of(in);
	store_message_release(m);
	uint32_t bits = take_u8(&f);
	m->state = take_u16(&f);
	m->mailbox = take_u32(&f);
	m->uid = take_u32(&f);
	m->date = (int64_t)take_u64(&f);
	m->size = take_u64(&f);
	m->body = take_u64(&f);
	if (!store_flags_take(s, &f, &m->flags))
		return false;
	take_identity(&f, bits, m);
	return (bits & MESSAGE_SHOWN) == 0 ? !f.bad : take_shown(s, &f, bits, m);
}

static void skip_keywords(struct fields *f)
{
	for (uint32_t count = take_u16(f); count > 0; count--)
		take_octets(f, 4);
}

bool store_message_peek(struct slice in, struct store_message_index *out)
{
	struct fields f = fields_of(in);
	uint32_t bits = take_u8(&f);
	out->there = true;
	out->state = take_u16(&f);
	out->mailbox = take_u32(&f);
	out->uid = take_u32(&f);
	out->date = (int64_t)take_u64(&f);
	out->size = take_u64(&f);
	out->body = take_u64(&f);
	out->seen = (take_u16(&f) & MAIL_SEEN) != 0;
	skip_keywords(&f);
	out->emailid = out->base = (struct slice){ NULL, 0 };
	if ((bits & MESSAGE_EMAILID) != 0)
		out->emailid = take_text(&f);
	if ((bits & MESSAGE_MESSAGE_ID) != 0)
		take_octets(&f, sizeof ((struct store_message *)0)->message_id);
	if ((bits & MESSAGE_BASE) == 0)
		return !f.bad;
	take_u32(&f);
	for (int i = 0; i < 4; i++)
		take_u64(&f);
	take_u32(&f);
	if ((bits & MESSAGE_SAME_FLAGS) == 0) {
		take_u16(&f);
		skip_keywords(&f);
	}
	out->base = (struct slice){ (const char *)f.at, f.left };
	return !f.bad;
}

struct slice store_body_encode(struct store *s, const struct store_body_record *b)
{
	uint8_t *p = record_begin(s, 128);
	*p++ = b->encoding;
	*p++ = b->info.has_file_hash ? BODY_FILE_HASH : 0;
	p = store_put_u64(p, b->info.size);
	p = store_put_u64(p, b->info.references);
	p = put_octets(p, b->info.hash, MAIL_HASH_SIZE);
	if (b->info.has_file_hash)
		p = put_octets(p, b->info.file_hash, MAIL_HASH_SIZE);
	return record_end(s, p);
}

bool store_body_decode(struct slice in, struct store_body_record *b)
{
	struct fields f = fields_of(in);
	struct store_body_record got = { 0 };
	got.encoding = (uint8_t)take_u8(&f);
	got.info.has_file_hash = (take_u8(&f) & BODY_FILE_HASH) != 0;
	got.info.size = take_u64(&f);
	got.info.references = take_u64(&f);
	memcpy(got.info.hash, take_octets(&f, MAIL_HASH_SIZE), MAIL_HASH_SIZE);
	if (got.info.has_file_hash)
		memcpy(got.info.file_hash, take_octets(&f, MAIL_HASH_SIZE), MAIL_HASH_SIZE);
	if (!f.bad)
		*b = got;
	return !f.bad;
}

struct slice store_projection_encode(struct store *s, const struct store_projection *p)
{
	uint8_t *to = record_begin(s, 80 + p->base.len + p->tmp.len);
	*to++ = (uint8_t)p->kind;
	*to++ = p->old_new;
	to = store_put_u64(to, p->message);
	to = store_put_u32(to, p->mailbox);
	to = store_put_u32(to, p->old_system);
	to = store_put_u64(to, p->file_size);
	to = store_put_u64(to, (uint64_t)p->file_mtime_ns);
	to = put_text(to, p->base.data, p->base.len);
	to = put_text(to, p->tmp.data, p->tmp.len);
	return record_end(s, to);
}

/* The number is the key's. *p is initialised. */
bool store_projection_decode(struct slice in, struct store_projection *p)
{
	struct fields f = fields_of(in);
	p->kind = (enum store_projection_kind)take_u8(&f);
	p->old_new = take_u8(&f) != 0;
	p->message = take_u64(&f);
	p->mailbox = take_u32(&f);
	p->old_system = take_u32(&f);
	p->file_size = take_u64(&f);
	p->file_mtime_ns = (int64_t)take_u64(&f);
	struct slice base = take_text(&f), tmp = take_text(&f);
	buf_clear(&p->base);
	buf_clear(&p->tmp);
	buf_add_slice(&p->base, base);
	buf_add_slice(&p->tmp, tmp);
	return !f.bad;
}
