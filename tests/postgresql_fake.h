/*
 * postgresql_fake.h - servers that speak PostgreSQL's protocol, well or badly, for
 * the tests of that collector.  Behind cmocka.h.
 */
#ifndef TESTS_POSTGRESQL_FAKE_H
#define TESTS_POSTGRESQL_FAKE_H

#include <arpa/inet.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "../exporter/buf.h"

enum { CONNECTIONS_MAX = 64 };

enum manner {
	GOOD,
	MUTE,
	DRIPS_LOGIN,
	FLOODS_LOGIN,
	SPEAKS_HTTP,
	TELLS_PASSWORD,
	TOO_OLD,
	MUTE_AFTER_LOGIN,
	DRIPS,
	FLOODS,
	COPIES,
	CLOSES_HALF_WAY,
	GARBAGE,
	NO_ROWS,
	ERRORS,
	FATAL_ERROR,
	HUGE_ROW,
	LYING_LENGTHS,
	TOO_MANY_ANSWERS,
	NULLS,
	CONSOLE,
	CONSOLE_MUTE,
	CONSOLE_ERRORS,
	CONSOLE_CLOSES,
};

static struct {
	int                 fd;
	unsigned            port;
	_Atomic enum manner manner;
	atomic_bool         stop;
	atomic_uint         connections;
	pthread_t           listener, threads[CONNECTIONS_MAX];
} server;

static inline void put32(struct buf *b, uint32_t n)
{
	n = htonl(n);
	buf_add(b, &n, sizeof n);
}

static inline void put16(struct buf *b, uint16_t n)
{
	n = htons(n);
	buf_add(b, &n, sizeof n);
}

static inline void message(struct buf *out, char type, const void *body, size_t len)
{
	buf_char(out, type);
	put32(out, (uint32_t)len + 4);
	buf_add(out, body, len);
}

static inline void parameter(struct buf *out, const char *name, const char *value)
{
	struct buf b = BUF(4096);

	buf_add(&b, name, strlen(name) + 1);
	buf_add(&b, value, strlen(value) + 1);
	message(out, 'S', b.ptr, b.len);
	buf_free(&b);
}

static inline void login(struct buf *out, const char *version)
{
	message(out, 'R', "\0\0\0\0", 4);
	parameter(out, "server_version", version);
	parameter(out, "client_encoding", "UTF8");
	message(out, 'K', "\0\0\0\007\0\0\0\1", 8);
	message(out, 'Z', "I", 1);
}

/* Column, value: what the first question wants; for the others, so many
 * unknown columns, and some that are none of their type. */
static const char *const good_table[][2] = {
	{ "monitor", "1" },
	{ "pid", "7" },
	{ "role", "me" },
	{ "database", "db" },
	{ "max_connections", "123" },
	{ "reserved", "3" },
	{ "loaded", "1" },
	{ "started", "1000" },
	{ "now", "2000" },
	{ "extension", "109" },
	{ "schema", "public" },
	{ "mode", "AccessShareLock" },
	{ "locks", "many" },
	{ "queryid", "1" },
	{ "calls", "1" },
	{ "wal_bytes", "-5" },
	{ "dealloc", "nan" },
	{ "entries_max", "1e400" },
	{ "query", "select" },
};
static const char *const console_table[][2] = {
	{ "database", "chat" },
	{ "user", "me" },
	{ "name", "chat" },
	{ "cl_waiting", "3" },
	{ "pool_size", "20" },
	{ "sv_active", "4" },
	{ "maxwait", "x" },
	{ "total_wait_time", "1000000" },
	{ "total_xact_count", "9" },
};

static inline void table(struct buf *out, const char *const (*cells)[2], size_t n, bool nulls)
{
	struct buf head = BUF(1 << 16), line = BUF(1 << 16);

	put16(&head, (uint16_t)n);
	put16(&line, (uint16_t)n);
	for (size_t i = 0; i < n; i++) {
		buf_add(&head, cells[i][0], strlen(cells[i][0]) + 1);
		put32(&head, 0), put16(&head, 0), put32(&head, 25), put16(&head, 0xffff);
		put32(&head, 0xffffffff), put16(&head, 0);
		put32(&line, nulls ? 0xffffffff : (uint32_t)strlen(cells[i][1]));
		if (!nulls)
			buf_str(&line, cells[i][1]);
	}
	message(out, 'T', head.ptr, head.len);
	message(out, 'D', line.ptr, line.len);
	message(out, 'C', "SELECT 1", 9);
	buf_free(&head);
	buf_free(&line);
}

