/*
 * application_cells.c - a cell is what one row of ours shows of a page: all its
 * series that differ in nothing but labels we do not give out.
 *
 * The buckets of such series can be added up where all of them have the bound;
 * which ones these are shows in the number of lines a bound came from.
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "application.h"

/* ---- labels ---- */

static unsigned
values_of(const struct label *label)
{
	unsigned n = 0;

	while (label->values != NULL && label->values[n] != NULL)
		n++;
	return n;
}

unsigned
application_cell_count(const struct group *g)
{
	unsigned n = 1;

	for (unsigned i = 0; i < g->nlabels && !g->named; i++)
		n *= values_of(&g->labels[i]) + 1; /* one for all others */
	return n;
}

/* The number of a value in its set; the set's own "other", or what is behind
 * its end, stands for what is not in it. */
static unsigned
value_number(const struct label *label, struct text value)
{
	unsigned n = values_of(label), other = n;

	for (unsigned i = 0; i < n; i++) {
		if (text_is(value, label->values[i]))
			return i;
		if (strcmp(label->values[i], "other") == 0)
			other = i;
	}
	return other;
}

static unsigned
cell_of(const struct group *g, const struct text *values)
{
	unsigned cell = 0;

	for (unsigned i = 0; i < g->nlabels && !g->named; i++)
		cell =
		    cell * (values_of(&g->labels[i]) + 1) + value_number(&g->labels[i], values[i]);
	return cell;
}

void
application_cell_labels(const struct group *g, unsigned cell, struct text *values)
{
	for (unsigned i = g->nlabels; i-- > 0;) {
		unsigned n = values_of(&g->labels[i]), number = cell % (n + 1);
		values[i] = number < n ? text_of(g->labels[i].values[number]) : TEXT("other");
		cell /= n + 1;
	}
}

/* ---- bins ---- */

