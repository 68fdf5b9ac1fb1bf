/* A line of standard input becomes words, by the rules of a shell for quotes and backslashes, and
 * none of its others. */
#include <stdlib.h>
#include <string.h>

#include "queue.h"

struct words {
	const char *at; /* what is still to be read */
	char *to;       /* where the next octet goes: never past `at` */
	const char **words;
	size_t count;
};

static bool is_blank(char c)
{
	return c == ' ' || c == '\t';
}

static int unfinished(struct err *err, const char *what)
{
	return err_set(err, ERR_USER, ERR_MESSAGE, "%s", what);
}

static int take_single(struct words *w, struct err *err)
{
	const char *end = strchr(w->at, '\'');

	if (!end)
		return unfinished(err, "a ' is not closed");
	memmove(w->to, w->at, (size_t)(end - w->at));
	w->to += end - w->at;
	w->at = end + 1;
	return 0;
}

/* In it a backslash stands for itself, but before " \ $ and `. */
static int take_double(struct words *w, struct err *err)
{
	while (*w->at && *w->at != '"') {
		if (*w->at == '\\' && w->at[1] && strchr("\"\\$`", w->at[1]))
			w->at++;
		*w->to++ = *w->at++;
	}
	if (!*w->at++)
		return unfinished(err, "a \" is not closed");
	return 0;
}

static int take_piece(struct words *w, struct err *err)
{
	char c = *w->at++;

	if (c == '\'')
		return take_single(w, err);
	if (c == '"')
		return take_double(w, err);
	if (c == '\\' && !(c = *w->at++))
		return unfinished(err, "nothing follows the last \\");
	*w->to++ = c;
	return 0;
}

static int take_word(struct words *w, struct err *err)
{
	size_t n = w->count++;

	if ((n & (n - 1)) == 0) /* full, or 0 */
		w->words = mem_grow(w->words, n > 0 ? 2 * n : 1, sizeof *w->words);
	w->words[n] = w->to;
	while (*w->at && !is_blank(*w->at))
		if (take_piece(w, err) < 0)
			return -1;
	/* The blank, or the end, is behind us before it is written over. */
	if (*w->at)
		w->at++;
	*w->to++ = '\0';
	return 0;
}

int queue_words(char *line, const char ***words, size_t *count, struct err *err)
{
	struct words w = { .at = line, .to = line };

	for (;;) {
		while (is_blank(*w.at))
			w.at++;
		if (!*w.at)
			break;
		if (take_word(&w, err) < 0) {
			free(w.words);
			return -1;
		}
	}
	*words = w.words;
	*count = w.count;
	return 0;
}
