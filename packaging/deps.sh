#!/bin/sh
# Installs what building, testing or showing the exporter needs and is not there.
#
#	packaging/deps.sh [--list] PURPOSE...	PURPOSE: build check demo bench
#
# Knows Debian and Ubuntu (apt) and Fedora and RHEL (dnf).  Runs as root or
# through sudo; where neither can be had it prints the one command to run and
# ends with status 3.  --list only says what is missing.
#
# Servers that come with the packages are neither started nor enabled, and no
# PostgreSQL cluster is created: the tests start their own.
set -eu

# What is needed, one thing a line:
#   purposes   must: without it the purpose fails; may: a part of it is skipped
#   there when a command is found, pkg-config knows it, python3 imports it, or a file matches
#   package of Debian | of Fedora; a/b: the first that the system has;
#   @: the version of clang
needs() {
	cat <<'TABLE'
build        must cmd:gcc                  gcc                         gcc
build        must cmd:make                 make                        make
build        must file:/usr/include/stdlib.h libc6-dev                 glibc-devel
build        must cmd:pkg-config           pkg-config/pkgconf          pkgconf-pkg-config
build        must pc:libpq                 libpq-dev                   libpq-devel
build        must pc:hiredis               libhiredis-dev              hiredis-devel
build        must pc:rdkafka               librdkafka-dev              librdkafka-devel
build        must pc:libcurl               libcurl4-gnutls-dev         libcurl-devel
build        must pc:libconfig             libconfig-dev               libconfig-devel
build        must pc:libmicrohttpd         libmicrohttpd-dev           libmicrohttpd-devel
build        must pc:libdeflate            libdeflate-dev              libdeflate-devel
check,demo   must cmd:python3              python3                     python3
check,demo   must cmd:openssl              openssl                     openssl
check,demo   must cmd:curl                 curl                        curl
check,demo   must cmd:ss                   iproute2                    iproute
check,demo   must cmd:postgres,file:/usr/lib/postgresql/*/bin/postgres,file:/usr/pgsql-*/bin/postgres postgresql postgresql-server
check,demo   must file:/usr/share/postgresql/*/extension/pg_stat_statements.control,file:/usr/share/pgsql/extension/pg_stat_statements.control,file:/usr/pgsql-*/share/extension/pg_stat_statements.control postgresql-contrib postgresql-contrib
check,demo   must cmd:pgbouncer            pgbouncer                   pgbouncer
check,demo   must cmd:redis-server         redis-server                redis/valkey-compat-redis
check,demo   may  cmd:java                 default-jre-headless        java-headless/java-21-openjdk-headless/java-17-openjdk-headless
check,demo   may  cmd:mvn                  maven                       maven
check        may  cmd:pip3                 python3-pip                 python3-pip
check        may  cmd:git                  git                         git
check        may  cmd:xz                   xz-utils                    xz
check        must py:yaml                  python3-yaml                python3-pyyaml
check        may  py:matplotlib,file:/usr/lib/python3/dist-packages/matplotlib/__init__.py,file:/usr/lib*/python3*/site-packages/matplotlib/__init__.py python3-matplotlib python3-matplotlib
check        must pc:cmocka                libcmocka-dev               libcmocka-devel
check        must cmd:clang                clang                       clang
check        must cmd:clang-format         clang-format                clang-tools-extra
check        must cmd:clang-tidy           clang-tidy                  clang-tools-extra
check        must file:/usr/lib*/llvm-*/lib/clang/*/lib/*/libclang_rt.fuzzer*.a,file:/usr/lib*/clang/*/lib/*/libclang_rt.fuzzer*.a libclang-rt-dev/libclang-rt-@-dev/libclang-common-@-dev compiler-rt
check        must file:/usr/lib/gcc/*/*/libasan.so gcc                 libasan
check        must file:/usr/lib/gcc/*/*/libubsan.so gcc                libubsan
check        must file:/usr/lib/gcc/*/*/libtsan.so gcc                 libtsan
check        must cmd:cppcheck             cppcheck                    cppcheck
check        may  cmd:promtool             prometheus                  prometheus/golang-github-prometheus
check        may  cmd:amtool               prometheus-alertmanager     alertmanager/golang-github-prometheus-alertmanager
bench        may  cmd:prometheus-redis-exporter    prometheus-redis-exporter    redis_exporter
bench        may  cmd:prometheus-postgres-exporter prometheus-postgres-exporter postgres_exporter
TABLE
}

