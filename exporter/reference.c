/*
 * reference.c - METRICS.md, printed from the tables that the program runs on.
 */
#include "number.h"
#include "registry.h"

static void
reference_labels(const struct group *g, struct buf *out)
{
	if (g->nlabels == 0)
		buf_str(out, "-");
	for (unsigned i = 0; i < g->nlabels; i++) {
		buf_printf(out, "%s`%s`", i > 0 ? ", " : "", g->labels[i].name);
		const char *const *v = g->labels[i].values;
		for (unsigned k = 0; v != NULL && v[k] != NULL; k++)
			buf_printf(out, "%s%s", k == 0 ? " = " : " \\| ", v[k]);
	}
}

static void
reference_buckets(const struct metric *m, struct buf *out)
{
	char bound[NUMBER_MAX];

	for (unsigned i = 0; i < m->nbuckets; i++) {
		bound[number_print(bound, m->buckets[i])] = '\0';
		buf_printf(out, "%s%s", i == 0 ? " Buckets: " : " ", bound);
	}
	if (m->nbuckets > 0)
		buf_str(out, ".");
	if (m->own_bounds)
		buf_str(out, " Buckets: as the source has them.");
}

static void
reference_group(const struct group *g, struct buf *out)
{
	buf_printf(out, "\n### Group `%s`%s\n\n%s\n", g->name, g->off ? " (off by default)" : "",
	    g->about);
	if (g->max_rows > 0)
		buf_printf(out, "At most %u rows.\n", g->max_rows);
	if (g->named)
		buf_str(out, "The names below are patterns: the families keep their own.\n");
	buf_str(out, "\n| metric | type | labels | meaning |\n|---|---|---|---|\n");
	for (unsigned i = 0; i < g->nmetrics; i++) {
		const struct metric *m = &g->metrics[i];
		buf_printf(out, "| `%s` | %s | ", m->name, metric_type_names[m->type]);
		reference_labels(g, out);
		buf_printf(out, " | %s", m->help);
		reference_buckets(m, out);
		buf_str(out, " |\n");
	}
}

void
registry_reference(const struct registry *r, struct buf *out)
{
	buf_str(out,
	    "# Metrics\n\n"
	    "Printed by `datatier_exporter --metrics` from the tables that the program runs on.\n"
	    "Every series of a target carries the label `target`, its configured name, first.\n"
	    "A value outside a closed set of label values is given out as `other`.\n");
	for (unsigned i = 0; i < r->ncollectors; i++) {
		const struct collector *c = r->collectors[i];
		buf_printf(out, "\n## %s\n\n%s\n", c->name, c->about);
		for (unsigned g = 0; g < c->ngroups; g++)
			reference_group(&c->groups[g], out);
	}
}
