/* An IMAP connection from the greeting to LOGOUT (RFC 9051, RFC 3501): it frames and reads
 * responses, builds commands, and sends them pipelined. It knows what may fly together; it does not
 * know what for. Decisions belong to `sync`. */
#ifndef IMAP_IMAP_H
#define IMAP_IMAP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/sink.h"
#include "base/slice.h"
#include "base/uids.h"
#include "io/io.h"
#include "mail/mail.h"

/* Responses. All slices and arrays point into the connection's memory and are valid only during
 * the callback that brings them. Numbers that do not fit (UIDs 32 bits, mod-sequences 63, UIDVALIDITY kept in 64: Q78)
 * make the item count as absent, not as another number. What is not known is skipped (C8). */

enum imap_kind {
	IMAP_OTHER,      /* unknown: skipped by everybody */
	IMAP_COND,       /* OK, NO, BAD, BYE, PREAUTH; tagged or not */
	IMAP_CONTINUE,   /* "+" */
	IMAP_CAPABILITY, /* taken by the connection itself */
	IMAP_ENABLED,    /* the same */
	IMAP_LIST,       /* LIST, LSUB, XLIST */
	IMAP_STATUS,
	IMAP_FLAGS,
	IMAP_SEARCH,
	IMAP_ESEARCH,
	IMAP_EXISTS,
	IMAP_EXPUNGE,
	IMAP_VANISHED,
	IMAP_FETCH,
};

enum imap_cond { IMAP_OK, IMAP_NO, IMAP_BAD, IMAP_BYE, IMAP_PREAUTH };

enum imap_code {
	IMAP_CODE_NONE, IMAP_CODE_OTHER,
	IMAP_ALERT, IMAP_ALREADYEXISTS, IMAP_APPENDUID, IMAP_AUTHENTICATIONFAILED,
	IMAP_AUTHORIZATIONFAILED, IMAP_CANNOT, IMAP_CLOSED, IMAP_COMPRESSIONACTIVE,
	IMAP_CODE_CAPABILITY, IMAP_CONTACTADMIN, IMAP_COPYUID, IMAP_EXPIRED, IMAP_EXPUNGEISSUED,
	IMAP_HASCHILDREN, IMAP_HIGHESTMODSEQ,
	IMAP_INUSE, IMAP_LIMIT, IMAP_MAILBOXID, IMAP_MODIFIED, IMAP_NOMODSEQ, IMAP_NONEXISTENT,
	IMAP_NOPERM, IMAP_OVERQUOTA, IMAP_PERMANENTFLAGS, IMAP_PRIVACYREQUIRED, IMAP_READONLY,
	IMAP_READWRITE, IMAP_SERVERBUG, IMAP_THROTTLED, IMAP_TOOBIG, IMAP_TRYCREATE, IMAP_UIDNEXT,
	IMAP_UIDNOTSTICKY, IMAP_UIDVALIDITY, IMAP_UNAVAILABLE, IMAP_UNKNOWN_CTE, IMAP_UNSEEN,
};

struct imap_flags {
	uint32_t system;              /* enum mail_flag */
	const struct slice *keywords; /* as on the wire, \Recent left out */
	size_t count;
	bool any; /* PERMANENTFLAGS: "\*" */
};

/* Attributes of LIST. */
enum imap_attr {
	IMAP_NOSELECT = 1, IMAP_NONEXISTENT_ATTR = 2, IMAP_NOINFERIORS = 4, IMAP_SUBSCRIBED = 8,
	IMAP_ALL = 16, IMAP_ARCHIVE = 32, IMAP_DRAFTS = 64, IMAP_FLAGGED_ATTR = 128, IMAP_JUNK = 256,
	IMAP_SENT = 512, IMAP_TRASH = 1024,
};

