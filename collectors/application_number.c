/*
 * application_number.c - numbers as pages write them.  Nearly all are integers
 * or have few decimals: those are exact by one division of two exact doubles.
 */
#include <math.h>
#include <string.h>
#include <strings.h>

#include "application.h"

#define EXACT_BELOW (UINT64_C(1) << 53)

/* 12, 12.5: at most 18 digits, no sign, no exponent. */
static bool
plain_number(struct text t, double *value)
{
	static const double power_of_ten[] = { 1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9,
		1e10, 1e11, 1e12, 1e13, 1e14, 1e15, 1e16, 1e17, 1e18 };
	const char *at = t.ptr, *end = t.ptr + t.len, *point = NULL;
	uint64_t number = 0;

	if (t.len == 0 || t.len > 18 || *at == '.')
		return false;
	for (; at < end; at++) {
		unsigned digit = (unsigned)(unsigned char)*at - '0';
		if (digit <= 9)
			number = number * 10 + digit;
		else if (*at == '.' && point == NULL)
			point = at + 1;
		else
			return false;
	}
	if (number >= EXACT_BELOW)
		return false;
	*value = (double)number;
	if (point != NULL)
		*value /= power_of_ten[end - point];
	return true;
}

static bool
is_word(struct text t, const char *word)
{
	return t.len == strlen(word) && strncasecmp(t.ptr, word, t.len) == 0;
}

static bool
special_number(struct text t, double *value)
{
	bool sign = t.len > 0 && (t.ptr[0] == '-' || t.ptr[0] == '+');
	struct text word = { t.ptr + sign, t.len - sign };

	if (is_word(word, "inf") || is_word(word, "infinity")) {
		*value = t.ptr[0] == '-' ? -INFINITY : INFINITY;
		return true;
	}
	*value = NAN;
	return !sign && is_word(word, "nan");
}

bool
application_number(struct text t, bool openmetrics, double *value)
{
	if (plain_number(t, value) || special_number(t, value))
		return true;
	/* OpenMetrics wants a digit on one side of the point, as Go does; what
	 * is too large for a double is no number to Go. */
	return text_number(t, value) && (openmetrics || !isinf(*value));
}
