#include "conf/provider.h"

#include <ctype.h>
#include <dirent.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/file.h"
#include "conf/near.h"

#define PROGRAM "/proc/self/exe"
#define SUFFIX ".conf"
#define NAME_MAX_LEN 64

enum { FOLDERS = 3 };

/* Next to the source, where the program lies in its build folder; NULL: who knows where. */
static char *source_folder(void)
{
	char program[PATH_MAX];
	ssize_t n = readlink(PROGRAM, program, sizeof program - 1);
	char *slash;

	if (n <= 0)
		return NULL;
	program[n] = '\0';
	slash = strrchr(program, '/');
	if (slash == NULL)
		return NULL;
	*slash = '\0';
	return mem_printf("%s/../conf/providers", program);
}

/* The i-th folder in which settings may lie, or NULL. */
static char *folder_at(int i)
{
	const char *given = getenv("MAILTIDE_DATADIR");

	switch (i) {
	case 0:
		return given != NULL && *given != '\0' ? file_join(given, "providers") : NULL;
	case 1:
		return mem_copy(MAILTIDE_DATADIR "/providers");
	default:
		return source_folder();
	}
}

/* As its file is called. False where no file could be called so. */
static bool fold_name(const char *name, char *folded)
{
	size_t n = strlen(name);

	if (n > NAME_MAX_LEN || *name == '-')
		return false;
	for (size_t i = 0; i <= n; i++) {
		char c = (char)tolower((unsigned char)name[i]);

		if (c != '\0' && c != '-' && !isalnum((unsigned char)c))
			return false;
		folded[i] = c;
	}
	return true;
}

static char *find(const char *folded)
{
	for (int i = 0; i < FOLDERS; i++) {
		char *folder = folder_at(i);
		char *path = folder != NULL ? mem_printf("%s/%s" SUFFIX, folder, folded) : NULL;

		free(folder);
		if (path != NULL && access(path, F_OK) == 0)
			return path;
		free(path);
	}
	return NULL;
}

static int is_settings(const struct dirent *entry)
{
	const char *dot = strrchr(entry->d_name, '.');

	return dot != NULL && dot != entry->d_name && strcmp(dot, SUFFIX) == 0;
}

/* The sentence, where the names that are there stand in entries[0..count). */
static int tell_names(const char *name, struct dirent **entries, int count, struct err *err)
{
	struct conf_near near;
	struct buf known;

	conf_near_init(&near, name);
	buf_init(&known, 300);
	for (int i = 0; i < count; i++) {
		*strrchr(entries[i]->d_name, '.') = '\0';
		conf_near_try(&near, entries[i]->d_name);
		buf_addf(&known, "%s%s", i > 0 ? ", " : "", entries[i]->d_name);
	}
	if (near.found != NULL)
		err_set(err, ERR_USER, ERR_ACCOUNT,
			"there is no provider \"%.60s\"; did you mean \"%s\"?", name, near.found);
	else
		err_set(err, ERR_USER, ERR_ACCOUNT,
			"there is no provider \"%.60s\"; known are %s", name, buf_str(&known));
	buf_release(&known);
	return 1;
}

/* The first folder that has any settings is the one whose names are told. */
static int tell_unknown(const char *name, struct err *err)
{
	for (int i = 0; i < FOLDERS; i++) {
		char *folder = folder_at(i);
		struct dirent **entries;
		int count = folder != NULL ? scandir(folder, &entries, is_settings, alphasort) : -1;

		free(folder);
		if (count > 0)
			tell_names(name, entries, count, err);
		for (int j = 0; j < count; j++)
			free(entries[j]);
		if (count >= 0)
			free(entries);
		if (count > 0)
			return 1;
	}
	err_set(err, ERR_USER, ERR_ACCOUNT, "no settings of providers are installed in \"%s\"; "
		"leave \"provider\" out, or set $MAILTIDE_DATADIR", MAILTIDE_DATADIR "/providers");
	return 1;
}

/* Who owns the program could have us do anything; who owns anything else could not. */
static bool is_trusted(uid_t owner)
{
	struct stat program;

	return owner == 0 || owner == geteuid() ||
		(stat(PROGRAM, &program) == 0 && program.st_uid == owner);
}

static int check_trust(const struct conf_tree *tree, struct err *err)
{
	for (size_t i = 0; i < tree->source.file_count; i++) {
		const struct conf_source_file *file = &tree->source.files[i];

		if (!is_trusted(file->owner))
			err_set(err, ERR_USER, ERR_ACCOUNT,
				"the provider's settings in \"%s\" belong to somebody else", file->path);
		else if ((file->mode & 002) != 0)
			err_set(err, ERR_USER, ERR_ACCOUNT,
				"the provider's settings in \"%s\" can be written by everybody; "
				"chmod o-w them", file->path);
		else
			continue;
		return 1;
	}
	return 0;
}

int conf_provider_read(struct conf_tree *tree, const char *name, struct err *err)
{
	char folded[NAME_MAX_LEN + 1];
	char *path;
	int rc;

	*tree = (struct conf_tree){ .provider = true };
	path = fold_name(name, folded) ? find(folded) : NULL;
	if (path == NULL)
		return tell_unknown(name, err);
	rc = conf_tree_read_provider(tree, path, err);
	free(path);
	return rc == 0 ? check_trust(tree, err) : rc;
}
