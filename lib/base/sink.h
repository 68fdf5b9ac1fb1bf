/* Where streamed bytes go: the receiver of a literal that is too large, or too common, to be held
 * in memory. Embedded in the receiver's own struct. */
#ifndef BASE_SINK_H
#define BASE_SINK_H

#include <stddef.h>

struct sink;

struct sink_ops {
	/* The next bytes. A receiver that fails remembers why and swallows the rest: a sink has no
	 * way to stop a server in the middle of a literal. */
	void (*write)(struct sink *sink, const char *data, size_t len);
	/* All promised bytes came (whole = 1), or the connection ended before (whole = 0; what came is
	 * not a message, S17). Called exactly once; the sink is not used afterwards. */
	void (*end)(struct sink *sink, int whole);
};

struct sink {
	const struct sink_ops *ops;
};

#endif
