/* Flags and keywords, header fields, content hashes: what a message is, apart from where it lies.
 * The header is read by libetpan's mailimf_* (design: decisions), capped and guarded here. */
#ifndef MAIL_MAIL_H
#define MAIL_MAIL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/slice.h"

/* System flags (RFC 9051 2.3.2). \Recent is never kept (R4). */
enum mail_flag {
	MAIL_SEEN = 1,
	MAIL_ANSWERED = 2,
	MAIL_FLAGGED = 4,
	MAIL_DELETED = 8,
	MAIL_DRAFT = 16,
	MAIL_FORWARDED = 32, /* the keyword $Forwarded, which has a Maildir letter (P) */
};

/* Flags of one message. Keywords are names without a leading backslash, in ascending order by
 * strcasecmp, without doubles; compared without case, kept as first seen. Bounded: at most
 * MAIL_KEYWORDS_MAX, what is beyond is not kept. */
#define MAIL_KEYWORDS_MAX 256
struct mail_flags {
	uint32_t system; /* of enum mail_flag */
	char **keywords; /* owned */
	size_t count;
};

void mail_flags_init(struct mail_flags *f);
void mail_flags_release(struct mail_flags *f);
void mail_flags_clear(struct mail_flags *f);
void mail_flags_copy(struct mail_flags *to, const struct mail_flags *from);
bool mail_flags_equal(const struct mail_flags *a, const struct mail_flags *b);
/* One flag as it stands on the wire: "\Seen", "$Label1", "\Recent" (dropped), "\Unknown" (kept as a
 * keyword with its backslash). Returns false where it was not kept. */
bool mail_flags_add(struct mail_flags *f, struct slice name);
bool mail_flags_remove(struct mail_flags *f, struct slice name);
bool mail_flags_has(const struct mail_flags *f, struct slice name);
/* "\Answered \Seen $Label1": in the order of their enum, then keywords. */
void mail_flags_print(const struct mail_flags *f, struct buf *out);
/* Splits at spaces what mail_flags_print wrote; lenient. */
void mail_flags_parse(struct mail_flags *f, struct slice text);

/* Maildir letters "DFPRST", ascending (maildir(5)); *out holds at least 7 bytes. \Deleted is T. */
void mail_flags_letters(uint32_t system, char out[8]);
/* Unknown letters are left out of `system` and, if `others` is not NULL, gathered there (at most 31,
 * NUL-terminated): Dovecot's a-z are keywords by number. */
uint32_t mail_flags_from_letters(struct slice letters, char others[32]);

/* INTERNALDATE (RFC 9051 date-time) "17-Jul-1996 02:44:25 -0700", day possibly " 7".
 * Seconds since 1970 in UTC; false where it is none. */
bool mail_date_parse(struct slice text, int64_t *seconds);
/* The same in the zone given in minutes east of UTC; *out holds at least 27 bytes. */
void mail_date_print(int64_t seconds, int zone_min, char out[32]);

/* SHA-256, streamed. */
#define MAIL_HASH_SIZE 32
struct mail_hash;
struct mail_hash *mail_hash_new(void);
void mail_hash_add(struct mail_hash *h, const void *data, size_t len);
/* Ends it and starts anew. */
void mail_hash_take(struct mail_hash *h, uint8_t out[MAIL_HASH_SIZE]);
void mail_hash_free(struct mail_hash *h);
void mail_hash_hex(const uint8_t hash[MAIL_HASH_SIZE], char out[65]);

/* Line ends between the server's form (CRLF) and the file's (LF), streamed. */
struct mail_lines {
	bool pending_cr; /* a CR ended the last piece */
	bool after_cr;   /* the last octet that went out was a CR */
	bool lossy;      /* to the file: the way back does not lead here (a bare LF, CR CR LF) */
};
/* CRLF becomes LF; a bare CR and a bare LF stay as they are. Adds to *out (no ceiling expected);
 * with `last` a pending CR goes out. */
void mail_lines_to_file(struct mail_lines *state, struct slice in, bool last, struct buf *out);
/* Each LF that no CR precedes becomes CRLF. The inverse of the above unless `lossy` was set there:
 * then the record carries the file form's hash too (design: identity). */
void mail_lines_to_wire(struct mail_lines *state, struct slice in, struct buf *out);

/* Fields of a header. `header` is the beginning of a message, either form of line ends; what is
 * beyond 64 KB is not looked at, and a field is cut at 8 KB. */
struct mail_header {
	char *message_id; /* without brackets, NULL where there is none or more than one */
	int64_t date;     /* of the Date field; INT64_MIN where there is none */
};
void mail_header_parse(struct slice header, struct mail_header *out);
void mail_header_release(struct mail_header *h);

/* Mailbox names in modified UTF-7 (RFC 3501 5.1.3; RFC 9051 appendix A). Each adds to *out, or
 * returns false with *out unchanged where the name is none or *out has reached its ceiling. */
/* From UTF-8; false where it is invalid, or holds NUL. */
bool mail_utf7_encode(struct slice utf8, struct buf *out);
/* To UTF-8; false for NUL (raw or encoded), octets over 127, a run that never ends or holds something
 * else than base 64, a lone surrogate, left-over bits of a whole digit. Taken, with *canonical (may
 * be NULL) false: what mail_utf7_encode would have written otherwise, as printable ASCII in base 64,
 * two runs side by side, raw control characters. Such a name must be sent as it came, and may equal
 * another one. */
bool mail_utf7_decode(struct slice utf7, struct buf *out, bool *canonical);
/* The length of the well-formed UTF-8 character at the beginning, 1 to 4; 0 where there is none. */
size_t mail_utf8_next(struct slice in, uint32_t *rune);

#endif