# Units that these packages would have started now or at the next boot.
UNITS='postgresql redis-server redis valkey pgbouncer prometheus prometheus-alertmanager
prometheus-redis-exporter prometheus-postgres-exporter prometheus-node-exporter'

PATH=$PATH:/usr/local/sbin:/usr/sbin:/sbin
export PATH

say() {
	echo "deps: $*" >&2
}

usage() {
	echo "usage: packaging/deps.sh [--list] build|check|demo|bench..." >&2
	exit 2
}

# ---- what is there ----

# One of "cmd:x,pc:y,py:z,file:glob".
is_there() {
	old_ifs=$IFS
	IFS=,
	set -f
	# shellcheck disable=SC2086
	set -- $1
	set +f
	IFS=$old_ifs
	for test; do
		case $test in
		cmd:*) command -v "${test#cmd:}" >/dev/null && return 0 ;;
		pc:*) pkg-config --exists "${test#pc:}" 2>/dev/null && return 0 ;;
		py:*) python3 -c "import ${test#py:}" 2>/dev/null && return 0 ;;
		file:*) for file in ${test#file:}; do [ -e "$file" ] && return 0; done ;;
		esac
	done
	return 1
}

wanted() {
	for purpose in $PURPOSES; do
		case ,$1, in *,"$purpose",*) return 0 ;; esac
	done
	return 1
}

# "must DEBIAN FEDORA" of what is missing, a line each.
missing() {
	needs | while read -r purposes need test debian fedora; do
		if wanted "$purposes" && ! is_there "$test"; then
			echo "$need $debian $fedora"
		fi
	done
}

# ---- packages ----

clang_version() {
	apt-cache depends clang 2>/dev/null | sed -n 's/.*Depends: clang-\([0-9]*\)$/\1/p' | head -1
}

is_available() {
	case $MANAGER in
	apt) LC_ALL=C apt-cache policy "$1" 2>/dev/null | grep -q 'Candidate: [^(]' ;;
	dnf) dnf -q list "$1" >/dev/null 2>&1 || dnf -q provides "$1" 2>/dev/null | grep -q . ;;
	esac
}

# The first of "a/b" that the system has.
available() {
	for package in $(echo "$1" | tr / ' '); do
		case $package in *@*) package=$(echo "$package" | sed "s/@/$(clang_version)/") ;; esac
		if is_available "$package"; then
			echo "$package"
			return 0
		fi
	done
	return 1
}

# PACKAGES: what to install.  LACKING: what the system has no package for.
choose() {
	PACKAGES= LACKING=
	while read -r need debian fedora; do
		if [ "$MANAGER" = apt ]; then names=$debian; else names=$fedora; fi
		if package=$(available "$names"); then
			case " $PACKAGES " in *" $package "*) ;; *) PACKAGES="$PACKAGES $package" ;; esac
		elif [ "$need" = must ]; then
			LACKING="$LACKING $names"
		else
			say "there is no package $names: what needs it will be skipped"
		fi
	done <<EOF
$MISSING
EOF
}

# Everything the package manager says goes to a file, shown when it fails.
quietly() {
	"$@" >"$SCRATCH/log" 2>&1 </dev/null && return 0
	tail -30 "$SCRATCH/log" >&2
	return 1
}

apt() {
	DEBIAN_FRONTEND=noninteractive apt-get -q -y -o DPkg::Lock::Timeout=300 \
	    -o Dpkg::Options::=--force-confold -o Dpkg::Use-Pty=0 "$@"
}

HELD_POLICY= HELD_CLUSTER=

# Debian starts what it installs, and creates a PostgreSQL cluster, unless told not to.
hold_services() {
	if [ ! -e /usr/sbin/policy-rc.d ]; then
		printf '#!/bin/sh\nexit 101\n' >/usr/sbin/policy-rc.d
		chmod 755 /usr/sbin/policy-rc.d
		HELD_POLICY=/usr/sbin/policy-rc.d
	fi
	case $PACKAGES in *postgresql*) ;; *) return 0 ;; esac
	HELD_CLUSTER=/etc/postgresql-common/createcluster.d/datatier-deps.conf
	mkdir -p "${HELD_CLUSTER%/*}"
	echo 'create_main_cluster = false' >"$HELD_CLUSTER"
}

release_services() {
	rm -f ${HELD_POLICY:+"$HELD_POLICY"} ${HELD_CLUSTER:+"$HELD_CLUSTER"}
	HELD_POLICY= HELD_CLUSTER=
}

unit_file() {
	for directory in /lib/systemd/system /usr/lib/systemd/system; do
		[ -e "$directory/$1.service" ] && return 0
	done
	return 1
}

