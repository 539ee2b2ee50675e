/*
 * status.c - HTML without scripts; every text from outside is escaped.
 */
#include "status.h"

static const char head[] =
    "<!DOCTYPE html>\n"
    "<html lang=\"en\"><head><meta charset=\"utf-8\"><title>datatier_exporter</title>\n"
    "<meta name=\"viewport\" content=\"width=device-width\">\n"
    "<style>body{font:15px/1.5 system-ui,sans-serif;margin:2em auto;max-width:64em;padding:0 1em;"
    "color:#222}table{border-collapse:collapse;width:100%}th,td{text-align:left;padding:.4em .8em "
    ".4em 0;border-bottom:1px solid #ddd;vertical-align:top}th{color:#666;font-weight:normal}"
    ".up{color:#17722c}.down{color:#b3261e;font-weight:bold}.num{text-align:right}"
    "ul{margin:.2em 0;padding-left:1.2em}</style></head><body>\n"
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

/* Groups that have something to say: what failed, what is not there and what
 * to do about it. */
static void
add_groups(struct buf *b, const struct target *t)
{
	bool open = false;

	for (unsigned g = 0; g < t->collector->ngroups; g++) {
		const struct group_state *s = &t->groups[g];
		if (!s->asked || s->why[0] == '\0')
			continue;
		buf_str(b, open ? "<li>" : "<ul><li>");
		open = true;
		buf_printf(b, "group %s: ", t->collector->groups[g].name);
		add_escaped(b, s->why);
		buf_str(b, "</li>");
	}
	if (open)
		buf_str(b, "</ul>");
}

static void
add_target(struct buf *b, struct target *t, const char *path)
{
	pthread_mutex_lock(&t->lock);
	buf_str(b, "<tr><td><a href=\"");
	add_escaped(b, path);
	/* Names hold no character that would need percent-encoding. */
	buf_printf(
	    b, "?target=%s\">%s</a></td><td>%s</td><td>", t->name, t->name, t->collector->name);
	if (!t->known)
		buf_str(b, "not asked yet");
	else if (t->up)
		buf_str(b, "<span class=\"up\">up</span>");
	else
		buf_str(b, "<span class=\"down\">down</span> ");
	if (t->known && !t->up)
		add_escaped(b, t->why);
	add_groups(b, t);
	buf_printf(b, "</td><td class=\"num\">%.1f ms</td><td class=\"num\">%zu</td></tr>\n",
	    t->seconds * 1e3, count_samples(t));
	pthread_mutex_unlock(&t->lock);
}

void
status_page(struct fleet *f, const char *path, struct buf *b)
{
	buf_str(b, head);
	buf_str(b, "<p><a href=\"");
	add_escaped(b, path);
	buf_str(b, "\">Metrics</a> &middot; <a href=\"/-/healthy\">healthy</a> &middot; "
		   "<a href=\"/-/ready\">ready</a></p>\n");
	if (f->ntargets == 0)
		buf_str(b, "<p>No target is configured: set an address in the environment file, "
			   "for example DATATIER_POSTGRESQL_URI, and restart.</p>\n");
	buf_str(b, "<table><tr><th>target</th><th>collector</th><th>state</th>"
		   "<th class=\"num\">last collection</th><th class=\"num\">samples</th></tr>\n");
	for (size_t i = 0; i < f->ntargets; i++)
		add_target(b, f->targets[i], path);
	buf_str(b, "</table>\n<p>Targets are asked when a scrape asks.</p>\n</body></html>\n");
}
