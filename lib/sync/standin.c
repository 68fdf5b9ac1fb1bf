/* Stand-ins: what lies in the Maildir for a message over max-size (S10): its header, its texts, and a
 * line that says how to get the rest.
 *
 * For each message two questions, many messages under way at a time: first its structure and header,
 * for several messages in one command; then the texts that the structure names. Each part is asked for
 * with a bound (<0.n>), for sizes are only the server's word, and a literal that is too long would end
 * the connection. Whatever is refused, or cannot be read (Q16), leaves the stand-in with less in it, at
 * last with its header alone:
 *
 *   several with structure -NO-> one by one -NO, no header-> the header alone -NO-> told, next run
 *   texts -NO, NIL, too long-> listed as missing
 *
 * The stand-in has no body in the store; its record says SHOWN and STAND_IN. When the whole message is
 * wanted later it is owed like any other, and its arrival takes the stand-in's place (project.c). */
#include <stdlib.h>

#include "sync/private.h"

#define HEADER_OCTETS (256u << 10)
#define MIME_OCTETS (16u << 10)
#define TEXT_OCTETS (256u << 10)
#define TEXTS_MAX 8
#define SET_MAX 20   /* messages in one command */
#define ONES_MAX 40  /* under way, each with its header in memory */

struct text {
	struct buf mime, data;
	bool has_mime, has_data;
};

struct one {
	struct one *next;
	uint32_t uid;
	enum { ONE_SET, ONE_ALONE, ONE_HEADER, ONE_TEXTS } step; /* what is asked, or due */
	struct ask *ask; /* NULL: due */
	struct buf header;
	bool has_header, is_multipart;
	struct mail_part *parts;
	size_t part_count;
	size_t chosen[TEXTS_MAX], chosen_count;
	struct text texts[TEXTS_MAX];
};

struct ask {
	struct standins *of;
	struct ask *next;
};

struct standins {
	struct visit *visit;
	struct uids wanted; /* not begun */
	struct one *ones;
	size_t count;
	struct ask *asks;
};

static void one_free(struct one *o)
{
	buf_release(&o->header);
	mail_parts_free(o->parts, o->part_count);
	for (size_t i = 0; i < TEXTS_MAX; i++) {
		buf_release(&o->texts[i].mime);
		buf_release(&o->texts[i].data);
	}
	free(o);
}

static struct one *one_new(struct standins *t, uint32_t uid)
{
	struct one *o = mem_new(sizeof *o), **end = &t->ones;

	o->uid = uid;
	buf_init(&o->header, 0);
	for (size_t i = 0; i < TEXTS_MAX; i++) {
		buf_init(&o->texts[i].mime, 0);
		buf_init(&o->texts[i].data, 0);
	}
	while (*end)
		end = &(*end)->next;
	*end = o;
	t->count++;
	return o;
}

/* What came of a message becomes its stand-in. */

static bool text_is_here(const struct one *o, size_t i)
{
	return o->texts[i].has_data && (o->texts[i].has_mime || !o->is_multipart);
}

static bool part_is_here(const struct one *o, size_t part)
{
	for (size_t i = 0; i < o->chosen_count; i++)
		if (o->chosen[i] == part)
			return text_is_here(o, i);
	return false;
}

static void compose(const struct box *box, const struct one *o, const struct store_message *m,
	struct buf *out)
{
	struct mail_standin_part texts[TEXTS_MAX];
	struct mail_part *missing = mem_new((o->part_count + 1) * sizeof *missing);
	struct mail_standin in = { .account = box->sync->account->name, .number = m->number,
		.size_bytes = m->size, .header = buf_slice(&o->header), .parts = texts, .missing = missing };
	struct buf own;

