#!/usr/bin/env bash
# Copyright (c) The Rushlight authors.
# SPDX-License-Identifier: BSD-3-Clause
#
# All tests.  Installs and builds what they need.
#
#   tools/test.sh [setup|cpp|python|transformers4|asan|tsan|wheel|install|size|budgets|aarch64|fuzz|lint]...      all by default
set -euo pipefail
cd "$(dirname "$0")/.."

jobs=$(nproc)
python=$PWD/.venv/bin/python

configure_and_test() {  # <preset> [target...]: builds and runs the C++ tests
  local preset=$1
  shift
  cmake --preset "$preset" >"build/$preset-configure.log" || { cat "build/$preset-configure.log"; return 1; }
  cmake --build "build/$preset" -j "$jobs" ${1:+--target "$@"}
  ctest --test-dir "build/$preset" --output-on-failure -j "$jobs" ${1:+-R "^($(sed 's/_test//g; s/ /|/g' <<<"$*"))\$"}
}

setup() { tools/setup.sh apt-test python build transformers4; }

cpp() { ctest --test-dir build/release --output-on-failure -j "$jobs"; }

# Files side by side, each test with a CPU: PyTorch would start as many threads in every process as there are.
run_pytest() { OMP_NUM_THREADS=1 "$python" -m pytest -n "$jobs" --dist loadfile "$@"; }

python() { run_pytest; }

# The Transformers API with the oldest version that is promised; the newest ran above.
transformers4() {
  PYTHONPATH=build/transformers-4.56.2 run_pytest python/rushlight/transformers
}

asan() { configure_and_test asan; }

tsan() { configure_and_test tsan runtime_test module_test ops_test; }

# The wheel in an environment of its own, where there is no torch.  The compiler has the name that it has in
# build/release, so that what was compiled there is found again.
wheel() {
  rm -rf build/wheel && CXX="${CXX:-c++}" "$python" -m pip --disable-pip-version-check -q wheel . --no-deps --no-build-isolation -w build/wheel
  "$python" -m venv --clear build/wheel/venv
  build/wheel/venv/bin/pip --disable-pip-version-check -q install build/wheel/*.whl
  "$python" tests/wheel/make_program.py build/wheel/program.pte
  (cd build/wheel && venv/bin/python ../../tests/wheel/run_program.py program.pte &&
    venv/bin/rushlight inspect program.pte >/dev/null && venv/bin/rushlight run program.pte)
}

# Projects that know only what is installed.
install() { tools/test_install.sh; }

# Bytes against budgets, and the image for Cortex-M33 under QEMU.
size() { python3 tools/size/size.py; }

# Instructions, memory and code, against what they were.
budgets() { python3 tools/budgets/budgets.py; }

aarch64() { tools/test_aarch64.sh; }

# A few seconds of every fuzz target, with what they found before.
fuzz() { fuzz/quick_check.sh 5; }

lint() { make --no-print-directory lint; }

[ $# -eq 0 ] && set -- setup lint cpp python transformers4 asan tsan wheel install size budgets aarch64 fuzz
for step in "$@"; do
  printf '\033[1m==> test: %s\033[0m\n' "$step" >&2
  started=$SECONDS
  "$step"
  printf '==> test: %s passed in %d s\n' "$step" $((SECONDS - started)) >&2
done
