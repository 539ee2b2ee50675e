/*
 * source.h - the configuration file and what it includes as one text, ready for
 * libconfig, and from which file and line each of its lines came.
 *
 * libconfig 1.5 by itself ends the process when an @include names a directory,
 * hangs on a FIFO, looks for includes in the working directory, wraps integers
 * that are too large and takes an unclosed comment for a whole one.
 */
#ifndef CONFIG_SOURCE_H
#define CONFIG_SOURCE_H

#include <stdbool.h>
#include <stddef.h>

#include "../exporter/buf.h"
#include "arena.h"

enum source_limits {
	SOURCE_MAX = 4 << 20,    /* bytes, all files together */
	SOURCE_INCLUDES_MAX = 8, /* one in another */
	SOURCE_NESTING_MAX = 32, /* brackets */
};

struct source_place {
	const char *file;
	unsigned    line;
};

struct source {
	struct buf          text;  /* ends in NUL once read */
	struct arena       *arena; /* the caller's */
	struct segment     *segments;
	size_t              nsegments;
	unsigned            lines; /* line ends in text */
	struct source_place fault; /* where it went wrong */
	char                why[240];
};

/* False: fault and why say what is wrong, one sentence.  source_free in any case. */
bool source_read(struct source *, struct arena *, const char *path);

/* The same from memory, under that name. */
bool source_read_text(struct source *, struct arena *, const char *name, struct text);
void source_free(struct source *);

/* Where line n (from 1) of the text came from. */
struct source_place source_place(const struct source *, unsigned n);

#endif
