// Copyright (c) The Rushlight authors.
// SPDX-License-Identifier: BSD-3-Clause
#include "rushlight/c_api.h"

#include <algorithm>
#include <atomic>
#include <cstring>
#include <deque>
#include <new>
#include <numeric>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "rushlight/describe.h"
#include "rushlight/module.h"
#include "src/core/no_throw.h"

using rushlight::DType;
using rushlight::Error;
using rushlight::HostTensor;
using rushlight::MethodMeta;
using rushlight::Module;
using rushlight::Reason;
using rushlight::Result;
using rushlight::Tag;
using rushlight::Tensor;
using rushlight::TensorInfo;
using rushlight::Value;

static_assert(RL_MAX_RANK == rushlight::kMaxRank);
static_assert(static_cast<int>(RL_BOOLEAN) == static_cast<int>(Tag::kBool));

struct RlModule {
  explicit RlModule(Module m) : module(std::move(m)), names(module.method_names()) {}

  Module module;
  std::vector<std::string> names;
  std::atomic<bool> cancel{false};
};

namespace {

// Fills in *out; true where there is no error.
bool Report(const Error& error, const Module* module, RlError* out) {
  if (out == nullptr) return error.ok();
  *out = {};
  if (error.ok()) return true;
  out->code = static_cast<int32_t>(error.code());
  out->reason = static_cast<int32_t>(error.reason);
  out->executorch_code = rushlight::ExecuTorchCode(error.code());
  try {
    const std::string text = Describe(error, module == nullptr ? nullptr : &module->program());
    const size_t size = std::min(text.size(), sizeof out->message - 1);
    std::memcpy(out->message, text.data(), size);
  } catch (const std::bad_alloc&) {
    std::strcpy(out->message, rushlight::CodeName(error.code()));
  }
  return false;
}

// The caller's tensor as one of ours.  `position`: of the input.
Result<HostTensor> FromC(const RlTensor& t, uint32_t position) {
  RL_CHECK(t.rank <= RL_MAX_RANK, Reason::kInputRank, position, static_cast<int64_t>(t.rank),
           RL_MAX_RANK);
  RL_CHECK(rushlight::IsValidDType(t.dtype), Reason::kOptionInvalid, position, t.dtype);
  std::vector<uint8_t> order(t.dim_order, t.dim_order + t.rank);
  std::vector<bool> seen(t.rank);
  if (std::all_of(order.begin(), order.end(), [](uint8_t d) { return d == 0; })) {
    std::iota(order.begin(), order.end(), uint8_t{0});
  }
  for (const uint8_t d : order) {
    RL_CHECK(d < t.rank && !seen[d], Reason::kInputDimOrder, position);
    seen[d] = true;
  }
  std::vector<int32_t> sizes(t.sizes, t.sizes + t.rank);
  size_t numel;
  RL_CHECK(rushlight::CheckedNumel({sizes.data(), sizes.size()}, &numel), Reason::kInputSize,
           position);
  RL_CHECK(t.data != nullptr || numel == 0, Reason::kInputNull, position);
  return HostTensor::View(static_cast<DType>(t.dtype), std::move(sizes), t.data, std::move(order));
}

template <class Sizes, class Order>
RlTensor ToC(DType dtype, const Sizes& sizes, const Order& order) {
  RlTensor out = {};
  out.dtype = static_cast<int32_t>(dtype);
  out.rank = sizes.size();
  std::copy(sizes.begin(), sizes.end(), out.sizes);
  if (order.empty()) {
    std::iota(out.dim_order, out.dim_order + out.rank, uint8_t{0});
  } else {
    std::copy(order.begin(), order.end(), out.dim_order);
  }
  return out;
}

RlValue ToC(const Value& v) {
  RlValue out = {};
  out.kind = static_cast<RlKind>(v.tag());
  switch (v.tag()) {
    case Tag::kNone:
      break;
    case Tag::kTensor: {
      const Tensor& t = v.as_tensor();
      out.u.as_tensor = ToC(t.dtype(), t.sizes(), t.dim_order());
      out.u.as_tensor.data = t.raw();
      out.u.as_tensor.nbytes = t.nbytes();
      out.u.as_tensor.dynamic = t.dynamic();
      break;
    }
    case Tag::kString:
      out.u.as_string = {v.as_string().data(), v.as_string().size()};
      break;
    case Tag::kDouble:
      out.u.as_double = v.as_double();
      break;
    case Tag::kInt:
      out.u.as_int = v.as_int();
      break;
    case Tag::kBool:
      out.u.as_bool = v.as_bool();
      break;
    default:
      out.kind = RL_OTHER;
      break;
  }
  return out;
}

// The description of one input or output.
RlValue ToC(Tag tag, const Result<TensorInfo>& info) {
  RlValue out = {};
  out.kind = tag <= Tag::kBool ? static_cast<RlKind>(tag) : RL_OTHER;
  if (tag == Tag::kTensor && info.ok()) {
    out.u.as_tensor = ToC(info->dtype, info->sizes, info->dim_order);
    out.u.as_tensor.dynamic = info->dynamic;
    size_t bytes = rushlight::ElementSize(info->dtype);
    for (const int32_t size : info->sizes) bytes *= static_cast<size_t>(size);
    out.u.as_tensor.nbytes = bytes;
  }
  return out;
}

rushlight::ModuleOptions FromC(const RlOptions* options) {
  rushlight::ModuleOptions out;
  if (options == nullptr) return out;
  if (options->read_instead_of_map) out.access = rushlight::platform::FileAccess::kRead;
  out.data_files.assign(options->data_files, options->data_files + options->data_file_count);
  out.memory_limit = options->memory_limit;
  out.threads = options->threads;
  return out;
}

// The module of a Result, or null and the reason.
template <class Make>
RlModule* Create(const Make& make, RlError* error) {
  RlModule* module = nullptr;
  const Error result = rushlight::NoThrow([&]() -> Error {
    RL_ASSIGN_OR_RETURN(Module made, make());
    module = new RlModule(std::move(made));
    return rushlight::kOk;
  });
  Report(result, nullptr, error);
  return module;
}

Error ExecuteC(RlModule* m, const char* method, const RlValue* inputs, size_t input_count,
               RlValue* outputs, size_t* output_count, const RlExecuteOptions* options) {
  std::deque<HostTensor> tensors;
  std::deque<std::string_view> strings;
  std::vector<Value> values;
  for (size_t i = 0; i < input_count; ++i) {
    const RlValue& in = inputs[i];
    const auto position = static_cast<uint32_t>(i);
    switch (in.kind) {
      case RL_NONE:
        values.emplace_back();
        break;
      case RL_TENSOR: {
        RL_ASSIGN_OR_RETURN(HostTensor tensor, FromC(in.u.as_tensor, position));
        tensors.push_back(std::move(tensor));
        values.push_back(tensors.back());
        break;
      }
      case RL_STRING:
        strings.emplace_back(in.u.as_string.data, in.u.as_string.size);
        values.emplace_back(&strings.back());
        break;
      case RL_DOUBLE:
        values.emplace_back(in.u.as_double);
        break;
      case RL_INT:
        values.emplace_back(in.u.as_int);
        break;
      case RL_BOOLEAN:
        values.emplace_back(in.u.as_bool);
        break;
      default:
        return Error(Reason::kOptionInvalid, position, static_cast<int64_t>(in.kind));
    }
  }
  rushlight::ExecuteOptions execute;
  if (options != nullptr && options->max_instructions != 0) {
    execute.budget.max_instructions = options->max_instructions;
  }
  if (options != nullptr) {
    execute.budget.max_nanoseconds = options->max_nanoseconds;
    execute.threads = options->threads;
  }
  execute.budget.cancel = &m->cancel;
  m->cancel = false;
  RL_ASSIGN_OR_RETURN(const std::vector<Value> results,
                      m->module.Execute(method, {values.data(), values.size()}, execute));
  const size_t room = output_count == nullptr ? 0 : *output_count;
  for (size_t i = 0; i < std::min(room, results.size()); ++i) outputs[i] = ToC(results[i]);
  if (output_count != nullptr) *output_count = results.size();
  return rushlight::kOk;
}

}  // namespace

