/* "did you mean": the nearest of some names, by how many letters differ. */
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "cmd.h"

#define NAME_LIMIT 64

static unsigned least(unsigned a, unsigned b, unsigned c)
{
	unsigned ab = a < b ? a : b;

	return ab < c ? ab : c;
}

static bool same_letter(char a, char b)
{
	return strncasecmp(&a, &b, 1) == 0;
}

/* Letters to be changed, added or left out. */
static unsigned distance(const char *a, const char *b)
{
	unsigned row[NAME_LIMIT + 1];
	size_t n = strlen(b);

	for (unsigned j = 0; j <= n; j++)
		row[j] = j;
	for (unsigned i = 1; *a; a++, i++) {
		unsigned diagonal = row[0];
		row[0] = i;
		for (size_t j = 1; j <= n; j++) {
			unsigned above = row[j];
			row[j] = least(above + 1, row[j - 1] + 1, diagonal + !same_letter(*a, b[j - 1]));
			diagonal = above;
		}
	}
	return row[n];
}

void similar_to(struct similar *s, const char *wanted)
{
	*s = (struct similar){ wanted, NULL, 0 };
}

void similar_add(struct similar *s, const char *name)
{
	size_t len = strlen(s->wanted);
	unsigned d;

	if (len > NAME_LIMIT || strlen(name) > NAME_LIMIT)
		return;
	d = distance(s->wanted, name);
	if (d > 2 || d >= strlen(name) || (s->best && d >= s->distance))
		return;
	s->best = name;
	s->distance = d;
}

const char *similar_text(const struct similar *s)
{
	static char text[NAME_LIMIT + 32];

	if (!s->best)
		return "";
	snprintf(text, sizeof text, "; did you mean \"%s\"?", s->best);
	return text;
}
