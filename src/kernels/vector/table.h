// Copyright (c) The Rushlight authors.
// SPDX-License-Identifier: BSD-3-Clause

// A family that is written once over F32x16 defines `name`, a function or a const object, in the
// namespace of each instruction set that has F32x16.  The others take the best of those.
#pragma once

#include "src/kernels/isa.h"

#if defined(__x86_64__)
#define RUSHLIGHT_DECLARE_VECTOR(declaration) \
  namespace scalar {                          \
  declaration;                                \
  }                                           \
  namespace avx2 {                            \
  declaration;                                \
  }                                           \
  namespace avx512 {                          \
  declaration;                                \
  }
#define RUSHLIGHT_VECTOR_TABLE(name)                                                        \
  {                                                                                         \
    {                                                                                       \
      &scalar::name, &avx2::name, &avx2::name, &avx512::name, &avx512::name, &avx512::name, \
          &avx512::name, &scalar::name, &scalar::name, &scalar::name                        \
    }                                                                                       \
  }
#elif defined(__aarch64__)
#define RUSHLIGHT_DECLARE_VECTOR(declaration) \
  namespace scalar {                          \
  declaration;                                \
  }                                           \
  namespace neon {                            \
  declaration;                                \
  }
#define RUSHLIGHT_VECTOR_TABLE(name)                                                            \
  {                                                                                             \
    {                                                                                           \
      &scalar::name, &scalar::name, &scalar::name, &scalar::name, &scalar::name, &scalar::name, \
          &scalar::name, &neon::name, &neon::name, &neon::name                                  \
    }                                                                                           \
  }
#else
#define RUSHLIGHT_DECLARE_VECTOR(declaration) \
  namespace scalar {                          \
  declaration;                                \
  }
#define RUSHLIGHT_VECTOR_TABLE(name)                                                            \
  {                                                                                             \
    {                                                                                           \
      &scalar::name, &scalar::name, &scalar::name, &scalar::name, &scalar::name, &scalar::name, \
          &scalar::name, &scalar::name, &scalar::name, &scalar::name                            \
    }                                                                                           \
  }
#endif
