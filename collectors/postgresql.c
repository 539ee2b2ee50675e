/*
 * postgresql.c - PostgreSQL servers from 12 on, and PgBouncer's admin console,
 * which is noticed by what it says of itself when connected to.
 *
 * Here is what the exporter calls; how a question is put is in
 * postgresql_ask.c, which ones there are in postgresql_tables.c.
 */
#include <string.h>

#include "postgresql.h"

static const struct option options[] = {
	/* clang-format off */
	{ .name = "uri", .type = OPT_ADDRESS, .required = true, .offset = offsetof(struct conf, uri),
	  .help = "Where the server is, as libpq writes it: postgresql://user@host:5432/database or "
	    "host=... dbname=... . The database pgbouncer is a PgBouncer's admin console." },
	{ .name = "password", .type = OPT_SECRET, .offset = offsetof(struct conf, password),
	  .help = "The password, where uri has none." },
	{ .name = "acquire", .type = OPT_BOOL, .def = "true", .offset = offsetof(struct conf, acquire),
	  .help = "Time a new connection (db_connection_acquire_seconds)." },
	/* An address like uri, but without it the target still is one. */
	{ .name = "acquire_uri", .type = OPT_SECRET, .offset = offsetof(struct conf, acquire_uri),
	  .help = "Where the timed connection goes, for instance through PgBouncer to an "
	    "application's database; uri when not given. It may hold a password of its own." },
	{ .name = "acquire_every", .type = OPT_DURATION, .def = "5s", .min = 0, .max = 3600,
	  .offset = offsetof(struct conf, acquire_every),
	  .help = "The least time between two timed connections, however often one scrapes." },
	{ .name = "statements_max", .type = OPT_INT, .def = "20000", .min = 100, .max = 50000,
	  .offset = offsetof(struct conf, statements_max),
	  .help = "Up to how many entries of pg_stat_statements are read; with more, "
	    "db_query_duration_seconds is absent." },
	/* clang-format on */
};

/* libpq quotes what it does not understand, and that may be a password: so
 * only what stands before the first quote is repeated. */
static bool
address_check(const char *name, const char *address, char why[static WHY_MAX])
{
	char *said = NULL;
	PQconninfoOption *parts = PQconninfoParse(address, &said);

	if (parts == NULL) {
		struct text words = text_trim(text_of(said != NULL ? said : "out of memory"));
		words = text_trim(text_cut(&words, '"'));
		while (words.len > 0 && strchr(":, ", words.ptr[words.len - 1]) != NULL)
			words.len--;
		size_t n = text_clean(why, WHY_MAX, text_of(name));
		n += text_clean(why + n, WHY_MAX - n, TEXT(" is no PostgreSQL address: "));
		text_clean(why + n, WHY_MAX - n, words);
	}
	PQconninfoFree(parts);
	PQfreemem(said);
	return parts != NULL;
}

static bool
check(const void *options_read, char why[static WHY_MAX])
{
	const struct conf *conf = options_read;

	if (conf->uri != NULL && !address_check("uri", conf->uri, why))
		return false;
	return conf->acquire_uri == NULL || conf->acquire_uri[0] == '\0' ||
	       address_check("acquire_uri", conf->acquire_uri, why);
}

static void
cell_copy(char out[static ROLE_MAX], const PGresult *r, const char *column)
{
	struct text t = cell(r, 0, PQfnumber(r, column));

	/* Cut or cleaned, a quoted name would be another one. */
	if (t.len >= ROLE_MAX || text_clean(out, ROLE_MAX, t) != t.len)
		out[0] = '\0';
}

/* Takes over what the server says of itself.  An extension that was made,
 * moved or updated meanwhile asks for statements to be prepared anew. */
static void
server_take(struct postgresql *pg, const PGresult *r)
{
	struct server was = pg->server;
	double value;

	pg->server = (struct server){ 0 };
	pg->server.monitor = cell_number(r, 0, "monitor", &value) && value != 0;
	pg->server.loaded = cell_number(r, 0, "loaded", &value) && value != 0;
	if (cell_number(r, 0, "extension", &value) && value > 0 && value < 10000)
		pg->server.extension = (int)value;
	cell_number(r, 0, "started", &pg->server.started);
	cell_number(r, 0, "now", &pg->server.now);
	if (cell_number(r, 0, "pid", &value))
		pg->pooled = (int)value != PQbackendPID(pg->link[0].db);
	cell_copy(pg->server.role, r, "role");
	cell_copy(pg->server.schema, r, "schema");
	cell_copy(pg->server.database, r, "database");
	if (pg->server.schema[0] == '\0')
		pg->server.extension = 0;
	if (was.extension != 0 &&
	    (was.extension != pg->server.extension || strcmp(was.schema, pg->server.schema) != 0))
		pg->stale = true;
}

/* The first question on a new connection: what kind of server this is decides
 * what else may be asked. */
