/*
 * application_tables.c - what is kept of a service's own metrics page, and what
 * may be configured.  `source` is an older name of a family.
 */
#include "application.h"
#include "shared_metrics.h"

/* clang-format off */

/* Buckets are those of the page. */
#define LATENCY .type = HISTOGRAM, .unit = "seconds", .own_bounds = true, .accumulated = true
/* Of former processes of the service only the state knows. */
#define COUNTED .type = COUNTER, .accumulated = true
#define VALUES(...) .values = (const char *const[]){ __VA_ARGS__, NULL }

static const struct metric instance_metrics[] = {
	[INSTANCE_UP] = { .name = "datatier_application_instance_up", .type = GAUGE,
	  .help = "Whether the page of an instance of the service could be read; of one that is down "
		  "the last counters stay in the sums, its gauges do not." },
	[INSTANCE_BAD_LINES] = { .name = "datatier_application_bad_lines_total", .type = COUNTER,
	  .accumulated = true,
	  .help = "Lines of an instance's page that are not well formed and were skipped." },
	[INSTANCE_PAGE_BYTES] = { .name = "datatier_application_page_bytes", .type = GAUGE, .unit = "bytes",
	  .help = "Size of an instance's page without compression, in bytes." },
	[INSTANCE_PAGE_SAMPLES] = { .name = "datatier_application_page_samples", .type = GAUGE,
	  .help = "Samples on an instance's page, those that are not given out included." },
};
static const struct label instance_labels[] = { { .name = "instance" } };

static const struct metric active_metrics[] = {
	{ .name = "ws_active_connections", .type = GAUGE,
	  .help = "WebSocket connections that are open, over all conversations." },
};

static const struct metric connection_metrics[] = {
	{ .name = "ws_connections_total", COUNTED,
	  .help = "WebSocket connections opened, closed and ended by an error." },
};
static const struct label connection_labels[] = {
	{ .name = "status", VALUES("opened", "closed", "error") } };

static const struct metric ws_message_metrics[] = {
	{ .name = "ws_messages_sent_total", COUNTED,
	  .help = "Messages sent over WebSocket connections." },
	{ .name = "ws_messages_received_total", COUNTED,
	  .help = "Messages received over WebSocket connections." },
	{ .name = "ws_message_latency_seconds", LATENCY,
	  .help = "Time the service takes for a message of a WebSocket connection, in seconds." },
};
static const struct label ws_message_labels[] = {
	{ .name = "message_type", VALUES("message", "typing", "ping", "pong") } };

static const struct metric ws_error_metrics[] = {
	{ .name = "ws_errors_total", COUNTED, .help = "Errors of WebSocket connections." },
};
static const struct label ws_error_labels[] = { { .name = "error_type",
	VALUES("timeout", "decode", "send_failed", "connection_lost", "heartbeat_timeout") } };

static const struct metric reconnection_metrics[] = {
	{ .name = "ws_reconnections_total", COUNTED,
	  .help = "WebSocket connections that clients made anew." },
};
static const struct label reconnection_labels[] = {
	{ .name = "reason", VALUES("connection_lost", "heartbeat_timeout") } };

static const struct metric message_metrics[] = {
	{ .name = "messages_sent_total", COUNTED, .help = "Messages that users sent." },
	{ .name = "messages_received_total", COUNTED, .help = "Messages that users received." },
	{ .name = "conversations_created_total", COUNTED, .help = "Conversations begun." },
};
static const struct label message_labels[] = { { .name = "status", VALUES("success", "failed") } };

static const struct metric failure_metrics[] = {
	{ .name = "message_delivery_failures_total", COUNTED,
	  .source = "message_delivery_failures",
	  .help = "Messages that could not be delivered." },
};
static const struct label failure_labels[] = {
	{ .name = "error_type", VALUES("network", "timeout", "invalid", "other") } };

#define INDEX_TYPE { .name = "index_type", VALUES("fulltext", "bm25") }
static const struct metric search_metrics[] = {
	{ .name = "message_searches_total", COUNTED, .help = "Searches in messages." },
};
static const struct label search_labels[] = {
	INDEX_TYPE, { .name = "status", VALUES("success", "failed") } };

static const struct metric conversation_metrics[] = {
	{ .name = "active_conversations", .type = GAUGE, .help = "Conversations, idle and active ones." },
};
static const struct label conversation_labels[] = { { .name = "status", VALUES("idle", "active") } };

static const struct metric queue_metrics[] = {
	{ .name = "message_queue_depth", .type = GAUGE,
	  .help = "Messages that wait in the service's own queues." },
};
static const struct label queue_labels[] = {
	{ .name = "queue_type", VALUES("pending", "failed", "retry") } };

static const struct metric api_metrics[] = {
	{ .name = "message_api_latency_seconds", LATENCY,
	  .help = "Time to answer a request to the message API, in seconds." },
};
static const struct label api_labels[] = {
	{ .name = "endpoint", VALUES("send", "receive", "list", "search") } };

static const struct metric search_latency_metrics[] = {
	{ .name = "message_search_latency_seconds", LATENCY,
	  .help = "Time that a search in messages takes, in seconds." },
};
static const struct label search_latency_labels[] = { INDEX_TYPE };

