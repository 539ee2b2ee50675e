/*
 * Accept and Accept-Encoding, as clients send them and as they should not.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "../exporter/negotiate.h"

#define COUNT(a) (sizeof(a) / sizeof *(a))
#define OM "application/openmetrics-text"

struct example {
	const char *header;
	bool expected;
};

static void
openmetrics_for_those_who_name_it(void **state)
{
	static const struct example examples[] = {
		/* Prometheus 2.5, 2.42, 2.55, 3.0; Grafana Agent; curl; a browser */
		{ OM ";version=0.0.1,text/plain;version=0.0.4;q=0.5,*/*;q=0.1", false },
		{ OM ";version=1.0.0," OM ";version=0.0.1;q=0.75,"
		     "text/plain;version=0.0.4;q=0.5,*/*;q=0.1",
		    true },
		{ OM ";version=1.0.0;q=0.5," OM ";version=0.0.1;q=0.4,"
		     "text/plain;version=0.0.4;q=0.3,*/*;q=0.2",
		    true },
		{ OM ";version=1.0.0;escaping=allow-utf-8;q=0.5," OM
		     ";version=0.0.1;q=0.4,text/plain;version=1.0.0;escaping=allow-utf-8;q=0.3,"
		     "text/plain;version=0.0.4;q=0.2,*/*;q=0.1",
		    true },
		{ "application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;"
		  "encoding=delimited," OM ";version=1.0.0;q=0.8,text/plain;version=0.0.4;q=0.5",
		    true },
		{ "*/*", false },
		{ "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8", false },
		/* by weight, equal weight goes to OpenMetrics */
		{ OM, true },
		{ OM ",text/plain", true },
		{ OM ";q=0.5,text/plain;q=0.6", false },
		{ OM ";q=0.6,text/plain;q=0.5", true },
		{ OM ";q=0.001", true },
		{ OM ";q=0.5,*/*", false },
		{ OM ";q=0.5,text/*;q=0.6", false },
		{ OM ";q=0.5,*/*;q=0.9,text/plain;q=0.1", true },
		{ OM ";q=0.5,text/plain;version=1.0.0;q=0.9", true },
		{ OM ";q=0", false },
		{ OM ";q=0,text/plain;q=0", false },
		{ "application/*", false },
		/* versions */
		{ OM ";version=1.0.0", true },
		{ OM ";version=\"1.0.0\"", true },
		{ OM "; Version = 1.0.0 ; charset=utf-8", true },
		{ OM ";version=2.0.0", false },
		{ OM ";version=1.0", false },
		{ OM ";version=", false },
		/* spelling */
		{ "APPLICATION/OpenMetrics-Text;Q=0.5", true },
		{ " \t" OM " \t;\t q=1.000 \t", true },
		{ ",,;," OM ",,", true },
		{ "text/plain;x=\"a,b;q=0\\\",\";q=0.1," OM, true },
		{ "x=\"," OM, false },
		/* no weights at all */
		{ OM ";q=1.001", false },
		{ OM ";q=2", false },
		{ OM ";q=-1", false },
		{ OM ";q=0.0001", false },
		{ OM ";q=1e0", false },
		{ OM ";q=", false },
		{ OM ";q", false },
		{ OM ";q=.5", false },
		{ OM ";q=0,5", false },
		{ OM ";q=1.", true },
		{ OM ";q=0.", false },
		{ OM ";q=nan", false },
		{ "", false },
		{ ",", false },
		{ ";", false },
		{ "\"", false },
		{ "=", false },
		{ OM "x", false },
		{ "x" OM, false },
	};

	(void)state;
	for (size_t i = 0; i < COUNT(examples); i++) {
		struct negotiation n = { { 0 } };
		negotiate_accept(&n, text_of(examples[i].header));
		if (negotiate_openmetrics(&n) != examples[i].expected)
			fail_msg("Accept: %s", examples[i].header);
	}
}

static void
gzip_for_those_who_like_it(void **state)
{
	static const struct example examples[] = {
		{ "gzip", true },
		{ "gzip, deflate, br, zstd", true },
		{ "deflate, gzip;q=1.0, *;q=0.5", true },
		{ "x-gzip", true },
		{ "GZip", true },
		{ "*", true },
		{ "identity, gzip", true },
		{ "gzip;q=0.001", true },
		{ "identity;q=0.5, gzip;q=0.4", false },
		{ "identity;q=0.5, *;q=0.4", false },
		{ "gzip;q=0", false },
		{ "gzip;q=0.0, *", false },
		{ "*;q=0", false },
		{ "deflate", false },
		{ "identity", false },
		{ "gzip;q=1.5", false },
		{ "gzipped", false },
		{ "", false },
	};

	(void)state;
	for (size_t i = 0; i < COUNT(examples); i++) {
		struct negotiation n = { { 0 } };
		negotiate_encoding(&n, text_of(examples[i].header));
		if (negotiate_gzip(&n) != examples[i].expected)
			fail_msg("Accept-Encoding: %s", examples[i].header);
	}
}

static void
nothing_said_is_plain_text(void **state)
{
	struct negotiation n = { { 0 } };

	(void)state;
	assert_false(negotiate_openmetrics(&n));
	assert_false(negotiate_gzip(&n));
}

static void
headers_add_up(void **state)
{
	struct negotiation n = { { 0 } };

	(void)state;
	negotiate_accept(&n, text_of("text/plain;q=0.5"));
	negotiate_accept(&n, text_of(OM ";q=0.4"));
	assert_false(negotiate_openmetrics(&n));
	negotiate_accept(&n, text_of(OM ";q=0.6"));
	assert_true(negotiate_openmetrics(&n));
	assert_false(negotiate_gzip(&n));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(openmetrics_for_those_who_name_it),
		cmocka_unit_test(gzip_for_those_who_like_it),
		cmocka_unit_test(nothing_said_is_plain_text),
		cmocka_unit_test(headers_add_up),
	};

	return cmocka_run_group_tests_name("negotiate", tests, NULL, NULL);
}
