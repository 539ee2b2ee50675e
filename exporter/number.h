/*
 * number.h - doubles as Prometheus and OpenMetrics read them.
 */
#ifndef EXPORTER_NUMBER_H
#define EXPORTER_NUMBER_H

#include <stddef.h>

enum { NUMBER_MAX = 32 }; /* the longest number, and its NUL, with room to spare */

/* An integer below 2^53 in magnitude is written as one; anything else in the
 * fewest digits that read back as the same double; "NaN", "+Inf", "-Inf".
 * Minus zero is 0.  The locale plays no part.  Returns the length; out ends in
 * NUL. */
size_t number_print(char out[static NUMBER_MAX], double);

/* The same for the value of a `le` label, in the canonical form of OpenMetrics
 * (there "Considerations: Canonical Numbers"), which is Go's %g with a ".0" to
 * what looks like an integer: "0.005", "1.0", "100000.0", "1e+06", "+Inf". */
size_t le_print(char out[static NUMBER_MAX], double);

#endif
