// Copyright (c) The Rushlight authors.
// SPDX-License-Identifier: BSD-3-Clause

// The operator table, and single operators run on the caller's memory: how tests compare them with
// PyTorch.

#include <nanobind/stl/string.h>
#include <nanobind/stl/vector.h>

#include <deque>
#include <memory>
#include <string>
#include <vector>

#include "rushlight/op.h"
#include "src/bindings/python/native.h"
#include "src/ops/tables.h"

namespace nb = nanobind;

namespace rushlight::python {
namespace {

// A tensor over memory that Python keeps alive.
struct TensorRef {
  TensorRef(int dtype, std::vector<int32_t> tensor_sizes, std::vector<uint8_t> order,
            uintptr_t data, size_t capacity_bytes, bool dynamic, bool read_only)
      : sizes(std::move(tensor_sizes)), dim_order(std::move(order)) {
    if (!IsValidDType(dtype)) throw nb::value_error("no such dtype");
    tensor = Tensor(static_cast<DType>(dtype), reinterpret_cast<void*>(data), sizes,
                    dim_order.empty() ? nullptr : dim_order.data());
    tensor.set_dynamic(dynamic);
    tensor.set_read_only(read_only);
    if (dynamic) {
      tensor.Rebind(reinterpret_cast<void*>(data), capacity_bytes / ElementSize(tensor.dtype()));
    }
  }
  TensorRef(const TensorRef&) = delete;

  std::vector<int32_t> sizes;
  std::vector<uint8_t> dim_order;
  Tensor tensor;
};

// A value table with what its entries point to.
class Table {
 public:
  int32_t Add(nb::handle kind_and_value) {
    const auto kind = nb::cast<std::string>(kind_and_value[0]);
    const nb::object v = nb::borrow(kind_and_value[1]);
    if (kind == "none") return Push(Value());
    if (kind == "int") return Push(Value(nb::cast<int64_t>(v)));
    if (kind == "bool") return Push(Value(nb::cast<bool>(v)));
    if (kind == "double") return Push(Value(nb::cast<double>(v)));
    if (kind == "tensor") return Push(Value(&nb::cast<TensorRef&>(v).tensor));
    if (kind == "str") {
      strings_.push_back(nb::cast<std::string>(v));
      views_.emplace_back(strings_.back());
      return Push(Value(&views_.back()));
    }
    if (kind == "ints") {
      auto& items = indices_.emplace_back();
      for (const int64_t i : nb::cast<std::vector<int64_t>>(v)) items.push_back(Push(Value(i)));
      auto& storage = indices_.emplace_back(items.size());
      int_lists_.push_back({items.data(), storage.data(), static_cast<uint32_t>(items.size())});
      return Push(Value(&int_lists_.back()));
    }
    if (kind == "doubles") {
      doubles_.push_back(nb::cast<std::vector<double>>(v));
      double_lists_.emplace_back(doubles_.back());
      return Push(Value(&double_lists_.back()));
    }
    if (kind == "tensors" || kind == "optional_tensors") {
      auto& items = tensor_indices_.emplace_back();
      for (nb::handle item : nb::cast<nb::list>(v)) {
        items.push_back(item.is_none() ? -1 : Push(Value(&nb::cast<TensorRef&>(item).tensor)));
      }
      auto& storage = tensors_.emplace_back(items.size());
      tensor_lists_.push_back({items.data(), storage.data(), static_cast<uint32_t>(items.size())});
      return Push(Value(&tensor_lists_.back(),
                        kind == "tensors" ? Tag::kTensorList : Tag::kOptionalTensorList));
    }
    throw nb::value_error(("no such kind: " + kind).c_str());
  }
  Value* values() { return values_.data(); }

 private:
  int32_t Push(Value v) {
    values_.push_back(v);
    return static_cast<int32_t>(values_.size()) - 1;
  }

  std::vector<Value> values_;
  std::deque<std::string> strings_;
  std::deque<std::string_view> views_;
  std::deque<std::vector<int64_t>> indices_;
  std::deque<IntListValue> int_lists_;
  std::deque<std::vector<double>> doubles_;
  std::deque<Span<const double>> double_lists_;
  std::deque<std::vector<int32_t>> tensor_indices_;
  std::deque<std::vector<Tensor*>> tensors_;
  std::deque<TensorListValue> tensor_lists_;
};

nb::object ToPython(const Value& v) {
  switch (v.tag()) {
    case Tag::kInt:
      return nb::int_(v.as_int());
    case Tag::kBool:
      return nb::bool_(v.as_bool());
    case Tag::kDouble:
      return nb::float_(v.as_double());
    default:
      return nb::none();
  }
}

nb::tuple ErrorTuple(const Error& e) {
  return nb::make_tuple(static_cast<int>(e.reason), static_cast<int>(e.code()),
                        e.argument == Error::kNoArgument ? -1 : e.argument, e.found, e.limit);
}

// Runs one operator: (error, value in the return slot).  error is None, or the numbers of an Error:
// (reason, code, argument, found, limit).  `arguments` are (kind, value) pairs in schema order,
// outputs included, without the return slot; scratch is as large as Prepare asked for.
nb::tuple CallOp(const std::string& name, const nb::list& arguments, bool returns_scalar) {
  const Op* op = FindOp(ops::AllOps(), name);
  if (op == nullptr) throw nb::key_error(name.c_str());
  Table table;
  std::vector<int32_t> positions;
  for (nb::handle a : arguments) positions.push_back(table.Add(a));
  if (returns_scalar) {
    positions.push_back(table.Add(nb::make_tuple("int", 0)));
  } else {
    positions.push_back(positions.empty() ? 0 : positions.back());
  }
  const Args args{table.values(), positions.data(), positions.size()};
  Prepared prepared;
  PrepareContext prepare(*op, 1, &prepared);
  Error error = op->prepare(prepare, args, &prepared);
  if (error.ok()) {
    // Exactly the scratch that was asked for, so that sanitizers see every byte too many.
    auto scratch = std::make_unique<uint8_t[]>(prepared.scratch_bytes);
    Context context;
    context.scratch = Arena(scratch.get(), prepared.scratch_bytes);
    RunContext run(context, prepared);
    error = prepared.run(run, args);
  }
  return nb::make_tuple(error.ok() ? nb::object(nb::none()) : nb::object(ErrorTuple(error)),
                        ToPython(args[positions.size() - 1]));
}

}  // namespace

void BindOps(nb::module_& m) {
  nb::class_<TensorRef>(m, "TensorRef", "A tensor over memory that the caller keeps alive.")
      .def(nb::init<int, std::vector<int32_t>, std::vector<uint8_t>, uintptr_t, size_t, bool,
                    bool>(),
           nb::arg("dtype"), nb::arg("sizes"), nb::arg("dim_order"), nb::arg("data"),
           nb::arg("capacity_bytes"), nb::arg("dynamic"), nb::arg("read_only"))
      .def_prop_ro("sizes", [](const TensorRef& t) { return t.sizes; });
  m.def("op_names", [] {
    std::vector<std::string> names;
    for (const Span<const Op>& table : ops::AllOps()) {
      for (const Op& op : table) names.emplace_back(op.name);
    }
    return names;
  });
  m.def("call_op", &CallOp, nb::arg("name"), nb::arg("arguments"), nb::arg("returns_scalar"));
}

}  // namespace rushlight::python
