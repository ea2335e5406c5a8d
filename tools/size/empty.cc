// Copyright (c) The Rushlight authors.
// SPDX-License-Identifier: BSD-3-Clause

// What the toolchain's start-up code costs: subtracted by size.py.
int main() { return 0; }
