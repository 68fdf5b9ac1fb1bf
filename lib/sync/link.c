/* A connection of this run: who it is, what it is told, and to whom its answers go. */
#include <stdio.h>
#include <stdlib.h>

#include "sync/private.h"

static void on_secret(void *arg)
{
	struct link *link = arg;

	/* Where its command still runs, its end gives it. */
	secret_give(&link->sync->secret, link->imap);
}

static void on_ready(void *arg)
{
	struct link *link = arg;

	struct sync *s = link->sync;
	const char *mechanism = imap_fell_back_to(link->imap);

	if (mechanism && (!s->mechanism || strcmp(s->mechanism, mechanism) != 0)) {
		free(s->mechanism);
		s->mechanism = mem_copy(mechanism);
		s->facts_changed = true;
	}
	if (s->append_limit != imap_append_limit(link->imap)) {
		s->append_limit = imap_append_limit(link->imap);
		s->facts_changed = true;
	}
	link->state = LINK_READY;
	throttle_ready(link);
	account_mark(s);
}

static void on_untagged(void *arg, void *owner, const struct imap_resp *resp)
{
	struct link *link = arg;
	struct visit *v = owner;

	if (v)
		v->ops->untagged(v, resp);
	else
		boxes_untagged(link->sync, resp);
}

static struct sink *on_body(void *arg, void *owner, uint32_t uid, uint64_t size)
{
	struct visit *v = owner;

	(void)arg;
	return v && v->ops->body ? v->ops->body(v, uid, size) : NULL;
}

static void on_alert(void *arg, struct slice text)
{
	struct link *link = arg;

	/* A second connection that is refused is no news: one will do. */
	if (link->index > 0 && link->state == LINK_OPENING)
		return;
	account_note(link->sync, SYNC_WARNING, NULL, "the server says: %.*s", (int)text.len, text.data);
}

static void on_room(void *arg)
{
	struct link *link = arg;

	account_mark(link->sync);
}

static void link_forget(struct link *link)
{
	struct imap *imap = link->imap;

	for (struct visit *v = link->sync->visits; v; v = v->next) {
		if (v->link == link) {
			v->ops->lost(v);
			v->link = NULL;
		}
	}
	if (link->sync->push && link->index == 0)
		push_lost(link->sync->push);
	link->haul = NULL;
	link->imap = NULL;
	imap_free(imap);
}

static void on_closed(void *arg, const struct err *err, bool no_closed)
{
	struct link *link = arg;
	struct sync *s = link->sync;
	enum link_state was = link->state;

	link_forget(link);
	link->state = LINK_DOWN;
	if (was == LINK_LEAVING || err->cls == ERR_NONE) {
		account_mark(s);
	} else if (no_closed) {
		log_line(LOG_STEPS, link->name, "no [CLOSED]: mailboxes are opened one at a time");
		s->pipeline_mailboxes = false;
		account_mark(s);
	} else if (link->index > 0 && was == LINK_OPENING) {
		/* The server refuses a second connection: one will do (C5, Q3). */
		log_line(LOG_STEPS, link->name, "not to be had: %s", err->text);
		link->state = LINK_REFUSED;
		account_mark(s);
	} else {
		account_lost(s, err, was == LINK_READY);
	}
}

void link_open(struct link *link)
{
	static const struct imap_events events = {
		on_secret, on_ready, on_untagged, on_body, on_alert, on_room, on_closed,
	};
	struct sync *s = link->sync;
	const struct conf_account *a = s->account;
	struct imap_options options = { 0 };

	link_options(a, &options);
	options.pipeline_mailboxes = s->pipeline_mailboxes;
	options.prefer = s->mechanism;
	snprintf(link->name, sizeof link->name, "%s#%u", a->name, link->index + 1);
	options.name = link->name;
	link->state = LINK_OPENING;
	link->serial = ++s->connections;
	if (link->index == 0)
		boxes_lose_session(s);
	link->imap = imap_new(s->io, &options, &events, link);
}

void link_options(const struct conf_account *a, struct imap_options *o)
{
	o->target = (struct io_target){
		.host = a->host,
		.port = a->port,
		.tls = a->tls == CONF_TLS_IMPLICIT ? IO_TLS_IMPLICIT : IO_TLS_NONE,
		.ca_file = a->ca_file,
		.pin = a->pin,
		.cert_file = a->cert_file,
		.key_file = a->key_file,
		.connect_timeout_s = a->timeout_s,
	};
	o->starttls = a->tls == CONF_TLS_STARTTLS;
	o->allow_cleartext = a->allow_cleartext;
	o->user = a->user;
	o->auth = a->auth;
	o->secret_is_token = a->secret_kind == CONF_SECRET_TOKEN;
	o->compress = a->compress == CONF_YES  ? IMAP_COMPRESS_YES :
		      a->compress == CONF_AUTO ? IMAP_COMPRESS_AUTO :
						 IMAP_COMPRESS_NO;
	o->timeout_s = a->timeout_s;
	o->pipeline_mailboxes = true;
	o->avoid = (const char *const *)a->avoid;
	o->avoid_count = a->avoid_count;
	o->max_commands = a->max_commands;
	o->send_id = a->send_id;
}

void link_close(struct link *link)
{
	if (link->imap)
		link_forget(link);
	link->state = LINK_DOWN;
}

void visit_add(struct visit *v, const struct visit_ops *ops, struct box *box, struct link *link)
{
	struct sync *s = box->sync;

	v->ops = ops;
	v->box = box;
	v->link = link;
	v->next = s->visits;
	s->visits = v;
}

void visits_free(struct sync *s)
{
	while (s->visits) {
		struct visit *v = s->visits;
		s->visits = v->next;
		v->ops->free(v);
	}
}

bool link_is_plain(const struct link *link)
{
	const struct imap *c = link->imap;

	return !imap_has(c, IMAP_CAP_UIDPLUS) && !imap_has(c, IMAP_CAP_CONDSTORE) &&
	       !imap_has(c, IMAP_CAP_QRESYNC) && !imap_has(c, IMAP_CAP_ESEARCH) &&
	       !imap_has(c, IMAP_CAP_IMAP4REV2);
}
