/*
 * redis.c - one scrape of a Redis server: every question of the wanted groups
 * goes out in one write (after connecting, behind AUTH), every answer is read,
 * then each group takes what is its own.
 */
#include <hiredis/hiredis.h>
#include <string.h>

#include "redis.h"

/* ---- the questions ---- */

/* INFO all asks for latency percentiles, too, which cost Redis 7 four times as
 * much as all the rest (97 against 26 us); before 7 INFO takes one section. */
static const char *const info_all[] = { "INFO", "all", NULL };
static const char *const info_sections[] = { "INFO", "server", "clients", "memory", "persistence",
	"stats", "replication", "commandstats", "keyspace", NULL };
static const char *const latency[] = { "LATENCY", "HISTOGRAM", "get", "set", NULL };
static const char *const slowlog[] = { "SLOWLOG", "LEN", NULL };

static const struct {
	const char *name;
	const char *grant; /* what an ACL has to allow */
	const char *const *words;
} questions[REDIS_QUESTIONS] = {
	[REDIS_INFO] = { "INFO", "+info", info_all },
	[REDIS_LATENCY] = { "LATENCY HISTOGRAM", "+latency|histogram", latency },
	[REDIS_SLOWLOG] = { "SLOWLOG LEN", "+slowlog|len", slowlog },
};

static bool
add_command(struct buf *out, const char *const *words)
{
	const char *argv[16];
	char *command;
	int argc = 0;

	while (argc < (int)COUNT(argv) && words[argc] != NULL) {
		argv[argc] = words[argc];
		argc++;
	}
	long long len = redisFormatCommandArgv(&command, argc, argv, NULL);
	if (len < 0)
		return false;
	buf_add(out, command, (size_t)len);
	redisFreeCommand(command);
	return buf_ok(out);
}

static bool
use_sections(const struct redis *r)
{
	return r->major >= REDIS_HISTOGRAM_MAJOR && !r->sections_refused;
}

/* A question to which a server of this version only knows an error would count
 * among its total_error_replies at every scrape. */
static bool
is_known(const struct redis *r, enum redis_question q)
{
	return q != REDIS_LATENCY || r->major == 0 || r->major >= REDIS_HISTOGRAM_MAJOR;
}

static unsigned
needed(const struct scrape *sc)
{
	unsigned needs = 0;

	for (unsigned i = 0; i < collector.ngroups; i++)
		if (wants(sc, &collector, &collector.groups[i]))
			needs |= ((const struct redis_how *)collector.groups[i].how)->needs;
	return needs;
}

/* The questions of this scrape, one bit each. */
static unsigned
choose_questions(const struct scrape *sc, struct redis *r)
{
	unsigned needs = needed(sc), asked = 0;

	for (unsigned q = 0; q < REDIS_QUESTIONS; q++) {
		r->answer[q].asked = (needs >> q & 1) != 0 && is_known(r, q);
		asked |= (unsigned)r->answer[q].asked << q;
	}
	return asked;
}

/* They are the same from scrape to scrape: written down once.  False: out of
 * memory. */
static bool
write_questions(struct redis *r, unsigned asked)
{
	unsigned form = asked | (unsigned)use_sections(r) << REDIS_QUESTIONS;

	if (r->form == form)
		return true;
	buf_reset(&r->questions);
	r->form = 0;
	for (unsigned q = 0; q < REDIS_QUESTIONS; q++) {
		if ((asked >> q & 1) == 0)
			continue;
		bool sections = q == REDIS_INFO && use_sections(r);
		if (!add_command(&r->questions, sections ? info_sections : questions[q].words))
			return false;
	}
	r->form = form;
	return true;
}

/* ---- the answers ---- */

/* Refusals after which nothing else can be believed. */
static const struct {
	const char *begins, *words;
} refusals[] = {
	{ "WRONGPASS", "wrong user name or password, or the user is disabled" },
	{ "ERR invalid password", "wrong password" },
	{ "NOAUTH", "the server wants a password: set password (and username)" },
	{ "ERR AUTH <password> called without any password",
	    "a password is configured here, but the server's default user has none" },
	{ "ERR Client sent AUTH, but no password is set",
	    "a password is configured here, but the server has none" },
	{ "ERR wrong number of arguments for 'auth'",
	    "the server knows no user names (Redis before 6): leave username out" },
	{ "ERR unknown command", "the server has no AUTH command (renamed?)" },
	{ "DENIED", "the server is in protected mode: it serves local clients only until it "
		    "gets a password" },
	{ "ERR max number of clients", "the server has maxclients connections already" },
};

/* LOST with what a refusal means.  Not the server's own words: they may hold
 * the arguments of AUTH. */
static enum outcome
refused(struct scrape *sc, struct text error)
{
	for (size_t i = 0; i < COUNT(refusals); i++)
		if (text_begins(error, refusals[i].begins))
			return fail(LOST, sc, "%s", refusals[i].words);
	struct text code = text_cut(&error, ' ');
	for (size_t i = 0; i < code.len; i++)
		if (code.ptr[i] < 'A' || code.ptr[i] > 'Z')
			code.len = 0;
	return fail(LOST, sc, "AUTH was refused (%.*s)", (int)(code.len < 32 ? code.len : 32),
	    code.len > 0 ? code.ptr : "");
}

