/*
 * rows.c - label rows and samples in flat arrays that keep their memory.
 */
#include "rows.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

const char *const refusal_names[REFUSALS + 1] = { "rows", "duplicate", "size", "value" };

struct rows *
rows_new(const struct group *group)
{
	struct rows *r = calloc(1, sizeof *r);

	if (r == NULL)
		return NULL;
	r->group = group;
	atomic_init(&r->refs, 1);
	rows_reset(r);
	return r;
}

void
rows_hold(struct rows *r)
{
	atomic_fetch_add(&r->refs, 1);
}

void
rows_drop(struct rows *r)
{
	if (r == NULL || atomic_fetch_sub(&r->refs, 1) != 1)
		return;
	free(r->samples);
	free(r->row);
	free(r->text);
	free(r->bins);
	free(r->seen);
	free(r);
}

void
rows_reset(struct rows *r)
{
	r->nsamples = r->nrows = r->ntext = r->nbins = 0;
	r->now = NO_SAMPLE;
	for (unsigned m = 0; m < r->group->nmetrics; m++)
		r->head[m] = r->tail[m] = NO_SAMPLE;
	if (r->capseen > 0)
		memset(r->seen, 0, r->capseen * sizeof *r->seen);
	memset(r->refused, 0, sizeof r->refused);
}

/* Room for n elements in an array of *cap; the new array, or NULL and the old
 * one is still good. */
static void *
grow(void *array, uint32_t *cap, uint32_t n, size_t size)
{
	uint32_t wanted = *cap < 16 ? 16 : *cap;

	while (wanted < n)
		wanted *= 2;
	void *grown = realloc(array, wanted * size);
	if (grown != NULL)
		*cap = wanted;
	return grown;
}

#define ROOM(array, cap, n)                                                                        \
	((n) <= (cap) || ((grown = grow((array), &(cap), (n), sizeof *(array))) != NULL &&         \
			     ((array) = grown, true)))

static bool
in_set(const char *const *values, struct text t)
{
	for (; *values != NULL; values++)
		if (text_is(t, *values))
			return true;
	return false;
}

/* Writes `name="value"` to out (large enough for every character escaped). */
static size_t
print_label(char *out, const struct label *label, struct text value)
{
	char clean[LABEL_VALUE_MAX + 1];
	size_t n = strlen(label->name);

	if (label->values != NULL && !in_set(label->values, value))
		value = TEXT("other");
	text_clean(clean, sizeof clean, value);
	memcpy(out, label->name, n);
	out[n++] = '=';
	out[n++] = '"';
	for (const char *s = clean; *s != '\0'; s++) { /* line ends are cleaned away */
		if (*s == '\\' || *s == '"')
			out[n++] = '\\';
		out[n++] = *s;
	}
	out[n++] = '"';
	return n;
}

/* FNV-1a: short texts, no adversary who gains by a slow scrape of his own. */
static uint32_t
hash(const char *text, size_t len)
{
	uint32_t h = 2166136261u;

	for (size_t i = 0; i < len; i++)
		h = (h ^ (unsigned char)text[i]) * 16777619u;
	return h;
}

/* Where the row with this text is noted in seen, or the free place for it. */
static uint32_t *
place(const struct rows *r, const char *text, uint32_t len)
{
	for (uint32_t i = hash(text, len);; i++) {
		uint32_t *at = &r->seen[i & (r->capseen - 1)];
		if (*at == 0)
			return at;
		const struct label_row *row = &r->row[*at - 1];
		if (row->len == len && (len == 0 || memcmp(r->text + row->text, text, len) == 0))
			return at;
	}
}

/* Keeps seen at most half full. */
static bool
room_in_seen(struct rows *r)
{
	if (r->nrows * 2 < r->capseen)
		return true;
	uint32_t cap = r->capseen == 0 ? 32 : r->capseen * 2;
	uint32_t *seen = calloc(cap, sizeof *seen);
	if (seen == NULL)
		return false;
	free(r->seen);
	r->seen = seen;
	r->capseen = cap;
	for (uint32_t i = 0; i < r->nrows; i++)
		*place(r, r->text + r->row[i].text, r->row[i].len) = i + 1;
	return true;
}

