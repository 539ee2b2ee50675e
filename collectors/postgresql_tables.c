/*
 * postgresql_tables.c - what is measured of a PostgreSQL server and of a
 * PgBouncer console, and the SQL that asks for it.  No code.
 *
 * A column that bears a label's name is that label, one that bears a metric's
 * source is its value; NULL is absent.  One answer may serve several groups: a
 * row belongs to the groups all of whose labels it has.
 */
#include "postgresql.h"

/* clang-format off */

/* template0 can never be connected to. */
#define REAL_DATABASES "(datallowconn OR NOT datistemplate)"

/* Our sessions, the timed new connection included: not those of a namesake. */
#define NOT_OURS "NOT (application_name = 'datatier_exporter' AND usename = session_user)"

#define STATEMENTS_SELECT(total, stddev, min, max, more) \
	"SELECT " MARK " userid, dbid, queryid, calls, " total " AS total, " stddev \
	" AS stddev, " min " AS min, " max " AS max" more \
	" FROM {schema}.pg_stat_statements(false) WHERE queryid IS NOT NULL"

const struct question questions[ASK_QUESTIONS] = {
	/* JIT would be started for catalog queries whose cost is over-estimated. */
	[ASK_SETTINGS] = { .ways = {
		{ 12, 13, "SELECT " MARK
		    " set_config('statement_timeout', $1, false), set_config('lock_timeout', $2, false),"
		    " set_config('search_path', 'pg_catalog', false), set_config('jit', 'off', false),"
		    " set_config('default_transaction_read_only', 'on', false)" },
		{ 14, 0, "SELECT " MARK
		    " set_config('statement_timeout', $1, false), set_config('lock_timeout', $2, false),"
		    " set_config('search_path', 'pg_catalog', false), set_config('jit', 'off', false),"
		    " set_config('default_transaction_read_only', 'on', false),"
		    " set_config('idle_session_timeout', '0', false)" } } },

	/* By itself: not every platform has it. */
	[ASK_CHECK_INTERVAL] = { .ways = { { 14, 0,
		"SELECT " MARK " set_config('client_connection_check_interval', '1s', false)" } } },

	[ASK_SERVER] = { .ways = { { 0, 0, "SELECT " MARK
		" pg_has_role('pg_read_all_stats', 'USAGE')::int AS monitor, pg_backend_pid() AS pid,"
		" quote_ident(session_user) AS role, quote_ident(current_database()) AS database,"
		" current_setting('max_connections') AS max_connections,"
		" current_setting('superuser_reserved_connections')::int"
		" + coalesce(current_setting('reserved_connections', true), '0')::int AS reserved,"
		" (current_setting('pg_stat_statements.max', true) IS NOT NULL)::int AS loaded,"
		" extract(epoch FROM pg_postmaster_start_time()) AS started,"
		" extract(epoch FROM clock_timestamp()) AS now,"
		" split_part(e.extversion, '.', 1)::int * 100"
		" + split_part(e.extversion, '.', 2)::int AS extension, quote_ident(n.nspname) AS schema"
		" FROM (VALUES (1)) AS one (row)"
		" LEFT JOIN pg_extension e ON e.extname = 'pg_stat_statements'"
		" LEFT JOIN pg_namespace n ON n.oid = e.extnamespace" } } },

	[ASK_ACTIVITY] = { .ways = { { 0, 0, "WITH " MARK
		" d AS (SELECT oid, datname FROM pg_database WHERE " REAL_DATABASES "),"
		" a AS MATERIALIZED (SELECT datid, state, wait_event_type,"
		"  extract(epoch FROM clock_timestamp() - xact_start) AS age FROM pg_stat_activity"
		"  WHERE backend_type = 'client backend' AND " NOT_OURS ")"
		" SELECT d.datname AS database, NULL AS state, 'lock' AS reason, NULL AS sessions,"
		"  count(*) FILTER (WHERE a.state = 'active') AS active,"
		"  count(*) FILTER (WHERE a.state LIKE 'idle%') AS idle,"
		"  count(*) FILTER (WHERE a.wait_event_type = 'Lock') AS waiting,"
		"  coalesce(max(a.age), 0) AS longest"
		" FROM d LEFT JOIN a ON a.datid = d.oid GROUP BY d.datname"
		" UNION ALL"
		" SELECT d.datname, s.state, NULL, count(a.datid), NULL, NULL, NULL, NULL"
		" FROM d CROSS JOIN (VALUES ('active'), ('idle'), ('idle in transaction'),"
		"  ('idle in transaction (aborted)'), ('fastpath function call'), ('disabled'),"
		"  ('starting')) AS s (state)"
		" LEFT JOIN a ON a.datid = d.oid AND a.state = s.state GROUP BY d.datname, s.state"
	} } },

	[ASK_DATABASES] = { .ways = { { 0, 0, "SELECT " MARK
		" s.datname AS database, o.outcome, o.transactions,"
		" CASE WHEN o.outcome IS NULL THEN s.deadlocks END AS deadlocks,"
		" CASE WHEN o.outcome IS NULL THEN s.blks_read END AS blks_read,"
		" CASE WHEN o.outcome IS NULL THEN s.blks_hit END AS blks_hit,"
		" CASE WHEN o.outcome IS NULL THEN s.temp_bytes END AS temp_bytes"
		" FROM pg_stat_database s JOIN pg_database d ON d.oid = s.datid AND " REAL_DATABASES
		" CROSS JOIN LATERAL (VALUES ('commit', s.xact_commit), ('rollback', s.xact_rollback),"
		"  (NULL, NULL)) AS o (outcome, transactions)" } } },

	[ASK_LOCKS] = { .ways = { { 0, 0, "SELECT " MARK
		" m.mode, count(l.mode) AS locks FROM (VALUES ('AccessShareLock'), ('RowShareLock'),"
		"  ('RowExclusiveLock'), ('ShareUpdateExclusiveLock'), ('ShareLock'),"
		"  ('ShareRowExclusiveLock'), ('ExclusiveLock'), ('AccessExclusiveLock'),"
		"  ('SIReadLock')) AS m (mode)"
		" LEFT JOIN pg_locks l ON l.mode = m.mode AND l.pid IS DISTINCT FROM pg_backend_pid()"
		" GROUP BY m.mode" } } },

	[ASK_CHECKPOINTS] = { .ways = {
		{ 0, 16, "SELECT " MARK " k.kind, k.checkpoints FROM pg_stat_bgwriter b,"
		    " LATERAL (VALUES ('timed', b.checkpoints_timed), ('requested', b.checkpoints_req))"
		    " AS k (kind, checkpoints)" },
		{ 17, 0, "SELECT " MARK " k.kind, k.checkpoints FROM pg_stat_checkpointer b,"
		    " LATERAL (VALUES ('timed', b.num_timed), ('requested', b.num_requested))"
		    " AS k (kind, checkpoints)" } } },

	/* Where streaming begins anew, the received position goes back to the start of a file. */
	[ASK_WAL] = { .ways = { { 0, 0, "SELECT " MARK
		" pg_wal_lsn_diff(CASE WHEN pg_is_in_recovery()"
		"  THEN greatest(pg_last_wal_receive_lsn(), pg_last_wal_replay_lsn())"
		"  ELSE pg_current_wal_lsn() END, '0/0') AS wal_bytes" } } },

	/* A standby that has replayed all it has received is only up to date while
	 * it is connected.  A standby that keeps up has NULL as its replay_lag. */
	[ASK_REPLICATION] = { .ways = { { 0, 0, "SELECT " MARK
		" CASE WHEN NOT pg_is_in_recovery() THEN"
		"  (SELECT max(coalesce(extract(epoch FROM replay_lag), 0)) FROM pg_stat_replication"
		"   WHERE replay_lsn IS NOT NULL)"
		" WHEN pg_last_wal_receive_lsn() = pg_last_wal_replay_lsn()"
		"  AND EXISTS (SELECT FROM pg_stat_wal_receiver WHERE status = 'streaming') THEN 0"
		" ELSE extract(epoch FROM clock_timestamp() - pg_last_xact_replay_timestamp())"
		" END AS replication_lag" } } },

	/* The text beside a query_id is all that the client sent: of several
	 * statements in one string it would be the wrong one's. */
	[ASK_TYPES] = { .binary = true, .ways = { { 14, 0, "SELECT " MARK
		" query_id AS queryid, left(query, 64) AS query FROM pg_stat_activity"
		" WHERE query_id IS NOT NULL AND position(';' IN rtrim(query, E'; \\n')) = 0" } } },

	/* Reads the whole file of texts: see texts_due(). */
	[ASK_TEXTS] = { .of_extension = true, .binary = true, .ways = { { 0, 0, "SELECT " MARK
		" queryid, CASE WHEN lower(left(query, 1)) IN ('s', 'i', 'u', 'd')"
		" THEN left(query, 64) ELSE left(query, 300) END AS query"
		" FROM {schema}.pg_stat_statements(true) WHERE queryid IS NOT NULL" } } },

	[ASK_DEALLOC] = { .of_extension = true, .ways = { { 109, 0, "SELECT " MARK
		" dealloc, current_setting('pg_stat_statements.max') AS entries_max"
		" FROM {schema}.pg_stat_statements_info" } } },

	/* What functions run inside is part of the statement that called them. */
	[ASK_STATEMENTS] = { .of_extension = true, .binary = true, .ways = {
		{ 0, 107, STATEMENTS_SELECT("total_time", "stddev_time", "min_time", "max_time", "")
		    " LIMIT $1::bigint" },
		{ 108, 108, STATEMENTS_SELECT("total_exec_time", "stddev_exec_time", "min_exec_time",
		    "max_exec_time", "") " LIMIT $1::bigint" },
		{ 109, 110, STATEMENTS_SELECT("total_exec_time", "stddev_exec_time", "min_exec_time",
		    "max_exec_time", "") " AND toplevel LIMIT $1::bigint" },
		{ 111, 0, STATEMENTS_SELECT("total_exec_time", "stddev_exec_time", "min_exec_time",
		    "max_exec_time", ", stats_since AS since") " AND toplevel LIMIT $1::bigint" } } },

	[ASK_SIZES] = { .ways = { { 0, 0, "SELECT " MARK
		" datname AS database, pg_database_size(oid) AS size"
		" FROM pg_database WHERE " REAL_DATABASES } } },
};

