/*
 * application_plan.c - which names on a page are kept, and as what: the
 * contract's, old ones, and what the configuration adds, in one table by hash.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "application.h"

/* Families of the exporter and its other collectors: two meanings of one name
 * would not be told apart. */
static const char *const others[] = { "db_", "redis_", "queue_", "process_", "datatier_",
	"message_size_bytes", "oversized_message", "global_message_rate", "message_rate_spike",
	"high_rate_users", "message_age_in_queue" };

static const char *const part_suffix[] = {
	[PART_VALUE] = "", [PART_BUCKET] = "_bucket", [PART_SUM] = "_sum", [PART_COUNT] = "_count"
};

#define START_NAME TEXT("process_start_time_seconds")

/* Beginning, end and length tell all names apart that are kept. */
static unsigned
place_of(struct text name)
{
	uint64_t first = 0, last = 0;
	size_t n = name.len < sizeof first ? name.len : sizeof first;

	memcpy(&first, name.ptr, n);
	memcpy(&last, name.ptr + name.len - n, n);
	uint64_t h =
	    (first * UINT64_C(0x9e3779b97f4a7c15) + last + name.len) * UINT64_C(0xff51afd7ed558ccd);
	return (unsigned)(h >> 32) % APPLICATION_NAMES;
}

static unsigned
place_find(const struct application_plan *p, struct text name)
{
	unsigned at = place_of(name);

	while (p->names[at].name.len > 0 && !text_equal(p->names[at].name, name))
		at = (at + 1) % APPLICATION_NAMES;
	return at;
}

const struct application_name *
application_plan_find(const struct application_plan *p, struct text name)
{
	const struct application_name *found = &p->names[place_find(p, name)];

	return found->name.len > 0 ? found : NULL;
}

bool
application_is_name(struct text t)
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

bool
application_ends_in(struct text t, const char *end)
{
	size_t len = strlen(end);

	return t.len >= len && memcmp(t.ptr + t.len - len, end, len) == 0;
}

/* ---- making it ---- */

static bool
say_name(char why[static WHY_MAX], const char *option, struct text name, const char *words)
{
	char clean[64];

	text_clean(clean, sizeof clean, name);
	snprintf(why, WHY_MAX, "%s: %s %s", option, clean, words);
	return false;
}

/* The family's samples of that part are called name and suffix.  False: out of
 * memory, or the name is taken. */
static bool
add_name(struct application_plan *p, struct text name, const char *suffix, unsigned family,
    enum application_part part)
{
	char *made;

	if (p->nmade == COUNT(p->made) ||
	    asprintf(&made, "%.*s%s", (int)name.len, name.ptr, suffix) < 0)
		return false;
	p->made[p->nmade++] = made;
	struct application_name *to = &p->names[place_find(p, text_of(made))];
	if (to->name.len > 0)
		return false;
	*to = (struct application_name){ text_of(made), family, part };
	return true;
}

static struct application_family *
add_family(struct application_plan *p, const struct group *g, const struct metric *m)
{
	struct application_family *f = &p->family[p->nfamilies];

	*f = (struct application_family){
		.metric = m,
		.group = g,
		.cell = p->ncells,
		.ncells = application_cell_count(g),
		.into = p->nfamilies++,
	};
	p->ncells += f->ncells;
	return f;
}

/* As what stands in the tables: its parts, where it is a histogram. */
static bool
add_known(struct application_plan *p, const struct group *g, const struct metric *m,
    struct text name, unsigned into)
{
	struct application_family *f = add_family(p, g, m);
	unsigned number = (unsigned)(f - p->family);

	f->name = name;
	if (into != APPLICATION_FAMILIES_MAX)
		f->into = into;
	if (m->type != HISTOGRAM)
		return add_name(p, name, "", number, PART_VALUE);
	for (unsigned part = PART_BUCKET; part <= PART_COUNT; part++)
		if (!add_name(p, name, part_suffix[part], number, part))
			return false;
	return true;
}

static bool
add_tables(struct application_plan *p)
{
	for (unsigned g = 1; g < APPLICATION_GROUPS - 1; g++) {
		const struct group *group = &application_groups[g];
		p->first[g] = p->nfamilies;
		for (unsigned m = 0; m < group->nmetrics; m++) {
			const struct metric *metric = &group->metrics[m];
			if (!add_known(
				p, group, metric, text_of(metric->name), APPLICATION_FAMILIES_MAX))
				return false;
		}
	}
	return add_name(p, START_NAME, "", APPLICATION_START, PART_VALUE);
}

static int
family_of(const struct application_plan *p, struct text name)
{
	for (unsigned i = 0; i < p->nfamilies; i++)
		if (p->family[i].into == i && text_equal(p->family[i].name, name))
			return (int)i;
	return -1;
}

