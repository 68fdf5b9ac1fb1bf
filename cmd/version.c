/* mailtide version; with -v the libraries, too, as the loader has found them. */
#include <link.h>
#include <stdlib.h>
#include <string.h>

#include "cmd.h"
#include "output.h"

/* The file behind the symbolic link tells the full version: libzstd.so.1.5.4. */
static int on_library(struct dl_phdr_info *info, size_t size, void *arg)
{
	json_t *names = arg;
	char *path = info->dlpi_name && info->dlpi_name[0] ? realpath(info->dlpi_name, NULL) : NULL;
	const char *base = path ? strrchr(path, '/') + 1 : NULL;

	(void)size;
	if (base) {
		if (!output_is_json())
			output_line("%s", base);
		json_array_append_new(names, output_text(base));
	}
	free(path);
	return 0;
}

int cmd_version(const struct cmd *cmd)
{
	json_t *o = output_object_new("version"), *names = json_array();

	output_line("mailtide %s", MAILTIDE_VERSION);
	json_object_set_new(o, "version", json_string(MAILTIDE_VERSION));
	if (cmd->verbose > 0) {
		dl_iterate_phdr(on_library, names);
		json_object_set(o, "libraries", names);
	}
	json_decref(names);
	output_object(o);
	return CMD_DONE;
}
