#!/bin/sh
# native.sh PACKAGE FILE: makes the native part FILE of a package in ./node_modules, which may take minutes where there is
# none to download; it is taken from another example where that has it, of the same version and for the same Node.
set -eu
works() { node -e 'require(process.argv[1])' "./node_modules/$1/$2" 2>/dev/null; }
version() { node -p 'require(process.argv[1]).version' "$1/package.json" 2>/dev/null; }
for other in ../*/node_modules/"$1"; do
    [ "$(version "$other")" = "$(version "./node_modules/$1")" ] && [ -f "$other/$2" ] || continue
    mkdir -p "$(dirname "node_modules/$1/$2")"
    [ "$other" -ef "node_modules/$1" ] || cp "$other/$2" "node_modules/$1/$2"
    ! works "$1" "$2" || exit 0
done
npm rebuild "$1"