static const double query_bounds[] = { 0.0001, 0.0005, 0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1, 5,
	10, 30 };
static const double acquire_bounds[] = { 0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1, 2.5, 5, 10 };

static const struct metric sessions_metrics[] = {
	{ .name = "db_connections_active", .type = GAUGE, .source = "active",
	  .help = "Client sessions that are running a statement now." },
	{ .name = "db_connections_idle", .type = GAUGE, .source = "idle",
	  .help = "Client sessions that wait for their client, in or out of a transaction." },
	{ .name = "db_longest_transaction_seconds", .type = GAUGE, .source = "longest",
	  .unit = "seconds",
	  .help = "Age of the oldest transaction that a client session has open, 0 without one." },
};
static const struct metric states_metrics[] = {
	{ .name = "db_connections", .type = GAUGE, .source = "sessions",
	  .help = "Client sessions by the state the server gives them." },
};
static const struct metric waiting_metrics[] = {
	{ .name = "db_connections_waiting", .type = GAUGE, .source = "waiting",
	  .help = "Clients that wait for a pooled connection (reason pool, from PgBouncer) and "
	    "sessions that wait for a lock (reason lock, from PostgreSQL)." },
};
static const struct metric limits_metrics[] = {
	{ .name = "db_connections_max", .type = GAUGE, .source = "max_connections",
	  .help = "Sessions the server allows at once (max_connections)." },
	{ .name = "db_connections_reserved", .type = GAUGE, .source = "reserved",
	  .help = "Those of them that are kept for superusers and, from PostgreSQL 16 on, for roles "
	    "with pg_use_reserved_connections." },
};
static const struct metric databases_metrics[] = {
	{ .name = "db_deadlocks_total", .type = COUNTER, .source = "deadlocks",
	  .help = "Deadlocks found." },
	{ .name = "db_blocks_read_total", .type = COUNTER, .source = "blks_read",
	  .help = "Blocks that were not in shared buffers and were read from the system." },
	{ .name = "db_blocks_hit_total", .type = COUNTER, .source = "blks_hit",
	  .help = "Blocks that were found in shared buffers." },
	{ .name = "db_temp_bytes_total", .type = COUNTER, .source = "temp_bytes", .unit = "bytes",
	  .help = "Bytes that queries wrote to temporary files." },
};
static const struct metric transactions_metrics[] = {
	{ .name = "db_transactions_total", .type = COUNTER, .source = "transactions",
	  .help = "Transactions that ended, by outcome." },
};
static const struct metric locks_metrics[] = {
	{ .name = "db_locks", .type = GAUGE, .source = "locks",
	  .help = "Locks held or waited for, by mode." },
};
static const struct metric checkpoints_metrics[] = {
	{ .name = "db_checkpoints_total", .type = COUNTER, .source = "checkpoints",
	  .help = "Checkpoints due by time (timed) or asked for, as by much write-ahead log (requested)." },
};
static const struct metric wal_metrics[] = {
	{ .name = "db_wal_bytes_total", .type = COUNTER, .source = "wal_bytes", .unit = "bytes",
	  .help = "Position in the write-ahead log, the bytes written since the cluster was made; "
	    "on a standby, those received." },
};
static const struct metric replication_metrics[] = {
	{ .name = "db_replication_lag_seconds", .type = GAUGE, .source = "replication_lag",
	  .unit = "seconds",
	  .help = "On a standby, how old what it shows is; on a primary, the lag of its slowest "
	    "standby." },
};
static const struct metric sizes_metrics[] = {
	{ .name = "db_size_bytes", .type = GAUGE, .source = "size", .unit = "bytes",
	  .help = "Size of the database on disk." },
};
static const struct metric statements_metrics[] = {
	{ .name = "db_query_duration_seconds", .type = HISTOGRAM, .unit = "seconds",
	  .buckets = query_bounds, .nbuckets = COUNT(query_bounds), .accumulated = true,
	  .help = "Server execution time of statements by pg_stat_statements: count and sum are "
	    "exact, the buckets are estimated from mean, variance, minimum and maximum per "
	    "statement and scrape interval." },
};
static const struct metric statements_lost_metrics[] = {
	{ .name = "db_statements_lost_total", .type = COUNTER, .accumulated = true,
	  .help = "Calls missing in db_query_duration_seconds because their statement was reset or "
	    "evicted from pg_stat_statements between two scrapes, an estimate." },
};
static const struct metric acquire_metrics[] = {
	{ .name = "db_connection_acquire_seconds", .type = HISTOGRAM, .unit = "seconds",
	  .buckets = acquire_bounds, .nbuckets = COUNT(acquire_bounds), .accumulated = true,
	  .help = "Time to get a usable connection, from the start of connecting to the answer to "
	    "a first query, of at most one new connection per scrape." },
};
static const struct metric pools_metrics[] = {
	{ .name = "db_pool_size", .type = GAUGE, .source = "pool_size",
	  .help = "Server connections this pool may have." },
	{ .name = "db_pool_used", .type = GAUGE, .source = "used",
	  .help = "Server connections of the pool that are in use for a client." },
	{ .name = "db_pool_max_wait_seconds", .type = GAUGE, .source = "maxwait", .unit = "seconds",
	  .help = "How long the client that has waited longest for a connection has been waiting." },
};
static const struct metric pool_waits_metrics[] = {
	{ .name = "db_pool_wait_seconds_total", .type = COUNTER, .source = "total_wait_time",
	  .scale = 1e-6, .unit = "seconds",
	  .help = "Time that clients have waited for a server connection." },
	{ .name = "db_pool_waits_total", .type = COUNTER, .source = "waits",
	  .help = "Times that a client was given a server connection (transactions, before "
	    "PgBouncer 1.23)." },
};

