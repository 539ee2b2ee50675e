/*
 * Any bytes as a configuration file: it is read or refused with words, and a
 * secret of the environment is in none of them.
 */
#include <ctype.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "../../config/config.h"
#include "../stub_collector.h"

#define SECRET "open sesame!7f3a"

int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
const char *__lsan_default_suppressions(void);

/* libconfig 1.5 loses strings that stand before a syntax error. */
const char *
__lsan_default_suppressions(void)
{
	return "leak:libconfig.so\n";
}

int
LLVMFuzzerInitialize(int *argc, char ***argv)
{
	(void)argc, (void)argv;
	setenv("A", SECRET, 1);
	setenv("B", "stub://u:" SECRET "@h", 1);
	setenv("C", "", 1);
	setenv("D", "5", 1);
	return 0;
}

/* Repeats of repeats in a regular expression take all memory there is. */
static bool
has_repeat(const uint8_t *data, size_t size)
{
	for (size_t i = 1; i < size; i++)
		if (data[i - 1] == '{' && isdigit(data[i]))
			return true;
	return false;
}

static void
check_words(struct buf *words, bool must_be)
{
	bool none = words->len == 0;
	buf_char(words, '\0');
	if (!buf_ok(words) || none == must_be || strstr(words->ptr, SECRET) != NULL)
		abort();
	buf_free(words);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct buf faults = BUF(1 << 20), notes = BUF(16 << 20);
	if (size > 65536 || has_repeat(data, size) || memmem(data, size, "@include", 8) != NULL ||
	    memmem(data, size, SECRET, strlen(SECRET)) != NULL)
		return 0;
	struct text text = { (const char *)data, size };
	struct config *config = config_load_text("fuzz.conf", text, stub_find, &faults, &notes);
	check_words(&faults, config == NULL);
	buf_free(&notes);
	config_free(config);
	return 0;
}
