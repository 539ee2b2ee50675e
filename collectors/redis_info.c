/*
 * redis_info.c - the text of INFO: lines `field:value`, among them lists such
 * as `cmdstat_get:calls=1,usec=7`.  Which fields are metrics is said by the
 * tables' `source`; what is missing or unknown is passed over.
 */
#include <stdlib.h>
#include <string.h>

#include "redis.h"

bool
redis_info_next(struct text *info, struct text *field, struct text *value)
{
	while (info->len > 0) {
		struct text line = text_trim(text_cut(info, '\n'));
		const char *colon = line.len > 0 ? memchr(line.ptr, ':', line.len) : NULL;
		if (colon == NULL || line.ptr[0] == '#')
			continue;
		*field = (struct text){ line.ptr, (size_t)(colon - line.ptr) };
		*value = (struct text){ colon + 1, line.len - field->len - 1 };
		return true;
	}
	return false;
}

static bool
add_field(struct redis_info *info, struct redis_field f)
{
	if (info->n == info->cap) {
		size_t cap = info->cap == 0 ? 256 : info->cap * 2;
		struct redis_field *more =
		    cap > REDIS_INFO_FIELDS_MAX ? NULL : realloc(info->fields, cap * sizeof *more);
		if (more == NULL)
			return false;
		info->fields = more;
		info->cap = cap;
	}
	info->fields[info->n++] = f;
	return true;
}

void
redis_info_read(struct redis_info *info, struct text text)
{
	struct redis_field f;

	info->n = 0;
	info->over = false;
	info->keyspace = text.len > 0 && memmem(text.ptr, text.len, "# Keyspace", 10) != NULL;
	while (!info->over && redis_info_next(&text, &f.name, &f.value))
		info->over = !add_field(info, f);
}

void
redis_info_free(struct redis_info *info)
{
	free(info->fields);
	*info = (struct redis_info){ 0 };
}

struct text
redis_info_field(const struct redis_info *info, const char *name)
{
	const size_t len = strlen(name);

	for (size_t i = 0; i < info->n; i++)
		if (info->fields[i].name.len == len &&
		    memcmp(info->fields[i].name.ptr, name, len) == 0)
			return info->fields[i].value;
	return (struct text){ NULL, 0 };
}

struct text
redis_info_part(struct text value, const char *wanted)
{
	while (value.len > 0) {
		struct text part = text_cut(&value, ',');
		struct text key = text_cut(&part, '=');
		if (text_is(key, wanted))
			return part;
	}
	return (struct text){ NULL, 0 };
}

struct text
redis_info_version(const struct redis_info *info)
{
	struct text valkey = redis_info_field(info, "valkey_version");

	return valkey.len > 0 ? valkey : redis_info_field(info, "redis_version");
}

enum outcome
redis_info_answer(struct scrape *sc, const struct redis_info **info)
{
	const struct redis *r = sc->state;
	struct redis_value v;
	size_t position;

	*info = &r->info;
	if (r->info.over)
		return fail(FAILED, sc, "INFO has more than %d lines, or memory is short",
		    REDIS_INFO_FIELDS_MAX);
	return redis_answer(sc, REDIS_INFO, REDIS_REPLY_STRING, &position, &v);
}

/* Fields that are metrics as they are; the label of such a group stands for a
 * division that INFO does not make. */
enum outcome
redis_emit_fields(struct scrape *sc, const struct group *g)
{
	static const struct text all[] = { { "all", 3 } };
	const struct redis_info *info;
	enum outcome outcome = redis_info_answer(sc, &info);

	if (outcome != DONE)
		return outcome;
	row(sc->sink, g->nlabels > 0 ? all : NULL);
	for (size_t i = 0; i < info->n; i++) {
		const struct metric *m = metric_by_source(g, info->fields[i].name);
		if (m != NULL)
			put_text(sc->sink, m, info->fields[i].value);
	}
	return DONE;
}

static void
emit_parts(struct scrape *sc, const struct group *g, struct text label, struct text value)
{
	row(sc->sink, &label);
	while (value.len > 0) {
		struct text part = text_cut(&value, ',');
		struct text key = text_cut(&part, '=');
		const struct metric *m = metric_by_source(g, key);
		if (m != NULL)
			put_text(sc->sink, m, part);
	}
}

