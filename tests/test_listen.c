/*
 * Addresses to listen on: what is understood, what is said when it fails.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "../exporter/http.h"
#include "../exporter/listen.h"
#include "http_client.h"

#define COUNT(a) (sizeof(a) / sizeof *(a))

static char why[256];

static bool
reaches_ipv6(unsigned port)
{
	struct sockaddr_in6 in6 = { .sin6_family = AF_INET6,
		.sin6_port = htons((uint16_t)port),
		.sin6_addr = IN6ADDR_LOOPBACK_INIT };
	int fd = socket(AF_INET6, SOCK_STREAM | SOCK_CLOEXEC, 0);
	bool reached = fd >= 0 && connect(fd, (struct sockaddr *)&in6, sizeof in6) == 0;

	if (fd >= 0)
		close(fd);
	return reached;
}

static bool
reaches_ipv4(unsigned port)
{
	int fd = client_connect(port, NULL);

	if (fd >= 0)
		close(fd);
	return fd >= 0;
}

static bool
machine_has_ipv6(void)
{
	unsigned port;
	int fd = listen_on("[::1]:0", &port, why, sizeof why);

	if (fd >= 0)
		close(fd);
	return fd >= 0;
}

static void
addresses_are_understood(void **state)
{
	static const struct {
		const char *address;
		bool ipv4, ipv6;
	} examples[] = {
		{ "127.0.0.1:0", true, false },
		{ "0.0.0.0:0", true, false },
		{ "localhost:0", true, false },
		{ "[::]:0", true, true },
		{ ":0", true, true },
		{ "[::1]:0", false, true },
	};

	(void)state;
	bool ipv6 = machine_has_ipv6();
	for (size_t i = 0; i < COUNT(examples); i++) {
		unsigned port = 0;
		if (!ipv6 && !examples[i].ipv4)
			continue;
		int fd = listen_on(examples[i].address, &port, why, sizeof why);
		assert_true(fd >= 0);
		assert_in_range(port, 1, 65535);
		assert_int_equal(reaches_ipv4(port), examples[i].ipv4);
		assert_int_equal(reaches_ipv6(port), ipv6 && examples[i].ipv6);
		close(fd);
	}
}

static void
nonsense_is_told_apart(void **state)
{
	static const char *const addresses[] = { "", ":", "10071", "127.0.0.1",
		"127.0.0.1:", "127.0.0.1:x", "127.0.0.1:70000", "127.0.0.1:-1", "127.0.0.1:1 ",
		"::1:10071", "[::1]", "[::1:10071", "::1]:10071", "[127.0.0.1]:10071",
		"http://127.0.0.1:10071", "127.0.0.1:0x50" };

	(void)state;
	for (size_t i = 0; i < COUNT(addresses); i++) {
		char expected[256];
		unsigned port;
		assert_false(listen_is_address(addresses[i]));
		assert_int_equal(listen_on(addresses[i], &port, why, sizeof why), -1);
		snprintf(expected, sizeof expected,
		    "cannot listen on \"%s\": expected HOST:PORT, such as \"0.0.0.0:10071\" or "
		    "\"[::]:10071\"",
		    addresses[i]);
		assert_string_equal(why, expected);
	}
}

static void
faults_of_the_machine_are_named(void **state)
{
	char address[64];
	unsigned port, again;

	(void)state;
	int fd = listen_on("127.0.0.1:0", &port, why, sizeof why);
	assert_true(fd >= 0);
	snprintf(address, sizeof address, "127.0.0.1:%u", port);
	assert_int_equal(listen_on(address, &again, why, sizeof why), -1);
	assert_non_null(strstr(why, address));
	assert_non_null(strstr(why, "another program uses this address and port"));
	snprintf(address, sizeof address, "[::]:%u", port);
	assert_int_equal(listen_on(address, &again, why, sizeof why), -1);
	assert_non_null(strstr(why, "another program"));
	close(fd);
	/* an address of nobody's: RFC 5737 */
	assert_int_equal(listen_on("192.0.2.1:0", &port, why, sizeof why), -1);
	assert_string_equal(
	    why, "cannot listen on \"192.0.2.1:0\": this machine has no such address");
}

