#!/bin/sh
# Sets up everything Mainspring needs, from nothing but Python 3.11 (or newer) with pip, on Debian or Ubuntu.
# Says what it does, may be run again at any time, and touches only this folder and the system packages named below.
set -eu
cd "$(dirname "$0")"

say() { printf 'setup: %s\n' "$*" >&2; }
fail() { printf 'setup: error: %s\n' "$*" >&2; exit 1; }

python=""
for candidate in python3.13 python3.12 python3.11 python3 python; do
    if command -v "$candidate" >/dev/null 2>&1 &&
        "$candidate" -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] < (3, 14))' 2>/dev/null; then
        python=$(command -v "$candidate")
        break
    fi
done
[ -n "$python" ] || fail "Python 3.11, 3.12 or 3.13 is needed and none was found; install it (apt-get install python3) and try again"

# The sandbox. Without it no command of an agent runs.
missing=""
command -v bwrap >/dev/null 2>&1 || missing="$missing bubblewrap"
command -v git >/dev/null 2>&1 || missing="$missing git"
# The embedded engine's threads.
{ ldconfig -p 2>/dev/null || /sbin/ldconfig -p; } | grep -q libgomp || missing="$missing libgomp1"
if [ -n "$missing" ]; then
    if [ "$(id -u)" = 0 ]; then root=""; elif command -v sudo >/dev/null 2>&1; then root="sudo"; else root="none"; fi
    if [ "$root" = none ] || ! command -v apt-get >/dev/null 2>&1; then
        fail "please install these system packages, then run this again:$missing"
    fi
    say "installing system packages:$missing"
    # shellcheck disable=SC2086
    { $root apt-get update -qq && DEBIAN_FRONTEND=noninteractive $root apt-get install -y -qq $missing; } >/dev/null ||
        fail "apt-get could not install:$missing"
fi

# uv, in a folder of its own, so that nothing is installed into the system's Python.
uv=$(command -v uv || true)
if [ -z "$uv" ]; then
    uv=.tools/bin/uv
    if [ ! -x "$uv" ]; then
        "$python" -m pip --version >/dev/null 2>&1 || fail "this Python has no pip: apt-get install python3-pip"
        say "installing uv into .tools"
        "$python" -m pip install --quiet --disable-pip-version-check --no-warn-script-location \
            --root-user-action=ignore --target .tools --upgrade uv ||
            fail "pip could not install uv"
    fi
fi

say "installing Mainspring and its locked dependencies into .venv"
UV_PYTHON_DOWNLOADS=never "$uv" sync --frozen --quiet --compile-bytecode --python "$python" || fail "uv sync did not finish; see above"
say "ready: .venv/bin/mainspring"