static inline void error(struct buf *out, const char *severity)
{
	struct buf b = BUF(4096);

	buf_char(&b, 'S'), buf_add(&b, severity, strlen(severity) + 1);
	buf_add(&b, "VERROR\0C42501\0Mnot \033[31mfor\nyou\0", 32);
	buf_char(&b, 0);
	message(out, 'E', b.ptr, b.len);
	buf_free(&b);
}

static inline bool stopping(void) { return atomic_load(&server.stop); }

/* Slowly: a byte each pause; false: the client is gone. */
static inline bool send_all(int fd, const struct buf *b, int pause_ms)
{
	size_t step = pause_ms > 0 ? 1 : b->len;

	for (size_t at = 0; at < b->len && !stopping(); at += step) {
		if (send(fd, b->ptr + at, step, MSG_NOSIGNAL) < 0)
			return false;
		if (pause_ms > 0)
			poll(NULL, 0, pause_ms);
	}
	return !stopping();
}

static inline bool receive(int fd, void *to, size_t n)
{
	struct pollfd p = { .fd = fd, .events = POLLIN };

	for (size_t got = 0; got < n;) {
		if (stopping())
			return false;
		if (poll(&p, 1, 20) <= 0)
			continue;
		ssize_t r = recv(fd, (char *)to + got, n - got, 0);
		if (r <= 0)
			return false;
		got += (size_t)r;
	}
	return true;
}

/* The client's next message; its type, 0 when the client is gone. */
static inline char next_message(int fd, bool startup)
{
	char     type = 'x', rest[4096];
	uint32_t len;

	if ((!startup && !receive(fd, &type, 1)) || !receive(fd, &len, 4))
		return 0;
	for (len = ntohl(len) - 4; len > 0;) {
		size_t n = len < sizeof rest ? len : sizeof rest;
		if (!receive(fd, rest, n))
			return 0;
		len -= (uint32_t)n;
	}
	return type;
}

/* For as long as the client takes it. */
static inline void flood(int fd, const struct buf *b)
{
	while (send_all(fd, b, 0))
		continue;
}

static inline void wait_for_end(int fd)
{
	while (next_message(fd, false) != 0)
		continue;
}

static inline bool is_console(enum manner m) { return m >= CONSOLE; }

/* The log-in, in its manner; false: that was it. */
static inline bool greet(int fd, enum manner m, struct buf *out)
{
	if (next_message(fd, true) == 0)
		return false;
	login(out, m == TOO_OLD ? "9.6.24" : is_console(m) ? "1.18.0/bouncer" : "15.4");
	switch (m) {
	case MUTE:
		wait_for_end(fd);
		return false;
	case DRIPS_LOGIN:
		send_all(fd, out, 30);
		return false;
	case FLOODS_LOGIN:
		buf_reset(out);
		message(out, 'R', "\0\0\0\0", 4);
		send_all(fd, out, 0);
		buf_reset(out);
		for (int i = 0; i < 1000; i++)
			parameter(out, "name", "value of a parameter");
		flood(fd, out);
		return false;
	case SPEAKS_HTTP:
		buf_reset(out);
		buf_str(out, "HTTP/1.1 400 Bad Request\r\n\r\n");
		send_all(fd, out, 0);
		return false;
	case TELLS_PASSWORD:
		buf_reset(out);
		message(out, 'E', "SFATAL\0C28P01\0Mnot h1dd3n-w0rd!\0", 33);
		send_all(fd, out, 0);
		return false;
	default:
		break;
	}
	return send_all(fd, out, 0);
}

