/*
 * text.h - bytes from outside: a pointer and a length, never assumed to end in
 * NUL, to be UTF-8, or to be short.  A text does not own its bytes.
 */
#ifndef EXPORTER_TEXT_H
#define EXPORTER_TEXT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define PUBLIC       __attribute__((visibility("default")))
#define PRINTF(f, a) __attribute__((format(printf, f, a)))

struct text {
	const char *ptr;
	size_t      len;
};

#define TEXT(literal) ((struct text){ (literal), sizeof(literal) - 1 })

/* NULL becomes the empty text. */
PUBLIC struct text text_of(const char *);

PUBLIC bool text_is(struct text, const char *);
PUBLIC bool text_equal(struct text, struct text);
PUBLIC bool text_begins(struct text, const char *prefix);

/* What stands before the first `at`; rest goes on behind it.  Without one, all
 * of rest, and rest is empty with ptr NULL. */
PUBLIC struct text text_cut(struct text *rest, char at);

/* Without blanks, tabs and line ends at both sides. */
PUBLIC struct text text_trim(struct text);

/* The whole text is a decimal number, or false and *value is untouched.
 * Accepts sign, fraction, exponent; no hex, no blanks.  "NaN", "Inf", "+Inf"
 * and "-Inf" are numbers. */
PUBLIC bool text_number(struct text, double *value);

/* The whole text is a decimal integer that fits, or false. */
PUBLIC bool text_integer(struct text, int64_t *value);

/* "500ms", "5s", "1.5m", "2h", "1d" (also "us", "ns") in nanoseconds, not
 * negative, or false. */
PUBLIC bool text_duration(struct text, int64_t *ns);

/* Is a part of that secret in these words?  No part is shorter than four bytes,
 * and eight in a row are one.  NULL is no secret. */
PUBLIC bool text_tells(struct text words, const char *secret);

/* Every byte belongs to a well-formed character? */
PUBLIC bool text_is_utf8(struct text);

/* Copies text into out, cut to size - 1 bytes on a character boundary, invalid
 * UTF-8 replaced by U+FFFD and control characters by '?'; ends it with NUL.
 * Returns the length written. */
PUBLIC size_t text_clean(char *out, size_t size, struct text);

#endif
