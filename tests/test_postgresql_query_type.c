/* What kind of statement a text is. */
/* Before cmocka.h, whose fail() is a macro. */
#include "../collectors/postgresql_query_type.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>

static const struct {
	const char *text;
	enum query_type whole, word;
} cases[] = {
	{ "SELECT 1", QUERY_SELECT, QUERY_SELECT },
	{ "  \n\tselect\n1", QUERY_SELECT, QUERY_SELECT },
	{ "((SELECT 1) UNION (SELECT 2))", QUERY_SELECT, QUERY_SELECT },
	{ "VALUES (1)", QUERY_SELECT, QUERY_SELECT },
	{ "TABLE t", QUERY_SELECT, QUERY_SELECT },
	{ "insert into t select 1", QUERY_INSERT, QUERY_INSERT },
	{ "Update t SET a = 1", QUERY_UPDATE, QUERY_UPDATE },
	{ "DELETE FROM t", QUERY_DELETE, QUERY_DELETE },
	{ "MERGE INTO t USING s", QUERY_OTHER, QUERY_UNKNOWN },
	{ "BEGIN", QUERY_OTHER, QUERY_UNKNOWN },
	{ "COPY t TO STDOUT", QUERY_OTHER, QUERY_UNKNOWN },
	{ "selection", QUERY_OTHER, QUERY_UNKNOWN },
	{ "select_it", QUERY_OTHER, QUERY_UNKNOWN },
	{ "", QUERY_OTHER, QUERY_UNKNOWN },
	{ "<insufficient privilege>", QUERY_OTHER, QUERY_UNKNOWN },
	{ "/* app=x, select */ UPDATE t SET a = 1", QUERY_UPDATE, QUERY_UPDATE },
	{ "/* a /* nested */ b */ DELETE FROM t", QUERY_DELETE, QUERY_DELETE },
	{ "-- select\nINSERT INTO t VALUES (1)", QUERY_INSERT, QUERY_INSERT },
	{ "/* never closed select", QUERY_OTHER, QUERY_UNKNOWN },
	{ "WITH a AS (SELECT 1) SELECT * FROM a", QUERY_SELECT, QUERY_UNKNOWN },
	{ "WITH a AS (SELECT 1) DELETE FROM t USING a", QUERY_DELETE, QUERY_UNKNOWN },
	{ "WITH a AS (DELETE FROM t RETURNING *) INSERT INTO u SELECT * FROM a", QUERY_INSERT,
	    QUERY_UNKNOWN },
	{ "WITH RECURSIVE a(n) AS (VALUES (1) UNION SELECT n FROM a) UPDATE t SET b = n FROM a",
	    QUERY_UPDATE, QUERY_UNKNOWN },
	{ "WITH \"delete\" AS (SELECT ')') SELECT 1", QUERY_SELECT, QUERY_UNKNOWN },
	{ "WITH a AS (SELECT 'x'') UPDATE' ) SELECT 1", QUERY_SELECT, QUERY_UNKNOWN },
	{ "WITH a AS (SELECT 1 -- ) delete\n) INSERT INTO t SELECT 1", QUERY_INSERT,
	    QUERY_UNKNOWN },
	{ "(WITH a AS (SELECT 1) SELECT 1)", QUERY_SELECT, QUERY_UNKNOWN },
	{ "WITH a AS (SELECT col, col, col FROM very_long", QUERY_SELECT, QUERY_UNKNOWN },
	{ "SELECT /* datatier_exporter */ 1", QUERY_OURS, QUERY_OURS },
	{ "WITH /* datatier_exporter */ a AS (SELECT 1) SELECT 1", QUERY_OURS, QUERY_OURS },
	{ "SELECT 'datatier_exporter'", QUERY_SELECT, QUERY_SELECT },
	{ "SELECT 1 /* datatier_exporter */", QUERY_SELECT, QUERY_SELECT },
};

static void
every_text_is_of_its_kind(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		struct text t = text_of(cases[i].text);
		if (query_type_of(t) != cases[i].whole || query_type_of_word(t) != cases[i].word)
			print_error("%s: %d, %d\n", cases[i].text, (int)query_type_of(t),
			    (int)query_type_of_word(t));
		assert_int_equal(query_type_of(t), cases[i].whole);
		assert_int_equal(query_type_of_word(t), cases[i].word);
	}
}

static void
only_what_is_counted_has_a_name(void **state)
{
	(void)state;
	assert_null(query_type_name(QUERY_UNKNOWN));
	assert_null(query_type_name(QUERY_OURS));
	assert_string_equal(query_type_name(QUERY_SELECT), "select");
	assert_string_equal(query_type_name(QUERY_OTHER), "other");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_text_is_of_its_kind),
		cmocka_unit_test(only_what_is_counted_has_a_name),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
