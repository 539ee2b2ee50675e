/*
 * expose.c - family -> targets -> samples.  Nothing is escaped, checked or
 * sorted here: rows.c and registry.c have seen to that.
 */
#include "expose.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "number.h"

struct line { /* what the lines of one row set have in common */
	struct buf *out;
	const struct metric *metric;
	struct text name, prefix;
	const struct rows *rows;
	char *const *le; /* NULL: the bounds stand in the rows */
	bool named;      /* the row's label is the name */
};

static char *
copy(char *at, struct text t)
{
	if (t.len > 0)
		memcpy(at, t.ptr, t.len);
	return at + t.len;
}

static char *
copy_part(char *at, struct text part, bool *open)
{
	if (part.len == 0)
		return at;
	*at++ = *open ? ',' : '{';
	*open = true;
	return copy(at, part);
}

/* name suffix {prefix,row,extra} value */
static void
add_line(const struct line *l, struct text suffix, uint32_t row, struct text extra, double value)
{
	enum { BETWEEN = 8 }; /* { , , } blank and line end, rounded up */
	const struct label_row *r = &l->rows->row[row];
	struct text labels = { NULL, 0 };
	bool open = false;

	if (r->len > 0 && !l->named)
		labels = (struct text){ l->rows->text + r->text, r->len };
	char *begin = buf_room(l->out, l->name.len + suffix.len + l->prefix.len + labels.len +
					   extra.len + NUMBER_MAX + BETWEEN);
	if (begin == NULL)
		return;
	char *at = copy(copy(begin, l->name), suffix);
	at = copy_part(at, l->prefix, &open);
	at = copy_part(at, labels, &open);
	at = copy_part(at, extra, &open);
	if (open)
		*at++ = '}';
	*at++ = ' ';
	at += number_print(at, value);
	*at++ = '\n';
	l->out->len += (size_t)(at - begin);
}

/* `le="0.5"` of a bound that only this row has. */
static struct text
own_le(char out[static NUMBER_MAX + 6], double bound)
{
	const struct text begin = TEXT("le=\"");
	size_t n = begin.len;

	memcpy(out, begin.ptr, n);
	n += le_print(out + n, bound);
	out[n++] = '"';
	return (struct text){ out, n };
}

static void
add_histogram(const struct line *l, const struct sample *s)
{
	const struct bins b = rows_bins(l->rows, l->metric, s);
	char own[NUMBER_MAX + 6];
	double total = 0;

	for (unsigned i = 0; i <= b.n; i++) {
		total += b.count[i];
		struct text le = l->le != NULL ? text_of(l->le[i])
					       : own_le(own, i < b.n ? b.bounds[i] : INFINITY);
		add_line(l, TEXT("_bucket"), s->row, le, total);
	}
	if (isnan(*b.sum))
		return;
	add_line(l, TEXT("_sum"), s->row, TEXT(""), *b.sum);
	add_line(l, TEXT("_count"), s->row, TEXT(""), total);
}

static void
add_sample(const struct line *l, const struct sample *s)
{
	if (l->metric->type == HISTOGRAM)
		add_histogram(l, s);
	else
		add_line(l, TEXT(""), s->row, TEXT(""), s->value);
}

static void
add_samples(const struct line *l, uint32_t first)
{
	for (uint32_t i = first; i != NO_SAMPLE; i = l->rows->samples[i].next)
		add_sample(l, &l->rows->samples[i]);
}

static void
expose_use(struct buf *out, const struct family *f, const struct family_use *use,
    const struct view *views, size_t nviews, const char **head)
{
	for (size_t i = 0; i < nviews; i++) {
		const struct rows *rows =
		    views[i].collector == use->collector ? views[i].groups[use->group] : NULL;
		if (rows == NULL || rows->head[use->metric] == NO_SAMPLE)
			continue;
		if (*head != NULL)
			buf_str(out, *head);
		*head = NULL;
		const struct metric *m = &rows->group->metrics[use->metric];
		struct line line = { out, m, text_of(m->name), views[i].prefix, rows,
			m->own_bounds ? NULL : f->le, false };
		add_samples(&line, rows->head[use->metric]);
	}
}

/* ---- families that rows name ---- */

struct named { /* one row's sample */
	struct text name, family;
	const struct view *view;
	const struct rows *rows;
	unsigned metric;
	uint32_t sample;
};

