/*
 * What becomes of a page's series: summed over labels that are not ours and
 * over the instances, buckets that stay exact.
 */
#include "application_sums.h"

static void
other_labels_are_summed_over(void **unused)
{
	struct harness h;

	(void)unused;
	harness_begin(&h, ONE);
	page(&h, 0,
	    "ws_active_connections{conversation_id=\"a\"} 1\n"
	    "ws_active_connections{conversation_id=\"b\",node=\"n\"} 2.5\n"
	    "messages_sent_total{status=\"success\",user=\"1\"} 10\n"
	    "messages_sent_total{user=\"2\",status=\"success\"} 5\n"
	    "messages_sent_total{user=\"2\",status=\"failed\"} 1\n"
	    "message_searches_total{status=\"success\",index_type=\"bm25\",x=\"y\"} 3\n"
	    "unknown_total 5\n");
	has(&h, "ws_active_connections 3.5");
	has(&h, "messages_sent_total{status=\"success\"} 15");
	has(&h, "messages_sent_total{status=\"failed\"} 1");
	has(&h, "message_searches_total{index_type=\"bm25\",status=\"success\"} 3");
	has_not(&h, "unknown_total");
	has_not(&h, "user=");
	harness_end(&h);
}

/* Before they are summed: two unknown values are one row, not a refused one. */
static void
unknown_values_become_other(void **unused)
{
	struct harness h;

	(void)unused;
	harness_begin(&h, ONE);
	page(&h, 0,
	    "ws_errors_total{error_type=\"gremlins\"} 1\nws_errors_total{error_type=\"ghosts\"} 2\n"
	    "ws_errors_total 4\nws_errors_total{error_type=\"timeout\"} 8\n"
	    "message_delivery_failures_total{error_type=\"other\"} 1\n"
	    "message_delivery_failures_total{error_type=\"x\"} 2\n");
	has(&h, "ws_errors_total{error_type=\"timeout\"} 8");
	has(&h, "ws_errors_total{error_type=\"other\"} 7");
	has(&h, "message_delivery_failures_total{error_type=\"other\"} 3");
	for (unsigned i = 0; i < APPLICATION_GROUPS; i++)
		for (unsigned r = 0; r < REFUSALS; r++)
			assert_int_equal(h.rows[i]->refused[r], 0);
	harness_end(&h);
}

static void
values_that_spoil_a_sum_are_left_out(void **unused)
{
	struct harness h;

	(void)unused;
	harness_begin(&h, ONE);
	page(&h, 0,
	    "messages_sent_total{status=\"success\"} 5\nmessages_sent_total{status=\"success\"} "
	    "NaN\n"
	    "messages_sent_total{status=\"success\"} -3\nmessages_sent_total{status=\"success\"} "
	    "+Inf\n"
	    "ws_active_connections NaN\nactive_conversations{status=\"idle\"} -1\n");
	has(&h, "messages_sent_total{status=\"success\"} 5");
	has(&h, "active_conversations{status=\"idle\"} -1");
	has_not(&h, "ws_active");
	harness_end(&h);
}

static void
old_names_are_mapped(void **unused)
{
	struct harness h;

	(void)unused;
	harness_begin(&h, ONE);
	h.conf.rename = LIST("sent=messages_sent_total", "legacy_sent = messages_sent_total",
	    "api_seconds=message_api_latency_seconds");
	page(&h, 0,
	    "message_delivery_failures{error_type=\"network\"} 3\nsent{status=\"success\"} 1\n"
	    "legacy_sent{status=\"success\"} 2\napi_seconds_bucket{endpoint=\"send\",le=\"+Inf\"} "
	    "4\n"
	    "api_seconds_count{endpoint=\"send\"} 4\napi_seconds_sum{endpoint=\"send\"} 8\n");
	has(&h, "message_delivery_failures_total{error_type=\"network\"} 3");
	has(&h, "messages_sent_total{status=\"success\"} 3");
	has(&h, "message_api_latency_seconds_sum{endpoint=\"send\"} 8");
	has_not(&h, "failures{");
	/* While the service has both names nothing is counted twice. */
	page(&h, 0,
	    "message_delivery_failures{error_type=\"network\"} 4\n"
	    "message_delivery_failures_total{error_type=\"network\"} 5\n"
	    "sent{status=\"success\"} 100\nmessages_sent_total{status=\"success\"} 7\n");
	has(&h, "message_delivery_failures_total{error_type=\"network\"} 5");
	has(&h, "messages_sent_total{status=\"success\"} 7");
	harness_end(&h);
}