/* Which items of a FETCH or STATUS response stand in it. */
enum imap_item {
	IMAP_HAS_UID = 1, IMAP_HAS_FLAGS = 2, IMAP_HAS_MODSEQ = 4, IMAP_HAS_DATE = 8, IMAP_HAS_SIZE = 16,
	IMAP_HAS_BODY = 32,     /* BODY[]: a string that came, in memory or through a sink */
	IMAP_HAS_BODY_NIL = 64, /* BODY[] NIL */
	IMAP_HAS_EMAILID = 128,
	IMAP_HAS_MESSAGES = 256, IMAP_HAS_UIDNEXT = 512, IMAP_HAS_UIDVALIDITY = 1024,
	IMAP_HAS_HIGHESTMODSEQ = 2048,
	IMAP_HAS_SECTIONS = 4096, IMAP_HAS_BODYSTRUCTURE = 8192, IMAP_HAS_MAILBOXID = 16384,
};

/* A part of a body: "HEADER.FIELDS (MESSAGE-ID)", "1.MIME", "1.2". */
struct imap_section {
	/* What stood between the brackets, as the server wrote it: servers change case, add quotes and
	 * spaces. Without the space around it, and without the origin of a partial fetch. Empty:
	 * BODY[]<n>, which never counts as BODY[]. */
	struct slice spec;
	struct slice data; /* of a literal at most 1 MB; one that is longer ends the connection: ask for <0.n> */
	bool nil;
};

struct imap_resp {
	enum imap_kind kind;
	bool tagged;
	struct {
		enum imap_cond cond;
		/* TRYCREATE, OVERQUOTA, LIMIT, INUSE, UNAVAILABLE: also from anywhere in the text of what is not OK;
		 * THROTTLED in an OK, too. Where no code stands in front or, in a NO, one that we do not know (imap4d: "NO APPEND [TRYCREATE] failed"). */
		enum imap_code code;
		struct slice code_name, code_text; /* "UIDNEXT", "4392"; MAILBOXID: the id alone */
		uint64_t code_number;              /* UIDNEXT, UIDVALIDITY, HIGHESTMODSEQ, UNSEEN; else 0 */
		struct imap_flags flags;           /* PERMANENTFLAGS */
		bool guessed; /* a NO that was made of a BYE, or of a BAD without tag: see imap_cmd_new */
		bool throttled; /* [THROTTLED]: the code, or at the end of the text behind another one (Q1) */
		struct slice text; /* for people, without the code; IMAP_CONTINUE: what follows "+";
		                    * IMAP_CAPABILITY, IMAP_ENABLED: the words */
	} cond;
	struct {
		bool lsub;
		uint32_t attrs;
		char delimiter; /* 0: NIL */
		struct slice name; /* wire form; INBOX in any case is given as "INBOX" */
	} list;
	struct {
		struct slice name; /* wire form */
		uint32_t items;
		uint32_t messages, uidnext; /* uidnext 0 (Q67) counts as absent */
		uint64_t uidvalidity, highestmodseq;
		struct slice mailboxid; /* RFC 8474, without its parentheses */
	} status;
	struct imap_flags flags; /* FLAGS */
	struct {
		const struct uids *uids; /* the answer as a set (Q85); ESEARCH: ALL, where uid */
		bool uid;                /* ESEARCH: the UID indicator stood there */
		struct slice tag;        /* ESEARCH: of the command, empty if not told */
		uint64_t count;          /* ESEARCH COUNT */
		bool has_count;
		uint64_t modseq; /* (MODSEQ n), 0 if none */
	} search;
	uint32_t number; /* EXISTS, EXPUNGE, and the message number of FETCH */
	struct {
		const struct uids *uids;
		bool earlier;
	} vanished;
	struct {
		uint32_t items;
		uint32_t uid;
		struct imap_flags flags;
		uint64_t modseq;
		int64_t date; /* INTERNALDATE, seconds */
		uint64_t size; /* RFC822.SIZE */
		uint64_t body_size;   /* octets of BODY[] that came */
		struct slice body;    /* where it was short, or quoted, and no sink was wanted */
		struct slice emailid; /* RFC 8474; where there is none, X-GM-MSGID in decimal (Q15) */
		const struct imap_section *sections; /* in the order in which they came; at most 64 */
		size_t section_count;
		/* BODYSTRUCTURE from its opening to its closing parenthesis, as on the wire; a literal is
		 * "{3}", CRLF, and its octets */
		struct slice bodystructure;
	} fetch;
};

/* What the codes of changes tell (RFC 4315, RFC 9051 7.1), of a tagged or an untagged response:
 * false, and the outputs untouched, where it has no such code or one that cannot be used. */

