/*
 * discovery.c - see discovery.h.
 */
#include "discovery.h"

#include <string.h>

#define DIGITS "0123456789"
#define LETTERS "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"

enum { HOST_NAME_MAX_BYTES = 255, PORT_DIGITS = 5 };

static bool
is_port(const char *s)
{
	int64_t port;

	return strspn(s, DIGITS) == strlen(s) && strlen(s) <= PORT_DIGITS &&
	       text_integer(text_of(s), &port) && port > 0 && port <= 65535;
}

/* What passes needs no escape in JSON. */
static bool
is_host_port(const char *s)
{
	bool bracket = *s == '[';
	size_t n =
	    bracket ? 1 + strspn(s + 1, DIGITS "abcdefABCDEF:.") : strspn(s, DIGITS LETTERS ".-_");

	if (n <= bracket || n > HOST_NAME_MAX_BYTES || (bracket && s[n++] != ']'))
		return false;
	return s[n] == '\0' || (s[n] == ':' && is_port(s + n + 1));
}

int
discovery_page(const struct fleet *f, const char *host, struct buf *body)
{
	if (host == NULL || !is_host_port(host)) {
		buf_str(body, "The Host header must be HOST:PORT, the address of the exporter.");
		return 400;
	}
	buf_str(body, "[");
	for (size_t i = 0; i < f->ntargets; i++) {
		const struct target *t = f->targets[i];
		/* Names hold no character that would need an escape. */
		buf_printf(body,
		    "%s\n{\"targets\":[\"%s\"],\"labels\":{\"__metrics_path__\":\"/probe\","
		    "\"__param_target\":\"%s\",\"target\":\"%s\","
		    "\"__meta_datatier_collector\":\"%s\"}}",
		    i > 0 ? "," : "", host, t->name, t->name, t->collector->name);
	}
	buf_str(body, "\n]\n");
	return 200;
}
