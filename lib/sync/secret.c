/* The account's secret: read at once, or by a command that runs while we connect (C3). */
#include <stdlib.h>

#include "sync/private.h"

#define SECRET_OCTETS (64u << 10)

void secret_init(struct secret *s, struct io *io, const struct conf_account *account,
	const char *given)
{
	s->io = io;
	s->account = account;
	s->given = given;
	buf_init(&s->text, SECRET_OCTETS);
}

static void on_command(void *arg, int status, const struct buf *output, const struct err *err)
{
	struct secret *s = arg;
	struct err e = { 0 };
	const char *end;
	size_t len;

	io_child_free(s->child);
	s->child = NULL;
	if (status != 0) {
		err_set(&e, ERR_USER, ERR_ACCOUNT, "the command for the secret failed (%s): %s",
			s->account->secret,
			err && err->cls != ERR_NONE ? err->text : "see what it printed");
		s->failed(s->arg, &e);
		return;
	}
	/* The first line, as `pass show` puts it. */
	end = output->len ? memchr(output->data, '\n', output->len) : NULL;
	len = end ? (size_t)(end - output->data) : output->len;
	if (len == 0) {
		err_set(&e, ERR_USER, ERR_ACCOUNT, "the command for the secret printed nothing (%s)",
			s->account->secret);
		s->failed(s->arg, &e);
		return;
	}
	buf_add(&s->text, output->data, len);
	s->has = true;
	s->ready(s->arg);
}

int secret_start(struct secret *s, void (*ready)(void *arg),
	void (*failed)(void *arg, const struct err *err), void *arg, struct err *err)
{
	const struct conf_account *a = s->account;

	s->ready = ready;
	s->failed = failed;
	s->arg = arg;
	if (!s->given && (a->secret_kind == CONF_SECRET_COMMAND || a->secret_kind == CONF_SECRET_TOKEN)) {
		s->child = io_child_run(s->io, a->secret, a->secret_timeout_s, SECRET_OCTETS, on_command, s);
		return 0;
	}
	if (s->given)
		buf_add_str(&s->text, s->given);
	else if (a->secret_kind != CONF_SECRET_NONE && conf_secret_read(a, &s->text, err) < 0)
		return -1;
	s->has = true;
	return 0;
}

void secret_give(const struct secret *s, struct imap *imap)
{
	if (s->has && imap)
		imap_give_secret(imap, buf_slice(&s->text));
}

void secret_release(struct secret *s)
{
	io_child_free(s->child);
	s->child = NULL;
	if (s->text.data)
		mem_wipe(s->text.data, s->text.len);
	buf_release(&s->text);
}