static void
port_can_be_taken_again_at_once(void **state)
{
	char address[64];
	unsigned port;

	(void)state;
	int fd = listen_on("127.0.0.1:0", &port, why, sizeof why);
	int client = client_connect(port, NULL);
	int server = -1;
	while (server < 0)
		server = accept(fd, NULL, NULL);
	close(server); /* first, so that the port is left in TIME_WAIT */
	assert_true(client_at_end(client));
	close(client);
	close(fd);
	snprintf(address, sizeof address, "127.0.0.1:%u", port);
	fd = listen_on(address, &port, why, sizeof why);
	assert_true(fd >= 0);
	close(fd);
}

/* From here on the kernel says that there is no IPv6. */
static bool
forget_ipv6(void)
{
	struct sock_filter filter[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_socket, 0, 3),
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, args[0])),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, AF_INET6, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EAFNOSUPPORT),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};
	struct sock_fprog program = { .len = COUNT(filter), .filter = filter };

	return prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 &&
	       prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) == 0 &&
	       socket(AF_INET6, SOCK_STREAM, 0) == -1 && errno == EAFNOSUPPORT;
}

/* In a process that has no IPv6: the number of the first thing wrong, or 0. */
static int
try_without_ipv6(void)
{
	unsigned port;
	int fd;

	if (!forget_ipv6())
		return 1;
	fd = listen_on("[::]:0", &port, why, sizeof why);
	if (fd < 0 || !reaches_ipv4(port))
		return 2;
	fd = listen_on(":0", &port, why, sizeof why);
	if (fd < 0 || !reaches_ipv4(port))
		return 3;
	if (listen_on("[::1]:0", &port, why, sizeof why) >= 0)
		return 4;
	if (strstr(why, "this machine has no IPv6") == NULL)
		return 5;
	return 0;
}

static void
all_addresses_are_the_ipv4_ones_without_ipv6(void **state)
{
	int status;

	(void)state;
	pid_t pid = fork();
	if (pid == 0)
		_exit(try_without_ipv6());
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), 0);
}

/* ---- the server on several of them ---- */

static int
fake_scrape(const struct http_scrape *scrape, struct buf *body)
{
	(void)scrape;
	buf_str(body, "up 1\n");
	return 200;
}

static void
fake_status(struct buf *body)
{
	buf_str(body, "<p>");
}

static bool
fake_ready(void)
{
	return true;
}

static void
fake_served(int code, double seconds)
{
	(void)code;
	(void)seconds;
}

static struct http *
start(const char *const *listen)
{
	static struct http_site site = {
		.telemetry_path = "/metrics",
		.scrape = fake_scrape,
		.status = fake_status,
		.ready = fake_ready,
		.served = fake_served,
	};

	site.listen = listen;
	return http_start(&site, why, sizeof why);
}

static void
several_addresses_are_served(void **state)
{
	static const char *const listen[] = { "127.0.0.1:0", "0.0.0.0:0", "[::]:0", NULL };
	struct http *http = start(listen);

	(void)state;
	assert_non_null(http);
	for (size_t i = 0; i < 3; i++) {
		struct reply r = client_get(http_port(http, i), "GET", "/metrics", "");
		assert_int_equal(r.code, 200);
		assert_string_equal(r.body.ptr, "up 1\n");
		buf_free(&r.body);
	}
	assert_int_equal(http_port(http, 3), 0);
	http_stop(http);
}

static void
one_bad_address_leaves_none_open(void **state)
{
	char taken[64];
	const char *listen[] = { "127.0.0.1:0", taken, NULL };
	unsigned port;
	int fd = listen_on("127.0.0.1:0", &port, why, sizeof why);
	int before = dup(0);

	(void)state;
	close(before);
	snprintf(taken, sizeof taken, "127.0.0.1:%u", port);
	assert_null(start(listen));
	assert_non_null(strstr(why, taken));
	int after = dup(0);
	close(after);
	assert_int_equal(before, after);
	close(fd);
	struct http *http = start(listen);
	assert_non_null(http);
	assert_int_equal(http_port(http, 1), port);
	http_stop(http);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(addresses_are_understood),
		cmocka_unit_test(nonsense_is_told_apart),
		cmocka_unit_test(faults_of_the_machine_are_named),
		cmocka_unit_test(port_can_be_taken_again_at_once),
		cmocka_unit_test(all_addresses_are_the_ipv4_ones_without_ipv6),
		cmocka_unit_test(several_addresses_are_served),
		cmocka_unit_test(one_bad_address_leaves_none_open),
	};

	return cmocka_run_group_tests_name("listen", tests, NULL, NULL);
}
