/*
 * http_client.h - an HTTP client that sends whatever it is told, for tests.
 */
#ifndef TESTS_HTTP_CLIENT_H
#define TESTS_HTTP_CLIENT_H

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include "../exporter/buf.h"

enum { CLIENT_SECONDS = 20 }; /* no answer by then is a failure */

struct reply {
	int        code; /* 0: the connection ended without a reply */
	char       head[4096];
	struct buf body;
};

/* -1: refused.  from may be NULL: any address. */
static inline int client_connect(unsigned port, const char *from)
{
	int                fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	struct timeval     limit = { .tv_sec = CLIENT_SECONDS };
	struct sockaddr_in in = { .sin_family = AF_INET, .sin_port = htons((uint16_t)port) };

	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
	setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof limit);
	if (from != NULL) {
		struct sockaddr_in source = { .sin_family = AF_INET };
		inet_pton(AF_INET, from, &source.sin_addr);
		if (bind(fd, (struct sockaddr *)&source, sizeof source) < 0)
			abort();
	}
	in.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	if (connect(fd, (struct sockaddr *)&in, sizeof in) == 0)
		return fd;
	close(fd);
	return -1;
}

/* False: the other end does not listen any more. */
static inline bool client_send(int fd, const void *bytes, size_t len)
{
	for (size_t sent = 0; sent < len;) {
		ssize_t n = send(fd, (const char *)bytes + sent, len - sent, MSG_NOSIGNAL);
		if (n <= 0)
			return false;
		sent += (size_t)n;
	}
	return true;
}

static inline bool client_say(int fd, const char *text)
{
	return client_send(fd, text, strlen(text));
}

/* "" where there is no such header. */
static inline const char *reply_header(const struct reply *r, const char *name)
{
	static char value[1024];
	size_t      len = strlen(name);

	value[0] = '\0';
	for (const char *line = strstr(r->head, "\r\n"); line != NULL;
	     line = strstr(line, "\r\n")) {
		line += 2;
		if (strncasecmp(line, name, len) == 0 && strncmp(line + len, ": ", 2) == 0)
			snprintf(value, sizeof value, "%.*s", (int)strcspn(line + len + 2, "\r"),
			    line + len + 2);
	}
	return value;
}

static inline bool client_read_head(int fd, struct reply *r)
{
	size_t len = 0;

	while (len + 1 < sizeof r->head && recv(fd, r->head + len, 1, 0) == 1) {
		r->head[++len] = '\0';
		if (len >= 4 && memcmp(r->head + len - 4, "\r\n\r\n", 4) == 0)
			return sscanf(r->head, "HTTP/1.1 %d", &r->code) == 1;
	}
	return false;
}

/* Reads one reply; without_body for HEAD.  False: there is none, or it is cut. */
static inline bool client_read(int fd, struct reply *r, bool without_body)
{
	*r = (struct reply){ .body = BUF(256 * 1024 * 1024) };
	if (!client_read_head(fd, r))
		return false;
	size_t left = without_body ? 0 : strtoul(reply_header(r, "Content-Length"), NULL, 10);
	while (left > 0) {
		char    bytes[65536];
		ssize_t n = recv(fd, bytes, left < sizeof bytes ? left : sizeof bytes, 0);
		if (n <= 0)
			return false;
		buf_add(&r->body, bytes, (size_t)n);
		left -= (size_t)n;
	}
	buf_add(&r->body, "", 1);
	r->body.len--;
	return true;
}

/* The other end has closed: nothing more comes. */
static inline bool client_at_end(int fd)
{
	char byte;

	return recv(fd, &byte, 1, 0) <= 0;
}

/* One request on a connection of its own; more is further header lines. */
static inline struct reply client_get(
    unsigned port, const char *method, const char *address, const char *more)
{
	int          fd = client_connect(port, NULL);
	struct buf   request = BUF(1 << 20);
	struct reply r;

	buf_printf(&request, "%s %s HTTP/1.1\r\nHost: here\r\n%s\r\n", method, address, more);
	if (fd < 0 || !client_send(fd, request.ptr, request.len) ||
	    !client_read(fd, &r, strcmp(method, "HEAD") == 0))
		r.code = 0;
	buf_free(&request);
	if (fd >= 0)
		close(fd);
	return r;
}

#endif
