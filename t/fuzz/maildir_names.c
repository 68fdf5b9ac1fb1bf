/* Mailbox names to folders and back. Input: layout and delimiter, then two names with NUL between.
 * No folder leads out of the root or is too long for the file system, two different mailboxes have
 * different folders, and a folder is some mailbox's or none's. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "fuzz/fuzz.h"
#include "mail/mail.h"
#include "maildir/maildir.h"

static void check(bool holds)
{
	if (!holds)
		abort();
}

static void check_folder(enum maildir_layout layout, const char *folder)
{
	check(strlen(folder) <= (layout == MAILDIR_NESTED ? 900 : 240));
	check(layout == MAILDIR_NESTED ? *folder != '\0' : *folder == '\0' || *folder == '.');
	check(layout == MAILDIR_NESTED || strchr(folder, '/') == NULL);
	check(strncasecmp(folder, ".mailtide", 9) != 0);
	for (const char *p = folder; *p != '\0'; p++)
		check((unsigned char)*p >= ' ' && *p != 0x7f);
	while (layout == MAILDIR_NESTED) {
		size_t len = strcspn(folder, "/");
		check(len > 0 && len <= 200 && *folder != '.');
		check(len != 3 || (memcmp(folder, "cur", 3) != 0 && memcmp(folder, "new", 3) != 0 &&
			memcmp(folder, "tmp", 3) != 0));
		if (folder[len] == '\0')
			break;
		folder += len + 1;
	}
}

/* The mailbox's folder in *folder. */
static bool round_trip(enum maildir_layout layout, const char *mailbox, char delimiter, struct buf *folder)
{
	struct buf again;
	if (!maildir_folder_name(layout, mailbox, delimiter, folder)) {
		check(*mailbox == '\0');
		return false;
	}
	check(strlen(buf_str(folder)) == folder->len);
	check_folder(layout, buf_str(folder));
	buf_init(&again, 0);
	if (maildir_mailbox_name(layout, buf_str(folder), delimiter, &again))
		check(strcmp(buf_str(&again), mailbox) == 0 ||
			(strcasecmp(mailbox, "INBOX") == 0 && strcmp(buf_str(&again), "INBOX") == 0));
	else
		check(again.len == 0 && strstr(buf_str(folder), "%~") != NULL);
	buf_release(&again);
	return true;
}

/* Two names, each other's alternative folders included. */
static void compare(enum maildir_layout layout, const char *a, const char *b, char delimiter)
{
	struct buf x, y, other;
	buf_init(&x, 0);
	buf_init(&y, 0);
	buf_init(&other, 0);
	bool first = round_trip(layout, a, delimiter, &x), second = round_trip(layout, b, delimiter, &y);
	bool same = strcmp(a, b) == 0 || (strcasecmp(a, "INBOX") == 0 && strcasecmp(b, "INBOX") == 0);
	if (first && second) {
		check((strcmp(buf_str(&x), buf_str(&y)) == 0) == same);
		maildir_folder_alternative(layout, buf_str(&x), 2, &other);
		check(strcmp(buf_str(&other), buf_str(&y)) != 0);
	}
	buf_release(&x);
	buf_release(&y);
	buf_release(&other);
}

/* Any bytes as a folder found on disk. */
static void invert(enum maildir_layout layout, const char *folder, char delimiter)
{
	struct buf mailbox, again;
	buf_init(&mailbox, 0);
	buf_init(&again, 0);
	if (maildir_mailbox_name(layout, folder, delimiter, &mailbox)) {
		check(maildir_folder_name(layout, buf_str(&mailbox), delimiter, &again));
		check(strcmp(buf_str(&again), folder) == 0);
	}
	buf_release(&mailbox);
	buf_release(&again);
}

static void utf7(const char *name)
{
	struct buf text, again;
	bool canonical;
	buf_init(&text, 0);
	buf_init(&again, 0);
	if (mail_utf7_decode(slice_of(name), &text, &canonical)) {
		check(strlen(buf_str(&text)) == text.len);
		check(mail_utf7_encode(slice_of(buf_str(&text)), &again));
		check((strcmp(buf_str(&again), name) == 0) == canonical);
	}
	buf_clear(&text);
	buf_clear(&again);
	if (mail_utf7_encode(slice_of(name), &text))
		check(mail_utf7_decode(slice_of(buf_str(&text)), &again, &canonical) && canonical &&
			strcmp(buf_str(&again), name) == 0);
	buf_release(&text);
	buf_release(&again);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (size < 2)
		return 0;
	enum maildir_layout layout = data[0] % 2 == 0 ? MAILDIR_NESTED : MAILDIR_PLUS;
	char delimiter = (char)data[1];
	char *a = mem_copy_slice((struct slice){ (const char *)data + 2, size - 2 });
	size_t len = strlen(a);
	const char *b = len < size - 2 ? a + len + 1 : "";
	compare(layout, a, b, delimiter);
	invert(layout, a, delimiter);
	utf7(a);
	free(a);
	return 0;
}
