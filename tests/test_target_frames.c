/*
 * test_target_frames.c - a worker process that lies: frames with wrong tickets,
 * groups, outcomes, words and records are refused, and nothing is published.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "../exporter/log.h"
#include "../exporter/sink.h"
#include "../exporter/target.h"

/* After ours: it defines fail as a macro. */
#include <cmocka.h>

static const struct metric metrics[] = {
	{ .name = "t_calls_total", .type = COUNTER, .accumulated = true, .help = "C." },
};
static const struct group group = { .name = "t", .about = "T.", .metrics = metrics, .nmetrics = 1 };
static const struct collector lying = { COLLECTOR_HEAD, .name = "lying", .groups = &group,
	.ngroups = 1 };
static const struct config_target config = { .name = "a", .collector = &lying, .groups = 1 };

/* A target whose first collection is under way, without a worker. */
static struct target *
asked(void)
{
	struct target *t = target_new(&config);

	assert_non_null(t);
	t->running = 1;
	t->until = deadline_in(NS_PER_S).at;
	return t;
}

static bool
rows_frame(struct target *t, uint64_t ticket, uint16_t number, const char *payload, size_t len)
{
	struct frame f = { .type = FRAME_ROWS, .group = number, .ticket = ticket };
	char *exact = malloc(len); /* so that ASan sees a step too far */

	memcpy(exact, payload, len);
	bool good = target_take_rows(t, &f, (struct text){ exact, len });
	free(exact);
	return good;
}

static void
rows_that_make_no_sense_are_refused(void **state)
{
	char endless[WHY_MAX + 10], bad_record[] = "\0\0Z";
	struct target *t = asked();
	(void)state;

	memset(endless, 'x', sizeof endless);
	endless[0] = DONE;
	assert_false(rows_frame(t, 2, 0, "\0\0", 2));               /* not the ticket */
	assert_false(rows_frame(t, 1, 1, "\0\0", 2));               /* no such group */
	assert_false(rows_frame(t, 1, 0, "\0", 1));                 /* too short */
	assert_false(rows_frame(t, 1, 0, "\3\0", 2));               /* LOST has no rows */
	assert_false(rows_frame(t, 1, 0, "\77\0", 2));              /* no outcome */
	assert_false(rows_frame(t, 1, 0, endless, sizeof endless)); /* words without end */
	assert_false(rows_frame(t, 1, 0, bad_record, 3));
	assert_null(t->groups[0].published);
	assert_true(rows_frame(t, 1, 0, "\0\0", 2));
	assert_non_null(t->groups[0].published);
	target_free(t);
}

/* One collection: the only row with that count, or no row where it is negative.
 * What is published of it then; -1: nothing. */
static double
collected(struct target *t, double count)
{
	char payload[2 + 1 + 1 + sizeof(uint32_t) + sizeof count] = "\0\0RP";
	size_t len = count < 0 ? 2 : sizeof payload;

	memcpy(payload + sizeof payload - sizeof count, &count, sizeof count);
	assert_true(rows_frame(t, t->running, 0, payload, len));
	t->done = t->running++;
	const struct rows *r = t->groups[0].published;
	return r->nsamples == 0 ? -1 : r->samples[0].value;
}

static void
a_count_goes_on_where_it_was_when_it_lapsed_before_its_worker_died(void **state)
{
	struct target *t = asked();
	(void)state;

	log_set_level("error");
	t->again = true;
	assert_true(collected(t, 5) == 5);
	assert_true(collected(t, -1) == -1); /* the group failed, say */
	assert_true(collected(t, 7) == 7);   /* the same process: nothing is added */
	assert_true(collected(t, -1) == -1);
	assert_true(collected(t, -1) == -1);
	target_worker_gone(t, "killed");
	t->running++;
	assert_true(collected(t, 1) == 8);
	assert_true(collected(t, -1) == -1);
	target_worker_gone(t, "killed");
	t->running++;
	assert_true(collected(t, -1) == -1);
	target_worker_gone(t, "killed");
	t->running++;
	assert_true(collected(t, 2) == 10);
	target_free(t);
}

static void
an_end_that_makes_no_sense_is_refused(void **state)
{
	struct {
		struct done done;
		char why[4];
	} p = { { 5, true }, "ok" };
	struct frame f = { .type = FRAME_DONE, .ticket = 2 };
	struct text whole = { (const char *)&p, sizeof p.done + sizeof p.why };
	struct target *t = asked();
	(void)state;

	assert_false(target_take_done(t, &f, whole)); /* not the ticket */
	f.ticket = 1;
	assert_false(target_take_done(t, &f, (struct text){ whole.ptr, sizeof p.done }));
	assert_false(target_take_done(t, &f, (struct text){ whole.ptr, sizeof p.done + 1 }));
	assert_true(target_take_done(t, &f, whole));
	assert_true(t->up && t->done == 1);
	assert_false(target_take_done(t, &f, whole)); /* a second time */
	assert_false(rows_frame(t, 1, 0, "\0\0", 2)); /* rows after the end */
	target_free(t);
}