/* One of the configuration's: of what type it is, the page will tell. */
static bool
add_added(struct application_plan *p, struct text name)
{
	struct application_family *f = add_family(p, APPLICATION_ADDED, NULL);
	unsigned number = (unsigned)(f - p->family);
	struct text family = name;

	/* In OpenMetrics the family of x_total is x. */
	if (application_ends_in(name, "_total"))
		family.len -= strlen("_total");
	if (family_of(p, family) >= 0)
		return false;
	f->name = name;
	p->nadded++;
	if (!add_name(p, name, "", number, PART_VALUE))
		return false;
	if (application_ends_in(name, "_total"))
		return true;
	for (unsigned part = PART_BUCKET; part <= PART_COUNT; part++)
		if (!add_name(p, name, part_suffix[part], number, part))
			return false;
	return add_name(p, name, "_total", number, PART_VALUE);
}

static bool
may_be_added(struct text name, char why[static WHY_MAX])
{
	static const char *const parts[] = { "_bucket", "_sum", "_count", "_created" };

	if (!application_is_name(name) || name.len > APPLICATION_NAME_MAX)
		return say_name(why, "families", name, "is not the name of a metric");
	for (size_t i = 0; i < COUNT(others); i++)
		if (text_begins(name, others[i]))
			return say_name(why, "families", name,
			    "cannot be added: other metrics of this exporter are called so");
	for (size_t i = 0; i < COUNT(parts); i++)
		if (application_ends_in(name, parts[i]))
			return say_name(why, "families", name,
			    "is a part of a family: name the family, without the suffix");
	return true;
}

static bool
add_families(struct application_plan *p, const char *const *list, char why[static WHY_MAX])
{
	p->added = p->nfamilies;
	for (; *list != NULL; list++) {
		struct text name = text_of(*list);
		if (!may_be_added(name, why))
			return false;
		if (p->nadded == APPLICATION_ADDED_MAX) {
			snprintf(why, WHY_MAX, "families: more than %d", APPLICATION_ADDED_MAX);
			return false;
		}
		if (!add_added(p, name))
			return say_name(
			    why, "families", name, "is given out already, or stands twice");
	}
	return true;
}

static bool
add_old_names(struct application_plan *p)
{
	unsigned n = p->added;

	for (unsigned i = 0; i < n; i++) {
		const struct application_family f = p->family[i];
		if (f.metric != NULL && f.metric->source != NULL &&
		    !add_known(p, f.group, f.metric, text_of(f.metric->source), i))
			return false;
	}
	return true;
}

static bool
add_renamed(struct application_plan *p, const char *const *list, char why[static WHY_MAX])
{
	for (unsigned n = 0; list[n] != NULL; n++) {
		struct text to = text_of(list[n]), from = text_trim(text_cut(&to, '='));
		to = text_trim(to);
		if (!application_is_name(from) || !application_is_name(to) ||
		    from.len > APPLICATION_NAME_MAX)
			return say_name(
			    why, "rename", text_of(list[n]), "is not of the form old=new");
		int into = family_of(p, to);
		if (into < 0)
			return say_name(why, "rename", to, "is no family that is given out");
		if (p->family[into].metric == NULL)
			return say_name(why, "rename", to,
			    "is one of families: what is added keeps the page's name");
		if (n == APPLICATION_RENAMED_MAX / 2) {
			snprintf(why, WHY_MAX, "rename: more than %d", APPLICATION_RENAMED_MAX / 2);
			return false;
		}
		if (!add_known(
			p, p->family[into].group, p->family[into].metric, from, (unsigned)into))
			return say_name(
			    why, "rename", from, "has a meaning already, or stands twice");
	}
	return true;
}

bool
application_plan_make(
    struct application_plan *p, const struct application_conf *conf, char why[static WHY_MAX])
{
	*p = (struct application_plan){ 0 };
	snprintf(why, WHY_MAX, "out of memory");
	return add_tables(p) && add_families(p, conf->families, why) && add_old_names(p) &&
	       add_renamed(p, conf->rename, why);
}

void
application_plan_free(struct application_plan *p)
{
	for (unsigned i = 0; i < p->nmade; i++)
		free(p->made[i]);
	*p = (struct application_plan){ 0 };
}

int
application_plan_typed(const struct application_plan *p, struct text name)
{
	for (unsigned i = 0; i < p->nadded; i++) {
		struct text added = p->family[p->added + i].name, family = added;
		if (application_ends_in(family, "_total"))
			family.len -= strlen("_total");
		/* In OpenMetrics the family of x_total is x. */
		if (text_equal(added, name) || text_equal(family, name))
			return (int)i;
	}
	return -1;
}
