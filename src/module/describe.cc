// Copyright (c) The Rushlight authors.
// SPDX-License-Identifier: BSD-3-Clause

#include "rushlight/describe.h"

#include <cstring>

#include "rushlight/debug_info.h"
#include "rushlight/method_meta.h"

namespace rushlight {
namespace {

// In a sentence, {f}, {l}, {i}, {a} stand for found, limit, index and argument; {ft} and {lt} for
// tags, {fd} and {ld} for dtypes, {fe} for an errno, {op} for the operator at `index`, {delegate}
// for the delegate there.
struct Sentence {
  Reason reason;
  const char* text;
};

constexpr Sentence kSentences[] = {
    {Reason::kOk, "no error"},
    {Reason::kBug, "a defect of the library; please report it"},
    {Reason::kFootprintDrift,
     "the method arena took {f} bytes, {l} were computed; please report it"},

    {Reason::kNotLoaded, "the method has no memory yet: call Bind first"},
    {Reason::kInputNotSet, "input {i} has not been set"},
    {Reason::kOutputNotSet, "output {i} needs memory from the caller: call SetOutput"},
    {Reason::kNotInProgress, "no execution is in progress: call Begin first"},
    {Reason::kInUse, "an execution is in progress"},

    {Reason::kInputCount, "{f} inputs given, the method takes {l}"},
    {Reason::kInputIndex, "there is no input {i}: the method takes {l}"},
    {Reason::kOutputIndex, "there is no output {i}: the method has {l}"},
    {Reason::kInputKind, "input {i} is a {ft}, expected a {lt}"},
    {Reason::kInputDType, "input {i} has dtype {fd}, expected {ld}"},
    {Reason::kInputRank, "input {i} has {f} dimensions, expected {l}"},
    {Reason::kInputSize,
     "input {i} does not fit: size {f} in dimension {a}, the program was compiled for {l}"},
    {Reason::kInputDimOrder,
     "input {i} lies in memory in another order of dimensions than the program was compiled for"},
    {Reason::kInputValue, "input {i} is not the value that the program was compiled for"},
    {Reason::kInputNull, "input {i} has no memory"},
    {Reason::kInputMisaligned, "memory given (number {i}) is not aligned"},
    {Reason::kOutputKind, "output {i} is not a tensor"},
    {Reason::kOutputPlanned, "the memory of output {i} is the method's own and cannot be replaced"},
    {Reason::kOutputBytes, "output {i} was given {f} bytes, {l} are needed"},
    {Reason::kArgumentCount, "{f} arguments, expected {l}"},
    {Reason::kArgumentKind, "argument {a} is a {ft}, expected a {lt}"},
    {Reason::kArgumentNull, "argument {a} is a tensor without memory"},
    {Reason::kArgumentReadOnly, "argument {a} is written to, but it is read-only"},
    {Reason::kArgumentDType, "argument {a} has dtype {fd}, which does not fit {ld}"},
    {Reason::kArgumentRank, "argument {a} has {f} dimensions, expected {l}"},
    {Reason::kArgumentSize, "argument {a} has size {f}, expected {l}"},
    {Reason::kArgumentValue, "argument {a} is {f}, which is out of range (bound {l})"},
    {Reason::kArgumentDimOrder, "argument {a} must lie in memory in the order of its dimensions"},
    {Reason::kArgumentOverlap, "argument {a} shares memory with an output"},
    {Reason::kBroadcast, "size {f} does not broadcast to {l} (argument {a})"},
    {Reason::kIndexOutOfRange, "index {f} is out of range for size {l} (argument {a})"},
    {Reason::kOutputRank, "the output has {l} dimensions, the result {f}"},
    {Reason::kOutputShape,
     "the output has a fixed size of {l} in dimension {a}, the result needs {f}"},
    {Reason::kOutputTooSmall, "the result has {f} elements, the output has room for {l}"},
    {Reason::kCondition, "the condition of a jump is neither a bool nor a bool tensor (found {f})"},
    {Reason::kOptionInvalid, "an option is out of range: {f}"},
    {Reason::kNameTaken, "there is one of that name already"},
    {Reason::kArrayFile, "not an array file (.npy) that is known here, or a damaged one"},

    {Reason::kMethodNotFound, "the program has no method of that name"},
    {Reason::kKeyNotFound, "the program has no data under that key"},
    {Reason::kBufferNotFound, "the method has no buffer of that name"},

    {Reason::kUnsupported, "not supported here"},
    {Reason::kUnboundedTensor,
     "value {i} is a tensor without an upper bound; export it with bounded dynamic shapes"},

    {Reason::kMethodArena, "the method arena has {l} bytes left, {f} are needed"},
    {Reason::kMetadataArena, "the metadata arena has {l} bytes left, {f} are needed"},
    {Reason::kPlannedArena, "planned memory {i} has {f} bytes (or arenas), {l} are needed"},
    {Reason::kScratchArena, "scratch memory has {f} bytes, {l} are needed"},
    {Reason::kStateArena, "state memory {i} has {f} bytes (or buffers), {l} are needed"},
    {Reason::kHeap, "the system refused {f} bytes"},

    {Reason::kOpen, "cannot open the file: {fe}"},
    {Reason::kWrite, "cannot write the file: {fe}"},

    {Reason::kMagic, "not a program file (its identifier is not ET12)"},
    {Reason::kOtherFormatVersion, "a program file of another version of the format"},

    {Reason::kTooShort, "the file has {f} bytes, the shortest program has {l}"},
    {Reason::kProgramTruncated, "the file has {f} bytes, its program alone declares {l}"},
    {Reason::kSegmentsTruncated, "the file has {f} bytes, its header declares {l}"},

    {Reason::kProgramVersion, "the program's schema has version {f}, this library reads {l}"},
    {Reason::kDelegateVersion, "a delegate's payload has version {f}, this library reads {l}"},

    {Reason::kHeaderLength, "the extended header has {f} bytes, expected at least {l}"},
    {Reason::kHeaderSizes, "the header's program size of {f} contradicts the file ({l})"},
    {Reason::kSegmentBase, "segments begin at {f}, inside the program of {l} bytes"},
    {Reason::kFlatBuffer, "the tables of the file are damaged"},
    {Reason::kRepeatedVectors, "vectors of the file overlap each other"},
    {Reason::kVectorMisaligned, "a vector of the file is not aligned"},
    {Reason::kNoMethods, "the program has no methods"},
    {Reason::kMissingField, "a required field is absent (field {i} of table {a})"},
    {Reason::kSegmentIndex, "entry {i} refers to segment {f} of {l}"},
    {Reason::kSegmentRange, "segment {i} ends at {f}, behind the data's end at {l}"},
    {Reason::kConstantOffset, "constant {i} begins at {f}, behind its segment's end at {l}"},
    {Reason::kNamedDataKey, "named data {i} has no key"},
    {Reason::kMethodName, "method {i} has no name"},
    {Reason::kDuplicateMethod, "methods {f} and {i} have the same name"},
    {Reason::kValueKind, "value {i} is of an unknown kind, {f}"},
    {Reason::kValueNull, "value {i} has no contents"},
    {Reason::kTensorDType, "tensor {i} has an unknown dtype, {f}"},
    {Reason::kTensorLayout, "tensor {i} has an unknown layout or location, {f}"},
    {Reason::kTensorStorageOffset, "tensor {i} has a storage offset of {f}"},
    {Reason::kTensorSizes, "tensor {i} has no sizes or no dim order"},
    {Reason::kTensorDimCount, "tensor {i} has {l} sizes, but a dim order of {f}"},
    {Reason::kTensorSize, "tensor {i} has a size of {f} in dimension {a}"},
    {Reason::kTensorDimOrder,
     "the dim order of tensor {i} is not a permutation (entry {a} is {f})"},
    {Reason::kTensorBytes, "tensor {i} has more bytes than memory can have"},
    {Reason::kTensorDynamism, "tensor {i} has an unknown shape dynamism, {f}"},
    {Reason::kTensorDevice, "tensor {i} is on a device other than the CPU ({f})"},
    {Reason::kTensorData, "tensor {i} refers to stored data {f} of {l}"},
    {Reason::kTensorDataRange,
     "the data of tensor {i} ends at {f}, behind its segment's end at {l}"},
    {Reason::kTensorDataAlignment, "the data of tensor {i} is misaligned, at {f}"},
    {Reason::kTensorName, "external tensor {i} has no name"},
    {Reason::kMemoryId, "tensor {i} is in planned memory {f}, there are {l} (0 is reserved)"},
    {Reason::kMemoryRange, "tensor {i} ends at {f} of a planned memory of {l} bytes"},
    {Reason::kMemoryAlignment, "tensor {i} is misaligned in planned memory, at {f}"},
    {Reason::kMemorySize, "planned memory {i} has a size of {f}"},
    {Reason::kMemoryDevice, "planned memory {i} is on a device other than the CPU ({f})"},
    {Reason::kMemoryOverlap, "buffers {i} and {f} live at the same time and share memory"},
    {Reason::kListItem, "item {a} of list {i} refers to value {f} of {l}"},
    {Reason::kListItemKind, "item {a} of list {i} refers to a value of the wrong kind, {f}"},
    {Reason::kPlanInput, "input {i} refers to value {f} of {l}"},
    {Reason::kPlanOutput, "output {i} refers to value {f} of {l}"},
    {Reason::kPlanInputKind, "input {i} is of a kind that cannot be an input, {f}"},
    {Reason::kPlanOutputKind, "output {i} is of a kind that cannot be an output, {f}"},
    {Reason::kInstructionKind, "unknown kind of instruction, {f}"},
    {Reason::kInstructionArgument, "argument {a} refers to value {f} of {l}"},
    {Reason::kOperatorIndex, "operator {f} of {l}"},
    {Reason::kOperatorName, "operator {i} has no name"},
    {Reason::kDelegateIndex, "delegate {f} of {l}"},
    {Reason::kDelegateId, "delegate {i} has no name"},
    {Reason::kDelegateData, "delegate {i} refers to payload {f} of {l}"},
    {Reason::kCompileSpec, "compile spec {a} of delegate {i} has no key or no value"},
    {Reason::kJumpTarget, "a jump to instruction {f}, there are {l}"},
    {Reason::kJumpCondition, "the condition of a jump is a value of the wrong kind, {f}"},
    {Reason::kMoveKinds, "a move between values of different kinds, dtypes or ranks ({f} and {l})"},
    {Reason::kFreeKind, "only tensors can be freed (found kind {f})"},

    {Reason::kMetadataKey, "key {i} of the weights file occurs a second time"},
    {Reason::kMetadataType,
     "key {i} of the weights file has a value of an unknown or wrong type, {f}"},
    {Reason::kMetadataValue, "key {i} of the weights file has a value out of range: {f}"},
    {Reason::kTensorRepeated, "tensor {i} of the weights file has the name of an earlier one"},
    {Reason::kWeightsJson, "the header of the weights file is not valid JSON (at byte {f})"},
    {Reason::kWeightsField,
     "the header of the weights file says something else of tensor {i} than dtype, shape and "
     "data_offsets"},
    {Reason::kWeightsSize,
     "tensor {i} of the weights file has {f} bytes, its shape and type ask for {l}"},
    {Reason::kSavedState, "no saved state: byte {f} of {l} is not what it should be"},
    {Reason::kSavedStateProgram, "the saved state belongs to another program"},

    {Reason::kTooManyDimensions, "tensor {i} has {f} dimensions, the most is {l}"},
    {Reason::kNameTooLong, "name {i} has {f} bytes, the most is {l}"},
    {Reason::kTooManyEntries, "the weights file has {f} entries, the most is {l}"},
    {Reason::kInstructionBudget, "stopped after {l} instructions"},
    {Reason::kTimeBudget, "stopped: the time allowed is over"},
    {Reason::kMemoryBudget, "{f} bytes of memory would be needed, the limit is {l}"},
    {Reason::kFileTooLarge, "the program has {f} bytes of metadata, the most is {l}"},
    {Reason::kTextTooLong, "the text has {f} bytes, the most is {l}"},
    {Reason::kContextFull, "the context is full: {f} positions of {l}"},

    {Reason::kNoKernel, "no kernel for operator {op}"},
    {Reason::kNoKernelForDType, "operator {op} has no kernel from {fd} to {ld}"},
    {Reason::kNoDelegate, "no delegate named {delegate}"},
    {Reason::kDelegatePayload, "delegate {delegate} refused its payload (at {f}, bound {l})"},
    {Reason::kDelegateArguments, "delegate {delegate} got {f} arguments, expected {l}"},
    {Reason::kDelegateRun, "delegate {delegate} failed with code {f}"},
    {Reason::kNoExternalData, "tensor {i} is in an external data file (.ptd) that was not given"},
    {Reason::kExternalLayout, "tensor {i} differs from the one in the external data file"},
    {Reason::kExternalBytes, "tensor {i} has {f} bytes in the external data file, {l} are needed"},
    {Reason::kCancelFlag, "cancelled by the caller"},

    {Reason::kTokenizerJson, "the tokenizer file is not valid JSON (at byte {f})"},
    {Reason::kTokenizerField, "the tokenizer file has a field of the wrong kind (number {i})"},
    {Reason::kTokenizerToken, "token {i} of the tokenizer file is not valid"},
    {Reason::kTokenizerMerge, "merge {i} of the tokenizer file is not valid"},
    {Reason::kTokenizerPattern, "a pattern of the tokenizer file is not valid, at {f}"},
    {Reason::kTokenizerUnsupported, "the tokenizer is of a kind that is not supported"},
    {Reason::kTokenizerTables,
     "section {i} of the compiled tokenizer is not valid (found {f}, expected {l})"},
    {Reason::kNoTokenizer, "the program carries no tokenizer, and none was given"},
    {Reason::kTemplateSyntax, "the chat template does not parse, line {i}"},
    {Reason::kTemplateName, "the chat template uses an unknown name, line {i}"},
    {Reason::kTemplateType, "the chat template uses a value of the wrong type, line {i}"},
    {Reason::kTemplateRaised, "the chat template refused the conversation, line {i}"},
    {Reason::kTemplateLimit, "the chat template ran over a limit, line {i}"},
};

// Untrusted text for a message: escaped, and cut.
std::string Quoted(std::string_view text) {
  constexpr size_t kLongest = 64;
  std::string out = "'";
  for (const char c : text.substr(0, kLongest)) {
    if (c >= 0x20 && c < 0x7f && c != '\'' && c != '\\') {
      out += c;
    } else {
      constexpr char kHex[] = "0123456789abcdef";
      out += {'\\', 'x', kHex[(c >> 4) & 15], kHex[c & 15]};
    }
  }
  return out + (text.size() > kLongest ? "...'" : "'");
}

std::string DTypeText(int64_t number) {
  return number >= 0 && number < kDTypeCount ? DTypeName(static_cast<DType>(number))
                                             : std::to_string(number);
}

// Where in the program: null where it is not known.
struct Place {
  const Error& error;
  const Program* program;

