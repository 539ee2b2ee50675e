/*
 * postgresql_ask.c - all questions of a scrape in one pipeline.
 *
 * Each is sent as
 *
 *	[Parse] Bind Describe Execute Sync
 *
 * Parse only the first time on a connection.  The sync point behind each one
 * is what keeps an error to its own question, and what is answered before the
 * deadline out of the way of what is not.
 */
#include <stdio.h>
#include <string.h>

#include "../exporter/buf.h"
#include "postgresql.h"

enum {
	SQL_MAX = 4096,
	TIMEOUT_STEP_MS = 250, /* so that statement_timeout is rarely set anew */
	LOCK_TIMEOUT_MAX_MS = 1000,
};

/* What a question is asked with. */
struct parameters {
	const char *value[2];
	int n;
	char text[2][24];
};

static void
parameters_set(struct parameters *p, const struct scrape *sc, enum question_id id)
{
	const struct postgresql *pg = sc->state;
	const struct conf *conf = sc->conf;
	long lock_ms = pg->timeout_ms / 4;

	*p = (struct parameters){ .value = { p->text[0], p->text[1] } };
	switch (id) {
	case ASK_SETTINGS:
		if (lock_ms > LOCK_TIMEOUT_MAX_MS)
			lock_ms = LOCK_TIMEOUT_MAX_MS;
		snprintf(p->text[0], sizeof p->text[0], "%ld", pg->timeout_ms);
		snprintf(p->text[1], sizeof p->text[1], "%ld", lock_ms);
		p->n = 2;
		break;
	case ASK_STATEMENTS:
		/* One more than wanted shows that there are too many. */
		snprintf(p->text[0], sizeof p->text[0], "%lld", conf->statements_max + 1);
		p->n = 1;
		break;
	default: break;
	}
}

/* The text of a question for this server; NULL: there is none. */
static const char *
question_words(const struct postgresql *pg, const struct question *q)
{
	int version = q->of_extension ? pg->server.extension : pg->version;

	for (size_t i = 0; i < WORDINGS_MAX && q->ways[i].sql != NULL; i++) {
		const struct wording *w = &q->ways[i];
		if (version >= w->min && (w->max == 0 || version <= w->max))
			return w->sql;
	}
	return NULL;
}

/* The schema came quoted from the server. */
static bool
question_sql(struct buf *out, const struct postgresql *pg, const char *words)
{
	static const char place[] = "{schema}";
	const char *at;

	while ((at = strstr(words, place)) != NULL) {
		buf_add(out, words, (size_t)(at - words));
		buf_str(out, pg->server.schema);
		words = at + strlen(place);
	}
	buf_str(out, words);
	buf_char(out, '\0');
	return buf_ok(out);
}

/* Puts one question into libpq's output; false: libpq refused. */
static bool
question_send(struct scrape *sc, enum question_id id, const char *words)
{
	struct postgresql *pg = sc->state;
	PGconn *db = pg->link[0].db;
	bool prepared = (pg->link[0].prepared & BIT(id)) != 0;
	int format = questions[id].binary;
	struct parameters p;
	struct buf sql = BUF(SQL_MAX);
	char name[16];
	bool sent = false;

	parameters_set(&p, sc, id);
	snprintf(name, sizeof name, "datatier%d", (int)id);
	if (!prepared && !question_sql(&sql, pg, words))
		goto out;
	if (pg->pooled)
		sent = PQsendQueryParams(db, sql.ptr, p.n, NULL, p.value, NULL, NULL, format);
	else
		sent = (prepared || PQsendPrepare(db, name, sql.ptr, 0, NULL)) &&
		       PQsendQueryPrepared(db, name, p.n, p.value, NULL, NULL, format);
	sent = sent && PQpipelineSync(db);
out:
	buf_free(&sql);
	return sent;
}

/* Settings go along where they are not as they should be. */
static uint32_t
settings_due(const struct scrape *sc)
{
	struct postgresql *pg = sc->state;
	long ms = left_ms(sc->until) / TIMEOUT_STEP_MS * TIMEOUT_STEP_MS;
	uint32_t due = 0;

	/* Set through a pooler, they would stay with somebody else's session. */
	if (pg->pooled)
		return 0;
	if (ms < TIMEOUT_STEP_MS)
		ms = TIMEOUT_STEP_MS;
	if (pg->timeout_ms != ms)
		due |= BIT(ASK_SETTINGS);
	if (!pg->checks_set)
		due |= BIT(ASK_CHECK_INTERVAL);
	pg->timeout_ms = ms;
	pg->checks_set = true;
	return due;
}

static enum outcome
lost(struct scrape *sc, const PGconn *db)
{
	char why[WHY_MAX];

	link_error(why, db);
	return fail(LOST, sc, "%s", why);
}

