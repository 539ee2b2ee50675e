/*
 * application_rows.c - what the instances have, summed, as rows.
 *
 * Counters are summed over all instances that were ever seen, so that the sum
 * does not fall with one that goes down; gauges over those that are up.  A
 * histogram keeps the bounds that all of them have.
 */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "application.h"

void
application_emit_instances(struct scrape *sc)
{
	const struct application *a = sc->state;
	const struct metric *m = APPLICATION_INSTANCES->metrics;

	for (unsigned i = 0; i < a->ninstances; i++) {
		const struct application_instance *in = &a->instances[i];
		struct text name = text_of(in->address.shown);
		row(sc->sink, &name);
		put(sc->sink, &m[INSTANCE_UP], in->up);
		put(sc->sink, &m[INSTANCE_BAD_LINES], in->bad_lines);
		if (!in->up)
			continue;
		put(sc->sink, &m[INSTANCE_PAGE_BYTES], (double)in->bytes);
		put(sc->sink, &m[INSTANCE_PAGE_SAMPLES], (double)in->samples);
	}
}

/* False: no instance has it. */
static bool
sum_value(const struct application *a, unsigned cell, bool gauge, double *sum)
{
	bool seen = false;

	*sum = 0;
	for (unsigned i = 0; i < a->ninstances; i++) {
		const struct application_life *l = &a->instances[i].life;
		if (gauge && !a->instances[i].up)
			continue;
		seen = seen || l->last[cell].lines > 0;
		*sum += l->last[cell].value;
		if (gauge)
			continue;
		seen = seen || l->past[cell].lines > 0;
		*sum += l->past[cell].value;
	}
	return seen && !isnan(*sum);
}

/* ---- histograms ---- */

struct merged {
	unsigned n;
	double bounds[OWN_BOUNDS_MAX];
	double count[OWN_BOUNDS_MAX + 1]; /* at first cumulative */
	double total, sum;
};

static bool
has_observations(const struct application_cell *c)
{
	return c->infs + c->counts > 0;
}

/* The cell whose bounds stand for the instance's; NULL: it has none of that
 * histogram. */
static const struct application_cell *
bounds_of(const struct application_life *l, unsigned cell)
{
	if (has_observations(&l->last[cell]))
		return &l->last[cell];
	return has_observations(&l->past[cell]) ? &l->past[cell] : NULL;
}

/* Only what the cell has, too, stays; of the first one all. */
static void
keep_bounds(struct merged *h, const struct application_cell *c, bool first)
{
	unsigned n = 0;

	for (uint32_t i = 0; first && i < c->nbins; i++)
		h->bounds[h->n++] = c->bins[i].bound;
	for (unsigned i = 0; i < h->n; i++) {
		const struct application_bin *bin = application_cell_bin(c, h->bounds[i]);
		if (bin != NULL && bin->bound == h->bounds[i])
			h->bounds[n++] = h->bounds[i];
	}
	h->n = n;
}

static void
add_cell(struct merged *h, const struct application_cell *c)
{
	if (!has_observations(c))
		return;
	for (unsigned i = 0; i < h->n; i++) {
		const struct application_bin *bin = application_cell_bin(c, h->bounds[i]);
		h->count[i] += bin != NULL ? bin->count : 0;
	}
	h->total += application_cell_total(c);
	h->sum += c->sums > 0 ? c->sum : NAN;
}

/* From "at or below" to "between"; a page may contradict itself. */
static void
take_apart(struct merged *h)
{
	double below = 0;

	for (unsigned i = 0; i <= h->n; i++) {
		double upto = i < h->n ? h->count[i] : h->total;
		h->count[i] = upto > below ? upto - below : 0;
		below = upto > below ? upto : below;
	}
}

/* False: no instance has that histogram. */
static bool
merge(const struct application *a, unsigned cell, struct merged *h)
{
	bool first = true;

	*h = (struct merged){ 0 };
	for (unsigned i = 0; i < a->ninstances; i++) {
		const struct application_cell *c = bounds_of(&a->instances[i].life, cell);
		if (c == NULL)
			continue;
		keep_bounds(h, c, first);
		first = false;
	}
	for (unsigned i = 0; i < a->ninstances; i++) {
		add_cell(h, &a->instances[i].life.past[cell]);
		add_cell(h, &a->instances[i].life.last[cell]);
	}
	take_apart(h);
	return !first;
}

static void
put_merged(struct sink *sink, const struct metric *m, const struct merged *h)
{
	put_buckets(sink, m, h->n, h->bounds, h->sum, h->count);
}

/* ---- rows ---- */

void
application_emit_group(struct scrape *sc, const struct group *g)
{
	const struct application *a = sc->state;
	unsigned first = a->plan.first[g - application_groups];
	struct text labels[GROUP_LABELS_MAX];
	struct merged h;
	double sum;

	for (unsigned c = 0; c < a->plan.family[first].ncells; c++) {
		bool begun = false;
		for (unsigned i = 0; i < g->nmetrics; i++) {
			const struct metric *m = &g->metrics[i];
			unsigned cell = a->plan.family[first + i].cell + c;
			if (!(m->type == HISTOGRAM ? merge(a, cell, &h)
						   : sum_value(a, cell, m->type == GAUGE, &sum)))
				continue;
			application_cell_labels(g, c, labels);
			if (!begun)
				row(sc->sink, labels);
			begun = true;
			if (m->type == HISTOGRAM)
				put_merged(sc->sink, m, &h);
			else
				put(sc->sink, m, sum);
		}
	}
}

static enum application_type
type_of(const struct application *a, unsigned added)
{
	enum application_type type = TYPE_UNKNOWN;

	for (unsigned i = 0; i < a->ninstances && type == TYPE_UNKNOWN; i++)
		type = a->instances[i].life.type[added];
	return type;
}

static void
emit_added(struct scrape *sc, const struct application_family *f, enum application_type type)
{
	const struct metric *m = APPLICATION_ADDED->metrics;
	char name[APPLICATION_NAME_MAX + 8];
	struct merged h;
	double sum;

	snprintf(name, sizeof name, "%.*s", (int)f->name.len, f->name.ptr);
	if (type == TYPE_COUNTER &&
	    (f->name.len < 6 || strcmp(name + f->name.len - 6, "_total") != 0))
		snprintf(name + f->name.len, sizeof name - f->name.len, "_total");
	struct text label = text_of(name);
	if (type == TYPE_HISTOGRAM || type == TYPE_SUMMARY) {
		if (!merge(sc->state, f->cell, &h))
			return;
		row(sc->sink, &label);
		put_merged(sc->sink, &m[ADDED_HISTOGRAM], &h);
	} else if (sum_value(sc->state, f->cell, type == TYPE_GAUGE, &sum)) {
		row(sc->sink, &label);
		put(sc->sink, &m[type == TYPE_GAUGE ? ADDED_GAUGE : ADDED_COUNTER], sum);
	}
}

void
application_emit_added(struct scrape *sc)
{
	const struct application *a = sc->state;

	for (unsigned i = 0; i < a->plan.nadded; i++) {
		enum application_type type = type_of(a, i);
		if (type != TYPE_UNKNOWN)
			emit_added(sc, &a->plan.family[a->plan.added + i], type);
	}
}
