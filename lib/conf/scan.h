/* One file's characters on their way into the text that libconfuse reads. */
#ifndef CONF_SCAN_H
#define CONF_SCAN_H

#include <stdbool.h>
#include <stddef.h>

#include "base/err.h"
#include "base/slice.h"
#include "conf/source.h"

/* Adds `data`, the content of source->files[file], to the text, each line with its origin, and what
 * it includes with it. `depth` counts includes; `nested`: the include stands inside a section. 0,
 * or -1 with "FILE:LINE: what is wrong". */
int conf_scan(struct conf_source *source, size_t file, struct slice data, unsigned depth, bool nested,
	struct err *err);

#endif
