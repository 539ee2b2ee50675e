/*
 * application_fetch.c - libcurl: the pages of all instances at once, on kept
 * connections, under the scrape's deadline.
 */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "application.h"

enum {
	READ_AT_ONCE = 128 * 1024, /* of an instance: libcurl's buffer */
	WAIT_MS = 1000,
};

/* As Prometheus asks. */
#define ACCEPT                                                                                     \
	"Accept: application/openmetrics-text;version=1.0.0,text/plain;version=0.0.4;q=0.5,"       \
	"*/*;q=0.1"

/* ---- a page arrives ---- */

static void
begin_page(const struct scrape *sc, struct application_instance *in)
{
	const struct application *a = sc->state;
	char *type = NULL;

	in->began = true;
	curl_easy_getinfo(in->easy, CURLINFO_RESPONSE_CODE, &in->status);
	curl_easy_getinfo(in->easy, CURLINFO_CONTENT_TYPE, &type);
	application_page_begin(&in->page, &a->plan, in->life.page,
	    type != NULL && strncasecmp(type, "application/openmetrics-text", 28) == 0);
	in->page.secrets = &in->secrets;
}

/* libcurl keeps them all, those behind the page, too. */
static size_t
take_header(char *bytes, size_t one, size_t size, void *arg)
{
	struct application_instance *in = arg;

	(void)bytes;
	in->head += one * size;
	return in->head <= APPLICATION_HEAD_MAX ? size : 0;
}

/* Anything but size ends the transfer. */
static size_t
take(char *bytes, size_t one, size_t size, void *arg)
{
	struct scrape *sc;
	struct application_instance *in = arg;
	struct text t = { bytes, one * size };

	curl_easy_getinfo(in->easy, CURLINFO_PRIVATE, (char **)&sc);
	if (!in->began)
		begin_page(sc, in);
	if (in->status != 200) {
		application_page_quote(&in->page, text_cut(&t, '\n'));
		return 0;
	}
	in->bytes += t.len;
	in->too_long = in->bytes > in->max_bytes;
	if (in->too_long)
		return 0;
	in->no_page = !application_page_feed(&in->page, t);
	return in->no_page ? 0 : size;
}

/* ---- handles ---- */

static void
set_protocols(CURL *easy)
{
#if LIBCURL_VERSION_NUM >= 0x075500
	curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR, "http,https");
#else
	curl_easy_setopt(easy, CURLOPT_PROTOCOLS, (long)(CURLPROTO_HTTP | CURLPROTO_HTTPS));
#endif
}

static void
set_options(struct application_instance *in, const struct application_conf *conf,
    struct curl_slist *headers)
{
	CURL *easy = in->easy;

	curl_easy_setopt(easy, CURLOPT_URL, in->address.url);
	set_protocols(easy);
	shared_curl_set(easy, in->address.tls ? &conf->tls : NULL);
	curl_easy_setopt(easy, CURLOPT_FOLLOWLOCATION, 0L);
	curl_easy_setopt(easy, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
	curl_easy_setopt(easy, CURLOPT_BUFFERSIZE, (long)READ_AT_ONCE);
	curl_easy_setopt(easy, CURLOPT_ERRORBUFFER, in->error);
	curl_easy_setopt(easy, CURLOPT_HTTPHEADER, headers);
	curl_easy_setopt(easy, CURLOPT_HEADERFUNCTION, take_header);
	curl_easy_setopt(easy, CURLOPT_HEADERDATA, in);
	curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, take);
	curl_easy_setopt(easy, CURLOPT_WRITEDATA, in);
	if (conf->compression)
		curl_easy_setopt(easy, CURLOPT_ACCEPT_ENCODING, "gzip");
	if (conf->username != NULL) {
		curl_easy_setopt(easy, CURLOPT_HTTPAUTH, (long)CURLAUTH_BASIC);
		curl_easy_setopt(easy, CURLOPT_USERNAME, conf->username);
		curl_easy_setopt(easy, CURLOPT_PASSWORD, conf->password);
	}
}

static bool
add_header(struct curl_slist **list, const char *line)
{
	struct curl_slist *more = curl_slist_append(*list, line);

	if (more != NULL)
		*list = more;
	return more != NULL;
}

static bool
make_headers(struct application *a, const struct application_conf *conf)
{
	char *line = NULL;
	bool good = add_header(&a->headers, ACCEPT) &&
		    add_header(&a->headers, "User-Agent: datatier_exporter/" VERSION);

	if (!good || conf->bearer_token == NULL)
		return good;
	good = asprintf(&line, "Authorization: Bearer %s", conf->bearer_token) >= 0 &&
	       add_header(&a->headers, line);
	if (line != NULL)
		explicit_bzero(line, strlen(line));
	free(line);
	return good;
}

bool
application_fetch_open(struct scrape *sc)
{
	const struct application_conf *conf = sc->conf;
	struct application *a = sc->state;

	if (!shared_curl_ready() || (a->multi = curl_multi_init()) == NULL ||
	    !make_headers(a, conf))
		return false;
	if (conf->username != NULL &&
	    (a->basic = application_basic(conf->username, conf->password)) == NULL)
		return false;
	for (unsigned i = 0; i < a->ninstances; i++) {
		struct application_instance *in = &a->instances[i];
		in->easy = curl_easy_init();
		if (in->easy == NULL)
			return false;
		in->max_bytes = (uint64_t)conf->max_bytes;
		in->secrets = (struct application_secrets){ .token = conf->bearer_token,
			.password = conf->password,
			.basic = a->basic,
			.query = strchr(in->address.url, '?') };
		set_options(in, conf, a->headers);
	}
	return true;
}

