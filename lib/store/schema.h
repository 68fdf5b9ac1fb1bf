/* The layout of a store, byte by byte: one LMDB environment, STATE/store, that holds the databases
 * below. Private to this folder.
 *
 * Numbers are unsigned and big-endian, so that LMDB's memcmp order is theirs; dates are the same in
 * two's complement. A record begins with a version octet, STORE_RECORD_VERSION; an index entry has none,
 * for it can be made again from the records. `text` at the end of a record runs to its end, else
 * `u16 length, octets` stands for one. Offsets are in octets.
 *
 * A change of any of this raises STORE_SCHEMA, which stands in "meta": a store with a higher one is
 * refused, one with a lower one is migrated when it is opened for writing. Schema 2 added the databases
 * from "here" on, which are empty after a migration, and in a store of schema 1 that is only read. */
#ifndef STORE_SCHEMA_H
#define STORE_SCHEMA_H

#include <stdint.h>
#include <string.h>

#include "base/slice.h"
#include "mail/mail.h"

#define STORE_SCHEMA 2
#define STORE_RECORD_VERSION 1

/* meta: what the store knows of itself. The keys are
 *   "schema"    u32 STORE_SCHEMA; stands in the first transaction, so a store without it is empty
 *   "id"        16 hex digits, made with the store
 *   "counters"  u8 version, u64 each: the last mailbox id, message, body, projection and keyword
 *               number given out; the body number up to which "hashes" is complete
 *   "actions"   u8 version, u64 each: how many actions are in each state, from WAITING to LOCAL; none:
 *               all 0
 *
 * facts: store_put. Key text, value: u8 version, octets.
 *
 * mailboxes: key u32 id. Value
 *    0 u8 version    1 u8 delimiter     2 u32 attrs      6 u32 state
 *   10 u64 uidvalidity                 18 u64 highestmodseq
 *   26 u32 uidnext  30 u32 messages    34 u32 lastseen  38 i64 synced
 *   46 u64 rules
 *   54 u16 length, name; u16 length, wire; u16 length, folder; u16 length, mailboxid (0: not told)
 *
 * names: key text (the decoded name), value u32 mailbox id. Where two mailboxes had one name the
 * last put owns the entry: so names may be swapped inside a transaction.
 *
 * counts: key u32 mailbox id. Value: u8 version, u64 each: messages, bodies, owed, owed octets, unseen,
 * messages with a UID, orphans and messages made here (which are in none of the others). Apart from the
 * mailbox because every transaction changes it.
 *
 * messages: key u64 number. Value
 *    0 u8 version    1 u8 bits: 1 there is a shown part, 2 shown flags = agreed flags, 4 base,
 *                      8 emailid, 16 message_id
 *    2 u16 state     4 u32 mailbox      8 u32 uid
 *   12 i64 date     20 u64 size        28 u64 body
 *   36 flags: u16 system, u16 count, count times u32 keyword number, in the order of the names
 *   then, with bit 8: u16 length, emailid
 *   then, with bit 16: message_id, 16 octets
 *   then, with bit 1:
 *      u32 shown mailbox, u64 device, u64 inode, u64 file size, i64 mtime in ns, u32 run
 *      flags, without bit 2
 *      base text, with bit 4
 *
 * uids: key u32 mailbox, u32 uid; value u64 message. Messages without a UID are not in it.
 *
 * bases: key text (the Maildir base name), value u64 message; the last put owns the entry.
 *
 * owed: key u32 mailbox, u32 uid; value u64 size. Messages with STORE_BODY_OWED and a UID.
 *
 * alike: key i64 date, u64 size, u64 message; value empty. Every message. The date stands first because
 * mail comes in nearly by date: a transaction of new messages changes few pages.
 *
 * emailids: key text (the emailid), u64 message; value empty. Messages with an emailid. As other text,
 * but behind 'h' from 256 octets on. That one emailid may be the beginning of another does no harm: the
 * first octet of a message's number is 0 and no emailid holds NUL, so the entries of one lie side by side.
 *
 * orphans: key u32 mailbox, u64 message; value empty. Messages with STORE_ORPHAN.
 *
 * keywords: key u32 number; value u8 version, text. Compared without case, kept as first seen.
 *
 * bodies: key u64 body. Value
 *    0 u8 version    1 u8 encoding      2 u8 bits: 1 the file form has a hash of its own
 *    3 u64 size     11 u64 references  19 hash, 32 octets  [51 file hash, 32 octets]
 *
 * hashes: key the first 8 octets of the hash, value u64 body; the last put owns the entry. Bodies with
 * a number above counters.indexed need not be in it (hash.c).
 *
 * pieces: key u64 body, u32 piece from 0; value octets, STORE_PIECE_SIZE in each but the last.
 *
 * unfinished: key u64 body, value empty: pieces that no body record stands for. Written with the
 * first flushed piece, struck off by the transaction that writes the body record; what is left when the
 * store is opened for writing belonged to a run that died, and is swept.
 *
 * dropped: key u64 body, value empty: pieces that are to be deleted, their record being gone.
 *
 * unused: key u64 body, value empty: bodies with 0 references, for store_bodies_sweep.
 *
 * projections: key u64 number. Value
 *    0 u8 version    1 u8 kind          2 u8 in new/     3 u64 message
 *   11 u32 mailbox  15 u32 system flags 19 u64 file size    27 i64 file's time in ns
 *   35 u16 length, base; u16 length, tmp name
 *
 * here: key u32 mailbox, u64 message; value empty. Messages with STORE_HERE.
 *
 * actions: key u64 number. Value
 *    0 u8 version    1 u8 state         2 u8 bits: 1 something is appended, 2 there is an intent
 *    3 u32 verb      7 u32 options     11 u32 attempts   15 u32 mailbox   19 u32 to
 *   23 u64 message  31 u64 blocked by
 *   39 flags to add, flags to remove, as in a message
 *   then, with bit 1: u64 size, i64 date, u16 length, text
 *   then, with bit 2: u64 uidvalidity, u32 uidnext, u32 step, i64 since, u32 looks,
 *                      u32 count, count times u32 first, u32 last
 *   reason text
 *
 * parts: key u64 action, u64 message. Value
 *    0 u8 version    1 u32 state        5 u32 uid         9 u64 uidvalidity
 *   17 u32 mailbox  21 u64 made
 *
 * pending: key u64 message, u64 action; value empty. Parts that have not FAILED. */
