/*
 * registry.c - the checks that every table must pass before anything starts.
 * A wrong line in the exposition silences the whole exporter, so what can be
 * known beforehand is known here.
 */
#include "registry.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "number.h"

const char *const metric_type_names[] = { "gauge", "counter", "info", "histogram" };

/* ---- one table ---- */

struct check { /* where a fault is, for its line */
	struct buf *faults;
	const char *collector, *group, *row;
	bool good;
};

PRINTF(2, 3)
static void
fault(struct check *ck, const char *fmt, ...)
{
	char text[512];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof text, fmt, ap);
	va_end(ap);
	buf_printf(ck->faults, "collector %s, group %s, %s: %s\n", ck->collector,
	    ck->group != NULL ? ck->group : "-", ck->row != NULL ? ck->row : "-", text);
	ck->good = false;
}

static bool
good_name(const char *s)
{
	size_t len = s == NULL ? 0 : strlen(s);

	return len > 0 && len <= NAME_MAX_LEN && strchr("0123456789_", s[0]) == NULL &&
	       strspn(s, "abcdefghijklmnopqrstuvwxyz0123456789_") == len;
}

static bool
ends_in(const char *s, const char *end)
{
	size_t len = strlen(s), elen = strlen(end);

	return len >= elen && strcmp(s + len - elen, end) == 0;
}

/* The family name of OpenMetrics: without _total or _info. */
static size_t
family_len(const struct metric *m)
{
	size_t len = strlen(m->name);

	return m->type == COUNTER && ends_in(m->name, "_total") ? len - strlen("_total")
	       : m->type == INFO && ends_in(m->name, "_info")   ? len - strlen("_info")
								: len;
}

static const char *const suffixes[] = { "_bucket", "_count", "_sum", "_created" };

static bool
one_sentence(const char *help)
{
	size_t len = help == NULL ? 0 : strlen(help);

	return len > 1 && help[len - 1] == '.' && strpbrk(help, "\n\\\"") == NULL;
}

static void
check_buckets(struct check *ck, const struct metric *m)
{
	if (m->type != HISTOGRAM) {
		if (m->nbuckets > 0)
			fault(ck, "only a histogram has buckets");
		if (m->own_bounds)
			fault(ck, "only a histogram has bounds of its rows");
		return;
	}
	if (m->own_bounds) {
		if (m->nbuckets > 0)
			fault(ck, "with bounds of its rows a histogram has none of its own");
		return;
	}
	if (m->nbuckets == 0 || m->nbuckets > HISTOGRAM_BOUNDS_MAX || m->buckets == NULL) {
		fault(ck, "a histogram has 1 to %d bounds", HISTOGRAM_BOUNDS_MAX);
		return;
	}
	for (unsigned i = 0; i < m->nbuckets; i++)
		if (!isfinite(m->buckets[i]) || (i > 0 && m->buckets[i] <= m->buckets[i - 1]))
			fault(ck, "bound %u is not finite or does not rise", i);
}

static void
check_suffix(struct check *ck, const struct metric *m)
{
	char unit[NAME_MAX_LEN + 2];

	for (size_t i = 0; i < COUNT(suffixes); i++)
		if (ends_in(m->name, suffixes[i]))
			fault(ck, "the suffix %s is reserved", suffixes[i]);
	if ((m->type == COUNTER) != ends_in(m->name, "_total"))
		fault(ck, "a counter, and only a counter, ends in _total");
	if ((m->type == INFO) != ends_in(m->name, "_info"))
		fault(ck, "an info, and only an info, ends in _info");
	if (m->unit == NULL)
		return;
	size_t n = (size_t)snprintf(unit, sizeof unit, "_%s", m->unit), len = family_len(m);
	if (!good_name(m->unit) || len < n || memcmp(m->name + len - n, unit, n) != 0)
		fault(ck, "the name does not end in its unit \"%s\"", m->unit);
}