static void
buckets_are_those_of_the_page_and_canonical(void **unused)
{
	struct harness h;

	(void)unused;
	harness_begin(&h, ONE);
	page(&h, 0, API(".005", 1) API("1", 3) API("1e1", 4) API_END(6, 20.5));
	has(&h, OUT("0.005", 1));
	has(&h, OUT("1.0", 3));
	has(&h, OUT("10.0", 4));
	has(&h, OUT("+Inf", 6));
	has(&h, "message_api_latency_seconds_sum{endpoint=\"send\"} 20.5");
	has(&h, "message_api_latency_seconds_count{endpoint=\"send\"} 6");
	harness_end(&h);
}

/* In any order, and per user. */
static void
buckets_of_many_series_are_summed(void **unused)
{
	struct harness h;

	(void)unused;
	harness_begin(&h, ONE);
	page(&h, 0,
	    API_END(6, 20.5) API("1", 3) API("0.5", 1) API("1.0", 2) API("0.50", 2) API_END(4, 1));
	has(&h, OUT("0.5", 3));
	has(&h, OUT("1.0", 5));
	has(&h, OUT("+Inf", 10));
	has(&h, "message_api_latency_seconds_sum{endpoint=\"send\"} 21.5");
	harness_end(&h);
}

/* What lies at or below 0.5 is not known of the second series. */
static void
only_common_bounds_are_kept(void **unused)
{
	struct harness h;

	(void)unused;
	harness_begin(&h, ONE);
	page(&h, 0,
	    API("0.5", 1) API("1", 3) API_END(6, 20.5) API("1", 2) API("2", 2) API_END(4, 1));
	has_not(&h, "le=\"0.5\"");
	has_not(&h, "le=\"2.0\"");
	has(&h, OUT("1.0", 5));
	has(&h, OUT("+Inf", 10));
	harness_end(&h);
	harness_begin(&h, TWO); /* nor of the second instance */
	harness_page(&h, 0, API("0.5", 1) API("1", 3) API_END(6, 20.5));
	page(&h, 1, API("1", 2) API("2", 2) API_END(4, 1));
	has_not(&h, "le=\"0.5\"");
	has_not(&h, "le=\"2.0\"");
	has(&h, OUT("1.0", 5));
	has(&h, OUT("+Inf", 10));
	harness_end(&h);
}

static void
a_histogram_may_lack_parts(void **unused)
{
	struct harness h;

	(void)unused;
	harness_begin(&h, ONE);
	page(&h, 0, API("0.5", 1) API("+Inf", 3)); /* no sum: none is claimed */
	has(&h, OUT("+Inf", 3));
	has_not(&h, "_sum");
	has_not(&h, "_count");
	page(&h, 0, /* a summary */
	    "message_api_latency_seconds{endpoint=\"send\",quantile=\"0.5\"} 7\n"
	    "message_api_latency_seconds_sum{endpoint=\"send\"} 9\n"
	    "message_api_latency_seconds_count{endpoint=\"send\"} 4\n");
	has(&h, OUT("+Inf", 4));
	has(&h, "message_api_latency_seconds_sum{endpoint=\"send\"} 9");
	harness_end(&h);
}

static void
there_may_be_many_bounds_but_not_any_number(void **unused)
{
	struct buf b = BUF(1 << 20);
	struct harness h;

	(void)unused;
	harness_begin(&h, ONE);
	for (int i = 1; i <= 1000; i++)
		buf_printf(&b,
		    "message_api_latency_seconds_bucket{endpoint=\"send\",le=\"%d\"} %d\n", i, i);
	buf_str(&b, API_END(1000, 5));
	buf_char(&b, '\0');
	page(&h, 0, b.ptr);
	has(&h, OUT("128.0", 128));
	has_not(&h, "le=\"129.0\"");
	has(&h, OUT("+Inf", 1000));
	buf_free(&b);
	harness_end(&h);
}

