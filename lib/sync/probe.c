/* Probe: what kind of server is this? Connects, logs in, lists, says what it found. */
#include <stdio.h>
#include <stdlib.h>

#include "sync/private.h"

struct sync_probe {
	const struct conf_account *account;
	void *arg;
	struct secret secret;
	struct io_work tell;
	struct sync_probe_events events;
	struct imap *imap;
	bool over;
	int exit_status;
	char error[512];
};

static void fact(struct sync_probe *p, const char *name, const char *value)
{
	if (p->events.fact && *value)
		p->events.fact(p->arg, name, value);
}

static void end(struct sync_probe *p, const struct err *err)
{
	if (p->over)
		return;
	p->over = true;
	p->exit_status = err_exit_status(err);
	snprintf(p->error, sizeof p->error, "%s", err->text);
	io_work_mark(&p->tell);
}

/* Which steps of the ladder the server allows, in words. */
static void tell_ladder(struct sync_probe *p)
{
	struct imap *c = p->imap;
	bool qresync = imap_qresync(c), condstore = imap_has(c, IMAP_CAP_CONDSTORE);

	fact(p, "changes", qresync ? "QRESYNC: flags and expunges with the SELECT" :
			   condstore ? "CONDSTORE: changed flags, expunges by counting" :
				       "none: every flag is asked for");
	fact(p, "mailboxes", imap_has(c, IMAP_CAP_LIST_STATUS) ?
			"LIST-STATUS: one command tells what changed" :
			condstore ? "STATUS for each mailbox" : "each mailbox is opened");
	fact(p, "flight", imap_pipelines_mailboxes(c) ? "many mailboxes at a time" :
							"one mailbox after the other");
	fact(p, "uploads", imap_has(c, IMAP_CAP_UIDPLUS) ? "UIDPLUS: new UIDs are told" :
							   "new UIDs must be searched for");
}

static void on_listed(void *arg, const struct imap_resp *tagged)
{
	struct sync_probe *p = arg;
	struct buf text;
	struct imap_counts n = imap_counts(p->imap);
	char line[120];

	(void)tagged;
	buf_init(&text, 0);
	buf_add_slice(&text, imap_capabilities(p->imap));
	fact(p, "capabilities", buf_str(&text));
	buf_release(&text);
	tell_ladder(p);
	snprintf(line, sizeof line, "%llu octets received, %llu sent, %u commands",
		(unsigned long long)n.received, (unsigned long long)n.sent, n.commands);
	fact(p, "traffic", line);
	imap_logout(p->imap);
}

static void on_ready(void *arg)
{
	struct sync_probe *p = arg;
	struct imap_cmd *cmd = imap_cmd_new(IMAP_CMD_PLAIN, on_listed, p);
	struct io_stream *stream = imap_stream(p->imap);
	char line[80];

	fact(p, "tls", io_stream_is_tls(stream) ? io_stream_tls_describe(stream) : "none");
	fact(p, "key", io_stream_pin(stream));
	fact(p, "login", imap_mechanism(p->imap));
	snprintf(line, sizeof line, "%.1f ms", io_stream_connect_s(stream) * 1000);
	fact(p, "connect", line);
	imap_cmd_add(cmd, "LIST \"\" \"*\"");
	imap_send(p->imap, cmd, NULL, 0);
}

static void on_untagged(void *arg, void *box, const struct imap_resp *r)
{
	static const struct {
		uint32_t attr;
		const char *name;
	} attrs[] = { { IMAP_NOSELECT, "\\Noselect" }, { IMAP_ALL, "\\All" },
		{ IMAP_ARCHIVE, "\\Archive" }, { IMAP_DRAFTS, "\\Drafts" },
		{ IMAP_FLAGGED_ATTR, "\\Flagged" }, { IMAP_JUNK, "\\Junk" }, { IMAP_SENT, "\\Sent" },
		{ IMAP_TRASH, "\\Trash" } };
	struct sync_probe *p = arg;
	struct buf name, words;

	(void)box;
	if (r->kind != IMAP_LIST || !p->events.mailbox)
		return;
	buf_init(&name, 0);
	buf_init(&words, 0);
	if (!imap_name_decode(r->list.name, imap_utf8(p->imap), &name)) {
		buf_clear(&name);
		buf_add_slice(&name, r->list.name);
	}
	for (size_t i = 0; i < sizeof attrs / sizeof attrs[0]; i++)
		if (r->list.attrs & attrs[i].attr)
			buf_addf(&words, "%s%s", words.len ? " " : "", attrs[i].name);
	p->events.mailbox(p->arg, buf_str(&name),
		!(r->list.attrs & (IMAP_NOSELECT | IMAP_NONEXISTENT_ATTR)) &&
			conf_chooses(p->account, buf_str(&name), r->list.delimiter),
		buf_str(&words));
	buf_release(&name);
	buf_release(&words);
}

static struct sink *on_body(void *arg, void *box, uint32_t uid, uint64_t size)
{
	(void)arg, (void)box, (void)uid, (void)size;
	return NULL;
}

static void on_alert(void *arg, struct slice text)
{
	char line[300];

	snprintf(line, sizeof line, "%.*s", (int)text.len, text.data);
	fact(arg, "alert", line);
}

static void on_room(void *arg)
{
	(void)arg;
}

static void on_secret(void *arg)
{
	struct sync_probe *p = arg;

	secret_give(&p->secret, p->imap);
}

static void on_closed(void *arg, const struct err *err, bool no_closed)
{
	struct sync_probe *p = arg;

	(void)no_closed;
	imap_free(p->imap);
	p->imap = NULL;
	end(p, err);
}

static void on_tell(void *arg)
{
	struct sync_probe *p = arg;

	p->events.done(p->arg, p->exit_status, p->exit_status ? p->error : NULL);
}

static void on_secret_ready(void *arg)
{
	struct sync_probe *p = arg;

	secret_give(&p->secret, p->imap);
}

static void on_secret_failed(void *arg, const struct err *err)
{
	end(arg, err);
}

struct sync_probe *sync_probe_new(struct io *io, const struct conf_account *account,
	const char *secret, const struct sync_probe_events *events, void *arg)
{
	static const struct imap_events imap_events = {
		on_secret, on_ready, on_untagged, on_body, on_alert, on_room, on_closed,
	};
	struct sync_probe *p = mem_new(sizeof *p);
	struct imap_options options = { 0 };
	struct err err = { 0 };

	p->account = account;
	p->events = *events;
	p->arg = arg;
	io_work_init(&p->tell, io, on_tell, p);
	secret_init(&p->secret, io, account, secret);
	if (secret_start(&p->secret, on_secret_ready, on_secret_failed, p, &err) < 0) {
		end(p, &err);
		return p;
	}
	link_options(account, &options);
	options.name = account->name;
	p->imap = imap_new(io, &options, &imap_events, p);
	return p;
}

void sync_probe_free(struct sync_probe *p)
{
	if (!p)
		return;
	imap_free(p->imap);
	secret_release(&p->secret);
	io_work_release(&p->tell);
	free(p);
}
