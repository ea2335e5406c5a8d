#!/usr/bin/env bash
# Copyright (c) The Rushlight authors.
# SPDX-License-Identifier: BSD-3-Clause
#
# Compiles the whole C++ tree for 64-bit Arm and runs its tests under qemu-user.
set -euo pipefail
cd "$(dirname "$0")/.."

cmake --preset aarch64 -Wno-dev
cmake --build --preset aarch64
ctest --preset aarch64
