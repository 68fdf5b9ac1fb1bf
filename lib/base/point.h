/* Named crash points. Every durable step passes one, before or after which the program may die; the
 * tests kill it at each and run it again (design: note, do, agree).
 *
 * MAILTIDE_POINT=name    dies with SIGKILL the first time it passes that point;
 * MAILTIDE_POINT=name:3  the third time;
 * MAILTIDE_POINT=*:40    the 40th time it passes any point;
 * MAILTIDE_POINTS=FILE   writes the name of each point to FILE when it is first passed;
 * MAILTIDE_PASSES=FILE   each time.
 * Without them a point costs one comparison. Names are "folder.what": "store.before-commit". */
#ifndef BASE_POINT_H
#define BASE_POINT_H

void point(const char *name);

#endif
