// Copyright (c) The Rushlight authors.
// SPDX-License-Identifier: BSD-3-Clause

#include "rushlight/error.h"

namespace rushlight {

namespace internal {

Error Fail(Reason why) { return Error(why); }
Error Fail(Reason why, uint32_t object) { return Error(why, object); }
Error Fail(Reason why, uint32_t object, int64_t found) { return Error(why, object, found); }
Error Fail(Reason why, uint32_t object, int64_t found, int64_t limit) {
  return Error(why, object, found, limit);
}
Error Fail(Reason why, uint32_t object, int64_t found, int64_t limit, size_t argument) {
  return Error(why, object, found, limit).WithArgument(argument);
}

}  // namespace internal

int ExecuTorchCode(ErrorCode code) {
  switch (code) {
    case ErrorCode::kOk:
      return 0x00;
    case ErrorCode::kInternal:
      return 0x01;
    case ErrorCode::kInvalidState:
    case ErrorCode::kCancelled:
      return 0x02;
    case ErrorCode::kNotSupported:
      return 0x10;
    case ErrorCode::kInvalidArgument:
    case ErrorCode::kTemplateInvalid:
      return 0x12;
    case ErrorCode::kOperatorMissing:
      return 0x14;
    case ErrorCode::kNotFound:
    case ErrorCode::kDelegateMissing:
      return 0x20;
    case ErrorCode::kOutOfMemory:
      return 0x21;
    case ErrorCode::kIo:
      return 0x22;
    case ErrorCode::kNotAProgram:
    case ErrorCode::kTruncated:
    case ErrorCode::kVersionUnsupported:
    case ErrorCode::kInvalidProgram:
    case ErrorCode::kTokenizerInvalid:
      return 0x23;
    case ErrorCode::kExternalData:
      return 0x24;
    case ErrorCode::kLimitExceeded:
      return 0x25;
    case ErrorCode::kDelegateFailed:
      return 0x30;
  }
  return 0x01;
}

}  // namespace rushlight
