/*
 * test_scrape_lead.c - who reads what the workers send, the scrape that asked or
 * whoever comes after it; and what is sent to workers.  An answer that nobody takes in would be a scrape that
 * hangs, or a worker that cannot get rid of what it has.
 */
#include "fleet_harness.h"

#include <pthread.h>
#include <sys/resource.h>

#define UP(kind, t) "datatier_target_up{target=\"" t "\",collector=\"" kind "\"}"

struct request { /* a scrape of one target in a thread of its own */
	struct fleet *fleet;
	const char *target;
	const char *group; /* NULL: all */
	int ms;
	pthread_t thread;
	char *page;
	int64_t took;
};

static void *
run(void *arg)
{
	struct request *r = arg;
	int64_t begun = clock_ns();

	r->page = scrape(r->fleet, (const char *[]){ r->target, NULL },
	    (const char *[]){ r->group, NULL }, r->ms);
	r->took = clock_ns() - begun;
	return NULL;
}

static void
begin(struct request *r)
{
	assert_int_equal(pthread_create(&r->thread, NULL, run, r), 0);
}

static void
pause_ms(int ms)
{
	nanosleep(&(struct timespec){ ms / 1000, ms % 1000 * NS_PER_MS }, NULL);
}

/* Waits until nothing of that target is under way; false: it takes forever. */
static bool
comes_to_rest(struct fleet *f, const char *name)
{
	struct deadline until = deadline_in(10 * NS_PER_S);

	while (target_busy(fleet_find(f, name)) && left_ms(until) > 0)
		pause_ms(10);
	return !target_busy(fleet_find(f, name));
}

static void
who_reads_no_more_leaves_it_to_others(void **state)
{
	struct fleet *f = start_fleet((const char *[]){ "a", "b", NULL }, "");
	struct request first = { .fleet = f, .target = "b", .ms = 200 };
	struct request second = { .fleet = f, .target = "a", .ms = 20000 };
	(void)state;

	write_word("a", "slow"); /* 600 ms for both groups */
	write_word("b", "block");
	begin(&first);
	pause_ms(50); /* it reads by now, and gives up before a has answered */
	begin(&second);
	assert_int_equal(pthread_join(first.thread, NULL), 0);
	assert_int_equal(pthread_join(second.thread, NULL), 0);
	assert_true(value_of(first.page, UP("fake", "b")) == 0);
	assert_true(value_of(second.page, UP("fake", "a")) == 1);
	assert_true(second.took < 10 * NS_PER_S);
	free(first.page);
	free(second.page);
	write_word("b", "good");
	end_fleet(f);
}

/* It shares a collection that has to end early, is not content with that, and
 * has its own answer read though it leads nothing. */
static void
who_has_more_time_is_answered_in_it(void **state)
{
	struct fleet *f = start_fleet((const char *[]){ "a", NULL }, "");
	struct request hasty = { .fleet = f, .target = "a", .ms = 100 };
	struct request patient = { .fleet = f, .target = "a", .ms = 20000 };
	(void)state;

	write_word("a", "expire");
	begin(&hasty);
	pause_ms(50);
	begin(&patient);
	assert_int_equal(pthread_join(hasty.thread, NULL), 0);
	write_word("a", "good"); /* a collection lasts a second, whoever gives up sooner */
	assert_int_equal(pthread_join(patient.thread, NULL), 0);
	assert_true(value_of(hasty.page, UP("fake", "a")) == 0);
	assert_true(value_of(patient.page, UP("fake", "a")) == 1);
	assert_true(patient.took < 10 * NS_PER_S);
	free(hasty.page);
	free(patient.page);
	end_fleet(f);
}

/* The first is asked again of the next process, the second after it. */
static void
a_death_costs_nobody_who_waits_for_his_turn(void **state)
{
	struct fleet *f = start_fleet((const char *[]){ "a", NULL }, "");
	struct request first = { .fleet = f, .target = "a", .group = "states", .ms = 20000 };
	struct request second = { .fleet = f, .target = "a", .ms = 20000 };
	(void)state;

	write_word("a", "slow");
	begin(&first);
	pause_ms(50);
	begin(&second);
	pause_ms(50);
	kill(worker_pid(f), SIGKILL);
	assert_int_equal(pthread_join(first.thread, NULL), 0);
	assert_int_equal(pthread_join(second.thread, NULL), 0);
	assert_true(value_of(first.page, UP("fake", "a")) == 1);
	assert_true(value_of(second.page, UP("fake", "a")) == 1);
	assert_true(second.took < 10 * NS_PER_S);
	free(first.page);
	free(second.page);
	end_fleet(f);
}

static void
an_answer_that_nobody_waits_for_any_more_is_taken_in(void **state)
{
	struct fleet *f = start_fleet((const char *[]){ "a", NULL }, "");
	(void)state;

	write_word("a", "slow");
	char *page = scrape(f, none, none, 100);
	assert_true(value_of(page, UP("fake", "a")) == 0);
	assert_true(target_busy(fleet_find(f, "a")));
	assert_true(comes_to_rest(f, "a"));
	free(page);
	end_fleet(f);
}

/* A megabyte is more than a socket holds: it has to be read while the other
 * worker lets everybody wait. */
static void
a_late_worker_keeps_no_other_from_sending(void **state)
{
	struct fleet *f = start_fleet((const char *[]){ "a", "other", NULL }, "");
	(void)state;

	write_word("a", "block");
	write_word("other", "heavy");
	char *page = scrape(f, none, none, 3000);
	assert_true(value_of(page, UP("fake", "a")) == 0);
	assert_true(value_of(page, UP("other", "other")) == 1);
	assert_non_null(strstr(page, "other_state_ratio{target=\"other\",name=\"n9\""));
	free(page);
	write_word("a", "good");
	end_fleet(f);
}

