/* Any bytes as the configuration: an answer, and where it is a refusal, one line. */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/err.h"
#include "conf/conf.h"
#include "fuzz/fuzz.h"

static void use(const struct conf *conf)
{
	for (size_t i = 0; i < conf->account_count; i++) {
		const struct conf_account *a = &conf->accounts[i];
		struct conf_mailbox_rules rules;

		if (a->host == NULL || a->user == NULL || a->maildir[0] != '/' || a->state[0] != '/' ||
			a->port == 0 || a->connections == 0 || conf_find(conf, a->name) != a)
			abort();
		conf_chooses(a, "Lists/a", '/');
		rules = conf_rules(a, a->profile_count > 0 ? &a->profiles[0] : NULL, "Lists/a");
		if (a->max_commands == 0 || a->max_line_bytes < 500 ||
			conf_rules_fingerprint(&rules) == 0)
			abort();
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	int fd = memfd_create("conf", MFD_CLOEXEC);
	char path[40];
	struct conf *conf;
	struct err err;

	setenv("MAILTIDE_DATADIR", "conf", 1); /* the tree's own providers */
	if (fd < 0 || fchmod(fd, 0600) != 0 || write(fd, data, size) != (ssize_t)size)
		abort();
	snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
	err_clear(&err);
	conf = conf_read(path, &err);
	if (conf == NULL && (err.cls != ERR_USER || err.text[0] == '\0' || strchr(err.text, '\n')))
		abort();
	if (conf != NULL)
		use(conf);
	conf_free(conf);
	close(fd);
	return 0;
}
