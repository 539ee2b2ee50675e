/*
 * log.h - one event a line on stderr, logfmt or JSON, lower case.  Values are
 * cleaned of control characters.  A state that lasts is a metric, not a log.
 */
#ifndef EXPORTER_LOG_H
#define EXPORTER_LOG_H

#include <stdbool.h>

#include "text.h"

enum log_level { LOG_DEBUG, LOG_INFO, LOG_WARN, LOG_ERROR };

/* "debug", "info", "warn", "error"; false: no such level. */
bool log_set_level(const char *);
/* "logfmt" or "json"; false: no such format. */
bool log_set_format(const char *);

/* target may be NULL; thread-safe; one write(2) a line. */
void log_event(enum log_level, const char *target, const char *fmt, ...) PRINTF(3, 4);

/* From now on a line that stderr has no room for is lost: no scrape is held up
 * by a log that nobody reads. */
void log_without_waiting(void);

#endif