static const char *const state_values[] = { "active", "idle", "idle in transaction",
	"idle in transaction (aborted)", "fastpath function call", "disabled", "starting", NULL };
static const char *const reason_values[] = { "pool", "lock", NULL };
static const char *const outcome_values[] = { "commit", "rollback", NULL };
static const char *const mode_values[] = { "AccessShareLock", "RowShareLock", "RowExclusiveLock",
	"ShareUpdateExclusiveLock", "ShareLock", "ShareRowExclusiveLock", "ExclusiveLock",
	"AccessExclusiveLock", "SIReadLock", NULL };
static const char *const kind_values[] = { "timed", "requested", NULL };
static const char *const type_values[] = { "select", "insert", "update", "delete", "other", NULL };

static const struct label database_labels[] = { { "database", NULL } };
static const struct label state_labels[] = { { "database", NULL }, { "state", state_values } };
static const struct label waiting_labels[] = { { "database", NULL }, { "reason", reason_values } };
static const struct label outcome_labels[] = { { "database", NULL }, { "outcome", outcome_values } };
static const struct label mode_labels[] = { { "mode", mode_values } };
static const struct label kind_labels[] = { { "kind", kind_values } };
static const struct label type_labels[] = { { "query_type", type_values } };
static const struct label pool_labels[] = { { "database", NULL }, { "user", NULL } };

