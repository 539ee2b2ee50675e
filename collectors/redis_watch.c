/*
 * redis_watch.c - the answers in a window, in the order of its questions.
 */
#include <stdio.h>
#include <string.h>

#include "redis.h"

/* ---- replies ---- */

static void
add_error(struct redis_watch *w, struct text t)
{
	size_t room = sizeof w->error - 1 - w->nerror;
	size_t len = t.len < room ? t.len : room;

	memcpy(w->error + w->nerror, t.ptr, len);
	w->nerror += len;
	w->error[w->nerror] = '\0';
}

/* From then on nothing is believed. */
static bool
is_broken(const struct redis_watch *w)
{
	return w->refused || w->odd;
}

static bool
is_open(const struct redis_watch *w)
{
	return w->step == WATCH_WATCHING || w->step == WATCH_AFTER;
}

static void
add_missed(struct redis_watch *w, struct text key)
{
	for (size_t i = 0; i < key.len && !w->missed.whole; i++)
		redis_key_add(&w->missed, w->monitor.separator, key.ptr[i]);
}

/* What stands in a push: pmessage, pattern, channel, key. */
enum { KEY_LEAF = 3 };

static void
on_piece(void *arg, char root, unsigned leaf, struct text t)
{
	struct redis_watch *w = arg;

	if (is_broken(w))
		return;
	switch (root) {
	case '+':
		if (is_open(w))
			redis_monitor_piece(&w->monitor, t);
		break;
	case '>':
		if (leaf == KEY_LEAF)
			add_missed(w, t);
		break;
	case '-':
	case '!': add_error(w, t); break;
	case '$':
	case '=': buf_text(&w->info, t); break;
	default: break;
	}
}

static void
end_push(struct redis_watch *w)
{
	const struct redis_monitor *m = &w->monitor;

	if (is_open(w)) {
		w->window->misses[redis_key_prefix(&w->missed, m->prefixes, m->nprefixes)]++;
		w->window->events++;
	}
	memset(&w->missed, 0, sizeof w->missed);
}

static bool
read_info(struct redis_watch *w, uint64_t *hits, uint64_t *misses)
{
	struct text info = { w->info.ptr, w->info.len }, field, value;
	int64_t h = -1, m = -1;

	while (redis_info_next(&info, &field, &value))
		if (text_is(field, "keyspace_hits"))
			text_integer(value, &h);
		else if (text_is(field, "keyspace_misses"))
			text_integer(value, &m);
	bool good = h >= 0 && m >= 0;
	buf_reset(&w->info);
	if (good) {
		*hits = (uint64_t)h;
		*misses = (uint64_t)m;
	}
	return good;
}

static uint64_t
beyond(uint64_t more, uint64_t less)
{
	return more > less ? more - less : 0;
}

/* What the server counted and the window did not see is nobody's. */
static void
add_unseen(struct redis_watch *w, uint64_t hits, uint64_t misses)
{
	struct redis_window *seen = w->window;
	unsigned n = w->monitor.nprefixes;
	uint64_t some_hits = 0, some_misses = 0;

	hits = beyond(hits, w->hits);
	misses = beyond(misses, w->misses);
	for (unsigned i = 0; i <= n; i++) {
		some_hits += beyond(w->monitor.lookups[i], seen->misses[i]);
		some_misses += seen->misses[i];
	}
	w->monitor.lookups[n] += beyond(hits, some_hits);
	w->monitor.lookups[n] += beyond(misses, some_misses);
	seen->misses[n] += beyond(misses, some_misses);
	seen->silent_misses = seen->events == 0 ? misses : 0;
}

/* Is this kind of reply the one that is waited for?  Goes one step on. */
static void
on_end(void *arg, char root)
{
	static const char *const expected[] = { [WATCH_HELLO] = "%*",
		[WATCH_BEFORE] = "$=",
		[WATCH_SUBSCRIBE] = ">",
		[WATCH_MONITOR] = "+",
		[WATCH_WATCHING] = "",
		[WATCH_AFTER] = "$=",
		[WATCH_OVER] = "" };
	struct redis_watch *w = arg;
	uint64_t hits, misses;

	if (is_broken(w))
		return;
	if (root == '>' && w->step != WATCH_SUBSCRIBE) {
		end_push(w);
		return;
	}
	if (root == '+' && w->step >= WATCH_WATCHING) {
		redis_monitor_end(&w->monitor);
		return;
	}
	if (root == '-' || root == '!' || strchr(expected[w->step], root) == NULL) {
		w->refused = root == '-' || root == '!';
		w->odd = !w->refused;
		return;
	}
	if (w->step == WATCH_BEFORE)
		w->odd = !read_info(w, &w->hits, &w->misses);
	if (w->step == WATCH_AFTER && read_info(w, &hits, &misses))
		add_unseen(w, hits, misses);
	w->step++;
}

