/* Keywords have numbers, so that a record holds four octets for each. The names are few and asked
 * for with every message: they are kept in memory, by number as they are met, and in the order of
 * their names from the first time that one is looked up for writing. */
#include <stdlib.h>
#include <strings.h>

#include "store/store_private.h"

/* Far more than any server has; what is above is a damaged record. */
#define KEYWORDS_MAX (1u << 24)

static void remember(struct store_keywords *k, uint32_t number, struct slice name)
{
	if (number > k->count) {
		uint32_t count = number + 16 + number / 2;
		k->names = mem_grow(k->names, count, sizeof *k->names);
		memset(k->names + k->count, 0, (count - k->count) * sizeof *k->names);
		k->count = count;
	}
	if (k->names[number - 1] == NULL)
		k->names[number - 1] = mem_copy_slice(name);
}

const char *store_keyword_name(struct store *s, uint32_t number)
{
	struct store_keywords *k = &s->keywords;
	if (number == 0 || number > KEYWORDS_MAX)
		return NULL;
	if (number <= k->count && k->names[number - 1] != NULL)
		return k->names[number - 1];
	struct store_key key;
	struct slice value;
	store_key_u32(&key, number);
	store_read_begin(s);
	bool found = store_db_get(s, STORE_DB_KEYWORDS, &key, &value) && value.len > 1 &&
		value.data[0] == STORE_RECORD_VERSION;
	if (found)
		remember(k, number, (struct slice){ value.data + 1, value.len - 1 });
	store_read_end(s);
	return found ? k->names[number - 1] : NULL;
}

/* Where the name stands in `sorted`, or belongs. */
static size_t find(const struct store_keywords *k, const char *name, bool *found)
{
	size_t low = 0, high = k->sorted_count;
	*found = false;
	while (low < high) {
		size_t middle = low + (high - low) / 2;
		int order = strcasecmp(name, k->names[k->sorted[middle] - 1]);
		if (order == 0) {
			*found = true;
			return middle;
		}
		if (order < 0)
			high = middle;
		else
			low = middle + 1;
	}
	return low;
}

static void insert(struct store_keywords *k, size_t at, uint32_t number)
{
	if (k->sorted_count % 64 == 0)
		k->sorted = mem_grow(k->sorted, k->sorted_count + 64, sizeof *k->sorted);
	memmove(k->sorted + at + 1, k->sorted + at, (k->sorted_count - at) * sizeof *k->sorted);
	k->sorted[at] = number;
	k->sorted_count++;
}

static void read_all(struct store *s)
{
	struct store_keywords *k = &s->keywords;
	for (uint32_t number = 1; number <= s->counters.keyword; number++) {
		const char *name = store_keyword_name(s, number);
		bool found;
		size_t at = name != NULL ? find(k, name, &found) : 0;
		if (name != NULL && !found)
			insert(k, at, number);
	}
	k->whole = true;
}

uint32_t store_keyword_number(struct store *s, const char *name)
{
	struct store_keywords *k = &s->keywords;
	if (!k->whole)
		read_all(s);
	bool found;
	size_t at = find(k, name, &found);
	if (found)
		return k->sorted[at];

	INVARIANT(s->counters.keyword < KEYWORDS_MAX);
	uint32_t number = (uint32_t)++s->counters.keyword;
	struct store_key key;
	store_key_u32(&key, number);
	buf_clear(&s->scratch);
	buf_add_char(&s->scratch, STORE_RECORD_VERSION);
	buf_add_str(&s->scratch, name);
	store_db_put(s, STORE_DB_KEYWORDS, &key, buf_slice(&s->scratch));
	remember(k, number, slice_of(name));
	insert(k, at, number);
	return number;
}

void store_keywords_forget(struct store *s)
{
	struct store_keywords *k = &s->keywords;
	for (uint32_t i = 0; i < k->count; i++)
		free(k->names[i]);
	free(k->names);
	free(k->sorted);
	*k = (struct store_keywords){ 0 };
}
