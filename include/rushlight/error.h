// Copyright (c) The Rushlight authors.
// SPDX-License-Identifier: BSD-3-Clause

// Error and Result: how every call of the library that can fail says so.
//
// An Error is 32 bytes of numbers: why, of which object, what was found, what was expected.  The
// sentence is made by Describe() (describe.h), above the core, so that small images carry no text.
#pragma once

#include <cstddef>
#include <cstdint>
#include <new>
#include <type_traits>
#include <utility>

namespace rushlight {

enum class ErrorCode : uint8_t {
  kOk = 0,
  kInternal,         // a defect of this library
  kInvalidState,     // the call is not legal now
  kInvalidArgument,  // from the caller, or computed at run time: count, kind, dtype, shape, index
  kNotFound,         // no method, key or file of that name
  kNotSupported,     // legal, but not built here
  kOutOfMemory,      // an arena is too small, or the heap refused
  kIo,               // the operating system refused
  kNotAProgram,      // not the file kind that was asked for
  kTruncated,        // the file ends before what it declares
  kVersionUnsupported,  // made by something newer
  kInvalidProgram,      // the file contradicts itself
  kLimitExceeded,       // over a limit of this library, or over the caller's budget
  kOperatorMissing,     // no kernel for an operator, or for it with these dtypes
  kDelegateMissing,     // no delegate of that name
  kDelegateFailed,      // a delegate refused its payload or its arguments
  kExternalData,        // named data that the program needs is absent or different
  kCancelled,           // the caller's cancel flag was set
  kTokenizerInvalid,    // a tokenizer file contradicts itself
  kTemplateInvalid,     // a chat template does not parse or refused the conversation
};

namespace internal {
constexpr uint16_t First(ErrorCode code) {
  return static_cast<uint16_t>(static_cast<unsigned>(code) << 8);
}
}  // namespace internal

// Why, exactly.  Each names one check.  Sentences: src/module/describe.cc.
// The high byte is the ErrorCode.
enum class Reason : uint16_t {
  kOk = 0,

  kBug = internal::First(ErrorCode::kInternal),
  kFootprintDrift,  // found: bytes used, limit: bytes computed

  kNotLoaded = internal::First(ErrorCode::kInvalidState),
  kInputNotSet,    // index: input
  kOutputNotSet,   // index: output that needs memory from the caller
  kNotInProgress,  // Step() outside an execution
  kInUse,

  kInputCount = internal::First(ErrorCode::kInvalidArgument),  // found, limit: expected
  kInputIndex,                                                 // index
  kOutputIndex,
  kInputKind,         // index, found: tag given, limit: tag expected
  kInputDType,        // index, found, limit: expected
  kInputRank,         // index, found, limit: expected
  kInputSize,         // index, argument: dimension, found, limit: upper bound
  kInputDimOrder,     // index
  kInputValue,        // index: a scalar input must equal the traced one
  kInputNull,         // index
  kInputMisaligned,   // index
  kOutputKind,        // index: not a tensor
  kOutputPlanned,     // index: its memory is planned, it cannot be replaced
  kOutputBytes,       // index, found, limit: bytes needed
  kArgumentCount,     // of an operator; found, limit: expected
  kArgumentKind,      // argument, found: tag, limit: expected tag
  kArgumentNull,      // argument: tensor without memory
  kArgumentReadOnly,  // argument: written to, but constant
  kArgumentDType,     // argument, found, limit: expected
  kArgumentRank,      // argument, found, limit: expected
  kArgumentSize,      // argument, found, limit: expected
  kArgumentValue,     // argument, found, limit
  kArgumentDimOrder,  // argument
  kArgumentOverlap,   // argument: shares memory with an output it must not share with
  kBroadcast,         // argument, found: size, limit: size it cannot stretch to
  kIndexOutOfRange,   // argument, found, limit: size
  kOutputRank,        // found, limit
  kOutputShape,       // a static tensor given another shape; found, limit
  kOutputTooSmall,    // found: elements needed, limit: upper bound
  kCondition,         // found: tag or dtype of a jump's condition
  kOptionInvalid,     // a wrong option from the caller; found
  kNameTaken,         // there is one of that name already
  kArrayFile,         // an array file (.npy) that is damaged or of an unknown kind