const char* rl_version(void) { return RUSHLIGHT_VERSION; }

RlModule* rl_module_load(const char* path, const RlOptions* options, RlError* error) {
  return Create([&] { return Module::Load(path, FromC(options)); }, error);
}

RlModule* rl_module_from_bytes(const void* data, size_t size, const RlOptions* options,
                               RlError* error) {
  const rushlight::Span<const uint8_t> bytes(static_cast<const uint8_t*>(data), size);
  return Create([&] { return Module::FromBytes(bytes, FromC(options)); }, error);
}

RlModule* rl_module_share(const RlModule* module, RlError* error) {
  return Create([&]() -> Result<Module> { return module->module.Share(); }, error);
}

void rl_module_free(RlModule* module) { delete module; }

size_t rl_module_method_count(const RlModule* module) { return module->names.size(); }

const char* rl_module_method_name(const RlModule* module, size_t index) {
  return index < module->names.size() ? module->names[index].c_str() : nullptr;
}

bool rl_module_method_arity(const RlModule* module, const char* method, size_t* inputs,
                            size_t* outputs, RlError* error) {
  const Result<MethodMeta> meta = module->module.method_meta(method);
  if (meta.ok() && inputs != nullptr) *inputs = meta->num_inputs();
  if (meta.ok() && outputs != nullptr) *outputs = meta->num_outputs();
  return Report(meta.error(), &module->module, error);
}

