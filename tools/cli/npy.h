// Copyright (c) The Rushlight authors.
// SPDX-License-Identifier: BSD-3-Clause

// NumPy's .npy files: reading inputs and writing outputs.
#pragma once

#include <string>

#include "rushlight/error.h"
#include "rushlight/host_tensor.h"

namespace rushlight::cli {

// Versions 1 to 3, little-endian, C order, the dtypes that NumPy and programs share.
Result<HostTensor> ReadNpy(const std::string& path);
// 16-bit brain floats, which NumPy lacks, are written as float32.
Error WriteNpy(const std::string& path, const Tensor& tensor);

}  // namespace rushlight::cli
