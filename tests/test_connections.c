/*
 * Who counts as one client, and what becomes of its connections.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <arpa/inet.h>
#include <netinet/in.h>
#include <string.h>
#include <unistd.h>

#include "../exporter/connections.h"

enum { MOST = 8, MOST_PER_ADDRESS = 2 };

static struct connections *
make(void)
{
	struct connection_limits limits = { .most = MOST, .most_per_address = MOST_PER_ADDRESS };
	struct connections *cs = connections_new(&limits);

	assert_non_null(cs);
	return cs;
}

/* One more from this address: its connection, or NULL where it is not let in.
 * The other end of the descriptor is *peer. */
static struct connection *
enter(struct connections *cs, const char *address, int *peer)
{
	struct sockaddr_in in = { .sin_family = AF_INET };
	struct sockaddr_in6 in6 = { .sin6_family = AF_INET6 };
	const struct sockaddr *sa = (const struct sockaddr *)&in;
	int pair[2];

	if (inet_pton(AF_INET, address, &in.sin_addr) != 1) {
		assert_int_equal(inet_pton(AF_INET6, address, &in6.sin6_addr), 1);
		sa = (const struct sockaddr *)&in6;
	}
	if (!connections_admit(cs, sa))
		return NULL;
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
	*peer = pair[1];
	return connections_add(cs, pair[0], sa);
}

static bool
lets_in(struct connections *cs, const char *first, const char *second, const char *third)
{
	const char *addresses[] = { first, second, third };
	struct connection *c[3];
	int peer[3];

	for (int i = 0; i < 3; i++)
		c[i] = enter(cs, addresses[i], &peer[i]);
	bool all = c[0] != NULL && c[1] != NULL && c[2] != NULL;
	for (int i = 0; i < 3; i++)
		if (c[i] != NULL) {
			connections_remove(cs, c[i]);
			close(peer[i]);
		}
	return all;
}

static void
an_ipv4_address_or_an_ipv6_network_is_one_client(void **state)
{
	struct connections *cs = make();

	(void)state;
	assert_false(lets_in(cs, "192.0.2.1", "192.0.2.1", "192.0.2.1"));
	assert_true(lets_in(cs, "192.0.2.1", "192.0.2.1", "192.0.2.2"));
	assert_false(lets_in(cs, "192.0.2.1", "::ffff:192.0.2.1", "192.0.2.1"));
	assert_true(lets_in(cs, "::ffff:192.0.2.1", "::ffff:192.0.2.1", "::ffff:192.0.2.2"));
	assert_false(lets_in(cs, "2001:db8::1", "2001:db8::2", "2001:db8:0:0:ffff::3"));
	assert_true(lets_in(cs, "2001:db8::1", "2001:db8::1", "2001:db8:0:1::1"));
	assert_true(lets_in(cs, "2001:db8::1", "2001:db8::1", "192.0.2.1"));
	connections_free(cs);
}

static bool
ended(int peer)
{
	char byte;

	return recv(peer, &byte, 1, MSG_DONTWAIT) == 0;
}

static void
only_the_idle_give_way(void **state)
{
	static const enum connection_phase busy[] = { CONNECTION_NEW, CONNECTION_BUSY,
		CONNECTION_SENDING };
	int peer[3];

	(void)state;
	for (size_t i = 0; i < sizeof busy / sizeof *busy; i++) {
		struct connections *cs = make();
		struct connection *c[3];
		c[0] = enter(cs, "192.0.2.1", &peer[0]);
		c[1] = enter(cs, "192.0.2.1", &peer[1]);
		connection_enter(cs, c[0], busy[i]);
		connection_enter(cs, c[1], busy[i]);
		assert_null(enter(cs, "192.0.2.1", &peer[2]));
		assert_false(ended(peer[0]) || ended(peer[1]));
		connection_enter(cs, c[1], CONNECTION_IDLE);
		c[2] = enter(cs, "192.0.2.1", &peer[2]);
		assert_non_null(c[2]);
		assert_true(ended(peer[1]) && !ended(peer[0]) && !ended(peer[2]));
		for (int j = 0; j < 3; j++) {
			connections_remove(cs, c[j]);
			close(peer[j]);
		}
		connections_free(cs);
	}
}

/* Shut down and not gone yet: those take room, too, but not for ever more. */
static void
closing_ones_cannot_pile_up(void **state)
{
	struct connections *cs = make();
	struct connection *c[100];
	int peer[100], n = 0;

	(void)state;
	while (n < 100 && (c[n] = enter(cs, "192.0.2.1", &peer[n])) != NULL)
		connection_enter(cs, c[n++], CONNECTION_IDLE);
	assert_in_range(n, MOST, 99);
	connections_remove(cs, c[0]);
	close(peer[0]);
	c[0] = enter(cs, "192.0.2.1", &peer[0]);
	assert_non_null(c[0]);
	for (int i = 0; i < n; i++) {
		connections_remove(cs, c[i]);
		close(peer[i]);
	}
	connections_free(cs);
}

static void
nobody_is_let_in_while_it_drains(void **state)
{
	struct connections *cs = make();
	int idle, busy, late;
	struct connection *a = enter(cs, "192.0.2.1", &idle), *b = enter(cs, "192.0.2.2", &busy);

	(void)state;
	connection_enter(cs, a, CONNECTION_IDLE);
	connection_enter(cs, b, CONNECTION_BUSY);
	struct deadline until = deadline_in(100 * NS_PER_MS);
	connections_drain(cs, until);
	assert_int_equal(left_ms(until), 0); /* it waited for b */
	assert_true(ended(idle) && !ended(busy));
	assert_null(enter(cs, "192.0.2.3", &late));
	connection_enter(cs, b, CONNECTION_IDLE);
	assert_true(ended(busy));
	connections_remove(cs, a);
	connections_remove(cs, b);
	close(idle);
	close(busy);
	connections_free(cs);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(an_ipv4_address_or_an_ipv6_network_is_one_client),
		cmocka_unit_test(only_the_idle_give_way),
		cmocka_unit_test(closing_ones_cannot_pile_up),
		cmocka_unit_test(nobody_is_let_in_while_it_drains),
	};

	return cmocka_run_group_tests_name("connections", tests, NULL, NULL);
}
