/*
 * application_lives.c - counters that never fall, of processes that do.
 *
 * What an instance counted is past + last: the sum of what its former processes
 * had when they were last seen, and what the present one has; less what the
 * first one had when it was first seen.  When a counter is lower than on the
 * page before:
 *
 *   - process_start_time_seconds has changed, or where that does not say it more
 *     than half of its counters fell: a new process, the last page is past;
 *   - else some series went away, an idle user's perhaps: what they had counted
 *     is kept, and nothing is counted again;
 *   - but where more of the page could not be read than usually, they are still
 *     there, behind its end or on its bad lines: nothing is said of them, or they
 *     would be counted twice once they are back.  After some pages in a row this
 *     is how the page is now.
 *
 * Kept are one number per cell and bound, not per series of the page.
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "application.h"

/* Seconds: some clients work the start out anew, from clocks that are set. */
#define UNSURE_START 1.0

enum { CUT_PAGES = 20 }; /* in a row */

bool
application_life_make(struct application_life *l, const struct application_plan *plan)
{
	*l = (struct application_life){
		.page = calloc(plan->ncells, sizeof *l->page),
		.last = calloc(plan->ncells, sizeof *l->last),
		.past = calloc(plan->ncells, sizeof *l->past),
	};
	return l->page != NULL && l->last != NULL && l->past != NULL;
}

void
application_life_free(struct application_life *l, const struct application_plan *plan)
{
	application_cells_free(l->page, plan->ncells);
	application_cells_free(l->last, plan->ncells);
	application_cells_free(l->past, plan->ncells);
	*l = (struct application_life){ 0 };
}

/* ---- which cells count ---- */

static bool
is_histogram(const struct application_cell *c)
{
	return c->infs + c->counts > 0;
}

/* What an added family is, where # TYPE does not say: by its samples. */
static void
note_types(struct application_life *l, const struct application_plan *plan,
    const struct application_page *p)
{
	for (unsigned i = 0; i < plan->nadded; i++) {
		const struct application_family *f = &plan->family[plan->added + i];
		size_t len = f->name.len;
		bool total = len > 6 && memcmp(f->name.ptr + len - 6, "_total", 6) == 0;
		if (p->type[i] != TYPE_UNKNOWN)
			l->type[i] = p->type[i];
		else if (is_histogram(&l->page[f->cell]))
			l->type[i] = TYPE_HISTOGRAM;
		else if (application_cell_seen(&l->page[f->cell]))
			l->type[i] = total ? TYPE_COUNTER : TYPE_GAUGE;
	}
}

static bool
counts(const struct application_life *l, const struct application_plan *plan, unsigned family)
{
	const struct application_family *f = &plan->family[family];

	if (f->metric != NULL)
		return f->into == family && f->metric->type != GAUGE;
	return l->type[family - plan->added] != TYPE_GAUGE;
}

/* ---- a new process? ---- */

static bool
has_fallen(const struct application_cell *last, const struct application_cell *now)
{
	return now->value < last->value ||
	       application_cell_total(now) < application_cell_total(last);
}

static bool
most_have_fallen(const struct application_life *l, const struct application_plan *plan)
{
	unsigned fallen = 0, all = 0;

	for (unsigned f = 0; f < plan->nfamilies; f++)
		for (unsigned c = 0; c < plan->family[f].ncells && counts(l, plan, f); c++) {
			const struct application_cell *last = &l->last[plan->family[f].cell + c];
			if (last->value <= 0 && application_cell_total(last) <= 0)
				continue;
			all++;
			fallen += has_fallen(last, &l->page[plan->family[f].cell + c]);
		}
	return fallen * 2 > all;
}

static uint64_t
unread(const struct application_page *p)
{
	return p->bad + p->odd;
}

static bool
is_whole(struct application_life *l, const struct application_page *p)
{
	l->cut = unread(p) > l->unread ? l->cut + 1 : 0;
	return l->cut == 0 || l->cut > CUT_PAGES;
}

static bool
is_new_process(const struct application_life *l, const struct application_plan *plan,
    const struct application_page *p, bool whole)
{
	double moved = l->has_start && p->has_start ? fabs(p->start - l->start) : UNSURE_START;

	if (moved <= 0 || moved > UNSURE_START)
		return moved > UNSURE_START;
	return whole && most_have_fallen(l, plan);
}

/* ---- what is past ---- */

static double
at_or_below(const struct application_cell *c, double bound)
{
	const struct application_bin *bin = application_cell_bin(c, bound);

	return bin != NULL ? bin->count : 0;
}

/* past += lost.  Where only one of them has a bound, the other gives what it
 * knows to be at or below it: less is known of what was, nothing of what is. */
