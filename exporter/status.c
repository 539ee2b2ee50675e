/*
 * status.c - HTML without scripts; every text from outside is escaped.
 */
#include "status.h"

#include <string.h>

/* On a narrow screen a row is a block of its own: name and state, then the rest. */
static const char head[] =
    "<!DOCTYPE html>\n"
    "<html lang=\"en\"><head><meta charset=\"utf-8\"><title>datatier_exporter</title>\n"
    "<meta name=\"viewport\" content=\"width=device-width,initial-scale=1\">\n"
    "<style>:root{color-scheme:light dark;--line:#ddd;--dim:#666;--up:#17722c;--down:#b3261e}"
    "@media(prefers-color-scheme:dark){:root{--line:#444;--dim:#aaa;--up:#6fcf85;--down:#ff8a80}}"
    "body{font:15px/1.5 system-ui,sans-serif;margin:2em auto;max-width:72em;padding:0 1em}"
    "h1{font-size:1.6em;margin:0}small,th{color:var(--dim);font-weight:normal}"
    "table{border-collapse:collapse;width:100%}"
    "th,td{text-align:left;padding:.5em 1em .5em 0;border-bottom:1px solid var(--line);"
    "vertical-align:top}td{overflow-wrap:anywhere}"
    "td:first-child{min-width:7em;max-width:16em}.kind{white-space:nowrap}"
    ".up,.down,.new{display:inline-block;border:1px solid;border-radius:.8em;padding:0 .6em;"
    "font-size:.85em;margin-right:.4em}"
    ".up{color:var(--up)}.new{color:var(--dim)}.down{color:#fff;background:#b3261e}"
    ".why{color:var(--down)}.num{text-align:right;white-space:nowrap;padding-right:0;"
    "padding-left:1em;font-variant-numeric:tabular-nums}ul{margin:.3em 0 0;padding-left:1.2em}"
    "@media(max-width:44em){tr{display:block;padding:.6em 0;border-bottom:1px solid var(--line)}"
    "tr:first-child{display:none}td{display:block;border:0;padding:.1em 0;max-width:none!important}"
    "td:first-child,td.kind,td.num{display:inline}td:first-child{padding-right:.6em}"
    "td.kind,td.num{color:var(--dim);padding:0 .6em 0 0}"
    "td.num:last-child:after{content:\" samples\"}}</style></head><body>\n"
    "<h1>datatier_exporter <small>" VERSION "</small></h1>\n";

static void
add_escaped(struct buf *b, const char *s)
{
	for (; *s != '\0'; s++) {
		const char *entity = *s == '<'   ? "&lt;"
				     : *s == '>' ? "&gt;"
				     : *s == '&' ? "&amp;"
				     : *s == '"' ? "&quot;"
						 : NULL;
		if (entity != NULL)
			buf_str(b, entity);
		else
			buf_char(b, *s);
	}
}

static size_t
count_samples(const struct target *t)
{
	size_t n = 0;

	for (unsigned g = 0; g < t->collector->ngroups; g++)
		if (t->groups[g].published != NULL)
			n += t->groups[g].published->nsamples;
	return n;
}

static bool
speaks(const struct group_state *s)
{
	return s->asked && s->why[0] != '\0';
}

static bool
said_before(const struct target *t, unsigned g)
{
	for (unsigned i = 0; i < g; i++)
		if (speaks(&t->groups[i]) && strcmp(t->groups[i].why, t->groups[g].why) == 0)
			return true;
	return false;
}

/* Groups that have something to say: what failed, what is not there and what
 * to do about it.  Those that say the same say it together. */
static void
add_groups(struct buf *b, const struct target *t)
{
	bool open = false;

	for (unsigned g = 0; g < t->collector->ngroups; g++) {
		const char *why = t->groups[g].why;
		if (!speaks(&t->groups[g]) || said_before(t, g))
			continue;
		buf_str(b, open ? "<li>" : "<ul><li>");
		open = true;
		buf_str(b, t->collector->groups[g].name);
		for (unsigned i = g + 1; i < t->collector->ngroups; i++)
			if (speaks(&t->groups[i]) && strcmp(t->groups[i].why, why) == 0)
				buf_printf(b, ", %s", t->collector->groups[i].name);
		buf_str(b, ": ");
		add_escaped(b, why);
		buf_str(b, "</li>");
	}
	if (open)
		buf_str(b, "</ul>");
}

static void
add_state(struct buf *b, const struct target *t)
{
	if (!t->known) {
		buf_str(b, "<span class=\"new\">not asked yet</span>");
	} else if (t->up) {
		buf_str(b, "<span class=\"up\">up</span>");
	} else {
		buf_str(b, "<span class=\"down\">down</span> <span class=\"why\">");
		add_escaped(b, t->why);
		buf_str(b, "</span>");
	}
	add_groups(b, t);
}

static void
add_target(struct buf *b, struct target *t, const char *path)
{
	pthread_mutex_lock(&t->lock);
	buf_str(b, "<tr><td><a href=\"");
	add_escaped(b, path);
	/* Names hold no character that would need percent-encoding. */
	buf_printf(b, "?target=%s\">%s</a></td><td class=\"kind\">%s</td><td>", t->name, t->name,
	    t->collector->name);
	add_state(b, t);
	buf_str(b, "</td><td class=\"num\">");
	if (t->known)
		buf_printf(b, "%.1f ms", t->seconds * 1e3);
	buf_printf(b, "</td><td class=\"num\">%zu</td></tr>\n", count_samples(t));
	pthread_mutex_unlock(&t->lock);
}

static void
add_table(struct fleet *f, const char *path, struct buf *b)
{
	buf_str(b, "<table><tr><th>target</th><th>collector</th><th>state</th>"
		   "<th class=\"num\">last collection</th><th class=\"num\">samples</th></tr>\n");
	for (size_t i = 0; i < f->ntargets; i++)
		add_target(b, f->targets[i], path);
	buf_str(b, "</table>\n<p><small>A target is asked when a scrape asks; "
		   "this page asks nothing.</small></p>\n");
}

static void
add_summary(struct fleet *f, struct buf *b)
{
	size_t up = 0, known = 0;

	for (size_t i = 0; i < f->ntargets; i++) {
		struct target *t = f->targets[i];
		pthread_mutex_lock(&t->lock);
		known += t->known;
		up += t->known && t->up;
		pthread_mutex_unlock(&t->lock);
	}
	buf_printf(b, "<p>%zu of %zu targets up", up, f->ntargets);
	if (known < f->ntargets)
		buf_printf(b, ", %zu not asked yet", f->ntargets - known);
	buf_str(b, " &middot; ");
}

void
status_page(struct fleet *f, const char *path, struct buf *b)
{
	buf_str(b, head);
	add_summary(f, b);
	buf_str(b, "<a href=\"");
	add_escaped(b, path);
	buf_str(b, "\">Metrics</a> &middot; <a href=\"/sd\">service discovery</a> &middot; "
		   "<a href=\"/-/healthy\">healthy</a> &middot; "
		   "<a href=\"/-/ready\">ready</a></p>\n");
	if (f->ntargets == 0)
		buf_str(b, "<p>No target is configured: set an address in the environment file, "
			   "for example DATATIER_POSTGRESQL_URI, and restart.</p>\n");
	else
		add_table(f, path, b);
	buf_str(b, "</body></html>\n");
}
