/*
 * The PostgreSQL collector against servers that mean no good: mute, slow,
 * endless, of the wrong type, gone half way.  Each must end in one sentence
 * within the deadline, and a good server is read again afterwards.
 */
/* Before cmocka.h, whose fail() is a macro. */
#include "../exporter/buf.h"
#include "../exporter/collector.h"
#include "../exporter/sink.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <arpa/inet.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum { DEADLINE_MS = 600, GRACE_MS = 400, CONNECTIONS_MAX = 64 };

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

/* ---- a server ---- */

static struct {
	int fd;
	unsigned port;
	_Atomic enum manner manner;
	atomic_bool stop;
	atomic_uint connections;
	pthread_t listener, threads[CONNECTIONS_MAX];
} server;

static void
put32(struct buf *b, uint32_t n)
{
	n = htonl(n);
	buf_add(b, &n, sizeof n);
}

static void
put16(struct buf *b, uint16_t n)
{
	n = htons(n);
	buf_add(b, &n, sizeof n);
}

static void
message(struct buf *out, char type, const void *body, size_t len)
{
	buf_char(out, type);
	put32(out, (uint32_t)len + 4);
	buf_add(out, body, len);
}

static void
parameter(struct buf *out, const char *name, const char *value)
{
	struct buf b = BUF(4096);

	buf_add(&b, name, strlen(name) + 1);
	buf_add(&b, value, strlen(value) + 1);
	message(out, 'S', b.ptr, b.len);
	buf_free(&b);
}

static void
login(struct buf *out, const char *version)
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

static void
table(struct buf *out, const char *const (*cells)[2], size_t n, bool nulls)
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

static void
error(struct buf *out, const char *severity)
{
	struct buf b = BUF(4096);

	buf_char(&b, 'S'), buf_add(&b, severity, strlen(severity) + 1);
	buf_add(&b, "VERROR\0C42501\0Mnot \033[31mfor\nyou\0", 32);
	buf_char(&b, 0);
	message(out, 'E', b.ptr, b.len);
	buf_free(&b);
}

static bool
stopping(void)
{
	return atomic_load(&server.stop);
}

/* Slowly: a byte each pause; false: the client is gone. */
static bool
send_all(int fd, const struct buf *b, int pause_ms)
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