enum outcome
ask_server(struct scrape *sc, uint32_t wanted)
{
	struct postgresql *pg = sc->state;
	struct link *link = &pg->link[0];

	if (pg->stale)
		return fail(LOST, sc, "prepared statements no longer fit the server");
	if (wanted != BIT(ASK_SERVER))
		wanted |= settings_due(sc);
	pg->read_at = clock_ns();
	for (enum question_id id = 0; id < ASK_QUESTIONS; id++) {
		const char *words;
		if ((wanted & BIT(id)) == 0 || (words = question_words(pg, &questions[id])) == NULL)
			continue;
		if (!question_send(sc, id, words))
			return lost(sc, link->db);
		pg->answers[id].asked = true;
		pg->queue |= BIT(id);
	}
	return PQflush(link->db) < 0 ? lost(sc, link->db) : DONE;
}

void
answer_take(struct answer *a, PGresult *r)
{
	const char *state = PQresultErrorField(r, PG_DIAG_SQLSTATE);
	const char *words = PQresultErrorField(r, PG_DIAG_MESSAGE_PRIMARY);

	if (PQresultStatus(r) == PGRES_TUPLES_OK && a->result == NULL) {
		a->result = r;
		return;
	}
	if (PQresultStatus(r) == PGRES_FATAL_ERROR && a->why[0] == '\0') {
		link_words(a->why, words != NULL ? words : PQresultErrorMessage(r));
		text_clean(a->sqlstate, sizeof a->sqlstate, text_of(state));
	}
	PQclear(r);
}

static bool
status_expected(ExecStatusType status)
{
	return status == PGRES_COMMAND_OK || status == PGRES_TUPLES_OK ||
	       status == PGRES_FATAL_ERROR || status == PGRES_PIPELINE_ABORTED;
}

/* Reads up to the sync point of the question that is next in the queue. */
static enum outcome
answer_read(struct scrape *sc, enum question_id id)
{
	struct postgresql *pg = sc->state;
	struct link *link = &pg->link[0];
	struct answer *a = &pg->answers[id];
	unsigned empty = 0;

	while (!a->ended) {
		enum outcome waited = link_wait(sc, link);
		if (waited != DONE)
			return waited;
		PGresult *r = PQgetResult(link->db);
		if (PQstatus(link->db) == CONNECTION_BAD) {
			PQclear(r);
			return lost(sc, link->db);
		}
		if (r == NULL) {
			if (++empty > 4)
				return fail(LOST, sc, "the server's answers are out of step");
			continue;
		}
		ExecStatusType status = PQresultStatus(r);
		if (status == PGRES_PIPELINE_SYNC) {
			a->ended = true;
			PQclear(r);
			continue;
		}
		if (status == PGRES_COMMAND_OK)
			link->prepared |= BIT(id);
		answer_take(a, r);
		if (!status_expected(status))
			return fail(
			    LOST, sc, "not an answer to a question: %s", PQresStatus(status));
	}
	int64_t now = clock_ns();
	a->cost = now - pg->read_at;
	pg->read_at = now;
	pg->queue &= ~BIT(id);
	return DONE;
}

enum outcome
ask_wait(struct scrape *sc, enum question_id wanted)
{
	struct postgresql *pg = sc->state;

	for (enum question_id id = 0; id <= wanted && id < ASK_QUESTIONS; id++) {
		if ((pg->queue & BIT(id)) == 0)
			continue;
		enum outcome o = answer_read(sc, id);
		if (o != DONE)
			return o;
	}
	return DONE;
}

/* A prepared statement whose table has another shape now, or that is gone. */
static bool
sqlstate_stale(const char *state)
{
	return strcmp(state, "0A000") == 0 || strcmp(state, "26000") == 0;
}

static enum outcome
answer_failed(struct scrape *sc, const struct answer *a)
{
	struct postgresql *pg = sc->state;

	if (sqlstate_stale(a->sqlstate))
		pg->stale = true;
	if (strcmp(a->sqlstate, "42501") == 0)
		return fail(FAILED, sc, "%s: GRANT pg_monitor TO %s", a->why, pg->server.role);
	if (a->why[0] == '\0')
		return fail(FAILED, sc, "the server gave no answer");
	return fail(FAILED, sc, "%s (SQLSTATE %s)", a->why, a->sqlstate);
}

enum outcome
ask_result(struct scrape *sc, enum question_id id, const PGresult **result)
{
	struct postgresql *pg = sc->state;
	const struct answer *a = &pg->answers[id];

	enum outcome o = ask_wait(sc, id);
	if (o != DONE)
		return o;
	if (!a->asked)
		return fail(ABSENT, sc, "not to be had from this version of the server");
	if (a->result == NULL)
		return answer_failed(sc, a);
	*result = a->result;
	return DONE;
}

void
ask_forget(struct postgresql *pg)
{
	for (size_t i = 0; i < QUESTIONS; i++) {
		PQclear(pg->answers[i].result);
		pg->answers[i] = (struct answer){ 0 };
	}
}
