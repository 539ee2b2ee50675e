/*
 * gather.h - one group of the file, checked key by key against option tables.
 */
#ifndef CONFIG_GATHER_H
#define CONFIG_GATHER_H

#include <libconfig.h>
#include <stdbool.h>
#include <stddef.h>

#include "../exporter/buf.h"
#include "arena.h"
#include "nearest.h"
#include "options.h"
#include "source.h"

struct reader { /* one reading of one configuration */
	struct arena *arena;
	struct source source;
	struct buf   *faults, *notes;
	unsigned      nfaults;
};

/* The keys that may stand in one group of the file: rows of up to two tables. */
struct keys {
	const char          *what; /* "web", "target \"cache\"" */
	const struct option *options[2];
	size_t               noptions[2];
	bool                 partial; /* there are others: a key is unknown only
				       * where it is near one of these */
};

/* What was found there. */
struct gathered {
	struct setting *settings; /* in the reader's arena */
	unsigned       *lines;    /* of each setting */
	size_t          n, cap;
	const char     *left_out; /* the empty variable an address consists of */
	bool            muted;    /* what cannot be expanded is no fault: the
				   * target is left out anyway */
};

/* Every key of the group; faults for what is unknown, wrong or missing. */
void gather_group(
    struct reader *, const config_setting_t *group, const struct keys *, struct gathered *);

/* One scalar of the group ahead of the rest, expanded, without any fault; NULL:
 * none that can be read.  *empty: the variable it is empty because of, or NULL. */
const char *gather_peek(
    struct reader *, const config_setting_t *group, const char *key, const char **empty);

void gathered_add(
    struct reader *, struct gathered *, const char *name, const char *value, unsigned line);
/* The line of the first setting of that name, 0: none. */
unsigned gathered_line(const struct gathered *, const char *name);

/* A line of faults or notes; line is that of the whole text. */
void fault(struct reader *, unsigned line, const char *fmt, ...) PRINTF(3, 4);
void note(struct reader *, unsigned line, const char *fmt, ...) PRINTF(3, 4);
/* unknown KIND "word" of OF; did you mean ...? */
void fault_unknown(
    struct reader *, unsigned line, const char *kind, const struct nearest *, const char *of);

#endif