/* In the order in which they were written; a range ascends whichever way it is written (R6, Q10).
 * At most 200,000 in one list; no 0, no "*". The caller's, to be released. */
struct imap_uid_list {
	uint32_t *uids;
	size_t count; /* at least 1 after success */
};
void imap_uid_list_release(struct imap_uid_list *list);
/* As many UIDs as messages were appended, if the server is right: the caller counts. */
bool imap_appenduid(const struct imap_resp *r, uint64_t *uidvalidity, struct imap_uid_list *uids);
/* The n-th of `from` has become the n-th of `to`. As many of either, none twice in `from`. */
bool imap_copyuid(const struct imap_resp *r, uint64_t *uidvalidity, struct imap_uid_list *from,
	struct imap_uid_list *to);
/* MODIFIED, in OK or NO (R15). *set becomes the messages that were not changed. */
bool imap_modified(const struct imap_resp *r, struct uids *set);

/* Mailbox names on the wire. `utf8` as imap_utf8 says of the connection. */

/* The decoded UTF-8 name. False where the wire form is not what encoding would give back
 * (imap4d takes anything): the caller then keeps the wire form as the name. NUL never passes. */
bool imap_name_decode(struct slice wire, bool utf8, struct buf *name);
void imap_name_encode(struct slice name, bool utf8, struct buf *wire);

/* Connections */

/* Capabilities that change what we send. */
enum imap_cap {
	IMAP_CAP_APPENDLIMIT, IMAP_CAP_BINARY, IMAP_CAP_COMPRESS_DEFLATE, IMAP_CAP_CONDSTORE,
	IMAP_CAP_ENABLE, IMAP_CAP_ESEARCH, IMAP_CAP_ID, IMAP_CAP_IDLE, IMAP_CAP_IMAP4REV1,
	IMAP_CAP_IMAP4REV2, IMAP_CAP_LIST_EXTENDED, IMAP_CAP_LIST_STATUS, IMAP_CAP_LITERAL_MINUS,
	IMAP_CAP_LITERAL_PLUS, IMAP_CAP_LOGINDISABLED, IMAP_CAP_MOVE, IMAP_CAP_MULTIAPPEND,
	IMAP_CAP_NAMESPACE, IMAP_CAP_NOTIFY, IMAP_CAP_OBJECTID, IMAP_CAP_QRESYNC, IMAP_CAP_SASL_IR,
	IMAP_CAP_SPECIAL_USE, IMAP_CAP_STARTTLS, IMAP_CAP_STATUS_SIZE, IMAP_CAP_UIDPLUS,
	IMAP_CAP_UNSELECT, IMAP_CAP_UTF8_ACCEPT, IMAP_CAP_X_GM_EXT_1, IMAP_CAP_COUNT,
};

struct imap;

struct imap_options {
	struct io_target target;
	bool starttls;
	bool allow_cleartext; /* else a login needs TLS or a loopback peer (C2) */
	const char *user;
	const char *auth;     /* "auto", or one mechanism */
	const char *prefer;   /* with "auto": what imap_fell_back_to told before is tried first; or NULL */
	bool secret_is_token; /* OAUTHBEARER, XOAUTH2 */
	enum { IMAP_COMPRESS_NO, IMAP_COMPRESS_YES, IMAP_COMPRESS_AUTO } compress;
	bool pipeline_mailboxes; /* false: this server did not send [CLOSED] once (see on_closed) */
	/* Capabilities that count as not offered, in any case: "QRESYNC", "AUTH=PLAIN" (Q55, Q60). Without
	 * CONDSTORE there is no QRESYNC; without IMAP4rev2 nothing that only it holds. */
	const char *const *avoid;
	size_t avoid_count;
	unsigned max_commands; /* in flight; 0: 400 (Q31) */
	bool send_id;          /* name ourselves by ID where it is offered, before any command of the caller (Q82) */
	double timeout_s;        /* of a quiet wait */
	const char *name;        /* for the log: "work#1" */
};

