/*
 * nearest.h - "did you mean": the candidate that is one or two slips of the
 * keyboard away from a word.
 */
#ifndef CONFIG_NEAREST_H
#define CONFIG_NEAREST_H

struct nearest {
	const char *word; /* what was written */
	const char *best; /* NULL: nothing is near */
	unsigned    distance;
};

void nearest_try(struct nearest *, const char *candidate);

#endif