  kMethodNotFound = internal::First(ErrorCode::kNotFound),
  kKeyNotFound,
  kBufferNotFound,

  kUnsupported = internal::First(ErrorCode::kNotSupported),
  kUnboundedTensor,  // index: value

  kMethodArena = internal::First(ErrorCode::kOutOfMemory),  // found: bytes needed, limit: given
  kMetadataArena,
  kPlannedArena,  // index: memory id
  kScratchArena,
  kStateArena,
  kHeap,  // found: bytes asked for

  kOpen = internal::First(ErrorCode::kIo),  // found: errno
  kWrite,

  kMagic = internal::First(ErrorCode::kNotAProgram),
  kOtherFormatVersion,  // the magic of another version of the format

  kTooShort = internal::First(ErrorCode::kTruncated),  // found: bytes, limit: bytes needed
  kProgramTruncated,                                   // found: file size, limit: declared
  kSegmentsTruncated,                                  // found: file size, limit: declared

  kProgramVersion = internal::First(ErrorCode::kVersionUnsupported),  // found, limit
  kDelegateVersion,  // for delegates: of a payload; found, limit

  kHeaderLength = internal::First(ErrorCode::kInvalidProgram),  // found, limit
  kHeaderSizes,                                                 // found: program size, limit
  kSegmentBase,                                                 // found, limit
  kFlatBuffer,       // the verifier refused the structure
  kRepeatedVectors,  // vectors overlap: found: their bytes, limit
  kVectorMisaligned,
  kNoMethods,
  kMissingField,         // index: which field, argument: of which table
  kSegmentIndex,         // index: who, found, limit
  kSegmentRange,         // index: segment, found: its end, limit
  kConstantOffset,       // index: constant, found, limit
  kNamedDataKey,         // index
  kMethodName,           // index
  kDuplicateMethod,      // index, found: the earlier one
  kValueKind,            // index: value, found
  kValueNull,            // index
  kTensorDType,          // index: value, found
  kTensorLayout,         // index, found
  kTensorStorageOffset,  // index, found
  kTensorSizes,          // index: sizes or dim_order absent
  kTensorDimCount,       // index, found: dim_order's length, limit: rank
  kTensorSize,           // index, argument: dimension, found
  kTensorDimOrder,       // index, argument: position, found
  kTensorBytes,          // index: the product of sizes overflows
  kTensorDynamism,       // index, found
  kTensorDevice,         // index, found
  kTensorData,           // index, found: data_buffer_idx, limit: entries
  kTensorDataRange,      // index, found: end, limit
  kTensorDataAlignment,  // index, found: offset
  kTensorName,           // index: external, without a name
  kMemoryId,             // index: value, found, limit
  kMemoryRange,          // index: value, found: end, limit
  kMemoryAlignment,      // index: value, found: offset
  kMemorySize,           // index: memory id, found
  kMemoryDevice,         // index: memory id, found
  kMemoryOverlap,        // index: buffer, found: another that lives at the same time
  kListItem,             // index: value, argument: position, found, limit
  kListItemKind,         // index: value, argument: position, found: tag
  kPlanInput,            // index: position, found, limit
  kPlanOutput,           // index: position, found, limit
  kPlanInputKind,        // index: position, found: tag
  kPlanOutputKind,       // index: position, found: tag
  kInstructionKind,      // instruction, found
  kInstructionArgument,  // instruction, argument, found, limit
  kOperatorIndex,        // instruction, found, limit
  kOperatorName,         // index: operator
  kDelegateIndex,        // instruction, found, limit
  kDelegateId,           // index
  kDelegateData,         // index, found, limit
  kCompileSpec,          // index: delegate, argument: spec
  kJumpTarget,           // instruction, found, limit
  kJumpCondition,        // instruction, found: tag
  kMoveKinds,            // instruction, found: tag or dtype, limit
  kFreeKind,             // instruction, found: tag
  kMetadataKey,          // of a weights file; index: a key that occurs twice
  kMetadataType,         // of a weights file; index: key, found: type
  kMetadataValue,        // of a weights file; index: key, found
  kTensorRepeated,       // of a weights file; index: a second tensor of one name
  kWeightsJson,          // found: byte offset in the header
  kWeightsField,         // of a weights file's header; index: tensor
  kWeightsSize,          // of a weights file; index: tensor, found: bytes, limit: its shape's
  kSavedState,           // found: byte that is wrong, limit: size
  kSavedStateProgram,    // another one's

