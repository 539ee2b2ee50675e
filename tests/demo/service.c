/*
 * service.c - a sample messaging service, of which only the metrics page is
 * there: the legacy one, with a series per conversation, old names and labels
 * that nobody needs.  Its values move with the time since it was started, so a
 * restart begins at zero, as it does with real services.
 *
 *	service --port N [--conversations N] [--address A]
 *
 * Serves any path.  Ends by SIGTERM or SIGINT.
 */
#include <arpa/inet.h>
#include <math.h>
#include <microhttpd.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "../../exporter/buf.h"
#include "../../exporter/clock.h"

enum { BLOCK = 256 * 1024, LINE_MAX_BYTES = 128 };

static unsigned long conversations = 100;
static double started;

/* ---- families; the rate is what a counter gains in a second ---- */

struct counter {
	const char *name, *labels;
	double rate;
};

/* clang-format off */
static const struct counter counters[] = {
	{ "ws_connections_total", "status=\"opened\"", 5 },
	{ "ws_connections_total", "status=\"closed\"", 4.5 },
	{ "ws_connections_total", "status=\"error\"", 0.4 },
	{ "ws_messages_sent_total", "message_type=\"message\"", 80 },
	{ "ws_messages_sent_total", "message_type=\"typing\"", 30 },
	{ "ws_messages_sent_total", "message_type=\"ping\"", 20 },
	{ "ws_messages_sent_total", "message_type=\"read_receipt\"", 7 },
	{ "ws_messages_received_total", "message_type=\"message\"", 70 },
	{ "ws_messages_received_total", "message_type=\"pong\"", 20 },
	{ "ws_errors_total", "error_type=\"timeout\"", 0.6 },
	{ "ws_errors_total", "error_type=\"decode\"", 0.5 },
	{ "ws_errors_total", "error_type=\"quota\"", 0.3 },
	{ "ws_errors_total", "error_type=\"tls\"", 0.3 },
	{ "ws_reconnections_total", "reason=\"connection_lost\"", 0.05 },
	{ "ws_reconnections_total", "reason=\"heartbeat_timeout\"", 0.05 },
	{ "messages_sent_total", "status=\"success\",shard=\"1\"", 40 },
	{ "messages_sent_total", "status=\"success\",shard=\"2\"", 40 },
	{ "messages_sent_total", "status=\"failed\",shard=\"1\"", 0.8 },
	{ "messages_received_total", "status=\"success\"", 75 },
	{ "message_delivery_failures", "error_type=\"network\"", 0.6 },
	{ "message_delivery_failures", "error_type=\"invalid\"", 0.4 },
	{ "conversations_created_total", "status=\"success\"", 0.9 },
	{ "message_searches_total", "index_type=\"fulltext\",status=\"success\"", 3 },
	{ "message_searches_total", "index_type=\"bm25\",status=\"success\"", 2 },
	{ "http_requests_total", "method=\"GET\",path=\"/api/messages\"", 50 },
	{ "http_requests_total", "method=\"POST\",path=\"/api/messages\"", 40 },
};

static const struct gauge {
	const char *name, *labels;
	double level, swing;
} gauges[] = {
	{ "active_conversations", "status=\"idle\"", 60, 20 },
	{ "active_conversations", "status=\"active\"", 40, 20 },
	{ "message_queue_depth", "queue_type=\"pending\"", 30, 25 },
	{ "message_queue_depth", "queue_type=\"retry\"", 5, 4 },
	{ "message_queue_depth", "queue_type=\"failed\"", 2, 2 },
};