static bool
receive(int fd, void *to, size_t n)
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
static char
next_message(int fd, bool startup)
{
	char type = 'x', rest[4096];
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
static void
flood(int fd, const struct buf *b)
{
	while (send_all(fd, b, 0))
		continue;
}

static void
wait_for_end(int fd)
{
	while (next_message(fd, false) != 0)
		continue;
}

static bool
is_console(enum manner m)
{
	return m >= CONSOLE;
}

/* The log-in, in its manner; false: that was it. */
static bool
greet(int fd, enum manner m, struct buf *out)
{
	if (next_message(fd, true) == 0)
		return false;
	login(out, m == TOO_OLD ? "9.6.24" : is_console(m) ? "1.18.0/bouncer" : "15.4");
	switch (m) {
	case MUTE: wait_for_end(fd); return false;
	case DRIPS_LOGIN: send_all(fd, out, 30); return false;
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
	default: break;
	}
	return send_all(fd, out, 0);
}

static void
answer_rows(struct buf *out, enum manner m)
{
	static const char huge[] = { 'D', 0x3f, 0, 0, 0, 0, 1, 0x3e, 0, 0, 0 };
	static const char lying[] = { 'D', 0, 0, 0, 15, 0, 18, 0x7f, 0, 0, 0, 'a', 'b', 'c', 'd',
		'e' };

	switch (m) {
	case COPIES: message(out, 'H', "\0\0\1\0\0", 5); break;
	case GARBAGE: buf_add(out, "\377\0\0\0\4zzzzzzzzzzzzzzzzzzzzzzzzzzzzzz", 35); break;
	case NO_ROWS:
		message(out, 'T', "\0\1a\0\0\0\0\0\0\0\0\0\0\31\377\377\377\377\377\377\0\0", 22);
		message(out, 'C', "SELECT 0", 9);
		break;
	case ERRORS: error(out, "ERROR"); break;
	case FATAL_ERROR: error(out, "FATAL"); break;
	case HUGE_ROW:
		table(out, good_table, COUNT(good_table), false);
		out->len -= 14 + 40;
		buf_add(out, huge, sizeof huge);
		break;
	case LYING_LENGTHS: buf_add(out, lying, sizeof lying); break;
	case TOO_MANY_ANSWERS:
		for (int i = 0; i < 50; i++)
			table(out, good_table, COUNT(good_table), false);
		break;
	default: table(out, good_table, COUNT(good_table), m == NULLS); break;
	}
}

/* One answer to what has come since the last sync. */
static bool
answer(int fd, enum manner m, struct buf *out, bool parsed)
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

static bool
answer_show(int fd, enum manner m, struct buf *out)
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

static void *
serve(void *arg)
{
	int fd = (int)(intptr_t)arg;
	enum manner m = atomic_load(&server.manner);
	struct buf out = BUF(1 << 22);
	bool going = greet(fd, m, &out), parsed = false;
	char type;

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

static void *
listen_on(void *arg)
{
	struct pollfd p = { .fd = server.fd, .events = POLLIN };

	(void)arg;
	while (!stopping()) {
		if (poll(&p, 1, 20) <= 0)
			continue;
		int fd = accept(server.fd, NULL, NULL);
		unsigned i = atomic_load(&server.connections);
		if (fd < 0 || i == CONNECTIONS_MAX ||
		    pthread_create(&server.threads[i], NULL, serve, (void *)(intptr_t)fd) != 0)
			abort();
		atomic_store(&server.connections, i + 1);
	}
	return NULL;
}

static int
server_start(void **state)
{
	struct sockaddr_in a = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t len = sizeof a;

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

static int
server_stop(void **state)
{
	(void)state;
	atomic_store(&server.stop, true);
	pthread_join(server.listener, NULL);
	for (unsigned i = 0; i < atomic_load(&server.connections); i++)
		pthread_join(server.threads[i], NULL);
	close(server.fd);
	return 0;
}

/* ---- a target ---- */

static struct {
	void *conf, *state; /* what a target keeps is never freed, as in the program */
	char uri[128];
	struct sink sink;
	struct scrape sc;
	enum outcome outcome[64];
	char why[64][WHY_MAX];
	bool connected;
	double seconds;
} target;

static void *
option(const char *name)
{
	for (unsigned i = 0; i < collector.noptions; i++)
		if (strcmp(collector.options[i].name, name) == 0)
			return (char *)target.conf + collector.options[i].offset;
	abort();
}

static void
target_begin(bool acquire)
{
	if (target.state == NULL) {
		target.conf = calloc(1, collector.conf_size);
		target.state = calloc(1, collector.state_size);
		target.sink.records = BUF(SINK_MAX);
	}
	snprintf(target.uri, sizeof target.uri,
	    "postgresql://me:h1dd3n-w0rd@127.0.0.1:%u/db?sslmode=disable", server.port);
	*(const char **)option("uri") = target.uri;
	*(long long *)option("statements_max") = 1000;
	*(bool *)option("acquire") = acquire;
	target.sc = (struct scrape){ .target = "db",
		.conf = target.conf,
		.state = target.state,
		.sink = &target.sink,
		.groups = (UINT64_C(1) << collector.ngroups) - 1 };
}

/* As the core does it, but without a second attempt. */
static enum outcome
scrape(void)
{
	struct scrape *sc = &target.sc;
	int64_t begun = clock_ns();
	enum outcome o = DONE;

	sc->until = deadline_in(DEADLINE_MS * NS_PER_MS);
	sc->why[0] = '\0';
	buf_reset(&target.sink.records);
	if (!target.connected)
		o = collector.connect(sc);
	target.connected = true;
	if (o == DONE)
		o = collector.ask(sc);
	for (unsigned i = 0; i < collector.ngroups && o == DONE; i++) {
		sc->why[0] = '\0';
		target.sink.group = &collector.groups[i];
		target.outcome[i] = collector.collect(sc, &collector.groups[i]);
		memcpy(target.why[i], sc->why, WHY_MAX);
		if (target.outcome[i] == LOST)
			o = LOST;
	}
	if (o != DONE) {
		collector.disconnect(sc);
		target.connected = false;
	}
	target.seconds = clock_seconds(clock_ns() - begun);
	return o;
}

static enum outcome
outcome_of(const char *group)
{
	for (unsigned i = 0; i < collector.ngroups; i++)
		if (strcmp(collector.groups[i].name, group) == 0)
			return target.outcome[i];
	abort();
}

static void
hang_up(void)
{
	if (target.connected)
		collector.disconnect(&target.sc);
	target.connected = false;
}

static void
good_server_is_read(void)
{
	hang_up();
	atomic_store(&server.manner, GOOD);
	assert_int_equal(scrape(), DONE);
	assert_int_equal(outcome_of("limits"), DONE);
	hang_up();
}

/* ---- tests ---- */

struct ending {
	const char *name;
	enum manner manner;
	enum outcome outcome;
	const char *why; /* begins so */
};

static const struct ending endings[] = {
	{ "mute from the start", MUTE, LOST,
	    "the server's port is open but nothing answers there" },
	{ "drips the log-in", DRIPS_LOGIN, LOST, "the server does not finish the log-in" },
	{ "floods the log-in", FLOODS_LOGIN, LOST,
	    "the server does not come to an end with the log-in" },
	{ "speaks HTTP", SPEAKS_HTTP, LOST, "connection to server at" },
	{ "tells the password", TELLS_PASSWORD, LOST,
	    "what the server says is not shown: the password is part of it" },
	{ "is too old", TOO_OLD, LOST, "PostgreSQL 9.6.24 is too old" },
	{ "mute after the log-in", MUTE_AFTER_LOGIN, LOST,
	    "connected, but the server did not answer" },
	{ "drips its answers", DRIPS, LOST, "connected, but the server did not answer in time" },
	{ "floods with rows", FLOODS, LOST, "the answers are larger than 16 MiB" },
	{ "answers with a copy", COPIES, LOST, "not an answer to a question" },
	{ "closes half way", CLOSES_HALF_WAY, LOST, "server closed the connection unexpectedly" },
	{ "sends garbage", GARBAGE, LOST, "" },
	{ "has no rows", NO_ROWS, LOST, "the server does not say who it is" },
	{ "has only errors", ERRORS, LOST, "not ?[31mfor" },
	{ "ends the session", FATAL_ERROR, LOST, "" },
	{ "announces a row of a gigabyte", HUGE_ROW, LOST, "" },
	{ "lies about lengths", LYING_LENGTHS, LOST, "" },
	{ "gives fifty answers to one question", TOO_MANY_ANSWERS, LOST, "" },
	{ "has only NULLs", NULLS, DONE, "" },
	{ "is a mute console", CONSOLE_MUTE, LOST,
	    "connected, but the server did not answer in time" },
	{ "is a console that closes half way", CONSOLE_CLOSES, LOST, "" },
	{ "is a console with only errors", CONSOLE_ERRORS, DONE, "" },
};

static void
check_ending(void **state)
{
	const struct ending *e = *state;

	target_begin(true);
	for (int i = 0; i < 2; i++) {
		atomic_store(&server.manner, e->manner);
		enum outcome o = scrape();
		if (o != e->outcome || strncmp(target.sc.why, e->why, strlen(e->why)) != 0)
			print_error("outcome %d: %s\n", (int)o, target.sc.why);
		assert_int_equal(o, e->outcome);
		assert_int_equal(strncmp(target.sc.why, e->why, strlen(e->why)), 0);
		assert_true(o == DONE || target.sc.why[0] != '\0');
		assert_true(target.seconds < (DEADLINE_MS + GRACE_MS) / 1000.0);
		hang_up();
	}
	good_server_is_read();
}

/* Dies on a kept connection, or turns nasty there. */
static void
turns_bad_on_a_kept_connection(void **state)
{
	(void)state;
	target_begin(false);
	atomic_store(&server.manner, GOOD);
	for (int i = 0; i < 5; i++)
		assert_int_equal(scrape(), DONE);
	assert_int_equal(atomic_load(&server.connections), 1);
	/* Its answers are of the wrong types: that costs groups, not the target. */
	assert_int_equal(outcome_of("statements"), DONE);
	hang_up();
}

static void
console_is_noticed(void **state)
{
	(void)state;
	target_begin(false);
	atomic_store(&server.manner, CONSOLE);
	for (int i = 0; i < 3; i++)
		assert_int_equal(scrape(), DONE);
	assert_int_equal(outcome_of("pools"), DONE);
	assert_int_equal(outcome_of("waiting"), DONE);
	assert_int_equal(outcome_of("pool_waits"), DONE);
	assert_int_equal(outcome_of("sessions"), ABSENT);
	assert_int_equal(atomic_load(&server.connections), 3);
	hang_up();
}

int
main(void)
{
	struct CMUnitTest tests[COUNT(endings) + 2];
	size_t n = 0;

	for (size_t i = 0; i < COUNT(endings); i++)
		tests[n++] = (struct CMUnitTest){ .name = endings[i].name,
			.test_func = check_ending,
			.setup_func = server_start,
			.teardown_func = server_stop,
			.initial_state = (void *)(uintptr_t)&endings[i] };
	tests[n++] = (struct CMUnitTest)cmocka_unit_test_setup_teardown(
	    turns_bad_on_a_kept_connection, server_start, server_stop);
	tests[n++] = (struct CMUnitTest)cmocka_unit_test_setup_teardown(
	    console_is_noticed, server_start, server_stop);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
