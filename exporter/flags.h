/*
 * flags.h - the command line: one table gives parsing, --help, the environment
 * variables and the reference.
 */
#ifndef EXPORTER_FLAGS_H
#define EXPORTER_FLAGS_H

#include <stdbool.h>
#include <stddef.h>

#include "buf.h"

enum { LISTEN_MAX = 16 };

struct flags {
	const char        *config_file;
	const char        *listen[LISTEN_MAX + 1]; /* NULL ends it; none: as the file says */
	const char        *telemetry_path;         /* NULL: as the file says, so below */
	const char        *log_level, *log_format;
	const char        *worker; /* a collector's name: be its worker process */
	bool               check, probe, metrics, options, version, help;
	const char *const *names; /* what stands behind the flags; NULL ends it */
};

/* Environment first, then the command line, which wins.  False: why has one
 * sentence.  Strings point into argv and the environment (listen of the
 * environment: into a copy that is never freed). */
bool flags_parse(struct flags *, char **argv, char *why, size_t size);

void flags_help(struct buf *);
void flags_reference(struct buf *); /* the part of OPTIONS.md */

#endif
