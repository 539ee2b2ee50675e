/*
 * Pages (tests/golden/application: NAME.page in text 0.0.4, NAME.openmetrics)
 * become exactly the two expositions that stand beside them.  With
 * APPLICATION_GOLDEN_WRITE=1 in the environment these are written anew, to be
 * read before they are kept.
 */
#include "application_harness.h"

#include <glob.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

#include "golden.h"

#define GOLDEN "tests/golden/application"

static void
expect(const char *page, const char *ending, struct text got)
{
	char path[512];

	snprintf(path, sizeof path, "%s.%s", page, ending);
	if (getenv("APPLICATION_GOLDEN_WRITE") != NULL)
		write_file(path, got);
	struct buf expected = read_file(path);
	if (!text_equal(got, (struct text){ expected.ptr, expected.len })) {
		write_file("/dev/stderr", got);
		fail_msg("%s: not what is expected", path);
	}
	buf_free(&expected);
}

static void
compare(const char *path)
{
	static const char *const families[] = { "http_requests_total", "python_info", NULL };
	struct harness h;
	struct buf page = read_file(path);

	harness_begin(&h, "http://chat:8085/metrics");
	h.conf.families = families;
	if (!harness_page_in(&h, 0, (struct text){ page.ptr, page.len },
		strstr(path, ".openmetrics") != NULL, 100))
		fail_msg("%s: %s", path, h.state.instances[0].why);
	assert_int_equal(harness_collect(&h), DONE);
	expect(path, "txt", harness_expose(&h, false));
	expect(path, "om", harness_expose(&h, true));
	buf_free(&page);
	harness_end(&h);
}

static void
pages_become_the_expected_expositions(void **unused)
{
	static const char *const patterns[] = { GOLDEN "/*.page", GOLDEN "/*.openmetrics" };

	(void)unused;
	for (size_t i = 0; i < COUNT(patterns); i++) {
		glob_t found;
		assert_int_equal(glob(patterns[i], 0, NULL, &found), 0);
		assert_true(found.gl_pathc >= 1);
		for (size_t k = 0; k < found.gl_pathc; k++)
			compare(found.gl_pathv[k]);
		globfree(&found);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(pages_become_the_expected_expositions),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