static enum outcome
server_meet(struct scrape *sc)
{
	struct postgresql *pg = sc->state;
	const PGresult *r;

	if (!PQenterPipelineMode(pg->link[0].db))
		return fail(LOST, sc, "libpq refuses pipeline mode");
	/* Unnamed until it is known that names last here. */
	pg->pooled = true;
	enum outcome o = ask_server(sc, BIT(ASK_SERVER));
	if (o == DONE)
		o = ask_result(sc, ASK_SERVER, &r);
	if (o == FAILED || o == ABSENT)
		return LOST;
	if (o != DONE)
		return o;
	if (PQntuples(r) != 1)
		return fail(LOST, sc, "the server does not say who it is");
	server_take(pg, r);
	pg->met = true;
	return DONE;
}

static void
disconnect(struct scrape *sc)
{
	struct postgresql *pg = sc->state;

	for (size_t i = 0; i < CONSOLE_LINKS; i++)
		link_close(&pg->link[i]);
	ask_forget(pg);
	pg->queue = 0;
	pg->timeout_ms = 0;
	pg->met = pg->fresh = pg->stale = pg->checks_set = pg->console = pg->pooled = false;
	pg->server.extension = 0;
}

static enum outcome
connect_server(struct scrape *sc)
{
	struct postgresql *pg = sc->state;

	enum outcome o = link_open(sc, &pg->link[0]);
	if (o != DONE)
		return o;
	const char *version = PQparameterStatus(pg->link[0].db, "server_version");
	pg->console = version != NULL && strstr(version, "/bouncer") != NULL;
	if (pg->console)
		return console_open(sc);
	pg->version = PQserverVersion(pg->link[0].db) / 10000;
	if (pg->version < 12)
		return fail(LOST, sc, "PostgreSQL %s is too old: 12 is the first one supported",
		    version != NULL ? version : "of unknown version");
	return server_meet(sc);
}

static enum outcome
ask(struct scrape *sc)
{
	struct postgresql *pg = sc->state;
	uint32_t wanted = 0;

	for (size_t i = 0; i < CONSOLE_LINKS; i++)
		pg->link[i].taken = 0;
	for (size_t i = 0; i < GROUPS; i++) {
		const struct plan *plan = postgresql_groups[i].how;
		if (wants(sc, &collector, &postgresql_groups[i]))
			wanted |= pg->console ? plan->console : plan->server;
	}
	if (wants(sc, &collector, &postgresql_groups[GROUP_ACQUIRE]))
		acquire_begin(sc);
	if (pg->console) {
		ask_forget(pg);
		return console_ask(sc, wanted);
	}
	/* What nobody collected has long arrived. */
	enum outcome left = ask_wait(sc, ASK_QUESTIONS);
	if (left != DONE)
		return left;
	pg->fresh = pg->met;
	pg->met = false;
	if (!pg->fresh)
		ask_forget(pg);
	wanted = statements_questions(pg, wanted) | BIT(ASK_SERVER);
	if (pg->fresh)
		wanted &= ~BIT(ASK_SERVER);
	if (!sizes_due(pg))
		wanted &= ~BIT(ASK_SIZES);
	return ask_server(sc, wanted);
}

/* What the server says of itself comes first in every scrape: rights and
 * extensions may come and go. */
static enum outcome
server_read(struct scrape *sc)
{
	struct postgresql *pg = sc->state;
	const PGresult *r;

	if (pg->fresh)
		return DONE;
	enum outcome o = ask_result(sc, ASK_SERVER, &r);
	if (o != DONE)
		return o;
	server_take(pg, r);
	pg->fresh = true;
	return DONE;
}

static enum outcome
collect(struct scrape *sc, const struct group *g)
{
	struct postgresql *pg = sc->state;
	const struct plan *plan = g->how;

	if (pg->console)
		return plan->show != NULL ? plan->show(sc, g) : ABSENT;
	if (plan->read == NULL)
		return ABSENT;
	enum outcome o = server_read(sc);
	if (o != DONE)
		return o;
	if (plan->monitor && !pg->server.monitor)
		return fail(ABSENT, sc,
		    "without the right to see other sessions: GRANT pg_monitor TO %s",
		    pg->server.role);
	return plan->read(sc, g);
}

const struct collector collector = {
	COLLECTOR_HEAD,
	.name = "postgresql",
	.about = "PostgreSQL 12 and later, over one connection for all databases of a server; and "
		 "the admin console of PgBouncer.",
	.groups = postgresql_groups,
	.ngroups = COUNT(postgresql_groups),
	.options = options,
	.noptions = COUNT(options),
	.conf_size = sizeof(struct conf),
	.state_size = sizeof(struct postgresql),
	.check = check,
	.connect = connect_server,
	.ask = ask,
	.collect = collect,
	.disconnect = disconnect,
};
