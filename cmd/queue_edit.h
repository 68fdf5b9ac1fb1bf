/* What the two halves of `mailtide queue edit` share: queue_edit.c writes the text and runs the editor,
 * queue_edited.c reads it back. */
#ifndef CMD_QUEUE_EDIT_H
#define CMD_QUEUE_EDIT_H

#include "queue.h"

/* An action as it stands in the text. */
struct text_line {
	struct queue_action a;
	unsigned long at; /* number of the line */
};

/* One that was written into it. */
struct original {
	uint64_t number;
	char *line;
	bool seen, changed;
	struct text_line now; /* where it is changed */
};

struct editing {
	struct actions q;
	char *path;        /* of the text */
	bool keep;         /* the text stays there */
	struct buf before; /* as it was written */
	struct original *originals; /* their numbers ascend */
	size_t original_count;
	struct text_line *added;
	size_t added_count;
	uint64_t *edited; /* numbers of the lines that are changed or dropped */
};

/* Reads the text, and checks each action against what will be in the queue before it. -1: *err. */
int edited_read(struct editing *e, struct slice text, struct err *err);
/* Puts it into the queue, and takes that up. As queue_change; 0: *status is the exit status. */
int edited_put(struct editing *e, int *status, struct err *err);
void edited_release(struct editing *e);

#endif
