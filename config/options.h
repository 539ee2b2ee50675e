/*
 * options.h - the engine over a collector's option table: settings as text are
 * checked against their rows and stored in the collector's conf struct.  The
 * parent checks with it, the worker fills its struct with it, the reference is
 * printed from it: one table, no second list.
 */
#ifndef CONFIG_OPTIONS_H
#define CONFIG_OPTIONS_H

#include <stdbool.h>
#include <stddef.h>

#include "../exporter/buf.h"
#include "../exporter/collector.h"

struct setting {          /* one "key = value" of a target, expanded */
	const char *name; /* of a list: repeated; of a map: "option.key_of_map" */
	const char *value;
};

/* Fills conf (conf_size bytes, zeroed by the caller) with defaults and
 * settings.  Strings in conf point into the settings or the table, lists and
 * maps are allocated and live until options_free.  False: why says which
 * option, what was expected and what came (never a secret); *fault, where not
 * NULL, is the number of the setting at fault, or nsettings for one that is missing. */
bool options_fill(const struct option *, size_t noptions, void *conf, const struct setting *,
    size_t nsettings, char *why, size_t size, size_t *fault);
/* Also after options_fill said false. */
void options_free(const struct option *, size_t noptions, void *conf);

/* The option a setting name stands for ("kafka.sasl_username": the map
 * "kafka"), or NULL. */
const struct option *option_find(const struct option *, size_t noptions, const char *name);

/* Would this value do?  False: why has what was expected ("must be ..."), and
 * nothing of the value. */
bool option_check(const struct option *, const char *value, char *why, size_t size);

/* Is the value never to be shown, not even in part? */
bool option_secret(const struct option *);

/* " from 1 to 65535", " of at least 1s" or "". */
void option_range(const struct option *, char *out, size_t size);

/* "postgresql://u:secret@h/db?password=x" with the secrets as "***". */
void options_redact(struct buf *, const char *address);

/* Copies words (a library's, a collector's) with everything that is secret in
 * the settings made "***". */
void options_scrub(struct buf *, const char *words, const struct option *, size_t noptions,
    const struct setting *, size_t nsettings);

/* The rows of one collector as a section of OPTIONS.md. */
void options_reference(const struct collector *, struct buf *);

#endif
