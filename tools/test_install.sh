#!/usr/bin/env bash
# Copyright (c) The Rushlight authors.
# SPDX-License-Identifier: BSD-3-Clause
#
# Installs build/release into a folder of its own, then builds and runs projects that know nothing but that folder:
# tests/consumer, examples/c and examples/delegate.
set -euo pipefail
cd "$(dirname "$0")/.."

prefix=$PWD/build/install
program=$PWD/build/install-program.pte
rm -rf "$prefix" build/consumer
[ -e build/release/build.ninja ] || cmake --preset release
cmake --build build/release
cmake --build build/release --target bare_metal_program
cmake --install build/release --prefix "$prefix" >/dev/null
build/release/bare_metal_program "$program"

for project in tests/consumer examples/c examples/delegate; do
  cmake -S $project -B build/consumer/$project -G Ninja -DCMAKE_PREFIX_PATH="$prefix" >/dev/null
  cmake --build build/consumer/$project
done

# Runs a command that is to print this line first.
expect() {
  local expected=$1 output
  shift
  output=$("$@")
  [ "$(head -n 1 <<<"$output" | sed 's/ *$//')" = "$expected" ] || {
    printf '%s\n  printed   %s\n  expected  %s\n' "$*" "$output" "$expected" >&2
    exit 1
  }
}
cd build/consumer
expect "3 0 1.5 5" tests/consumer/consumer "$program"
expect "3 0 1.5 5" tests/consumer/consumer_c "$program"
expect "3 0 1.5 5" examples/c/example_c "$program"
status=0  # this one wants a program with its delegate in it, and says so of another
message=$(examples/delegate/example_delegate "$program" 2>&1) || status=$?
[ $status -eq 1 ] && grep -q InvalidArgument <<<"$message" || {
  printf 'examples/delegate: status %s: %s\n' $status "$message" >&2
  exit 1
}
"$prefix/bin/rushlight" inspect "$program" >/dev/null
echo "the installed library is complete"
