/*
 * redis_address.c - redis://, rediss:// and unix:// addresses, and the options
 * that go with them.
 */
#include <stdio.h>
#include <string.h>
#include <sys/un.h>

#include "redis.h"

#define REDIS_PORT "6379"

static bool
say(char why[static WHY_MAX], const char *words)
{
	snprintf(why, WHY_MAX, "%s", words);
	return false;
}

static bool
read_socket(struct redis_address *a, const char *path, char why[static WHY_MAX])
{
	if (path[0] != '/')
		return say(why, "uri: unix:// is followed by an absolute path");
	if (strlen(path) >= sizeof((struct sockaddr_un *)0)->sun_path)
		return say(why, "uri: the path of the unix socket is too long");
	a->socket = path;
	snprintf(a->shown, sizeof a->shown, "%s", path);
	snprintf(a->url, sizeof a->url, "http://localhost/");
	return true;
}

/* NULL where the address has no such part. */
static char *
url_part(CURLU *u, CURLUPart part, unsigned flags)
{
	char *value = NULL;

	if (curl_url_get(u, part, &value, flags) != CURLUE_OK)
		return NULL;
	return value;
}

static bool
is_name(const char *name)
{
	size_t len =
	    strspn(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.-_");

	return len > 0 && len < 254 && name[len] == '\0';
}

static bool
read_url(struct redis_address *a, CURLU *u, const struct redis_conf *conf, char why[static WHY_MAX])
{
	const char *name = conf->tls_server_name;

	if (name != NULL && !is_name(name))
		return say(why, "tls_server_name is no host name");
	if (curl_url_set(u, CURLUPART_URL, conf->uri, CURLU_NON_SUPPORT_SCHEME) != CURLUE_OK)
		return say(why, "uri cannot be read: expected redis://[user:password@]host[:port], "
				"special characters of the password as %XX");
	char *host = url_part(u, CURLUPART_HOST, 0);
	char *port = url_part(u, CURLUPART_PORT, 0);
	bool good = host != NULL && host[0] != '\0' && strlen(host) < 256;

	a->uri_user = url_part(u, CURLUPART_USER, CURLU_URLDECODE);
	a->uri_password = url_part(u, CURLUPART_PASSWORD, CURLU_URLDECODE);
	if (good) {
		const char *number = port != NULL ? port : REDIS_PORT;
		snprintf(a->shown, sizeof a->shown, "%s:%s", host, number);
		/* libcurl verifies the name it finds in the URL, wherever it connects to. */
		if (name != NULL)
			snprintf(a->url, sizeof a->url, "https://%s:%s/", name, number);
		else
			snprintf(
			    a->url, sizeof a->url, "%s://%s/", a->tls ? "https" : "http", a->shown);
		snprintf(a->connect_to, sizeof a->connect_to, "::%s", a->shown);
	}
	curl_free(host);
	curl_free(port);
	return good ? true : say(why, "uri has no host");
}

/* An option takes a place that the address leaves empty; both is a mistake. */
static bool
choose(const char **chosen, const char *part, const char *option, const char *words,
    char why[static WHY_MAX])
{
	bool in_uri = part != NULL && part[0] != '\0';
	bool given = option != NULL && option[0] != '\0';

	if (in_uri && given)
		return say(why, words);
	*chosen = in_uri ? part : given ? option : NULL;
	return true;
}

static bool
check_options(struct redis_address *a, const struct redis_conf *conf, char why[static WHY_MAX])
{
	if (!choose(&a->user, a->uri_user, conf->username, "username stands in uri as well", why) ||
	    !choose(&a->password, a->uri_password, conf->password, "password stands in uri as well",
		why))
		return false;
	if (a->user != NULL && a->password == NULL)
		return say(why, "a user name without a password");
	if (!a->tls && conf->tls_server_name != NULL)
		return say(why, "tls_server_name is for rediss:// addresses");
	return shared_tls_check(&conf->tls, a->tls, "rediss", why);
}

bool
redis_address_read(struct redis_address *a, const struct redis_conf *conf, char why[static WHY_MAX])
{
	static const char unix_scheme[] = "unix://";

	*a = (struct redis_address){ .tls = strncmp(conf->uri, "rediss://", 9) == 0 };
	if (strncmp(conf->uri, unix_scheme, sizeof unix_scheme - 1) == 0)
		return read_socket(a, conf->uri + sizeof unix_scheme - 1, why) &&
		       check_options(a, conf, why);
	if (!a->tls && strncmp(conf->uri, "redis://", 8) != 0)
		return say(why, "uri must begin with redis://, rediss:// or unix://");

	CURLU *u = curl_url();
	if (u == NULL)
		return say(why, "out of memory");
	bool good = read_url(a, u, conf, why) && check_options(a, conf, why);
	curl_url_cleanup(u);
	return good;
}

void
redis_address_free(struct redis_address *a)
{
	curl_free(a->uri_user);
	curl_free(a->uri_password);
	*a = (struct redis_address){ 0 };
}

bool
redis_check(const void *conf, char why[static WHY_MAX])
{
	struct redis_address a;
	bool good = redis_address_read(&a, conf, why) && redis_prefixes_check(conf, why);

	redis_address_free(&a);
	return good;
}
