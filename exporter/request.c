/*
 * request.c - see request.h.
 */
#include "request.h"

#include <math.h>
#include <microhttpd.h>
#include <string.h>
#include <strings.h>

enum { CONTENT_TOO_LARGE = 413 }; /* its name in microhttpd.h has changed */

static void
read_accept(struct request *r, struct text value)
{
	negotiate_accept(&r->likes, value);
}

static void
read_accept_encoding(struct request *r, struct text value)
{
	negotiate_encoding(&r->likes, value);
}

static void
read_timeout(struct request *r, struct text value)
{
	double seconds;

	if (!text_number(text_trim(value), &seconds) || !isfinite(seconds) || seconds <= 0)
		r->fault =
		    "X-Prometheus-Scrape-Timeout-Seconds is not a positive number of seconds.";
	else if (r->timeout <= 0 || seconds < r->timeout)
		r->timeout = seconds;
}

/* Two that differ would each be believed by somebody. */
static void
read_host(struct request *r, struct text value)
{
	r->host = r->host == NULL ? value.ptr : "";
}

struct header {
	const char *name;
	void (*read)(struct request *, struct text value);
};

static const struct header headers[] = {
	{ "Accept", read_accept },
	{ "Accept-Encoding", read_accept_encoding },
	{ "Host", read_host },
	{ "X-Prometheus-Scrape-Timeout-Seconds", read_timeout },
	{ NULL, NULL },
};

static enum MHD_Result
read_header(void *cls, enum MHD_ValueKind kind, const char *name, const char *value)
{
	(void)kind;
	for (const struct header *h = headers; h->name != NULL; h++)
		if (strcasecmp(name, h->name) == 0)
			h->read(cls, text_of(value));
	return MHD_YES;
}

/* The library's memory holds the values until the response is queued. */
static enum MHD_Result
read_parameter(void *cls, enum MHD_ValueKind kind, const char *name, const char *value)
{
	struct request *r = cls;
	bool target = strcmp(name, "target") == 0;

	(void)kind;
	if (!target && strcmp(name, "collect[]") != 0)
		return MHD_YES;
	if (r->ntargets + r->ngroups == HTTP_NAMES_MAX) {
		r->fault = "There are too many target and collect[] parameters in one request.";
		return MHD_NO;
	}
	if (target)
		r->targets[r->ntargets++] = value != NULL ? value : "";
	else
		r->groups[r->ngroups++] = value != NULL ? value : "";
	return MHD_YES;
}

void
request_read(struct MHD_Connection *connection, struct request *r)
{
	MHD_get_connection_values(connection, MHD_HEADER_KIND, read_header, r);
	MHD_get_connection_values(connection, MHD_GET_ARGUMENT_KIND, read_parameter, r);
}

struct framing {
	unsigned lengths, encodings;
	bool body;
};

static enum MHD_Result
read_framing(void *cls, enum MHD_ValueKind kind, const char *name, const char *value)
{
	struct framing *f = cls;

	(void)kind;
	if (strcasecmp(name, "Content-Length") == 0) {
		f->lengths++;
		f->body = f->body || value == NULL || strspn(value, "0") != strlen(value);
	} else if (strcasecmp(name, "Transfer-Encoding") == 0) {
		f->encodings++;
		f->body = true;
	}
	return MHD_YES;
}

/* Two ways to say where a request ends are how one is smuggled past a proxy. */
int
request_refused(struct MHD_Connection *connection, const char *method, const char **why)
{
	struct framing f = { 0 };

	MHD_get_connection_values(connection, MHD_HEADER_KIND, read_framing, &f);
	if (f.lengths + f.encodings > 1) {
		*why = "The length of the request is said in more than one way.";
		return MHD_HTTP_BAD_REQUEST;
	}
	if (strcmp(method, "GET") != 0 && strcmp(method, "HEAD") != 0) {
		*why = "Only GET and HEAD are served here.";
		return MHD_HTTP_METHOD_NOT_ALLOWED;
	}
	if (f.body) {
		*why = "Requests cannot have a body here.";
		return CONTENT_TOO_LARGE;
	}
	return 0;
}

static int
hex_digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	if (c >= 'A' && c <= 'F')
		return c - 'A' + 10;
	return -1;
}

bool
request_decode(char *text, size_t *len)
{
	const char *from = text;
	char *to = text;
	bool ok = true;

	while (*from != '\0') {
		char c = *from++;
		if (c == '%') {
			int high = hex_digit(from[0]);
			int low = high < 0 ? -1 : hex_digit(from[1]);
			ok = low >= 0 && high + low > 0;
			if (!ok)
				break;
			c = (char)(high * 16 + low);
			from += 2;
		}
		*to++ = c;
	}
	*to = '\0';
	*len = (size_t)(to - text);
	return ok;
}