static void
check_metric(struct check *ck, const struct metric *m)
{
	if (!good_name(m->name)) {
		fault(ck, "a metric's name is a-z, 0-9, _ and at most %d long", NAME_MAX_LEN);
		return;
	}
	ck->row = m->name;
	if ((unsigned)m->type >= COUNT(metric_type_names)) {
		fault(ck, "unknown type %d", (int)m->type);
		return;
	}
	if (!one_sentence(m->help))
		fault(ck, "help is one full sentence without quotes, backslashes or line ends");
	if (!isfinite(m->scale))
		fault(ck, "scale is not finite");
	check_suffix(ck, m);
	check_buckets(ck, m);
}

static void
check_label(struct check *ck, const struct group *g, unsigned i, bool own)
{
	static const char *const reserved[] = { "le", "quantile", "target", "job" };
	const char *name = g->labels[i].name;

	ck->row = name;
	if (!good_name(name)) {
		fault(ck, "a label's name is a-z, 0-9, _ and at most %d long", NAME_MAX_LEN);
		return;
	}
	for (size_t r = 0; r < COUNT(reserved); r++)
		if (strcmp(name, reserved[r]) == 0 && !(own && strcmp(name, "target") == 0))
			fault(ck, "the label %s is reserved", name);
	for (unsigned k = 0; k < i; k++)
		if (g->labels[k].name != NULL && strcmp(name, g->labels[k].name) == 0)
			fault(ck, "the label stands twice");
	if (g->labels[i].values == NULL && g->max_rows == 0)
		fault(ck, "an open label needs max_rows");
}

static void
check_named(struct check *ck, const struct group *g)
{
	unsigned seen = 0;

	if (g->nlabels != 1)
		fault(ck, "the families of a named group have the one label that is their name");
	for (unsigned i = 0; i < g->nmetrics && i < GROUP_METRICS_MAX; i++) {
		unsigned bit = 1u << (unsigned)g->metrics[i].type % 32;
		if ((seen & bit) != 0 || g->metrics[i].type == INFO || g->metrics[i].unit != NULL)
			fault(ck, "a named group has at most one gauge, counter and histogram, "
				  "and knows no units");
		seen |= bit;
	}
}

static void
check_group(struct check *ck, const struct group *g, bool own)
{
	ck->group = good_name(g->name) ? g->name : NULL;
	ck->row = NULL;
	if (ck->group == NULL)
		fault(ck, "a group's name is a-z, 0-9, _ and at most %d long", NAME_MAX_LEN);
	if (g->about == NULL)
		fault(ck, "about is missing: the reference says where a group comes from");
	if (g->nlabels > GROUP_LABELS_MAX)
		fault(ck, "more than %d labels", GROUP_LABELS_MAX);
	if (g->nmetrics == 0 || g->nmetrics > GROUP_METRICS_MAX)
		fault(ck, "a group has 1 to %d metrics", GROUP_METRICS_MAX);
	for (unsigned i = 0; i < g->nlabels && i < GROUP_LABELS_MAX; i++)
		check_label(ck, g, i, own);
	for (unsigned i = 0; i < g->nmetrics && i < GROUP_METRICS_MAX; i++) {
		ck->row = NULL;
		check_metric(ck, &g->metrics[i]);
	}
	ck->row = NULL;
	if (g->named)
		check_named(ck, g);
}

static void
check_option(struct check *ck, const struct collector *c, unsigned i)
{
	static const char *const common[] = { "collector", "name", "enable", "disable", "every" };
	const char *name = c->options[i].name;

	ck->row = name;
	if (!good_name(name) || c->options[i].help == NULL ||
	    c->options[i].offset >= c->conf_size) {
		fault(ck, "an option has a name of a-z, 0-9, _, a help and a place in conf");
		return;
	}
	for (size_t k = 0; k < COUNT(common); k++)
		if (strcmp(name, common[k]) == 0)
			fault(ck, "every target has a key of that name");
	for (unsigned k = 0; k < i; k++)
		if (strcmp(name, c->options[k].name) == 0)
			fault(ck, "the option stands twice");
}

