/*
 * postgresql_acquire.c - how long it takes to get a usable connection.
 *
 * A new connection takes several round trips (TCP, TLS, log-in, first answer),
 * a scrape takes one.  So the timed connection has a thread of its own, begun
 * with the scrape's questions and never waited for: a scrape gives out what
 * was observed by its end, and what ends later is in the next one.
 */
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "postgresql.h"

enum {
	ACQUIRE_SECONDS_MAX = 15, /* beyond the last bound of the histogram */
	ACQUIRE_STACK = 512 << 10,
};

/* Where somebody shares our role, this is hardly a statement of theirs. */
static const char first_question[] =
    "SELECT " MARK " pg_backend_pid() IS NOT NULL, current_schema IS NOT NULL";

/* Shared with the probe's thread.  Never freed while its process lives. */
struct acquire {
	const struct metric *metric;
	char *uri, *password;
	int64_t begun; /* of the last probe; target's thread only */

	pthread_mutex_t lock; /* guards what follows */
	bool busy;            /* a probe is under way */
	bool failed;          /* the last one did, and why */
	char why[WHY_MAX];
	struct histogram seen;
};

static char *
copy(const char *s)
{
	return s != NULL ? strdup(s) : NULL;
}

/* The answer to the first question, to its end. */
static bool
first_answer(PGconn *db, struct deadline until, char why[static WHY_MAX])
{
	struct scrape sc = { .until = until };
	struct link link = { .db = db };
	bool answered = false;

	if (!PQsendQuery(db, first_question))
		link_error(why, db);
	for (;;) {
		if (link_wait(&sc, &link) != DONE) {
			memcpy(why, sc.why, WHY_MAX);
			return false;
		}
		PGresult *r = PQgetResult(db);
		if (r == NULL)
			return answered;
		answered = PQresultStatus(r) == PGRES_TUPLES_OK;
		if (!answered)
			link_words(why, PQresultErrorMessage(r));
		PQclear(r);
		if (!answered)
			return false;
	}
}

static bool
probe(const struct acquire *a, struct deadline until, char why[static WHY_MAX])
{
	PGconn *db = link_start(a->uri, a->password);
	bool usable = false;

	if (db == NULL)
		text_clean(why, WHY_MAX, TEXT("out of memory"));
	else
		usable = link_establish(db, until, why) && first_answer(db, until, why);
	PQfinish(db);
	return usable;
}

static void *
probe_run(void *arg)
{
	struct acquire *a = arg;
	char why[WHY_MAX] = "";
	int64_t begun = clock_ns();
	struct deadline until = deadline_in(ACQUIRE_SECONDS_MAX * NS_PER_S);
	bool usable = probe(a, until, why);
	double took = clock_seconds(clock_ns() - begun);

	pthread_mutex_lock(&a->lock);
	/* Who waited in vain has waited; who was refused has not. */
	if (usable || left_ms(until) == 0)
		histogram_observe(&a->seen, a->metric, took, 1);
	a->failed = !usable;
	memcpy(a->why, why, sizeof why);
	a->busy = false;
	pthread_mutex_unlock(&a->lock);
	return NULL;
}

static bool
probe_start(struct acquire *a)
{
	pthread_attr_t attr;
	pthread_t thread;

	if (pthread_attr_init(&attr) != 0)
		return false;
	bool started = pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED) == 0 &&
		       pthread_attr_setstacksize(&attr, ACQUIRE_STACK) == 0 &&
		       pthread_create(&thread, &attr, probe_run, a) == 0;
	pthread_attr_destroy(&attr);
	return started;
}

static const char *
acquire_address(const struct scrape *sc)
{
	const struct conf *conf = sc->conf;
	const struct postgresql *pg = sc->state;

	if (!conf->acquire)
		return NULL;
	if (conf->acquire_uri != NULL && conf->acquire_uri[0] != '\0')
		return conf->acquire_uri;
	/* To log in to a console is not to get a connection. */
	return pg->console ? NULL : conf->uri;
}

static struct acquire *
acquire_new(const struct scrape *sc)
{
	const struct conf *conf = sc->conf;
	struct acquire *a = calloc(1, sizeof *a);

	if (a == NULL || pthread_mutex_init(&a->lock, NULL) != 0) {
		free(a);
		return NULL;
	}
	a->metric = &postgresql_groups[GROUP_ACQUIRE].metrics[0];
	a->uri = copy(acquire_address(sc));
	a->password = copy(conf->password);
	a->begun = INT64_MIN / 2;
	return a;
}

void
acquire_begin(struct scrape *sc)
{
	const struct conf *conf = sc->conf;
	struct postgresql *pg = sc->state;

	if (acquire_address(sc) == NULL)
		return;
	if (pg->acquire == NULL)
		pg->acquire = acquire_new(sc);
	struct acquire *a = pg->acquire;
	/* A tenth less: scrapes do not come to the millisecond. */
	int64_t now = clock_ns();
	if (a == NULL || now - a->begun < conf->acquire_every / 10 * 9)
		return;

	pthread_mutex_lock(&a->lock);
	bool busy = a->busy;
	a->busy = true;
	pthread_mutex_unlock(&a->lock);
	if (busy)
		return;
	a->begun = now;
	if (probe_start(a))
		return;
	pthread_mutex_lock(&a->lock);
	a->busy = false;
	pthread_mutex_unlock(&a->lock);
}

enum outcome
acquire_read(struct scrape *sc, const struct group *g)
{
	const struct postgresql *pg = sc->state;
	struct acquire *a = pg->acquire;
	struct histogram seen;
	char why[WHY_MAX];

	if (acquire_address(sc) == NULL)
		return ABSENT;
	if (a == NULL)
		return fail(FAILED, sc, "out of memory");
	pthread_mutex_lock(&a->lock);
	bool failed = a->failed;
	seen = a->seen;
	memcpy(why, a->why, sizeof why);
	pthread_mutex_unlock(&a->lock);

	row(sc->sink, NULL);
	put_histogram(sc->sink, &g->metrics[0], &seen);
	if (failed)
		return fail(FAILED, sc, "a new connection: %s", why);
	return DONE;
}
