/*
 * connections.c - see connections.h.
 */
#include "connections.h"

#include <netinet/in.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { CLOSING_MAX = 16 }; /* shut down, but their threads have not left yet */

/* What counts as one: an IPv4 address (as IPv6 maps it), or an IPv6 network of
 * 64 bits, since a host may choose its address in one. */
struct origin {
	unsigned char byte[16];
};

struct connection {
	int fd; /* -1: a free slot */
	enum connection_phase phase;
	int64_t since, until; /* of the phase, ns; until INT64_MAX: no limit */
	struct origin origin;
};

struct connections {
	struct connection_limits limits;
	pthread_t thread;
	pthread_mutex_t lock; /* guards what follows */
	pthread_cond_t changed;
	int64_t wakes_at; /* the thread looks again then */
	bool draining, stop;
	size_t nslots;
	struct connection slots[];
};

static struct origin
origin_of(const struct sockaddr *address)
{
	static const unsigned char mapped[12] = { [10] = 0xff, [11] = 0xff };
	struct origin origin = { { 0 } };

	if (address->sa_family == AF_INET) {
		struct sockaddr_in in;
		memcpy(&in, address, sizeof in);
		memcpy(origin.byte, mapped, sizeof mapped);
		memcpy(origin.byte + 12, &in.sin_addr, 4);
	} else if (address->sa_family == AF_INET6) {
		struct sockaddr_in6 in6;
		memcpy(&in6, address, sizeof in6);
		bool whole = memcmp(&in6.sin6_addr, mapped, sizeof mapped) == 0;
		memcpy(origin.byte, &in6.sin6_addr, whole ? 16 : 8);
	}
	return origin;
}

static bool
comes_from(const struct connection *c, const struct origin *origin)
{
	return origin == NULL || memcmp(&c->origin, origin, sizeof *origin) == 0;
}

/* The connection's thread sees the end of the stream and leaves. */
static void
shut(struct connection *c)
{
	shutdown(c->fd, SHUT_RDWR);
	c->phase = CONNECTION_CLOSING;
	c->until = INT64_MAX;
}

/* Shuts down what overstays; returns when to look again. */
static int64_t
shut_expired(struct connections *cs)
{
	int64_t now = clock_ns(), next = INT64_MAX;

	for (size_t i = 0; i < cs->nslots; i++) {
		struct connection *c = &cs->slots[i];
		if (c->fd < 0)
			continue;
		if (c->until <= now)
			shut(c);
		else if (c->until < next)
			next = c->until;
	}
	return next;
}

static void
wait_until(struct connections *cs, int64_t at)
{
	struct timespec ts = { .tv_sec = at / NS_PER_S, .tv_nsec = at % NS_PER_S };

	if (at == INT64_MAX)
		pthread_cond_wait(&cs->changed, &cs->lock);
	else
		pthread_cond_timedwait(&cs->changed, &cs->lock, &ts);
}

static void *
watch(void *arg)
{
	struct connections *cs = arg;

	pthread_mutex_lock(&cs->lock);
	while (!cs->stop) {
		cs->wakes_at = shut_expired(cs);
		wait_until(cs, cs->wakes_at);
	}
	pthread_mutex_unlock(&cs->lock);
	return NULL;
}

struct connections *
connections_new(const struct connection_limits *limits)
{
	size_t nslots = (size_t)limits->most + CLOSING_MAX;
	struct connections *cs = calloc(1, sizeof *cs + nslots * sizeof *cs->slots);
	pthread_condattr_t attr;

	if (cs == NULL)
		return NULL;
	cs->limits = *limits;
	cs->nslots = nslots;
	for (size_t i = 0; i < nslots; i++)
		cs->slots[i].fd = -1;
	pthread_mutex_init(&cs->lock, NULL);
	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_cond_init(&cs->changed, &attr);
	pthread_condattr_destroy(&attr);
	if (pthread_create(&cs->thread, NULL, watch, cs) != 0) {
		free(cs);
		return NULL;
	}
	return cs;
}

/* How many there are from this origin (NULL: from anywhere), and which of them
 * has been idle longest (NULL: none is idle). */