static bool
is_fatal(struct text error)
{
	return text_begins(error, "NOAUTH") || text_begins(error, "DENIED") ||
	       text_begins(error, "ERR max number of clients");
}

/* The end of the stream came instead of an answer. */
static enum outcome
closed(struct scrape *sc, const struct redis *r)
{
	for (size_t i = 0; i < r->replies.nroots; i++) {
		size_t at = r->replies.root[i];
		struct redis_value v = redis_take(&r->replies, &at);
		if (v.type == REDIS_REPLY_ERROR && ((i == 0 && r->auth) || is_fatal(v.text)))
			return refused(sc, v.text);
	}
	if (r->replies.fed > 0)
		return fail(
		    LOST, sc, "the server closed the connection in the middle of an answer");
	return fail(LOST, sc, "the server closed the connection before answering%s",
	    r->fresh && !r->stream.tls ? " (a TLS port? then rediss://)" : "");
}

static enum outcome
garbled(struct scrape *sc, const struct redis *r, struct text t)
{
	enum { TLS_ALERT = 0x15 };

	if (r->replies.over)
		return fail(LOST, sc, "the answers are longer than a Redis server's can be");
	if (r->fresh && t.ptr[0] == TLS_ALERT)
		return fail(LOST, sc, "the server speaks TLS on this port: use rediss://");
	if (r->fresh && text_begins(t, "HTTP/"))
		return fail(LOST, sc, "an HTTP server answers on this port");
	if (r->replies.reader->err != 0)
		return fail(LOST, sc, "no Redis server answers: %s", r->replies.reader->errstr);
	return fail(LOST, sc, "more answers came than questions were asked");
}

static enum outcome
read_answers(struct scrape *sc, struct redis *r, size_t want)
{
	char bytes[16384];
	size_t got;

	while (r->replies.nroots < want) {
		enum outcome outcome = redis_stream_read(sc, &r->stream, bytes, sizeof bytes, &got);
		if (outcome != DONE)
			return outcome;
		if (got == 0)
			return closed(sc, r);
		struct text t = { bytes, got };
		if (!redis_replies_feed(&r->replies, t, want))
			return garbled(sc, r, t);
		r->fresh = false;
	}
	return DONE;
}

/* Of the first answer after connecting: without it being OK the others are
 * those of the default user. */
static enum outcome
check_auth(struct scrape *sc, struct redis *r)
{
	size_t at = r->replies.root[0];
	struct redis_value v = redis_take(&r->replies, &at);

	if (v.type == REDIS_REPLY_ERROR)
		return refused(sc, v.text);
	if (v.type != REDIS_REPLY_STATUS || !text_is(v.text, "OK"))
		return fail(LOST, sc, "AUTH: the answer is neither OK nor an error");
	r->auth = false;
	return DONE;
}

/* What this scrape's INFO tells of the server. */
static enum outcome
note_info(struct scrape *sc, struct redis *r)
{
	size_t at = r->answer[REDIS_INFO].position;
	struct redis_value v = redis_take(&r->replies, &at);
	bool sections = use_sections(r);
	int64_t major;

	if (v.type == REDIS_REPLY_ERROR && is_fatal(v.text))
		return refused(sc, v.text);
	redis_info_read(&r->info, v.type == REDIS_REPLY_STRING ? v.text : TEXT(""));
	/* Some other server of that version may know less than Redis does.  What is
	 * refused for now, or to this user, is not. */
	if (sections &&
	    (v.type == REDIS_REPLY_STRING ? !r->info.keyspace : text_begins(v.text, "ERR ")))
		r->sections_refused = true;
	r->version = redis_info_version(&r->info);
	struct text version = redis_info_field(&r->info, "redis_version");
	if (text_integer(text_cut(&version, '.'), &major) && major > 0 && major < 1000)
		r->major = (unsigned)major;
	return DONE;
}

enum outcome
redis_answered(struct scrape *sc)
{
	struct redis *r = sc->state;
	size_t root = 0;

	if (r->auth) {
		enum outcome outcome = check_auth(sc, r);
		if (outcome != DONE)
			return outcome;
		root++;
	}
	r->version = (struct text){ NULL, 0 };
	for (unsigned q = 0; q < REDIS_QUESTIONS; q++)
		if (r->answer[q].asked)
			r->answer[q].position = r->replies.root[root++];
	return r->answer[REDIS_INFO].asked ? note_info(sc, r) : DONE;
}

/* Some server or proxy may say again what it was told. */
static bool
tells_password(const struct redis_conf *conf, struct text error)
{
	struct redis_address a;
	char why[WHY_MAX];
	bool tells = redis_address_read(&a, conf, why) && text_tells(error, a.password);

	redis_address_free(&a);
	return tells;
}

