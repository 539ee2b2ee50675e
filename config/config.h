/*
 * config.h - the configuration file, parsed, expanded and checked as a whole:
 * either all of it, or every fault with its file and line.
 */
#ifndef CONFIG_CONFIG_H
#define CONFIG_CONFIG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "../exporter/buf.h"
#include "options.h"

enum config_limits {
	CONFIG_TARGETS_MAX = 4096,
	CONFIG_FAULTS_MAX = 50,
	TARGET_NAME_MAX = 64, /* [A-Za-z0-9_.:-]{1,64} */
};

struct config_target {
	const char             *name;
	const struct collector *collector;
	struct setting         *settings;
	size_t                  nsettings;
	uint64_t                groups; /* bit i: the collector's group i is on */
	int64_t                *every;  /* per group, ns; 0: at every scrape */
};

struct config {
	const char *const    *listen; /* NULL ends it */
	const char           *telemetry_path;
	const char           *log_level, *log_format;
	struct config_target *targets;
	size_t                ntargets;
	void                 *memory; /* config.c's own */
};

/* Finds the collector of that name (plugin_load in the program, a stub in
 * tests); NULL: why has one sentence. */
typedef const struct collector *config_find(const char *name, char *why, size_t size);

/* Reads the file (libconfig has taken the name config_read).  NULL: every fault
 * is in faults, one "file:line: sentence" a line, no secret in it.  notes gets
 * a line for each target left out. */
struct config *config_load(const char *path, config_find *, struct buf *faults, struct buf *notes);
/* The same from memory, under that name. */
struct config *config_load_text(
    const char *name, struct text, config_find *, struct buf *faults, struct buf *notes);
void config_free(struct config *);

/* OPTIONS.md without the command line: how values are written, the top-level
 * keys, the keys of every target and the rows of each collector given. */
void config_reference(const struct collector *const *, size_t n, struct buf *);

#endif
