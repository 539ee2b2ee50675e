/*
 * http.c - see http.h.  One libmicrohttpd daemon for each address, a thread for
 * each connection; what those have in common (connections here, scrapes under
 * way in pages.c) is counted over all addresses.
 *
 * The library parses requests and writes responses.  It is lenient where that
 * is dangerous and knows no total time limits, so framing is checked again in
 * request.c and time is kept by connections.c.
 */
#include "http.h"

#include <microhttpd.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "connections.h"
#include "listen.h"
#include "pages.h"
#include "request.h"

enum {
	/* Bytes for a connection's address line, headers and their parsed forms;
	 * mapped, so that only what is used counts. */
	REQUEST_MEMORY = 64 * 1024,
	STACK_SIZE = 256 * 1024,
};

#define RETRY_SECONDS "1" /* what a client is told that came at a bad time */

struct client { /* one connection */
	struct connection *connection;
	bool malformed; /* the address line had a broken % sequence */
};

struct listener {
	struct MHD_Daemon *daemon;
	int fd;
	unsigned port;
};

struct http {
	struct pages pages;
	struct connections *connections;
	atomic_bool stopping;
	size_t nlisteners;
	struct listener listeners[];
};

/* ---- responses ---- */

/* NULL as a value leaves the header out. */
static void
add_header(struct MHD_Response *response, const char *name, const char *value)
{
	if (value != NULL)
		MHD_add_response_header(response, name, value);
}

static void
add_headers(struct MHD_Response *response, const struct answer *a, bool last)
{
	add_header(response, "Content-Type", a->type);
	add_header(response, "X-Content-Type-Options", "nosniff");
	add_header(response, "Cache-Control", "no-store");
	add_header(response, "Content-Security-Policy", a->policy);
	add_header(response, "Vary", a->negotiated ? "Accept, Accept-Encoding" : NULL);
	add_header(response, "Content-Encoding", a->gzip ? "gzip" : NULL);
	add_header(response, "Retry-After",
	    a->code == MHD_HTTP_SERVICE_UNAVAILABLE ? RETRY_SECONDS : NULL);
	add_header(response, "Allow", a->code == MHD_HTTP_METHOD_NOT_ALLOWED ? "GET, HEAD" : NULL);
	add_header(response, "Connection", last ? "close" : NULL);
}

/* Takes the body; the library leaves it out for HEAD. */
static enum MHD_Result
respond(struct MHD_Connection *connection, struct answer *a, bool last)
{
	/* a buf's memory is malloc's: the library frees it when all is sent */
	struct MHD_Response *response =
	    MHD_create_response_from_buffer(a->body.len, a->body.ptr, MHD_RESPMEM_MUST_FREE);

	if (response == NULL) {
		buf_free(&a->body);
		return MHD_NO;
	}
	add_headers(response, a, last);
	enum MHD_Result result = MHD_queue_response(connection, (unsigned)a->code, response);
	MHD_destroy_response(response);
	return result;
}

static struct client *
client_of(struct MHD_Connection *connection)
{
	const union MHD_ConnectionInfo *info =
	    MHD_get_connection_info(connection, MHD_CONNECTION_INFO_SOCKET_CONTEXT);

	return info != NULL ? info->socket_context : NULL;
}

/* The library calls it for the path and for each name and value.  It takes no
 * error and would let "%zz" and "%00" pass. */
static size_t
decode(void *cls, struct MHD_Connection *connection, char *text)
{
	struct client *client = client_of(connection);
	size_t len;

	(void)cls;
	if (!request_decode(text, &len) && client != NULL)
		client->malformed = true;
	return len;
}

static void
answer(struct http *http, struct MHD_Connection *connection, const char *path, bool malformed,
    struct answer *a)
{
	struct request r = { 0 };

	if (malformed) {
		answer_sentence(a, MHD_HTTP_BAD_REQUEST, "The address has a broken % sequence.");
		return;
	}
	request_read(connection, &r);
	pages_serve(&http->pages, path, &r, a);
}

/* Called when the headers are there and again when all of the request is; only
 * a response to the second call leaves the connection open. */
static enum MHD_Result
handle(void *cls, struct MHD_Connection *connection, const char *path, const char *method,
    const char *version, const char *upload, size_t *upload_size, void **seen)
{
	struct http *http = cls;
	struct client *client = client_of(connection);
	struct answer a = { .body = BUF(HTTP_BODY_MAX) };
	const char *why;

	(void)version;
	(void)upload;
	if (client == NULL || *upload_size != 0)
		return MHD_NO;
	if (*seen == NULL) {
		*seen = client;
		int code = request_refused(connection, method, &why);
		if (code == 0)
			return MHD_YES;
		answer_sentence(&a, code, why);
	} else {
		connection_enter(http->connections, client->connection, CONNECTION_BUSY);
		answer(http, connection, path, client->malformed, &a);
	}
	enum MHD_Result result = respond(connection, &a, atomic_load(&http->stopping));
	connection_enter(http->connections, client->connection, CONNECTION_SENDING);
	return result;
}

static void
completed(
    void *cls, struct MHD_Connection *connection, void **seen, enum MHD_RequestTerminationCode code)
{
	struct http *http = cls;
	struct client *client = client_of(connection);

	(void)code;
	(void)seen;
	if (client == NULL)
		return;
	client->malformed = false;
	connection_enter(http->connections, client->connection, CONNECTION_IDLE);
}

/* ---- connections ---- */

static enum MHD_Result
admit(void *cls, const struct sockaddr *address, socklen_t len)
{
	struct http *http = cls;

	(void)len;
	return connections_admit(http->connections, address) ? MHD_YES : MHD_NO;
}