	buf_init(&own, 0);
	mail_header_mime(in.header, &own);
	for (size_t i = 0; i < o->chosen_count; i++)
		if (text_is_here(o, i))
			texts[in.part_count++] = (struct mail_standin_part){
				buf_slice(o->is_multipart ? &o->texts[i].mime : &own),
				buf_slice(&o->texts[i].data) };
	for (size_t i = 0; i < o->part_count; i++)
		if (!part_is_here(o, i))
			missing[in.missing_count++] = o->parts[i];
	mail_standin_compose(&in, out);
	buf_release(&own);
	free(missing);
}

static void file(struct standins *t, const struct one *o)
{
	struct box *box = t->visit->box;
	struct store_message m;
	struct buf out;

	store_message_init(&m);
	buf_init(&out, 0);
	if (store_message_by_uid(box->sync->store, box->rec.id, o->uid, &m) && standin_is_owed(&m)) {
		compose(box, o, &m, &out);
		arrival_stand_in(box, &m, buf_slice(&out));
	}
	buf_release(&out);
	store_message_release(&m);
}

/* Answers */

/* What is to be asked next. False: nothing, this one is done with. */
static bool step_on(struct standins *t, struct one *o, const struct imap_resp *tagged)
{
	struct box *box = t->visit->box;

	if (o->step == ONE_TEXTS) {
		file(t, o);
		return false;
	}
	if (o->has_header) {
		o->chosen_count = mail_parts_texts(o->parts, o->part_count, TEXT_OCTETS, o->chosen, TEXTS_MAX);
		o->step = ONE_TEXTS;
		if (o->chosen_count == 0)
			file(t, o);
		return o->chosen_count > 0;
	}
	if (o->step == ONE_HEADER) {
		if (tagged->cond.cond == IMAP_OK)
			box->again = true; /* expunged, most likely: the next pull knows */
		else
			haul_refused(box, o->uid, tagged);
		return false;
	}
	o->step = o->step == ONE_SET && tagged->cond.cond != IMAP_OK ? ONE_ALONE : ONE_HEADER;
	return true;
}

static void on_answer(void *arg, const struct imap_resp *tagged)
{
	struct ask *ask = arg, **at;
	struct standins *t = ask->of;
	struct sync *s = t->visit->box->sync;
	enum throttle_verdict verdict = throttle_answer(s, tagged);
	bool again = verdict == THROTTLE_AGAIN; /* refused because of haste */
	bool good = haul_visit_is_trusted(t->visit) && verdict != THROTTLE_OVER &&
		    (again || !haul_must_slow_down(s, tagged));

	for (struct one **o = &t->ones, *one; (one = *o) != NULL;) {
		bool mine = one->ask == ask;
		if (mine)
			one->ask = NULL;
		if (mine && again && one->step == ONE_SET)
			one->step = ONE_ALONE;
		if (!mine || (good && (again || step_on(t, one, tagged)))) {
			o = &one->next;
			continue;
		}
		*o = one->next;
		t->count--;
		one_free(one);
	}
	for (at = &t->asks; *at != ask; at = &(*at)->next)
		;
	*at = ask->next;
	free(ask);
	account_mark(t->visit->box->sync);
}

static void take_section(struct one *o, const struct imap_section *part)
{
	struct slice spec = part->spec;

	if (part->nil)
		return;
	if (slice_is_nocase(spec, "HEADER")) {
		if (o->has_header || part->data.len == 0)
			return;
		o->has_header = true;
		buf_add_slice(&o->header, part->data);
		return;
	}
	for (size_t i = 0; o->step == ONE_TEXTS && i < o->chosen_count; i++) {
		const char *section = o->parts[o->chosen[i]].section;
		struct text *text = &o->texts[i];
		size_t len = strlen(section);
		if (slice_is(spec, section) && !text->has_data && part->data.len < TEXT_OCTETS) {
			text->has_data = true;
			buf_add_slice(&text->data, part->data);
		} else if (spec.len == len + 5 && memcmp(spec.data, section, len) == 0 && !text->has_mime &&
			   slice_is_nocase((struct slice){ spec.data + len, 5 }, ".MIME")) {
			text->has_mime = true;
			buf_add_slice(&text->mime, part->data);
		}
	}
}