static enum outcome
error_answer(struct scrape *sc, enum redis_question q, struct text error)
{
	int len = (int)(error.len < WHY_MAX ? error.len : WHY_MAX);
	const char *name = questions[q].name, *words = len > 0 ? error.ptr : "";

	if (tells_password(sc->conf, error))
		return fail(FAILED, sc, "%s was refused, in words that hold the password", name);
	if (text_begins(error, "NOPERM"))
		return fail(
		    FAILED, sc, "%s: %.*s (grant %s)", name, len, words, questions[q].grant);
	/* Renamed, or another kind of server: the other groups do without it. */
	bool unknown = text_begins(error, "ERR unknown ") || text_begins(error, "ERR Unknown ");
	return fail(unknown && q != REDIS_INFO ? ABSENT : FAILED, sc, "%s: %.*s", name, len, words);
}

enum outcome
redis_answer(
    struct scrape *sc, enum redis_question q, int type, size_t *position, struct redis_value *v)
{
	const struct redis *r = sc->state;

	*v = (struct redis_value){ 0 };
	if (!r->answer[q].asked)
		return fail(FAILED, sc, "%s was not asked", questions[q].name);
	*position = r->answer[q].position;
	size_t at = *position;
	*v = redis_take(&r->replies, &at);
	if (v->type == REDIS_REPLY_ERROR)
		return error_answer(sc, q, v->text);
	if (v->type != type)
		return fail(FAILED, sc, "%s: the answer has type %d, expected %d",
		    questions[q].name, v->type, type);
	if (q == REDIS_INFO && r->version.len == 0)
		return fail(FAILED, sc,
		    "INFO has no redis_version in %zu bytes: is this a Redis "
		    "server?",
		    v->text.len);
	return DONE;
}

/* ---- the collector ---- */

static void
redis_disconnect(struct scrape *sc)
{
	struct redis *r = sc->state;

	redis_stream_close(&r->stream);
	redis_replies_close(&r->replies);
	if (r->out.ptr != NULL)
		explicit_bzero(r->out.ptr, r->out.cap);
	buf_free(&r->out);
	buf_free(&r->questions);
	r->form = 0;
	redis_info_free(&r->info);
	r->version = (struct text){ NULL, 0 };
	r->major = 0;
	r->sections_refused = false;
	memset(r->answer, 0, sizeof r->answer);
}

static bool
add_auth(struct redis *r, const struct redis_address *a)
{
	const char *words[] = { "AUTH", a->user != NULL ? a->user : a->password, a->password,
		NULL };

	r->auth = a->password != NULL;
	if (a->user == NULL)
		words[2] = NULL;
	return r->auth ? add_command(&r->out, words) : true;
}

static enum outcome
redis_connect(struct scrape *sc)
{
	struct redis *r = sc->state;
	struct redis_address a;
	char why[WHY_MAX];
	enum outcome outcome = LOST;

	r->out = BUF(1 << 16);
	r->questions = BUF(1 << 12);
	r->fresh = true;
	if (!redis_address_read(&a, sc->conf, why))
		fail(LOST, sc, "%s", why);
	else if (!redis_replies_open(&r->replies) || !add_auth(r, &a))
		fail(LOST, sc, "out of memory");
	else
		outcome = redis_stream_open(sc, &r->stream, &a);
	redis_address_free(&a);
	if (outcome != DONE)
		redis_disconnect(sc);
	return outcome;
}

static enum outcome
redis_ask(struct scrape *sc)
{
	struct redis *r = sc->state;
	unsigned asked = choose_questions(sc, r);
	size_t replies = (size_t)__builtin_popcount(asked) + r->auth;

	bool good = write_questions(r, asked);
	struct text out = { r->questions.ptr, r->questions.len };
	if (r->auth) { /* everything in one write */
		buf_text(&r->out, out);
		out = (struct text){ r->out.ptr, r->out.len };
	}
	if (!good || !buf_ok(&r->out))
		return fail(LOST, sc, "out of memory");
	redis_replies_reset(&r->replies);
	enum outcome outcome = redis_stream_write(sc, &r->stream, out);
	buf_reset(&r->out);
	if (outcome == DONE)
		outcome = read_answers(sc, r, replies);
	return outcome == DONE ? redis_answered(sc) : outcome;
}

static enum outcome
redis_collect(struct scrape *sc, const struct group *g)
{
	return ((const struct redis_how *)g->how)->emit(sc, g);
}

const struct collector collector = {
	COLLECTOR_HEAD,
	.name = "redis",
	.about = "Redis 6.2 and later, Valkey: one INFO, LATENCY HISTOGRAM and SLOWLOG LEN per "
		 "scrape in one round trip.",
	.groups = redis_groups,
	.ngroups = REDIS_GROUPS,
	.options = redis_options,
	.noptions = REDIS_OPTIONS,
	.conf_size = sizeof(struct redis_conf),
	.state_size = sizeof(struct redis),
	.check = redis_check,
	.connect = redis_connect,
	.ask = redis_ask,
	.collect = redis_collect,
	.disconnect = redis_disconnect,
};
