/*
 * redis_window.c - one look at what a server is asked for:
 *
 *	HELLO 3 AUTH ...			RESP3, or one connection could not do both
 *	INFO stats, PSUBSCRIBE, MONITOR		in one write: the server does them at once
 *	...					lines of commands, events of misses
 *	INFO stats				what it counted in between
 *
 * and the connection is closed.  A server holds what a MONITOR does not read
 * without any limit: so nothing here waits but for the server.
 */
#include <hiredis/hiredis.h>
#include <stdio.h>
#include <string.h>

#include "redis.h"

enum {
	CONNECT_MS = 5000,
	ANSWER_MS = 1000, /* for INFO at the end, or it is done without */
	SLICE_MS = 100,   /* between looks at *stop */
};

/* ---- the conversation ---- */

static bool
add_words(struct buf *out, const char *const *words, int n)
{
	char *command;
	const char *argv[8];

	for (int i = 0; i < n; i++)
		argv[i] = words[i];
	long long len = redisFormatCommandArgv(&command, n, argv, NULL);
	if (len < 0)
		return false;
	buf_add(out, command, (size_t)len);
	explicit_bzero(command, (size_t)len);
	redisFreeCommand(command);
	return buf_ok(out);
}
#define ADD(out, ...)                                                                              \
	add_words(out, (const char *const[]){ __VA_ARGS__ },                                       \
	    (int)COUNT(((const char *const[]){ __VA_ARGS__ })))

static enum outcome
send_words(struct scrape *sc, struct redis_stream *s, struct buf *out, bool good)
{
	enum outcome outcome = good ? DONE : fail(FAILED, sc, "out of memory");

	if (good)
		outcome = redis_stream_write(sc, s, (struct text){ out->ptr, out->len });
	if (out->ptr != NULL)
		explicit_bzero(out->ptr, out->cap);
	buf_free(out);
	return outcome;
}

static enum outcome
say_hello(struct scrape *sc, struct redis_stream *s, const struct redis_address *a)
{
	struct buf out = BUF(1 << 16);
	bool good = a->password != NULL ? ADD(&out, "HELLO", "3", "AUTH",
					      a->user != NULL ? a->user : "default", a->password)
					: ADD(&out, "HELLO", "3");

	return send_words(sc, s, &out, good);
}

static enum outcome
ask_to_watch(struct scrape *sc, struct redis_stream *s)
{
	struct buf out = BUF(1 << 12);
	bool good = ADD(&out, "INFO", "stats") && ADD(&out, "PSUBSCRIBE", REDIS_MISS_EVENTS) &&
		    ADD(&out, "MONITOR");

	return send_words(sc, s, &out, good);
}

static enum outcome
ask_for_end(struct scrape *sc, struct redis_stream *s)
{
	struct buf out = BUF(1 << 10);
	bool good = ADD(&out, "INFO", "stats");

	return send_words(sc, s, &out, good);
}

/* Some bytes, or none before sc->until: DONE in both cases. */
static enum outcome
read_some(struct scrape *sc, struct redis_stream *s, struct redis_watch *w)
{
	char bytes[16384];
	size_t got = 0;
	enum outcome outcome = redis_stream_read(sc, s, bytes, sizeof bytes, &got);

	if (outcome != DONE)
		return left_ms(sc->until) == 0 ? DONE : outcome;
	if (got == 0)
		return fail(FAILED, sc, "the server closed the sampler's connection");
	bool good = redis_watch_feed(w, (struct text){ bytes, got });
	explicit_bzero(bytes, got);
	return good ? DONE : redis_watch_refused(sc, w);
}

/* Reads until that step; FAILED and said why when it does not come in time. */
static enum outcome
read_until(struct scrape *sc, struct redis_stream *s, struct redis_watch *w, enum redis_step step)
{
	enum outcome outcome = DONE;

	while (outcome == DONE && w->step < step && left_ms(sc->until) > 0)
		outcome = read_some(sc, s, w);
	if (outcome == DONE && w->step < step)
		outcome = fail(FAILED, sc, "the server does not answer the sampler");
	return outcome;
}

