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

#include "postgresql_fake.h"

enum { DEADLINE_MS = 600, GRACE_MS = 400 };

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
