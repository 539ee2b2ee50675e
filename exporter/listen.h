/*
 * listen.h - listening sockets from "HOST:PORT".
 */
#ifndef EXPORTER_LISTEN_H
#define EXPORTER_LISTEN_H

#include <stdbool.h>
#include <stddef.h>

/* Whether it has the form HOST:PORT that listen_on takes; the host is not looked up. */
bool listen_is_address(const char *address);

/* "[::]:10071" (all addresses, IPv4 and IPv6; IPv4 alone on a machine without
 * IPv6), ":10071" (the same), "0.0.0.0:10071", "127.0.0.1:0" (any free port),
 * "[::1]:10071", "localhost:10071" (a name: its first IPv4 address, or else its first).
 * Returns a non-blocking socket and the port it got; -1: why has one sentence. */
int listen_on(const char *address, unsigned *port, char *why, size_t size);

#endif
