#include "base/buf.h"

#include <stdint.h>
#include <stdlib.h>

#include "lib/tap.h"

static void is_buf(const struct buf *b, const char *want, const char *what)
{
	is_mem(buf_slice(b).data, b->len, want, strlen(want), "%s", what);
	is_int(buf_str(b)[b->len], '\0', "%s: a NUL follows", what);
}

static void test_nothing_added(void)
{
	struct buf b;

	buf_init(&b, 0);
	ok(b.data == NULL, "no memory before something is added");
	is_buf(&b, "", "empty");
	ok(buf_add(&b, NULL, 0), "nothing can be added");
	ok(buf_add_str(&b, ""), "and an empty text");
	ok(b.data == NULL, "which takes no memory");
	buf_consume(&b, 0);
	buf_truncate(&b, 7);
	buf_clear(&b);
	buf_shrink(&b, 0);
	is_buf(&b, "", "still empty");
	char *text = buf_take(&b);
	is_str(text, "", "what is taken from an empty buffer is a text");
	free(text);
	buf_release(&b);
	buf_release(&b);
	ok(b.data == NULL, "a second release is harmless");
}

static void test_ceiling(void)
{
	static const struct {
		size_t limit;
		const char *first, *second;
		bool fits;
	} rows[] = {
		{ 1, "", "a", true },
		{ 1, "", "ab", false },
		{ 1, "a", "", true },
		{ 1, "a", "b", false },
		{ 4, "ab", "cd", true },
		{ 4, "ab", "cde", false },
		{ 4, "abcd", "", true },
		{ 0, "ab", "cde", true },
		{ SIZE_MAX, "ab", "cde", true },
	};

	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		struct buf a, f;
		char want[16];
		buf_init(&a, rows[i].limit);
		buf_init(&f, rows[i].limit);
		buf_add_str(&a, rows[i].first);
		buf_add_str(&f, rows[i].first);
		snprintf(want, sizeof want, "%s%s", rows[i].first, rows[i].fits ? rows[i].second : "");
		is_int(buf_add_str(&a, rows[i].second), rows[i].fits, "row %zu: add", i);
		is_int(buf_addf(&f, "%s", rows[i].second), rows[i].fits, "row %zu: addf", i);
		is_buf(&a, want, "add");
		is_buf(&f, want, "addf");
		buf_release(&a);
		buf_release(&f);
	}
}

static void test_ceiling_of_reserve(void)
{
	struct buf b;

	buf_init(&b, 4);
	buf_add_str(&b, "abc");
	ok(buf_reserve(&b, 2) == NULL, "no room above the ceiling");
	ok(buf_reserve(&b, SIZE_MAX) == NULL, "nor for a length that would wrap");
	char *room = buf_reserve(&b, 1);
	ok(room != NULL, "room up to the ceiling");
	*room = 'd';
	is_mem(b.data, b.len, "abc", 3, "reserved bytes do not count");
	buf_added(&b, 1);
	is_buf(&b, "abcd", "until they are added");
	buf_consume(&b, 1);
	ok(buf_add_char(&b, 'e'), "what was consumed makes room again");
	is_buf(&b, "bcde", "at the front");
	buf_release(&b);
	is_int(b.limit, 4, "the ceiling outlives a release");

	buf_init(&b, 0);
	buf_add_str(&b, "a");
	ok(buf_reserve(&b, SIZE_MAX) == NULL, "without a ceiling the address space is one");
	buf_release(&b);
}

static void test_bytes(void)
{
	struct buf b;
	const char bytes[] = { 'a', '\0', 'b' };

	buf_init(&b, 0);
	buf_add(&b, bytes, sizeof bytes);
	buf_add_char(&b, '\0');
	buf_add_slice(&b, (struct slice){ NULL, 0 });
	buf_add_slice(&b, slice_of("c"));
	is_mem(b.data, b.len, "a\0b\0c", 5, "NUL is a byte like others");
	buf_truncate(&b, 2);
	is_mem(b.data, b.len, "a\0", 2, "truncated");
	buf_truncate(&b, 3);
	is_int(b.len, 2, "truncation never lengthens");
	buf_consume(&b, 2);
	is_buf(&b, "", "all consumed");
	ok(b.start == 0, "the memory is whole again");
	buf_addf(&b, "%d %s", -5, "x");
	is_buf(&b, "-5 x", "formatted");
	buf_release(&b);
}

static void test_take(void)
{
	struct buf b;

	buf_init(&b, 9);
	buf_add_str(&b, "abcdef");
	buf_consume(&b, 2);
	char *text = buf_take(&b);
	is_str(text, "cdef", "taken without what was consumed");
	free(text);
	ok(b.data == NULL && b.len == 0 && b.size == 0, "the buffer is empty");
	is_int(b.limit, 9, "and has its ceiling");
	buf_release(&b);
}

static void test_shrink(void)
{
	struct buf b;

	buf_init(&b, 0);
	for (int i = 0; i < 1000; i++)
		buf_add_char(&b, 'x');
	size_t size = b.size;
	buf_consume(&b, 10);
	buf_shrink(&b, size);
	is_int(b.size, size, "kept up to the limit");
	is_buf(&b, "", "but emptied");
	buf_shrink(&b, size - 1);
	ok(b.data == NULL, "given back above it");
	buf_release(&b);
}

/* A window slides over a stream, as the framer's does; the model is the stream itself. */
static void slide(size_t limit, size_t window, size_t step)
{
	struct buf b;
	size_t in = 0, out = 0, wrong = 0, largest = 0;

	buf_init(&b, limit);
	while (in < 300000) {
		while (in - out < window)
			wrong += !buf_add_char(&b, (char)(in++ % 251));
		for (size_t i = 0; i < step; i++)
			wrong += b.data[i] != (char)((out + i) % 251);
		buf_consume(&b, step);
		out += step;
		largest = b.size > largest ? b.size : largest;
	}
	is_int(wrong, 0, "window %zu, step %zu, ceiling %zu: the stream comes through", window, step,
		limit);
	ok(largest <= 4 * window + 64, "in %zu bytes of memory", largest);
	buf_release(&b);
}

static void test_memory(void)
{
	char secret[] = "secret";
	char *p = mem_new(3);

	ok(p[0] == 0 && p[2] == 0, "new memory is zeroed");
	p = mem_grow(p, 2, 8);
	ok(p[0] == 0 && p[2] == 0, "growing keeps the content");
	free(p);
	free(mem_new(0));
	free(mem_grow(NULL, 0, 8));
	p = mem_copy_slice((struct slice){ NULL, 0 });
	is_str(p, "", "copy of nothing");
	free(p);
	p = mem_copy_slice((struct slice){ "abc", 2 });
	is_str(p, "ab", "copy of a slice");
	free(p);
	p = mem_printf("%s-%d", "a", 7);
	is_str(p, "a-7", "printf");
	free(p);
	mem_wipe(secret, sizeof secret);
	is_mem(secret, sizeof secret, "\0\0\0\0\0\0", 7, "wiped");
	mem_wipe(NULL, 0);
}

int main(void)
{
	test_nothing_added();
	test_ceiling();
	test_ceiling_of_reserve();
	test_bytes();
	test_take();
	test_shrink();
	slide(0, 1, 1);
	slide(0, 100, 1);
	slide(0, 100, 99);
	slide(4096, 4096, 1);
	slide(4096, 4096, 4096);
	slide(100, 100, 7);
	test_memory();
	return done_testing();
}
