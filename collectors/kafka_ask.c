/*
 * kafka_ask.c - which time stamps to ask a partition's leader for, so that few
 * questions tell most: see kafka_age.h.
 */
#include <math.h>

#include "kafka_age.h"

#define FINE 0.2        /* seconds: a span not worth a question */
#define FINE_SHARE 0.05 /* of the age, or of the messages, likewise */
#define OLD_ENOUGH (32 * 86400.0)

static void
ask(struct questions *q, double t, double now)
{
	double near = fmax(FINE / 2, (now - t) * FINE_SHARE / 2);

	for (unsigned i = 0; i < q->n; i++)
		if (fabs(q->t[i] - t) < near)
			return;
	if (q->n < q->max)
		q->t[q->n++] = t;
}

void
ask_first(struct questions *q, double now)
{
	static const double ago[] = { 5, 30, 60, 300, 3600 };

	for (unsigned i = 0; i < COUNT(ago); i++)
		ask(q, now - ago[i], now);
}

/* A stretch of the curve, and how many of the messages in question it has. */
struct piece {
	double from, to, messages;
};

/* Ages are read on a scale of ever wider buckets, so what counts is the ratio
 * of the ages at both ends. */
static double
doubt(const struct piece *p, double now)
{
	if (p->to - p->from < FINE)
		return 0;
	return p->messages * log((now - p->from + FINE) / (now - p->to + FINE));
}

/* Where the messages between the offsets were produced. */
static void
ask_range(struct questions *q, const struct curve *c, struct span offsets, double now)
{
	struct piece piece[CURVE_POINTS + QUESTIONS_MAX];
	unsigned n = 0;

	for (unsigned i = 0; i < c->n; i++) {
		bool open = i + 1 == c->n;
		double low = fmax(offsets.from, c->at[i].offset);
		double high = open ? offsets.to : fmin(offsets.to, c->at[i + 1].offset);
		if (high > low)
			piece[n++] =
			    (struct piece){ c->at[i].t, open ? now : c->at[i + 1].t, high - low };
	}
	while (n > 0 && q->n < q->max && n < COUNT(piece)) {
		unsigned most = 0;
		for (unsigned i = 1; i < n; i++)
			if (doubt(&piece[i], now) > doubt(&piece[most], now))
				most = i;
		if (doubt(&piece[most], now) <= 0)
			return;
		struct piece *p = &piece[most];
		double middle = (p->from + p->to) / 2;
		ask(q, middle, now);
		piece[n++] = (struct piece){ middle, p->to, p->messages / 2 };
		p->to = middle;
		p->messages /= 2;
	}
}

/* When that message was produced. */
static void
ask_oldest(struct questions *q, const struct curve *c, double message, double now)
{
	struct span made = curve_produced(c, message);

	if (c->n == 0 || made.from == INFINITY)
		return;
	if (made.from == -INFINITY) {
		double known = fmax(now - c->at[0].t, 10);
		if (known < OLD_ENOUGH)
			ask(q, now - 4 * known, now);
		return;
	}
	made.to = fmin(made.to, now);
	if (made.to - made.from > fmax(FINE, FINE_SHARE * (now - made.from)))
		ask(q, (made.from + made.to) / 2, now);
}

/* How many messages from that one on are older. */
static void
ask_older(struct questions *q, const struct curve *c, double message, double seconds, double now)
{
	struct span end = curve_reached(c, now - seconds);

	if (c->n == 0 || end.to <= message || end.to == end.from || end.to == INFINITY)
		return;
	if (end.from == -INFINITY || end.to - end.from > FINE_SHARE * (end.to - message))
		ask(q, now - seconds, now);
}

void
ask_progress(struct questions *q, const struct curve *c, struct span offsets, const double *older,
    double now)
{
	ask_oldest(q, c, offsets.to, now);
	for (; older != NULL && *older > 0; older++)
		ask_older(q, c, offsets.to, *older, now);
	ask_range(q, c, offsets, now);
}