static void
begin_text(struct rows *r, const char *text, uint32_t len)
{
	uint32_t limit = r->group->max_rows > 0 ? r->group->max_rows : ROWS_CLOSED_MAX;
	void *grown;

	r->now = NO_SAMPLE;
	if (!room_in_seen(r)) {
		r->refused[REFUSED_SIZE]++;
		return;
	}
	uint32_t *at = place(r, text, len);
	if (*at != 0) {
		r->now = *at - 1;
	} else if (r->nrows >= limit) {
		r->refused[REFUSED_ROWS]++;
	} else if (r->ntext + len > ROWS_TEXT_MAX || !ROOM(r->row, r->caprows, r->nrows + 1) ||
		   !ROOM(r->text, r->captext, r->ntext + len)) {
		r->refused[REFUSED_SIZE]++;
	} else {
		if (len > 0)
			memcpy(r->text + r->ntext, text, len);
		r->row[r->nrows] = (struct label_row){ r->ntext, len, 0 };
		r->ntext += len;
		r->now = r->nrows++;
		*at = r->now + 1;
	}
}

void
rows_begin(struct rows *r, const struct text *values)
{
	enum { NAME_MAX_BYTES = 64 }; /* the registry's limit on label names */
	char text[GROUP_LABELS_MAX * (NAME_MAX_BYTES + 4 + 2 * LABEL_VALUE_MAX)];
	size_t n = 0;

	for (unsigned i = 0; i < r->group->nlabels; i++) {
		if (values[i].ptr == NULL)
			continue;
		if (n > 0)
			text[n++] = ',';
		n += print_label(text + n, &r->group->labels[i], values[i]);
	}
	begin_text(r, text, (uint32_t)n);
}

/* Room for one more sample of that metric in the row begun last. */
static bool
may_put(struct rows *r, unsigned metric)
{
	void *grown;

	if (r->now == NO_SAMPLE)
		return false;
	if (r->row[r->now].put & UINT64_C(1) << metric) {
		r->refused[REFUSED_DUPLICATE]++;
		return false;
	}
	if (r->nsamples >= ROWS_SAMPLES_MAX || !ROOM(r->samples, r->capsamples, r->nsamples + 1)) {
		r->refused[REFUSED_SIZE]++;
		return false;
	}
	return true;
}

static void
append(struct rows *r, unsigned metric, double value)
{
	uint32_t n = r->nsamples++;

	r->samples[n] = (struct sample){ value, r->now, NO_SAMPLE };
	if (r->tail[metric] == NO_SAMPLE)
		r->head[metric] = n;
	else
		r->samples[r->tail[metric]].next = n;
	r->tail[metric] = n;
	r->row[r->now].put |= UINT64_C(1) << metric;
}

void
rows_put(struct rows *r, unsigned metric, double value)
{
	enum metric_type type = r->group->metrics[metric].type;

	if (type == HISTOGRAM || isnan(value) ||
	    (type == COUNTER && !(value >= 0 && isfinite(value))))
		r->refused[REFUSED_VALUE]++;
	else if (may_put(r, metric))
		append(r, metric, type == INFO ? 1 : value);
}

static bool
all_counts(double sum, const double *count, unsigned n)
{
	if (!isfinite(sum))
		return false;
	for (unsigned i = 0; i < n; i++)
		if (!(count[i] >= 0 && isfinite(count[i])))
			return false;
	return true;
}

/* bounds NULL: they are the metric's. */
static void
append_bins(struct rows *r, unsigned metric, unsigned n, const double *bounds, double sum,
    const double *count)
{
	uint32_t own = bounds != NULL ? 1 + n : 0;
	void *grown;

	if (!may_put(r, metric))
		return;
	if (!ROOM(r->bins, r->capbins, r->nbins + own + n + 2)) {
		r->refused[REFUSED_SIZE]++;
		return;
	}
	double *at = r->bins + r->nbins;
	append(r, metric, r->nbins);
	r->nbins += own + n + 2;
	if (bounds != NULL) {
		*at++ = n;
		memcpy(at, bounds, n * sizeof *bounds);
		at += n;
	}
	*at++ = sum;
	memcpy(at, count, (n + 1) * sizeof *count);
}

void
rows_put_histogram(struct rows *r, unsigned metric, double sum, const double *count)
{
	const struct metric *m = &r->group->metrics[metric];

	if (m->type != HISTOGRAM || m->own_bounds || !all_counts(sum, count, m->nbuckets + 1))
		r->refused[REFUSED_VALUE]++;
	else
		append_bins(r, metric, m->nbuckets, NULL, sum, count);
}

static bool
rising(const double *bounds, unsigned n)
{
	for (unsigned i = 0; i < n; i++)
		if (!isfinite(bounds[i]) || (i > 0 && bounds[i] <= bounds[i - 1]))
			return false;
	return true;
}

void
rows_put_buckets(struct rows *r, unsigned metric, unsigned n, const double *bounds, double sum,
    const double *count)
{
	const struct metric *m = &r->group->metrics[metric];

	if (m->type != HISTOGRAM || !m->own_bounds || n > OWN_BOUNDS_MAX || !rising(bounds, n) ||
	    !all_counts(isnan(sum) ? 0 : sum, count, n + 1))
		r->refused[REFUSED_VALUE]++;
	else
		append_bins(r, metric, n, bounds, sum, count);
}

