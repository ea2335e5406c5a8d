// Copyright (c) The Rushlight authors.
// SPDX-License-Identifier: BSD-3-Clause

// Regions of a file that are compiled for an instruction set, so that files need no flags of their
// own: RUSHLIGHT_TARGET_AVX2 ... RUSHLIGHT_TARGET_END, outside of namespaces, after the headers.
// Lambdas in a region do not belong to it: Clang's attribute passes them by.
#pragma once

// Once, not again for arguments that are constants somewhere: large functions.
#if defined(__clang__)
#define RUSHLIGHT_ONCE __attribute__((noinline))
#else
#define RUSHLIGHT_ONCE __attribute__((noinline, noclone))
#endif
#define RUSHLIGHT_INLINE inline __attribute__((always_inline))

#if defined(__clang__)
#define RUSHLIGHT_PRAGMA(text) _Pragma(#text)
#define RUSHLIGHT_TARGET(features) \
  RUSHLIGHT_PRAGMA(clang attribute push(__attribute__((target(features))), apply_to = function))
#define RUSHLIGHT_TARGET_END _Pragma("clang attribute pop")
#define RUSHLIGHT_UNROLL _Pragma("clang loop unroll(full)")
#else
#define RUSHLIGHT_PRAGMA(text) _Pragma(#text)
#define RUSHLIGHT_TARGET(features) \
  RUSHLIGHT_PRAGMA(GCC push_options) RUSHLIGHT_PRAGMA(GCC target(features))
#define RUSHLIGHT_TARGET_END _Pragma("GCC pop_options")
#define RUSHLIGHT_UNROLL _Pragma("GCC unroll 16")
#endif

#define RUSHLIGHT_TARGET_AVX2 RUSHLIGHT_TARGET("avx2,fma,f16c")
#define RUSHLIGHT_TARGET_AVX512 RUSHLIGHT_TARGET("avx2,fma,f16c,avx512f,avx512bw,avx512dq,avx512vl")
