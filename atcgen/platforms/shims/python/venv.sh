#!/bin/sh
# Runs a program of the application's own Python: venv.sh PROGRAM [ARGUMENT...], in the application's directory.
set -eu
for each in .venv venv env; do
    if [ -x "$each/bin/python" ]; then
        VIRTUAL_ENV=$PWD/$each
        PATH=$VIRTUAL_ENV/bin:$PATH
        export VIRTUAL_ENV PATH
        break
    fi
done
if ! command -v "$1" >/dev/null; then
    echo "$1 is not installed${VIRTUAL_ENV:+ in $VIRTUAL_ENV}, nor elsewhere in the PATH" >&2
    exit 127
fi
exec "$@"
