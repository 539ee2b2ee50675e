/*
 * Any bytes as the answers of a Redis server, cut into reads at any place: the
 * first byte says what was asked and the length of a read.
 */
#include "../redis_harness.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct harness h;
	size_t want = 0, step;

	if (size < 1)
		return 0;
	if (h.registry.ncollectors == 0)
		harness_begin(&h, "redis://127.0.0.1");
	if (!redis_replies_open(&h.state.replies))
		abort();
	h.state.major = (data[0] & 16) != 0 ? REDIS_HISTOGRAM_MAJOR : 0;
	h.state.sections_refused = false;
	h.state.auth = (data[0] & 8) != 0;
	for (unsigned q = 0; q < REDIS_QUESTIONS; q++) {
		h.state.answer[q].asked = (data[0] >> q & 1) != 0;
		want += h.state.answer[q].asked;
	}
	want += h.state.auth;
	step = data[0] >> 4 == 0 ? size : (size_t)(data[0] >> 4) * 7;
	bool good = true;
	for (size_t at = 1; good && at < size; at += step) {
		size_t len = size - at < step ? size - at : step;
		good = redis_replies_feed(
		    &h.state.replies, (struct text){ (const char *)data + at, len }, want);
	}
	if (good && h.state.replies.nroots == want && redis_answered(&h.sc) == DONE &&
	    harness_collect(&h) == DONE)
		harness_page(&h);
	redis_replies_close(&h.state.replies);
	return 0;
}