/* `own`: the exporter's own tables may use the label "target". */
static bool
check_collector(const struct collector *c, struct buf *faults)
{
	struct check ck = { .faults = faults, .collector = c->name, .good = true };
	bool own = c->collect == NULL;

	if (c->ngroups == 0 || c->ngroups > COLLECTOR_GROUPS_MAX)
		fault(&ck, "a collector has 1 to %d groups", COLLECTOR_GROUPS_MAX);
	for (unsigned i = 0; i < c->ngroups && i < COLLECTOR_GROUPS_MAX; i++) {
		for (unsigned k = 0; k < i; k++)
			if (strcmp(c->groups[i].name, c->groups[k].name) == 0)
				fault(&ck, "the group %s stands twice", c->groups[i].name);
		check_group(&ck, &c->groups[i], own);
	}
	ck.group = NULL;
	for (unsigned i = 0; i < c->noptions; i++)
		check_option(&ck, c, i);
	return ck.good;
}

/* ---- families over all tables ---- */

static bool
same(const char *a, const char *b)
{
	return a == b || (a != NULL && b != NULL && strcmp(a, b) == 0);
}

static bool
same_labels(const struct group *a, const struct group *b)
{
	if (a->nlabels != b->nlabels)
		return false;
	for (unsigned i = 0; i < a->nlabels; i++)
		if (!same(a->labels[i].name, b->labels[i].name))
			return false;
	return true;
}

static bool
same_buckets(const struct metric *a, const struct metric *b)
{
	if (a->own_bounds || b->own_bounds)
		return true;
	return a->nbuckets == b->nbuckets &&
	       (a->nbuckets == 0 ||
		   memcmp(a->buckets, b->buckets, a->nbuckets * sizeof *a->buckets) == 0);
}

static const struct group *
group_of(const struct registry *r, const struct family_use *u)
{
	return &r->collectors[u->collector]->groups[u->group];
}

/* Two rows may declare a family where they are of two collectors and equal. */
static bool
may_share(const struct registry *r, const struct family *f, const struct family_use *u)
{
	const struct metric *m = &group_of(r, u)->metrics[u->metric];
	const struct group *first = group_of(r, &f->uses[0]);

	for (unsigned i = 0; i < f->nuses; i++)
		if (f->uses[i].collector == u->collector)
			return false;
	return same(f->metric->name, m->name) && f->metric->type == m->type &&
	       same(f->metric->unit, m->unit) && same(f->metric->help, m->help) &&
	       same_buckets(f->metric, m) && same_labels(first, group_of(r, u));
}

/* Equal names, or names that would meet in one of the two formats
 * (redis_x and redis_x_total; h_count of a histogram h is refused by suffix). */
static struct family *
find_family(const struct registry *r, struct text name)
{
	for (unsigned i = 0; i < r->nfamilies; i++) {
		const struct metric *other = r->families[i].metric;
		if (text_equal((struct text){ other->name, family_len(other) }, name))
			return &r->families[i];
	}
	return NULL;
}

bool
registry_may_name(const struct registry *r, struct text family)
{
	for (size_t i = 0; i < COUNT(suffixes); i++) {
		size_t len = strlen(suffixes[i]);
		if (family.len >= len &&
		    memcmp(family.ptr + family.len - len, suffixes[i], len) == 0)
			return false;
	}
	return find_family(r, family) == NULL;
}

static void *
grown(void *array, size_t n, size_t size)
{
	void *p = realloc(array, n * size);

	if (p == NULL)
		abort(); /* at start only: nothing is lost yet */
	return p;
}

static bool
add_use(struct registry *r, struct family_use u, struct buf *faults)
{
	const struct metric *m = &group_of(r, &u)->metrics[u.metric];
	struct family *f = find_family(r, (struct text){ m->name, family_len(m) });

	if (f != NULL && !may_share(r, f, &u)) {
		buf_printf(faults,
		    "collector %s, group %s, %s: the name is taken by %s of collector %s\n",
		    r->collectors[u.collector]->name, group_of(r, &u)->name, m->name,
		    f->metric->name, r->collectors[f->uses[0].collector]->name);
		return false;
	}
	if (f == NULL) {
		r->families = grown(r->families, r->nfamilies + 1, sizeof *r->families);
		f = &r->families[r->nfamilies++];
		*f = (struct family){ .metric = m, .named = group_of(r, &u)->named };
	}
	f->uses = grown(f->uses, f->nuses + 1, sizeof *f->uses);
	f->uses[f->nuses++] = u;
	return true;
}

