/*
 * The protocol of the sampling windows and the lines of MONITOR, whole, in
 * pieces of any size, and broken.
 */
#include "redis_harness.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

/* ---- RESP3 ---- */

/* Writes what it is told: root, leaf, piece; a line for each end. */
struct told {
	struct buf out;
	unsigned leaf;
	bool some;
};

static void
tell_piece(void *arg, char root, unsigned leaf, struct text t)
{
	struct told *told = arg;

	(void)root;
	if (!told->some || leaf != told->leaf)
		buf_printf(&told->out, " %u=", leaf);
	told->some = true;
	told->leaf = leaf;
	buf_text(&told->out, t);
}

static void
tell_end(void *arg, char root)
{
	struct told *told = arg;

	told->some = false;
	buf_printf(&told->out, " %c.\n", root);
}

/* What comes of these bytes in steps; the caller frees.  NULL: refused. */
static char *
told_of(const char *bytes, size_t len, size_t step)
{
	struct told told = { .out = BUF(1 << 20) };
	struct resp3 r = { .piece = tell_piece, .end = tell_end, .arg = &told };
	bool good = true;

	for (size_t at = 0; good && at < len; at += step)
		good =
		    resp3_feed(&r, (struct text){ bytes + at, len - at < step ? len - at : step });
	buf_char(&told.out, '\0');
	if (!good)
		buf_free(&told.out);
	return told.out.ptr;
}

static void
assert_told(const char *bytes, const char *expected)
{
	for (size_t step = 1; step <= strlen(bytes); step++) {
		char *told = told_of(bytes, strlen(bytes), step);
		if (told == NULL || strcmp(told, expected) != 0)
			fail_msg("%s by %zu: \"%s\", not \"%s\"", bytes, step, told, expected);
		free(told);
	}
}

static void
replies_of_all_types_are_understood_however_they_are_cut(void **unused)
{
	(void)unused;
	assert_told("+OK\r\n", " 0=OK +.\n");
	assert_told("-ERR no\r\n:42\r\n_\r\n#t\r\n", " 0=ERR no -.\n 0=42 :.\n _.\n 0=t #.\n");
	assert_told(
	    ",1.5\r\n(123456789012345678901\r\n", " 0=1.5 ,.\n 0=123456789012345678901 (.\n");
	assert_told("$3\r\na\r\n\r\n", " 0=a\r\n $.\n");
	assert_told("$0\r\n\r\n$-1\r\n*-1\r\n*0\r\n", " $.\n $.\n *.\n *.\n");
	assert_told("=7\r\ntxt:a\nb\r\n", " 0=txt:a\nb =.\n");
	assert_told("!5\r\nERR x\r\n", " 0=ERR x !.\n");
	assert_told(">3\r\n+a\r\n$1\r\nb\r\n:1\r\n+c\r\n", " 0=a 1=b 2=1 >.\n 0=c +.\n");
	assert_told("%2\r\n+a\r\n*2\r\n:1\r\n*1\r\n:2\r\n+b\r\n~1\r\n#f\r\n+x\r\n",
	    " 0=a 1=1 2=2 3=b 4=f %.\n 0=x +.\n");
	assert_told("|1\r\n+a\r\n+b\r\n:1\r\n", " 0=a 1=b |.\n 0=1 :.\n");
}

static void
what_is_not_the_protocol_is_refused(void **unused)
{
	static const char *const table[] = {
		"x",
		"\r\n",
		"HTTP/1.1 400\r\n",
		"+a\rb",
		"$3\r\nabcd",
		"$3\r\nabc\rx",
		"$-2\r\n",
		"$x\r\n",
		"$\r\n",
		"$1x\r\n",
		"$3\n",
		"$99999999999\r\n",
		"$?\r\n",
		"*9999999\r\n",
		"%9999999\r\n",
		"*11111111111111111111111111\r\n",
		"*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n",
		"\x15\x03\x01",
	};

	(void)unused;
	for (size_t i = 0; i < COUNT(table); i++)
		for (size_t step = 1; step <= strlen(table[i]); step++) {
			char *told = told_of(table[i], strlen(table[i]), step);
			if (told != NULL)
				fail_msg("%s was taken as \"%s\"", table[i], told);
		}
}

/* ---- lines ---- */

static const char *const prefixes[] = { "user", "a\"b", "c", NULL };

/* Lookups of user, a"b, c and other after these lines, as text. */
static void
assert_lookups(const char *lines, const char *expected)
{
	for (size_t step = 1; step <= strlen(lines); step++) {
		struct redis_monitor m = { .prefixes = prefixes, .nprefixes = 3, .separator = ':' };
		char got[80];
		struct text rest = text_of(lines);
		while (rest.len > 0) {
			struct text line = text_cut(&rest, '\n');
			for (; line.len > step; line.ptr += step, line.len -= step)
				redis_monitor_piece(&m, (struct text){ line.ptr, step });
			redis_monitor_piece(&m, line);
			redis_monitor_end(&m);
		}
		snprintf(got, sizeof got, "%d %d %d %d of %d", (int)m.lookups[0], (int)m.lookups[1],
		    (int)m.lookups[2], (int)m.lookups[3], (int)m.commands);
		if (strcmp(got, expected) != 0)
			fail_msg("%s by %zu: %s, not %s", lines, step, got, expected);
	}
}
#define HEAD "1795471421.006295 [0 127.0.0.1:58494] "