/* The selected mailbox is told by the owner's pointer that came with the SELECT. */
struct imap_events {
	/* The login needs the secret: imap_give_secret, now or later. Asked once a connection. */
	void (*on_secret)(void *arg);
	/* Logged in; capabilities are known; ENABLE and ID were sent ahead of whatever the caller sends now. */
	void (*on_ready)(void *arg);
	/* An untagged response. `box` is the mailbox whose it is (messages, and the codes of a SELECT),
	 * or NULL (LIST, STATUS, and what cannot be attributed). What comes for a mailbox whose commands are all
	 * answered while another SELECT is in flight is not passed on at all: nobody could prove whose it is.
	 * "* OK [COPYUID ...]", which is how MOVE tells it (RFC 6851), always comes, with the mailbox
	 * whose IMAP_CMD_CHANGE are in flight; NULL where none are. Other codes of an untagged OK,
	 * MODIFIED too, come with NULL. */
	void (*on_untagged)(void *arg, void *box, const struct imap_resp *resp);
	/* A BODY[] literal begins, of the mailbox `box`, before its FETCH response is known: where should it go? `uid` is 0 where
	 * the server did not name it yet. NULL: thrown away. The response follows the sink's end. */
	struct sink *(*on_body)(void *arg, void *box, uint32_t uid, uint64_t size);
	/* [ALERT]: text for the user (C8). */
	void (*on_alert)(void *arg, struct slice text);
	/* There is room for more commands (imap_room was used up), or all is answered, ENABLE and ID too,
	 * of which the owner hears nothing else. From the top of the loop. */
	void (*on_room)(void *arg);
	/* The end, once: err->cls ERR_NONE after imap_logout, else why, one sentence with what to do.
	 * No callback of any command comes after it (C10); the owner calls imap_free. *no_closed = the server
	 * answered a pipelined SELECT without [CLOSED]: connect again with pipeline_mailboxes = false. */
	void (*on_closed)(void *arg, const struct err *err, bool no_closed);
};

/* Connects and logs in (C1 to C4, C10): greeting, STARTTLS where asked, authentication (the
 * strongest mechanism offered and allowed, SASL-IR; another one only as C3 says), capabilities,
 * ENABLE (in flight with what follows), COMPRESS. Never fails at once. */
struct imap *imap_new(struct io *io, const struct imap_options *options,
	const struct imap_events *events, void *arg);
void imap_free(struct imap *c);
/* Copied, used, wiped. */
void imap_give_secret(struct imap *c, struct slice secret);

/* Offered, and not to be avoided. */
bool imap_has(const struct imap *c, enum imap_cap cap);
/* APPENDLIMIT=n (RFC 7889), in octets; 0: none told (each mailbox may have its own). */
uint64_t imap_append_limit(const struct imap *c);
/* All capabilities as the server wrote them, those to be avoided too. */
struct slice imap_capabilities(const struct imap *c);
/* QRESYNC was asked for by ENABLE in this session and not yet refused: it may be used in the same
 * flight (C4). If ENABLED then does not name it, the tagged answers of commands that used its
 * parameters are BAD, and imap_qresync says false from then on. */
bool imap_qresync(const struct imap *c);
/* ENABLE UTF8=ACCEPT was confirmed before on_ready: names are UTF-8 on the wire. (Only where it is
 * offered does ENABLE cost its own round trip.) */
bool imap_utf8(const struct imap *c);
/* Mechanism, TLS, compression, for `probe`: "SCRAM-SHA-256-PLUS", "TLSv1.3 ...", deflated. */
const char *imap_mechanism(const struct imap *c);
/* The server refused what it had offered first and took this mechanism: worth remembering (C3). NULL: it did not. */
const char *imap_fell_back_to(const struct imap *c);
struct io_stream *imap_stream(struct imap *c);

/* Commands */

enum imap_cmd_kind {
	IMAP_CMD_PLAIN,  /* needs no mailbox: LIST, STATUS, NOOP */
	IMAP_CMD_SELECT, /* SELECT or EXAMINE; `box` is its owner */
	IMAP_CMD_READ,   /* reads in the mailbox of the last SELECT that was handed over; flies behind it */
	IMAP_CMD_SEARCH, /* the same for a plain SEARCH: one in flight at a time (C6) */
	/* STORE, COPY, MOVE, EXPUNGE there. To hand one over before that SELECT was answered is a broken
	 * invariant (C6); where it was not answered OK, or the server took the mailbox away since, it is
	 * answered NO and never sent. The answer to one that was sent is the server's own. The next SELECT
	 * may fly behind it as behind reads. */
	IMAP_CMD_CHANGE,
};