static bool
add_uses(struct registry *r, unsigned number, struct buf *faults)
{
	const struct collector *c = r->collectors[number];
	bool good = true;

	for (unsigned g = 0; g < c->ngroups; g++)
		for (unsigned m = 0; m < c->groups[g].nmetrics; m++)
			if (!add_use(r, (struct family_use){ number, g, m }, faults))
				good = false;
	return good;
}

/* ---- heads ---- */

void
registry_head(struct buf *b, const struct metric *m, struct text family, bool openmetrics)
{
	int len = (int)family.len;
	/* Text 0.0.4 knows no info: it is a gauge that is always 1. */
	const char *type = m->type == INFO && !openmetrics ? "gauge" : metric_type_names[m->type];

	buf_printf(
	    b, "# HELP %.*s %s\n# TYPE %.*s %s\n", len, family.ptr, m->help, len, family.ptr, type);
	if (openmetrics && m->unit != NULL)
		buf_printf(b, "# UNIT %.*s %s\n", len, family.ptr, m->unit);
}

static char *
make_head(const struct metric *m, bool openmetrics)
{
	struct buf b = BUF(4096);
	size_t len = openmetrics ? family_len(m) : strlen(m->name);

	registry_head(&b, m, (struct text){ m->name, len }, openmetrics);
	buf_char(&b, '\0');
	if (!buf_ok(&b))
		abort();
	return b.ptr;
}

static void
prepare(struct family *f)
{
	const struct metric *m = f->metric;

	f->head[false] = make_head(m, false);
	f->head[true] = make_head(m, true);
	if (m->type != HISTOGRAM || m->own_bounds)
		return;
	f->le = grown(NULL, m->nbuckets + 1, sizeof *f->le);
	for (unsigned i = 0; i <= m->nbuckets; i++) {
		char bound[NUMBER_MAX];
		struct buf b = BUF(64);
		bound[le_print(bound, i < m->nbuckets ? m->buckets[i] : INFINITY)] = '\0';
		buf_printf(&b, "le=\"%s\"", bound);
		if (!buf_ok(&b))
			abort();
		f->le[i] = b.ptr;
	}
}

bool
registry_build(
    struct registry *r, const struct collector *const *list, size_t n, struct buf *faults)
{
	bool good = true;

	*r = (struct registry){ 0 };
	for (size_t i = 0; i < n; i++) {
		if (registry_find(r, list[i]) >= 0)
			continue;
		if (r->ncollectors == REGISTRY_COLLECTORS_MAX) {
			buf_printf(faults, "more than %d collectors\n", REGISTRY_COLLECTORS_MAX);
			return false;
		}
		r->collectors[r->ncollectors++] = list[i];
		if (!check_collector(list[i], faults) || !add_uses(r, r->ncollectors - 1, faults))
			good = false;
	}
	for (unsigned i = 0; good && i < r->nfamilies; i++)
		prepare(&r->families[i]);
	return good;
}

void
registry_free(struct registry *r)
{
	for (unsigned i = 0; i < r->nfamilies; i++) {
		struct family *f = &r->families[i];
		free(f->head[false]);
		free(f->head[true]);
		for (unsigned k = 0; f->le != NULL && k <= f->metric->nbuckets; k++)
			free(f->le[k]);
		free(f->le);
		free(f->uses);
	}
	free(r->families);
	*r = (struct registry){ 0 };
}

int
registry_find(const struct registry *r, const struct collector *c)
{
	for (unsigned i = 0; i < r->ncollectors; i++)
		if (r->collectors[i] == c)
			return (int)i;
	return -1;
}
