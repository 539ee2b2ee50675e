/*
 * postgresql_console.c - PgBouncer's admin console.
 *
 * It takes one simple statement at a time and no pipeline, so a scrape over
 * one connection would be a round trip for each SHOW.  Here every SHOW has a
 * kept connection of its own, and all are asked at once.  (A console session
 * costs PgBouncer some hundred bytes, and it cannot wait for a lock.)
 */
#include "postgresql.h"

static const char *const shows[CONSOLE_LINKS] = {
	[SHOW_POOLS - SHOW_POOLS] = "SHOW POOLS",
	[SHOW_DATABASES - SHOW_POOLS] = "SHOW DATABASES",
	[SHOW_STATS - SHOW_POOLS] = "SHOW STATS",
};

enum outcome
console_open(struct scrape *sc)
{
	struct postgresql *pg = sc->state;

	for (size_t i = 1; i < CONSOLE_LINKS; i++) {
		enum outcome o = link_open(sc, &pg->link[i]);
		if (o != DONE)
			return o;
	}
	return DONE;
}

enum outcome
console_ask(struct scrape *sc, uint32_t wanted)
{
	struct postgresql *pg = sc->state;

	for (size_t i = 0; i < CONSOLE_LINKS; i++) {
		enum question_id id = (enum question_id)(SHOW_POOLS + i);
		PGconn *db = pg->link[i].db;
		char why[WHY_MAX];
		if ((wanted & BIT(id)) == 0)
			continue;
		if (!PQsendQuery(db, shows[i]) || PQflush(db) < 0) {
			link_error(why, db);
			return fail(LOST, sc, "%s", why);
		}
		pg->answers[id].asked = true;
	}
	return DONE;
}

/* Reads one link to the end of its answer. */
static enum outcome
console_answer(struct scrape *sc, enum question_id id, const PGresult **result)
{
	struct postgresql *pg = sc->state;
	struct link *link = &pg->link[id - SHOW_POOLS];
	struct answer *a = &pg->answers[id];

	while (a->asked && !a->ended) {
		enum outcome waited = link_wait(sc, link);
		if (waited != DONE)
			return waited;
		PGresult *r = PQgetResult(link->db);
		if (r == NULL) {
			a->ended = true;
			continue;
		}
		ExecStatusType status = PQresultStatus(r);
		answer_take(a, r);
		if (PQstatus(link->db) == CONNECTION_BAD)
			return fail(LOST, sc, "%s", a->why);
		if (status != PGRES_TUPLES_OK && status != PGRES_FATAL_ERROR)
			return fail(LOST, sc, "not an answer to a SHOW: %s", PQresStatus(status));
	}
	if (a->result == NULL)
		return fail(FAILED, sc, "PgBouncer: %s", a->why[0] != '\0' ? a->why : "no answer");
	*result = a->result;
	return DONE;
}

static struct text
named(const PGresult *r, int at, const char *column)
{
	return cell(r, at, PQfnumber(r, column));
}

/* The console itself is listed among the pools. */
static bool
is_console(struct text database)
{
	return database.ptr == NULL || text_is(database, "pgbouncer");
}

static double
number_or_0(const PGresult *r, int at, const char *column)
{
	double value = 0;

	cell_number(r, at, column, &value);
	return value;
}

/* Clients waiting in all pools of the database of row `at`; false: a row
 * before has had this database. */
static bool
waiting_sum(const PGresult *r, int at, struct text database, double *sum)
{
	*sum = 0;
	for (int i = 0; i < PQntuples(r); i++) {
		if (!text_equal(named(r, i, "database"), database))
			continue;
		if (i < at)
			return false;
		*sum += number_or_0(r, i, "cl_waiting");
	}
	return true;
}

enum outcome
console_waiting(struct scrape *sc, const struct group *g)
{
	const PGresult *r;
	enum outcome o = console_answer(sc, SHOW_POOLS, &r);

	if (o != DONE)
		return o;
	for (int i = 0; i < PQntuples(r); i++) {
		struct text labels[] = { named(r, i, "database"), TEXT("pool") };
		double sum;
		if (is_console(labels[0]) || PQfnumber(r, "cl_waiting") < 0 ||
		    !waiting_sum(r, i, labels[0], &sum))
			continue;
		row(sc->sink, labels);
		put(sc->sink, &g->metrics[0], sum);
	}
	return DONE;
}

/* The size is the database's, and each of its users has a pool of that size. */
static bool
pool_size(const PGresult *databases, struct text database, double *size)
{
	for (int i = 0; i < PQntuples(databases); i++)
		if (text_equal(named(databases, i, "name"), database))
			return cell_number(databases, i, "pool_size", size);
	return false;
}

static void
pool_put(struct sink *sink, const struct group *g, const char *source, double value)
{
	put(sink, metric_by_source(g, text_of(source)), value);
}

enum outcome
console_pools(struct scrape *sc, const struct group *g)
{
	const PGresult *pools, *databases;
	enum outcome o = console_answer(sc, SHOW_POOLS, &pools);

	if (o == DONE)
		o = console_answer(sc, SHOW_DATABASES, &databases);
	if (o != DONE)
		return o;
	for (int i = 0; i < PQntuples(pools); i++) {
		struct text labels[] = { named(pools, i, "database"), named(pools, i, "user") };
		double value;
		if (is_console(labels[0]) || labels[1].ptr == NULL)
			continue;
		row(sc->sink, labels);
		if (pool_size(databases, labels[0], &value))
			pool_put(sc->sink, g, "pool_size", value);
		/* What a cancelled request leaves behind is not free either (1.18 on). */
		if (cell_number(pools, i, "sv_active", &value))
			pool_put(sc->sink, g, "used",
			    value + number_or_0(pools, i, "sv_active_cancel") +
				number_or_0(pools, i, "sv_being_canceled"));
		if (cell_number(pools, i, "maxwait", &value))
			pool_put(sc->sink, g, "maxwait",
			    value + number_or_0(pools, i, "maxwait_us") / 1e6);
	}
	return DONE;
}

enum outcome
console_waits(struct scrape *sc, const struct group *g)
{
	const PGresult *r = NULL;
	enum outcome o = console_answer(sc, SHOW_STATS, &r);

	if (o != DONE)
		return o;
	/* Both exist from 1.23 on, and then the wait time is that of assignments. */
	const char *waits = PQfnumber(r, "total_server_assignment_count") >= 0
				? "total_server_assignment_count"
				: "total_xact_count";
	for (int i = 0; i < PQntuples(r); i++) {
		struct text labels[] = { named(r, i, "database") };
		double value;
		if (is_console(labels[0]))
			continue;
		row(sc->sink, labels);
		if (cell_number(r, i, "total_wait_time", &value))
			pool_put(sc->sink, g, "total_wait_time", value);
		if (cell_number(r, i, waits, &value))
			pool_put(sc->sink, g, "waits", value);
	}
	return DONE;
}
