/*
 * registry.h - all tables of all collectors in use, checked once at start.
 * Numbers the families, prepares their heads, prints METRICS.md.
 */
#ifndef EXPORTER_REGISTRY_H
#define EXPORTER_REGISTRY_H

#include "buf.h"
#include "collector.h"

enum registry_limits {
	REGISTRY_COLLECTORS_MAX = 32,
	NAME_MAX_LEN = 63, /* of a metric, group, label or option */
};

struct family_use { /* one table row that feeds a family */
	unsigned collector, group, metric;
};

struct family {
	const struct metric *metric;  /* name, type, unit and help; of the first use */
	char                *head[2]; /* # HELP, # TYPE, # UNIT; [true]: OpenMetrics */
	char               **le;      /* per bound and for +Inf: `le="0.5"`; NULL: own_bounds */
	struct family_use   *uses;
	unsigned             nuses;
	bool                 named; /* a pattern: its rows name their families */
};

struct registry {
	const struct collector *collectors[REGISTRY_COLLECTORS_MAX];
	unsigned                ncollectors;
	struct family          *families;
	unsigned                nfamilies;
};

/* Checks every row of every table; each fault is one line in faults.  False:
 * there was a fault, nothing may be served from these tables. */
bool registry_build(
    struct registry *, const struct collector *const *, size_t n, struct buf *faults);
void registry_free(struct registry *);

/* May the rows of a named group call their family so?  Not like one of the
 * tables, nor like a part of a histogram. */
bool registry_may_name(const struct registry *, struct text family);

/* # HELP, # TYPE and # UNIT of a family; in OpenMetrics its name is without
 * _total and _info. */
void registry_head(struct buf *, const struct metric *, struct text family, bool openmetrics);

/* The collector's number in the registry, -1: not there. */
int registry_find(const struct registry *, const struct collector *);

extern const char *const metric_type_names[]; /* by enum metric_type */

/* METRICS.md */
void registry_reference(const struct registry *, struct buf *);

#endif
