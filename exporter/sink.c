/*
 * sink.c - both ends of the records, and the collector's side of the contract.
 */
#include "sink.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

static void
add_u32(struct buf *b, uint32_t n)
{
	buf_add(b, &n, sizeof n);
}

void
row(struct sink *sink, const struct text *values)
{
	/* Far longer than what the parent keeps, short enough to bound the frame. */
	enum { SENT_MAX = 4 * LABEL_VALUE_MAX };

	buf_char(&sink->records, 'R');
	for (unsigned i = 0; i < sink->group->nlabels; i++) {
		size_t len = values[i].len < SENT_MAX ? values[i].len : SENT_MAX;
		add_u32(&sink->records, (uint32_t)len);
		buf_add(&sink->records, values[i].ptr, len);
	}
}

/* A scale such as 1e-6 has no exact double, its inverse has: 5 us are 0.000005
 * by division and 0.0000049999999999999996 by multiplication. */
static double
scaled(const struct metric *m, double value)
{
	if (m->scale == 0)
		return value;
	double inverse = nearbyint(1 / m->scale);
	return inverse * m->scale == 1 ? value / inverse : value * m->scale;
}

void
put(struct sink *sink, const struct metric *m, double value)
{
	uint32_t metric = (uint32_t)(m - sink->group->metrics);
	char record[1 + sizeof metric + sizeof value] = "P";

	value = scaled(m, value);
	memcpy(record + 1, &metric, sizeof metric);
	memcpy(record + 1 + sizeof metric, &value, sizeof value);
	buf_add(&sink->records, record, sizeof record);
}

void
put_text(struct sink *sink, const struct metric *m, struct text t)
{
	double value;

	if (text_number(t, &value))
		put(sink, m, value);
}

void
put_histogram(struct sink *sink, const struct metric *m, const struct histogram *h)
{
	buf_char(&sink->records, 'H');
	add_u32(&sink->records, (uint32_t)(m - sink->group->metrics));
	buf_add(&sink->records, &h->sum, sizeof h->sum);
	buf_add(&sink->records, h->count, (m->nbuckets + 1) * sizeof *h->count);
}

void
put_buckets(struct sink *sink, const struct metric *m, unsigned n, const double *bounds, double sum,
    const double *count)
{
	buf_char(&sink->records, 'B');
	add_u32(&sink->records, (uint32_t)(m - sink->group->metrics));
	add_u32(&sink->records, n);
	buf_add(&sink->records, bounds, n * sizeof *bounds);
	buf_add(&sink->records, &sum, sizeof sum);
	buf_add(&sink->records, count, (n + 1) * sizeof *count);
}

void
histogram_observe(struct histogram *h, const struct metric *m, double value, double times)
{
	unsigned i = 0;

	while (i < m->nbuckets && value > m->buckets[i])
		i++;
	h->count[i] += times;
	h->sum += value * times;
}

enum outcome
fail(enum outcome outcome, struct scrape *sc, const char *fmt, ...)
{
	char raw[2 * WHY_MAX];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(raw, sizeof raw, fmt, ap);
	va_end(ap);
	/* Libraries end their words in line ends of their own. */
	text_clean(sc->why, sizeof sc->why, text_trim(text_of(raw)));
	return outcome;
}

const struct metric *
metric_by_source(const struct group *g, struct text source)
{
	for (unsigned i = 0; source.len > 0 && i < g->nmetrics; i++) {
		const char *s = g->metrics[i].source;
		/* The first letter decides on most, of which a server sends hundreds. */
		if (s != NULL && s[0] == source.ptr[0] && text_is(source, s))
			return &g->metrics[i];
	}
	return NULL;
}

bool
wants(const struct scrape *sc, const struct collector *c, const struct group *g)
{
	return sc->groups >> (g - c->groups) & 1;
}

/* ---- the parent's end ---- */

/* Takes len bytes off the front; false: there are fewer. */
static bool
take(struct text *t, void *out, size_t len)
{
	if (t->len < len)
		return false;
	memcpy(out, t->ptr, len);
	t->ptr += len;
	t->len -= len;
	return true;
}

static bool
replay_row(struct text *t, struct rows *r)
{
	struct text values[GROUP_LABELS_MAX];

	for (unsigned i = 0; i < r->group->nlabels; i++) {
		uint32_t len;
		if (!take(t, &len, sizeof len) || t->len < len)
			return false;
		values[i] = (struct text){ t->ptr, len };
		t->ptr += len;
		t->len -= len;
	}
	rows_begin(r, values);
	return true;
}

static bool
take_metric(struct text *t, const struct rows *r, uint32_t *metric)
{
	return take(t, metric, sizeof *metric) && *metric < r->group->nmetrics;
}

static bool
replay_put(struct text *t, struct rows *r)
{
	uint32_t metric;
	double value;

	if (!take_metric(t, r, &metric) || !take(t, &value, sizeof value))
		return false;
	rows_put(r, metric, value);
	return true;
}

static bool
replay_histogram(struct text *t, struct rows *r)
{
	double count[HISTOGRAM_BOUNDS_MAX + 1], sum;
	uint32_t metric;

	if (!take_metric(t, r, &metric) || !take(t, &sum, sizeof sum) ||
	    !take(t, count, (r->group->metrics[metric].nbuckets + 1) * sizeof *count))
		return false;
	rows_put_histogram(r, metric, sum, count);
	return true;
}

static bool
replay_buckets(struct text *t, struct rows *r)
{
	double bounds[OWN_BOUNDS_MAX], count[OWN_BOUNDS_MAX + 1], sum;
	uint32_t metric, n;

	if (!take_metric(t, r, &metric) || !take(t, &n, sizeof n) || n > OWN_BOUNDS_MAX ||
	    !take(t, bounds, n * sizeof *bounds) || !take(t, &sum, sizeof sum) ||
	    !take(t, count, (n + 1) * sizeof *count))
		return false;
	rows_put_buckets(r, metric, n, bounds, sum, count);
	return true;
}

bool
sink_replay(struct text t, struct rows *r)
{
	char kind;

	while (take(&t, &kind, 1)) {
		bool good = kind == 'R'   ? replay_row(&t, r)
			    : kind == 'P' ? replay_put(&t, r)
			    : kind == 'H' ? replay_histogram(&t, r)
			    : kind == 'B' ? replay_buckets(&t, r)
					  : false;
		if (!good)
			return false;
	}
	return true;
}
