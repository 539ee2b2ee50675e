/*
 * postgresql.h - what the files of the postgresql collector share: the state
 * of one target, the questions that may be put to a server, and how answers
 * reach the groups.
 *
 * A scrape of a PostgreSQL server is one pipeline on one kept connection:
 *
 *	ask      [settings] server activity ... statements sizes   -> one write
 *	collect  <- answers in the same order, each ended by its own sync
 *
 * so that one question that fails costs only its groups, and everything that
 * was answered before the deadline is kept.  A PgBouncer console knows neither
 * pipelines nor the extended protocol: it gets one connection per SHOW.
 */
#ifndef COLLECTORS_POSTGRESQL_H
#define COLLECTORS_POSTGRESQL_H

#include <libpq-fe.h>

#include "../exporter/collector.h"

/* Behind the first word of every statement of ours (before it, servers from 18
 * on drop it): so that pg_stat_statements shows which ones are our own. */
#define MARK "/* datatier_exporter */"

enum postgresql_limits {
	LOGIN_MAX = 1 << 20,  /* bytes a server may send before it is ready */
	REPLY_MAX = 16 << 20, /* bytes taken in from one connection in a scrape */
	ROLE_MAX = 140,       /* a quoted identifier of 63 bytes, all quotes */
};

/* Options as configured. */
struct conf {
	const char *uri, *password;
	bool        acquire;
	const char *acquire_uri;
	int64_t     acquire_every;
	long long   statements_max;
};

/* ---- questions ---- */

/* In the order they are sent: what others depend on first, what may take long
 * last, for a server answers one after another. */
enum question_id {
	ASK_SETTINGS,
	ASK_CHECK_INTERVAL,
	ASK_SERVER,
	ASK_ACTIVITY,
	ASK_DATABASES,
	ASK_LOCKS,
	ASK_CHECKPOINTS,
	ASK_WAL,
	ASK_REPLICATION,
	ASK_TYPES,
	ASK_TEXTS,
	ASK_DEALLOC,
	ASK_STATEMENTS,
	ASK_SIZES,
	ASK_QUESTIONS, /* how many a server may be asked */
	SHOW_POOLS = ASK_QUESTIONS,
	SHOW_DATABASES,
	SHOW_STATS,
	QUESTIONS,
	CONSOLE_LINKS = QUESTIONS - SHOW_POOLS,
};

#define BIT(question) (UINT32_C(1) << (question))

/* One way to put a question: for the versions from min up to max (0: all later
 * ones).  Of the server (12, 13, ...), or of pg_stat_statements as major * 100
 * + minor (108) where the text names {schema}. */
struct wording {
	int         min, max;
	const char *sql;
};

enum { WORDINGS_MAX = 4 };

struct question {
	struct wording ways[WORDINGS_MAX];
	bool           of_extension; /* versions are pg_stat_statements' own */
	bool           binary;       /* numbers in network order, not as text */
};

extern const struct question questions[ASK_QUESTIONS];

struct answer {
	PGresult *result; /* NULL: none, or an error */
	int64_t   cost;   /* ns the server took, as seen from here */
	bool      asked, ended;
	char      sqlstate[6]; /* of the error; empty: none */
	char      why[WHY_MAX];
};

/* ---- connections ---- */

struct link {
	PGconn  *db;
	size_t   taken;    /* bytes of this scrape, about */
	uint32_t prepared; /* questions that have a statement here */
};

/* What the server said of itself at the beginning of this scrape. */
struct server {
	bool   monitor;      /* our role may see others' sessions */
	bool   loaded;       /* pg_stat_statements runs in the server */
	int    extension;    /* its SQL version, 108; 0: not created here */
	double started, now; /* server's clock, seconds since 1970 */
	char   role[ROLE_MAX], schema[ROLE_MAX], database[ROLE_MAX];
};

struct statements;
struct acquire;