/* A row per field that begins with the group's prefix. */
enum outcome
redis_emit_lines(struct scrape *sc, const struct group *g)
{
	const struct redis_how *how = g->how;
	const struct redis_info *info;
	enum outcome outcome = redis_info_answer(sc, &info);
	size_t skip = strlen(how->prefix);

	if (outcome != DONE)
		return outcome;
	for (size_t i = 0; i < info->n; i++) {
		struct text name = info->fields[i].name;
		if (!text_begins(name, how->prefix))
			continue;
		emit_parts(sc, g, (struct text){ name.ptr + skip, name.len - skip },
		    info->fields[i].value);
	}
	return DONE;
}

static bool
is_database(struct text field)
{
	int64_t number;

	return text_begins(field, "db") && field.len > 2 && field.ptr[2] >= '0' &&
	       field.ptr[2] <= '9' &&
	       text_integer((struct text){ field.ptr + 2, field.len - 2 }, &number);
}

/* INFO leaves out databases that are empty.  A server that is empty altogether
 * shall not look like one that says nothing of its keys. */
enum outcome
redis_emit_keys(struct scrape *sc, const struct group *g)
{
	const struct redis_info *info;
	enum outcome outcome = redis_info_answer(sc, &info);
	bool some = false;

	if (outcome != DONE)
		return outcome;
	for (size_t i = 0; i < info->n; i++)
		if (is_database(info->fields[i].name)) {
			emit_parts(sc, g, info->fields[i].name, info->fields[i].value);
			some = true;
		}
	if (!some && info->keyspace)
		emit_parts(sc, g, TEXT("db0"), TEXT("keys=0"));
	return DONE;
}

/* The offset of the replica furthest behind among those that are online.  One
 * that has acknowledged nothing yet stands at 0: that is not known, not all. */
static bool
slowest_replica(const struct redis_info *info, int64_t *slowest)
{
	bool found = false;

	for (size_t i = 0; i < info->n; i++) {
		struct text value = info->fields[i].value;
		int64_t offset;
		if (!text_begins(info->fields[i].name, "slave") ||
		    !text_is(redis_info_part(value, "state"), "online") ||
		    !text_integer(redis_info_part(value, "offset"), &offset) || offset <= 0)
			continue;
		if (!found || offset < *slowest)
			*slowest = offset;
		found = true;
	}
	return found;
}

static bool
integer_field(const struct redis_info *info, const char *field, int64_t *value)
{
	return text_integer(redis_info_field(info, field), value);
}

/* On a replica what it has received and not yet applied, and only while its
 * link is up: of what it never got it cannot know. */
static bool
replication_ends(const struct redis_info *info, int64_t *ahead, int64_t *behind)
{
	if (text_is(redis_info_field(info, "role"), "slave"))
		return text_is(redis_info_field(info, "master_link_status"), "up") &&
		       integer_field(info, "slave_read_repl_offset", ahead) &&
		       integer_field(info, "slave_repl_offset", behind);
	return integer_field(info, "master_repl_offset", ahead) && slowest_replica(info, behind);
}

enum outcome
redis_emit_replication(struct scrape *sc, const struct group *g)
{
	const struct redis_info *info;
	int64_t ahead, behind;
	enum outcome outcome = redis_info_answer(sc, &info);

	if (outcome != DONE)
		return outcome;
	if (!replication_ends(info, &ahead, &behind))
		return DONE;
	row(sc->sink, NULL);
	/* A replica may have acknowledged more than the line above it told. */
	double lag = (double)ahead - (double)behind;
	put(sc->sink, &g->metrics[0], lag > 0 ? lag : 0);
	return DONE;
}

enum outcome
redis_emit_info(struct scrape *sc, const struct group *g)
{
	const struct redis_info *info;
	enum outcome outcome = redis_info_answer(sc, &info);

	if (outcome != DONE)
		return outcome;
	struct text mode = redis_info_field(info, "redis_mode");
	struct text role = redis_info_field(info, "role");
	if (mode.len == 0)
		mode = redis_info_field(info, "server_mode"); /* Valkey */
	if (role.len == 0)
		role = mode; /* a sentinel has none */
	struct text values[] = { redis_info_version(info), role, mode };
	row(sc->sink, values);
	put(sc->sink, &g->metrics[0], 1);
	return DONE;
}

enum outcome
redis_emit_slowlog(struct scrape *sc, const struct group *g)
{
	struct redis_value v;
	size_t position;
	enum outcome outcome = redis_answer(sc, REDIS_SLOWLOG, REDIS_REPLY_INTEGER, &position, &v);

	if (outcome != DONE)
		return outcome;
	row(sc->sink, NULL);
	put(sc->sink, &g->metrics[0], (double)v.integer);
	return DONE;
}