/* Where the bound is, or would have to be. */
static uint32_t
bin_place(const struct application_cell *c, double bound)
{
	uint32_t low = 0, high = c->nbins;

	while (low < high) {
		uint32_t middle = low + (high - low) / 2;
		if (c->bins[middle].bound < bound)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

static bool
bin_room(struct application_cell *c)
{
	if (c->nbins < c->capbins)
		return true;
	uint32_t cap = c->capbins == 0 ? 16 : 2 * c->capbins;
	if (cap > OWN_BOUNDS_MAX)
		return false;
	struct application_bin *bins = realloc(c->bins, cap * sizeof *bins);
	if (bins == NULL)
		return false;
	c->bins = bins;
	c->capbins = cap;
	return true;
}

/* A bound that there is no room for is left out: what lies at or below the
 * others is still exact. */
void
application_cell_add_bin(struct application_cell *c, double bound, double count, uint32_t lines)
{
	uint32_t at = c->hint; /* bounds come in their order */

	if (at >= c->nbins || c->bins[at].bound != bound)
		at = bin_place(c, bound);
	if (at == c->nbins || c->bins[at].bound != bound) {
		if (!bin_room(c))
			return;
		memmove(c->bins + at + 1, c->bins + at, (c->nbins - at) * sizeof *c->bins);
		c->bins[at] = (struct application_bin){ .bound = bound };
		c->nbins++;
	}
	c->bins[at].count += count;
	c->bins[at].lines += lines;
	c->hint = at + 1 < c->nbins ? at + 1 : 0;
}

const struct application_bin *
application_cell_bin(const struct application_cell *c, double bound)
{
	uint32_t at = bin_place(c, bound);

	if (at < c->nbins && c->bins[at].bound == bound)
		return &c->bins[at];
	return at > 0 ? &c->bins[at - 1] : NULL;
}

/* ---- samples ---- */

static void
add_bucket(struct application_cell *c, const struct application_sample *s)
{
	if (!s->has_le || isnan(s->le) || s->le == -INFINITY)
		return;
	if (s->le == INFINITY) {
		c->inf += s->value;
		c->infs++;
	} else {
		application_cell_add_bin(c, s->le, s->value, 1);
	}
}

/* What no counter can be is none, and would spoil the sum for ever. */
#define COUNT_LIMIT 1e100

static bool
is_count(double value)
{
	return value >= 0 && value < COUNT_LIMIT;
}

static bool
fits(const struct application_family *f, const struct application_sample *s)
{
	bool counter = f->metric != NULL ? f->metric->type == COUNTER : s->counter;

	switch (s->name->part) {
	case PART_VALUE: return counter ? is_count(s->value) : !isnan(s->value);
	case PART_SUM: return fabs(s->value) < COUNT_LIMIT;
	case PART_BUCKET:
	case PART_COUNT: return is_count(s->value);
	}
	return false;
}

bool
application_cells_add(struct application_cell *cells, const struct application_plan *plan,
    const struct application_sample *s)
{
	const struct application_family *f = &plan->family[s->name->family];
	struct application_cell *c = cells + f->cell + cell_of(f->group, s->label);

	if (!fits(f, s))
		return false;
	switch (s->name->part) {
	case PART_VALUE:
		c->value += s->value;
		c->lines++;
		break;
	case PART_BUCKET: add_bucket(c, s); break;
	case PART_SUM:
		c->sum += s->value;
		c->sums++;
		break;
	case PART_COUNT:
		c->count += s->value;
		c->counts++;
		break;
	}
	return true;
}

bool
application_cell_seen(const struct application_cell *c)
{
	return c->lines + c->counts + c->infs > 0;
}

double
application_cell_total(const struct application_cell *c)
{
	return c->infs > 0 ? c->inf : c->count;
}

/* ---- a page's cells ---- */

static void
move_cell(struct application_cell *to, const struct application_cell *from)
{
	to->value += from->value;
	to->sum += from->sum;
	to->count += from->count;
	to->inf += from->inf;
	to->lines += from->lines;
	to->sums += from->sums;
	to->counts += from->counts;
	to->infs += from->infs;
	for (uint32_t i = 0; i < from->nbins; i++)
		application_cell_add_bin(
		    to, from->bins[i].bound, from->bins[i].count, from->bins[i].lines);
}

/* A bound that some series of the cell do not have says nothing of their sum,
 * and neither do some of their sums. */
static void
drop_partial(struct application_cell *c)
{
	uint32_t series = c->infs > 0 ? c->infs : c->counts, n = 0;

	for (uint32_t i = 0; i < c->nbins; i++)
		if (c->bins[i].lines == series)
			c->bins[n++] = c->bins[i];
	c->nbins = n;
	c->hint = 0;
	if (c->sums != series)
		c->sums = 0;
}

void
application_cells_settle(struct application_cell *cells, const struct application_plan *plan)
{
	bool own[APPLICATION_FAMILIES_MAX] = { false };

	for (unsigned f = 0; f < plan->nfamilies; f++)
		for (unsigned c = 0; c < plan->family[f].ncells; c++)
			own[f] |= application_cell_seen(&cells[plan->family[f].cell + c]);
	for (unsigned f = 0; f < plan->nfamilies; f++) {
		const struct application_family *old = &plan->family[f];
		if (old->into == f || own[old->into])
			continue;
		for (unsigned c = 0; c < old->ncells; c++)
			move_cell(&cells[plan->family[old->into].cell + c], &cells[old->cell + c]);
	}
	for (unsigned i = 0; i < plan->ncells; i++)
		drop_partial(&cells[i]);
}

void
application_cells_reset(struct application_cell *cells, unsigned ncells)
{
	for (unsigned i = 0; i < ncells; i++)
		cells[i] = (struct application_cell){
			.bins = cells[i].bins,
			.capbins = cells[i].capbins,
		};
}

void
application_cells_free(struct application_cell *cells, unsigned ncells)
{
	for (unsigned i = 0; cells != NULL && i < ncells; i++)
		free(cells[i].bins);
	free(cells);
}
