/*
 * postgresql_link.c - a connection to a PostgreSQL server or PgBouncer, made
 * and read without ever waiting past the deadline.
 *
 * libpq's own waiting functions are never called: PQgetResult only after
 * PQisBusy said that it would not wait.  A connection that was too late is
 * closed, not cancelled: PQcancel itself may hang, and the server, told to
 * look after its clients (client_connection_check_interval), stops by itself.
 */
#include <poll.h>
#include <string.h>
#include <sys/ioctl.h>

#include "postgresql.h"

static void
notice_nothing(void *arg, const char *message)
{
	(void)arg;
	(void)message;
}

PGconn *
link_start(const char *uri, const char *password)
{
	/* Before the address: it may say otherwise.  After it: it may not.  GSS
	 * would look for credentials, which costs more than all the rest. */
	const char *keywords[] = { "gssencmode", "password", "dbname", "application_name",
		"client_encoding", NULL };
	const char *values[] = { "disable", password, uri, "datatier_exporter", "UTF8", NULL };

	PGconn *db = PQconnectStartParams(keywords, values, 1);
	if (db != NULL)
		PQsetNoticeProcessor(db, notice_nothing, NULL);
	return db;
}

void
link_words(char out[static WHY_MAX], const char *message)
{
	struct text all = text_trim(text_of(message));
	struct text line = text_cut(&all, '\n');

	text_clean(out, WHY_MAX, line.len > 0 ? line : TEXT("libpq does not say why"));
}

/* A server that was told the password may say it again. */
static bool
shows_password(const PGconn *db, const char *message)
{
	enum { SHORT = 4 }; /* shorter ones are found in any words */
	const char *password = PQpass(db), *user = PQuser(db), *name = PQdb(db);

	return password != NULL && strlen(password) >= SHORT && strstr(message, password) != NULL &&
	       (user == NULL || strcmp(password, user) != 0) &&
	       (name == NULL || strcmp(password, name) != 0);
}

void
link_error(char out[static WHY_MAX], const PGconn *db)
{
	const char *message = PQerrorMessage(db);

	link_words(out, shows_password(db, message)
			    ? "what the server says is not shown: the password is part of it"
			    : message);
}

/* What a server has not done when the time was over. */
static const char *
phase_words(const PGconn *db)
{
	switch (PQstatus(db)) {
	case CONNECTION_STARTED:
	case CONNECTION_NEEDED: return "the server's address does not answer";
	case CONNECTION_SSL_STARTUP: return "the server does not answer the TLS handshake";
	case CONNECTION_MADE:
	case CONNECTION_AWAITING_RESPONSE:
		return "the server's port is open but nothing answers there";
	default: return "the server does not finish the log-in";
	}
}

/* What is there to be read now.  How much libpq takes in can only be asked
 * beforehand, so a sum of this is no exact count, but nothing grows without
 * being counted. */
static size_t
waiting_bytes(const PGconn *db)
{
	int waiting = 0;

	return ioctl(PQsocket(db), FIONREAD, &waiting) == 0 && waiting > 0 ? (size_t)waiting : 0;
}

bool
link_establish(PGconn *db, struct deadline until, char why[static WHY_MAX])
{
	PostgresPollingStatusType step = PGRES_POLLING_WRITING;
	size_t taken = 0;

	if (PQstatus(db) == CONNECTION_BAD)
		step = PGRES_POLLING_FAILED;
	while (step == PGRES_POLLING_WRITING || step == PGRES_POLLING_READING) {
		short events = step == PGRES_POLLING_READING ? POLLIN : POLLOUT;
		if (left_ms(until) == 0 || !wait_fd(PQsocket(db), events, until)) {
			text_clean(why, WHY_MAX, text_of(phase_words(db)));
			return false;
		}
		taken += waiting_bytes(db);
		if (taken > LOGIN_MAX) {
			text_clean(why, WHY_MAX,
			    TEXT("the server does not come to an end with the log-in"));
			return false;
		}
		step = PQconnectPoll(db);
	}
	if (step == PGRES_POLLING_OK && PQsetnonblocking(db, 1) == 0)
		return true;
	link_error(why, db);
	return false;
}

enum outcome
link_open(struct scrape *sc, struct link *link)
{
	const struct conf *conf = sc->conf;
	char why[WHY_MAX];

	*link = (struct link){ .db = link_start(conf->uri, conf->password) };
	if (link->db == NULL)
		return fail(LOST, sc, "out of memory");
	if (!link_establish(link->db, sc->until, why))
		return fail(LOST, sc, "%s", why);
	return DONE;
}

void
link_close(struct link *link)
{
	PQfinish(link->db);
	*link = (struct link){ 0 };
}

static enum outcome
link_take(struct scrape *sc, struct link *link)
{
	link->taken += waiting_bytes(link->db);
	if (link->taken > REPLY_MAX)
		return fail(LOST, sc, "the answers are larger than %d MiB", REPLY_MAX >> 20);
	if (!PQconsumeInput(link->db)) {
		char why[WHY_MAX];
		link_error(why, link->db);
		return fail(LOST, sc, "%s", why);
	}
	return DONE;
}

enum outcome
link_wait(struct scrape *sc, struct link *link)
{
	for (;;) {
		int unsent = PQflush(link->db);
		if (unsent < 0) {
			char why[WHY_MAX];
			link_error(why, link->db);
			return fail(LOST, sc, "%s", why);
		}
		if (!PQisBusy(link->db))
			return DONE;
		short events = unsent > 0 ? POLLIN | POLLOUT : POLLIN;
		if (left_ms(sc->until) == 0 || !wait_fd(PQsocket(link->db), events, sc->until))
			return fail(LOST, sc, "connected, but the server did not answer in time");
		enum outcome taken = link_take(sc, link);
		if (taken != DONE)
			return taken;
	}
}
