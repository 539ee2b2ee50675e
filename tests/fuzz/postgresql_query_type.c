/* Any text is of some kind, and its own beginning never crashes the reader. */
#include <stdlib.h>

#include "../../collectors/postgresql_query_type.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct text t = { (const char *)data, size };
	enum query_type whole = query_type_of(t), word = query_type_of_word(t);

	if (whole == QUERY_UNKNOWN || whole >= QUERY_TYPES)
		abort();
	/* What the first word settles, the whole text does not contradict. */
	if (word != QUERY_UNKNOWN && word != whole)
		abort();
	return 0;
}
