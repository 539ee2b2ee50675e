/*
 * What real servers answered (tests/golden/redis, made by record.py) becomes
 * exactly the samples that stand beside it.  With REDIS_GOLDEN_WRITE=1 in the
 * environment the samples are written anew, to be read before they are kept.
 */
#include "redis_harness.h"

#include <glob.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

#include "golden.h"

#define GOLDEN "tests/golden/redis"
enum { ALL_QUESTIONS = (1 << REDIS_QUESTIONS) - 1 };

static void
compare(const char *path)
{
	struct harness h;
	char expected_path[512];
	struct buf answer = read_file(path);

	snprintf(expected_path, sizeof expected_path, "%.*s.txt", (int)strlen(path) - 5, path);
	harness_begin(&h, "redis://127.0.0.1");
	if (!harness_answer(&h, ALL_QUESTIONS, (struct text){ answer.ptr, answer.len }))
		fail_msg("%s: %s", path, h.sc.why);
	struct text page = harness_page(&h);
	if (getenv("REDIS_GOLDEN_WRITE") != NULL)
		write_file(expected_path, page);
	struct buf expected = read_file(expected_path);
	if (!text_equal(page, (struct text){ expected.ptr, expected.len })) {
		write_file("/dev/stderr", page);
		fail_msg("%s: not what is expected", path);
	}
	buf_free(&expected);
	buf_free(&answer);
	harness_end(&h);
}

static void
recorded_answers_become_the_expected_samples(void **unused)
{
	glob_t found;

	(void)unused;
	assert_int_equal(glob(GOLDEN "/*.resp", 0, NULL, &found), 0);
	assert_true(found.gl_pathc >= 10);
	for (size_t i = 0; i < found.gl_pathc; i++)
		compare(found.gl_pathv[i]);
	globfree(&found);
}

/* However the bytes are cut into reads, the samples are the same. */
static void
answers_may_come_byte_by_byte(void **unused)
{
	struct buf answer = read_file(GOLDEN "/redis-7.0-primary.resp");
	struct harness h;

	(void)unused;
	harness_begin(&h, "redis://127.0.0.1");
	assert_true(redis_replies_open(&h.state.replies));
	for (size_t i = 0; i < answer.len; i++) {
		assert_int_not_equal(h.state.replies.nroots, REDIS_QUESTIONS);
		assert_true(redis_replies_feed(
		    &h.state.replies, (struct text){ answer.ptr + i, 1 }, REDIS_QUESTIONS));
	}
	assert_int_equal(h.state.replies.nroots, REDIS_QUESTIONS);
	for (unsigned q = 0; q < REDIS_QUESTIONS; q++)
		h.state.answer[q].asked = true;
	assert_int_equal(redis_answered(&h.sc), DONE);
	assert_int_equal(harness_collect(&h), DONE);
	struct text page = harness_page(&h);
	struct buf expected = read_file(GOLDEN "/redis-7.0-primary.txt");
	assert_true(text_equal(page, (struct text){ expected.ptr, expected.len }));
	buf_free(&expected);
	buf_free(&answer);
	harness_end(&h);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(recorded_answers_become_the_expected_samples),
		cmocka_unit_test(answers_may_come_byte_by_byte),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