static inline void answer_rows(struct buf *out, enum manner m)
{
	static const char huge[] = { 'D', 0x3f, 0, 0, 0, 0, 1, 0x3e, 0, 0, 0 };
	static const char lying[] = { 'D', 0, 0, 0, 15, 0, 18, 0x7f, 0, 0, 0, 'a', 'b', 'c', 'd',
		'e' };

	switch (m) {
	case COPIES:
		message(out, 'H', "\0\0\1\0\0", 5);
		break;
	case GARBAGE:
		buf_add(out, "\377\0\0\0\4zzzzzzzzzzzzzzzzzzzzzzzzzzzzzz", 35);
		break;
	case NO_ROWS:
		message(out, 'T', "\0\1a\0\0\0\0\0\0\0\0\0\0\31\377\377\377\377\377\377\0\0", 22);
		message(out, 'C', "SELECT 0", 9);
		break;
	case ERRORS:
		error(out, "ERROR");
		break;
	case FATAL_ERROR:
		error(out, "FATAL");
		break;
	case HUGE_ROW:
		table(out, good_table, COUNT(good_table), false);
		out->len -= 14 + 40;
		buf_add(out, huge, sizeof huge);
		break;
	case LYING_LENGTHS:
		buf_add(out, lying, sizeof lying);
		break;
	case TOO_MANY_ANSWERS:
		for (int i = 0; i < 50; i++)
			table(out, good_table, COUNT(good_table), false);
		break;
	default:
		table(out, good_table, COUNT(good_table), m == NULLS);
		break;
	}
}

/* One answer to what has come since the last sync. */
static inline bool answer(int fd, enum manner m, struct buf *out, bool parsed)
{
	buf_reset(out);
	if (parsed)
		message(out, '1', NULL, 0);
	message(out, '2', NULL, 0);
	answer_rows(out, m);
	message(out, 'Z', "I", 1);
	if (m == FLOODS) {
		out->len -= 14 + 6; /* the rows have no end */
		if (!send_all(fd, out, 0))
			return false;
		buf_reset(out);
		for (int i = 0; i < 1000; i++)
			message(out, 'D', "\0\0", 2);
		flood(fd, out);
		return false;
	}
	if (m == CLOSES_HALF_WAY) {
		out->len /= 2;
		send_all(fd, out, 0);
		return false;
	}
	return send_all(fd, out, m == DRIPS ? 30 : 0);
}

static inline bool answer_show(int fd, enum manner m, struct buf *out)
{
	if (m == CONSOLE_MUTE)
		return true;
	buf_reset(out);
	if (m == CONSOLE_ERRORS)
		error(out, "ERROR");
	else
		table(out, console_table, COUNT(console_table), false);
	message(out, 'Z', "I", 1);
	if (m == CONSOLE_CLOSES)
		out->len /= 2;
	return send_all(fd, out, 0) && m != CONSOLE_CLOSES;
}

static inline void *serve(void *arg)
{
	int         fd = (int)(intptr_t)arg;
	enum manner m = atomic_load(&server.manner);
	struct buf  out = BUF(1 << 22);
	bool        going = greet(fd, m, &out), parsed = false;
	char        type;

	while (going && (type = next_message(fd, false)) != 0) {
		if (type == 'P')
			parsed = true;
		if (type == 'S' && m != MUTE_AFTER_LOGIN) {
			going = answer(fd, m, &out, parsed);
			parsed = false;
		}
		if (type == 'Q')
			going = answer_show(fd, m, &out);
	}
	buf_free(&out);
	close(fd);
	return NULL;
}

static inline void *listen_on(void *arg)
{
	struct pollfd p = { .fd = server.fd, .events = POLLIN };

	(void)arg;
	while (!stopping()) {
		if (poll(&p, 1, 20) <= 0)
			continue;
		int      fd = accept(server.fd, NULL, NULL);
		unsigned i = atomic_load(&server.connections);
		if (fd < 0 || i == CONNECTIONS_MAX ||
		    pthread_create(&server.threads[i], NULL, serve, (void *)(intptr_t)fd) != 0)
			abort();
		atomic_store(&server.connections, i + 1);
	}
	return NULL;
}

static inline int server_start(void **state)
{
	struct sockaddr_in a = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t          len = sizeof a;

	(void)state;
	atomic_store(&server.stop, false);
	atomic_store(&server.connections, 0);
	server.fd = socket(AF_INET, SOCK_STREAM, 0);
	if (server.fd < 0 || bind(server.fd, (struct sockaddr *)&a, len) != 0 ||
	    listen(server.fd, 16) != 0 || getsockname(server.fd, (struct sockaddr *)&a, &len) != 0)
		return -1;
	server.port = ntohs(a.sin_port);
	return pthread_create(&server.listener, NULL, listen_on, NULL);
}

static inline int server_stop(void **state)
{
	(void)state;
	atomic_store(&server.stop, true);
	pthread_join(server.listener, NULL);
	for (unsigned i = 0; i < atomic_load(&server.connections); i++)
		pthread_join(server.threads[i], NULL);
	close(server.fd);
	return 0;
}

#endif
