/*
 * kafka_pace.h - so many bytes a second, on average: what is taken at once is
 * waited for afterwards.
 */
#ifndef COLLECTORS_KAFKA_PACE_H
#define COLLECTORS_KAFKA_PACE_H

#include "../exporter/clock.h"

struct pace {
	double  rate;  /* bytes a second */
	double  spare; /* may be taken now, at most those of a second; negative: debt */
	int64_t at;    /* clock_ns when that was so */
};

void pace_begin(struct pace *, double rate, int64_t now);
void pace_take(struct pace *, double bytes);

/* How long until something may be taken, in ns; 0: now. */
int64_t pace_wait(struct pace *, int64_t now);

#endif