static void take_structure(struct one *o, struct slice structure)
{
	if (o->parts || mail_structure_parse(structure, &o->parts, &o->part_count) < 0)
		return;
	for (size_t i = 1; i < structure.len && (structure.data[i] == '(' || structure.data[i] == ' '); i++)
		o->is_multipart |= structure.data[i] == '(';
}

void standins_fetched(struct standins *t, const struct imap_resp *r)
{
	struct one *o = t->ones;

	if (!haul_visit_is_trusted(t->visit) || !(r->fetch.items & IMAP_HAS_UID))
		return;
	while (o && (o->uid != r->fetch.uid || !o->ask))
		o = o->next;
	if (!o)
		return;
	if (r->fetch.items & IMAP_HAS_BODYSTRUCTURE)
		take_structure(o, r->fetch.bodystructure);
	for (size_t i = 0; i < r->fetch.section_count; i++)
		take_section(o, &r->fetch.sections[i]);
}

/* Questions */

static struct imap_cmd *command(struct standins *t, struct ask **out)
{
	struct ask *ask = mem_new(sizeof *ask);

	ask->of = t;
	ask->next = t->asks;
	t->asks = ask;
	*out = ask;
	return imap_cmd_new(IMAP_CMD_READ, on_answer, ask);
}

static void ask_one(struct standins *t, struct one *o)
{
	struct imap_cmd *cmd = command(t, &o->ask);
	uint64_t expect = HEADER_OCTETS / 16;

	imap_cmd_add(cmd, "UID FETCH %lu (UID", (unsigned long)o->uid);
	if (o->step == ONE_ALONE)
		imap_cmd_add(cmd, " BODYSTRUCTURE");
	if (o->step != ONE_TEXTS)
		imap_cmd_add(cmd, " BODY.PEEK[HEADER]<0.%u>", HEADER_OCTETS);
	for (size_t i = 0; o->step == ONE_TEXTS && i < o->chosen_count; i++) {
		const struct mail_part *part = &o->parts[o->chosen[i]];
		if (o->is_multipart)
			imap_cmd_add(cmd, " BODY.PEEK[%s.MIME]<0.%u>", part->section, MIME_OCTETS);
		imap_cmd_add(cmd, " BODY.PEEK[%s]<0.%u>", part->section, TEXT_OCTETS);
		expect += part->size_bytes < TEXT_OCTETS ? part->size_bytes : TEXT_OCTETS;
	}
	imap_cmd_add(cmd, ")");
	imap_send(t->visit->link->imap, cmd, NULL, expect);
}

static void ask_set(struct standins *t)
{
	struct uids set;
	struct buf text;
	struct ask *ask;
	struct imap_cmd *cmd = command(t, &ask);
	unsigned max = throttle_set_max(t->visit->box->sync);

	max = max == 0 || max > SET_MAX ? SET_MAX : max;
	uids_init(&set);
	buf_init(&text, 0);
	while (uids_count(&set) < max && t->count < ONES_MAX && !uids_is_empty(&t->wanted)) {
		uint32_t uid = uids_next(&t->wanted, 1);
		uids_remove_range(&t->wanted, uid, uid);
		uids_add(&set, uid);
		one_new(t, uid)->ask = ask;
	}
	uids_print(&set, 1, SET_MAX * 22, &text);
	imap_cmd_add(cmd, "UID FETCH %s (UID BODYSTRUCTURE BODY.PEEK[HEADER]<0.%u>)", buf_str(&text),
		HEADER_OCTETS);
	imap_send(t->visit->link->imap, cmd, NULL, uids_count(&set) * (HEADER_OCTETS / 16));
	buf_release(&text);
	uids_release(&set);
}

static struct one *one_due(const struct standins *t)
{
	struct one *o = t->ones;

