#!/usr/bin/env bash
# Copyright (c) The Rushlight authors.
# SPDX-License-Identifier: BSD-3-Clause
#
# Branch coverage of the validator by its tests; fails below 95 %.  Builds into build/coverage.
set -euo pipefail
cd "$(dirname "$0")/../.."

build=build/coverage
cmake -S . -B $build -G Ninja \
  "-DRUSHLIGHT_PROGRAM_OPTIONS=--coverage;-O0" -DCMAKE_EXE_LINKER_FLAGS=--coverage \
  -DRUSHLIGHT_BUILD_TOOLS=OFF >/dev/null
cmake --build $build --target program_test hostile_test
find $build -name '*.gcda' -delete
$build/program_test --gtest_brief=1
$build/tests/hostile/hostile_test --gtest_brief=1
# Branches that the compiler adds for exceptions are not branches of the source.
gcovr --root . --object-directory $build --filter 'src/program/validator\.cc' \
  --exclude-throw-branches --exclude-unreachable-branches --branches --fail-under-branch 95
