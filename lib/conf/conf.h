/* The configuration file (mailtide.conf(5)) as plain structs, and where secrets come from. Read
 * with libconfuse; every mistake is one sentence with the true file and line. */
#ifndef CONF_CONF_H
#define CONF_CONF_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"

enum conf_tls { CONF_TLS_IMPLICIT, CONF_TLS_STARTTLS, CONF_TLS_NONE };
enum conf_layout { CONF_NESTED, CONF_MAILDIR_PLUS };
enum conf_auto { CONF_AUTO, CONF_YES, CONF_NO };

/* Which bodies are wanted (S9); all that is set must hold. */
struct conf_bodies {
	bool none;
	int64_t newer_s;       /* 0: any age */
	uint64_t smaller;      /* octets; 0: any size */
	bool flagged, unseen;
};

/* What becomes of a message over max-size. */
enum conf_large {
	CONF_STAND_IN,  /* its header, its text, and a line that says how to get the rest */
	CONF_LEAVE_OUT, /* its descriptor only; no file */
};

/* What replaying the queue does where the mailbox that an action goes to is missing (R12). */
enum conf_on_missing { CONF_MISSING_CREATE, CONF_MISSING_SKIP, CONF_MISSING_ABORT, CONF_MISSING_USE };
/* The same for a message that is gone from its mailbox; UPLOAD appends the body that we hold. */
enum conf_on_gone { CONF_GONE_SKIP, CONF_GONE_ABORT, CONF_GONE_UPLOAD };
/* What becomes of a message that the user deleted (M7). */
enum conf_on_deleted { CONF_DELETED_EXPUNGE, CONF_DELETED_FLAG, CONF_DELETED_MOVE };

/* The modes of S11, each a word for some of the rules below. */
enum conf_mode {
	CONF_NORMAL,      /* what the keys say */
	CONF_DESCRIPTORS, /* no bodies */
	CONF_NEW,         /* old messages are not looked at */
	CONF_BLIND,       /* a new message's body comes with its descriptor */
};

/* What can be said for each mailbox; the account's values are the defaults. */
struct conf_mailbox_rules {
	struct conf_bodies bodies;
	/* the bodies of new messages are asked for at once, whatever `bodies` says of the others;
	 * max_size guards this, too */
	bool bodies_at_once;
	uint64_t max_size;     /* octets; 0: no limit */
	enum conf_large large; /* what is over it */
	bool old_skip;         /* new messages only */
	bool drop_aged;        /* on-aged: what is too old for bodies.newer_s by now is let go of */
};

/* One `mailbox "PATTERN" { ... }`: only the keys that stand there. */
struct conf_section {
	char *pattern;
	bool has_bodies, has_max_size, has_large, has_old, has_on_aged, has_mode;
	struct conf_mailbox_rules rules; /* what its keys say; the mode is not in it */
	enum conf_mode mode;
};

struct conf_profile {
	char *name;
	struct conf_section own;      /* pattern "*" */
	struct conf_section *sections;
	size_t section_count;
};

enum conf_secret_kind {
	CONF_SECRET_NONE,       /* EXTERNAL, or asked for on the terminal */
	CONF_SECRET_COMMAND,    /* password-command */
	CONF_SECRET_FILE,       /* password-file */
	CONF_SECRET_CREDENTIAL, /* password-credential: $CREDENTIALS_DIRECTORY/NAME */
	CONF_SECRET_TOKEN,      /* token-command */
	CONF_SECRET_TEXT,       /* password = "..." (the file must be closed to others) */
};

/* The mailboxes with a task, by their decoded names. NULL, or a name that the server does not have
 * (a provider's settings know the English ones only): the one that SPECIAL-USE tells. */
struct conf_roles {
	char *trash, *sent, *drafts, *archive, *junk;
};

