/*
 * postgresql_result.c - tables of text become rows: columns are found by name,
 * so one that a version of the server lacks simply yields nothing.
 */
#include "postgresql.h"

enum { SIZES_REST = 100 }; /* ask for sizes again after this many times their cost */

struct text
cell(const PGresult *r, int at, int column)
{
	/* Of a binary column the bytes are no text. */
	if (column < 0 || PQfformat(r, column) != 0 || PQgetisnull(r, at, column))
		return (struct text){ NULL, 0 };
	return (struct text){ PQgetvalue(r, at, column), (size_t)PQgetlength(r, at, column) };
}

bool
cell_number(const PGresult *r, int at, const char *column, double *value)
{
	struct text t = cell(r, at, PQfnumber(r, column));

	return t.ptr != NULL && text_number(t, value);
}

/* A group's columns in one result; -1: not there. */
struct columns {
	int label[GROUP_LABELS_MAX];
	int metric[GROUP_METRICS_MAX];
};

static void
columns_find(struct columns *c, const struct group *g, const PGresult *r)
{
	for (unsigned i = 0; i < g->nlabels; i++)
		c->label[i] = PQfnumber(r, g->labels[i].name);
	for (unsigned i = 0; i < g->nmetrics; i++)
		c->metric[i] = PQfnumber(r, g->metrics[i].source);
}

static void
row_put(
    struct sink *sink, const struct group *g, const PGresult *r, int at, const struct columns *c)
{
	struct text labels[GROUP_LABELS_MAX];
	bool begun = false;

	for (unsigned i = 0; i < g->nlabels; i++) {
		labels[i] = cell(r, at, c->label[i]);
		if (labels[i].ptr == NULL)
			return;
	}
	for (unsigned i = 0; i < g->nmetrics; i++) {
		struct text value = cell(r, at, c->metric[i]);
		if (value.ptr == NULL)
			continue;
		if (!begun)
			row(sink, g->nlabels > 0 ? labels : NULL);
		begun = true;
		put_text(sink, &g->metrics[i], value);
	}
}

void
result_put(struct sink *sink, const struct group *g, const PGresult *r)
{
	struct columns c;

	columns_find(&c, g, r);
	for (int i = 0; i < PQntuples(r); i++)
		row_put(sink, g, r, i, &c);
}

enum outcome
result_read(struct scrape *sc, const struct group *g)
{
	const struct plan *plan = g->how;

	for (enum question_id id = 0; id < ASK_QUESTIONS; id++) {
		if ((plan->server & BIT(id)) == 0)
			continue;
		const PGresult *r;
		enum outcome o = ask_result(sc, id, &r);
		if (o != DONE)
			return o;
		result_put(sc->sink, g, r);
	}
	return DONE;
}

bool
sizes_due(const struct postgresql *pg)
{
	return pg->sizes == NULL || clock_ns() >= pg->sizes_until;
}

enum outcome
sizes_read(struct scrape *sc, const struct group *g)
{
	struct postgresql *pg = sc->state;
	struct answer *a = &pg->answers[ASK_SIZES];

	if (a->asked) {
		const PGresult *r;
		enum outcome o = ask_result(sc, ASK_SIZES, &r);
		if (o != DONE)
			return o;
		PQclear(pg->sizes);
		pg->sizes = a->result;
		a->result = NULL;
		pg->sizes_until = clock_ns() + a->cost * SIZES_REST;
	}
	if (pg->sizes != NULL)
		result_put(sc->sink, g, pg->sizes);
	return DONE;
}
