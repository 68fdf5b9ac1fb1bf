/* How the records are written and read, octet by octet: what record.c and record_action.c share. */
#ifndef STORE_RECORD_H
#define STORE_RECORD_H

#include "store/store_private.h"

/* Writing: the caller reserves what the record can need at most. */
static inline uint8_t *record_begin(struct store *s, size_t size_max)
{
	buf_clear(&s->scratch);
	uint8_t *p = (uint8_t *)buf_reserve(&s->scratch, size_max);
	*p = STORE_RECORD_VERSION;
	return p + 1;
}

static inline struct slice record_end(struct store *s, const uint8_t *end)
{
	buf_added(&s->scratch, (size_t)((const char *)end - s->scratch.data));
	return buf_slice(&s->scratch);
}

static inline size_t text_size(const char *text)
{
	return 2 + (text != NULL ? strlen(text) : 0);
}

static inline uint8_t *put_octets(uint8_t *p, const void *data, size_t len)
{
	if (len > 0)
		memcpy(p, data, len);
	return p + len;
}

static inline uint8_t *put_text(uint8_t *p, const void *text, size_t len)
{
	INVARIANT(len <= UINT16_MAX);
	return put_octets(store_put_u16(p, (uint32_t)len), text, len);
}

static inline uint8_t *put_str(uint8_t *p, const char *text)
{
	return put_text(p, text, text != NULL ? strlen(text) : 0);
}

/* Reading: after the end everything is 0 and `bad` is set, so that one look at the end is enough. */
struct fields {
	const uint8_t *at;
	size_t left;
	bool bad;
};

static inline const uint8_t *take_octets(struct fields *f, size_t len)
{
	static const uint8_t zeros[MAIL_HASH_SIZE];
	if (f->left < len) {
		f->bad = true;
		f->left = 0;
		return zeros;
	}
	const uint8_t *at = f->at;
	f->at += len;
	f->left -= len;
	return at;
}

static inline uint32_t take_u8(struct fields *f)
{
	return *take_octets(f, 1);
}

static inline uint32_t take_u16(struct fields *f)
{
	return store_take_u16(take_octets(f, 2));
}

static inline uint32_t take_u32(struct fields *f)
{
	return store_take_u32(take_octets(f, 4));
}

static inline uint64_t take_u64(struct fields *f)
{
	return store_take_u64(take_octets(f, 8));
}

static inline struct slice take_text(struct fields *f)
{
	size_t len = take_u16(f);
	if (len > f->left) {
		f->bad = true;
		len = 0;
	}
	return (struct slice){ (const char *)take_octets(f, len), len };
}

static inline struct fields fields_of(struct slice in)
{
	struct fields f = { (const uint8_t *)in.data, in.len, false };
	if (take_u8(&f) != STORE_RECORD_VERSION)
		f.bad = true;
	return f;
}

/* record.c: flags, with their keywords as numbers. */
size_t store_flags_size(const struct mail_flags *flags);
/* store_flags_put uses no scratch while it looks a number up, but a new keyword is put; so the
 * numbers are made sure of with this before the record is begun. */
void store_flags_number(struct store *s, const struct mail_flags *flags);
uint8_t *store_flags_put(struct store *s, uint8_t *p, const struct mail_flags *flags);
/* *flags is empty. */
bool store_flags_take(struct store *s, struct fields *f, struct mail_flags *flags);

#endif
