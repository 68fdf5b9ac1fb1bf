/* Secrets that lie in files. The checks are made on the open file, so that nobody can exchange it
 * between the look and the reading. */
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "conf/conf.h"
#include "conf/source.h"

#define SECRET_MAX ((size_t)64 << 10)

/* systemd grants a service's user its credential by an ACL, which shows as the group's bits; the
 * folder around it is closed. */
static mode_t open_bits(const struct conf_account *account, const struct stat *st)
{
	mode_t bits = account->secret_kind == CONF_SECRET_CREDENTIAL && st->st_uid == 0 ? 007 : 077;

	return st->st_mode & bits;
}

static int check_secret(const char *path, const struct buf *text, struct err *err)
{
	if (text->len == 0)
		return err_set(err, ERR_USER, ERR_ACCOUNT, "the secret in \"%s\" is empty", path);
	if (memchr(text->data, '\0', text->len) != NULL || memchr(text->data, '\n', text->len) != NULL)
		return err_set(err, ERR_USER, ERR_ACCOUNT,
			"the secret in \"%s\" has more than one line", path);
	return 0;
}

static void cut_line_end(struct buf *text)
{
	if (text->len > 0 && text->data[text->len - 1] == '\n') {
		buf_truncate(text, text->len - 1);
		if (text->len > 0 && text->data[text->len - 1] == '\r')
			buf_truncate(text, text->len - 1);
	}
}

static int read_secret(const struct conf_account *account, const char *path, struct buf *text,
	struct err *err)
{
	struct stat st;

	if (conf_source_slurp(path, text, &st, err) != 0)
		return -1;
	if (open_bits(account, &st) != 0)
		return err_set(err, ERR_USER, ERR_ACCOUNT,
			"\"%s\" is open to others; chmod 600 it", path);
	if (st.st_uid != geteuid() && st.st_uid != 0)
		return err_set(err, ERR_USER, ERR_ACCOUNT, "\"%s\" belongs to somebody else", path);
	cut_line_end(text);
	return check_secret(path, text, err);
}

static char *credential_path(const char *name, struct err *err)
{
	const char *folder = getenv("CREDENTIALS_DIRECTORY");

	if (folder == NULL) {
		err_set(err, ERR_USER, ERR_ACCOUNT, "no credential \"%s\": $CREDENTIALS_DIRECTORY is "
			"not set, so systemd did not start this", name);
		return NULL;
	}
	return file_join(folder, name);
}

int conf_secret_read(const struct conf_account *account, struct buf *out, struct err *err)
{
	struct buf text;
	char *path;
	int rc;

	if (account->secret_kind == CONF_SECRET_TEXT)
		return buf_add_str(out, account->secret) ? 0 :
			err_set(err, ERR_USER, ERR_ACCOUNT, "the password is too long");
	INVARIANT(account->secret_kind == CONF_SECRET_FILE ||
		account->secret_kind == CONF_SECRET_CREDENTIAL);
	path = account->secret_kind == CONF_SECRET_FILE ? mem_copy(account->secret)
							: credential_path(account->secret, err);
	if (path == NULL)
		return -1;
	buf_init(&text, SECRET_MAX);
	rc = read_secret(account, path, &text, err);
	if (rc == 0 && !buf_add_slice(out, buf_slice(&text)))
		rc = err_set(err, ERR_USER, ERR_ACCOUNT, "the secret in \"%s\" is too long", path);
	if (text.data != NULL)
		mem_wipe(text.data, text.len);
	buf_release(&text);
	free(path);
	return rc;
}
