#!/bin/sh
# Finds a Python that can make virtual environments, and has it make or refresh .venv.
# Usage: tools/environment.sh runtime|dev      PYTHON=… chooses another interpreter.
set -eu
cd "$(dirname "$0")/.."

able() {
    command -v "$1" >/dev/null 2>&1 &&
        "$1" -c 'import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1
}

for candidate in ${PYTHON:-python3 python3.12 python3.13 python3.11 python3.14}; do
    if able "$candidate"; then
        exec "$candidate" tools/environment.py "$@"
    fi
done

cat >&2 <<END
lehr needs Python 3.11 or newer with the venv module, and found none among: ${PYTHON:-python3, python3.11 … python3.14}.
Install one (on Debian and Ubuntu: apt-get install python3 python3-venv), or name one: make setup PYTHON=/path/to/python3
END
exit 1
