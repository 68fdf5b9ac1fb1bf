#include "conf/values.h"

#include <string.h>
#include <strings.h>

#include "base/slice.h"

/* Digits, then the rest. strtoull would take blanks, signs and a silent overflow. */
static bool take_digits(const char *text, uint64_t *out, const char **rest)
{
	uint64_t n = 0;
	const char *p = text;

	for (; *p >= '0' && *p <= '9'; p++) {
		uint64_t digit = (uint64_t)(*p - '0');

		if (n > (UINT64_MAX - digit) / 10)
			return false;
		n = n * 10 + digit;
	}
	if (p == text)
		return false;
	*out = n;
	*rest = p;
	return true;
}

struct unit {
	const char *name;
	uint64_t times;
};

/* How often the unit's text stands for one; 0: it is none of them. */
static uint64_t times_of(const char *text, const struct unit *units)
{
	for (const struct unit *u = units; u->name != NULL; u++) {
		if (strcasecmp(text, u->name) == 0)
			return u->times;
	}
	return 0;
}

/* A number and one of the units, the product at most `max`. */
static bool take_units(const char *text, const struct unit *units, uint64_t max, uint64_t *out)
{
	uint64_t n, times;
	const char *rest;

	if (!take_digits(text, &n, &rest))
		return false;
	times = times_of(rest, units);
	if (times == 0 || n > max / times)
		return false;
	*out = n * times;
	return true;
}

bool conf_value_number(const char *text, uint64_t min, uint64_t max, uint64_t *out)
{
	uint64_t n;
	const char *rest;

	if (!take_digits(text, &n, &rest) || *rest != '\0' || n < min || n > max)
		return false;
	*out = n;
	return true;
}

bool conf_value_size(const char *text, uint64_t *bytes)
{
	static const struct unit units[] = {
		{ "", 1 }, { "K", 1 << 10 }, { "M", 1 << 20 }, { "G", 1 << 30 },
		{ "T", (uint64_t)1 << 40 }, { NULL, 0 },
	};

	return take_units(text, units, INT64_MAX, bytes);
}

bool conf_value_age(const char *text, int64_t *age_s)
{
	/* No "m": nobody could say whether it is a minute or a month. */
	static const struct unit units[] = {
		{ "h", 3600 }, { "d", 86400 }, { "w", 7 * 86400 }, { "y", 365 * 86400 },
		{ NULL, 0 },
	};
	uint64_t n;

	/* A thousand years: what is computed from it never overflows. */
	if (!take_units(text, units, (uint64_t)1000 * 365 * 86400, &n) || n == 0)
		return false;
	*age_s = (int64_t)n;
	return true;
}

bool conf_value_timeout(const char *text, double *timeout_s)
{
	static const struct unit units[] = {
		{ "", 1 }, { "s", 1 }, { "m", 60 }, { "h", 3600 }, { NULL, 0 },
	};
	uint64_t n;

	if (!take_units(text, units, 86400, &n) || n == 0)
		return false;
	*timeout_s = (double)n;
	return true;
}

bool conf_value_pause(const char *text, double *pause_s)
{
	static const struct unit units[] = { { "", 1 }, { "s", 1 }, { "m", 60 }, { NULL, 0 } };
	uint64_t whole, part = 0, parts = 1, times;
	const char *rest;
	double pause;

	if (!take_digits(text, &whole, &rest))
		return false;
	if (*rest == '.') {
		const char *digits = rest + 1;

		if (!take_digits(digits, &part, &rest) || rest - digits > 6)
			return false;
		for (; digits < rest; digits++)
			parts *= 10;
	}
	times = times_of(rest, units);
	pause = ((double)whole + (double)part / (double)parts) * (double)times;
	if (times == 0 || pause > 600)
		return false;
	*pause_s = pause;
	return true;
}

bool conf_value_percent(const char *text, unsigned *percent)
{
	static const struct unit units[] = { { "%", 1 }, { NULL, 0 } };
	uint64_t n;

	if (!take_units(text, units, 100, &n))
		return false;
	*percent = (unsigned)n;
	return true;
}