	while (o && o->ask)
		o = o->next;
	return o;
}

bool standins_due(const struct standins *t)
{
	return one_due(t) || (!uids_is_empty(&t->wanted) && t->count < ONES_MAX);
}

void standins_ask(struct standins *t)
{
	struct one *o = one_due(t);

	if (o)
		ask_one(t, o);
	else
		ask_set(t);
}

bool standins_busy(const struct standins *t)
{
	return t->ones || t->asks || !uids_is_empty(&t->wanted);
}

struct standins *standins_new(struct visit *v)
{
	struct standins *t = mem_new(sizeof *t);

	t->visit = v;
	uids_init(&t->wanted);
	return t;
}

void standins_add(struct standins *t, uint32_t uid)
{
	for (const struct one *o = t->ones; o; o = o->next)
		if (o->uid == uid)
			return;
	uids_add(&t->wanted, uid);
}

static void drop_ones(struct standins *t)
{
	while (t->ones) {
		struct one *o = t->ones;
		t->ones = o->next;
		one_free(o);
	}
	t->count = 0;
	uids_clear(&t->wanted);
}

uint32_t standins_drop(struct standins *t)
{
	uint32_t first = uids_next(&t->wanted, 1);

	for (const struct one *o = t->ones; o; o = o->next)
		if (first == 0 || o->uid < first)
			first = o->uid;
	drop_ones(t);
	return first;
}

void standins_free(struct standins *t)
{
	drop_ones(t);
	while (t->asks) {
		struct ask *ask = t->asks;
		t->asks = ask->next;
		free(ask);
	}
	uids_release(&t->wanted);
	free(t);
}

/* What the user does to them */

void standin_lose(struct store_message *m)
{
	bool whole = m->state & STORE_BODY_OWED;

	m->state &= ~(uint32_t)(STORE_SHOWN | STORE_SHOWN_NEW | STORE_STAND_IN);
	m->state |= STORE_BODY_OWED | (whole ? 0 : STORE_STAND_IN);
	free(m->base);
	m->base = NULL;
}

bool standin_is_intact(struct maildir *maildir, const struct maildir_name *name,
	const struct store_message *m)
{
	struct maildir_stat st;

	return maildir_stat(maildir, name, &st, NULL) == 0 && st.size == m->file_size &&
	       st.mtime_ns == m->file_mtime_ns;
}

/* A mail reader's flag that the server does not know yet says it, too. */
static void look_at(struct box *box, const struct maildir_entry *e, struct store_message *m)
{
	if (strchr(e->letters, 'F') && store_message_by_base(box->sync->store, e->base, m) &&
		m->mailbox == box->rec.id && m->uid && (m->state & STORE_STAND_IN) &&
		(m->state & STORE_SHOWN) && !m->body && !(m->state & STORE_BODY_OWED))
		uids_add(&box->flagged_here, m->uid);
}

void standin_look(struct box *box)
{
	struct sync *s = box->sync;
	struct maildir_scan scan = { 0 };
	struct store_message m;

	if (!(box->rec.state & STORE_MAILBOX_STAND_INS) || !s->maildir)
		return;
	store_message_init(&m);
	if (maildir_scan(s->maildir, box->rec.folder, &scan, NULL) == 0)
		for (size_t i = 0; i < scan.count; i++)
			look_at(box, &scan.entries[i], &m);
	maildir_scan_release(&scan);
	store_message_release(&m);
}

void standin_want(struct box *box)
{
	struct sync *s = box->sync;
	struct store_message m;

	store_message_init(&m);
	for (uint32_t uid = 0; (uid = uids_next(&box->flagged_here, uid + 1)) != 0;) {
		if (!store_message_by_uid(s->store, box->rec.id, uid, &m))
			continue;
		m.state |= STORE_WANTED;
		box_owe(box, &m);
		store_message_put(s->store, &m);
	}
	uids_clear(&box->flagged_here);
	store_message_release(&m);
}
