/* Line ends between the wire's form and the file's, streamed: a piece may end between CR and LF, so
 * what ends in CR is remembered. Whole lines are copied at once, since every body passes here. */
#include "mail/mail.h"

void mail_lines_to_file(struct mail_lines *state, struct slice in, bool last, struct buf *out)
{
	while (in.len > 0) {
		bool ends_line = state->pending_cr && in.data[0] == '\n';
		if (ends_line && state->after_cr)
			state->lossy = true; /* CR CR LF becomes CR LF, and stays so */
		if (state->pending_cr && !ends_line)
			state->after_cr = buf_add_char(out, '\r');

		const char *cr = memchr(in.data, '\r', in.len);
		size_t plain = cr != NULL ? (size_t)(cr - in.data) : in.len;
		size_t skip = ends_line; /* the LF of the CR before */
		if (!state->lossy && memchr(in.data + skip, '\n', plain - skip) != NULL)
			state->lossy = true;
		buf_add(out, in.data, plain);
		if (plain > 0)
			state->after_cr = false;

		state->pending_cr = cr != NULL;
		plain += cr != NULL;
		in.data += plain;
		in.len -= plain;
	}
	if (last && state->pending_cr) {
		buf_add_char(out, '\r');
		state->pending_cr = false;
	}
}

void mail_lines_to_wire(struct mail_lines *state, struct slice in, struct buf *out)
{
	while (in.len > 0) {
		const char *lf = memchr(in.data, '\n', in.len);
		size_t plain = lf != NULL ? (size_t)(lf - in.data) : in.len;
		buf_add(out, in.data, plain);
		if (plain > 0)
			state->pending_cr = in.data[plain - 1] == '\r';
		in.data += plain;
		in.len -= plain;
		if (in.len == 0)
			return;
		buf_add(out, state->pending_cr ? "\n" : "\r\n", state->pending_cr ? 1 : 2);
		state->pending_cr = false;
		in.data++;
		in.len--;
	}
}
