#include "progress.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "base/buf.h"
#include "output.h"

#define OBJECT_EVERY_S 1.0

struct progress {
	struct progress *next;
	const char *account;
	char *mailbox;
	struct sync_progress now;
	double object_at; /* seconds of the run, of the last object */
};

static struct progress *all;
static size_t drawn; /* cells of the line that stands there now */

struct progress *progress_new(const char *account)
{
	struct progress *p = mem_new(sizeof *p);

	p->account = account;
	p->object_at = -OBJECT_EVERY_S;
	p->next = all;
	all = p;
	return p;
}

void progress_free(struct progress *p)
{
	struct progress **at = &all;

	if (!p)
		return;
	while (*at != p)
		at = &(*at)->next;
	*at = p->next;
	free(p->mailbox);
	free(p);
}

static struct sync_progress sum(void)
{
	struct sync_progress s = { 0 };

	for (struct progress *p = all; p; p = p->next) {
		s.mailboxes += p->now.mailboxes;
		s.mailboxes_done += p->now.mailboxes_done;
		s.messages += p->now.messages;
		s.messages_done += p->now.messages_done;
		s.octets += p->now.octets;
		s.octets_done += p->now.octets_done;
		if (p->now.seconds > s.seconds)
			s.seconds = p->now.seconds;
	}
	return s;
}

/* The line */

static void add_numbers(struct buf *line, const struct sync_progress *s)
{
	char done[24], total[24], rate[24];
	double per_s = s->seconds > 0 ? (double)s->octets_done / s->seconds : 0;

	if (s->messages == 0) {
		buf_addf(line, "  %u/%u mailboxes", s->mailboxes_done, s->mailboxes);
		return;
	}
	output_size(s->octets_done, done);
	output_size(s->octets, total);
	buf_addf(line, "  %llu/%llu messages  %s of %s", (unsigned long long)s->messages_done,
		(unsigned long long)s->messages, done, total);
	if (s->seconds < 1 || per_s < 1)
		return;
	output_size((uint64_t)per_s, rate);
	buf_addf(line, "  %s/s", rate);
	if (s->octets > s->octets_done) {
		unsigned long left = (unsigned long)((double)(s->octets - s->octets_done) / per_s);
		buf_addf(line, "  %lu:%02lu left", left / 60, left % 60);
	}
}

static size_t width(void)
{
	struct winsize size;

	return ioctl(STDERR_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 0 ? size.ws_col : 80;
}

/* Cells are counted without a locale: what is not ASCII may take two. */
static size_t cut_to(const char *text, size_t cells_max, size_t *cells)
{
	size_t at = 0;

	*cells = 0;
	while (text[at]) {
		size_t n = 1, wide = 1;
		if ((unsigned char)text[at] >= 0x80) {
			wide = 2;
			while (((unsigned char)text[at + n] & 0xc0) == 0x80)
				n++;
		}
		if (*cells + wide > cells_max)
			break;
		*cells += wide;
		at += n;
	}
	return at;
}

static void draw(const char *text)
{
	size_t cells, len, columns = width();

	len = cut_to(text, columns > 1 ? columns - 1 : 1, &cells);
	/* What was drawn before and is longer is covered by blanks. */
	fprintf(stderr, "\r%.*s%*s", (int)len, text, (int)(drawn > cells ? drawn - cells : 0), "");
	drawn = cells;
}

void progress_erase(void)
{
	if (drawn > 0)
		fprintf(stderr, "\r%*s\r", (int)drawn, "");
	drawn = 0;
}

static void draw_line(const struct progress *p)
{
	struct sync_progress s = sum();
	struct buf line;
	size_t cells;

	buf_init(&line, 0);
	output_visible(&line, slice_of(p->account));
	if (p->mailbox) {
		buf_add_char(&line, '/');
		output_visible(&line, slice_of(p->mailbox));
	}
	/* A long name leaves room for the numbers. */
	buf_truncate(&line, cut_to(buf_str(&line), width() / 2, &cells));
	add_numbers(&line, &s);
	draw(buf_str(&line));
	buf_release(&line);
}

static void tell_object(struct progress *p)
{
	json_t *o;

	if (p->now.seconds - p->object_at < OBJECT_EVERY_S)
		return;
	p->object_at = p->now.seconds;
	o = output_object_new("progress");
	json_object_set_new(o, "account", output_text(p->account));
	json_object_set_new(o, "mailbox", output_text(p->mailbox));
	json_object_set_new(o, "mailboxes", output_number(p->now.mailboxes));
	json_object_set_new(o, "mailboxes_done", output_number(p->now.mailboxes_done));
	json_object_set_new(o, "messages", output_number(p->now.messages));
	json_object_set_new(o, "messages_done", output_number(p->now.messages_done));
	json_object_set_new(o, "octets", output_number(p->now.octets));
	json_object_set_new(o, "octets_done", output_number(p->now.octets_done));
	json_object_set_new(o, "seconds", json_real(p->now.seconds));
	output_object(o);
	fflush(stdout); /* somebody watches */
}

void progress_tell(struct progress *p, const struct sync_progress *now)
{
	free(p->mailbox);
	p->mailbox = now->mailbox ? mem_copy(now->mailbox) : NULL;
	p->now = *now;
	p->now.mailbox = NULL;
	if (output_is_json())
		tell_object(p);
	else if (!output_is_quiet() && isatty(STDERR_FILENO))
		draw_line(p);
}
