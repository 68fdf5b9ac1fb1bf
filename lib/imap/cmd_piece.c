/* A command on its way to the wire, in pieces: up to a literal that waits for its "+", and then on.
 * Octets of a file are read as they are sent: a piece has at most CMD_PIECE of them, the next one
 * follows when the kernel has taken it, and one file is open at a time. So the memory that an upload
 * takes does not depend on its size. */
#include "imap/cmd.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <string.h>
#include <unistd.h>

void cmd_close_file(struct imap_cmd *cmd)
{
	if (cmd->fd >= 0)
		close(cmd->fd);
	cmd->fd = -1;
}

static bool needs_no_plus(const struct imap_cmd *cmd, enum cmd_literals mode, uint64_t size)
{
	if (cmd->sync || mode == CMD_SYNC)
		return false;
	return size <= (mode == CMD_PLUS ? CMD_PLUS_MAX : CMD_MINUS_MAX);
}

/* Text between literals, from where we are. */
static void add_text(struct imap_cmd *cmd, size_t to, struct buf *out, struct buf *log)
{
	struct slice text = { cmd->text.data + cmd->text_sent, to - cmd->text_sent };

	if (text.len == 0)
		return;
	buf_add_slice(out, text);
	if (log != NULL && cmd->shown == NULL)
		buf_add_slice(log, text);
	cmd->text_sent = to;
}

/* What comes before the next literal, and its size. */
static void announce(struct imap_cmd *cmd, enum cmd_literals mode, struct buf *out, struct buf *log)
{
	const struct cmd_literal *l = &cmd->literals[cmd->literals_sent++];
	bool unasked = needs_no_plus(cmd, mode, l->size);

	add_text(cmd, l->at, out, log);
	buf_addf(out, "{%" PRIu64 "%s}\r\n", l->size, unasked ? "+" : "");
	if (log != NULL && cmd->shown == NULL)
		buf_addf(log, "{%" PRIu64 "%s}", l->size, unasked ? "+" : "");
	cmd->unasked |= unasked;
	cmd->phase = unasked ? CMD_OCTETS : CMD_ASKED;
	cmd->octets_left = l->size;
}

/* The class is always the same: whatever is wrong with the file, the literal cannot be completed. */
static int open_file(struct imap_cmd *cmd, const char *path, struct err *err)
{
	cmd->fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
	if (cmd->fd >= 0)
		return 0;
	return err_set(err, ERR_RETRY, ERR_ACCOUNT, "cannot open \"%s\", which was being uploaded: %s",
		path, strerror(errno));
}

static int read_file(struct imap_cmd *cmd, const struct cmd_literal *l, size_t room, struct buf *out,
	struct err *err)
{
	size_t want = cmd->octets_left < room ? (size_t)cmd->octets_left : room;
	char *to = buf_reserve(out, want);
	ssize_t n;

	do
		n = read(cmd->fd, to, want);
	while (n < 0 && errno == EINTR);
	if (n < 0)
		return err_set(err, ERR_RETRY, ERR_ACCOUNT, "cannot read \"%s\", which was being uploaded: "
			"%s", l->path, strerror(errno));
	if (n == 0)
		return err_set(err, ERR_RETRY, ERR_ACCOUNT, "\"%s\", which was being uploaded, is %" PRIu64
			" octets shorter than it was", l->path, cmd->octets_left);
	buf_added(out, (size_t)n);
	cmd->octets_left -= (uint64_t)n;
	return 0;
}

/* 1: the literal is whole; 0: the piece is. */
static int add_octets(struct imap_cmd *cmd, struct buf *out, struct err *err)
{
	const struct cmd_literal *l = &cmd->literals[cmd->literals_sent - 1];

	if (l->path == NULL) {
		buf_add(out, cmd->text.data + l->at, l->len);
		cmd->text_sent = l->at + l->len;
		cmd->octets_left = 0;
	}
	while (cmd->octets_left > 0) {
		if (out->len >= CMD_PIECE)
			return 0;
		if (cmd->fd < 0 && open_file(cmd, l->path, err) < 0)
			return -1;
		if (read_file(cmd, l, CMD_PIECE - out->len, out, err) < 0)
			return -1;
	}
	cmd_close_file(cmd);
	cmd->phase = CMD_TEXT;
	return 1;
}

int cmd_piece(struct imap_cmd *cmd, enum cmd_literals mode, struct buf *out, struct buf *log,
	struct err *err)
{
	int rc;

	if (log != NULL && cmd->shown != NULL && cmd->text_sent == 0)
		buf_add_str(log, cmd->shown);
	if (cmd->phase == CMD_ASKED)
		cmd->phase = CMD_OCTETS;
	for (;;) {
		if (cmd->phase == CMD_OCTETS && (rc = add_octets(cmd, out, err)) <= 0)
			return rc;
		if (cmd->literals_sent == cmd->literal_count)
			break;
		announce(cmd, mode, out, log);
		if (cmd->phase == CMD_ASKED)
			return 0;
	}
	add_text(cmd, cmd->text.len, out, log);
	buf_add_str(out, "\r\n");
	return 1;
}
