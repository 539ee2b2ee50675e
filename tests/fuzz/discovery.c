/*
 * Host headers: what is taken is on the page as it came, and ends no string there.
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../../exporter/discovery.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const struct collector redis = { .name = "redis" };
static struct target target = { .name = "cache", .collector = &redis };

static void
check_page(const char *host, const struct buf *body)
{
	static const char begin[] = "[\n{\"targets\":[\"";
	size_t len = strlen(host);

	if (body->len < sizeof begin + len || memcmp(body->ptr, begin, sizeof begin - 1) != 0 ||
	    memcmp(body->ptr + sizeof begin - 1, host, len) != 0 ||
	    body->ptr[sizeof begin - 1 + len] != '"')
		abort();
	for (size_t i = 0; i < len; i++)
		if (host[i] <= ' ' || host[i] > '~' || strchr("\"\\/@", host[i]) != NULL)
			abort();
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct target *targets[] = { &target };
	struct fleet f = { .targets = targets, .ntargets = 1 };
	struct buf body = BUF(1 << 20);
	char *host = malloc(size + 1);

	if (host == NULL)
		return 0;
	memcpy(host, data, size);
	host[size] = '\0';
	if (discovery_page(&f, host, &body) == 200)
		check_page(host, &body);
	buf_free(&body);
	free(host);
	return 0;
}
