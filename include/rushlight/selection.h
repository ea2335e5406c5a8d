// Copyright (c) The Rushlight authors.
// SPDX-License-Identifier: BSD-3-Clause

// Selection: which operators, and which of their loops, a build of the library holds.
//
// An image that runs one program needs few of them.  `rushlight embed m.pte` writes a header that
// defines
//
//   inline constexpr Selected kSelection[] = {
//       {"aten::mul.out"},                                                   // the operator
//       {"aten::mul.out", SelectedKind::kLoop, DType::kFloat32, DType::kFloat32},  // one loop of
//       it
//       ...
//   };
//
// in namespace rushlight::ops.  A build of the library with that header (CMake:
// RUSHLIGHT_SELECTION) has tables with these rows and loops only.  Nothing refers to the rest, and
// the image is without it.  What is missing is refused when a program is loaded, as kNoKernel or
// kNoKernelForDType.
#pragma once

#include <cstdint>
#include <string_view>

#include "rushlight/dtype.h"

namespace rushlight::ops {

enum class SelectedKind : uint8_t { kOperator, kLoop, kCast };

struct Selected {
  std::string_view op;
  SelectedKind kind = SelectedKind::kOperator;
  // Of a loop or a cast, as in Loop (op.h).
  DType in = {};
  DType out = {};
  uint8_t variant = 0;
};

}  // namespace rushlight::ops
