/*
 * kafka_pace.c - see kafka_pace.h.
 */
#include "kafka_pace.h"

#include <math.h>

void
pace_begin(struct pace *p, double rate, int64_t now)
{
	*p = (struct pace){ .rate = rate, .spare = rate, .at = now };
}

void
pace_take(struct pace *p, double bytes)
{
	p->spare -= bytes;
}

int64_t
pace_wait(struct pace *p, int64_t now)
{
	if (now > p->at) {
		p->spare = fmin(p->rate, p->spare + p->rate * clock_seconds(now - p->at));
		p->at = now;
	}
	if (p->spare > 0)
		return 0;
	return (int64_t)(-p->spare / p->rate * (double)NS_PER_S) + NS_PER_MS;
}
