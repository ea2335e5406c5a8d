// Copyright (c) The Rushlight authors.
// SPDX-License-Identifier: BSD-3-Clause

// Loading and running programs.  Tensors come in and go out through DLPack and the buffer protocol:
// NumPy, PyTorch or anything else that speaks one of them.

#include <nanobind/ndarray.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/vector.h>

#include <algorithm>
#include <cstring>
#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <utility>

#include "rushlight/module.h"
#include "src/bindings/python/native.h"
#include "src/core/pages.h"

namespace nb = nanobind;

namespace rushlight::python {
namespace {

using Array = nb::ndarray<nb::ro, nb::device::cpu>;

struct DLType {
  DType dtype;
  uint8_t code;  // nb::dlpack::dtype_code
  uint8_t bits;
};
constexpr DLType kDLTypes[] = {
    {DType::kInt8, 0, 8},     {DType::kInt16, 0, 16},   {DType::kInt32, 0, 32},
    {DType::kInt64, 0, 64},   {DType::kUInt8, 1, 8},    {DType::kUInt16, 1, 16},
    {DType::kUInt32, 1, 32},  {DType::kUInt64, 1, 64},  {DType::kFloat16, 2, 16},
    {DType::kFloat32, 2, 32}, {DType::kFloat64, 2, 64}, {DType::kBFloat16, 4, 16},
    {DType::kBool, 6, 8},
};

std::optional<DType> FromDL(nb::dlpack::dtype t) {
  for (const DLType& d : kDLTypes) {
    if (d.code == t.code && d.bits == t.bits && t.lanes == 1) return d.dtype;
  }
  return std::nullopt;
}

std::optional<nb::dlpack::dtype> ToDL(DType dtype) {
  for (const DLType& d : kDLTypes) {
    if (d.dtype == dtype) return nb::dlpack::dtype{d.code, d.bits, 1};
  }
  return std::nullopt;
}

// The order of dimensions in memory; false where the array is not dense in any order.
bool DimOrder(const Array& a, std::vector<uint8_t>* order) {
  order->resize(a.ndim());
  for (size_t d = 0; d < a.ndim(); ++d) (*order)[d] = static_cast<uint8_t>(d);
  std::stable_sort(order->begin(), order->end(), [&](uint8_t x, uint8_t y) {
    return a.shape(x) != 1 && a.shape(y) != 1 && a.stride(x) > a.stride(y);
  });
  int64_t expected = 1;
  for (size_t j = a.ndim(); j-- > 0;) {
    const size_t d = (*order)[j];
    if (a.shape(d) == 0) return true;
    if (a.shape(d) != 1 && a.stride(d) != expected) return false;
    expected *= static_cast<int64_t>(a.shape(d));
  }
  return true;
}

// Python arguments as values, and what they point to.
class Inputs {
 public:
  Value Convert(nb::handle h, size_t position) {
    if (h.is_none()) return Value();
    if (nb::isinstance<nb::bool_>(h)) return Value(nb::cast<bool>(h));
    if (nb::isinstance<nb::int_>(h)) return Value(nb::cast<int64_t>(h));
    if (nb::isinstance<nb::float_>(h)) return Value(nb::cast<double>(h));
    if (nb::isinstance<nb::str>(h)) {
      strings_.push_back(nb::cast<std::string>(h));
      views_.emplace_back(strings_.back());
      return Value(&views_.back());
    }
    Array a;
    // A program that writes to an input writes to the caller's array, where that may be written to.
    nb::ndarray<nb::device::cpu> writable;
    const bool read_only = !nb::try_cast(h, writable, false);
    if (!read_only) {
      a = Array(writable);
    } else if (!nb::try_cast(h, a)) {
      throw nb::type_error(("input " + std::to_string(position) +
                            ": expected an array on the CPU, a number, a str or None")
                               .c_str());
    }
    const std::optional<DType> dtype = FromDL(a.dtype());
    std::vector<uint8_t> order;
    if (!dtype || a.ndim() > kMaxRank || !DimOrder(a, &order)) {
      throw nb::type_error(("input " + std::to_string(position) +
                            ": an array of this dtype, rank or layout is not supported")
                               .c_str());
    }
    std::vector<int32_t> sizes;
    for (size_t d = 0; d < a.ndim(); ++d) {
      if (a.shape(d) > INT32_MAX) throw nb::type_error("an input has too large a dimension");
      sizes.push_back(static_cast<int32_t>(a.shape(d)));
    }
    arrays_.push_back(a);
    tensors_.push_back(
        HostTensor::View(*dtype, std::move(sizes), const_cast<void*>(a.data()), std::move(order)));
    tensors_.back().tensor().set_read_only(read_only);
    return tensors_.back();
  }

