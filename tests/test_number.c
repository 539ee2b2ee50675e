/*
 * Numbers as the page has them: known texts, and every double reads back.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <float.h>
#include <locale.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../exporter/number.h"
#include "scratch_folder.h"

#define COUNT(a) (sizeof(a) / sizeof *(a))

struct example {
	double value;
	const char *text;
};

static void
assert_number(double value, const char *expected)
{
	char text[NUMBER_MAX];
	size_t length = number_print(text, value);

	assert_string_equal(text, expected);
	assert_int_equal(length, strlen(text));
}

static void
assert_le(double value, const char *expected)
{
	char text[NUMBER_MAX];
	size_t length = le_print(text, value);

	assert_string_equal(text, expected);
	assert_int_equal(length, strlen(text));
}

static size_t
significant_digits(const char *text)
{
	char digits[NUMBER_MAX];
	size_t n = 0;

	for (; *text != '\0' && *text != 'e'; text++)
		if (*text >= (n == 0 ? '1' : '0') && *text <= '9')
			digits[n++] = *text;
	while (n > 0 && digits[n - 1] == '0')
		n--;
	return n;
}

/* The fewest digits of printf's that read back. */
static size_t
fewest_digits(double value)
{
	char text[64];

	for (int n = 1; n < 17; n++) {
		snprintf(text, sizeof text, "%.*e", n - 1, value);
		if (strtod(text, NULL) == value)
			return significant_digits(text);
	}
	return 17;
}

static void
check_any(double value)
{
	char text[NUMBER_MAX];
	char *end;

	for (int le = 0; le < 2; le++) {
		size_t length = le ? le_print(text, value) : number_print(text, value);
		assert_true(length < NUMBER_MAX);
		assert_int_equal(length, strlen(text));
		if (isnan(value)) {
			assert_string_equal(text, "NaN");
			continue;
		}
		if (isinf(value)) {
			assert_string_equal(text, value > 0 ? "+Inf" : "-Inf");
			continue;
		}
		assert_int_equal(length, strspn(text, "0123456789+-.e"));
		double back = strtod(text, &end);
		assert_true(*end == '\0');
		if (back != value)
			fail_msg("%a printed as %s", value, text);
		if (value != floor(value) && significant_digits(text) > fewest_digits(value))
			fail_msg("%a printed longer than needed: %s", value, text);
	}
}

static void
integers_have_no_point_and_no_exponent(void **state)
{
	static const struct example examples[] = {
		{ 0, "0" },
		{ -0.0, "0" },
		{ 1, "1" },
		{ -1, "-1" },
		{ 10, "10" },
		{ 1000000, "1000000" },
		{ 1e15, "1000000000000000" },
		{ 9007199254740991, "9007199254740991" },
		{ -9007199254740991, "-9007199254740991" },
		{ 9007199254740992, "9007199254740992" },
		{ 12345678901234567.0, "12345678901234568" },
		{ 18446744073709551615.0, "1.8446744073709552e+19" },
		{ 1e100, "1e+100" },
	};

	(void)state;
	for (size_t i = 0; i < COUNT(examples); i++)
		assert_number(examples[i].value, examples[i].text);
}

static void
fractions_are_as_short_as_they_can_be(void **state)
{
	static const struct example examples[] = {
		{ 0.1, "0.1" },
		{ -0.1, "-0.1" },
		{ 0.1 + 0.2, "0.30000000000000004" },
		{ 1.5, "1.5" },
		{ 99.99, "99.99" },
		{ 0.005, "0.005" },
		{ 0.000001, "0.000001" },
		{ 0.0000015, "0.0000015" },
		{ 0.00000099, "9.9e-07" },
		{ 1e-9, "1e-09" },
		{ 1.0 / 3, "0.3333333333333333" },
		{ 2.0 / 3e5, "0.000006666666666666667" },
		{ 123456789.123456, "123456789.123456" },
		{ 1795467736.0421829, "1795467736.042183" },
		{ 4503599627370495.5, "4503599627370495.5" },
		{ DBL_MAX, "1.7976931348623157e+308" },
		{ -DBL_MAX, "-1.7976931348623157e+308" },
		{ DBL_MIN, "2.2250738585072014e-308" },
		{ -2.2250738585072009e-308, "-2.225073858507201e-308" },
		{ 5e-324, "5e-324" },
	};

	(void)state;
	for (size_t i = 0; i < COUNT(examples); i++)
		assert_number(examples[i].value, examples[i].text);
}

static void
special_values_are_spelt_as_prometheus_does(void **state)
{
	(void)state;
	assert_number(NAN, "NaN");
	assert_number(-NAN, "NaN");
	assert_number(INFINITY, "+Inf");
	assert_number(-INFINITY, "-Inf");
	assert_le(NAN, "NaN");
	assert_le(INFINITY, "+Inf");
	assert_le(-INFINITY, "-Inf");
}

