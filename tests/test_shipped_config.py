"""The configuration and the environment file as they are shipped: each alone,
both together, and with what people put into them."""
import os
import re
import subprocess
import sys
import tempfile
import unittest

HERE = os.path.dirname(os.path.abspath(__file__))
TOP = os.path.dirname(HERE)
sys.path.insert(0, os.path.join(HERE, "live"))

import tap	# noqa: E402

BUILD = os.environ.get("DATATIER_BUILD", os.path.join(TOP, "build"))
CONFIG = os.path.join(TOP, "config", "datatier.conf")
ENVIRONMENT = os.path.join(TOP, "config", "datatier-exporter.env")
SECRET = "open-sesame-7f3a"
ADDRESSES = {
    "DATATIER_POSTGRESQL_URI": "postgresql://monitor:%s@h/db" % SECRET,
    "DATATIER_PGBOUNCER_URI": "host=h dbname=pgbouncer password='%s'" % SECRET,
    "DATATIER_REDIS_URI": "rediss://h",
    "DATATIER_KAFKA_BROKERS": "h1:9092,h2:9092",
    "DATATIER_APPLICATION_URL": "http://h1:8085/metrics, http://h2:8085/metrics",
}


def check(environment, config=CONFIG):
    """Status and everything said by --check with nothing else set."""
    kept = {key: value for key, value in os.environ.items()
            if not key.startswith(("DATATIER_", "CREDENTIALS_"))}
    done = subprocess.run([BUILD + "/datatier_exporter", "--check", "--config.file", config],
                          env={**kept, **environment}, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, text=True, timeout=30)
    return done.returncode, done.stdout


def variables(path, pattern):
    with open(path) as text:
        return set(re.findall(pattern, text.read()))


def examples():
    """The assignments of the environment file, the # before them taken away."""
    with open(ENVIRONMENT) as text:
        found = re.findall(r"^#?(DATATIER_\w+)=(.*)$", text.read(), re.M)
    return dict(found)


class ShippedConfig(unittest.TestCase):
    def assert_good(self, environment, targets, left_out):
        status, said = check(environment)
        self.assertEqual(status, 0, said)
        self.assertIn("good, %d targets" % targets, said)
        self.assertEqual(said.count("is left out"), left_out, said)
        self.assertNotIn(SECRET, said)

    def test_nothing_set_leaves_all_out(self):
        self.assert_good({}, 0, len(ADDRESSES))

    def test_each_address_alone_is_enough(self):
        for name, value in ADDRESSES.items():
            with self.subTest(name):
                self.assert_good({name: value}, 1, len(ADDRESSES) - 1)

    def test_all_addresses_together(self):
        self.assert_good(ADDRESSES, len(ADDRESSES), 0)

    def test_examples_of_the_environment_file_work(self):
        found = examples()
        self.assertGreater(len(found), 10)
        found = {key: value for key, value in found.items() if not value.startswith("/etc/ssl")}
        self.assert_good(found, len(ADDRESSES), 0)

    def test_both_files_name_the_same_variables(self):
        """The flags' own variables are in the environment file only."""
        used = variables(CONFIG, r"\$\{(DATATIER_\w+)")
        flags = subprocess.run([BUILD + "/datatier_exporter", "--options"], text=True,
                               stdout=subprocess.PIPE, check=True).stdout
        offered = {name for name in examples() if "`%s`" % name not in flags}
        self.assertEqual(used, offered)

    def test_secrets_come_from_files(self):
        with tempfile.TemporaryDirectory() as folder:
            path = os.path.join(folder, "password")
            with open(path, "w") as out:
                out.write(SECRET + "\n")
            self.assert_good({**ADDRESSES, "DATATIER_REDIS_PASSWORD_FILE": path}, len(ADDRESSES), 0)
            os.unlink(path)
            status, said = check({**ADDRESSES, "DATATIER_REDIS_PASSWORD_FILE": path})
            self.assertEqual(status, 1)
            self.assertIn("DATATIER_REDIS_PASSWORD_FILE: cannot use the file " + path, said)
            self.assertIn("No such file", said)
            self.assertNotIn(SECRET, said)

    def test_lost_secret_of_a_target_that_is_left_out_is_no_fault(self):
        self.assert_good({"DATATIER_REDIS_PASSWORD_FILE": "/nowhere"}, 0, len(ADDRESSES))

    def test_unusable_address_names_the_line_and_hides_the_password(self):
        for name, value in (("DATATIER_POSTGRESQL_URI", "postgresql://u:%s@h/db?nonsense=1" % SECRET),
                            ("DATATIER_REDIS_URI", "http://u:%s@h" % SECRET)):
            with self.subTest(name):
                status, said = check({name: value})
                self.assertEqual(status, 1, said)
                self.assertRegex(said, r"datatier\.conf:\d+: target \S+ ")
                self.assertNotIn(SECRET, said)

    def test_every_fault_is_listed(self):
        with tempfile.NamedTemporaryFile("w", suffix=".conf") as out:
            out.write('web = { listen = 5; };\ntargets = (\n'
                      '  { collector = "redis"; name = "a"; uri = "redis://h"; pasword = "x"; },\n'
                      '  { collector = "nosuch"; name = "a"; }\n);\n')
            out.flush()
            status, said = check({}, out.name)
        self.assertEqual(status, 1)
        for line, words in ((1, "listen"), (3, "did you mean"), (4, "nosuch"), (4, "second target")):
            self.assertRegex(said, r"\.conf:%d: [^\n]*%s" % (line, words))


if __name__ == "__main__":
    tap.main()
