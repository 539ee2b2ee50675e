/*
 * postgresql_ledger.c - one poll after another of pg_stat_statements.
 *
 * An entry's advance since the last poll is counted under its statement type.
 * While the type is not known the last reading stays as it was, so nothing is
 * lost and nothing is counted under a wrong name; after some polls it goes
 * under "other" until the type is learnt.
 *
 * Entries lie in an array in order of arrival; `index` finds them by open
 * addressing over the queryid alone, so that all entries of one queryid are in
 * one run.
 */
#include "postgresql_ledger.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum {
	PATIENCE = 4,          /* polls to wait for a type */
	INDEX_MIN = 256,       /* a power of two */
	ENTRIES_MAX = 1 << 20, /* far above what an option allows */
};

struct entry {
	struct reading was; /* moments all 0: nothing counted of it yet */
	double before;      /* calls in the interval before */
	double pending;     /* calls seen, and not counted for want of a type */
	uint8_t type;       /* enum query_type */
	uint8_t patience;
	bool seen; /* in this poll */
};

struct ledger {
	const struct metric *metric;
	struct entry *entries;
	uint32_t n, cap;
	uint32_t *index;       /* entry + 1; 0: free */
	uint32_t slots;        /* a power of two, at least twice n */
	uint32_t gone, reborn; /* in this poll */
	uint32_t unknown;      /* that were called and have no type */
	bool only_remember;
	bool begun_once;
	struct spread spread[QUERY_TYPES];
	double lost;
};

static uint32_t
queryid_slot(const struct ledger *l, int64_t queryid)
{
	uint64_t h = (uint64_t)queryid * UINT64_C(0x9e3779b97f4a7c15);

	return (uint32_t)(h >> 32) & (l->slots - 1);
}

struct ledger *
ledger_new(const struct metric *metric)
{
	struct ledger *l = calloc(1, sizeof *l);

	if (l != NULL)
		l->metric = metric;
	return l;
}

void
ledger_free(struct ledger *l)
{
	if (l == NULL)
		return;
	free(l->entries);
	free(l->index);
	free(l);
}

static void
index_put(struct ledger *l, uint32_t entry)
{
	uint32_t slot = queryid_slot(l, l->entries[entry].was.queryid);

	while (l->index[slot] != 0)
		slot = (slot + 1) & (l->slots - 1);
	l->index[slot] = entry + 1;
}

static void
index_fill(struct ledger *l)
{
	memset(l->index, 0, l->slots * sizeof *l->index);
	for (uint32_t i = 0; i < l->n; i++)
		index_put(l, i);
}

static bool
index_resize(struct ledger *l, uint32_t slots)
{
	uint32_t *more = realloc(l->index, slots * sizeof *more);

	if (more == NULL)
		return false;
	l->index = more;
	l->slots = slots;
	index_fill(l);
	return true;
}

/* Room for one entry more, and an index at most half full. */
static bool
ledger_grow(struct ledger *l)
{
	if (l->n == l->cap) {
		uint32_t cap = l->cap == 0 ? INDEX_MIN / 2 : l->cap * 2;
		if (cap > ENTRIES_MAX)
			return false;
		struct entry *more = realloc(l->entries, cap * sizeof *more);
		if (more == NULL)
			return false;
		l->entries = more;
		l->cap = cap;
	}
	return l->slots >= 2 * l->cap || index_resize(l, 2 * l->cap);
}

static bool
same_entry(const struct reading *a, const struct reading *b)
{
	return a->queryid == b->queryid && a->userid == b->userid && a->dbid == b->dbid;
}

static struct entry *
ledger_find(struct ledger *l, const struct reading *r)
{
	if (l->slots == 0)
		return NULL;
	for (uint32_t slot = queryid_slot(l, r->queryid); l->index[slot] != 0;
	     slot = (slot + 1) & (l->slots - 1)) {
		struct entry *e = &l->entries[l->index[slot] - 1];
		if (same_entry(&e->was, r))
			return e;
	}
	return NULL;
}

/* A type learnt for this queryid under another user or in another database. */
static uint8_t
queryid_type(const struct ledger *l, int64_t queryid)
{
	for (uint32_t slot = queryid_slot(l, queryid); l->index[slot] != 0;
	     slot = (slot + 1) & (l->slots - 1)) {
		const struct entry *e = &l->entries[l->index[slot] - 1];
		if (e->was.queryid == queryid && e->type != QUERY_UNKNOWN)
			return e->type;
	}
	return QUERY_UNKNOWN;
}