/* Without a client the handler ends the connection at the first request. */
static struct client *
client_new(struct http *http, struct MHD_Connection *connection)
{
	int fd = MHD_get_connection_info(connection, MHD_CONNECTION_INFO_CONNECTION_FD)->connect_fd;
	const struct sockaddr *address =
	    MHD_get_connection_info(connection, MHD_CONNECTION_INFO_CLIENT_ADDRESS)->client_addr;
	struct client *client = calloc(1, sizeof *client);

	if (client != NULL)
		client->connection = connections_add(http->connections, fd, address);
	if (client == NULL || client->connection == NULL) {
		shutdown(fd, SHUT_RDWR);
		free(client);
		return NULL;
	}
	return client;
}

/* The library tells of the end before it closes the descriptor. */
static void
connection_changed(void *cls, struct MHD_Connection *connection, void **context,
    enum MHD_ConnectionNotificationCode code)
{
	struct http *http = cls;
	struct client *client = *context;

	if (code == MHD_CONNECTION_NOTIFY_STARTED) {
		*context = client_new(http, connection);
	} else if (client != NULL) {
		connections_remove(http->connections, client->connection);
		free(client);
		*context = NULL;
	}
}

/* ---- start and stop ---- */

static struct MHD_Daemon *
start_daemon(struct http *http, int fd)
{
	unsigned flags = MHD_USE_INTERNAL_POLLING_THREAD | MHD_USE_THREAD_PER_CONNECTION |
			 MHD_USE_POLL | MHD_USE_ITC;

	/* clang-format off */
	return MHD_start_daemon(flags, 0, admit, http, handle, http,
	    MHD_OPTION_LISTEN_SOCKET, fd,
	    MHD_OPTION_CONNECTION_LIMIT, 2u * HTTP_CONNECTIONS_MAX, /* admit has the real one */
	    MHD_OPTION_CONNECTION_MEMORY_LIMIT, (size_t)REQUEST_MEMORY,
	    MHD_OPTION_THREAD_STACK_SIZE, (size_t)STACK_SIZE,
	    MHD_OPTION_STRICT_FOR_CLIENT, 1,
	    MHD_OPTION_UNESCAPE_CALLBACK, decode, NULL,
	    MHD_OPTION_NOTIFY_CONNECTION, connection_changed, http,
	    MHD_OPTION_NOTIFY_COMPLETED, completed, http,
	    MHD_OPTION_END);
	/* clang-format on */
}

static bool
start_listener(struct http *http, const char *address, char *why, size_t size)
{
	struct listener *l = &http->listeners[http->nlisteners];

	l->fd = listen_on(address, &l->port, why, size);
	if (l->fd < 0)
		return false;
	http->nlisteners++;
	l->daemon = start_daemon(http, l->fd);
	if (l->daemon == NULL)
		snprintf(why, size, "cannot serve %s: no thread or no memory for it", address);
	return l->daemon != NULL;
}

static int64_t
or_seconds(int64_t ns, int seconds)
{
	return ns > 0 ? ns : seconds * NS_PER_S;
}

static struct http *
http_new(const struct http_site *site)
{
	struct connection_limits limits = {
		.most = HTTP_CONNECTIONS_MAX,
		.most_per_address = HTTP_CONNECTIONS_PER_ADDRESS,
		.phase = {
			[CONNECTION_NEW] = or_seconds(site->request_ns, HTTP_REQUEST_SECONDS),
			[CONNECTION_SENDING] = or_seconds(site->send_ns, HTTP_SEND_SECONDS),
			[CONNECTION_IDLE] = or_seconds(site->idle_ns, HTTP_IDLE_SECONDS),
		},
	};
	size_t n = 0;

	while (site->listen[n] != NULL)
		n++;
	struct http *http = calloc(1, sizeof *http + n * sizeof *http->listeners);
	if (http == NULL)
		return NULL;
	http->pages.site = site;
	http->connections = connections_new(&limits);
	if (http->connections == NULL) {
		free(http);
		return NULL;
	}
	return http;
}

struct http *
http_start(const struct http_site *site, char *why, size_t size)
{
	sigset_t all, before;
	bool ok = true;

	/* Signals are for main: the threads made here inherit an empty ear. */
	sigfillset(&all);
	pthread_sigmask(SIG_BLOCK, &all, &before);
	struct http *http = http_new(site);
	if (http == NULL)
		snprintf(why, size, "cannot start the HTTP server: no thread or no memory for it");
	for (size_t i = 0; ok && http != NULL && site->listen[i] != NULL; i++)
		ok = start_listener(http, site->listen[i], why, size);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	if (!ok) {
		http_stop(http);
		return NULL;
	}
	return http;
}

unsigned
http_port(const struct http *http, size_t i)
{
	return i < http->nlisteners ? http->listeners[i].port : 0;
}

void
http_stop(struct http *http)
{
	atomic_store(&http->stopping, true);
	for (size_t i = 0; i < http->nlisteners; i++) {
		if (http->listeners[i].daemon == NULL)
			continue;
		MHD_quiesce_daemon(http->listeners[i].daemon);
		/* Not closed yet, the library may be in poll on it. */
		shutdown(http->listeners[i].fd, SHUT_RDWR);
	}
	connections_drain(http->connections, deadline_in(HTTP_STOP_SECONDS * NS_PER_S));
	for (size_t i = 0; i < http->nlisteners; i++) {
		if (http->listeners[i].daemon != NULL)
			MHD_stop_daemon(http->listeners[i].daemon);
		close(http->listeners[i].fd);
	}
	connections_free(http->connections);
	free(http);
}
