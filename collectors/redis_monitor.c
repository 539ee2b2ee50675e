/*
 * redis_monitor.c - a line of MONITOR:
 *
 *	1795471421.026450 [0 127.0.0.1:58494] "GET" "user:1"
 *	1795471421.087348 [0 lua] "mget" "user:\"1\"\r\n" "\x00"
 *
 * read byte by byte: of the command its name is kept, of a key that it looks
 * up what stands before the separator, of all else nothing.
 */
#include <ctype.h>
#include <string.h>

#include "redis_prefixes.h"

/* clang-format off */

/* What counts in keyspace_hits or keyspace_misses, and tells of a miss: tried
 * command by command on Redis 6.2 and 7.0 and on Valkey 9.1.  Left out is what
 * counts twice (XREAD), does not tell (OBJECT), has its keys elsewhere (ZUNION)
 * or counts from 7 on only (COPY, PFCOUNT, SINTERSTORE and its like): the
 * difference to INFO is `other`.  In the order of strcmp. */
static const struct redis_read_command commands[] = {
	{ "bitcount", 1, 1 }, { "bitfield", 1, 1 }, { "bitfield_ro", 1, 1 }, { "bitop", 3, -1 },
	{ "bitpos", 1, 1 }, { "dump", 1, 1 }, { "exists", 1, -1 }, { "expiretime", 1, 1 },
	{ "geodist", 1, 1 }, { "geohash", 1, 1 }, { "geopos", 1, 1 }, { "georadius", 1, 1 },
	{ "georadius_ro", 1, 1 }, { "georadiusbymember", 1, 1 }, { "georadiusbymember_ro", 1, 1 },
	{ "geosearch", 1, 1 }, { "get", 1, 1 }, { "getbit", 1, 1 }, { "getdel", 1, 1 },
	{ "getex", 1, 1 }, { "getrange", 1, 1 }, { "getset", 1, 1 }, { "hexists", 1, 1 },
	{ "hget", 1, 1 }, { "hgetall", 1, 1 }, { "hkeys", 1, 1 }, { "hlen", 1, 1 },
	{ "hmget", 1, 1 }, { "hrandfield", 1, 1 }, { "hscan", 1, 1 }, { "hstrlen", 1, 1 },
	{ "hvals", 1, 1 }, { "lcs", 1, 2 }, { "lindex", 1, 1 }, { "llen", 1, 1 }, { "lpos", 1, 1 },
	{ "lrange", 1, 1 }, { "mget", 1, -1 }, { "pexpiretime", 1, 1 }, { "pttl", 1, 1 },
	{ "scard", 1, 1 }, { "sdiff", 1, -1 }, { "sinter", 1, -1 }, { "sismember", 1, 1 },
	{ "smembers", 1, 1 }, { "smismember", 1, 1 }, { "sort", 1, 1 }, { "sort_ro", 1, 1 },
	{ "srandmember", 1, 1 }, { "sscan", 1, 1 }, { "strlen", 1, 1 }, { "substr", 1, 1 },
	{ "sunion", 1, -1 }, { "touch", 1, -1 }, { "ttl", 1, 1 }, { "type", 1, 1 },
	{ "xack", 1, 1 }, { "xlen", 1, 1 }, { "xpending", 1, 1 }, { "xrange", 1, 1 },
	{ "xrevrange", 1, 1 }, { "zcard", 1, 1 }, { "zcount", 1, 1 }, { "zlexcount", 1, 1 },
	{ "zmscore", 1, 1 }, { "zrandmember", 1, 1 }, { "zrange", 1, 1 }, { "zrangebylex", 1, 1 },
	{ "zrangebyscore", 1, 1 }, { "zrank", 1, 1 }, { "zrevrange", 1, 1 },
	{ "zrevrangebylex", 1, 1 }, { "zrevrangebyscore", 1, 1 }, { "zrevrank", 1, 1 },
	{ "zscan", 1, 1 }, { "zscore", 1, 1 },
};

/* clang-format on */

/* ---- keys ---- */

void
redis_key_add(struct redis_key *k, char separator, char byte)
{
	if (k->whole)
		return;
	if (byte == separator)
		k->whole = true;
	else if (k->len < sizeof k->begin)
		k->begin[k->len++] = byte;
	else
		k->cut = true;
}