#define METRICS(which)	.metrics = which, .nmetrics = COUNT(which)
#define LABELS(which)	.labels = which, .nlabels = COUNT(which)
#define PLAN(...)	.how = &(const struct plan){ __VA_ARGS__ }
#define STATEMENTS_ASK \
	(BIT(ASK_TYPES) | BIT(ASK_TEXTS) | BIT(ASK_DEALLOC) | BIT(ASK_STATEMENTS))

enum { DATABASES_MAX = 1000, POOLS_MAX = 2000 };

/* The order is that of the questions: what has been answered is read first. */
const struct group postgresql_groups[GROUPS] = {
	[GROUP_SESSIONS] = { .name = "sessions", METRICS(sessions_metrics), LABELS(database_labels),
	  .max_rows = DATABASES_MAX,
	  .about = "pg_stat_activity, client backends but the exporter's own, by database; a database "
	    "without sessions is 0.",
	  PLAN(.server = BIT(ASK_ACTIVITY), .monitor = true, .read = result_read) },
	[GROUP_STATES] = { .name = "session_states", METRICS(states_metrics), LABELS(state_labels),
	  .max_rows = DATABASES_MAX * 7,
	  .about = "The same sessions by the server's own word for their state.",
	  PLAN(.server = BIT(ASK_ACTIVITY), .monitor = true, .read = result_read) },
	[GROUP_WAITING] = { .name = "waiting", METRICS(waiting_metrics), LABELS(waiting_labels),
	  .max_rows = DATABASES_MAX,
	  .about = "PostgreSQL: pg_stat_activity, wait_event_type Lock. PgBouncer: SHOW POOLS, "
	    "cl_waiting of all users of a database.",
	  PLAN(.server = BIT(ASK_ACTIVITY), .monitor = true, .read = result_read,
	    .console = BIT(SHOW_POOLS), .show = console_waiting) },
	[GROUP_LIMITS] = { .name = "limits", METRICS(limits_metrics),
	  .about = "The settings max_connections, superuser_reserved_connections and "
	    "reserved_connections.",
	  PLAN(.server = BIT(ASK_SERVER), .read = result_read) },
	[GROUP_DATABASES] = { .name = "databases", METRICS(databases_metrics), LABELS(database_labels),
	  .max_rows = DATABASES_MAX,
	  .about = "pg_stat_database; the server's own counters, a reset there is one here.",
	  PLAN(.server = BIT(ASK_DATABASES), .read = result_read) },
	[GROUP_TRANSACTIONS] = { .name = "transactions", METRICS(transactions_metrics),
	  LABELS(outcome_labels), .max_rows = DATABASES_MAX * 2,
	  .about = "pg_stat_database; each scrape adds about a dozen to the database it is connected to.",
	  PLAN(.server = BIT(ASK_DATABASES), .read = result_read) },
	[GROUP_LOCKS] = { .name = "locks", METRICS(locks_metrics), LABELS(mode_labels),
	  .about = "pg_locks but the exporter's own, granted or not, over all databases.",
	  PLAN(.server = BIT(ASK_LOCKS), .read = result_read) },
	[GROUP_CHECKPOINTS] = { .name = "checkpoints", METRICS(checkpoints_metrics), LABELS(kind_labels),
	  .about = "pg_stat_bgwriter; from PostgreSQL 17 on pg_stat_checkpointer.",
	  PLAN(.server = BIT(ASK_CHECKPOINTS), .read = result_read) },
	[GROUP_WAL] = { .name = "wal", METRICS(wal_metrics),
	  .about = "pg_current_wal_lsn(); on a standby the later of receive and replay position.",
	  PLAN(.server = BIT(ASK_WAL), .read = result_read) },
	[GROUP_REPLICATION] = { .name = "replication", METRICS(replication_metrics),
	  .about = "Standby: 0 while it streams and has replayed all it received, else the age of the "
	    "last replayed transaction (absent before the first one). Primary: the largest replay_lag "
	    "of pg_stat_replication; absent without a standby.",
	  PLAN(.server = BIT(ASK_REPLICATION), .monitor = true, .read = result_read) },
	[GROUP_STATEMENTS] = { .name = "statements", METRICS(statements_metrics), LABELS(type_labels),
	  .about = "pg_stat_statements, top-level statements of all databases but the exporter's own. "
	    "Count and sum are the advance of calls and total_exec_time since the first scrape. A "
	    "statement seen for the first time is counted once its type is known, one or two scrapes "
	    "later. Buckets: one or two calls of a statement in an interval, and a new minimum or "
	    "maximum, are exact; the others are spread as a log-normal shifted by the recorded minimum "
	    "and cut at the maximum. Simulated, quantiles over five minutes against those of an exact "
	    "histogram: P50, P95 and P99 of thirty statements with one mode each, steady or in bursts, "
	    "are within 25 %, with a stall of 20 s within 30 % when scraped every 5 or 15 s (every "
	    "60 s P95 may be 8 times too large). With two modes in each, P95 is within 30 %, P50 and "
	    "P99 within a factor of 2.5; of one such statement alone, P99 within a factor of 4.",
	  PLAN(.server = STATEMENTS_ASK, .monitor = true, .read = statements_read) },
	[GROUP_STATEMENTS_LOST] = { .name = "statements_lost", METRICS(statements_lost_metrics),
	  .about = "For a statement that was reset or is gone, what it was called in the interval "
	    "before less what was still seen; and one call for each entry that was made and evicted "
	    "between two scrapes, as pg_stat_statements_info.dealloc tells (PostgreSQL 14 on).",
	  PLAN(.server = STATEMENTS_ASK, .monitor = true, .read = statements_lost_read) },
	[GROUP_SIZES] = { .name = "sizes", METRICS(sizes_metrics), LABELS(database_labels),
	  .max_rows = DATABASES_MAX,
	  .about = "pg_database_size(). It looks at every file, so it is asked again only after 100 "
	    "times as long as it took; until then the last sizes are given.",
	  PLAN(.server = BIT(ASK_SIZES), .monitor = true, .read = sizes_read) },
	[GROUP_POOLS] = { .name = "pools", METRICS(pools_metrics), LABELS(pool_labels),
	  .max_rows = POOLS_MAX,
	  .about = "PgBouncer: SHOW POOLS (sv_active and what is being cancelled are used) and SHOW "
	    "DATABASES.",
	  PLAN(.console = BIT(SHOW_POOLS) | BIT(SHOW_DATABASES), .show = console_pools) },
	[GROUP_POOL_WAITS] = { .name = "pool_waits", METRICS(pool_waits_metrics),
	  LABELS(database_labels), .max_rows = DATABASES_MAX,
	  .about = "PgBouncer: SHOW STATS, which has no users. Wait seconds by waits is the mean wait.",
	  PLAN(.console = BIT(SHOW_STATS), .show = console_waits) },
	[GROUP_ACQUIRE] = { .name = "acquire", METRICS(acquire_metrics),
	  .about = "A connection of its own to acquire_uri (else to uri), begun with the scrape and "
	    "closed after its first answer. It takes several round trips, so it runs beside the "
	    "scrape, which never waits for it: what is not done by then is counted by the next. One "
	    "at a time, not more often than acquire_every, given up after 15 seconds (which are "
	    "counted). A refused connection is not counted, it fails the group. Off by acquire = false.",
	  PLAN(.read = acquire_read, .show = acquire_read) },
};