  kTooManyDimensions = internal::First(ErrorCode::kLimitExceeded),  // index, found, limit
  kNameTooLong,                                                     // index, found, limit
  kTooManyEntries,     // found, limit: methods, chains, memories; keys, tensors, arrays
  kInstructionBudget,  // limit
  kTimeBudget,         // limit: nanoseconds
  kMemoryBudget,       // found: bytes, limit
  kFileTooLarge,
  kTextTooLong,
  kContextFull,  // found: position, limit: context length

  kNoKernel = internal::First(ErrorCode::kOperatorMissing),  // index: operator
  kNoKernelForDType,  // index: operator, found: dtype (compute << 8 | storage)

  kNoDelegate = internal::First(ErrorCode::kDelegateMissing),  // index: delegate

  kDelegatePayload = internal::First(ErrorCode::kDelegateFailed),  // for delegates; index: delegate
  kDelegateArguments,                                              // found, limit
  kDelegateRun,  // for delegates; found: the delegate's own code

  kNoExternalData = internal::First(ErrorCode::kExternalData),  // index: value
  kExternalLayout,                                              // index: value
  kExternalBytes,                                               // index: value, found, limit

  kCancelFlag = internal::First(ErrorCode::kCancelled),

  kTokenizerJson = internal::First(ErrorCode::kTokenizerInvalid),  // found: byte offset
  kTokenizerField,                                                 // index: which
  kTokenizerToken,                                                 // index: token
  kTokenizerMerge,                                                 // index: merge
  kTokenizerPattern,                                               // found: offset in the pattern
  kTokenizerUnsupported,
  kTokenizerTables,  // index: section
  kNoTokenizer,

  kTemplateSyntax = internal::First(ErrorCode::kTemplateInvalid),  // index: line
  kTemplateName,                                                   // index: line
  kTemplateType,                                                   // index: line
  kTemplateRaised,                                                 // index: line
  kTemplateLimit,                                                  // index: line
};

constexpr ErrorCode CodeOf(Reason reason) {
  return static_cast<ErrorCode>(static_cast<uint16_t>(reason) >> 8);
}

// The number that ExecuTorch uses for this kind of failure.
int ExecuTorchCode(ErrorCode code);

struct [[nodiscard]] Error {
  static constexpr uint32_t kNone = 0xffffffffu;
  static constexpr uint16_t kNoArgument = 0xffffu;

  Reason reason = Reason::kOk;
  uint16_t argument = kNoArgument;  // argument of an operator, dimension, position in a list
  uint32_t index = kNone;           // the object: value, segment, operator, delegate, input
  uint32_t method = kNone;          // position in the program
  uint32_t instruction = kNone;     // position in the method
  int64_t found = 0;
  int64_t limit = 0;  // the bound, or what was expected

  constexpr Error() = default;
  constexpr explicit Error(Reason why, uint32_t object = kNone, int64_t found_value = 0,
                           int64_t limit_value = 0)
      : reason(why), index(object), found(found_value), limit(limit_value) {}

  constexpr bool ok() const { return reason == Reason::kOk; }
  constexpr ErrorCode code() const { return CodeOf(reason); }

