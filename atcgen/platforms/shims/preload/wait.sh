#!/bin/sh
# Stands for a process that a zygote forked: in its group, and with its end. ask.py tells how.
# $1 is its process id, for people who look for it; then come the Python and the program to end by a signal.
if ! read -r how number <&3; then
    echo "atc: process $1 ended after its zygote had, so nobody knows how" >&2
    exit 1
fi
if [ "$how" = exited ]; then
    exit "$number"
fi
exec "$2" -I -S "$3" --end-by "$number"
