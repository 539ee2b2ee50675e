/*
 * rows.h - what one group of one target gave in one scrape.  Label values are
 * cleaned, cut and escaped here and nowhere else; equal series cannot be told
 * apart from each other and so cannot leave: rows are unique by their label
 * text, a metric stands in a row once, names are unique by the registry.
 */
#ifndef EXPORTER_ROWS_H
#define EXPORTER_ROWS_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "collector.h"

enum rows_limits {
	LABEL_VALUE_MAX = 128,     /* bytes, cut on a character boundary */
	ROWS_SAMPLES_MAX = 100000, /* of a group of a target */
	ROWS_TEXT_MAX = 4 << 20,   /* bytes of label text, likewise */
	ROWS_CLOSED_MAX = 100000,  /* rows of a group with closed labels only */
};

enum refusal {
	REFUSED_ROWS,      /* more rows than the group may have */
	REFUSED_DUPLICATE, /* a metric put twice into one row */
	REFUSED_SIZE,      /* too many samples or too much label text */
	REFUSED_VALUE,     /* no value a metric of that type can have */
	REFUSALS
};
extern const char *const refusal_names[REFUSALS + 1]; /* NULL ends it */

#define NO_SAMPLE UINT32_MAX

struct sample {
	double   value;     /* histograms: where it begins in bins */
	uint32_t row, next; /* next of the same metric, NO_SAMPLE ends it */
};

struct label_row {
	uint32_t text, len; /* `a="x",b="y"` in rows.text; empty: no labels */
	uint64_t put;       /* bit m: metric m is there */
};

struct rows {
	const struct group *group;
	struct sample      *samples;
	struct label_row   *row;
	char               *text;
	/* Per histogram: the number of its bounds and these, where the metric
	 * has own_bounds; sum; then the counts, not cumulative. */
	double             *bins;
	uint32_t           *seen; /* row numbers + 1 by hash of their text; 0: free */
	uint32_t            nsamples, capsamples, nrows, caprows, ntext, captext;
	uint32_t            nbins, capbins, capseen;
	uint32_t            head[GROUP_METRICS_MAX], tail[GROUP_METRICS_MAX];
	uint32_t            now; /* the row that puts go to; NO_SAMPLE: none, drop them */
	uint64_t            refused[REFUSALS]; /* of this filling */
	atomic_uint         refs;
};

/* With one reference, empty; NULL: out of memory. */
struct rows *rows_new(const struct group *);
void         rows_hold(struct rows *);
void         rows_drop(struct rows *); /* frees with the last; NULL is fine */

void rows_reset(struct rows *); /* empty, keeps the memory */

/* Begins a row, or goes on with the one of the same labels.  A label whose
 * value's ptr is NULL is left out. */
void rows_begin(struct rows *, const struct text *values);
void rows_put(struct rows *, unsigned metric, double value);
/* count: nbuckets + 1 numbers, not cumulative. */
void rows_put_histogram(struct rows *, unsigned metric, double sum, const double *count);
/* The same for a metric with own_bounds. */
void rows_put_buckets(struct rows *, unsigned metric, unsigned n, const double *bounds, double sum,
    const double *count);

struct bins {                 /* a histogram as it lies in rows.bins */
	const double *bounds; /* n of them */
	const double *sum;
	const double *count; /* n + 1 */
	unsigned      n;
};
struct bins rows_bins(const struct rows *, const struct metric *, const struct sample *);

/* The counters of a new worker go on where those of the old one were: adds what
 * base has to the accumulated metrics of the same row. */
void rows_add(struct rows *, const struct rows *base);
/* Copies the accumulated metrics of the rows that are only in base. */
void rows_inherit(struct rows *, const struct rows *base);
/* Does r have all that old has of accumulated metrics? */
bool rows_cover(const struct rows *r, const struct rows *old);

#endif
