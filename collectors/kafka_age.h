/*
 * kafka_age.h - time in queue without reading a message: what is known of how
 * a partition's log end moved, and what follows from it.  Pure arithmetic.
 *
 * Offsets are taken as a line: message n lies between n and n + 1, and is
 * produced while the log end goes from n to n + 1.
 */
#ifndef COLLECTORS_KAFKA_AGE_H
#define COLLECTORS_KAFKA_AGE_H

#include <stdbool.h>
#include <stdint.h>

#include "../exporter/collector.h"

enum { CURVE_POINTS = 24 };

/* The log end over time, as a few points; neither time nor offset ever falls
 * from one to the next.  Times are unix seconds. */
struct curve {
	struct point {
		double t;
		double offset;
	} at[CURVE_POINTS];
	unsigned n;
};

/* Takes a point in.  One between known points is held within them: a wrong
 * time stamp in a message bends the curve, but never breaks it.  Where there
 * is no room the point that says least goes. */
void curve_add(struct curve *, double t, double offset);

/* Drops the points that only tell of messages before offset. */
void curve_forget(struct curve *, double offset);

/* When the log end passed offset; the first point's time where that was
 * earlier, the last point's where it is not known yet. */
double curve_time(const struct curve *, double offset);

/* The log end at that time; the ends of the curve outside of it. */
double curve_offset(const struct curve *, double t);

/* Between which times that message was produced.  A bound that is not known is
 * -INFINITY or INFINITY. */
struct span {
	double from, to;
};
struct span curve_produced(const struct curve *, double message);

/* Between which offsets the log end was at that time; likewise. */
struct span curve_reached(const struct curve *, double t);

/* Messages first to last - 1 were consumed between the times t0 and t1: adds
 * that many observations of their time in queue. */
void age_observe(const struct curve *, struct span offsets, struct span times, struct histogram *,
    const struct metric *);

/* The shares of age_observe as whole observations, cumulative counts rounded:
 * the number of all is exact. */
void age_round(const struct histogram *, const struct metric *, struct histogram *out);

/* ---- which time stamps to ask for: kafka_ask.c ---- */

enum { QUESTIONS_MAX = 8, QUESTIONS_FIRST = 5 }; /* a partition, in one collection */

struct questions {
	double   t[QUESTIONS_MAX];
	unsigned n, max;
};

/* Each adds what would tell most, as long as there is room:
 * of a partition seen for the first time; */
void ask_first(struct questions *, double now);
/* of a group that moved from offsets.from to offsets.to since the last
 * collection: where these messages and the oldest that waits were produced, and
 * how many of those that wait are older than each of so many seconds, NULL or
 * ended by 0. */
void ask_progress(
    struct questions *, const struct curve *, struct span offsets, const double *older, double now);

#endif