static unsigned
count(struct connections *cs, const struct origin *origin, struct connection **idle)
{
	unsigned n = 0;

	*idle = NULL;
	for (size_t i = 0; i < cs->nslots; i++) {
		struct connection *c = &cs->slots[i];
		if (c->fd < 0 || c->phase == CONNECTION_CLOSING || !comes_from(c, origin))
			continue;
		n++;
		if (c->phase == CONNECTION_IDLE && (*idle == NULL || c->since < (*idle)->since))
			*idle = c;
	}
	return n;
}

static bool
make_room(struct connections *cs, const struct origin *origin, unsigned most)
{
	struct connection *idle;

	if (count(cs, origin, &idle) < most)
		return true;
	if (idle != NULL)
		shut(idle);
	return idle != NULL;
}

static struct connection *
free_slot(struct connections *cs)
{
	for (size_t i = 0; i < cs->nslots; i++)
		if (cs->slots[i].fd < 0)
			return &cs->slots[i];
	return NULL;
}

bool
connections_admit(struct connections *cs, const struct sockaddr *address)
{
	struct origin origin = origin_of(address);

	pthread_mutex_lock(&cs->lock);
	bool room = !cs->draining && free_slot(cs) != NULL &&
		    make_room(cs, &origin, cs->limits.most_per_address) &&
		    make_room(cs, NULL, cs->limits.most);
	pthread_mutex_unlock(&cs->lock);
	return room;
}

/* With the lock held. */
static void
enter(struct connections *cs, struct connection *c, enum connection_phase phase)
{
	int64_t limit = cs->limits.phase[phase];

	if (c->phase == CONNECTION_CLOSING)
		return;
	c->phase = phase;
	c->since = clock_ns();
	c->until = limit > 0 ? c->since + limit : INT64_MAX;
	if (cs->draining && phase == CONNECTION_IDLE)
		shut(c);
	if (cs->draining || c->until < cs->wakes_at)
		pthread_cond_broadcast(&cs->changed);
}

struct connection *
connections_add(struct connections *cs, int fd, const struct sockaddr *address)
{
	pthread_mutex_lock(&cs->lock);
	struct connection *c = free_slot(cs);
	if (c != NULL) {
		*c = (struct connection){ .fd = fd, .origin = origin_of(address) };
		enter(cs, c, CONNECTION_NEW);
	}
	pthread_mutex_unlock(&cs->lock);
	return c;
}

void
connections_remove(struct connections *cs, struct connection *c)
{
	pthread_mutex_lock(&cs->lock);
	c->fd = -1;
	if (cs->draining)
		pthread_cond_broadcast(&cs->changed);
	pthread_mutex_unlock(&cs->lock);
}

void
connection_enter(struct connections *cs, struct connection *c, enum connection_phase phase)
{
	pthread_mutex_lock(&cs->lock);
	enter(cs, c, phase);
	pthread_mutex_unlock(&cs->lock);
}

/* Shuts down what is not in the middle of something; is anything? */
static bool
still_working(struct connections *cs)
{
	bool working = false;

	for (size_t i = 0; i < cs->nslots; i++) {
		struct connection *c = &cs->slots[i];
		if (c->fd < 0)
			continue;
		if (c->phase == CONNECTION_BUSY || c->phase == CONNECTION_SENDING)
			working = true;
		else if (c->phase != CONNECTION_CLOSING)
			shut(c);
	}
	return working;
}

void
connections_drain(struct connections *cs, struct deadline until)
{
	pthread_mutex_lock(&cs->lock);
	cs->draining = true;
	while (still_working(cs) && left_ms(until) > 0)
		wait_until(cs, until.at);
	pthread_mutex_unlock(&cs->lock);
}

void
connections_free(struct connections *cs)
{
	pthread_mutex_lock(&cs->lock);
	cs->stop = true;
	pthread_cond_broadcast(&cs->changed);
	pthread_mutex_unlock(&cs->lock);
	pthread_join(cs->thread, NULL);
	pthread_cond_destroy(&cs->changed);
	pthread_mutex_destroy(&cs->lock);
	free(cs);
}