static void
bury(struct application_cell *past, const struct application_cell *lost)
{
	struct application_cell sum = { .value = past->value + lost->value,
		.lines = past->lines + lost->lines,
		.sum = past->sum + lost->sum,
		.inf = past->inf + application_cell_total(lost),
		.infs = past->infs + is_histogram(lost),
		.sums = lost->sums > 0 && (past->infs == 0 || past->sums > 0) };

	for (uint32_t i = 0; i < past->nbins; i++) {
		double bound = past->bins[i].bound;
		application_cell_add_bin(
		    &sum, bound, past->bins[i].count + at_or_below(lost, bound), 1);
	}
	for (uint32_t i = 0; i < lost->nbins; i++) {
		const struct application_bin *bin = application_cell_bin(past, lost->bins[i].bound);
		if (bin == NULL || bin->bound != lost->bins[i].bound)
			application_cell_add_bin(&sum, lost->bins[i].bound,
			    lost->bins[i].count + (bin != NULL ? bin->count : 0), 1);
	}
	free(past->bins);
	*past = sum;
}

/* What the last page had more than this one. */
static void
find_lost(struct application_cell *lost, const struct application_cell *last,
    const struct application_cell *now)
{
	double total = application_cell_total(last) - application_cell_total(now), most = 0;

	*lost = (struct application_cell){ .lines = last->lines };
	if (last->value > now->value)
		lost->value = last->value - now->value;
	if (!is_histogram(last))
		return;
	for (uint32_t i = 0; i < last->nbins; i++) {
		double bound = last->bins[i].bound;
		const struct application_bin *bin = application_cell_bin(now, bound);
		bool gone = bin == NULL || bin->bound != bound;
		double less = last->bins[i].count - (gone ? 0 : bin->count);
		if (is_histogram(now) && gone)
			less = 0; /* other bounds, not fewer observations */
		most = less > most ? less : most;
		application_cell_add_bin(lost, bound, most, 1);
	}
	lost->infs = 1;
	lost->inf = total > most ? total : most;
	lost->sums = last->sums > 0;
	if (total > 0)
		lost->sum = last->sum - now->sum;
}

/* Of a page that could not be read whole: now is what it was. */
static void
stay(struct application_cell *last, struct application_cell *now)
{
	struct application_cell fallen = *now;

	if (!has_fallen(last, now))
		return;
	*now = *last;
	*last = fallen;
}

static void
go_on(struct application_cell *past, const struct application_cell *last,
    const struct application_cell *now, bool is_new)
{
	struct application_cell lost;

	if (!application_cell_seen(last))
		return;
	if (is_new) {
		bury(past, last);
		return;
	}
	find_lost(&lost, last, now);
	if (lost.value > 0 || lost.inf > 0)
		bury(past, &lost);
	free(lost.bins);
}

/* What an instance had counted before it was first read is nobody's: the sums
 * would jump by it when the exporter, or an instance after it, is started, and
 * rate() would take that for a burst. */
static void
begin_at_zero(struct application_cell *past, const struct application_cell *first)
{
	struct application_cell minus = { .value = -first->value,
		.lines = first->lines,
		.sum = -first->sum,
		.inf = -application_cell_total(first),
		.infs = is_histogram(first),
		.sums = first->sums };

	for (uint32_t i = 0; i < first->nbins; i++)
		application_cell_add_bin(&minus, first->bins[i].bound, -first->bins[i].count, 1);
	bury(past, &minus);
	free(minus.bins);
}

void
application_life_go_on(struct application_life *l, const struct application_plan *plan,
    const struct application_page *p)
{
	application_cells_settle(l->page, plan);
	note_types(l, plan, p);
	bool whole = !l->known || is_whole(l, p);
	bool is_new = l->known && is_new_process(l, plan, p, whole);
	whole |= is_new;
	for (unsigned f = 0; f < plan->nfamilies; f++)
		for (unsigned c = 0; c < plan->family[f].ncells && counts(l, plan, f); c++) {
			unsigned cell = plan->family[f].cell + c;
			if (!l->known)
				begin_at_zero(&l->past[cell], &l->page[cell]);
			else if (!whole)
				stay(&l->last[cell], &l->page[cell]);
			go_on(&l->past[cell], &l->last[cell], &l->page[cell], is_new);
		}
	struct application_cell *page = l->page;
	l->page = l->last;
	l->last = page;
	l->known = true;
	if (whole)
		l->unread = unread(p);
	if (!whole && !p->has_start)
		return;
	l->has_start = p->has_start;
	l->start = p->start;
}