/* ---- families of the configuration ---- */

static void
an_added_counter_is_not_spoilt(void **unused)
{
	struct harness h;

	(void)unused;
	harness_begin(&h, ONE);
	h.conf.families = LIST("jobs_total", "runs");
	page(&h, 0, "jobs_total 5\n# TYPE runs counter\nruns 6\n");
	page(&h, 0, "jobs_total +Inf\n# TYPE runs counter\nruns -Inf\n");
	has(&h, "jobs_total 5");
	has(&h, "runs_total 6");
	page(&h, 0, "jobs_total 7\n# TYPE runs counter\nruns 8\n");
	has(&h, "jobs_total 7");
	has(&h, "runs_total 8");
	harness_end(&h);
}

static void
families_are_added_as_the_page_types_them(void **unused)
{
	struct harness h;

	(void)unused;
	harness_begin(&h, ONE);
	h.conf.families = LIST("http_requests_total", "go_goroutines", "rpc_seconds", "gc_seconds",
	    "logins", "odd", "never_there");
	page(&h, 0,
	    "# TYPE http_requests_total counter\nhttp_requests_total{code=\"200\"} 5\n"
	    "http_requests_total{code=\"500\"} 1\n# TYPE go_goroutines gauge\ngo_goroutines 12\n"
	    "# TYPE rpc_seconds histogram\nrpc_seconds_bucket{x=\"1\",le=\"0.1\"} 1\n"
	    "rpc_seconds_bucket{x=\"1\",le=\"+Inf\"} 2\nrpc_seconds_sum{x=\"1\"} 3\n"
	    "rpc_seconds_count{x=\"1\"} 2\n# TYPE gc_seconds summary\n"
	    "gc_seconds{quantile=\"0.5\"} 7\ngc_seconds_sum 8\ngc_seconds_count 9\n"
	    "# TYPE logins counter\nlogins 4\nodd 1\nodd{a=\"b\"} 2\n");
	has(&h, "# TYPE http_requests_total counter");
	has(&h, "http_requests_total 6");
	has(&h, "# TYPE go_goroutines gauge");
	has(&h, "go_goroutines 12");
	has(&h, "rpc_seconds_bucket{le=\"0.1\"} 1");
	has(&h, "rpc_seconds_sum 3");
	has(&h, "gc_seconds_bucket{le=\"+Inf\"} 9");
	has(&h, "gc_seconds_sum 8");
	has(&h, "logins_total 4");
	has(&h, "odd 3");
	has_not(&h, "never_there");
	page(&h, 0, "# TYPE http_requests_total counter\nhttp_requests_total{code=\"200\"} 1\n");
	has(&h, "http_requests_total 7");
	has_not(&h, "go_goroutines");
	harness_end(&h);
}

static void
families_are_added_from_openmetrics(void **unused)
{
	struct harness h;

	(void)unused;
	harness_begin(&h, ONE);
	h.conf.families = LIST("http_requests_total", "jobs");
	assert_true(harness_page_in(&h, 0,
	    text_of(
		"# TYPE http_requests counter\nhttp_requests_total{code=\"200\"} 5 # {a=\"b\"} 1\n"
		"http_requests_created{code=\"200\"} 5\n# TYPE jobs counter\njobs_total 3\n# "
		"EOF\n"),
	    true, 1000));
	harness_collect(&h);
	has(&h, "http_requests_total 5");
	has(&h, "jobs_total 3");
	harness_end(&h);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(other_labels_are_summed_over),
		cmocka_unit_test(unknown_values_become_other),
		cmocka_unit_test(values_that_spoil_a_sum_are_left_out),
		cmocka_unit_test(old_names_are_mapped),
		cmocka_unit_test(buckets_are_those_of_the_page_and_canonical),
		cmocka_unit_test(buckets_of_many_series_are_summed),
		cmocka_unit_test(only_common_bounds_are_kept),
		cmocka_unit_test(a_histogram_may_lack_parts),
		cmocka_unit_test(there_may_be_many_bounds_but_not_any_number),
		cmocka_unit_test(an_added_counter_is_not_spoilt),
		cmocka_unit_test(families_are_added_as_the_page_types_them),
		cmocka_unit_test(families_are_added_from_openmetrics),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
