/*
 * kafka_sizes.c - see kafka_sizes.h.
 */
#include "kafka_sizes.h"

#include <math.h>

#include "kafka_reader.h"

#define FADE 0.25

double
sizes_number(const struct histogram *h, const struct metric *m)
{
	double n = 0;

	for (unsigned i = 0; i <= m->nbuckets; i++)
		n += h->count[i];
	return n;
}

/* Adds what has the shape of that one, and times as much. */
static void
add(struct histogram *to, const struct histogram *shape, const struct metric *m, double times)
{
	for (unsigned i = 0; i <= m->nbuckets; i++)
		to->count[i] += shape->count[i] * times;
	to->sum += shape->sum * times;
}

void
sizes_sampled(
    struct sizes *s, const struct metric *m, double messages, const struct histogram *records)
{
	double n = sizes_number(records, m);

	if (n == 0) {
		s->owed += messages;
		return;
	}
	add(&s->known, records, m, messages / n);
	/* Messages that were not to be counted tell of sizes, too. */
	add(&s->latest, records, m, messages > 0 ? messages / n : 1);
}

void
sizes_fade(struct sizes *s, const struct metric *m)
{
	struct histogram before = s->latest;

	/* Faded away it would say nothing. */
	if (sizes_number(&before, m) >= 1)
		add(&s->latest, &before, m, FADE - 1);
}

unsigned
sizes_sample(const struct sizes *s, const struct metric *m)
{
	double n = sizes_number(&s->latest, m);
	double fit = s->latest.sum > 0 ? KAFKA_SAMPLE_BYTES * n / s->latest.sum : INFINITY;

	return (unsigned)fmin(fmax(fit, KAFKA_SAMPLE_LEAST), KAFKA_SAMPLE_RECORDS);
}

void
sizes_give(struct sizes *s, const struct metric *m, double unread)
{
	double all = sizes_number(&s->latest, m), missing = 0;
	struct histogram target;

	if (all <= 0)
		return;
	add(&s->known, &s->latest, m, s->owed / all);
	s->owed = 0;
	target = s->known;
	add(&target, &s->latest, m, unread / all);
	double more = sizes_number(&target, m) - sizes_number(&s->given, m);
	for (unsigned i = 0; i <= m->nbuckets; i++)
		missing += fmax(0, target.count[i] - s->given.count[i]);
	if (more <= 0 || missing <= 0)
		return;
	for (unsigned i = 0; i <= m->nbuckets; i++)
		s->given.count[i] += fmax(0, target.count[i] - s->given.count[i]) * more / missing;
	s->given.sum = fmax(s->given.sum, target.sum);
}