static const struct histogram_family {
	const char *name, *labels;
	double rate, mean; /* observations a second; seconds, exponentially spread */
} histograms[] = {
	{ "message_total_delivery_latency_seconds", "delivery_path=\"direct\"", 40, 0.05 },
	{ "message_total_delivery_latency_seconds", "delivery_path=\"queue_consumed\"", 30, 0.4 },
	{ "message_total_delivery_latency_seconds", "delivery_path=\"broadcast\"", 5, 0.9 },
	{ "ws_message_latency_seconds", "message_type=\"message\"", 80, 0.01 },
	{ "ws_message_latency_seconds", "message_type=\"typing\"", 30, 0.005 },
	{ "message_api_latency_seconds", "endpoint=\"send\",shard=\"1\"", 20, 0.03 },
	{ "message_api_latency_seconds", "endpoint=\"send\",shard=\"2\"", 20, 0.04 },
	{ "message_api_latency_seconds", "endpoint=\"list\"", 10, 0.08 },
	{ "message_search_latency_seconds", "index_type=\"fulltext\"", 3, 0.2 },
	{ "message_search_latency_seconds", "index_type=\"bm25\"", 2, 0.3 },
	{ "message_delivery_latency_seconds", "delivery_type=\"direct\"", 40, 0.02 },
	{ "message_delivery_latency_seconds", "delivery_type=\"queue\"", 30, 0.1 },
};
/* clang-format on */

/* As its authors happened to write them. */
static const struct {
	const char *text;
	double bound;
} bounds[] = { { "0.005", 0.005 }, { "0.01", 0.01 }, { "0.05", 0.05 }, { ".1", 0.1 },
	{ "0.5", 0.5 }, { "1", 1 }, { "5", 5 }, { "10", 10 } };

/* # TYPE before the first sample of a name. */
static void
add_type(struct buf *out, const char *name, const char *before, const char *type)
{
	if (before == NULL || strcmp(name, before) != 0)
		buf_printf(out, "# TYPE %s %s\n", name, type);
}

static void
add_histogram(struct buf *out, const struct histogram_family *h, double seconds)
{
	double all = floor(h->rate * seconds);

	for (size_t i = 0; i < sizeof bounds / sizeof *bounds; i++)
		buf_printf(out, "%s_bucket{%s,le=\"%s\"} %.0f\n", h->name, h->labels,
		    bounds[i].text, floor(all * (1 - exp(-bounds[i].bound / h->mean))));
	buf_printf(out, "%s_bucket{%s,le=\"+Inf\"} %.0f\n", h->name, h->labels, all);
	buf_printf(out, "%s_sum{%s} %.6f\n%s_count{%s} %.0f\n", h->name, h->labels, all * h->mean,
	    h->name, h->labels, all);
}

/* Everything but the conversations. */
static void
add_families(struct buf *out, double seconds)
{
	const char *before = NULL;

	buf_printf(out,
	    "# HELP process_start_time_seconds Start time of the process since unix "
	    "epoch in seconds.\n# TYPE process_start_time_seconds gauge\n"
	    "process_start_time_seconds %.3f\n",
	    started);
	for (size_t i = 0; i < sizeof counters / sizeof *counters; i++) {
		const struct counter *c = &counters[i];
		add_type(out, c->name, before, "counter");
		buf_printf(out, "%s{%s} %.0f\n", c->name, c->labels, floor(c->rate * seconds));
		before = c->name;
	}
	for (size_t i = 0; i < sizeof gauges / sizeof *gauges; i++) {
		const struct gauge *g = &gauges[i];
		double value = g->level + g->swing * sin(seconds / 7 + (double)i);
		add_type(out, g->name, before, "gauge");
		buf_printf(out, "%s{%s} %.0f\n", g->name, g->labels, value);
		before = g->name;
	}
	for (size_t i = 0; i < sizeof histograms / sizeof *histograms; i++) {
		add_type(out, histograms[i].name, before, "histogram");
		add_histogram(out, &histograms[i], seconds);
		before = histograms[i].name;
	}
	buf_str(out, "# HELP ws_active_connections Open connections of a conversation.\n"
		     "# TYPE ws_active_connections gauge\n");
}

/* ---- the page, block by block ---- */

struct page {
	struct buf head;
	size_t sent; /* of the head */
	unsigned long next, moved;
};

static size_t
put_number(char *at, unsigned long value, int digits)
{
	char digit[24];
	int n = 0;

	while (value > 0 || n < digits) {
		digit[n++] = (char)('0' + value % 10);
		value /= 10;
	}
	for (int i = 0; i < n; i++)
		at[i] = digit[n - 1 - i];
	return (size_t)n;
}