unsigned
redis_key_prefix(const struct redis_key *k, const char *const *prefixes, unsigned nprefixes)
{
	if (!k->whole || k->cut)
		return nprefixes;
	for (unsigned i = 0; i < nprefixes; i++)
		if (strlen(prefixes[i]) == k->len && memcmp(prefixes[i], k->begin, k->len) == 0)
			return i;
	return nprefixes;
}

/* ---- commands ---- */

static const struct redis_read_command *
find_command(const char *name)
{
	size_t low = 0, high = COUNT(commands);

	while (low < high) {
		size_t middle = (low + high) / 2;
		int order = strcmp(name, commands[middle].name);
		if (order == 0)
			return &commands[middle];
		if (order < 0)
			high = middle;
		else
			low = middle + 1;
	}
	return NULL;
}

static bool
is_key(const struct redis_monitor *m)
{
	return m->word >= m->command->first &&
	       (m->command->last < 0 || m->word <= m->command->last);
}

static void
end_name(struct redis_monitor *m)
{
	m->commands++;
	if (m->nname < sizeof m->name)
		m->name[m->nname] = '\0';
	m->command = m->nname < sizeof m->name ? find_command(m->name) : NULL;
}

static void
end_word(struct redis_monitor *m)
{
	m->state = MONITOR_GAP;
	if (m->word == 0) {
		end_name(m);
	} else if (is_key(m)) {
		m->lookups[redis_key_prefix(&m->key, m->prefixes, m->nprefixes)]++;
		m->reads++;
	}
	m->word++;
	if (m->command == NULL || (m->command->last >= 0 && m->word > m->command->last))
		m->state = MONITOR_SKIP;
}

/* ---- bytes ---- */

static void
add_to_word(struct redis_monitor *m, char c)
{
	m->state = MONITOR_WORD;
	if (m->word > 0)
		redis_key_add(&m->key, m->separator, c);
	else if (m->nname < sizeof m->name)
		m->name[m->nname++] = (char)tolower((unsigned char)c);
}

static void
add_escaped(struct redis_monitor *m, char c)
{
	static const char letters[] = "nrtab", bytes[] = "\n\r\t\a\b";
	const char *found = c != '\0' ? strchr(letters, c) : NULL;

	if (c == 'x') {
		m->state = MONITOR_HEX;
		m->hex = m->nhex = 0;
	} else {
		add_to_word(m, found != NULL ? bytes[found - letters] : c);
	}
}

static void
add_hex(struct redis_monitor *m, char c)
{
	int digit = c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;

	if (digit < 0) {
		m->state = MONITOR_SKIP; /* no server writes that */
		return;
	}
	m->hex = m->hex * 16 + (unsigned)digit;
	if (++m->nhex == 2)
		add_to_word(m, (char)m->hex);
}

static void
begin_word(struct redis_monitor *m, char c)
{
	if (c == ' ')
		return;
	if (c != '"') {
		/* A bracket in the path of a client's socket is not the end of it. */
		m->state = m->word == 0 ? MONITOR_HEAD : MONITOR_SKIP;
		return;
	}
	m->state = MONITOR_WORD;
	m->key.len = 0;
	m->key.cut = m->key.whole = false;
}

void
redis_monitor_piece(struct redis_monitor *m, struct text t)
{
	for (size_t i = 0; i < t.len && m->state != MONITOR_SKIP; i++) {
		char c = t.ptr[i];
		switch (m->state) {
		case MONITOR_HEAD:
			if (c == ']')
				m->state = MONITOR_GAP;
			break;
		case MONITOR_GAP: begin_word(m, c); break;
		case MONITOR_WORD:
			if (c == '"')
				end_word(m);
			else if (c == '\\')
				m->state = MONITOR_ESCAPE;
			else
				add_to_word(m, c);
			break;
		case MONITOR_ESCAPE: add_escaped(m, c); break;
		case MONITOR_HEX: add_hex(m, c); break;
		case MONITOR_SKIP: break;
		}
	}
}

void
redis_monitor_end(struct redis_monitor *m)
{
	m->state = MONITOR_HEAD;
	m->word = 0;
	m->nname = 0;
	m->command = NULL;
}
