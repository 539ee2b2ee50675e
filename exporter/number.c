/*
 * number.c - see number.h.
 *
 * Nearly all numbers of a page are integers or have few decimals; for those the
 * decimal is found with one multiplication and proved with one division.  The
 * rest goes through printf(3), which costs some ten times as much.
 */
#include "number.h"

#include <float.h>
#include <math.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
	DIGITS_MAX = 17,  /* enough for every double */
	DIGITS_SURE = 15, /* as many come through a normal double unharmed */
	/* Decimal exponents written without "e". */
	NUMBER_FIXED_FROM = -6,
	NUMBER_FIXED_TO = 16,
	LE_FIXED_FROM = -4, /* Go's %g */
	LE_FIXED_TO = 5,
};

#define EXACT_BELOW 9007199254740992.0 /* 2^53: every integer below is a double */
#define TENTHS_FROM 1e-6               /* 10^NUMBER_FIXED_FROM: smaller is written with "e" */

/* All of them are exact doubles. */
static const double power_of_ten[] = { 1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11,
	1e12, 1e13, 1e14, 1e15, 1e16, 1e17, 1e18, 1e19 };

struct decimal { /* digit[0].digit[1]digit[2]... times 10^exponent */
	char digit[DIGITS_MAX];
	int digits; /* without zeros at the end, at least one */
	int exponent;
};

static char *
put_integer(char *at, uint64_t value)
{
	char digit[20];
	int n = 0;

	do
		digit[n++] = (char)('0' + value % 10);
	while ((value /= 10) > 0);
	while (n > 0)
		*at++ = digit[--n];
	return at;
}

/* value / 10^places; value does not end in 0. */
static char *
put_decimal(char *at, uint64_t value, int places)
{
	uint64_t unit = (uint64_t)power_of_ten[places];

	at = put_integer(at, value / unit);
	*at = '.';
	value %= unit;
	for (int i = places; i > 0; i--, value /= 10)
		at[i] = (char)('0' + value % 10);
	return at + 1 + places;
}

/* A quotient of two exact doubles is the double nearest to it, which is also
 * how its decimal is read: where the division gives the value back, the decimal
 * does, and no shorter one did.  NULL: it takes more digits than fit. */
static char *
put_short(char *at, double value)
{
	if (value < TENTHS_FROM)
		return NULL;
	for (size_t places = 1; places < sizeof power_of_ten / sizeof *power_of_ten; places++) {
		double scaled = value * power_of_ten[places];
		if (scaled >= EXACT_BELOW)
			return NULL;
		uint64_t nearest = (uint64_t)(scaled + 0.5);
		if ((double)nearest / power_of_ten[places] == value)
			return put_decimal(at, nearest, (int)places);
	}
	return NULL;
}

/* Takes the digits out of "d<point>ddde+xx", whatever the locale's point is. */
static void
decimal_read(struct decimal *d, const char *text)
{
	const char *e = strchr(text, 'e');

	d->digit[0] = '0';
	d->digits = 0;
	for (; text < e; text++)
		if (*text >= '0' && *text <= '9' && d->digits < DIGITS_MAX)
			d->digit[d->digits++] = *text;
	while (d->digits > 1 && d->digit[d->digits - 1] == '0')
		d->digits--;
	d->exponent = (int)strtol(e + 1, NULL, 10);
}

/* The fewest digits that read back as the same; value is finite, not negative. */
static void
decimal_of(struct decimal *d, double value)
{
	char text[64];

	/* Where a shorter decimal reads as a normal double, its first 15
	 * digits are that decimal and zeros; not so for denormal ones. */
	for (int n = value < DBL_MIN ? 1 : DIGITS_SURE; n <= DIGITS_MAX; n++) {
		snprintf(text, sizeof text, "%.*e", n - 1, value);
		if (n == DIGITS_MAX || strtod(text, NULL) == value)
			break;
	}
	decimal_read(d, text);
}

static char *
put_zeros(char *at, int n)
{
	while (n-- > 0)
		*at++ = '0';
	return at;
}

static char *
put_fixed(char *at, const struct decimal *d)
{
	int whole = d->exponent + 1; /* digits before the point */

	if (whole <= 0) {
		*at++ = '0';
		*at++ = '.';
		at = put_zeros(at, -whole);
		whole = d->digits;
	}
	for (int i = 0; i < d->digits; i++) {
		if (i == whole)
			*at++ = '.';
		*at++ = d->digit[i];
	}
	return put_zeros(at, whole - d->digits);
}

static char *
put_exponent(char *at, const struct decimal *d)
{
	unsigned size = (unsigned)abs(d->exponent);

	*at++ = d->digit[0];
	if (d->digits > 1)
		*at++ = '.';
	for (int i = 1; i < d->digits; i++)
		*at++ = d->digit[i];
	*at++ = 'e';
	*at++ = d->exponent < 0 ? '-' : '+';
	if (size < 10)
		*at++ = '0';
	return put_integer(at, size);
}

/* NaN and the infinities; 0: it is neither. */
static size_t
print_special(char *out, double value)
{
	const char *word = isnan(value) ? "NaN" : value > 0 ? "+Inf" : "-Inf";

	if (isfinite(value))
		return 0;
	memcpy(out, word, strlen(word) + 1);
	return strlen(word);
}

size_t
number_print(char out[static NUMBER_MAX], double value)
{
	size_t special = print_special(out, value);
	char *at = out, *end;
	struct decimal d;

	if (special > 0)
		return special;
	if (value < 0)
		*at++ = '-';
	value = fabs(value);

	if (value < EXACT_BELOW && value == floor(value)) {
		end = put_integer(at, (uint64_t)value);
	} else if ((end = put_short(at, value)) == NULL) {
		decimal_of(&d, value);
		end = d.exponent < NUMBER_FIXED_FROM || d.exponent > NUMBER_FIXED_TO
			  ? put_exponent(at, &d)
			  : put_fixed(at, &d);
	}
	*end = '\0';
	return (size_t)(end - out);
}

size_t
le_print(char out[static NUMBER_MAX], double value)
{
	size_t special = print_special(out, value);
	char *at = out;
	struct decimal d;

	if (special > 0)
		return special;
	if (value < 0)
		*at++ = '-';
	decimal_of(&d, fabs(value));
	if (d.exponent < LE_FIXED_FROM || d.exponent > LE_FIXED_TO) {
		at = put_exponent(at, &d);
	} else {
		at = put_fixed(at, &d);
		if (d.digits <= d.exponent + 1) {
			*at++ = '.';
			*at++ = '0';
		}
	}
	*at = '\0';
	return (size_t)(at - out);
}
