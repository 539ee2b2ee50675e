/*
 * Any bytes as the text of INFO, beside a histogram that has all it may have.
 */
#include "../redis_harness.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct harness h;
	struct buf answer = BUF(REDIS_REPLY_BYTES_MAX);

	if (h.registry.ncollectors == 0)
		harness_begin(&h, "redis://127.0.0.1");
	h.state.major = 0;
	buf_printf(&answer, "$%zu\r\n", size);
	buf_add(&answer, data, size);
	buf_str(&answer, "\r\n*2\r\n$3\r\nget\r\n*4\r\n$5\r\ncalls\r\n:3\r\n"
			 "$14\r\nhistogram_usec\r\n*4\r\n:1\r\n:2\r\n:8\r\n:3\r\n:1\r\n");
	if (!harness_answer(
		&h, (1 << REDIS_QUESTIONS) - 1, (struct text){ answer.ptr, answer.len }))
		abort(); /* whatever INFO holds, the connection stays good */
	harness_page(&h);
	buf_free(&answer);
	return 0;
}
