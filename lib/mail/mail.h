/* Flags and keywords, header fields, content hashes, structure, stand-ins: what a message is, apart from
 * where it lies. Header and structure are read by libetpan (design: decisions), capped and guarded here. */
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
/* First what is added, then what is removed. */
void mail_flags_change(struct mail_flags *f, const struct mail_flags *add, const struct mail_flags *remove);
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

/* The fields of a header that speak of the body (Content-*), each line ended by CRLF, without the empty
 * line: what stands for BODY[1.MIME] where the message is its own only part. Adds to *out. */
void mail_header_mime(struct slice header, struct buf *out);

/* A leaf of a message's structure. Texts come from the message: they may hold anything but NUL. */
struct mail_part {
	char section[64];        /* "1", "1.2" as FETCH takes it; "1" where the message is one part */
	char *type, *subtype;    /* lower case; message/rfc822 is a leaf */
	char *charset;           /* lower case; NULL where none is told */
	char *encoding;          /* lower case; "7bit" where none is told */
	char *filename;          /* decoded to UTF-8 where that is possible; NULL where there is none */
	uint64_t size_bytes;     /* as encoded; 0 also where the server does not know, 2^32 - 1 also for more */
	bool attachment;         /* said to be one (RFC 2183), or has a name and says nothing */
	bool alternative;        /* somewhere below a multipart/alternative */
	unsigned group;          /* which one, the outermost, from 1; 0 for none. Its parts stand together */
};

/* Reads a BODYSTRUCTURE (RFC 9051 7.5.2) from its "(" to its ")", literals inside as they came on the
 * wire: the leaves in order, owned by the caller; a multipart may have none (then *parts is NULL). -1 for
 * what cannot be read, with the outputs untouched: servers send invalid ones (Q16), and more than 256 KB,
 * 64 levels, or a section of 64 characters is refused. Then only the header can be fetched. */
int mail_structure_parse(struct slice bodystructure, struct mail_part **parts, size_t *count);
void mail_parts_free(struct mail_part *parts, size_t count);

/* Chooses the texts to be shown, in order, at most `max`: text/plain; text/html outside alternatives, and
 * in one that has no text/plain (or an empty one); no attachments. One that does not fit in what is left of
 * max_octets is passed over. Returns how many indexes were written. The sizes are the server's word:
 * ask for no more than max_octets. */
size_t mail_parts_texts(const struct mail_part *parts, size_t count, uint64_t max_octets, size_t chosen[],
	size_t max);

/* Stand-ins: what lies in the Maildir for a message that is larger than the user wants. */
struct mail_standin_part {
	struct slice mime; /* BODY[n.MIME], or mail_header_mime for a message that is one part */
	struct slice data; /* BODY[n], kept octet for octet */
};
struct mail_standin {
	const char *account;
	uint64_t number;     /* local, as in "m4711" */
	uint64_t size_bytes; /* of the whole message */
	struct slice header; /* BODY[HEADER]; what is behind its empty line is not looked at */
	const struct mail_standin_part *parts; /* the chosen texts, in order */
	size_t part_count;
	const struct mail_part *missing; /* what the text names as left out; only borrowed */
	size_t missing_count;
};

/* Adds to *out (no ceiling expected) a whole message in CRLF form, the same for the same input: first
 *	X-Mailtide-Stand-In: mNUMBER SIZE
 * (the local number; the octets of the whole message), MIME-Version and a multipart/mixed Content-Type,
 * then the real header without its Content-*, MIME-Version, Lines and X-Mailtide-Stand-In, everything else
 * octet for octet (but CRLF for a bare LF, a space for a bare CR, '?' for NUL). The first part is
 * text/plain in UTF-8 and says what is missing and how to get it; each chosen text follows, with the
 * Content-* fields of its own. The boundary occurs nowhere in all this. */
void mail_standin_compose(const struct mail_standin *in, struct buf *out);

/* Whether a header (either form of line ends, or the beginning of a message) is a stand-in's. A stand-in
 * is never uploaded. Anybody can send mail with such a field: to be believed only where the number
 * is known and its body is not held. *number (may be NULL) is set only with true. */
bool mail_is_standin(struct slice header, uint64_t *number);

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