  bool has_method() const { return program != nullptr && error.method < program->num_methods(); }
  std::string OperatorName(uint32_t index) const {
    if (!has_method()) return std::to_string(index);
    const MethodMeta meta(*program, error.method);
    char buffer[MethodMeta::kMaxOperatorName + 1];
    return index < meta.num_operators() ? Quoted(meta.operator_name(index, buffer))
                                        : std::to_string(index);
  }
  std::string DelegateName(uint32_t index) const {
    if (!has_method()) return std::to_string(index);
    const MethodMeta meta(*program, error.method);
    return index < meta.num_delegates() ? Quoted(meta.delegate_id(index)) : std::to_string(index);
  }
};

std::string Fill(const char* text, const Place& place) {
  const Error& e = place.error;
  std::string out;
  for (const char* p = text; *p != 0; ++p) {
    const char* close = *p == '{' ? std::strchr(p, '}') : nullptr;
    if (close == nullptr) {
      out += *p;
      continue;
    }
    const std::string_view key(p + 1, static_cast<size_t>(close - p - 1));
    const int64_t number = key[0] == 'l' ? e.limit : e.found;
    if (key == "i") {
      out += e.index == Error::kNone ? "?" : std::to_string(e.index);
    } else if (key == "a") {
      out += e.argument == Error::kNoArgument ? "?" : std::to_string(e.argument);
    } else if (key == "op") {
      out += place.OperatorName(e.index);
    } else if (key == "delegate") {
      out += place.DelegateName(e.index);
    } else if (key == "ft" || key == "lt") {
      out += TagName(static_cast<Tag>(number & 0xff));
    } else if (key == "fd" || key == "ld") {
      out += DTypeText(number);
    } else if (key == "fe") {
      out += std::strerror(static_cast<int>(number));
    } else {
      out += std::to_string(number);
    }
    p = close;
  }
  return out;
}

}  // namespace

const char* CodeName(ErrorCode code) {
  static constexpr const char* kNames[] = {"Ok",
                                           "Internal",
                                           "InvalidState",
                                           "InvalidArgument",
                                           "NotFound",
                                           "NotSupported",
                                           "OutOfMemory",
                                           "IoError",
                                           "NotAProgram",
                                           "Truncated",
                                           "VersionUnsupported",
                                           "InvalidProgram",
                                           "LimitExceeded",
                                           "OperatorMissing",
                                           "DelegateMissing",
                                           "DelegateFailed",
                                           "ExternalData",
                                           "Cancelled",
                                           "TokenizerInvalid",
                                           "TemplateInvalid"};
  const auto i = static_cast<size_t>(code);
  return i < std::size(kNames) ? kNames[i] : "?";
}

std::string Describe(const Error& error, const Program* program) {
  std::string out = std::string(CodeName(error.code())) + ": ";
  const Place place{error, program};
  const char* text = nullptr;
  for (const Sentence& s : kSentences) {
    if (s.reason == error.reason) text = s.text;
  }
  out += text != nullptr ? Fill(text, place)
                         : "reason " + std::to_string(static_cast<unsigned>(error.reason));
  if (place.has_method()) {
    out += "; in method " + Quoted(program->method_name(error.method));
  } else if (error.method != Error::kNone) {
    out += "; in method " + std::to_string(error.method);
  }
  if (error.instruction != Error::kNone) {
    out += ", instruction " + std::to_string(error.instruction);
    if (place.has_method()) {
      const MethodMeta meta(*program, error.method);
      char buffer[MethodMeta::kMaxOperatorName + 1];
      const std::string_view name = meta.instruction_name(error.instruction, buffer);
      if (!name.empty()) out += " (" + Quoted(name) + ")";
      const Result<SourceLocation> source = FindSource(*program, meta.name(), error.instruction);
      if (source.ok()) {
        const std::string file = Quoted(source->file);
        out += ", from " + file.substr(1, file.size() - 2) + ":" + std::to_string(source->line);
      }
    }
  }
  return out;
}

}  // namespace rushlight