struct conf_account {
	char *name;
	char *provider; /* whose settings are in it; NULL: nobody's */
	char *host;
	uint16_t port;
	enum conf_tls tls;
	bool allow_cleartext;
	char *ca_file, *pin, *cert_file, *key_file; /* NULL where not given; the key may be in cert_file */
	char *user; /* "" where auth is EXTERNAL and none was given */
	enum conf_secret_kind secret_kind;
	char *secret;            /* the command, the path, the credential's name, or the text */
	double secret_timeout_s; /* password-timeout, 60 */
	char *auth;              /* "auto" or a mechanism's name */
	char *maildir;           /* expanded */
	enum conf_layout layout;
	char **mailboxes;        /* LIST patterns, "!" takes away */
	size_t mailbox_count;
	unsigned connections;    /* 1 or more */
	enum conf_auto compress;
	bool subscribed_only;
	bool create_new;         /* on-new-mailbox: create | skip */
	bool remove_gone;        /* on-removed-mailbox: keep | remove */
	char **avoid;            /* capabilities not to be used though offered (Q55), upper case */
	size_t avoid_count;
	unsigned max_commands;   /* commands in flight, 400 (Q31) */
	unsigned max_set_uids;   /* UIDs that one command may ask for; 0: any number (Q47) */
	unsigned max_line_bytes; /* of a command without its literals, CRLF counted, 8000 (Q21) */
	uint64_t max_rate_bytes_s; /* down, all connections together; 0: no limit (Q2) */
	bool match_bodies;       /* take a body from the store by Message-ID, date, size (S12), yes */
	bool send_id;            /* the ID command (Q82), no */
	struct conf_roles roles;
	enum conf_on_missing on_missing_mailbox; /* create */
	char *missing_use;         /* CONF_MISSING_USE: the mailbox's decoded name; else NULL */
	bool missing_source_abort; /* on-missing-source: skip | abort, skip */
	enum conf_on_gone on_message_gone; /* skip */
	enum conf_on_deleted on_deleted;   /* expunge */
	/* CONF_DELETED_MOVE: the mailbox's decoded name, or exactly "\\Trash", "\\Archive" or "\\Junk":
	 * the account's mailbox with that task, see struct conf_roles; else NULL */
	char *deleted_to;
	bool expunge_emulation;  /* the five steps of R7 where there is no UIDPLUS, yes */
	bool conflict_server;    /* on-flag-conflict: the server's newer change wins (R15), no */
	double look_again_s;     /* between two looks for an upload that may yet appear (R10), 3 */
	char *state;             /* expanded */
	double timeout_s;        /* quiet waits on the network, 60 */
	struct conf_section own; /* pattern "*"; ask conf_rules what holds */
	struct conf_section *sections;
	size_t section_count;
	struct conf_profile *profiles;
	size_t profile_count;
};

struct conf {
	struct conf_account *accounts;
	size_t account_count;
};

/* Reads `path` (with its includes, and the settings of the providers that it names). On success the caller has conf_free. Checks everything that
 * can be checked without the network: unknown and doubled keys, values, ranges, no host, two
 * accounts that share a maildir or a state, clear text to a host that is not loopback, a file with
 * a secret in it that others may read, a key whose support this version does not have yet. All
 * errors are ERR_USER. Not for two threads at once: libconfuse's lexer is one for the process. */
struct conf *conf_read(const char *path, struct err *err);
void conf_free(struct conf *conf);
/* $XDG_CONFIG_HOME/mailtide/mailtide.conf; the caller frees. */
char *conf_default_path(void);
const struct conf_account *conf_find(const struct conf *conf, const char *name);

/* What holds for one mailbox (decoded name): account, sections, then the profile's (may be NULL);
 * later ones win. In the patterns of sections "%" stops at "/". A mode starts from what the keys
 * say so far, without any mode before it; keys beside or after it win over it. */
struct conf_mailbox_rules conf_rules(const struct conf_account *account,
	const struct conf_profile *profile, const char *mailbox);
/* The same number for the same rules, in every run and on every machine; never 0. Other rules have
 * another one, so what was left out under the old ones is looked for again. (What "newer 30d"
 * chooses changes every day, its number does not.) */
uint64_t conf_rules_fingerprint(const struct conf_mailbox_rules *rules);
const struct conf_profile *conf_profile(const struct conf_account *account, const char *name);
/* Does `mailboxes` choose it? "*" matches everything, "%" all but the delimiter, case counts but in
 * INBOX, which is always chosen. The last pattern that matches decides. */
bool conf_chooses(const struct conf_account *account, const char *mailbox, char delimiter);
bool conf_pattern_matches(const char *pattern, const char *mailbox, char delimiter);

/* A secret from a file or a systemd credential; commands are run by `sync` (they wait). The file
 * must be closed to others (mode & 077 == 0; a credential of root's may show an ACL in the group's
 * bits) and owned by us or root. One final line end is cut off. The caller wipes *out. ERR_USER. */
int conf_secret_read(const struct conf_account *account, struct buf *out, struct err *err);

#endif