static void
lookups_are_counted_by_prefix(void **unused)
{
	(void)unused;
	assert_lookups(HEAD "\"GET\" \"user:1\"", "1 0 0 0 of 1");
	assert_lookups(HEAD "\"get\" \"user:1:2\"\n" HEAD "\"GeT\" \"c:\"", "1 0 1 0 of 2");
	assert_lookups(HEAD "\"MGET\" \"user:1\" \"user:2\" \"c:3\" \"d:4\"", "2 0 1 1 of 1");
	assert_lookups(HEAD "\"HGET\" \"user:1\" \"c:2\"", "1 0 0 0 of 1");
	assert_lookups(HEAD "\"SINTER\" \"x:1\" \"c:2\" \"c:3\"", "0 0 2 1 of 1");
	assert_lookups(HEAD "\"BITOP\" \"AND\" \"user:1\" \"c:3\"", "0 0 1 0 of 1");
	assert_lookups(HEAD "\"LCS\" \"user:1\" \"c:3\" \"LEN\" \"c:4\"", "1 0 1 0 of 1");
	assert_lookups("1.2 [15 lua] \"TTL\" \"user:1\"", "1 0 0 0 of 1");
	assert_lookups("1.2 [0 unix:/run/[x] y.sock] \"GET\" \"user:1\"", "1 0 0 0 of 1");
}

static void
what_is_no_lookup_or_no_configured_prefix_is_told_apart(void **unused)
{
	(void)unused;
	assert_lookups(HEAD "\"SET\" \"user:1\" \"user:2\"", "0 0 0 0 of 1");
	assert_lookups(
	    HEAD "\"INCR\" \"user:1\"\n" HEAD "\"PING\"\n" HEAD "\"NO\"", "0 0 0 0 of 3");
	assert_lookups(HEAD "\"GET\" \"user\"", "0 0 0 1 of 1"); /* no separator */
	assert_lookups(HEAD "\"GET\" \"\"", "0 0 0 1 of 1");
	assert_lookups(HEAD "\"GET\" \":user:1\"", "0 0 0 1 of 1");
	assert_lookups(HEAD "\"GET\" \"users:1\"\n" HEAD "\"GET\" \"use:1\"", "0 0 0 2 of 2");
	assert_lookups(HEAD "\"GET\" \"USER:1\"", "0 0 0 1 of 1");
	assert_lookups("OK\n\n" HEAD "\n" HEAD "\"\"", "0 0 0 0 of 1");
	assert_lookups(HEAD "\"GETGETGETGETGETGETGETGETGET\" \"user:1\"", "0 0 0 0 of 1");
	assert_lookups(HEAD
	    "\"GET\" \"" /* longer than any prefix */
	    "uuuuuuuuuuuuuuuuuuuuuuuuuuuuuuuuuuuuuuuuuuuuuuuuuuuuuuuuuuuuuuuuuuuuuuu"
	    ":1\"",
	    "0 0 0 1 of 1");
}

static void
escapes_are_read_as_the_server_writes_them(void **unused)
{
	(void)unused;
	assert_lookups(HEAD "\"GET\" \"a\\\"b:1\"", "0 1 0 0 of 1");
	assert_lookups(HEAD "\"GET\" \"a\\x22b:1\"", "0 1 0 0 of 1");
	assert_lookups(HEAD "\"GET\" \"\\x75ser:\\\\\\\"\" \"user:3\"", "1 0 0 0 of 1");
	assert_lookups(
	    HEAD "\"MGET\" \"c\\n:1\" \"\\x00\\xff\" \"user:\\xff\\x00\\r\\n\"", "1 0 0 2 of 1");
	assert_lookups(HEAD "\"MGET\" \"c\\xzz:1\" \"user:1\"", "0 0 0 0 of 1");
	assert_lookups(HEAD "\"MGET\" \"c:1\"garbage \"user:1\"", "0 0 1 0 of 1");
	assert_lookups(HEAD "\"MGET\" \"c:1\" \"user:1", "0 0 1 0 of 1");
}

/* A value passes by: nothing of it is in what is kept of the line. */
static void
nothing_of_a_value_is_kept(void **unused)
{
	struct redis_monitor m = { .prefixes = prefixes, .nprefixes = 3, .separator = ':' };

	(void)unused;
	redis_monitor_piece(&m, TEXT(HEAD "\"SET\" \"user:Zanzibar\" \"Hush-Hush\" \"EX\" \"9\""));
	assert_null(memmem(&m, sizeof m, "Zanzi", 5));
	assert_null(memmem(&m, sizeof m, "Hush", 4));
	redis_monitor_end(&m);
	redis_monitor_piece(&m, TEXT(HEAD "\"GET\" \"user:Zanzibar\""));
	assert_int_equal(m.lookups[0], 1);
	assert_null(memmem(&m, sizeof m, "Zanzi", 5));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(replies_of_all_types_are_understood_however_they_are_cut),
		cmocka_unit_test(what_is_not_the_protocol_is_refused),
		cmocka_unit_test(lookups_are_counted_by_prefix),
		cmocka_unit_test(what_is_no_lookup_or_no_configured_prefix_is_told_apart),
		cmocka_unit_test(escapes_are_read_as_the_server_writes_them),
		cmocka_unit_test(nothing_of_a_value_is_kept),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