struct postgresql {                             /* the state of one target */
	struct link        link[CONSOLE_LINKS]; /* a server uses only the first */
	struct answer      answers[QUESTIONS];
	uint32_t           queue;      /* asked, and not read to its end */
	int64_t            read_at;    /* when the last answer was complete, ns */
	int                version;    /* 15 */
	bool               console;    /* a PgBouncer admin console */
	bool               pooled;     /* a pooler in between: nothing may be prepared or set */
	bool               met;        /* connected just now: `server` is known already */
	bool               fresh;      /* `server` is of this scrape */
	bool               stale;      /* prepared statements no longer fit: connect anew */
	bool               checks_set; /* client_connection_check_interval was sent */
	long               timeout_ms; /* statement_timeout as last set here */
	struct server      server;
	PGresult          *sizes;       /* the last answer to ASK_SIZES ... */
	int64_t            sizes_until; /* ... which will do until then */
	struct statements *statements;  /* NULL until first asked */
	struct acquire    *acquire;     /* NULL until first asked */
};

/* What stands behind a group's `how`. */
struct plan {
	uint32_t server;  /* BITs of the questions to a server ... */
	uint32_t console; /* ... and to a PgBouncer console */
	bool     monitor; /* wrong without the right to see others' sessions */
	enum outcome (*read)(struct scrape *, const struct group *);
	enum outcome (*show)(struct scrape *, const struct group *);
};

/* postgresql_tables.c */
enum group_id {
	GROUP_SESSIONS,
	GROUP_STATES,
	GROUP_WAITING,
	GROUP_LIMITS,
	GROUP_DATABASES,
	GROUP_TRANSACTIONS,
	GROUP_LOCKS,
	GROUP_CHECKPOINTS,
	GROUP_WAL,
	GROUP_REPLICATION,
	GROUP_STATEMENTS,
	GROUP_STATEMENTS_LOST,
	GROUP_SIZES,
	GROUP_POOLS,
	GROUP_POOL_WAITS,
	GROUP_ACQUIRE,
	GROUPS,
};
extern const struct group postgresql_groups[GROUPS];

/* postgresql_link.c: everything that touches a socket. */

/* Begins a connection; NULL: out of memory.  The one place where libpq's
 * keywords are put together. */
PGconn      *link_start(const char *uri, const char *password);
/* Goes on with connecting until it is done; false: why has one sentence. */
bool         link_establish(PGconn *, struct deadline, char why[static WHY_MAX]);
enum outcome link_open(struct scrape *, struct link *);
void         link_close(struct link *);
/* Sends what is still to be sent and waits until PQgetResult would not block. */
enum outcome link_wait(struct scrape *, struct link *);
/* The first line of what libpq has to say. */
void         link_words(char out[static WHY_MAX], const char *message);
/* The same of a connection's last error, without the password. */
void         link_error(char out[static WHY_MAX], const PGconn *);

/* postgresql_ask.c: the pipeline. */
enum outcome ask_server(struct scrape *, uint32_t questions);
/* Reads answers until this one is there; LOST, or DONE whether it is an answer
 * or an error. */
enum outcome ask_wait(struct scrape *, enum question_id);
/* The same, and an error is said and returned as FAILED. */
enum outcome ask_result(struct scrape *, enum question_id, const PGresult **);
void         ask_forget(struct postgresql *);
/* What a result that is not a table says; ends up in answer->why. */
void         answer_take(struct answer *, PGresult *);

/* postgresql_result.c: tables of text to rows. */
struct text  cell(const PGresult *, int row, int column);
/* The number in a named column; false: no such column, NULL or no number. */
bool         cell_number(const PGresult *, int row, const char *column, double *);
/* Every row that has all labels of the group, every column that is a metric's
 * source. */
void         result_put(struct sink *, const struct group *, const PGresult *);
enum outcome result_read(struct scrape *, const struct group *);
enum outcome sizes_read(struct scrape *, const struct group *);
bool         sizes_due(const struct postgresql *);

/* postgresql_console.c: PgBouncer. */
enum outcome console_open(struct scrape *);
enum outcome console_ask(struct scrape *, uint32_t questions);
enum outcome console_waiting(struct scrape *, const struct group *);
enum outcome console_pools(struct scrape *, const struct group *);
enum outcome console_waits(struct scrape *, const struct group *);

/* postgresql_acquire.c: the timed new connection. */
void         acquire_begin(struct scrape *);
enum outcome acquire_read(struct scrape *, const struct group *);

/* postgresql_statements.c: pg_stat_statements. */
/* Which of the questions of `how` make sense in this scrape. */
uint32_t     statements_questions(struct postgresql *, uint32_t wanted);
enum outcome statements_read(struct scrape *, const struct group *);
enum outcome statements_lost_read(struct scrape *, const struct group *);
void         statements_free(struct statements *);

#endif
