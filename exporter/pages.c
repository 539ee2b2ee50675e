/*
 * pages.c - see pages.h.
 */
#include "pages.h"

#include <math.h>
#include <microhttpd.h>
#include <string.h>

#include "gzip.h"
#include "negotiate.h"

enum {
	/* Bytes; smaller bodies travel as they are: they fit into the first flight
	 * of a connection (ten segments), so that compressing them, which takes
	 * longer than all else that is done for such a page, makes nothing sooner. */
	GZIP_FROM = 10 * 1400,
};

/* A scrape shall be answered before its client gives up: this much earlier,
 * or half of the time where that is less. */
#define ANSWER_SECONDS 0.5

#define TYPE_SENTENCE "text/plain; charset=utf-8"
#define TYPE_HTML "text/html; charset=utf-8"
#define TYPE_JSON "application/json"
#define TYPE_TEXT "text/plain; version=0.0.4; charset=utf-8"
#define TYPE_OPENMETRICS "application/openmetrics-text; version=1.0.0; charset=utf-8"

void
answer_sentence(struct answer *a, int code, const char *sentence)
{
	a->code = code;
	a->type = TYPE_SENTENCE;
	buf_reset(&a->body);
	buf_str(&a->body, sentence);
	buf_char(&a->body, '\n');
}

/* The handler's own words, or ours where there was no room for them. */
static void
answer_page(struct answer *a, int code, const char *type)
{
	a->code = code;
	a->type = code == MHD_HTTP_OK ? type : TYPE_SENTENCE;
	if (code != MHD_HTTP_OK)
		buf_char(&a->body, '\n');
	if (buf_ok(&a->body))
		return;
	buf_free(&a->body);
	a->body = BUF(HTTP_BODY_MAX);
	answer_sentence(a, MHD_HTTP_INTERNAL_SERVER_ERROR,
	    "The page is too large, or there is no memory for it.");
}

static void
pack(struct answer *a, const struct request *r)
{
	a->negotiated = true;
	if (a->code == MHD_HTTP_OK && a->body.len > GZIP_FROM && negotiate_gzip(&r->likes))
		a->gzip = gzip(&a->body);
}

/* ---- telemetry ---- */

/* A scrape of one target is small, and there are as many as targets; those of
 * servers that do not answer must leave room for the others. */
static const unsigned most_under_way[SCRAPE_KINDS] = {
	[SCRAPE_ALL] = HTTP_SCRAPES_MAX,
	[SCRAPE_ONE] = HTTP_PROBES_MAX,
};

static struct deadline
deadline_of(const struct request *r)
{
	double seconds = r->timeout > 0 ? r->timeout : HTTP_TIMEOUT_DEFAULT;

	seconds = fmax(seconds * 0.5, seconds - ANSWER_SECONDS);
	return deadline_in((int64_t)(fmin(seconds, HTTP_TIMEOUT_MAX) * (double)NS_PER_S));
}

static void
scrape(struct pages *p, enum scrape_kind kind, const struct request *r, struct answer *a)
{
	struct http_scrape scrape = {
		.targets = r->targets,
		.groups = r->groups,
		.until = deadline_of(r),
		.openmetrics = negotiate_openmetrics(&r->likes),
		.bare = kind == SCRAPE_ONE,
	};

	int code = p->site->scrape(&scrape, &a->body);
	answer_page(a, code, scrape.openmetrics ? TYPE_OPENMETRICS : TYPE_TEXT);
}

/* HEAD is scraped like GET: its headers are then what GET's would be. */
static void
serve_scrape(struct pages *p, enum scrape_kind kind, const char *fault, const struct request *r,
    struct answer *a)
{
	int64_t begun = clock_ns();

	if (fault != NULL) {
		answer_sentence(a, MHD_HTTP_BAD_REQUEST, fault);
	} else {
		if (atomic_fetch_add(&p->under_way[kind], 1) < most_under_way[kind])
			scrape(p, kind, r, a);
		else
			answer_sentence(a, MHD_HTTP_SERVICE_UNAVAILABLE,
			    "Too many scrapes are under way, try again later.");
		atomic_fetch_sub(&p->under_way[kind], 1);
	}
	pack(a, r);
	p->site->served(a->code, clock_seconds(clock_ns() - begun));
}

static void
serve_telemetry(struct pages *p, const struct request *r, struct answer *a)
{
	serve_scrape(p, SCRAPE_ALL, r->fault, r, a);
}

static void
serve_probe(struct pages *p, const struct request *r, struct answer *a)
{
	const char *fault = r->fault;

	if (fault == NULL && r->ntargets != 1)
		fault = "A probe is of exactly one target: /probe?target=NAME.";
	serve_scrape(p, SCRAPE_ONE, fault, r, a);
}

/* ---- the other pages ---- */

static void
serve_discovery(struct pages *p, const struct request *r, struct answer *a)
{
	int code = p->site->discovery(r->host, &a->body);

	answer_page(a, code, TYPE_JSON);
	pack(a, r);
}

static void
serve_healthy(struct pages *p, const struct request *r, struct answer *a)
{
	(void)p;
	(void)r;
	answer_sentence(a, MHD_HTTP_OK, "datatier_exporter is healthy.");
}

static void
serve_ready(struct pages *p, const struct request *r, struct answer *a)
{
	(void)r;
	if (p->site->ready())
		answer_sentence(a, MHD_HTTP_OK, "datatier_exporter is ready.");
	else
		answer_sentence(a, MHD_HTTP_SERVICE_UNAVAILABLE, "datatier_exporter is starting.");
}

static void
serve_status(struct pages *p, const struct request *r, struct answer *a)
{
	(void)r;
	a->policy = "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; "
		    "form-action 'none'; frame-ancestors 'none'";
	p->site->status(&a->body);
	answer_page(a, MHD_HTTP_OK, TYPE_HTML);
}

struct route {
	const char *path; /* NULL: where the configuration has it */
	void (*serve)(struct pages *, const struct request *, struct answer *);
};

/* The first that fits: telemetry may be at "/". */
static const struct route routes[] = {
	{ NULL, serve_telemetry },
	{ "/probe", serve_probe },
	{ "/sd", serve_discovery },
	{ "/-/healthy", serve_healthy },
	{ "/-/ready", serve_ready },
	{ "/", serve_status },
};

void
pages_serve(struct pages *p, const char *path, const struct request *r, struct answer *a)
{
	for (size_t i = 0; i < sizeof routes / sizeof *routes; i++) {
		const char *here =
		    routes[i].path != NULL ? routes[i].path : p->site->telemetry_path;
		if (strcmp(path, here) == 0) {
			routes[i].serve(p, r, a);
			return;
		}
	}
	answer_sentence(a, MHD_HTTP_NOT_FOUND, "There is no such page here.");
}
