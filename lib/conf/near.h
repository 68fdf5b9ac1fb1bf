/* "did you mean": the nearest of some names. */
#ifndef CONF_NEAR_H
#define CONF_NEAR_H

struct conf_near {
	const char *wanted;
	const char *found; /* NULL: nothing is near enough */
	unsigned best;
};

void conf_near_init(struct conf_near *near, const char *wanted);
/* Offers a name, which has to live as long as `near` is looked at. The first of equals is kept. */
void conf_near_try(struct conf_near *near, const char *name);

#endif
