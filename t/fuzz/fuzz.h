/* A main() for fuzzers where libFuzzer is absent: it replays inputs, so that what a fuzzer has ever
 * found stays a test. To be included last.
 *
 *	build/t/fuzz/uids t/fuzz/corpus/uids crash-1234
 *
 * TAP: one line for each folder, with the number of its inputs, and one for each file; without an
 * argument the folder t/fuzz/corpus/PROGRAM. Each input is named before it runs: the last one
 * that `prove -v` shows is the one that crashed.
 *
 * With -DLIBFUZZER (clang -fsanitize=fuzzer) nothing is defined here. */
#ifndef FUZZ_H
#define FUZZ_H

#include <stddef.h>
#include <stdint.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#ifndef LIBFUZZER

#include <dirent.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/buf.h"
#include "base/file.h"
#include "lib/tap.h"

/* The input lies in memory of exactly its size: ASan then sees what reads one octet beyond. */
static bool fuzz_run_file(const char *path)
{
	struct buf content;
	struct err err;

	printf("# %s\n", path);
	fflush(stdout);
	buf_init(&content, 0);
	if (file_read(path, &content, NULL, &err) < 0) {
		diag("%s", err.text);
		return false;
	}
	uint8_t *exact = malloc(content.len);
	if (content.len > 0)
		memcpy(exact, content.data, content.len);
	LLVMFuzzerTestOneInput(exact, content.len);
	free(exact);
	buf_release(&content);
	return true;
}

static int fuzz_is_visible(const struct dirent *entry)
{
	return entry->d_name[0] != '.';
}

static void fuzz_run_folder(const char *folder)
{
	struct dirent **entries;
	int count = scandir(folder, &entries, fuzz_is_visible, alphasort);
	bool good = count > 0; /* a folder without inputs would test nothing, and say "ok" */

	for (int i = 0; i < count; i++) {
		char *path = file_join(folder, entries[i]->d_name);
		good = fuzz_run_file(path) && good;
		free(path);
		free(entries[i]);
	}
	if (count >= 0)
		free(entries);
	ok(good, "%s: %d inputs", folder, count > 0 ? count : 0);
}

static void fuzz_run(const char *path)
{
	struct stat st;

	if (stat(path, &st) == 0 && S_ISDIR(st.st_mode))
		fuzz_run_folder(path);
	else
		ok(fuzz_run_file(path), "%s: 1 input", path);
}

int main(int argc, char **argv)
{
	for (int i = 1; i < argc; i++)
		fuzz_run(argv[i]);
	if (argc < 2) {
		const char *slash = strrchr(argv[0], '/');
		char *corpus = file_join("t/fuzz/corpus", slash != NULL ? slash + 1 : argv[0]);
		fuzz_run(corpus);
		free(corpus);
	}
	return done_testing();
}

#endif
#endif
