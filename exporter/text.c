/*
 * text.c - cutting, strict numbers and cleaning of bytes from outside.
 */
#include "text.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { NUMBER_LEN_MAX = 400 }; /* digits of the longest exact double and more */

struct text
text_of(const char *s)
{
	return (struct text){ s, s != NULL ? strlen(s) : 0 };
}

bool
text_equal(struct text a, struct text b)
{
	return a.len == b.len && (a.len == 0 || memcmp(a.ptr, b.ptr, a.len) == 0);
}

bool
text_is(struct text t, const char *s)
{
	return text_equal(t, text_of(s));
}

bool
text_begins(struct text t, const char *prefix)
{
	size_t len = strlen(prefix);

	return t.len >= len && (len == 0 || memcmp(t.ptr, prefix, len) == 0);
}

bool
text_tells(struct text words, const char *secret)
{
	enum { SHORT = 4, RUN = 8 };
	size_t len = secret != NULL ? strlen(secret) : 0, run = len < RUN ? len : RUN;

	for (size_t i = 0; run >= SHORT && run <= words.len && i + run <= len; i++)
		if (memmem(words.ptr, words.len, secret + i, run) != NULL)
			return true;
	return false;
}

struct text
text_cut(struct text *rest, char at)
{
	struct text head = *rest;
	const char *end = rest->len > 0 ? memchr(rest->ptr, at, rest->len) : NULL;

	if (end == NULL) {
		*rest = (struct text){ NULL, 0 };
		return head;
	}
	head.len = (size_t)(end - head.ptr);
	rest->ptr = end + 1;
	rest->len -= head.len + 1;
	return head;
}