void
ledger_begin(struct ledger *l, bool anew)
{
	if (anew && l->slots > 0) {
		l->n = 0;
		index_fill(l);
	}
	l->only_remember = anew || !l->begun_once;
	l->begun_once = true;
	l->gone = l->reborn = l->unknown = 0;
	for (uint32_t i = 0; i < l->n; i++)
		l->entries[i].seen = false;
}

/* An entry made anew shows by its time of making (from 17 on), or by values
 * that only a new one can have: less than before, other times of the same
 * calls, a minimum or maximum that went back. */
static bool
entry_reborn(const struct entry *e, const struct reading *r)
{
	const struct moments *was = &e->was.moments, *now = &r->moments;

	if (e->was.since != r->since || now->calls < was->calls + e->pending ||
	    now->total < was->total)
		return true;
	if (r->since != 0 || was->calls <= 0)
		return false;
	return (now->calls <= was->calls && now->total > was->total) || now->min > was->min ||
	       now->max < was->max;
}

static void
entry_count(struct ledger *l, struct entry *e, const struct reading *r)
{
	double calls = r->moments.calls - e->was.moments.calls;
	enum query_type type = e->type != QUERY_UNKNOWN ? e->type : QUERY_OTHER;

	if (calls > 0 && e->type == QUERY_UNKNOWN) {
		l->unknown++;
		if (e->patience > 0) {
			e->patience--;
			e->pending = calls;
			return;
		}
	}
	if (calls > 0 && type != QUERY_OURS)
		estimate_add(&l->spread[type], l->metric, &e->was.moments, &r->moments);
	e->before = calls;
	e->pending = 0;
	e->was = *r;
}

/* The entry has made room or begun anew: what was not counted is lost, and so
 * is what it did since, as much as in the interval before by expectation. */
static void
entry_lost(struct ledger *l, struct entry *e, double seen_since)
{
	if (e->type != QUERY_OURS)
		l->lost += e->pending + fmax(e->before - seen_since, 0);
	e->pending = 0;
}

static struct entry *
entry_new(struct ledger *l, const struct reading *r)
{
	if (!ledger_grow(l))
		return NULL;
	struct entry *e = &l->entries[l->n];
	*e = (struct entry){ .was = *r, .patience = PATIENCE, .type = queryid_type(l, r->queryid) };
	index_put(l, l->n++);
	if (!l->only_remember)
		e->was.moments = (struct moments){ 0 };
	return e;
}

bool
ledger_take(struct ledger *l, const struct reading *r)
{
	struct entry *e = ledger_find(l, r);

	if (e != NULL && e->seen) /* twice in one answer: the first counts */
		return true;
	if (e == NULL && (e = entry_new(l, r)) == NULL)
		return false;
	e->seen = true;
	if (entry_reborn(e, r)) {
		l->reborn++;
		entry_lost(l, e, r->moments.calls);
		e->was.moments = (struct moments){ 0 };
		e->was.since = r->since;
	}
	entry_count(l, e, r);
	return true;
}

static void
entries_forget_gone(struct ledger *l)
{
	uint32_t kept = 0;

	for (uint32_t i = 0; i < l->n; i++) {
		if (l->entries[i].seen) {
			l->entries[kept++] = l->entries[i];
			continue;
		}
		l->gone++;
		entry_lost(l, &l->entries[i], 0);
	}
	if (kept == l->n)
		return;
	l->n = kept;
	index_fill(l);
}

void
ledger_end(struct ledger *l, double evicted)
{
	entries_forget_gone(l);
	/* Made and evicted between two polls: neither gone nor reborn, and as
	 * such entries go first, called hardly more than once. */
	if (evicted > l->gone + l->reborn && !l->only_remember)
		l->lost += evicted - l->gone - l->reborn;
}

void
ledger_learn(struct ledger *l, int64_t queryid, enum query_type type)
{
	if (l->slots == 0 || type == QUERY_UNKNOWN)
		return;
	for (uint32_t slot = queryid_slot(l, queryid); l->index[slot] != 0;
	     slot = (slot + 1) & (l->slots - 1)) {
		struct entry *e = &l->entries[l->index[slot] - 1];
		if (e->was.queryid == queryid && e->type == QUERY_UNKNOWN)
			e->type = (uint8_t)type;
	}
}

size_t
ledger_unknown(const struct ledger *l)
{
	return l->unknown;
}

size_t
ledger_entries(const struct ledger *l)
{
	return l->n;
}

void
ledger_histogram(const struct ledger *l, enum query_type type, struct histogram *h)
{
	estimate_histogram(&l->spread[type], l->metric, h);
}

double
ledger_lost(const struct ledger *l)
{
	return floor(l->lost + 0.5);
}
