/*
 * Accept and Accept-Encoding headers, and % sequences.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "../../exporter/negotiate.h"
#include "../../exporter/request.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
check_decode(const uint8_t *data, size_t size)
{
	char *text = malloc(size + 1);
	size_t len;

	if (text == NULL)
		return;
	memcpy(text, data, size);
	text[size] = '\0';
	size_t before = strlen(text);
	request_decode(text, &len);
	if (len > before || strlen(text) != len)
		abort();
	free(text);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct negotiation n = { { 0 } };
	struct text header = { (const char *)data, size };

	negotiate_accept(&n, header);
	negotiate_encoding(&n, header);
	for (int i = 0; i < PREFERENCES; i++)
		if (n.weight[i] < 0 || n.weight[i] > 1001)
			abort();
	(void)negotiate_openmetrics(&n);
	(void)negotiate_gzip(&n);
	check_decode(data, size);
	return 0;
}
