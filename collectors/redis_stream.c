/*
 * redis_stream.c - libcurl as a raw connection (tcp, TLS, unix socket) under
 * the scrape's deadline.
 */
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <string.h>
#include <unistd.h>

#include "redis.h"

static bool global_ready;

static void
init_global(void)
{
	global_ready = curl_global_init(CURL_GLOBAL_DEFAULT) == CURLE_OK;
}

/* The threads of several targets connect at once, and older libcurls must not
 * be initialised twice at the same time. */
static bool
init_once(void)
{
	static pthread_once_t once = PTHREAD_ONCE_INIT;

	return pthread_once(&once, init_global) == 0 && global_ready;
}

static void
set_tls(CURL *easy, const struct redis_conf *conf)
{
	curl_easy_setopt(easy, CURLOPT_SSL_ENABLE_ALPN, 0L);
	curl_easy_setopt(easy, CURLOPT_SSLVERSION, (long)CURL_SSLVERSION_TLSv1_2);
	if (conf->tls_ca != NULL) {
		curl_easy_setopt(easy, CURLOPT_CAINFO, conf->tls_ca);
		/* Or the system's authorities would be trusted besides. */
		curl_easy_setopt(easy, CURLOPT_CAPATH, NULL);
	}
	if (conf->tls_certificate != NULL) {
		const char *key = conf->tls_key != NULL ? conf->tls_key : conf->tls_certificate;
		curl_easy_setopt(easy, CURLOPT_SSLCERT, conf->tls_certificate);
		curl_easy_setopt(easy, CURLOPT_SSLKEY, key);
	}
}

static void
set_options(struct redis_stream *s, const struct scrape *sc, const struct redis_address *a)
{
	/* 0 would mean: no limit. */
	long left = left_ms(sc->until) > 0 ? left_ms(sc->until) : 1;

	curl_easy_setopt(s->easy, CURLOPT_URL, a->url);
	curl_easy_setopt(s->easy, CURLOPT_UNIX_SOCKET_PATH, a->socket);
	curl_easy_setopt(s->easy, CURLOPT_CONNECT_ONLY, 1L);
	curl_easy_setopt(s->easy, CURLOPT_PROXY, ""); /* whatever http_proxy says */
	curl_easy_setopt(s->easy, CURLOPT_NOSIGNAL, 1L);
	curl_easy_setopt(s->easy, CURLOPT_ERRORBUFFER, s->error);
	curl_easy_setopt(s->easy, CURLOPT_CONNECTTIMEOUT_MS, left); /* TLS included */
#if LIBCURL_VERSION_NUM >= 0x075700
	/* Closing does not wait for a name server that has not answered. */
	curl_easy_setopt(s->easy, CURLOPT_QUICK_EXIT, 1L);
#endif
	if (a->tls)
		set_tls(s->easy, sc->conf);
	if (((const struct redis_conf *)sc->conf)->tls_server_name == NULL)
		return;
	s->connect_to = curl_slist_append(NULL, a->connect_to);
	curl_easy_setopt(s->easy, CURLOPT_CONNECT_TO, s->connect_to);
}

/* What libcurl's codes mean to whoever reads the address in our configuration. */
static const char *
connect_words(CURLcode code, const struct redis_stream *s)
{
	static const struct {
		CURLcode code;
		const char *words;
	} table[] = {
		{ CURLE_COULDNT_RESOLVE_HOST, "the host name cannot be resolved" },
		{ CURLE_PEER_FAILED_VERIFICATION, "the server's certificate is not trusted" },
		{ CURLE_SSL_CACERT_BADFILE, "tls_ca cannot be used" },
		{ CURLE_SSL_CERTPROBLEM, "tls_certificate or tls_key cannot be used" },
		{ CURLE_SSL_CONNECT_ERROR, "the TLS handshake failed" },
	};
	long port = 0; /* ours: there is one as soon as TCP is connected */

	for (size_t i = 0; i < COUNT(table); i++)
		if (table[i].code == code)
			return table[i].words;
	curl_easy_getinfo(s->easy, CURLINFO_LOCAL_PORT, &port);
	if (code == CURLE_OPERATION_TIMEDOUT && port > 0 && s->tls)
		return "the TLS handshake was not answered, is this a port without TLS (redis://)?";
	return "no connection";
}

/* libcurl's words for a file that is not there depend on its TLS library. */
static bool
unreadable_file(struct scrape *sc, const struct redis_conf *conf)
{
	const struct {
		const char *option, *path;
	} files[] = {
		{ "tls_ca", conf->tls_ca },
		{ "tls_certificate", conf->tls_certificate },
		{ "tls_key", conf->tls_key },
	};
	char words[128];

	for (size_t i = 0; i < COUNT(files); i++) {
		if (files[i].path == NULL || access(files[i].path, R_OK) == 0)
			continue;
		fail(LOST, sc, "%s cannot be read: %s: %s", files[i].option, files[i].path,
		    strerror_r(errno, words, sizeof words));
		return true;
	}
	return false;
}

static enum outcome
connect_failed(
    struct scrape *sc, const struct redis_stream *s, const struct redis_address *a, CURLcode code)
{
	long os = 0;
	const char *detail = s->error[0] != '\0' ? s->error : curl_easy_strerror(code);
	char words[128];

	if (s->tls && unreadable_file(sc, sc->conf))
		return LOST;
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
	if (!init_once() || (s->easy = curl_easy_init()) == NULL)
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