struct imap_cmd;
/* done: the tagged answer; not called where the connection ends first. It ends right after the
 * answer where that is a refusal which came while the octets of a literal were on their way. Where an
 * upload (imap_cmd_add_file) is the only command with literals in flight, and the server says BYE, or
 * BAD without a tag, that code and text are given as a NO (cond.guessed), and the end follows (R5,
 * Q88): the upload may have been taken all the same. With several nobody is told; the owner counts
 * attempts. */
struct imap_cmd *imap_cmd_new(enum imap_cmd_kind kind,
	void (*done)(void *arg, const struct imap_resp *tagged), void *arg);
void imap_cmd_free(struct imap_cmd *cmd); /* one that was not sent */
/* Text as it goes on the wire, without tag and line end; no user or server data here. */
void imap_cmd_add(struct imap_cmd *cmd, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
void imap_cmd_add_slice(struct imap_cmd *cmd, struct slice text);
/* UTF-8 may stand between quotes in what is added from now on (RFC 6855 section 3): as imap_utf8 says
 * of the connection that the command is for. At first false: it goes as a literal. */
void imap_cmd_utf8(struct imap_cmd *cmd, bool utf8);
/* A string or mailbox name in its shortest safe form: atom where `atom_ok`, quoted, literal. */
void imap_cmd_add_string(struct imap_cmd *cmd, struct slice s, bool atom_ok);
/* A literal of `size` octets that are read from the file while they are sent; with `utf8` as
 * `UTF8 (~{n}` octets `)` (RFC 6855). The file is opened when they are due, one at a time, and at most
 * 64 KB of it are in memory. If it cannot be opened or is shorter by then, the connection ends
 * (ERR_RETRY, its name in the text): nothing else can complete a literal. The time limit of a quiet
 * wait does not run while the server takes octets. */
void imap_cmd_add_file(struct imap_cmd *cmd, const char *path, uint64_t size, bool utf8);
/* All its literals wait for "+". Else those of at most 1 MB do not where LITERAL+ is offered, nor
 * those of at most 4,096 octets with LITERAL- (R5). */
void imap_cmd_sync_literals(struct imap_cmd *cmd);
/* How many octets the line has so far (C6: at most 8,000). */
size_t imap_cmd_len(const struct imap_cmd *cmd);

/* Hands a command over; it is sent as soon as the rules allow (C6): literals wait for their
 * continuation or use LITERAL+/-; one plain SEARCH at a time; a SELECT waits for the answers of all before it
 * unless the server sends [CLOSED] (QRESYNC enabled, or IMAP4rev2 enabled) and pipeline_mailboxes holds. `box`: the owner, for
 * IMAP_CMD_SELECT only. `expect` is the number of octets that the answer will bring, as far as known (bodies), else 0. */
void imap_send(struct imap *c, struct imap_cmd *cmd, void *box, uint64_t expect);
/* May more be handed over? At most 400 commands (or options.max_commands) and 32 MB expected are in
 * flight or waiting; one is always allowed. What is handed over beyond that waits; more than
 * max_commands are never in flight. */
bool imap_room(const struct imap *c);
bool imap_idle(const struct imap *c); /* nothing in flight or waiting */
/* For a server that asks to slow down (Q1): with `hold` nothing that waits is sent; from now on at most
 * `max_commands` are in flight, 0: as the options say. */
void imap_slow(struct imap *c, bool hold, unsigned max_commands);
/* The owner of the last SELECT that was handed over and did not fail; NULL after none. */
void *imap_last_box(const struct imap *c);
/* SELECTs may fly behind commands of another mailbox. */
bool imap_pipelines_mailboxes(const struct imap *c);

/* Sends LOGOUT once all is answered and closes after BYE, or after 3 s (Q37); on_closed follows. */
void imap_logout(struct imap *c);
/* Octets and round trips so far, for progress and `probe`. */
struct imap_counts {
	uint64_t received, sent;
	unsigned commands;
};
struct imap_counts imap_counts(const struct imap *c);

#endif