static enum outcome
watch(struct scrape *sc, struct redis_stream *s, struct redis_watch *w,
    const struct redis_limits_of_window *limits, const atomic_bool *stop)
{
	struct deadline end = deadline_in(limits->ns);
	enum outcome outcome = DONE;

	while (outcome == DONE && !atomic_load(stop) && left_ms(end) > 0 &&
	       w->monitor.reads < limits->reads && w->monitor.commands < limits->commands &&
	       w->bytes < limits->bytes) {
		sc->until = deadline_in(SLICE_MS * NS_PER_MS);
		if (sc->until.at > end.at)
			sc->until = end;
		outcome = read_some(sc, s, w);
	}
	return outcome;
}

/* The last INFO says how much of it all was seen.  Where the bytes are used up
 * or it does not come in time the window is worth a little less. */
static enum outcome
finish(struct scrape *sc, struct redis_stream *s, struct redis_watch *w, uint64_t bytes_max)
{
	if (w->bytes >= bytes_max)
		return DONE;
	sc->until = deadline_in(ANSWER_MS * NS_PER_MS);
	enum outcome outcome = ask_for_end(sc, s);
	w->step = WATCH_AFTER;
	while (outcome == DONE && w->step == WATCH_AFTER && left_ms(sc->until) > 0 &&
	       w->bytes < 2 * bytes_max)
		outcome = read_some(sc, s, w);
	return outcome;
}

static enum outcome
converse(struct scrape *sc, struct redis_stream *s, struct redis_watch *w,
    const struct redis_address *a, const struct redis_limits_of_window *limits,
    const atomic_bool *stop)
{
	sc->until = deadline_in(CONNECT_MS * NS_PER_MS);
	enum outcome outcome = redis_stream_open(sc, s, a);

	if (outcome == DONE)
		outcome = say_hello(sc, s, a);
	if (outcome == DONE)
		outcome = read_until(sc, s, w, WATCH_BEFORE);
	buf_reset(&w->info);
	if (outcome == DONE)
		outcome = ask_to_watch(sc, s);
	if (outcome == DONE)
		outcome = read_until(sc, s, w, WATCH_WATCHING);
	int64_t begin = clock_ns();
	if (outcome == DONE)
		outcome = watch(sc, s, w, limits, stop);
	if (outcome == DONE)
		outcome = finish(sc, s, w, limits->bytes);
	w->window->ns = clock_ns() - begin;
	return outcome;
}

/* The sampler's own user, where it has one. */
static void
use_sampler(struct redis_address *a, const struct redis_conf *conf)
{
	if (conf->prefix_password == NULL || conf->prefix_password[0] == '\0')
		return;
	bool named = conf->prefix_username != NULL && conf->prefix_username[0] != '\0';
	a->user = named ? conf->prefix_username : NULL;
	a->password = conf->prefix_password;
}

enum outcome
redis_window_run(struct scrape *sc, const struct redis_limits_of_window *limits,
    struct redis_window *seen, const atomic_bool *stop)
{
	const struct redis_conf *conf = sc->conf;
	struct redis_stream stream = { .fd = -1 };
	struct redis_address a;
	char why[WHY_MAX];
	struct redis_watch w;

	redis_watch_begin(&w, conf, seen);
	sc->why[0] = '\0';
	enum outcome outcome = FAILED;
	if (redis_address_read(&a, conf, why)) {
		use_sampler(&a, conf);
		w.password = a.password;
		outcome = converse(sc, &stream, &w, &a, limits, stop);
		redis_watch_settle(&w);
	} else {
		fail(FAILED, sc, "%s", why);
	}
	redis_stream_close(&stream);
	redis_address_free(&a);
	redis_watch_end(&w);
	if (outcome == LOST)
		outcome = FAILED;
	return outcome;
}
