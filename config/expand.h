/*
 * expand.h - ${VAR}, ${VAR:-default}, ${credential:NAME} and $$ in a string of
 * the configuration.  What they stand for is never looked at again.
 */
#ifndef CONFIG_EXPAND_H
#define CONFIG_EXPAND_H

#include <stdbool.h>
#include <stddef.h>

#include "arena.h"

enum expand_limits {
	EXPANDED_MAX = 1 << 20,
	SECRET_FILE_MAX = 1 << 16,
};

struct expansion {
	const char *value;   /* in the arena */
	const char *empty;   /* the value is empty because of this variable */
	bool        foreign; /* holds bytes that do not stand in the file */
};

/* False: why has one sentence, without any value. */
bool expand(struct arena *, const char *raw, struct expansion *, char *why, size_t size);

#endif
