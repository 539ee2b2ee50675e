/*
 * keys.h - the keys of the file that belong to no collector.  Each table ends
 * with a row without a name.
 */
#ifndef CONFIG_KEYS_H
#define CONFIG_KEYS_H

#include "config.h"

struct target_keys {
	const char        *collector, *name;
	const char *const *enable, *const *disable, *const *every;
};

extern const struct option web_options[], log_options[], target_options[];

size_t keys_count(const struct option *);

#endif
