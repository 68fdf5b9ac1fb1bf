/* The echo is off while the password is typed, and whatever ends us then (^C, SIGTERM) must put it
 * on again first: the signal is caught, the terminal set right, and the signal raised once more. */
#include "terminal.h"

#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <termios.h>
#include <unistd.h>

#include "output.h"

#define PASSWORD_OCTETS 1024

static const int caught[] = { SIGINT, SIGTERM, SIGHUP, SIGQUIT };
#define CAUGHT (sizeof caught / sizeof caught[0])

static volatile sig_atomic_t came;

static void on_signal(int signum)
{
	came = signum;
}

static void catch_signals(struct sigaction before[CAUGHT + 1])
{
	struct sigaction action = { 0 };

	came = 0;
	action.sa_handler = on_signal; /* without SA_RESTART: read(2) ends */
	for (size_t i = 0; i < CAUGHT; i++)
		sigaction(caught[i], &action, &before[i]);
	action.sa_handler = SIG_IGN; /* ^Z would leave a shell without echo */
	sigaction(SIGTSTP, &action, &before[CAUGHT]);
}

static void restore_signals(const struct sigaction before[CAUGHT + 1])
{
	for (size_t i = 0; i < CAUGHT; i++)
		sigaction(caught[i], &before[i], NULL);
	sigaction(SIGTSTP, &before[CAUGHT], NULL);
}

static void say(int fd, const char *text)
{
	while (*text) {
		ssize_t n = write(fd, text, strlen(text));
		if (n <= 0)
			return;
		text += n;
	}
}

/* Up to the line's end. False where there was none, or a signal came. */
static bool read_line(int fd, struct buf *line)
{
	char c;

	while (read(fd, &c, 1) == 1) {
		if (c == '\n')
			return true;
		if (!buf_add_char(line, c))
			return false;
	}
	return false;
}

static bool ask(int fd, const char *prompt, struct buf *line)
{
	struct sigaction actions[CAUGHT + 1];
	struct termios before, quiet;
	bool read_it;

	if (tcgetattr(fd, &before) < 0)
		return false;
	quiet = before;
	quiet.c_lflag &= ~(tcflag_t)ECHO;
	catch_signals(actions);
	tcsetattr(fd, TCSAFLUSH, &quiet);
	say(fd, prompt);
	read_it = read_line(fd, line);
	say(fd, "\n");
	tcsetattr(fd, TCSAFLUSH, &before);
	restore_signals(actions);
	if (came)
		raise(came);
	return read_it && !came;
}

bool terminal_must_ask(const struct conf_account *account)
{
	return account->secret_kind == CONF_SECRET_NONE && !account->cert_file;
}

int terminal_ask(const struct conf_account *account, struct buf *out)
{
	int fd = open("/dev/tty", O_RDWR | O_NOCTTY | O_CLOEXEC);
	struct buf prompt;
	bool asked;

	if (fd < 0) {
		output_error(account->name, NULL, "no password in the configuration, and no terminal to "
			"ask on; password-command, password-file or password-credential gives one");
		return -1;
	}
	buf_init(&prompt, 0);
	buf_addf(&prompt, "%s: password of ", account->name);
	output_visible(&prompt, slice_of(account->user));
	buf_addf(&prompt, " at %s: ", account->host);
	buf_init(out, PASSWORD_OCTETS);
	buf_reserve(out, PASSWORD_OCTETS); /* it must not move: a copy would stay behind */
	asked = ask(fd, buf_str(&prompt), out);
	buf_release(&prompt);
	close(fd);
	if (asked && out->len > 0)
		return 0;
	output_error(account->name, NULL, "no password was typed");
	return -1;
}
