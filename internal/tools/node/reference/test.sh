#!/bin/sh
# Runs the tests of the reference in a real browser, against the binary that $1 names. What they need
# beyond Node is installed where that is possible; where it is not, they are skipped, and it is said.
set -eu
binary=$1
cd "$(dirname "$0")/.."

skip() {
	printf '\n*** SKIPPED: the tests of the reference in a browser: %s\n\n' "$1" >&2
	exit 0
}

browser() {
	command -v chromium || command -v chromium-browser || command -v google-chrome || true
}

command -v node >/dev/null && command -v npm >/dev/null || skip "Node 20 or newer, with npm, is not installed"
if [ ! node_modules -nt package-lock.json ]; then
	npm ci --ignore-scripts --no-fund --no-audit || skip "npm cannot install what they need"
	touch node_modules
fi
if [ -z "$(browser)" ] && [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
	echo "installing chromium by apt-get (once)"
	{ apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -qq -y --no-install-recommends chromium; } >/dev/null || true
fi
[ -n "$(browser)" ] || skip "Chromium is not installed"

LOGFENCE="$binary" CHROMIUM="$(browser)" exec node --test --test-reporter=spec reference/
