/*
 * redis_sampler.c - when windows open.
 *
 * A window that sees enough takes longer than a scrape may, so a target with
 * prefixes has a second thread, which a scrape never waits for: it takes what
 * the windows saw since the last scrape and gives the word for the next few.
 * They lie in equal parts of the time that passed between the last two
 * scrapes, each at a random place of its part, so that a rhythm of the traffic
 * does not beat with them.  Without scrapes nothing is watched.
 *
 *	scrape         scrape         scrape
 *	  |   -   - -    |- -      -    |        each at most share of its part
 */
#include <stdlib.h>
#include <string.h>

#include "redis.h"

enum {
	TURNS = 3, /* windows after a scrape */
	INTERVAL_MIN_S = 1,
	INTERVAL_MAX_S = 60,
	INTERVAL_FIRST_S = 5,   /* before there were two scrapes */
	COMMANDS_PER_READ = 10, /* a window among writes ends, too */
	STACK = 512 * 1024,
};

static int64_t
part(const struct redis_sampler *s)
{
	return s->interval / TURNS;
}

static int64_t
longest(const struct redis_sampler *s)
{
	return (int64_t)((double)part(s) * s->conf->prefix_share);
}

/* Somewhere in the part that begins then, so that the window ends in it. */
static int64_t
somewhere(struct redis_sampler *s, int64_t begin)
{
	double place = rand_r(&s->seed) / (1.0 + RAND_MAX);

	return begin + (int64_t)(place * (double)(part(s) - longest(s)));
}

/* Waits for the next window to be due; false: the end.  The caller holds the
 * lock. */
static bool
wait_for_turn(struct redis_sampler *s, int64_t free_at)
{
	while (!atomic_load(&s->stop)) {
		if (s->turns == 0) {
			pthread_cond_wait(&s->wake, &s->lock);
			continue;
		}
		int64_t due = s->due > free_at ? s->due : free_at;
		if (clock_ns() >= due)
			return true;
		struct timespec ts = { due / NS_PER_S, due % NS_PER_S };
		pthread_cond_timedwait(&s->wake, &s->lock, &ts);
	}
	return false;
}

static void
add(struct redis_sampler *s, const struct redis_window *w)
{
	for (unsigned i = 0; i < REDIS_COUNTS; i++) {
		s->seen.hits[i] += w->hits[i];
		s->seen.misses[i] += w->misses[i];
	}
	s->reads += w->reads;
	s->ns += w->ns;
	if (w->events > 0)
		s->silent_misses = 0;
	s->silent_misses += w->silent_misses;
}

static void
note(struct redis_sampler *s, const struct redis_window *w, enum outcome outcome, const char *why)
{
	s->outcome = outcome;
	memcpy(s->why, why, sizeof s->why); /* of DONE nobody reads it */
	if (outcome == DONE)
		add(s, w);
	else
		s->turns = 0; /* not again before the next scrape */
}

static struct redis_limits_of_window
limits(const struct redis_sampler *s)
{
	uint64_t reads = (uint64_t)s->conf->prefix_reads / TURNS + 1;

	return (struct redis_limits_of_window){ .ns = longest(s),
		.reads = reads,
		.commands = reads * COMMANDS_PER_READ,
		.bytes = (uint64_t)s->conf->prefix_bytes };
}

static void *
run(void *arg)
{
	struct redis_sampler *s = arg;
	struct scrape sc = { .target = s->target, .conf = s->conf };
	struct redis_window window;
	int64_t free_at = 0; /* from when on the share allows another one */

	pthread_mutex_lock(&s->lock);
	while (wait_for_turn(s, free_at)) {
		struct redis_limits_of_window l = limits(s);
		s->turns--;
		s->due = somewhere(s, s->scraped_at + (TURNS - s->turns) * part(s));
		pthread_mutex_unlock(&s->lock);
		int64_t begin = clock_ns();
		enum outcome outcome = redis_window_run(&sc, &l, &window, &s->stop);
		free_at = begin + (int64_t)((double)window.ns / s->conf->prefix_share);
		pthread_mutex_lock(&s->lock);
		note(s, &window, outcome, sc.why);
	}
	pthread_mutex_unlock(&s->lock);
	return NULL;
}

static bool
start(struct redis_sampler *s, const struct scrape *sc)
{
	pthread_condattr_t monotonic;
	pthread_attr_t attr;

	s->conf = sc->conf;
	s->target = sc->target;
	atomic_store(&s->stop, false);
	s->interval = INTERVAL_FIRST_S * NS_PER_S;
	s->seed = (unsigned)clock_ns();
	pthread_mutex_init(&s->lock, NULL);
	pthread_condattr_init(&monotonic);
	pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
	pthread_cond_init(&s->wake, &monotonic);
	pthread_condattr_destroy(&monotonic);
	pthread_attr_init(&attr);
	pthread_attr_setstacksize(&attr, STACK);
	s->started = pthread_create(&s->thread, &attr, run, s) == 0;
	pthread_attr_destroy(&attr);
	return s->started;
}

static int64_t
bounded(int64_t interval)
{
	int64_t least = INTERVAL_MIN_S * NS_PER_S, most = INTERVAL_MAX_S * NS_PER_S;

	return interval < least ? least : interval > most ? most : interval;
}

bool
redis_sampler_scrape(struct redis_sampler *s, const struct scrape *sc, struct redis_seen *seen)
{
	int64_t now = clock_ns();

	memset(seen, 0, sizeof *seen);
	if (!s->started && !start(s, sc))
		return false;
	pthread_mutex_lock(&s->lock);
	*seen = s->seen;
	memset(&s->seen, 0, sizeof s->seen);
	if (s->scraped_at > 0)
		s->interval = bounded(now - s->scraped_at);
	s->scraped_at = now;
	s->turns = TURNS;
	s->due = somewhere(s, now);
	pthread_cond_signal(&s->wake);
	pthread_mutex_unlock(&s->lock);
	return true;
}

void
redis_sampler_read(struct redis_sampler *s, struct redis_samples *samples)
{
	/* So few may be those of commands that do not tell of their misses. */
	enum { SILENT_MISSES = 10 };

	*samples = (struct redis_samples){ 0 };
	if (!s->started)
		return;
	pthread_mutex_lock(&s->lock);
	samples->reads = s->reads;
	samples->seconds = clock_seconds(s->ns);
	samples->outcome = s->outcome;
	memcpy(samples->why, s->why, sizeof samples->why);
	samples->blind = s->silent_misses >= SILENT_MISSES;
	pthread_mutex_unlock(&s->lock);
}

void
redis_sampler_stop(struct redis_sampler *s)
{
	if (!s->started)
		return;
	pthread_mutex_lock(&s->lock);
	atomic_store(&s->stop, true);
	pthread_cond_signal(&s->wake);
	pthread_mutex_unlock(&s->lock);
	pthread_join(s->thread, NULL);
	pthread_mutex_destroy(&s->lock);
	pthread_cond_destroy(&s->wake);
	s->started = false;
}
