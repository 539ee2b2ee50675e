/*
 * Any password in an address: nothing of it is left, all else is.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "../../config/options.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
redacts_to(struct buf *address, const char *expected)
{
	struct buf out = BUF(1 << 20);
	buf_char(address, '\0');
	options_redact(&out, address->ptr);
	buf_char(&out, '\0');
	if (!buf_ok(address) || !buf_ok(&out) || strcmp(out.ptr, expected) != 0)
		abort();
	buf_free(&out);
	buf_free(address);
}

static void
add_quoted(struct buf *out, struct text text)
{
	for (size_t i = 0; i < text.len; i++) {
		if (text.ptr[i] == '\'' || text.ptr[i] == '\\')
			buf_char(out, '\\');
		buf_char(out, text.ptr[i]);
	}
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct text password = { (const char *)data, size };
	struct buf address = BUF(1 << 20);
	if (size == 0 || size > 4096 || memchr(data, '\0', size) != NULL)
		return 0;

	buf_text(&address, password); /* as an address of itself: must only end */
	buf_char(&address, '\0');
	struct buf out = BUF(1 << 20);
	options_redact(&out, address.ptr);
	buf_free(&out);
	buf_free(&address);

	address = BUF(1 << 20);
	buf_str(&address, "host=h password = '");
	add_quoted(&address, password);
	buf_str(&address, "' user=u");
	redacts_to(&address, "host=h password = *** user=u");

	if (memmem(data, size, "=", 1) != NULL)
		return 0; /* what follows cannot be told from another keyword */
	address = BUF(1 << 20);
	buf_str(&address, "redis://u:");
	buf_text(&address, password);
	buf_str(&address, "@h/0");
	redacts_to(&address, "redis://u:***@h/0");
	return 0;
}