 private:
  std::deque<std::string> strings_;
  std::deque<std::string_view> views_;
  std::deque<Array> arrays_;
  std::deque<HostTensor> tensors_;
};

// An array of a tensor's memory, which `owner` keeps alive.
nb::object ArrayOf(const Tensor& t, nb::handle owner) {
  std::vector<size_t> shape(t.sizes().begin(), t.sizes().end());
  int64_t strides[kMaxRank];
  ComputeStrides(t, strides);
  const std::optional<nb::dlpack::dtype> dtype = ToDL(t.dtype());
  if (!dtype) throw nb::type_error("an output has a dtype that Python has no arrays of");
  return nb::cast(nb::ndarray<nb::array_api, nb::device::cpu>(t.raw(), t.rank(), shape.data(),
                                                              owner, strides, *dtype));
}

nb::object TensorToPython(const Tensor& t) {
  auto* copy = new HostTensor(HostTensor::CopyOf(t));
  nb::capsule owner(copy, [](void* p) noexcept { delete static_cast<HostTensor*>(p); });
  return ArrayOf(copy->tensor(), owner);
}

nb::object ToPython(const Value& v) {
  switch (v.tag()) {
    case Tag::kTensor:
      return TensorToPython(v.as_tensor());
    case Tag::kInt:
      return nb::int_(v.as_int());
    case Tag::kBool:
      return nb::bool_(v.as_bool());
    case Tag::kDouble:
      return nb::float_(v.as_double());
    case Tag::kString:
      return nb::str(v.as_string().data(), v.as_string().size());
    default:
      return nb::none();
  }
}

nb::dict Describe(Tag tag, const Result<TensorInfo>& info) {
  nb::dict d;
  d["kind"] = TagName(tag);
  if (tag != Tag::kTensor || !info.ok()) return d;
  d["dtype"] = DTypeName(info->dtype);
  d["sizes"] = std::vector<int32_t>(info->sizes.begin(), info->sizes.end());
  d["dim_order"] = std::vector<int>(info->dim_order.begin(), info->dim_order.end());
  d["dynamic"] = info->dynamic;
  d["planned"] = info->planned;
  d["name"] = std::string(info->name);
  return d;
}

// A Module with the bytes it may have been made of.
struct PyModule {
  nb::object bytes;
  Module module;
};

// A program's bytes where delegates may read weights in place, and what keeps them there.
std::pair<nb::object, Span<const uint8_t>> Aligned(const nb::bytes& bytes) {
  const auto* data = reinterpret_cast<const uint8_t*>(bytes.c_str());
  const size_t size = bytes.size();
  if (size == 0 || reinterpret_cast<uintptr_t>(data) % 64 == 0) return {bytes, {data, size}};
  auto pages = std::make_unique<Pages>(size);
  if (!pages->ok()) Raise(Error(Reason::kHeap, Error::kNone, static_cast<int64_t>(size)));
  std::memcpy(pages->data(), data, size);
  const Span<const uint8_t> span(pages->data(), size);
  return {nb::capsule(pages.release(), [](void* p) noexcept { delete static_cast<Pages*>(p); }),
          span};
}

nb::dict Meta(const PyModule& m, const std::string& name) {
  const Result<MethodMeta> found = m.module.method_meta(name);
  if (!found.ok()) Raise(found.error());
  const MethodMeta& meta = *found;
  nb::dict d;
  nb::list inputs;
  for (size_t i = 0; i < meta.num_inputs(); ++i) {
    inputs.append(Describe(meta.input_tag(i), meta.input_tensor(i)));
  }
  nb::list outputs;
  for (size_t i = 0; i < meta.num_outputs(); ++i) {
    outputs.append(Describe(meta.output_tag(i), meta.output_tensor(i)));
  }
  nb::list planned;
  for (size_t id = 1; id <= meta.num_planned(); ++id) planned.append(meta.planned_bytes(id));
  nb::list operators;
  char buffer[MethodMeta::kMaxOperatorName + 1];
  for (size_t i = 0; i < meta.num_operators(); ++i) {
    operators.append(std::string(meta.operator_name(i, buffer)));
  }
  nb::list delegates;
  for (size_t i = 0; i < meta.num_delegates(); ++i) {
    delegates.append(std::string(meta.delegate_id(i)));
  }
  d["inputs"] = inputs;
  d["outputs"] = outputs;
  d["input_tree"] = std::string(meta.input_tree());
  d["output_tree"] = std::string(meta.output_tree());
  d["planned_bytes"] = planned;
  d["arena_bytes"] = meta.arena_bytes();
  d["arena_bytes_32"] = meta.arena_bytes_32();
  d["arena_bytes_64"] = meta.arena_bytes_64();
  d["num_instructions"] = meta.num_instructions();
  d["operators"] = operators;
  d["delegates"] = delegates;
  return d;
}

// Outputs in the caller's arrays, for one execution: afterwards they are the module's again.
class Outputs {
 public:
  explicit Outputs(Method* method) : method_(method) {}
  Outputs(const Outputs&) = delete;
  ~Outputs() {
    // The last first: a program may give one tensor twice.
    for (auto o = own_.rbegin(); o != own_.rend(); ++o) {
      (void)method_->SetOutput(o->index, o->data, o->bytes);
    }
  }

