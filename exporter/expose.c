/*
 * expose.c - family -> targets -> samples.  Nothing is escaped, checked or
 * sorted here: rows.c and registry.c have seen to that.
 */
#include "expose.h"

#include <stdlib.h>
#include <string.h>

#include "number.h"

struct line { /* what the lines of one row set have in common */
	struct buf *out;
	const struct metric *metric;
	struct text name, prefix;
	const struct rows *rows;
	char *const *le;
};

static void
add_part(struct buf *out, struct text part, bool *open)
{
	if (part.len == 0)
		return;
	buf_char(out, *open ? ',' : '{');
	buf_text(out, part);
	*open = true;
}

/* name suffix {prefix,row,extra} value */
static void
add_line(const struct line *l, struct text suffix, uint32_t row, struct text extra, double value)
{
	const struct label_row *labels = &l->rows->row[row];
	char number[NUMBER_MAX];
	bool open = false;

	buf_text(l->out, l->name);
	buf_text(l->out, suffix);
	add_part(l->out, l->prefix, &open);
	if (labels->len > 0)
		add_part(l->out, (struct text){ l->rows->text + labels->text, labels->len }, &open);
	add_part(l->out, extra, &open);
	if (open)
		buf_char(l->out, '}');
	buf_char(l->out, ' ');
	buf_add(l->out, number, number_print(number, value));
	buf_char(l->out, '\n');
}

static void
add_histogram(const struct line *l, const struct sample *s)
{
	const double *bins = l->rows->bins + (uint32_t)s->value;
	double total = 0;

	for (unsigned i = 0; i <= l->metric->nbuckets; i++) {
		total += bins[1 + i];
		add_line(l, TEXT("_bucket"), s->row, text_of(l->le[i]), total);
	}
	add_line(l, TEXT("_sum"), s->row, TEXT(""), bins[0]);
	add_line(l, TEXT("_count"), s->row, TEXT(""), total);
}

static void
add_samples(const struct line *l, uint32_t first)
{
	for (uint32_t i = first; i != NO_SAMPLE; i = l->rows->samples[i].next) {
		const struct sample *s = &l->rows->samples[i];
		if (l->metric->type == HISTOGRAM)
			add_histogram(l, s);
		else
			add_line(l, TEXT(""), s->row, TEXT(""), s->value);
	}
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
		struct line line = { out, f->metric, text_of(f->metric->name), views[i].prefix,
			rows, f->le };
		add_samples(&line, rows->head[use->metric]);
	}
}

void
expose(struct buf *out, const struct registry *r, const struct view *views, size_t nviews,
    bool openmetrics)
{
	for (unsigned i = 0; i < r->nfamilies; i++) {
		const struct family *f = &r->families[i];
		const char *head = f->head[openmetrics];
		for (unsigned u = 0; u < f->nuses; u++)
			expose_use(out, f, &f->uses[u], views, nviews, &head);
	}
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