units_there() {
	for unit in $UNITS; do
		if unit_file "$unit"; then echo "$unit"; fi
	done
}

# Those that were not there before must not come up at the next boot either.
disable_new_units() {
	for unit in $(units_there); do
		case " $UNITS_BEFORE " in *" $unit "*) continue ;; esac
		if command -v systemctl >/dev/null; then
			systemctl disable --quiet "$unit.service" >/dev/null 2>&1 || true
		elif command -v update-rc.d >/dev/null; then
			update-rc.d "$unit" disable >/dev/null 2>&1 || true
		fi
	done
}

install_apt() {
	hold_services
	# shellcheck disable=SC2086
	if ! quietly apt install --no-install-recommends $PACKAGES; then
		say "that failed; trying once more with fresh package lists"
		quietly apt update
		quietly apt install --no-install-recommends $PACKAGES
	fi
}

install_packages() {
	UNITS_BEFORE=$(units_there | tr '\n' ' ')
	# shellcheck disable=SC2086
	case $MANAGER in
	apt) install_apt ;;
	dnf) quietly dnf -y --setopt=install_weak_deps=False install $PACKAGES ;;
	esac
	disable_new_units
}

# ---- being allowed to ----

# Goes on as root, or says how and ends.  What may be missing is not worth asking
# for a password.
become_root() {
	[ "$(id -u)" = 0 ] && return 0
	self=$(cd "$(dirname "$0")" && pwd)/deps.sh
	if command -v sudo >/dev/null; then
		if sudo -n true 2>/dev/null; then
			exec sudo -n -- "$self" $PURPOSES
		elif [ -n "$MUST" ] && [ -t 0 ] && [ -t 2 ]; then
			say "installing needs root, sudo may ask for your password"
			exec sudo -- "$self" $PURPOSES
		fi
		how="sudo $self $PURPOSES"
	else
		how="su -c '$self $PURPOSES'"
	fi
	if [ -z "$MUST" ]; then
		say "some tests will be skipped; this installs what they need: $how"
		exit 0
	fi
	say "packages are missing and installing them needs root; run this, then try again:"
	echo "    $how" >&2
	exit 3
}

# ---- the whole ----

LIST= PURPOSES=
for argument; do
	case $argument in
	--list) LIST=yes ;;
	build | check | demo | bench) PURPOSES="${PURPOSES:+$PURPOSES }$argument" ;;
	*) usage ;;
	esac
done
[ -n "$PURPOSES" ] || usage

if command -v apt-get >/dev/null; then
	MANAGER=apt
elif command -v dnf >/dev/null; then
	MANAGER=dnf
else
	MANAGER=none
fi

MISSING=$(missing)
if [ -n "$LIST" ]; then
	[ -z "$MISSING" ] || echo "$MISSING" | while read -r need debian fedora; do
		if [ "$MANAGER" = dnf ]; then echo "$fedora ($need)"; else echo "$debian ($need)"; fi
	done
	exit 0
fi
[ -n "$MISSING" ] || exit 0
case $MISSING in *"must "*) MUST=yes ;; *) MUST= ;; esac

if [ "$MANAGER" = none ]; then
	say "this system has neither apt nor dnf; please install what these Debian packages hold:"
	echo "$MISSING" | sed 's/^[a-z]* \([^ ]*\) .*/    \1/' >&2
	[ -z "$MUST" ] || exit 1
	exit 0
fi

become_root

SCRATCH=$(mktemp -d)
trap 'release_services; rm -rf "$SCRATCH"' EXIT
trap 'exit 1' INT TERM HUP

choose
if [ "$MANAGER" = apt ] && { [ -n "$LACKING" ] || [ -z "$(ls /var/lib/apt/lists/*_Packages* 2>/dev/null)" ]; }; then
	say "reading the package lists"
	quietly apt update -o APT::Update::Error-Mode=any || say "not all package lists could be read"
	choose
fi
if [ -n "$LACKING" ]; then
	say "this system has no package for:$LACKING"
	[ "$MANAGER" = apt ] || say "on RHEL and its kin: dnf install epel-release && crb enable"
	exit 1
fi
[ -n "$PACKAGES" ] || exit 0
say "installing$PACKAGES"
install_packages
MISSING=$(missing | grep '^must' || true)
if [ -n "$MISSING" ]; then
	say "installed, but still not there:"
	echo "$MISSING" >&2
	exit 1
fi
say "done; servers that came with it are neither started nor enabled"
