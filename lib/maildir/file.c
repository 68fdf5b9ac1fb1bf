/* What a message's file is called: TIME.mNUMBER_STOREID.HOST,S=SIZE and, in cur, ":2," with the
 * letters of its flags (maildir(5)). */
#include <ctype.h>
#include <unistd.h>

#include "maildir/maildir_private.h"

/* Only letters that no program takes for something else in a file name. */
static void add_host(struct buf *out)
{
	char host[65] = "";
	gethostname(host, sizeof host - 1);
	if (host[0] == '\0' || host[0] == '.')
		buf_add_str(out, "localhost");
	for (const char *p = host; *p != '\0' && *p != '.'; p++)
		buf_add_char(out, isalnum((unsigned char)*p) || *p == '-' ? *p : '_');
}

void maildir_base_name(int64_t time, uint64_t number, const char *store_id, uint64_t file_size,
	struct buf *out)
{
	buf_addf(out, "%lld.m%llu_%s.", time > 0 ? (long long)time : 0, (unsigned long long)number,
		store_id);
	add_host(out);
	buf_addf(out, ",S=%llu", (unsigned long long)file_size);
}

void maildir_path(const struct maildir_name *name, struct buf *out)
{
	if (name->folder[0] != '\0') {
		buf_add_str(out, name->folder);
		buf_add_char(out, '/');
	}
	buf_add_str(out, name->is_new ? "new/" : "cur/");
	buf_add_str(out, name->base);
	if (!name->is_new && !name->no_info) {
		buf_add_str(out, ":2,");
		buf_add_str(out, name->letters);
	}
}

static bool are_letters(struct slice s)
{
	if (s.len > 31)
		return false;
	for (size_t i = 0; i < s.len; i++)
		if (!isalnum((unsigned char)s.data[i]))
			return false;
	return true;
}

void maildir_split(struct slice file_name, struct slice *base, struct slice *letters, bool *info)
{
	static const char mark[] = ":2,";
	*base = file_name;
	*letters = (struct slice){ "", 0 };
	*info = false;
	/* A name that is nothing but info has no base. */
	for (size_t i = file_name.len; i-- > 1;) {
		if (i + 3 > file_name.len || memcmp(file_name.data + i, mark, 3) != 0)
			continue;
		struct slice after = { file_name.data + i + 3, file_name.len - i - 3 };
		if (!are_letters(after))
			return;
		base->len = i;
		*letters = after;
		*info = true;
		return;
	}
}