  constexpr Error WithArgument(size_t position) const {
    Error e = *this;
    e.argument = static_cast<uint16_t>(position);
    return e;
  }
  constexpr Error AtInstruction(size_t position) const {
    Error e = *this;
    e.instruction = static_cast<uint32_t>(position);
    return e;
  }
  constexpr Error InMethod(size_t position) const {
    Error e = *this;
    e.method = static_cast<uint32_t>(position);
    return e;
  }
};
static_assert(sizeof(Error) == 32 && std::is_trivially_copyable_v<Error>);

inline constexpr Error kOk{};

namespace internal {
// What RL_CHECK returns, made out of line: a check costs a call on its cold side, not eight stores.
[[gnu::cold]] Error Fail(Reason why);
[[gnu::cold]] Error Fail(Reason why, uint32_t object);
[[gnu::cold]] Error Fail(Reason why, uint32_t object, int64_t found);
[[gnu::cold]] Error Fail(Reason why, uint32_t object, int64_t found, int64_t limit);
[[gnu::cold]] Error Fail(Reason why, uint32_t object, int64_t found, int64_t limit,
                         size_t argument);
}  // namespace internal

// A value, or the Error why there is none.  Move-only where T is.
template <class T>
class [[nodiscard]] Result {
 public:
  Result(Error error) : error_(error) {
    if (error_.ok()) error_.reason = Reason::kBug;  // a Result without a value is never "ok"
  }
  template <class U = T, class = std::enable_if_t<std::is_constructible_v<T, U&&> &&
                                                  !std::is_same_v<std::decay_t<U>, Result> &&
                                                  !std::is_same_v<std::decay_t<U>, Error>>>
  Result(U&& value) {
    ::new (static_cast<void*>(storage_)) T(std::forward<U>(value));
  }
  Result(Result&& other) noexcept : error_(other.error_) {
    if (ok()) ::new (static_cast<void*>(storage_)) T(std::move(*other));
  }
  Result& operator=(Result&&) = delete;
  ~Result() {
    if (ok()) (**this).~T();
  }

  bool ok() const { return error_.ok(); }
  const Error& error() const { return error_; }
  // Requires: ok().
  T& operator*() & { return *std::launder(reinterpret_cast<T*>(storage_)); }
  const T& operator*() const& { return *std::launder(reinterpret_cast<const T*>(storage_)); }
  T&& operator*() && { return std::move(*std::launder(reinterpret_cast<T*>(storage_))); }
  T* operator->() { return &**this; }
  const T* operator->() const { return &**this; }

 private:
  Error error_;
  alignas(T) unsigned char storage_[sizeof(T)];
};

}  // namespace rushlight

// RL_CHECK(cond, reason, object, found, limit, argument): returns that Error from the calling
// function unless `cond` holds; what follows the reason may be left out.  Each use is one check of
// the library; the deletion test builds with RL_CHECK_HOOK to switch them off one at a time.
#ifndef RL_CHECK_HOOK
#define RL_CHECK_HOOK(cond) (cond)
#endif
#define RL_CHECK(cond, ...)                            \
  do {                                                 \
    if (__builtin_expect(!RL_CHECK_HOOK(cond), 0)) {   \
      return ::rushlight::internal::Fail(__VA_ARGS__); \
    }                                                  \
  } while (0)

#define RL_RETURN_IF_ERROR(expr)                                \
  do {                                                          \
    const ::rushlight::Error rl_error_ = (expr);                \
    if (__builtin_expect(!rl_error_.ok(), 0)) return rl_error_; \
  } while (0)

#define RL_CONCAT_INNER(a, b) a##b
#define RL_CONCAT(a, b) RL_CONCAT_INNER(a, b)
// RL_ASSIGN_OR_RETURN(auto x, expr): x = the value of the Result `expr`, or returns its Error.
#define RL_ASSIGN_OR_RETURN(var, expr)                            \
  auto RL_CONCAT(rl_result_, __LINE__) = (expr);                  \
  if (__builtin_expect(!RL_CONCAT(rl_result_, __LINE__).ok(), 0)) \
    return RL_CONCAT(rl_result_, __LINE__).error();               \
  var = *std::move(RL_CONCAT(rl_result_, __LINE__))
