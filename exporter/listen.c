/*
 * listen.c - see listen.h.
 */
#include "listen.h"

#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "text.h"

enum {
	BACKLOG = 128,
	HOST_MAX = 256,
};

struct host_port {
	char host[HOST_MAX];
	char port[8];
	bool every; /* all addresses of the machine, IPv4 and IPv6 */
};

/* False: it is not HOST:PORT. */
static bool
split(const char *address, struct host_port *hp)
{
	const char *colon = strrchr(address, ':');
	int64_t port;

	if (colon == NULL || !text_integer(text_of(colon + 1), &port) || port < 0 || port > 65535)
		return false;
	snprintf(hp->port, sizeof hp->port, "%d", (int)port);

	struct text host = { address, (size_t)(colon - address) };
	bool brackets = host.len >= 2 && host.ptr[0] == '[' && host.ptr[host.len - 1] == ']';
	if (brackets)
		host = (struct text){ host.ptr + 1, host.len - 2 };
	if (brackets != (memchr(host.ptr, ':', host.len) != NULL) || host.len >= HOST_MAX)
		return false;
	if (host.len == 0)
		host = TEXT("::");
	memcpy(hp->host, host.ptr, host.len);
	hp->host[host.len] = '\0';
	hp->every = text_is(host, "::");
	return true;
}

bool
listen_is_address(const char *address)
{
	struct host_port hp;

	return split(address, &hp);
}

static int
resolve(const struct host_port *hp, struct addrinfo **found)
{
	struct addrinfo hints = { .ai_socktype = SOCK_STREAM,
		.ai_flags = AI_PASSIVE | AI_NUMERICSERV };

	return getaddrinfo(hp->host, hp->port, &hints, found);
}

/* Of a name with several addresses the IPv4 one, as Prometheus' programs do. */
static const struct addrinfo *
choose(const struct addrinfo *found)
{
	for (const struct addrinfo *ai = found; ai != NULL; ai = ai->ai_next)
		if (ai->ai_family == AF_INET)
			return ai;
	return found;
}

/* -1: errno says why. */
static int
open_socket(const struct addrinfo *ai)
{
	int fd = socket(ai->ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	int on = 1, off = 0;

	if (fd < 0)
		return -1;
	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
	if (ai->ai_family == AF_INET6)
		setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &off, sizeof off);
	if (bind(fd, ai->ai_addr, ai->ai_addrlen) == 0 && listen(fd, BACKLOG) == 0)
		return fd;
	int saved = errno;
	close(fd);
	errno = saved;
	return -1;
}

/* getaddrinfo's own code, or 0 and *fd (-1: errno). */
static int
open_address(const struct host_port *hp, int *fd)
{
	struct addrinfo *found;
	int code = resolve(hp, &found);

	*fd = -1;
	if (code != 0)
		return code;
	*fd = open_socket(choose(found));
	int saved = errno;
	freeaddrinfo(found);
	errno = saved;
	return 0;
}

static bool
no_such_family(int code, int error)
{
	return code == EAI_FAMILY || code == EAI_ADDRFAMILY ||
	       (code == 0 && (error == EAFNOSUPPORT || error == EADDRNOTAVAIL));
}

static const char *
reason(int code, int error)
{
	if (code == EAI_SYSTEM)
		return strerror(error);
	if (code != 0)
		return gai_strerror(code);
	switch (error) {
	case EADDRINUSE: return "another program uses this address and port";
	case EADDRNOTAVAIL: return "this machine has no such address";
	case EAFNOSUPPORT: return "this machine has no IPv6";
	case EACCES: return "ports below 1024 take a privilege that this process has not";
	default: return strerror(error);
	}
}

static unsigned
port_of(int fd)
{
	union {
		struct sockaddr any;
		struct sockaddr_in in;
		struct sockaddr_in6 in6;
	} name = { .in6 = { .sin6_family = AF_UNSPEC } };
	socklen_t len = sizeof name;

	if (getsockname(fd, &name.any, &len) < 0)
		return 0;
	return ntohs(name.any.sa_family == AF_INET6 ? name.in6.sin6_port : name.in.sin_port);
}

int
listen_on(const char *address, unsigned *port, char *why, size_t size)
{
	struct host_port hp = { .every = false };
	int fd;

	if (!split(address, &hp)) {
		snprintf(why, size,
		    "cannot listen on \"%.300s\": expected HOST:PORT, such as \"0.0.0.0:10071\" or "
		    "\"[::]:10071\"",
		    address);
		return -1;
	}
	int code = open_address(&hp, &fd);
	if (fd < 0 && hp.every && no_such_family(code, errno)) {
		memcpy(hp.host, "0.0.0.0", sizeof "0.0.0.0");
		code = open_address(&hp, &fd);
	}
	if (fd < 0) {
		snprintf(
		    why, size, "cannot listen on \"%.300s\": %s", address, reason(code, errno));
		return -1;
	}
	*port = port_of(fd);
	return fd;
}