/* ---- refusals ---- */

static enum outcome
refused_hello(struct scrape *sc, const char *error)
{
	static const struct {
		const char *begins, *words;
	} table[] = {
		{ "WRONGPASS", "wrong user name or password of the sampler, or the user is "
			       "disabled" },
		{ "NOAUTH", "the server wants a password: set prefix_password" },
		{ "NOPERM", "the sampler's user may not HELLO (grant +hello)" },
		{ "DENIED", "the server is in protected mode" },
		{ "ERR max number of clients", "the server has maxclients connections already" },
		{ "ERR unknown command", "key prefixes need Redis 6.2: this server has no HELLO" },
	};

	/* Nothing more of the server's words: they may hold the password. */
	for (size_t i = 0; i < COUNT(table); i++)
		if (strncmp(error, table[i].begins, strlen(table[i].begins)) == 0)
			return fail(FAILED, sc, "%s", table[i].words);
	return fail(FAILED, sc, "HELLO 3 was refused");
}

enum outcome
redis_watch_refused(struct scrape *sc, const struct redis_watch *w)
{
	static const struct {
		const char *name, *grant;
	} table[] = {
		[WATCH_BEFORE] = { "INFO", "+info" },
		[WATCH_SUBSCRIBE] = { "PSUBSCRIBE", "+psubscribe &" REDIS_MISS_EVENTS },
		[WATCH_MONITOR] = { "MONITOR", "+monitor" },
		[WATCH_WATCHING] = { "MONITOR", "+monitor" },
		[WATCH_AFTER] = { "INFO", "+info" },
		[WATCH_OVER] = { "INFO", "+info" },
	};

	if (w->odd)
		return fail(FAILED, sc, "the sampler got an answer that no Redis server gives");
	if (w->step == WATCH_HELLO)
		return refused_hello(sc, w->error);
	if (strncmp(w->error, "NOPERM", 6) == 0)
		return fail(FAILED, sc, "the sampler's user may not %s (grant %s)",
		    table[w->step].name, table[w->step].grant);
	if (text_tells(text_of(w->error), w->password))
		return fail(FAILED, sc, "%s was refused", table[w->step].name);
	return fail(FAILED, sc, "%s: %s", table[w->step].name, w->error);
}

/* A lookup that was no miss was a hit. */
void
redis_watch_settle(const struct redis_watch *w)
{
	struct redis_window *seen = w->window;

	for (unsigned i = 0; i <= w->monitor.nprefixes; i++)
		seen->hits[i] = beyond(w->monitor.lookups[i], seen->misses[i]);
	/* Without INFO at the end nobody can tell no misses from no word of them. */
	bool blind = seen->events == 0 && (w->step != WATCH_OVER || seen->silent_misses > 0);
	if (blind) {
		memset(seen->hits, 0, sizeof seen->hits);
		memset(seen->misses, 0, sizeof seen->misses);
	}
	seen->reads = 0;
	for (unsigned i = 0; i <= w->monitor.nprefixes; i++)
		seen->reads += seen->hits[i] + seen->misses[i];
}

void
redis_watch_begin(struct redis_watch *w, const struct redis_conf *conf, struct redis_window *window)
{
	enum { INFO_BYTES_MAX = 1 << 16 };

	*w = (struct redis_watch){
		.window = window,
		.info = BUF(INFO_BYTES_MAX),
		.monitor = { .prefixes = conf->key_prefixes,
		    .nprefixes = redis_prefixes_count(conf),
		    .separator = conf->key_separator[0] },
		.protocol = { .piece = on_piece, .end = on_end, .arg = w },
	};
	*window = (struct redis_window){ 0 };
}

bool
redis_watch_feed(struct redis_watch *w, struct text t)
{
	w->bytes += t.len;
	if (!resp3_feed(&w->protocol, t))
		w->odd = true;
	return !is_broken(w);
}

void
redis_watch_end(struct redis_watch *w)
{
	if (w->info.ptr != NULL)
		explicit_bzero(w->info.ptr, w->info.cap);
	buf_free(&w->info);
	explicit_bzero(w, sizeof *w);
}
