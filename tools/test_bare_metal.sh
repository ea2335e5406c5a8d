#!/usr/bin/env bash
# Copyright (c) The Rushlight authors.
# SPDX-License-Identifier: BSD-3-Clause
#
# Builds the example of an image for Cortex-M33 (examples/bare_metal), from a program file that is made here, and
# runs it under QEMU.
set -euo pipefail
cd "$(dirname "$0")/.."

folder=build/bare_metal
mkdir -p $folder
{
  [ -e build/release/build.ninja ] || cmake --preset release
  cmake --build build/release --target rushlight_cli bare_metal_program
  build/release/bare_metal_program $folder/program.pte
  cmake -S examples/bare_metal -B $folder -G Ninja --toolchain "$PWD/cmake/cortex-m33.cmake" \
    -DPROGRAM="$PWD/$folder/program.pte"
  cmake --build $folder --target image
} >$folder/build.log 2>&1 || {
  cat $folder/build.log >&2
  exit 1
}

# Semihosting prints to stderr.  The image checks its own results; it says PASS, and its exit status is the number of failures.
timeout 60 qemu-system-arm -machine mps2-an505 -nographic -monitor none -serial none \
  -semihosting-config enable=on,target=native -kernel $folder/image 2>&1 | tee $folder/output.txt
grep -qx PASS $folder/output.txt
