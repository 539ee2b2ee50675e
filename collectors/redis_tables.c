/*
 * redis_tables.c - what is measured of a Redis server, and what may be
 * configured.  `source` is the field of INFO, or the command's name.
 */
#include "redis.h"

/* clang-format off */

static const struct metric server_metrics[] = {
	{ .name = "redis_evictions_total", .type = COUNTER, .source = "evicted_keys",
	  .help = "Keys evicted because the memory limit was reached." },
	{ .name = "redis_expired_keys_total", .type = COUNTER, .source = "expired_keys",
	  .help = "Keys removed because their time to live was over." },
	{ .name = "redis_memory_used_bytes", .type = GAUGE, .unit = "bytes", .source = "used_memory",
	  .help = "Memory allocated by the server for data and overhead, in bytes." },
	{ .name = "redis_memory_max_bytes", .type = GAUGE, .unit = "bytes", .source = "maxmemory",
	  .help = "The configured memory limit in bytes; 0 means that there is none." },
	{ .name = "redis_memory_system_bytes", .type = GAUGE, .unit = "bytes",
	  .source = "total_system_memory",
	  .help = "Memory of the machine the server runs on, in bytes." },
	{ .name = "redis_connected_clients", .type = GAUGE, .source = "connected_clients",
	  .help = "Client connections, the exporter's own included, replicas not." },
	{ .name = "redis_blocked_clients", .type = GAUGE, .source = "blocked_clients",
	  .help = "Clients that wait in a blocking command such as BLPOP." },
	{ .name = "redis_rejected_connections_total", .type = COUNTER,
	  .source = "rejected_connections",
	  .help = "Connections refused because there were maxclients already." },
	{ .name = "redis_rdb_last_save_timestamp_seconds", .type = GAUGE, .unit = "seconds",
	  .source = "rdb_last_save_time",
	  .help = "When the data set was last saved successfully, as seconds since 1970; the "
		  "start of the server if never." },
};

static const struct metric cache_metrics[] = {
	{ .name = "redis_cache_hits_total", .type = COUNTER, .source = "keyspace_hits",
	  .help = "Lookups of keys that were there: exact for the prefix all and in the sum over "
		  "configured prefixes, whose shares are estimated from sampled reads." },
	{ .name = "redis_cache_misses_total", .type = COUNTER, .source = "keyspace_misses",
	  .help = "Lookups of keys that were not there: exact for the prefix all and in the sum "
		  "over configured prefixes, whose shares are estimated from sampled reads." },
};
static const struct label cache_labels[] = { { .name = "cache_key_prefix" } };

static const struct metric command_metrics[] = {
	{ .name = "redis_commands_total", .type = COUNTER, .source = "calls",
	  .help = "Calls of a command that were executed, failed ones included." },
	{ .name = "redis_command_seconds_total", .type = COUNTER, .unit = "seconds",
	  .source = "usec", .scale = 1e-6,
	  .help = "Time the server spent in the calls of a command, in seconds." },
};
static const struct label command_labels[] = { { .name = "command" } };

static const struct metric keys_metrics[] = {
	{ .name = "redis_keys", .type = GAUGE, .source = "keys",
	  .help = "Keys in a database; empty ones are left out, but for db0 of a server without keys." },
};
static const struct label keys_labels[] = { { .name = "db" } };

static const struct metric replication_metrics[] = {
	{ .name = "redis_replication_lag_bytes", .type = GAUGE, .unit = "bytes",
	  .help = "Replication stream in bytes that the slowest online replica of this server has "
		  "not acknowledged, or on a replica (Redis 7) what it received and has not applied; "
		  "absent without online replicas, and on a replica whose link is down." },
};

static const struct metric info_metrics[] = {
	{ .name = "redis_info", .type = INFO,
	  .help = "Version, role (master, slave, sentinel) and mode (standalone, sentinel, "
		  "cluster) of the server." },
};
static const struct label info_labels[] = {
	{ .name = "version" }, { .name = "role" }, { .name = "mode" },
};

/* Redis's own bounds, inclusive.  Its last one, 1073741, holds everything
 * slower than the one before and is given out as +Inf. */
static const double latency_bounds[] = {
	1e-6, 2e-6, 4e-6, 8e-6, 16e-6, 33e-6, 66e-6, 132e-6, 264e-6, 528e-6, 1056e-6, 2113e-6,
	4227e-6, 8454e-6, 16908e-6, 33816e-6, 67633e-6, 135266e-6, 270532e-6, 541065e-6,
};
#define LATENCY .type = HISTOGRAM, .unit = "seconds", .buckets = latency_bounds, \
	.nbuckets = COUNT(latency_bounds)

static const struct metric latency_metrics[] = {
	{ .name = "redis_get_latency_seconds", .source = "get", LATENCY,
	  .help = "Server-side execution time of GET in seconds, counted by Redis itself; what "
		  "clients see has network and queueing on top." },
	{ .name = "redis_set_latency_seconds", .source = "set", LATENCY,
	  .help = "Server-side execution time of SET in seconds, counted by Redis itself; what "
		  "clients see has network and queueing on top." },
};

static const struct metric prefix_metrics[] = {
	{ .name = "redis_prefix_sample_reads_total", .type = COUNTER, .source = "reads",
	  .accumulated = true,
	  .help = "Lookups of keys seen in sampling windows; their part of all hits and misses is "
		  "the coverage that the prefixes are estimated from." },
	{ .name = "redis_prefix_sample_seconds_total", .type = COUNTER, .unit = "seconds",
	  .source = "seconds", .accumulated = true,
	  .help = "Time that sampling windows were open, in seconds." },
};

