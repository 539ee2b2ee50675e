/*
 * postgresql_statements.c - pg_stat_statements: which of its questions are put
 * in a scrape, and what becomes of the answers.
 *
 * Numbers are read in every scrape, and without the texts, whose file may be
 * of any size.  What kind of statement an entry is, is learnt once: from
 * pg_stat_activity where a session still shows it, else from the texts of all
 * entries at once, at a rate that keeps their cost to a hundredth of the time.
 */
#include <stdlib.h>
#include <string.h>

#include "postgresql.h"
#include "postgresql_ledger.h"

enum {
	TEXTS_REST = 100,       /* read texts again after this many times their cost ... */
	TEXTS_REST_HUGE = 3600, /* ... and where they cost over a second, or failed */
};

struct statements {
	struct ledger *ledger;
	double started, polled; /* server's clock: its start, the last poll */
	double dealloc;         /* pg_stat_statements_info's, as last read */
	int64_t texts_at;       /* not to be read again before */
	bool taken;             /* this scrape's answers are in the ledger */
};

static struct statements *
statements_new(void)
{
	struct statements *st = calloc(1, sizeof *st);

	if (st == NULL)
		return NULL;
	st->ledger = ledger_new(&postgresql_groups[GROUP_STATEMENTS].metrics[0]);
	if (st->ledger == NULL) {
		free(st);
		return NULL;
	}
	return st;
}

void
statements_free(struct statements *st)
{
	if (st != NULL)
		ledger_free(st->ledger);
	free(st);
}

uint32_t
statements_questions(struct postgresql *pg, uint32_t wanted)
{
	const uint32_t learning = BIT(ASK_TYPES) | BIT(ASK_TEXTS);
	const uint32_t all = learning | BIT(ASK_DEALLOC) | BIT(ASK_STATEMENTS);

	if ((wanted & BIT(ASK_STATEMENTS)) == 0)
		return wanted;
	if (pg->statements == NULL)
		pg->statements = statements_new();
	struct statements *st = pg->statements;
	if (st == NULL || pg->server.extension == 0 || !pg->server.monitor)
		return wanted & ~all;
	st->taken = false;
	/* While the texts may not be read, what sessions show now may be gone by
	 * the time that it is missed. */
	if (clock_ns() < st->texts_at)
		return wanted & ~BIT(ASK_TEXTS);
	return ledger_unknown(st->ledger) > 0 ? wanted : wanted & ~learning;
}

/* ---- numbers in network order ---- */

static bool
binary_number(const PGresult *r, int at, int column, size_t size, uint64_t *value)
{
	if (column < 0 || PQfformat(r, column) != 1 || PQgetisnull(r, at, column) ||
	    (size_t)PQgetlength(r, at, column) != size)
		return false;
	const char *bytes = PQgetvalue(r, at, column);
	*value = 0;
	for (size_t i = 0; i < size; i++)
		*value = *value << 8 | (unsigned char)bytes[i];
	return true;
}

static bool
binary_double(const PGresult *r, int at, int column, double *value)
{
	uint64_t bits;

	if (!binary_number(r, at, column, sizeof bits, &bits))
		return false;
	memcpy(value, &bits, sizeof *value);
	return *value >= 0 && *value <= 1e300;
}

struct statement_columns {
	int userid, dbid, queryid, calls, total, stddev, min, max, since;
};

static void
columns_find(struct statement_columns *c, const PGresult *r)
{
	*c = (struct statement_columns){
		.userid = PQfnumber(r, "userid"),
		.dbid = PQfnumber(r, "dbid"),
		.queryid = PQfnumber(r, "queryid"),
		.calls = PQfnumber(r, "calls"),
		.total = PQfnumber(r, "total"),
		.stddev = PQfnumber(r, "stddev"),
		.min = PQfnumber(r, "min"),
		.max = PQfnumber(r, "max"),
		.since = PQfnumber(r, "since"),
	};
}

/* One row, its milliseconds made seconds; false: not of that shape. */
static bool
reading_take(struct reading *out, const PGresult *r, int at, const struct statement_columns *c)
{
	uint64_t userid, dbid, queryid, calls, since = 0;
	double total, stddev, min, max;

	if (!binary_number(r, at, c->userid, 4, &userid) ||
	    !binary_number(r, at, c->dbid, 4, &dbid) ||
	    !binary_number(r, at, c->queryid, 8, &queryid) ||
	    !binary_number(r, at, c->calls, 8, &calls) || calls > INT64_MAX ||
	    !binary_double(r, at, c->total, &total) || !binary_double(r, at, c->stddev, &stddev) ||
	    !binary_double(r, at, c->min, &min) || !binary_double(r, at, c->max, &max))
		return false;
	binary_number(r, at, c->since, 8, &since);
	stddev /= 1000;
	*out = (struct reading){ .userid = (uint32_t)userid,
		.dbid = (uint32_t)dbid,
		.queryid = (int64_t)queryid,
		.since = (int64_t)since,
		.moments = { .calls = (double)calls,
		    .total = total / 1000,
		    .min = min / 1000,
		    .max = max / 1000,
		    .squares = stddev * stddev * (double)calls } };
	return true;
}

/* ---- types ---- */

static void
types_learn(struct ledger *ledger, const PGresult *r, enum query_type (*type_of)(struct text))
{
	int queryid = PQfnumber(r, "queryid"), query = PQfnumber(r, "query");

	for (int i = 0; query >= 0 && i < PQntuples(r); i++) {
		uint64_t id;
		struct text text = { PQgetvalue(r, i, query), (size_t)PQgetlength(r, i, query) };
		if (binary_number(r, i, queryid, 8, &id))
			ledger_learn(ledger, (int64_t)id, type_of(text));
	}
}

