/*
 * shared_curl.h - what the collectors that speak through libcurl have in common:
 * its initialisation, TLS and its words.
 */
#ifndef COLLECTORS_SHARED_CURL_H
#define COLLECTORS_SHARED_CURL_H

#include <curl/curl.h>

#include "../exporter/collector.h"

struct shared_tls { /* member `tls` of a collector's options; NULL: not set */
	const char *ca, *certificate, *key;
};

/* Three rows of a table of options. */
/* clang-format off */
#define SHARED_TLS_OPTIONS(conf) \
	{ .name = "tls_ca", .type = OPT_STRING, .offset = offsetof(conf, tls.ca), \
	  .help = "PEM file of the authorities that the server's certificate is checked against; " \
		  "without it, the system's." }, \
	{ .name = "tls_certificate", .type = OPT_STRING, .offset = offsetof(conf, tls.certificate), \
	  .help = "PEM file of a client certificate." }, \
	{ .name = "tls_key", .type = OPT_STRING, .offset = offsetof(conf, tls.key), \
	  .help = "PEM file of the client certificate's key, where it is not in the same file." }
/* clang-format on */

/* False: why has one sentence.  scheme: that of addresses with TLS, "https". */
bool shared_tls_check(
    const struct shared_tls *, bool tls, const char *scheme, char why[static WHY_MAX]);

/* Initialises libcurl, once in a process.  False: it cannot be. */
bool shared_curl_ready(void);

/* What every handle gets; tls NULL: this one speaks none. */
void shared_curl_set(CURL *, const struct shared_tls *tls);

/* What a code means to whoever reads the address in our configuration; NULL: that
 * depends on who asks. */
const char *shared_curl_words(CURLcode);

/* libcurl's words for a file that is not there depend on its TLS library.  True:
 * there is one, and why has the sentence. */
bool shared_tls_unreadable(const struct shared_tls *, char *why, size_t size);

#endif
