#!/usr/bin/env bash
# Makes .venv with pinned packages, Java's presence and the Delta jars checked. Safe to run again; `make setup` does.
set -euo pipefail
cd "$(dirname "$0")"

say() { printf 'set-up: %s\n' "$*" >&2; }

can_use_apt() { [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; }

install_with_apt() {
    say "installing $* with apt-get"
    apt-get update -qq >/dev/null
    DEBIAN_FRONTEND=noninteractive apt-get install -y -qq "$@" >/dev/null
}

java_is_new_enough() {
    command -v java >/dev/null || return 1
    local major
    major=$(java -version 2>&1 | sed -n 's/.*version "\([0-9]*\).*/\1/p' | head -n 1)
    [ "${major:-0}" -ge 17 ]
}

find_python() {
    local candidate
    for candidate in "${PYTHON:-}" python3 python3.13 python3.12 python3.11; do
        if [ -n "$candidate" ] && command -v "$candidate" >/dev/null &&
            "$candidate" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
            printf '%s' "$candidate"
            return 0
        fi
    done
    say 'Python 3.11 or newer is missing; on Debian: apt-get install python3 python3-venv'
    return 1
}

if ! java_is_new_enough; then
    if can_use_apt; then
        install_with_apt openjdk-17-jre-headless
    else
        say 'Java 17 or newer is missing; on Debian: sudo apt-get install openjdk-17-jre-headless'
        exit 1
    fi
fi

python=$(find_python)
if [ ! -x .venv/bin/python ]; then
    if ! "$python" -c 'import ensurepip' 2>/dev/null && can_use_apt; then
        install_with_apt python3-venv
    fi
    "$python" -m venv .venv
fi
say 'installing pinned packages into .venv (a minute or two the first time)'
# --no-compile: Python compiles what is used when it is used; all of it takes a minute
.venv/bin/python -m pip install --quiet --disable-pip-version-check --no-compile -c constraints.txt -e '.[spark,train,eval,export,tune,dev]'
.venv/bin/python -m spark_jobs.set_up
touch .venv/.set-up-done
