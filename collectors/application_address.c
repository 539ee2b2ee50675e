/*
 * application_address.c - where the instances are, and whether the options make
 * sense together.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "application.h"

static bool
say(char why[static WHY_MAX], const char *words)
{
	snprintf(why, WHY_MAX, "%s", words);
	return false;
}

static bool
has_part(CURLU *u, CURLUPart part)
{
	char *value = NULL;
	bool has = curl_url_get(u, part, &value, 0) == CURLUE_OK && value[0] != '\0';

	curl_free(value);
	return has;
}

/* The name an instance goes by: host:port, and the path where that is wanted. */
static char *
shown_name(CURLU *u, bool path)
{
	char *host = NULL, *port = NULL, *where = NULL, *shown = NULL;

	if (curl_url_get(u, CURLUPART_HOST, &host, 0) == CURLUE_OK &&
	    curl_url_get(u, CURLUPART_PORT, &port, CURLU_DEFAULT_PORT) == CURLUE_OK &&
	    curl_url_get(u, CURLUPART_PATH, &where, 0) == CURLUE_OK &&
	    asprintf(&shown, "%s:%s%s", host, port, path ? where : "") < 0)
		shown = NULL;
	curl_free(host);
	curl_free(port);
	curl_free(where);
	return shown;
}

static bool
read_url(struct application_address *a, CURLU *u, const char *url, char why[static WHY_MAX])
{
	if (strncmp(url, "http://", 7) != 0 && strncmp(url, "https://", 8) != 0)
		return say(why, "url: an address begins with http:// or https://");
	if (strlen(url) > 2000 || curl_url_set(u, CURLUPART_URL, url, 0) != CURLUE_OK)
		return say(why, "url cannot be read: expected http://host:port/path");
	if (has_part(u, CURLUPART_USER) || has_part(u, CURLUPART_PASSWORD))
		return say(why, "url: user and password do not stand in the address, they are "
				"the options username and password");
	a->tls = url[4] == 's';
	a->url = strdup(url);
	a->shown = shown_name(u, false);
	return a->url != NULL && a->shown != NULL ? true : say(why, "url has no host");
}

static bool
add_address(
    struct application_address *list, unsigned *n, const char *url, char why[static WHY_MAX])
{
	if (*n == APPLICATION_INSTANCES_MAX) {
		snprintf(why, WHY_MAX, "more than %d instances", APPLICATION_INSTANCES_MAX);
		return false;
	}
	CURLU *u = curl_url();
	bool good = u != NULL ? read_url(&list[*n], u, url, why) : say(why, "out of memory");
	for (unsigned i = 0; i < *n && good; i++)
		if (strcmp(list[i].url, url) == 0)
			good = say(why, "url: an address stands twice");
	++*n;
	curl_url_cleanup(u);
	return good;
}

/* Elements may hold several, with commas between. */
static bool
add_addresses(
    struct application_address *list, unsigned *n, const char *urls, char why[static WHY_MAX])
{
	char *copy = strdup(urls);
	struct text rest = text_of(copy);
	bool good = copy != NULL || say(why, "out of memory");

	while (good && rest.ptr != NULL) {
		struct text url = text_trim(text_cut(&rest, ','));
		char *end = copy + (url.ptr - copy) + url.len;
		if (url.len == 0)
			continue;
		*end = '\0';
		good = add_address(list, n, url.ptr, why);
	}
	free(copy);
	return good;
}

/* Those that share host and port are told apart by their path; by nothing else,
 * or one page would be counted twice where its address is written in two ways. */
static bool
tell_apart(struct application_address *list, unsigned n, char why[static WHY_MAX])
{
	bool same[APPLICATION_INSTANCES_MAX] = { false };

	for (unsigned i = 0; i < n; i++)
		for (unsigned k = 0; k < i; k++)
			if (strcmp(list[i].shown, list[k].shown) == 0)
				same[i] = same[k] = true;
	for (unsigned i = 0; i < n; i++) {
		CURLU *u = same[i] ? curl_url() : NULL;
		char *shown =
		    u != NULL && curl_url_set(u, CURLUPART_URL, list[i].url, 0) == CURLUE_OK
			? shown_name(u, true)
			: NULL;
		curl_url_cleanup(u);
		if (same[i] && shown == NULL)
			return say(why, "out of memory");
		if (shown == NULL)
			continue;
		free(list[i].shown);
		list[i].shown = shown;
		for (unsigned k = 0; k < i; k++)
			if (strcmp(list[i].shown, list[k].shown) == 0)
				return say(
				    why, "url: two addresses have the same host, port and path");
	}
	return true;
}

int
application_addresses_read(struct application_address list[APPLICATION_INSTANCES_MAX],
    const struct application_conf *conf, char why[static WHY_MAX])
{
	unsigned n = 0;

	memset(list, 0, APPLICATION_INSTANCES_MAX * sizeof *list);
	if (conf->url != NULL && conf->urls[0] != NULL) {
		say(why, "either url or urls, not both");
		return -1;
	}
	if (conf->url != NULL && !add_addresses(list, &n, conf->url, why))
		return -1;
	for (unsigned i = 0; conf->urls[i] != NULL; i++)
		if (!add_addresses(list, &n, conf->urls[i], why))
			return -1;
	if (n == 0)
		say(why, "url is missing: the address of the service's metrics page");
	else if (tell_apart(list, n, why))
		return (int)n;
	return -1;
}

void
application_addresses_free(struct application_address list[APPLICATION_INSTANCES_MAX])
{
	for (unsigned i = 0; i < APPLICATION_INSTANCES_MAX; i++) {
		free(list[i].url);
		free(list[i].shown);
		list[i] = (struct application_address){ 0 };
	}
}

/* ---- all options ---- */

/* What would end a header and begin another one. */
static bool
is_header_text(const char *s)
{
	for (; s != NULL && *s != '\0'; s++)
		if ((unsigned char)*s < 0x20 || *s == 0x7f)
			return false;
	return true;
}

static bool
check_credentials(const struct application_conf *c, char why[static WHY_MAX])
{
	if (c->bearer_token != NULL && (c->username != NULL || c->password != NULL))
		return say(why, "either bearer_token, or username and password");
	if ((c->username != NULL) != (c->password != NULL))
		return say(why, c->username != NULL ? "username without password"
						    : "password without username");
	if (c->username != NULL && strchr(c->username, ':') != NULL)
		return say(why, "username must not have a colon in it");
	if (!is_header_text(c->bearer_token))
		return say(why, "bearer_token must be one line without control characters");
	return true;
}

bool
application_check(const void *options, char why[static WHY_MAX])
{
	const struct application_conf *conf = options;
	struct application_address list[APPLICATION_INSTANCES_MAX];
	struct application_plan *plan = malloc(sizeof *plan);
	bool tls = false, good = plan != NULL || say(why, "out of memory");

	int n = application_addresses_read(list, conf, why);
	for (int i = 0; i < n; i++)
		tls = tls || list[i].tls;
	application_addresses_free(list);
	good = good && n > 0 && check_credentials(conf, why) &&
	       shared_tls_check(&conf->tls, tls, "https", why);
	if (good) {
		good = application_plan_make(plan, conf, why);
		application_plan_free(plan);
	}
	free(plan);
	return good;
}