static void
types_take(const struct postgresql *pg, struct ledger *ledger)
{
	const PGresult *types = pg->answers[ASK_TYPES].result;
	const PGresult *texts = pg->answers[ASK_TEXTS].result;

	if (types != NULL)
		types_learn(ledger, types, query_type_of_word);
	if (texts != NULL)
		types_learn(ledger, texts, query_type_of);
}

static enum outcome
types_read(struct scrape *sc, struct statements *st)
{
	struct postgresql *pg = sc->state;
	const struct answer *texts = &pg->answers[ASK_TEXTS];

	enum outcome o = ask_wait(sc, ASK_TEXTS);
	if (o != DONE)
		return o;
	if (texts->asked) {
		bool huge = texts->result == NULL || texts->cost > NS_PER_S;
		int64_t cost = texts->cost > NS_PER_S ? texts->cost : NS_PER_S;
		st->texts_at =
		    clock_ns() + (huge ? cost * TEXTS_REST_HUGE : texts->cost * TEXTS_REST);
	}
	types_take(pg, st->ledger);
	return DONE;
}

/* ---- numbers ---- */

/* Another server behind the same address has other entries: it was already
 * running when the last one was read.  After a mere restart the entries go on. */
static bool
server_replaced(const struct statements *st, const struct server *server)
{
	return st->started != 0 && server->started != st->started && server->started < st->polled;
}

/* Entries that the server has thrown out since the last poll; below 0: not told.
 * It throws out a twentieth of what it may keep at once, and at least 10. */
static double
evictions_since(const struct answer *a, double *seen)
{
	double dealloc, entries_max, before = *seen;

	if (a->result == NULL || PQntuples(a->result) != 1 ||
	    !cell_number(a->result, 0, "dealloc", &dealloc) ||
	    !cell_number(a->result, 0, "entries_max", &entries_max))
		return -1;
	*seen = dealloc;
	double at_once = entries_max / 20 > 10 ? entries_max / 20 : 10;
	return dealloc >= before ? (dealloc - before) * at_once : dealloc * at_once;
}

static enum outcome
numbers_read(struct scrape *sc, struct statements *st)
{
	struct postgresql *pg = sc->state;
	const struct conf *conf = sc->conf;
	struct statement_columns c;
	const PGresult *r;

	enum outcome o = ask_result(sc, ASK_STATEMENTS, &r);
	if (o != DONE)
		return o;
	if (PQntuples(r) > conf->statements_max)
		return fail(ABSENT, sc,
		    "more than %lld entries in pg_stat_statements: raise "
		    "statements_max here or lower pg_stat_statements.max there",
		    conf->statements_max);
	columns_find(&c, r);
	ledger_begin(st->ledger, server_replaced(st, &pg->server));
	for (int i = 0; i < PQntuples(r); i++) {
		struct reading reading;
		if (!reading_take(&reading, r, i, &c))
			continue;
		if (!ledger_take(st->ledger, &reading))
			return fail(FAILED, sc, "out of memory");
	}
	ledger_end(st->ledger, evictions_since(&pg->answers[ASK_DEALLOC], &st->dealloc));
	st->started = pg->server.started;
	st->polled = pg->server.now;
	return DONE;
}

/* Both groups live on the same answers: whoever comes first takes them. */
static enum outcome
statements_take(struct scrape *sc)
{
	struct postgresql *pg = sc->state;
	struct statements *st = pg->statements;

	if (!pg->server.loaded)
		return fail(ABSENT, sc,
		    "pg_stat_statements is not loaded: add it to "
		    "shared_preload_libraries, restart the server, and run CREATE EXTENSION "
		    "pg_stat_statements in database %s",
		    pg->server.database);
	if (pg->server.extension == 0)
		return fail(ABSENT, sc,
		    "run CREATE EXTENSION pg_stat_statements in database %s, the "
		    "one this target connects to",
		    pg->server.database);
	if (st == NULL)
		return fail(FAILED, sc, "out of memory");
	if (st->taken)
		return DONE;
	enum outcome o = types_read(sc, st);
	if (o == DONE && !pg->answers[ASK_STATEMENTS].asked)
		return fail(
		    ABSENT, sc, "pg_stat_statements was found just now: the next scrape reads it");
	if (o == DONE)
		o = numbers_read(sc, st);
	if (o == DONE)
		types_take(pg, st->ledger); /* for entries that are new: counted next time */
	st->taken = o == DONE;
	return o;
}

enum outcome
statements_read(struct scrape *sc, const struct group *g)
{
	const struct postgresql *pg = sc->state;
	enum outcome o = statements_take(sc);

	if (o != DONE)
		return o;
	for (enum query_type type = 0; type < QUERY_TYPES; type++) {
		struct histogram h;
		if (query_type_name(type) == NULL)
			continue;
		struct text label = text_of(query_type_name(type));
		row(sc->sink, &label);
		ledger_histogram(pg->statements->ledger, type, &h);
		put_histogram(sc->sink, &g->metrics[0], &h);
	}
	return DONE;
}

enum outcome
statements_lost_read(struct scrape *sc, const struct group *g)
{
	const struct postgresql *pg = sc->state;
	enum outcome o = statements_take(sc);

	if (o != DONE)
		return o;
	row(sc->sink, NULL);
	put(sc->sink, &g->metrics[0], ledger_lost(pg->statements->ledger));
	return DONE;
}
