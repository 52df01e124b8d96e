#!/bin/sh
# Runs the tests of the log explorer in a real browser: the logfence that $1 names and the rest of the stack that $2
# names, before the Loki that $3 names. Further arguments go to Node's test runner. What they need beyond Node is
# installed where that is possible; where it is not, they are skipped, and it is said. In CI nothing is skipped but
# the one test in Firefox, where that cannot be had. With LOGFENCE_TEST_EXPLORE_ALL those of every night run as well.
set -eu
export LOGFENCE_BIN="$1" STACK_BIN="$2" LOGFENCE_DEMO_LOKI="$3"
shift 3
cd "$(dirname "$0")/.."

skip() {
	printf '\n*** SKIPPED: the tests of the log explorer: %s\n\n' "$1" >&2
	[ -z "${CI:-}" ]
}

browser() {
	command -v chromium || command -v chromium-browser || command -v google-chrome || true
}

if ! command -v node >/dev/null || ! command -v npm >/dev/null; then
	skip "Node 20 or newer, with npm, is not installed"
	exit
fi
if [ ! node_modules -nt package-lock.json ]; then
	npm ci --no-fund --no-audit
	touch node_modules
fi
[ -n "${MAIN:-}" ] || npm --silent run test:unit
if [ -z "$(browser)" ] && [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
	echo "installing chromium by apt-get (once)"
	{ apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -qq -y --no-install-recommends chromium; } >/dev/null || true
fi
CHROMIUM="$(browser)"
export CHROMIUM
if [ -z "$CHROMIUM" ]; then
	skip "Chromium is not installed"
	exit
fi
# Firefox, for a smoke test of a second engine, every night.
firefox() {
	command -v firefox-esr || command -v firefox || true
}
FIREFOX=
if [ -n "${LOGFENCE_TEST_EXPLORE_ALL:-}" ]; then
	if [ -z "$(firefox)" ] && [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
		echo "installing firefox-esr by apt-get (once)"
		{ apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -qq -y --no-install-recommends firefox-esr; } >/dev/null || true
	fi
	FIREFOX="$(firefox)"
	[ -n "$FIREFOX" ] || printf '\n*** SKIPPED: the test of the log explorer in Firefox: firefox-esr is not installed\n\n' >&2
fi
export FIREFOX
exec node --import tsx --test --test-timeout=900000 --test-reporter=spec "$@" "${MAIN:-test/main.ts}"