enum store_db {
	STORE_DB_META,
	STORE_DB_FACTS,
	STORE_DB_MAILBOXES,
	STORE_DB_NAMES,
	STORE_DB_COUNTS,
	STORE_DB_MESSAGES,
	STORE_DB_UIDS,
	STORE_DB_BASES,
	STORE_DB_OWED,
	STORE_DB_ALIKE,
	STORE_DB_EMAILIDS,
	STORE_DB_ORPHANS,
	STORE_DB_KEYWORDS,
	STORE_DB_BODIES,
	STORE_DB_HASHES,
	STORE_DB_PIECES,
	STORE_DB_UNFINISHED,
	STORE_DB_DROPPED,
	STORE_DB_UNUSED,
	STORE_DB_PROJECTIONS,
	STORE_DB_HERE,
	STORE_DB_ACTIONS,
	STORE_DB_PARTS,
	STORE_DB_PENDING,
	STORE_DBS,
	STORE_DBS_OF_SCHEMA_1 = STORE_DB_HERE,
};

#define STORE_DB_NAMES_INIT { "meta", "facts", "mailboxes", "names", "counts", "messages", "uids", \
	"bases", "owed", "alike", "emailids", "orphans", "keywords", "bodies", "hashes", "pieces", \
	"unfinished", "dropped", "unused", "projections", "here", "actions", "parts", "pending" }

/* An LMDB overflow page has a header of 16 octets; what is one octet longer takes two pages, which
 * must then lie side by side. */
#define STORE_PIECE_SIZE 4080

#define STORE_NOTHING ((struct slice){ "", 0 })

enum store_encoding { STORE_RAW = 0 };

static inline uint8_t *store_put_u16(uint8_t *p, uint32_t n)
{
	p[0] = (uint8_t)(n >> 8);
	p[1] = (uint8_t)n;
	return p + 2;
}

static inline uint8_t *store_put_u32(uint8_t *p, uint32_t n)
{
	p = store_put_u16(p, n >> 16);
	return store_put_u16(p, n & 0xffff);
}

static inline uint8_t *store_put_u64(uint8_t *p, uint64_t n)
{
	p = store_put_u32(p, (uint32_t)(n >> 32));
	return store_put_u32(p, (uint32_t)n);
}

static inline uint32_t store_take_u16(const uint8_t *p)
{
	return (uint32_t)p[0] << 8 | p[1];
}

static inline uint32_t store_take_u32(const uint8_t *p)
{
	return store_take_u16(p) << 16 | store_take_u16(p + 2);
}

static inline uint64_t store_take_u64(const uint8_t *p)
{
	return (uint64_t)store_take_u32(p) << 32 | store_take_u32(p + 4);
}

/* Keys. LMDB takes at most 511 octets, and file systems and servers know longer names: text is
 * kept behind 't' as it is, so that names given out in ascending order lie side by side, or, where it
 * is too long, behind 'h' as its SHA-256. */
#define STORE_KEY_TEXT_MAX 480
#define STORE_KEY_EMAILID_MAX 255 /* what RFC 8474 allows */
struct store_key {
	size_t len;
	uint8_t data[STORE_KEY_TEXT_MAX + 1];
};

static inline struct slice store_key_slice(const struct store_key *key)
{
	return (struct slice){ (const char *)key->data, key->len };
}

static inline void store_key_u32(struct store_key *key, uint32_t n)
{
	key->len = (size_t)(store_put_u32(key->data, n) - key->data);
}

static inline void store_key_u64(struct store_key *key, uint64_t n)
{
	key->len = (size_t)(store_put_u64(key->data, n) - key->data);
}

static inline void store_key_uid(struct store_key *key, uint32_t mailbox, uint32_t uid)
{
	key->len = (size_t)(store_put_u32(store_put_u32(key->data, mailbox), uid) - key->data);
}

static inline void store_key_piece(struct store_key *key, uint64_t body, uint32_t piece)
{
	key->len = (size_t)(store_put_u32(store_put_u64(key->data, body), piece) - key->data);
}

static inline void store_key_alike(struct store_key *key, int64_t date, uint64_t size,
	uint64_t message)
{
	uint8_t *p = store_put_u64(store_put_u64(key->data, (uint64_t)date), size);
	key->len = (size_t)(store_put_u64(p, message) - key->data);
}

static inline void store_key_message(struct store_key *key, uint32_t mailbox, uint64_t message)
{
	key->len = (size_t)(store_put_u64(store_put_u32(key->data, mailbox), message) - key->data);
}

static inline void store_key_pair(struct store_key *key, uint64_t first, uint64_t second)
{
	key->len = (size_t)(store_put_u64(store_put_u64(key->data, first), second) - key->data);
}

void store_key_text(struct store_key *key, struct slice text);
void store_key_emailid(struct store_key *key, struct slice emailid, uint64_t message);

#endif