bool conf_value_bool(const char *text, bool *out)
{
	static const char *const words[] = { "no", "yes", "false", "true", "off", "on", NULL };
	unsigned place;

	if (!conf_value_word(text, words, &place))
		return false;
	*out = place % 2 == 1;
	return true;
}

bool conf_value_word(const char *text, const char *const *words, unsigned *place)
{
	for (unsigned i = 0; words[i] != NULL; i++) {
		if (strcasecmp(text, words[i]) == 0) {
			*place = i;
			return true;
		}
	}
	return false;
}

bool conf_value_pin(const char *text)
{
	static const char base64[] =
		"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
	const char *prefix = "sha256//";
	size_t n = strlen(prefix);

	/* 32 bytes are 43 characters and one "=". */
	return strncmp(text, prefix, n) == 0 && strlen(text) == n + 44 &&
		strspn(text + n, base64) == 43 && text[n + 43] == '=';
}

static struct slice trim(struct slice s)
{
	while (s.len > 0 && (*s.data == ' ' || *s.data == '\t')) {
		s.data++;
		s.len--;
	}
	while (s.len > 0 && (s.data[s.len - 1] == ' ' || s.data[s.len - 1] == '\t'))
		s.len--;
	return s;
}

static int bad_part(struct slice part, const char *why, struct err *err)
{
	int len = part.len > 80 ? 80 : (int)part.len;

	return err_set(err, ERR_USER, ERR_ACCOUNT, "\"%.*s\" %s", len, part.data, why);
}

/* "newer 30d" and the like: true where the first word is `word`; its argument, NUL-terminated. */
static bool argument_of(struct slice part, const char *word, char *argument, size_t size)
{
	size_t n = strlen(word);
	struct slice rest;

	if (!slice_starts_nocase(part, word) || (part.len > n && part.data[n] != ' ' &&
		part.data[n] != '\t'))
		return false;
	rest = trim((struct slice){ part.data + n, part.len - n });
	if (rest.len >= size)
		rest.len = 0; /* no sane argument is that long; the caller calls it malformed */
	memcpy(argument, rest.data, rest.len);
	argument[rest.len] = '\0';
	return true;
}

static int take_condition(struct slice part, struct conf_bodies *b, struct err *err)
{
	char argument[32];
	bool again = false;

	if (slice_is_nocase(part, "flagged")) {
		again = b->flagged;
		b->flagged = true;
	} else if (slice_is_nocase(part, "unseen")) {
		again = b->unseen;
		b->unseen = true;
	} else if (argument_of(part, "newer", argument, sizeof argument)) {
		again = b->newer_s > 0;
		if (!conf_value_age(argument, &b->newer_s))
			return bad_part(part, "needs an age, such as \"newer 30d\"", err);
	} else if (argument_of(part, "smaller", argument, sizeof argument)) {
		again = b->smaller > 0;
		if (!conf_value_size(argument, &b->smaller) || b->smaller == 0)
			return bad_part(part, "needs a size, such as \"smaller 2M\"", err);
	} else {
		return bad_part(part,
			"is not one of all, none, newer AGE, smaller SIZE, flagged, unseen", err);
	}
	return again ? bad_part(part, "says again what was said before it", err) : 0;
}

int conf_value_bodies(const char *text, struct conf_bodies *out, struct err *err)
{
	struct conf_bodies b = { .none = false };
	const char *p = text;

	for (bool first = true;; first = false) {
		size_t n = strcspn(p, ",");
		struct slice part = trim((struct slice){ p, n });
		bool alone = first && p[n] == '\0';

		if (part.len == 0)
			return err_set(err, ERR_USER, ERR_ACCOUNT,
				"a condition is missing beside a comma");
		if (slice_is_nocase(part, "all") || slice_is_nocase(part, "none")) {
			if (!alone)
				return bad_part(part, "cannot be joined with a condition", err);
			b.none = part.len == strlen("none");
		} else if (take_condition(part, &b, err) != 0) {
			return -1;
		}
		if (p[n] == '\0')
			break;
		p += n + 1;
	}
	*out = b;
	return 0;
}