static const struct metric delivery_metrics[] = {
	{ .name = "message_delivery_latency_seconds", LATENCY,
	  .help = "Time that one way of delivery takes for a message, in seconds." },
};
static const struct label delivery_labels[] = {
	{ .name = "delivery_type", VALUES("direct", "queue", "broadcast") } };

static const struct metric total_delivery_metrics[] = {
	{ .name = TOTAL_DELIVERY_NAME, LATENCY, .help = TOTAL_DELIVERY_HELP },
};
static const struct label total_delivery_labels[] = {
	{ .name = DELIVERY_PATH_LABEL, VALUES(DELIVERY_PATHS) } };

/* Patterns: the families have their own names. */
static const struct metric added_metrics[] = {
	[ADDED_COUNTER] = { .name = "added_total", COUNTED,
	  .help = "From the service's own page, added by the option families, summed over all labels." },
	[ADDED_GAUGE] = { .name = "added_gauge", .type = GAUGE,
	  .help = "From the service's own page, added by the option families, summed over all labels." },
	[ADDED_HISTOGRAM] = { .name = "added_histogram", .type = HISTOGRAM, .own_bounds = true, .accumulated = true,
	  .help = "From the service's own page, added by the option families, summed over all labels." },
};
static const struct label added_labels[] = { { .name = "family" } };

#define METRICS(table) .metrics = (table), .nmetrics = COUNT(table)
#define LABELS(table) .labels = (table), .nlabels = COUNT(table)
#define PAGE .about = "the service's own metrics page; other labels are summed over"

const struct group application_groups[APPLICATION_GROUPS] = {
	{ .name = "instances", .about = "how reading the pages went", METRICS(instance_metrics),
	  LABELS(instance_labels), .max_rows = APPLICATION_INSTANCES_MAX },
	{ .name = "websockets", PAGE, METRICS(active_metrics) },
	{ .name = "ws_connections", PAGE, METRICS(connection_metrics), LABELS(connection_labels) },
	{ .name = "ws_messages", PAGE, METRICS(ws_message_metrics), LABELS(ws_message_labels) },
	{ .name = "ws_errors", PAGE, METRICS(ws_error_metrics), LABELS(ws_error_labels) },
	{ .name = "ws_reconnections", PAGE, METRICS(reconnection_metrics), LABELS(reconnection_labels) },
	{ .name = "messages", PAGE, METRICS(message_metrics), LABELS(message_labels) },
	{ .name = "failures", PAGE, METRICS(failure_metrics), LABELS(failure_labels) },
	{ .name = "searches", PAGE, METRICS(search_metrics), LABELS(search_labels) },
	{ .name = "conversations", PAGE, METRICS(conversation_metrics), LABELS(conversation_labels) },
	{ .name = "queues", PAGE, METRICS(queue_metrics), LABELS(queue_labels) },
	{ .name = "api", PAGE, METRICS(api_metrics), LABELS(api_labels) },
	{ .name = "search", PAGE, METRICS(search_latency_metrics), LABELS(search_latency_labels) },
	{ .name = "delivery", PAGE, METRICS(delivery_metrics), LABELS(delivery_labels) },
	{ .name = "total_delivery", PAGE, METRICS(total_delivery_metrics), LABELS(total_delivery_labels) },
	{ .name = "added", .about = "the service's own metrics page: what the option families names",
	  METRICS(added_metrics), LABELS(added_labels), .max_rows = APPLICATION_ADDED_MAX, .named = true },
};

#define AT(field) .offset = offsetof(struct application_conf, field)

const struct option application_options[APPLICATION_OPTIONS] = {
	{ .name = "url", .type = OPT_ADDRESS, AT(url),
	  .help = "Address of the metrics page, http:// or https://; several, with commas between, are "
		  "instances of one service, which are summed." },
	{ .name = "urls", .type = OPT_LIST, AT(urls), .help = "The same as a list, instead of url." },
	{ .name = "username", .type = OPT_STRING, AT(username),
	  .help = "User name, where the page wants basic authentication." },
	{ .name = "password", .type = OPT_SECRET, AT(password), .help = "Password of that user." },
	{ .name = "bearer_token", .type = OPT_SECRET, AT(bearer_token),
	  .help = "Token that is sent as Authorization: Bearer, instead of a user." },
	SHARED_TLS_OPTIONS(struct application_conf),
	{ .name = "families", .type = OPT_LIST, AT(families),
	  .help = "More families of the page to give out, summed over all labels, at most 32; a counter by "
		  "the name of its samples, with _total; where targets do not agree on a family's type, that of "
		  "the first one is given out." },
	{ .name = "rename", .type = OPT_LIST, AT(rename),
	  .help = "Old names of families, as old=new; what the page has under its new name counts alone." },
	{ .name = "max_bytes", .type = OPT_INT, .def = "536870912", .min = 1024, .max = 1e12, AT(max_bytes),
	  .help = "A page that is longer is not read to its end, and its instance is down; without "
		  "compression, in bytes." },
	{ .name = "compression", .type = OPT_BOOL, .def = "true", AT(compression),
	  .help = "Asks for gzip; false spares both sides the work where the network is fast." },
};
