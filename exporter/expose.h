/*
 * expose.h - rows as text: Prometheus 0.0.4 and OpenMetrics 1.0, from the same
 * sets of rows.
 */
#ifndef EXPORTER_EXPOSE_H
#define EXPORTER_EXPOSE_H

#include "buf.h"
#include "registry.h"
#include "rows.h"

/* What one target shows in one exposition. */
struct view {
	struct text   prefix;    /* `target="a"`, escaped; empty: the exporter itself */
	unsigned      collector; /* its number in the registry */
	struct rows **groups;    /* by group of the collector; NULL: nothing to show */
};

/* Family by family, in the order of the registry; within one, target by
 * target, each in its order of arrival. */
void expose(
    struct buf *, const struct registry *, const struct view *, size_t nviews, bool openmetrics);

/* `target="..."` with the name escaped; the caller frees ptr. */
struct text expose_prefix(const char *target);

#endif