static size_t
put_conversation(char *at, const struct page *p, unsigned long number)
{
	static const char begin[] =
	    "ws_active_connections{conversation_id=\"conversation-5f2e9c1a-7d3b-"
	    "4c1e-aa6b-";
	char *from = at;

	memcpy(at, begin, sizeof begin - 1);
	at += sizeof begin - 1;
	at += put_number(at, number, 12);
	memcpy(at, "\"} ", 3);
	at += 3;
	bool active = number % 50 < 30 + p->moved % 4;
	at += put_number(at, active ? 1 + number % 3 : 0, 1);
	*at++ = '\n';
	return (size_t)(at - from);
}

static ssize_t
read_page(void *arg, uint64_t position, char *to, size_t size)
{
	struct page *p = arg;
	size_t n = 0;

	(void)position;
	if (p->sent < p->head.len) {
		n = p->head.len - p->sent < size ? p->head.len - p->sent : size;
		memcpy(to, p->head.ptr + p->sent, n);
		p->sent += n;
		return (ssize_t)n;
	}
	while (p->next < conversations && size - n >= LINE_MAX_BYTES)
		n += put_conversation(to + n, p, p->next++);
	return n > 0 ? (ssize_t)n : MHD_CONTENT_READER_END_OF_STREAM;
}

static void
free_page(void *arg)
{
	struct page *p = arg;

	buf_free(&p->head);
	free(p);
}

static enum MHD_Result
answer(void *arg, struct MHD_Connection *connection, const char *url, const char *method,
    const char *version, const char *upload, size_t *upload_size, void **state)
{
	struct page *p = calloc(1, sizeof *p);
	double seconds = clock_unix() - started;

	(void)arg, (void)url, (void)method, (void)version, (void)upload, (void)upload_size;
	(void)state;
	if (p == NULL)
		return MHD_NO;
	p->head = BUF(1 << 20);
	p->moved = (unsigned long)seconds;
	add_families(&p->head, seconds);
	struct MHD_Response *r =
	    MHD_create_response_from_callback(MHD_SIZE_UNKNOWN, BLOCK, read_page, p, free_page);
	if (r == NULL) {
		free_page(p);
		return MHD_NO;
	}
	MHD_add_response_header(r, "Content-Type", "text/plain; version=0.0.4");
	enum MHD_Result result = MHD_queue_response(connection, MHD_HTTP_OK, r);
	MHD_destroy_response(r);
	return result;
}

static unsigned long
number_of(const char *text)
{
	char *end;
	unsigned long value = strtoul(text, &end, 10);

	if (*text == '\0' || *end != '\0') {
		fprintf(stderr, "service: %s is no number\n", text);
		exit(2);
	}
	return value;
}

int
main(int argc, char **argv)
{
	struct sockaddr_in address = { .sin_family = AF_INET };
	unsigned long port = 8085;
	sigset_t set;
	int sig;

	address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	for (int i = 1; i < argc; i += 2) {
		if (i + 1 < argc && strcmp(argv[i], "--port") == 0)
			port = number_of(argv[i + 1]);
		else if (i + 1 < argc && strcmp(argv[i], "--conversations") == 0)
			conversations = number_of(argv[i + 1]);
		else if (i + 1 == argc || strcmp(argv[i], "--address") != 0 ||
			 inet_pton(AF_INET, argv[i + 1], &address.sin_addr) != 1)
			return fprintf(stderr, "usage: service --port N [--conversations N] "
					       "[--address A]\n"),
			       2;
	}
	address.sin_port = htons((uint16_t)port);
	started = clock_unix();
	sigemptyset(&set);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGINT);
	pthread_sigmask(SIG_BLOCK, &set, NULL); /* before the threads that inherit it */
	signal(SIGPIPE, SIG_IGN);
	struct MHD_Daemon *daemon = MHD_start_daemon(MHD_USE_INTERNAL_POLLING_THREAD,
	    (uint16_t)port, NULL, NULL, answer, NULL, MHD_OPTION_SOCK_ADDR,
	    (struct sockaddr *)&address, MHD_OPTION_LISTENING_ADDRESS_REUSE, 1u, MHD_OPTION_END);
	if (daemon == NULL)
		return fprintf(stderr, "service: cannot listen on port %lu\n", port), 1;
	printf("service: port %lu, %lu conversations\n", port, conversations);
	fflush(stdout);
	sigwait(&set, &sig);
	MHD_stop_daemon(daemon);
	return 0;
}
