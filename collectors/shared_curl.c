/*
 * shared_curl.c - see shared_curl.h.
 */
#include "shared_curl.h"

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

bool
shared_tls_check(const struct shared_tls *t, bool tls, const char *scheme, char why[static WHY_MAX])
{
	if (!tls && (t->ca != NULL || t->certificate != NULL))
		snprintf(
		    why, WHY_MAX, "tls_ca and tls_certificate are for %s:// addresses", scheme);
	else if (t->key != NULL && t->certificate == NULL)
		snprintf(why, WHY_MAX, "tls_key without tls_certificate");
	else
		return true;
	return false;
}

static bool global_ready;

static void
init_global(void)
{
	global_ready = curl_global_init(CURL_GLOBAL_DEFAULT) == CURLE_OK;
}

/* The threads of several targets connect at once, and older libcurls must not
 * be initialised twice at the same time. */
bool
shared_curl_ready(void)
{
	static pthread_once_t once = PTHREAD_ONCE_INIT;

	return pthread_once(&once, init_global) == 0 && global_ready;
}

static void
set_tls(CURL *easy, const struct shared_tls *t)
{
	curl_easy_setopt(easy, CURLOPT_SSLVERSION, (long)CURL_SSLVERSION_TLSv1_2);
	if (t->ca != NULL) {
		curl_easy_setopt(easy, CURLOPT_CAINFO, t->ca);
		/* Or the system's authorities would be trusted besides. */
		curl_easy_setopt(easy, CURLOPT_CAPATH, NULL);
	}
	if (t->certificate != NULL) {
		curl_easy_setopt(easy, CURLOPT_SSLCERT, t->certificate);
		curl_easy_setopt(easy, CURLOPT_SSLKEY, t->key != NULL ? t->key : t->certificate);
	}
}

void
shared_curl_set(CURL *easy, const struct shared_tls *tls)
{
	curl_easy_setopt(easy, CURLOPT_PROXY, ""); /* whatever http_proxy says */
	curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
#if LIBCURL_VERSION_NUM >= 0x075700
	/* Closing does not wait for a name server that has not answered. */
	curl_easy_setopt(easy, CURLOPT_QUICK_EXIT, 1L);
#endif
	if (tls != NULL)
		set_tls(easy, tls);
}

const char *
shared_curl_words(CURLcode code)
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

	for (size_t i = 0; i < COUNT(table); i++)
		if (table[i].code == code)
			return table[i].words;
	return NULL;
}

bool
shared_tls_unreadable(const struct shared_tls *t, char *why, size_t size)
{
	const struct {
		const char *option, *path;
	} files[] = {
		{ "tls_ca", t->ca },
		{ "tls_certificate", t->certificate },
		{ "tls_key", t->key },
	};
	char words[128];

	for (size_t i = 0; i < COUNT(files); i++) {
		if (files[i].path == NULL || access(files[i].path, R_OK) == 0)
			continue;
		snprintf(why, size, "%s cannot be read: %.100s: %s", files[i].option, files[i].path,
		    strerror_r(errno, words, sizeof words));
		return true;
	}
	return false;
}