static bool
is_name(struct text t)
{
	for (size_t i = 0; i < t.len; i++) {
		char c = t.ptr[i];
		bool letter =
		    (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_' || c == ':';
		if (!letter && (i == 0 || c < '0' || c > '9'))
			return false;
	}
	return t.len > 0;
}

/* The name out of the row's one label, `label="name"`.  False: nothing that a
 * family of that type can be called. */
static bool
named_read(struct named *n, const struct registry *r)
{
	const struct label_row *row = &n->rows->row[n->rows->samples[n->sample].row];
	size_t before = strlen(n->rows->group->labels[0].name) + 2, end = strlen("_total");
	bool counter = n->rows->group->metrics[n->metric].type == COUNTER;

	n->name = (struct text){ n->rows->text + row->text + before, row->len - before - 1 };
	n->family = n->name;
	bool total =
	    n->name.len > end && memcmp(n->name.ptr + n->name.len - end, "_total", end) == 0;
	if (total)
		n->family.len -= end;
	return is_name(n->name) && counter == total && registry_may_name(r, n->family);
}

/* By family, and within one in the order of arrival. */
static int
named_order(const void *a, const void *b)
{
	const struct named *x = a, *y = b;
	size_t len = x->family.len < y->family.len ? x->family.len : y->family.len;
	int order = memcmp(x->family.ptr, y->family.ptr, len);

	if (order == 0)
		order = (x->family.len > y->family.len) - (x->family.len < y->family.len);
	if (order == 0)
		order = (x->view > y->view) - (x->view < y->view);
	return order != 0 ? order : (x->sample > y->sample) - (x->sample < y->sample);
}

/* Appends those of one pattern in one set of rows; counts only where list is NULL. */
static size_t
named_add(struct named *list, size_t count, const struct registry *r, const struct view *view,
    const struct family_use *use)
{
	const struct rows *rows = view->groups[use->group];
	uint32_t s = rows == NULL ? NO_SAMPLE : rows->head[use->metric];

	for (; s != NO_SAMPLE; s = rows->samples[s].next) {
		struct named n = { .view = view, .rows = rows, .metric = use->metric, .sample = s };
		if (!named_read(&n, r))
			continue;
		if (list != NULL)
			list[count] = n;
		count++;
	}
	return count;
}

static size_t
named_list(struct named *list, const struct registry *r, const struct view *views, size_t nviews)
{
	size_t count = 0;

	for (unsigned i = 0; i < r->nfamilies; i++) {
		const struct family_use *use = &r->families[i].uses[0];
		for (size_t v = 0; v < nviews && r->families[i].named; v++)
			if (views[v].collector == use->collector)
				count = named_add(list, count, r, &views[v], use);
	}
	return count;
}

/* The first of a family decides on its type: what is of another is left out. */
static void
expose_named(
    struct buf *out, const struct registry *r, const struct view *views, size_t nviews, bool om)
{
	size_t count = named_list(NULL, r, views, nviews);
	struct named *list = count == 0 ? NULL : malloc(count * sizeof *list);
	const struct named *first = NULL;

	if (list == NULL) {
		out->failed |= count > 0;
		return;
	}
	named_list(list, r, views, nviews);
	qsort(list, count, sizeof *list, named_order);
	for (const struct named *n = list; n < list + count; n++) {
		const struct metric *m = &n->rows->group->metrics[n->metric];
		if (first == NULL || !text_equal(first->family, n->family)) {
			first = n;
			registry_head(out, m, om ? n->family : n->name, om);
		} else if (first->rows->group->metrics[first->metric].type != m->type) {
			continue;
		}
		struct line line = { out, m, n->name, n->view->prefix, n->rows, NULL, true };
		add_sample(&line, &n->rows->samples[n->sample]);
	}
	free(list);
}

void
expose(struct buf *out, const struct registry *r, const struct view *views, size_t nviews,
    bool openmetrics)
{
	for (unsigned i = 0; i < r->nfamilies; i++) {
		const struct family *f = &r->families[i];
		const char *head = f->head[openmetrics];
		for (unsigned u = 0; u < f->nuses && !f->named; u++)
			expose_use(out, f, &f->uses[u], views, nviews, &head);
	}
	expose_named(out, r, views, nviews, openmetrics);
	if (openmetrics)
		buf_str(out, "# EOF\n");
}

struct text
expose_prefix(const char *target)
{
	static const struct label label[] = { { "target", NULL } };
	static const struct group group = { .name = "prefix", .labels = label, .nlabels = 1 };
	struct rows *r = rows_new(&group);
	struct text prefix = { NULL, 0 };

	if (r == NULL)
		return prefix;
	rows_begin(r, &(struct text){ target, strlen(target) });
	prefix = (struct text){ strndup(r->text, r->ntext), r->ntext };
	rows_drop(r);
	return prefix;
}