static void
kept_bytes_are_bounded_and_belong_to_a_collection(void **state)
{
	struct frame f = { .type = FRAME_KEEP, .ticket = 2 };
	struct target *t = asked();
	char *bytes = calloc(1, KEPT_MAX + 1);
	(void)state;

	assert_false(target_take_kept(t, &f, TEXT("old"))); /* not the ticket */
	f.ticket = 1;
	assert_true(target_take_kept(t, &f, TEXT("longer")));
	assert_true(target_take_kept(t, &f, TEXT("new")));
	assert_false(target_take_kept(t, &f, (struct text){ bytes, KEPT_MAX + 1 }));
	assert_int_equal(t->kept.len, 3);
	assert_memory_equal(t->kept.ptr, "new", 3);
	assert_true(target_take_kept(t, &f, (struct text){ bytes, KEPT_MAX }));
	assert_int_equal(t->kept.len, KEPT_MAX);
	free(bytes);
	target_free(t);
}

static void
frames_pass_a_socket_whole_or_not_at_all(void **state)
{
	int pair[2];
	struct frame f = { .type = FRAME_ROWS, .target = 7, .ticket = 9 }, got;
	struct buf out = BUF(4 * FRAME_MAX);
	struct text payload;
	(void)state;

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
	struct frame_reader reader = FRAME_READER(pair[1]);
	frame_add(&out, f, TEXT("abc"), TEXT("de"));
	f.target = 8;
	frame_add(&out, f, TEXT(""), TEXT(""));
	assert_true(frame_send(pair[0], &out, true));
	assert_true(frame_read(&reader, &got, &payload));
	assert_int_equal(got.target, 7);
	assert_int_equal(payload.len, 5);
	assert_memory_equal(payload.ptr, "abcde", 5);
	assert_true(frame_read(&reader, &got, &payload));
	assert_int_equal(got.target, 8);
	assert_int_equal(payload.len, 0);
	f.len = 10;
	assert_int_equal(write(pair[0], &f, sizeof f), sizeof f);
	assert_int_equal(write(pair[0], "half", 4), 4);
	close(pair[0]);
	assert_false(frame_read(&reader, &got, &payload));
	close(pair[1]);
	frame_reader_free(&reader);
	buf_free(&out);
}

static void
a_frame_that_is_too_long_is_neither_sent_nor_believed(void **state)
{
	int pair[2];
	struct frame f = { .type = FRAME_ROWS, .len = FRAME_MAX + 1 }, got;
	struct buf out = BUF(4 * FRAME_MAX);
	struct text payload;
	(void)state;

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
	struct frame_reader reader = FRAME_READER(pair[1]);
	frame_add(&out, f, (struct text){ "", FRAME_MAX + 1 }, TEXT(""));
	assert_false(frame_send(pair[0], &out, true));
	assert_int_equal(write(pair[0], &f, sizeof f), sizeof f); /* by hand */
	assert_false(frame_read(&reader, &got, &payload));
	close(pair[0]);
	close(pair[1]);
	frame_reader_free(&reader);
	buf_free(&out);
}

static void
what_a_full_socket_does_not_take_is_sent_later(void **state)
{
	enum { FRAMES = 5000 };
	int pair[2];
	struct buf out = BUF(1 << 20);
	struct frame got;
	struct text payload;
	(void)state;

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
	struct frame_reader reader = FRAME_READER(pair[1]);
	for (uint32_t i = 0; i < FRAMES; i++) {
		frame_add(&out, (struct frame){ .type = FRAME_KICK, .target = i },
		    TEXT("sixteen bytes ok"), TEXT(""));
		assert_true(frame_send(pair[0], &out, false));
	}
	assert_true(out.len > 0);
	for (uint32_t i = 0; i < FRAMES; i++) {
		assert_true(frame_read(&reader, &got, &payload));
		assert_int_equal(got.target, i);
		assert_true(frame_send(pair[0], &out, false));
	}
	assert_int_equal(out.len, 0);
	close(pair[1]);
	frame_add(&out, (struct frame){ .type = FRAME_KICK }, TEXT(""), TEXT(""));
	assert_false(frame_send(pair[0], &out, false));
	assert_int_equal(out.len, 0);
	close(pair[0]);
	frame_reader_free(&reader);
	buf_free(&out);
}

static void
strings_in_a_payload_are_bounded(void **state)
{
	struct buf b = BUF(64);
	(void)state;

	frame_put_string(&b, "name");
	frame_put_string(&b, "");
	for (size_t len = 0; len < b.len; len++) {
		char *exact = malloc(len + 1);
		memcpy(exact, b.ptr, len);
		struct text t = { exact, len };
		bool first = frame_get_string(&t) != NULL;
		assert_int_equal(first, len >= 9);
		assert_null(frame_get_string(&t));
		free(exact);
	}
	struct text t = { b.ptr, b.len };
	assert_string_equal(frame_get_string(&t), "name");
	assert_string_equal(frame_get_string(&t), "");
	assert_int_equal(t.len, 0);
	buf_free(&b);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(rows_that_make_no_sense_are_refused),
		cmocka_unit_test(
		    a_count_goes_on_where_it_was_when_it_lapsed_before_its_worker_died),
		cmocka_unit_test(an_end_that_makes_no_sense_is_refused),
		cmocka_unit_test(kept_bytes_are_bounded_and_belong_to_a_collection),
		cmocka_unit_test(frames_pass_a_socket_whole_or_not_at_all),
		cmocka_unit_test(a_frame_that_is_too_long_is_neither_sent_nor_believed),
		cmocka_unit_test(what_a_full_socket_does_not_take_is_sent_later),
		cmocka_unit_test(strings_in_a_payload_are_bounded),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