struct bins
rows_bins(const struct rows *r, const struct metric *m, const struct sample *s)
{
	const double *at = r->bins + (uint32_t)s->value;
	struct bins b = { m->buckets, at, at + 1, m->nbuckets };

	if (m->own_bounds) {
		b.n = (unsigned)*at;
		b.bounds = at + 1;
		b.sum = at + 1 + b.n;
		b.count = b.sum + 1;
	}
	return b;
}

static void
add_sample(struct rows *r, const struct metric *m, struct sample *s, const struct rows *base,
    const struct sample *b)
{
	if (m->type != HISTOGRAM) {
		s->value += b->value;
		return;
	}
	struct bins to = rows_bins(r, m, s), from = rows_bins(base, m, b);
	double *bins = r->bins + (to.sum - r->bins);
	if (to.n != from.n ||
	    (to.n > 0 && memcmp(to.bounds, from.bounds, to.n * sizeof *to.bounds) != 0))
		return; /* the same row with other bounds is another histogram */
	for (unsigned i = 0; i < to.n + 2; i++)
		bins[i] += from.sum[i];
}

/* at[row]: the sample of that metric in that row, or NO_SAMPLE. */
static void
samples_by_row(const struct rows *r, unsigned metric, uint32_t *at)
{
	for (uint32_t i = 0; i < r->nrows; i++)
		at[i] = NO_SAMPLE;
	for (uint32_t i = r->head[metric]; i != NO_SAMPLE; i = r->samples[i].next)
		at[r->samples[i].row] = i;
}

/* The row of r with the text of that row of other, or NO_SAMPLE. */
static uint32_t
same_row(const struct rows *r, const struct rows *other, uint32_t row)
{
	const struct label_row *o = &other->row[row];

	return r->capseen == 0 ? NO_SAMPLE : *place(r, other->text + o->text, o->len) - 1;
}

static void
add_metric(struct rows *r, unsigned metric, const struct rows *base, const uint32_t *at)
{
	const struct metric *m = &r->group->metrics[metric];

	for (uint32_t i = r->head[metric]; i != NO_SAMPLE; i = r->samples[i].next) {
		uint32_t row = same_row(base, r, r->samples[i].row);
		if (row == NO_SAMPLE || at[row] == NO_SAMPLE)
			continue;
		add_sample(r, m, &r->samples[i], base, &base->samples[at[row]]);
	}
}

void
rows_add(struct rows *r, const struct rows *base)
{
	uint32_t *at = malloc((base->nrows + 1) * sizeof *at);

	for (unsigned m = 0; at != NULL && m < r->group->nmetrics; m++) {
		if (!r->group->metrics[m].accumulated)
			continue;
		samples_by_row(base, m, at);
		add_metric(r, m, base, at);
	}
	free(at);
}

static void
inherit_sample(struct rows *r, unsigned metric, const struct rows *base, const struct sample *b)
{
	const struct metric *m = &r->group->metrics[metric];

	if (m->type != HISTOGRAM) {
		rows_put(r, metric, b->value);
		return;
	}
	struct bins bins = rows_bins(base, m, b);
	if (m->own_bounds)
		rows_put_buckets(r, metric, bins.n, bins.bounds, *bins.sum, bins.count);
	else
		rows_put_histogram(r, metric, *bins.sum, bins.count);
}

void
rows_inherit(struct rows *r, const struct rows *base)
{
	for (unsigned m = 0; m < r->group->nmetrics; m++) {
		if (!r->group->metrics[m].accumulated)
			continue;
		for (uint32_t i = base->head[m]; i != NO_SAMPLE; i = base->samples[i].next) {
			const struct sample *b = &base->samples[i];
			const struct label_row *row = &base->row[b->row];
			begin_text(r, base->text + row->text, row->len);
			if (r->now != NO_SAMPLE && !(r->row[r->now].put & UINT64_C(1) << m))
				inherit_sample(r, m, base, b);
		}
	}
}

bool
rows_cover(const struct rows *r, const struct rows *old)
{
	for (unsigned m = 0; m < old->group->nmetrics; m++) {
		if (!old->group->metrics[m].accumulated)
			continue;
		for (uint32_t i = old->head[m]; i != NO_SAMPLE; i = old->samples[i].next) {
			uint32_t row = same_row(r, old, old->samples[i].row);
			if (row == NO_SAMPLE || !(r->row[row].put & UINT64_C(1) << m))
				return false;
		}
	}
	return true;
}