  Error Set(size_t i, nb::handle given) {
    RL_CHECK(i < method_->meta().num_outputs(), Reason::kOutputIndex, static_cast<uint32_t>(i),
             static_cast<int64_t>(i), static_cast<int64_t>(method_->meta().num_outputs()));
    if (given.is_none()) return kOk;
    nb::ndarray<nb::device::cpu, nb::c_contig> array;
    if (!nb::try_cast(given, array, false)) {
      throw nb::type_error(
          ("output " + std::to_string(i) + ": expected a writable, contiguous array on the CPU")
              .c_str());
    }
    RL_ASSIGN_OR_RETURN(const TensorInfo info, method_->meta().output_tensor(i));
    if (FromDL(array.dtype()) != info.dtype) {
      throw nb::type_error(
          ("output " + std::to_string(i) + " is of " + std::string(DTypeName(info.dtype))).c_str());
    }
    own_.push_back({i, method_->output(i).as_tensor().raw(), info.nbytes});
    RL_RETURN_IF_ERROR(method_->SetOutput(i, array.data(), array.nbytes()));
    arrays_.emplace(i, nb::borrow(given));
    return kOk;
  }

  // The caller's array, in the size of this execution's output; null where none was given.
  nb::object Get(size_t i) const {
    const auto found = arrays_.find(i);
    return found == arrays_.end() ? nb::object()
                                  : ArrayOf(method_->output(i).as_tensor(), found->second);
  }