bool rl_module_input_info(const RlModule* module, const char* method, size_t index, RlValue* info,
                          RlError* error) {
  return Report(
      [&]() -> Error {
        RL_ASSIGN_OR_RETURN(const MethodMeta meta, module->module.method_meta(method));
        RL_CHECK(index < meta.num_inputs(), Reason::kInputIndex, static_cast<uint32_t>(index),
                 static_cast<int64_t>(index), static_cast<int64_t>(meta.num_inputs()));
        *info = ToC(meta.input_tag(index), meta.input_tensor(index));
        return rushlight::kOk;
      }(),
      &module->module, error);
}

bool rl_module_output_info(const RlModule* module, const char* method, size_t index, RlValue* info,
                           RlError* error) {
  return Report(
      [&]() -> Error {
        RL_ASSIGN_OR_RETURN(const MethodMeta meta, module->module.method_meta(method));
        RL_CHECK(index < meta.num_outputs(), Reason::kOutputIndex, static_cast<uint32_t>(index),
                 static_cast<int64_t>(index), static_cast<int64_t>(meta.num_outputs()));
        *info = ToC(meta.output_tag(index), meta.output_tensor(index));
        return rushlight::kOk;
      }(),
      &module->module, error);
}

bool rl_module_load_method(RlModule* module, const char* method, RlError* error) {
  return Report(rushlight::NoThrow([&] { return module->module.LoadMethod(method); }),
                &module->module, error);
}

void rl_module_unload_method(RlModule* module, const char* method) {
  module->module.UnloadMethod(method);
}

bool rl_module_reset_state(RlModule* module, RlError* error) {
  return Report(rushlight::NoThrow([&] { return module->module.ResetState(); }), &module->module,
                error);
}

bool rl_module_execute(RlModule* module, const char* method, const RlValue* inputs,
                       size_t input_count, RlValue* outputs, size_t* output_count,
                       const RlExecuteOptions* options, RlError* error) {
  return Report(rushlight::NoThrow([&] {
                  return ExecuteC(module, method, inputs, input_count, outputs, output_count,
                                  options);
                }),
                &module->module, error);
}

void rl_module_cancel(RlModule* module) { module->cancel = true; }

RlValue rl_int(int64_t value) { return ToC(Value(value)); }

RlValue rl_double(double value) { return ToC(Value(value)); }

RlValue rl_bool(bool value) { return ToC(Value(value)); }

RlValue rl_tensor(int32_t dtype, size_t rank, const int32_t* sizes, void* data) {
  RlValue out = {};
  out.kind = RL_TENSOR;
  out.u.as_tensor.dtype = dtype;
  out.u.as_tensor.rank = rank;
  if (rank <= RL_MAX_RANK) std::copy_n(sizes, rank, out.u.as_tensor.sizes);
  out.u.as_tensor.data = data;
  return out;
}
