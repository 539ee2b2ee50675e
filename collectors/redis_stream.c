/*
 * redis_stream.c - libcurl as a raw connection (tcp, TLS, unix socket) under
 * the scrape's deadline.
 */
#include <poll.h>
#include <string.h>

#include "redis.h"

static void
set_options(struct redis_stream *s, const struct scrape *sc, const struct redis_address *a)
{
	const struct redis_conf *conf = sc->conf;
	/* 0 would mean: no limit. */
	long left = left_ms(sc->until) > 0 ? left_ms(sc->until) : 1;

	curl_easy_setopt(s->easy, CURLOPT_URL, a->url);
	curl_easy_setopt(s->easy, CURLOPT_UNIX_SOCKET_PATH, a->socket);
	curl_easy_setopt(s->easy, CURLOPT_CONNECT_ONLY, 1L);
	curl_easy_setopt(s->easy, CURLOPT_ERRORBUFFER, s->error);
	curl_easy_setopt(s->easy, CURLOPT_CONNECTTIMEOUT_MS, left); /* TLS included */
	curl_easy_setopt(s->easy, CURLOPT_SSL_ENABLE_ALPN, 0L);
	shared_curl_set(s->easy, a->tls ? &conf->tls : NULL);
	if (conf->tls_server_name == NULL)
		return;
	s->connect_to = curl_slist_append(NULL, a->connect_to);
	curl_easy_setopt(s->easy, CURLOPT_CONNECT_TO, s->connect_to);
}

static const char *
connect_words(CURLcode code, const struct redis_stream *s)
{
	const char *words = shared_curl_words(code);
	long port = 0; /* ours: there is one as soon as TCP is connected */

	curl_easy_getinfo(s->easy, CURLINFO_LOCAL_PORT, &port);
	if (code == CURLE_OPERATION_TIMEDOUT && port > 0 && s->tls)
		words =
		    "the TLS handshake was not answered, is this a port without TLS (redis://)?";
	return words != NULL ? words : "no connection";
}

static enum outcome
connect_failed(
    struct scrape *sc, const struct redis_stream *s, const struct redis_address *a, CURLcode code)
{
	long os = 0;
	const char *detail = s->error[0] != '\0' ? s->error : curl_easy_strerror(code);
	const struct redis_conf *conf = sc->conf;
	char words[WHY_MAX];

	if (s->tls && shared_tls_unreadable(&conf->tls, words, sizeof words))
		return fail(LOST, sc, "%s", words);
	curl_easy_getinfo(s->easy, CURLINFO_OS_ERRNO, &os);
	if (code == CURLE_COULDNT_CONNECT && os != 0)
		detail = strerror_r((int)os, words, sizeof words);
	return fail(LOST, sc, "%s: %s: %s", a->shown, connect_words(code, s), detail);
}

enum outcome
redis_stream_open(struct scrape *sc, struct redis_stream *s, const struct redis_address *a)
{
	curl_socket_t fd = CURL_SOCKET_BAD;

	*s = (struct redis_stream){ .fd = -1, .tls = a->tls };
	if (!shared_curl_ready() || (s->easy = curl_easy_init()) == NULL)
		return fail(LOST, sc, "libcurl cannot be initialised");
	set_options(s, sc, a);
	CURLcode code = curl_easy_perform(s->easy);
	if (code != CURLE_OK)
		return connect_failed(sc, s, a, code);
	if (curl_easy_getinfo(s->easy, CURLINFO_ACTIVESOCKET, &fd) != CURLE_OK ||
	    fd == CURL_SOCKET_BAD)
		return fail(LOST, sc, "%s: libcurl has no socket after connecting", a->shown);
	s->fd = fd;
	return DONE;
}

static enum outcome
broken(struct scrape *sc, const struct redis_stream *s, CURLcode code)
{
	return fail(LOST, sc, "the connection broke%s: %s",
	    s->tls ? " (if at once: the server may want a client certificate, tls_certificate)"
		   : "",
	    s->error[0] != '\0' ? s->error : curl_easy_strerror(code));
}

enum outcome
redis_stream_write(struct scrape *sc, struct redis_stream *s, struct text t)
{
	while (t.len > 0) {
		size_t sent = 0;
		s->error[0] = '\0';
		CURLcode code = curl_easy_send(s->easy, t.ptr, t.len, &sent);
		if (code != CURLE_OK && code != CURLE_AGAIN)
			return broken(sc, s, code);
		t.ptr += sent;
		t.len -= sent;
		if (code == CURLE_AGAIN && !wait_fd(s->fd, POLLOUT, sc->until))
			return fail(LOST, sc, "the server takes no bytes");
	}
	return DONE;
}

enum outcome
redis_stream_read(struct scrape *sc, struct redis_stream *s, char *bytes, size_t size, size_t *got)
{
	/* A server that drips bytes makes every wait a short one. */
	while (left_ms(sc->until) > 0) {
		*got = 0;
		s->error[0] = '\0';
		CURLcode code = curl_easy_recv(s->easy, bytes, size, got);
		if (code == CURLE_OK)
			return DONE;
		/* Without TLS that is a reset: nothing more than a close. */
		if (code != CURLE_AGAIN)
			return s->tls ? broken(sc, s, code) : DONE;
		wait_fd(s->fd, POLLIN, sc->until);
	}
	return fail(LOST, sc, "no whole answer before the deadline");
}

void
redis_stream_close(struct redis_stream *s)
{
	curl_easy_cleanup(s->easy);
	curl_slist_free_all(s->connect_to);
	*s = (struct redis_stream){ .fd = -1 };
}