static bool
is_blank(char c)
{
	return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

struct text
text_trim(struct text t)
{
	while (t.len > 0 && is_blank(t.ptr[0])) {
		t.ptr++;
		t.len--;
	}
	while (t.len > 0 && is_blank(t.ptr[t.len - 1]))
		t.len--;
	return t;
}

static size_t
digits(struct text t, size_t from)
{
	size_t i = from;

	while (i < t.len && t.ptr[i] >= '0' && t.ptr[i] <= '9')
		i++;
	return i - from;
}

/* sign? digits? (. digits?)? (e sign? digits)? with a digit before the exponent */
static bool
is_decimal(struct text t)
{
	size_t i = t.len > 0 && (t.ptr[0] == '-' || t.ptr[0] == '+');
	size_t whole = digits(t, i), fraction = 0;

	i += whole;
	if (i < t.len && t.ptr[i] == '.') {
		fraction = digits(t, i + 1);
		i += 1 + fraction;
	}
	if (whole + fraction == 0)
		return false;
	if (i < t.len && (t.ptr[i] == 'e' || t.ptr[i] == 'E')) {
		i++;
		if (i < t.len && (t.ptr[i] == '-' || t.ptr[i] == '+'))
			i++;
		size_t exponent = digits(t, i);
		if (exponent == 0)
			return false;
		i += exponent;
	}
	return i == t.len;
}

static bool
special_number(struct text t, double *value)
{
	static const struct {
		const char *word;
		double value;
	} special[] = {
		{ "NaN", NAN },
		{ "+Inf", INFINITY },
		{ "Inf", INFINITY },
		{ "-Inf", -INFINITY },
	};

	for (size_t i = 0; i < sizeof special / sizeof *special; i++)
		if (text_is(t, special[i].word)) {
			*value = special[i].value;
			return true;
		}
	return false;
}

bool
text_number(struct text t, double *value)
{
	char copy[NUMBER_LEN_MAX + 1];
	int64_t whole;

	/* 15 digits: every such integer is a double, no rounding to argue about */
	if (t.len <= 15 && text_integer(t, &whole) && t.ptr[0] != '-') {
		*value = (double)whole;
		return true;
	}
	if (t.len == 0 || t.len > NUMBER_LEN_MAX)
		return false;
	if (!is_decimal(t))
		return special_number(t, value);
	memcpy(copy, t.ptr, t.len);
	copy[t.len] = '\0';
	*value = strtod(copy, NULL);
	return true;
}

bool
text_integer(struct text t, int64_t *value)
{
	bool negative = t.len > 0 && t.ptr[0] == '-';
	size_t i = t.len > 0 && (negative || t.ptr[0] == '+');
	int64_t n = 0;

	if (i == t.len || digits(t, i) != t.len - i)
		return false;
	for (; i < t.len; i++) {
		int digit = t.ptr[i] - '0';
		if (__builtin_mul_overflow(n, 10, &n) ||
		    __builtin_sub_overflow(n, digit, &n)) /* downwards: INT64_MIN fits */
			return false;
	}
	if (!negative && __builtin_sub_overflow(0, n, &n))
		return false;
	*value = n;
	return true;
}

bool
text_duration(struct text t, int64_t *ns)
{
	static const struct {
		const char *unit;
		double ns;
	} units[] = {
		{ "ns", 1 },
		{ "us", 1e3 },
		{ "ms", 1e6 },
		{ "s", 1e9 },
		{ "m", 60e9 },
		{ "h", 3600e9 },
		{ "d", 86400e9 },
	};
	size_t number = 0;
	double value;

	while (number < t.len && (t.ptr[number] == '.' || digits(t, number) > 0))
		number++;
	struct text unit = { t.ptr + number, t.len - number };
	if (!text_number((struct text){ t.ptr, number }, &value))
		return false;
	for (size_t i = 0; i < sizeof units / sizeof *units; i++)
		if (text_is(unit, units[i].unit) && value * units[i].ns < 9e18) {
			*ns = (int64_t)llround(value * units[i].ns);
			return true;
		}
	return false;
}

/* Length of the well-formed UTF-8 character at s, 0: none.  By the table of
 * well-formed byte sequences of the Unicode standard (3-7): no surrogates, no
 * overlong forms, nothing above U+10FFFF. */
static size_t
utf8_length(const unsigned char *s, size_t left)
{
	static const struct {
		unsigned char first, last, low, high, length;
	} forms[] = {
		{ 0x00, 0x7f, 0, 0, 1 },
		{ 0xc2, 0xdf, 0x80, 0xbf, 2 },
		{ 0xe0, 0xe0, 0xa0, 0xbf, 3 },
		{ 0xe1, 0xec, 0x80, 0xbf, 3 },
		{ 0xed, 0xed, 0x80, 0x9f, 3 },
		{ 0xee, 0xef, 0x80, 0xbf, 3 },
		{ 0xf0, 0xf0, 0x90, 0xbf, 4 },
		{ 0xf1, 0xf3, 0x80, 0xbf, 4 },
		{ 0xf4, 0xf4, 0x80, 0x8f, 4 },
	};

	for (size_t i = 0; i < sizeof forms / sizeof *forms; i++) {
		if (s[0] < forms[i].first || s[0] > forms[i].last)
			continue;
		size_t length = forms[i].length;
		if (length > left || (length > 1 && (s[1] < forms[i].low || s[1] > forms[i].high)))
			return 0;
		for (size_t k = 2; k < length; k++)
			if ((s[k] & 0xc0) != 0x80)
				return 0;
		return length;
	}
	return 0;
}

bool
text_is_utf8(struct text t)
{
	const unsigned char *s = (const unsigned char *)t.ptr;
	size_t i = 0;

	while (i < t.len) {
		size_t length = utf8_length(s + i, t.len - i);
		if (length == 0)
			return false;
		i += length;
	}
	return true;
}

size_t
text_clean(char *out, size_t size, struct text t)
{
	static const char replacement[] = "\xef\xbf\xbd";
	const unsigned char *s = (const unsigned char *)t.ptr;
	size_t n = 0;

	for (size_t i = 0; i < t.len;) {
		/* Nearly all there is to clean is plain. */
		while (i < t.len && n + 1 < size && s[i] >= 0x20 && s[i] < 0x7f)
			out[n++] = t.ptr[i++];
		if (i == t.len)
			break;
		size_t length = utf8_length(s + i, t.len - i);
		const char *from = t.ptr + i;
		size_t add = length;
		if (length == 0) {
			from = replacement;
			add = 3;
			length = 1;
		} else if (s[i] < 0x20 || s[i] == 0x7f) {
			from = "?";
		}
		if (n + add >= size)
			break;
		memcpy(out + n, from, add);
		n += add;
		i += length;
	}
	out[n] = '\0';
	return n;
}