void
application_fetch_close(struct application *a)
{
	for (unsigned i = 0; i < a->ninstances; i++) {
		curl_easy_cleanup(a->instances[i].easy);
		a->instances[i].easy = NULL;
		application_page_free(&a->instances[i].page);
	}
	curl_multi_cleanup(a->multi);
	a->multi = NULL;
	curl_slist_free_all(a->headers);
	a->headers = NULL;
	if (a->basic != NULL)
		explicit_bzero(a->basic, strlen(a->basic));
	free(a->basic);
	a->basic = NULL;
}

/* ---- how it went ---- */

PRINTF(2, 3)
static void
say(struct application_instance *in, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(in->why, sizeof in->why, fmt, ap);
	va_end(ap);
}

static void
say_status(struct application_instance *in)
{
	static const struct {
		long from, to;
		const char *words;
	} table[] = {
		{ 300, 399, ": redirects are not followed, give the address it leads to" },
		{ 401, 401, ": the page wants bearer_token, or username and password" },
		{ 403, 403, ": these credentials do not allow it" },
		{ 404, 404, ": there is no page of that path" },
	};
	const char *words = "";

	for (size_t i = 0; i < COUNT(table); i++)
		if (in->status >= table[i].from && in->status <= table[i].to)
			words = table[i].words;
	say(in, "the server answers %ld%s%s%s", in->status, words,
	    in->page.first[0] != '\0' ? "; it says: " : "", in->page.first);
}

static void
say_code(struct application_instance *in, const struct application_conf *conf, CURLcode code)
{
	static const struct {
		CURLcode code;
		const char *words;
	} table[] = {
		{ CURLE_COULDNT_CONNECT, "no connection" },
		{ CURLE_GOT_NOTHING, "the server closed the connection without an answer" },
		{ CURLE_PARTIAL_FILE,
		    "the server closed the connection in the middle of the page" },
		{ CURLE_BAD_CONTENT_ENCODING, "the page is not compressed as it says" },
		{ CURLE_OPERATION_TIMEDOUT, "no whole page before the deadline" },
	};
	const char *words = shared_curl_words(code);
	char system_words[128];
	long os = 0;

	if (in->address.tls && shared_tls_unreadable(&conf->tls, in->why, sizeof in->why))
		return;
	for (size_t i = 0; i < COUNT(table); i++)
		if (table[i].code == code)
			words = table[i].words;
	if (words == NULL)
		words = "the page cannot be read";
	const char *detail = in->error[0] != '\0' ? in->error : curl_easy_strerror(code);
	curl_easy_getinfo(in->easy, CURLINFO_OS_ERRNO, &os);
	if (code == CURLE_COULDNT_CONNECT && os != 0)
		detail = strerror_r((int)os, system_words, sizeof system_words);
	say(in, "%s: %s", words, detail);
}

/* The transfer is over, with that code. */
static void
end_page(const struct scrape *sc, struct application_instance *in, CURLcode code)
{
	const struct application *a = sc->state;
	bool good = false;

	/* A page without a body has not begun yet. */
	if (!in->began && code == CURLE_OK)
		begin_page(sc, in);
	if (in->began && in->status != 200)
		say_status(in);
	else if (in->head > APPLICATION_HEAD_MAX)
		say(in, "the answer has more than %d kB of headers", APPLICATION_HEAD_MAX >> 10);
	else if (in->too_long)
		say(in, "the page is longer than max_bytes, %llu",
		    (unsigned long long)in->max_bytes);
	else if (code != CURLE_OK && !in->no_page)
		say_code(in, sc->conf, code);
	else
		good = application_page_end(&in->page, in->why);
	if (in->began)
		in->bad_lines += (double)in->page.bad;
	in->up = good;
	if (!good)
		return;
	in->samples = in->page.samples;
	application_life_go_on(&in->life, &a->plan, &in->page);
}

/* ---- all at once ---- */

static void
begin_transfer(struct scrape *sc, struct application_instance *in)
{
	struct application *a = sc->state;
	int left = left_ms(sc->until);

	in->up = in->began = in->too_long = in->no_page = false;
	in->bytes = in->samples = 0;
	in->head = 0;
	in->status = 0;
	in->error[0] = '\0';
	say(in, "no whole page before the deadline");
	curl_easy_setopt(in->easy, CURLOPT_PRIVATE, sc);
	curl_easy_setopt(in->easy, CURLOPT_TIMEOUT_MS, (long)(left > 0 ? left : 1));
	curl_multi_add_handle(a->multi, in->easy);
}

static void
take_finished(struct scrape *sc)
{
	struct application *a = sc->state;
	CURLMsg *message;
	int more;

	while ((message = curl_multi_info_read(a->multi, &more)) != NULL)
		for (unsigned i = 0; i < a->ninstances; i++)
			if (message->msg == CURLMSG_DONE &&
			    a->instances[i].easy == message->easy_handle)
				end_page(sc, &a->instances[i], message->data.result);
}

void
application_fetch(struct scrape *sc)
{
	struct application *a = sc->state;
	int running = 0;

	for (unsigned i = 0; i < a->ninstances; i++)
		begin_transfer(sc, &a->instances[i]);
	do {
		if (curl_multi_perform(a->multi, &running) != CURLM_OK)
			break;
		take_finished(sc);
		int left = left_ms(sc->until);
		if (running > 0 && left > 0)
			curl_multi_poll(a->multi, NULL, 0, left < WAIT_MS ? left : WAIT_MS, NULL);
	} while (running > 0 && left_ms(sc->until) > 0);
	for (unsigned i = 0; i < a->ninstances; i++)
		curl_multi_remove_handle(a->multi, a->instances[i].easy);
}
