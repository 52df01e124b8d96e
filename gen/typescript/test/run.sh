#!/bin/sh
# Runs the tests of the package against the logfence that $1 names and the Loki that $2 names. What they
# need beyond Node is installed where that is possible; where it is not, they are skipped, and it is said.
# In CI nothing is skipped.
set -eu
export LOGFENCE_BIN="$1" LOGFENCE_DEMO_LOKI="$2"
cd "$(dirname "$0")/.."

skip() {
	printf '\n*** SKIPPED: %s\n\n' "$1" >&2
	[ -z "${CI:-}" ]
}

browser() {
	command -v chromium || command -v chromium-browser || command -v google-chrome || true
}

if ! command -v node >/dev/null || ! command -v npm >/dev/null; then
	skip "the tests of the TypeScript client: Node 20 or newer, with npm, is not installed"
	exit
fi
if [ ! node_modules -nt package-lock.json ]; then
	npm ci --no-fund --no-audit
	touch node_modules
fi
if [ -z "$(browser)" ] && [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
	echo "installing chromium by apt-get (once)"
	{ apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -qq -y --no-install-recommends chromium; } >/dev/null || true
fi
CHROMIUM="$(browser)"
export CHROMIUM
[ -n "$CHROMIUM" ] || skip "the test of the TypeScript client in a browser: Chromium is not installed"

exec npm --silent test