static const struct metric slowlog_metrics[] = {
	{ .name = "redis_slowlog_length", .type = GAUGE,
	  .help = "Entries in the slow log, at most slowlog-max-len." },
};

#define METRICS(table) .metrics = (table), .nmetrics = COUNT(table)
#define LABELS(table) .labels = (table), .nlabels = COUNT(table)
#define HOW(...) .how = &(const struct redis_how){ __VA_ARGS__ }
#define ASK(question) (1u << (question))

const struct group redis_groups[REDIS_GROUPS] = {
	{ .name = "server", .about = "fields of INFO", METRICS(server_metrics),
	  HOW(.needs = ASK(REDIS_INFO), .emit = redis_emit_fields) },
	{ .name = "cache", .about = "INFO stats", METRICS(cache_metrics), LABELS(cache_labels),
	  .max_rows = 64, HOW(.needs = ASK(REDIS_INFO), .emit = redis_emit_cache) },
	{ .name = "commands", .about = "INFO commandstats", METRICS(command_metrics),
	  LABELS(command_labels), .max_rows = 1024,
	  HOW(.needs = ASK(REDIS_INFO), .emit = redis_emit_lines, .prefix = "cmdstat_") },
	{ .name = "keys", .about = "INFO keyspace", METRICS(keys_metrics), LABELS(keys_labels),
	  .max_rows = 256, HOW(.needs = ASK(REDIS_INFO), .emit = redis_emit_keys) },
	{ .name = "replication", .about = "INFO replication", METRICS(replication_metrics),
	  HOW(.needs = ASK(REDIS_INFO), .emit = redis_emit_replication) },
	{ .name = "info", .about = "INFO server and replication", METRICS(info_metrics),
	  LABELS(info_labels), .max_rows = 1,
	  HOW(.needs = ASK(REDIS_INFO), .emit = redis_emit_info) },
	{ .name = "latency", .about = "LATENCY HISTOGRAM get set (Redis 7), sums from INFO "
	  "commandstats", METRICS(latency_metrics),
	  HOW(.needs = ASK(REDIS_INFO) | ASK(REDIS_LATENCY), .emit = redis_emit_latency) },
	{ .name = "prefixes", .about = "windows of MONITOR and key-miss events between scrapes, with "
	  "key_prefixes only: by default until 2000 reads were seen after a scrape, for a quarter of "
	  "the time at most; rates come out within 3 points (tested at 500 and 20,000 reads a "
	  "second).  While a window is open a read costs the server 0.7 to 8 us of processor time "
	  "more (pipelined ones twice what they cost), which is 1 to 17 ms a scrape", METRICS(prefix_metrics), HOW(.needs = 0, .emit = redis_emit_samples) },
	{ .name = "slowlog", .about = "SLOWLOG LEN", METRICS(slowlog_metrics),
	  HOW(.needs = ASK(REDIS_SLOWLOG), .emit = redis_emit_slowlog) },
};

#define AT(field) .offset = offsetof(struct redis_conf, field)

const struct option redis_options[REDIS_OPTIONS] = {
	{ .name = "uri", .type = OPT_ADDRESS, .required = true, AT(uri),
	  .help = "redis://[user:password@]host[:6379], rediss:// for TLS, or unix:///path of a "
		  "socket; special characters of the password as %XX." },
	{ .name = "username", .type = OPT_STRING, AT(username),
	  .help = "ACL user, where it does not stand in uri; without one, the default user." },
	{ .name = "password", .type = OPT_SECRET, AT(password),
	  .help = "Password, where it does not stand in uri." },
	SHARED_TLS_OPTIONS(struct redis_conf),
	{ .name = "tls_server_name", .type = OPT_STRING, AT(tls_server_name),
	  .help = "Name that the server's certificate must have, where uri has another or an IP "
		  "address." },
	{ .name = "key_prefixes", .type = OPT_LIST, AT(key_prefixes),
	  .help = "Key prefixes to tell apart in hits and misses, all else is other; short windows "
		  "of MONITOR sample the reads, and notify-keyspace-events must have E and m." },
	{ .name = "key_separator", .type = OPT_STRING, .def = ":", AT(key_separator),
	  .help = "The character behind a prefix: the prefix of user:123 is user." },
	{ .name = "prefix_username", .type = OPT_STRING, AT(prefix_username),
	  .help = "ACL user of the sampling windows, where it is not the same." },
	{ .name = "prefix_password", .type = OPT_SECRET, AT(prefix_password),
	  .help = "Password of the sampling windows, where they have their own." },
	{ .name = "prefix_share", .type = OPT_NUMBER, .def = "0.25", .min = 0.0001, .max = 0.5,
	  AT(prefix_share),
	  .help = "Greatest part of the time that windows are open; only thin traffic needs it." },
	{ .name = "prefix_reads", .type = OPT_INT, .def = "2000", .min = 30, .max = 1000000,
	  AT(prefix_reads),
	  .help = "Reads to be seen between two scrapes, then the windows close; other commands: "
		  "ten times as many." },
	{ .name = "prefix_bytes", .type = OPT_INT, .def = "8388608", .min = 65536, .max = 1073741824,
	  AT(prefix_bytes),
	  .help = "Bytes after which a window closes: MONITOR sends what is written, too." },
};