 private:
  struct Own {
    size_t index;
    void* data;
    size_t bytes;
  };
  Method* method_;
  std::vector<Own> own_;
  std::map<size_t, nb::object> arrays_;
};

nb::list Execute(PyModule& m, const std::string& name, const nb::list& arguments,
                 const nb::list& results, uint64_t max_instructions, int64_t max_nanoseconds,
                 size_t threads) {
  Inputs inputs;
  std::vector<Value> values;
  for (size_t i = 0; i < arguments.size(); ++i) values.push_back(inputs.Convert(arguments[i], i));
  const Result<Method*> method = m.module.method(name);
  if (!method.ok()) Raise(method.error(), &m.module.program());
  Outputs given(*method);
  for (size_t i = 0; i < results.size(); ++i) {
    const Error error = given.Set(i, results[i]);
    if (!error.ok()) Raise(error, &m.module.program());
  }
  ExecuteOptions options;
  options.budget.max_instructions = max_instructions;
  options.budget.max_nanoseconds = max_nanoseconds;
  options.threads = threads;
  std::optional<Result<std::vector<Value>>> outputs;
  {
    nb::gil_scoped_release release;
    outputs.emplace(m.module.Execute(name, values, options));
  }
  if (!outputs->ok()) Raise(outputs->error(), &m.module.program());
  nb::list result;
  for (size_t i = 0; i < (*outputs)->size(); ++i) {
    nb::object array = given.Get(i);
    result.append(array.is_valid() ? array : ToPython((**outputs)[i]));
  }
  return result;
}

ModuleOptions Options(const std::string& access, const std::vector<std::string>& data_files,
                      uint64_t memory_limit, size_t threads) {
  ModuleOptions options;
  if (access != "map" && access != "read") throw nb::value_error("access is 'map' or 'read'");
  options.access = access == "map" ? platform::FileAccess::kMap : platform::FileAccess::kRead;
  options.data_files = data_files;
  options.memory_limit = memory_limit;
  options.threads = threads;
  return options;
}

}  // namespace

void BindRuntime(nb::module_& m) {
  nb::class_<PyModule>(m, "Module", "A loaded program file.")
      .def_static(
          "load",
          [](const std::string& path, const std::string& access,
             const std::vector<std::string>& data_files, uint64_t memory_limit, size_t threads) {
            Result<Module> module =
                Module::Load(path, Options(access, data_files, memory_limit, threads));
            if (!module.ok()) Raise(module.error());
            return new PyModule{nb::none(), *std::move(module)};
          },
          nb::arg("path"), nb::arg("access") = "map",
          nb::arg("data_files") = std::vector<std::string>(), nb::arg("memory_limit") = 0,
          nb::arg("threads") = 0, nb::rv_policy::take_ownership)
      .def_static(
          "from_bytes",
          [](const nb::bytes& bytes, const std::vector<std::string>& data_files,
             uint64_t memory_limit, size_t threads) {
            const auto [owner, span] = Aligned(bytes);
            Result<Module> module =
                Module::FromBytes(span, Options("map", data_files, memory_limit, threads));
            if (!module.ok()) Raise(module.error());
            return new PyModule{owner, *std::move(module)};
          },
          nb::arg("bytes"), nb::arg("data_files") = std::vector<std::string>(),
          nb::arg("memory_limit") = 0, nb::arg("threads") = 0, nb::rv_policy::take_ownership)
      .def(
          "share",
          [](const PyModule& m) {
            return new PyModule{m.bytes, m.module.Share()};
          },
          nb::rv_policy::take_ownership)
      .def_prop_ro("threads", [](const PyModule& m) { return m.module.options().threads; })
      .def_prop_ro("method_names", [](const PyModule& m) { return m.module.method_names(); })
      .def("method_meta", &Meta)
      .def("load_method",
           [](PyModule& m, const std::string& name) {
             const Error error = m.module.LoadMethod(name);
             if (!error.ok()) Raise(error, &m.module.program());
           })
      .def("execute", &Execute, nb::arg("method"), nb::arg("inputs"),
           nb::arg("outputs") = nb::list(), nb::arg("max_instructions") = Budget().max_instructions,
           nb::arg("max_nanoseconds") = Budget().max_nanoseconds, nb::arg("threads") = 0)
      .def("reset_state",
           [](PyModule& m) {
             const Error error = m.module.ResetState();
             if (!error.ok()) Raise(error, &m.module.program());
           })
      .def("named_data_keys",
           [](const PyModule& m) {
             std::vector<std::string> keys;
             for (size_t i = 0; i < m.module.program().num_named_data(); ++i) {
               keys.emplace_back(m.module.program().named_data_key(i));
             }
             return keys;
           })
      .def("named_data", [](const PyModule& m, const std::string& key) {
        NamedBytes data;
        const Error error = m.module.program().named_data_map().Find(key, &data);
        if (!error.ok()) Raise(error);
        return nb::bytes(data.bytes.data(), data.bytes.size());
      });
}

}  // namespace rushlight::python
