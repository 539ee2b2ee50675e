/*
 * postgresql_estimate.h - from what pg_stat_statements keeps of a statement to
 * a histogram of its calls.
 */
#ifndef COLLECTORS_POSTGRESQL_ESTIMATE_H
#define COLLECTORS_POSTGRESQL_ESTIMATE_H

#include "../exporter/collector.h"

/* All calls of a statement up to one moment, in seconds. */
struct moments {
	double calls, total;
	double squares;  /* sum of squared distances from the mean */
	double min, max; /* 0 and 0: not known */
};

/* A histogram that is being estimated.  Fractions of calls are kept, so that
 * what is given out, whole calls, is never rounded twice. */
struct spread {
	double at_most[HISTOGRAM_BOUNDS_MAX]; /* calls up to each bound */
	double calls, sum;
};

/* Adds the calls made between two readings of one entry; `was` all zero: those
 * since the entry was made.  Nothing of `now` may be less than in `was`. */
void estimate_add(
    struct spread *, const struct metric *, const struct moments *was, const struct moments *now);

/* Whole calls; cumulative counts never fall from one time to the next. */
void estimate_histogram(const struct spread *, const struct metric *, struct histogram *);

#endif