static void
le_is_canonical(void **state)
{
	/* The first two dozen are the examples of the OpenMetrics text. */
	static const struct example examples[] = {
		{ 0, "0.0" },
		{ 0.001, "0.001" },
		{ 0.002, "0.002" },
		{ 0.01, "0.01" },
		{ 0.1, "0.1" },
		{ 0.9, "0.9" },
		{ 0.95, "0.95" },
		{ 0.99, "0.99" },
		{ 0.999, "0.999" },
		{ 1, "1.0" },
		{ 1.7, "1.7" },
		{ 10, "10.0" },
		{ 1e-10, "1e-10" },
		{ 1e-09, "1e-09" },
		{ 1e-05, "1e-05" },
		{ 0.0001, "0.0001" },
		{ 100000, "100000.0" },
		{ 1e+06, "1e+06" },
		{ 1e+10, "1e+10" },
		{ -1, "-1.0" },
		{ -0.0, "0.0" },
		{ 1800, "1800.0" },
		{ 262144, "262144.0" },
		{ 1048576, "1.048576e+06" },
		{ 5e6, "5e+06" },
		{ 1.5e6, "1.5e+06" },
		{ 0.541065, "0.541065" },
		{ 0.000066, "6.6e-05" },
		{ 123456.5, "123456.5" },
		{ 1e100, "1e+100" },
	};

	(void)state;
	for (size_t i = 0; i < COUNT(examples); i++)
		assert_le(examples[i].value, examples[i].text);
}

static uint64_t
next_random(uint64_t *seed)
{
	*seed ^= *seed << 13;
	*seed ^= *seed >> 7;
	*seed ^= *seed << 17;
	return *seed;
}

static void
any_double_reads_back(void **state)
{
	uint64_t seed = UINT64_C(0x9e3779b97f4a7c15);

	(void)state;
	for (int i = 0; i < 100000; i++) {
		uint64_t bits = next_random(&seed);
		double value;
		memcpy(&value, &bits, sizeof value);
		check_any(value);
	}
}

/* What measured seconds, ratios and sums look like. */
static void
decimals_read_back_in_as_few_digits(void **state)
{
	uint64_t seed = 12345;
	char text[NUMBER_MAX];

	(void)state;
	for (int i = 0; i < 100000; i++) {
		int places = (int)(next_random(&seed) % 10);
		double whole = (double)(next_random(&seed) % UINT64_C(1000000000000));
		double value = whole / pow(10, places);
		check_any(value);
		check_any(-value);
		/* written as it was meant */
		number_print(text, value);
		const char *point = strchr(text, '.');
		if (strchr(text, 'e') == NULL)
			assert_true(point == NULL || (int)strlen(point + 1) <= places);
	}
}

static void
neighbours_of_limits_read_back(void **state)
{
	(void)state;
	for (int e = -30; e <= 30; e++)
		for (int side = -3; side <= 3; side++) {
			double ten = pow(10, e), two = pow(2, 2 * e);
			for (int step = 0; step < abs(side); step++) {
				ten = nextafter(ten, side < 0 ? 0 : INFINITY);
				two = nextafter(two, side < 0 ? 0 : INFINITY);
			}
			check_any(ten);
			check_any(two);
		}
}

/* A locale with a decimal comma, made here: none need be installed. */
static void
make_comma_locale(const char *directory)
{
	char command[2 * SCRATCH_MAX + 64], path[SCRATCH_MAX + 16];
	FILE *source;

	assert_int_equal(setenv("LOCPATH", directory, 1), 0);
	snprintf(command, sizeof command,
	    "cd '%s' && localedef -c -i source -f ANSI_X3.4-1968 ./comma >/dev/null 2>&1; "
	    "test -f comma/LC_NUMERIC",
	    directory);
	snprintf(path, sizeof path, "%s/source", directory);
	assert_non_null(source = fopen(path, "w"));
	fputs(
	    "LC_NUMERIC\ndecimal_point \",\"\nthousands_sep \".\"\ngrouping 3;3\nEND LC_NUMERIC\n",
	    source);
	fclose(source);
	assert_int_equal(system(command), 0);
}

static void
locale_plays_no_part(void **state)
{
	char directory[SCRATCH_MAX], command[SCRATCH_MAX + 16], comma[8];

	(void)state;
	assert_true(scratch_folder(directory));
	make_comma_locale(directory);
	bool set = setlocale(LC_NUMERIC, "comma") != NULL;
	snprintf(command, sizeof command, "rm -rf '%s'", directory);
	assert_int_equal(system(command), 0);
	assert_true(set);

	snprintf(comma, sizeof comma, "%.1f", 0.5);
	assert_string_equal(comma, "0,5");
	assert_number(0.5, "0.5");
	assert_number(1.0 / 3, "0.3333333333333333");
	assert_number(1.25e-9, "1.25e-09");
	assert_le(0.25, "0.25");
	setlocale(LC_NUMERIC, "C");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(integers_have_no_point_and_no_exponent),
		cmocka_unit_test(fractions_are_as_short_as_they_can_be),
		cmocka_unit_test(special_values_are_spelt_as_prometheus_does),
		cmocka_unit_test(le_is_canonical),
		cmocka_unit_test(any_double_reads_back),
		cmocka_unit_test(decimals_read_back_in_as_few_digits),
		cmocka_unit_test(neighbours_of_limits_read_back),
		cmocka_unit_test(locale_plays_no_part),
	};

	return cmocka_run_group_tests_name("number", tests, NULL, NULL);
}