static void *
scrape_for_a_while(void *arg)
{
	struct request *r = arg;

	for (int i = 0; i < 100; i++) {
		/* Most of them give up early, each at another point. */
		free(scrape(r->fleet, none, none, i % 4 == 0 ? 20000 : i % 7));
		r->took++;
	}
	return NULL;
}

static void
scrapes_that_come_and_go_leave_nothing_unread(void **state)
{
	struct fleet *f = start_fleet((const char *[]){ "a", "b", "other", NULL }, "");
	struct request r[6];
	(void)state;

	int64_t begun = clock_ns();
	for (size_t i = 0; i < COUNT(r); i++) {
		r[i] = (struct request){ .fleet = f };
		assert_int_equal(pthread_create(&r[i].thread, NULL, scrape_for_a_while, &r[i]), 0);
	}
	for (size_t i = 0; i < COUNT(r); i++) {
		assert_int_equal(pthread_join(r[i].thread, NULL), 0);
		assert_int_equal(r[i].took, 100);
	}
	/* One that was forgotten would have waited for its 20 s. */
	assert_true(clock_ns() - begun < 15 * NS_PER_S);
	assert_true(comes_to_rest(f, "a") && comes_to_rest(f, "other"));
	char *page = scrape(f, none, none, 5000);
	assert_true(value_of(page, UP("fake", "a")) == 1);
	assert_true(value_of(page, UP("other", "other")) == 1);
	free(page);
	end_fleet(f);
}

/* Their process does not listen for a while, and each is asked by itself: that is
 * more than a socket holds. */
static void
as_many_targets_as_there_are_can_be_asked_at_once(void **state)
{
	enum { MANY = 600 };
	static char names[MANY][8];
	const char *list[MANY + 1] = { NULL };
	int64_t ends;
	(void)state;

	for (size_t i = 0; i < MANY; i++) {
		snprintf(names[i], sizeof names[i], "m%zu", i);
		list[i] = names[i];
	}
	struct fleet *f = new_fleet(list, "");
	assert_true(fleet_start(f));
	pid_t pid = worker_pid(f);
	kill(pid, SIGSTOP);
	for (size_t i = 0; i < MANY; i++) {
		struct target *t = fleet_find(f, names[i]);
		target_kick(t, 3, deadline_in(30 * NS_PER_S).at, true, &ends);
		worker_send(t->worker);
	}
	worker_rouse(fleet_find(f, names[0])->worker);
	kill(pid, SIGCONT);
	for (size_t i = 0; i < MANY; i++) {
		assert_true(comes_to_rest(f, names[i]));
		assert_true(fleet_find(f, names[i])->up);
	}
	char *page = scrape(f, none, none, 20000);
	for (size_t i = 0; i < MANY; i++)
		assert_true(fleet_find(f, names[i])->up);
	free(page);
	end_fleet(f);
}

static void
a_shortage_of_descriptors_is_over_when_it_is_over(void **state)
{
	struct fleet *f = new_fleet((const char *[]){ "a", NULL }, "");
	struct rlimit old, none_left;
	(void)state;

	write_word("a", "good");
	assert_int_equal(getrlimit(RLIMIT_NOFILE, &old), 0);
	none_left = old;
	int next = dup(0); /* the lowest that is free */
	close(next);
	none_left.rlim_cur = (rlim_t)next;
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &none_left), 0);
	bool started = fleet_start(f);
	char *page = scrape(f, none, none, 500);
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &old), 0);
	assert_true(started);
	assert_true(value_of(page, UP("fake", "a")) == 0);
	free(page);
	struct deadline until = deadline_in(20 * NS_PER_S);
	while (scrape_value(f, UP("fake", "a")) != 1 && left_ms(until) > 0)
		pause_ms(100);
	assert_true(scrape_value(f, UP("fake", "a")) == 1);
	end_fleet(f);
}

/* From its death to its successor's work, looked at as often as can be. */
static void
the_time_of_workers_never_falls(void **state)
{
	struct fleet *f = start_fleet((const char *[]){ "a", NULL }, "");
	struct worker_stats s;
	double seconds = 0;
	(void)state;

	for (int death = 0; death < 5; death++) {
		free(scrape(f, none, none, 5000));
		pid_t pid = worker_pid(f);
		struct deadline until = deadline_in(10 * NS_PER_S);
		kill(pid, SIGKILL);
		do {
			worker_stats(f->workers[0], &s);
			assert_true(s.cpu_seconds >= seconds);
			seconds = s.cpu_seconds;
		} while ((s.pid == pid || s.pid == 0) && left_ms(until) > 0);
		assert_int_not_equal(s.pid, pid);
	}
	end_fleet(f);
}

int
main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(who_reads_no_more_leaves_it_to_others),
		cmocka_unit_test(who_has_more_time_is_answered_in_it),
		cmocka_unit_test(a_death_costs_nobody_who_waits_for_his_turn),
		cmocka_unit_test(an_answer_that_nobody_waits_for_any_more_is_taken_in),
		cmocka_unit_test(a_late_worker_keeps_no_other_from_sending),
		cmocka_unit_test(scrapes_that_come_and_go_leave_nothing_unread),
		cmocka_unit_test(as_many_targets_as_there_are_can_be_asked_at_once),
		cmocka_unit_test(a_shortage_of_descriptors_is_over_when_it_is_over),
		cmocka_unit_test(the_time_of_workers_never_falls),
	};

	return is_worker(argc, argv) ? worker_main(argv[2], WORKER_FD)
				     : cmocka_run_group_tests(tests, make_folder, remove_folder);
}
