/*
 * Any eight bytes as a double: what is printed reads back as the same.
 */
#include <math.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "../../exporter/number.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
check(const char *text, size_t length, double value)
{
	char *end;
	double back = strtod(text, &end);

	if (length >= NUMBER_MAX || strlen(text) != length || *end != '\0')
		abort();
	if (isnan(value) ? !isnan(back) : back != value)
		abort();
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char text[NUMBER_MAX];
	double value;

	if (size != sizeof value)
		return 0;
	memcpy(&value, data, sizeof value);
	check(text, number_print(text, value), value);
	check(text, le_print(text, value), value);
	return 0;
}
