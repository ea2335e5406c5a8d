#!/usr/bin/env bash
# Copyright (c) The Rushlight authors.
# SPDX-License-Identifier: BSD-3-Clause
#
# Builds the fuzz targets with Clang and its sanitizers, and runs each from its own seeds.
#
#   fuzz/quick_check.sh [seconds for each target] [target ...]      60, all
#
# Exit code: 0 where nothing was found.  An input that was found lies in build/fuzz/findings; run the
# target with it as the argument.
set -euo pipefail
cd "$(dirname "$0")/.."

seconds=${1:-60}
shift || true
targets=("$@")
if [ ${#targets[@]} -eq 0 ]; then
  for source in fuzz/*_fuzzer.cc; do targets+=("$(basename "$source" _fuzzer.cc)"); done
fi

build=build/fuzz
cmake -S . -B $build -G Ninja -DCMAKE_CXX_COMPILER=clang++ \
  -DCMAKE_BUILD_TYPE=Fuzz -DCMAKE_CXX_FLAGS_FUZZ="-O1 -gline-tables-only" \
  -DRUSHLIGHT_SANITIZE=address,undefined -DRUSHLIGHT_BUILD_FUZZERS=ON \
  -DRUSHLIGHT_BUILD_TESTS=OFF -DRUSHLIGHT_BUILD_TOOLS=OFF >/dev/null
cmake --build $build --target "${targets[@]/%/_fuzzer}"

findings=$build/findings
mkdir -p $findings
failed=()
for target in "${targets[@]}"; do
  corpus=$build/corpus/$target
  rm -rf "$corpus"
  mkdir -p "$corpus"
  printf '%-14s ' "$target"
  if $build/fuzz/"${target}_fuzzer" -seed=1 -max_total_time="$seconds" -max_len=65536 -timeout=30 \
    -rss_limit_mb=4096 -print_final_stats=1 -artifact_prefix=$findings/"$target"- "$corpus" \
    2>$build/"$target".log; then
    runs=$(sed -n 's/stat::number_of_executed_units: *//p' $build/"$target".log)
    edges=$(sed -n 's/.* cov: \([0-9]*\) .*/\1/p' $build/"$target".log | tail -1)
    printf '%s runs, %s edges\n' "$runs" "$edges"
  else
    failed+=("$target")
    printf 'FOUND\n'
    grep -E 'ERROR|runtime error|SUMMARY|Test unit written' $build/"$target".log || tail -20 $build/"$target".log
  fi
done
if [ ${#failed[@]} -gt 0 ]; then
  printf 'found something: %s\n' "${failed[*]}" >&2
  exit 1
fi
