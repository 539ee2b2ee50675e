/*
 * Any bytes as the answers of a sampling window: what is made of them does not
 * depend on how they are cut into reads, and adds up.
 */
#include "../redis_harness.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const char *const prefixes[] = { "user", "a\"", "c", NULL };
static const struct redis_conf conf = {
	.uri = "redis://h", .key_prefixes = prefixes, .key_separator = ":"
};

/* Watching from the start or through the whole conversation; the last answer
 * is asked for after half of the bytes.  False: they were refused. */
static bool
watch(struct redis_window *window, const uint8_t *data, size_t size, size_t step, bool whole)
{
	struct redis_watch w;
	struct scrape sc = { 0 };
	bool good = true;

	redis_watch_begin(&w, &conf, window);
	w.step = whole ? WATCH_HELLO : WATCH_WATCHING;
	for (size_t at = 0; good && at < size;) {
		size_t end = at < size / 2 ? size / 2 : size;
		size_t len = end - at < step ? end - at : step;
		if (at == size / 2 && w.step == WATCH_WATCHING)
			w.step = WATCH_AFTER;
		good = redis_watch_feed(&w, (struct text){ (const char *)data + at, len });
		at += len;
	}
	if (!good && redis_watch_refused(&sc, &w) != FAILED)
		abort();
	redis_watch_settle(&w);
	redis_watch_end(&w);
	return good;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct redis_window once, pieces;

	if (size < 1)
		return 0;
	bool whole = (data[0] & 1) != 0;
	bool good = watch(&once, data + 1, size - 1, size, whole);
	if (watch(&pieces, data + 1, size - 1, 1 + data[0] / 2, whole) != good)
		abort();
	uint64_t reads = 0;
	for (unsigned i = 0; i < REDIS_COUNTS; i++)
		reads += once.hits[i] + once.misses[i];
	if (reads != once.reads)
		abort();
	if (memcmp(&once, &pieces, sizeof once) != 0)
		abort();
	return 0;
}
