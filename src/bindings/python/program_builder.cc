// Copyright (c) The Rushlight authors.
// SPDX-License-Identifier: BSD-3-Clause

// Writing program files, and checking them against the runtime before a byte of weights is written.

#include "src/compiler/program_builder.h"

#include <nanobind/stl/pair.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/unique_ptr.h>
#include <nanobind/stl/vector.h>

#include <optional>

#include "rushlight/delegates.h"
#include "rushlight/method.h"
#include "rushlight/ops.h"
#include "src/bindings/python/native.h"
#include "src/core/pages.h"

namespace nb = nanobind;
using rushlight::compiler::MethodBuilder;
using rushlight::compiler::ProgramAlignment;
using rushlight::compiler::ProgramBuilder;
using rushlight::compiler::TensorSpec;

namespace rushlight::python {
namespace {

// A ProgramBuilder that keeps the Python owners of its bytes alive.  (Names differ from file to
// file: nanobind takes types of equal names for one.)
struct ProgramWriter {
  ProgramWriter(size_t segment_alignment, size_t constant_alignment)
      : builder(ProgramAlignment{segment_alignment, constant_alignment}) {}

  ProgramBuilder::Bytes Keep(uintptr_t address, size_t size, nb::object owner) {
    owners.push_back(std::move(owner));
    return {reinterpret_cast<const uint8_t*>(address), size};
  }
  ProgramBuilder::Bytes Keep(const nb::bytes& bytes) {
    return Keep(reinterpret_cast<uintptr_t>(bytes.c_str()), bytes.size(), bytes);
  }

  ProgramBuilder builder;
  std::vector<nb::object> owners;
  std::vector<ProgramBuilder::Bytes> payloads;  // of delegates
};

// The program in memory that looks like the file, except that weights are pages never touched:
// what delegates load is there.
struct Image {
  explicit Image(ProgramWriter& writer) {
    size_t size = 0;
    std::vector<uint8_t> head;
    std::vector<std::pair<size_t, ProgramBuilder::Bytes>> pieces;
    writer.builder.Finish([&](const void* data, size_t n) {
      for (const ProgramBuilder::Bytes& payload : writer.payloads) {
        if (payload.data() == data && payload.size() == n) pieces.emplace_back(size, payload);
      }
      if (size == 0 || head.size() < head_bytes) {
        const auto* p = static_cast<const uint8_t*>(data);
        head.insert(head.end(), p, p + n);
        if (size == 0) head_bytes = HeadBytes(head);
      }
      size += n;
      return true;
    });
    if (head.size() > head_bytes) head.resize(head_bytes);
    pages.emplace(size);
    if (!pages->ok()) return;
    std::memcpy(pages->data(), head.data(), head.size());
    for (const auto& [offset, bytes] : pieces) {
      std::memcpy(pages->data() + offset, bytes.data(), bytes.size());
    }
  }

  // The first piece is the header, or the whole FlatBuffer where there are no segments.
  static size_t HeadBytes(const std::vector<uint8_t>& first) {
    uint64_t program_size = first.size();
    if (first.size() >= 24 && std::memcmp(first.data() + 8, "eh00", 4) == 0) {
      std::memcpy(&program_size, first.data() + 16, sizeof program_size);
    }
    return static_cast<size_t>(program_size);
  }

  std::optional<Pages> pages;
  size_t head_bytes = 0;
};

struct Found {
  nb::list obstacles;
  const Program* program;
};

// Loads every method as a device would, and tells all that stands in the way.
nb::dict Check(ProgramWriter& b) {
  Image image(b);
  const size_t size = image.pages->size();
  if (!image.pages->ok()) Raise(Error(Reason::kHeap, Error::kNone, static_cast<int64_t>(size)));
  Result<Program> program = Program::LoadInPlace({image.pages->data(), size});
  if (!program.ok()) Raise(program.error());
  Found found{{}, &*program};
  nb::dict methods;
  for (size_t m = 0; m < program->num_methods(); ++m) {
    const MethodMeta meta(*program, m);
    MethodOptions options;
    options.ops = ops::AllOps();
    options.delegates = delegates::AllDelegates();
    options.on_obstacle = [](void* self, const Error& error) {
      auto& f = *static_cast<Found*>(self);
      f.obstacles.append(ToDict(error, f.program));
    };
    options.on_obstacle_self = &found;
    std::vector<uint64_t> memory(meta.arena_bytes() / 8 + 2 + (meta.num_delegates() << 12));
    Arena arena(memory.data(), memory.size() * 8);
    const Result<Method> method = Method::Load(*program, meta.name(), options, arena);
    nb::dict d;
    d["scratch_bytes"] = method.ok() ? method->scratch_bytes() : 0;
    d["arena_bytes_32"] = meta.arena_bytes_32();
    d["arena_bytes_64"] = meta.arena_bytes_64();
    nb::list planned;
    for (size_t id = 1; id <= meta.num_planned(); ++id) planned.append(meta.planned_bytes(id));
    d["planned_bytes"] = planned;
    methods[std::string(meta.name()).c_str()] = d;
  }
  nb::dict result;
  result["obstacles"] = found.obstacles;
  result["methods"] = methods;
  result["metadata_bytes"] = image.head_bytes;
  result["file_bytes"] = size;
  return result;
}

}  // namespace

void BindProgramBuilder(nb::module_& m) {
  nb::class_<TensorSpec>(m, "TensorSpec", "One tensor of a method's value table.")
      .def(nb::init<>())
      .def_rw("scalar_type", &TensorSpec::scalar_type)
      .def_rw("sizes", &TensorSpec::sizes)
      .def_rw("dim_order", &TensorSpec::dim_order)
      .def_rw("dynamic", &TensorSpec::dynamic)
      .def_rw("constant", &TensorSpec::constant)
      .def_rw("memory_id", &TensorSpec::memory_id)
      .def_rw("memory_offset", &TensorSpec::memory_offset)
      .def_rw("name", &TensorSpec::name)
      .def_rw("external", &TensorSpec::external);

  nb::class_<MethodBuilder>(m, "MethodBuilder", "One method of a program under construction.")
      .def("add_null", &MethodBuilder::AddNull)
      .def("add_int", &MethodBuilder::AddInt)
      .def("add_bool", &MethodBuilder::AddBool)
      .def("add_double", &MethodBuilder::AddDouble)
      .def("add_string", &MethodBuilder::AddString)
      .def("add_tensor", &MethodBuilder::AddTensor)
      .def("add_int_list", &MethodBuilder::AddIntList)
      .def("add_double_list", &MethodBuilder::AddDoubleList)
      .def("add_bool_list", &MethodBuilder::AddBoolList)
      .def("add_tensor_list", &MethodBuilder::AddTensorList)
      .def("add_optional_tensor_list", &MethodBuilder::AddOptionalTensorList)
      .def("add_operator", &MethodBuilder::AddOperator)
      .def("add_kernel_call", &MethodBuilder::AddKernelCall)
      .def("add_delegate_call", &MethodBuilder::AddDelegateCall)
      .def("add_move", &MethodBuilder::AddMove)
      .def("add_jump_false", &MethodBuilder::AddJumpFalse)
      .def("set_jump_destination", &MethodBuilder::SetJumpDestination)
      .def_prop_ro("num_instructions", &MethodBuilder::num_instructions)
      .def("set_inputs", &MethodBuilder::SetInputs)
      .def("set_outputs", &MethodBuilder::SetOutputs)
      .def("set_trees", &MethodBuilder::SetTrees)
      .def("set_memory", &MethodBuilder::SetMemory);

  nb::class_<ProgramWriter>(
      m, "ProgramBuilder",
      "Writes a program file.  Bytes are referred to until then: (address, size, owner).")
      .def(nb::init<size_t, size_t>(), nb::arg("segment_alignment") = 128,
           nb::arg("constant_alignment") = 16)
      .def(
          "add_method",
          [](ProgramWriter& b, const std::string& name) {
            return std::make_unique<MethodBuilder>(b.builder.AddMethod(name));
          },
          nb::keep_alive<0, 1>())
      .def("add_constant",
           [](ProgramWriter& b, uintptr_t address, size_t size, nb::object owner) {
             return b.builder.AddConstant(b.Keep(address, size, std::move(owner)));
           })
      .def("add_initial_state",
           [](ProgramWriter& b, uintptr_t address, size_t size, nb::object owner) {
             return b.builder.AddInitialState(b.Keep(address, size, std::move(owner)));
           })
      .def("add_named_data",
           [](ProgramWriter& b, const std::string& key, const nb::bytes& bytes, size_t alignment) {
             b.builder.AddNamedData(key, b.Keep(bytes), alignment);
           })
      .def("add_delegate",
           [](ProgramWriter& b, MethodBuilder& method, const std::string& id,
              const nb::bytes& payload, const std::vector<std::pair<std::string, nb::bytes>>& specs,
              bool inline_payload) {
             std::vector<std::pair<std::string, std::string>> copied;
             for (const auto& [key, value] : specs) {
               copied.emplace_back(key, std::string(value.c_str(), value.size()));
             }
             b.payloads.push_back(b.Keep(payload));
             return b.builder.AddDelegate(method, id, b.payloads.back(), copied, inline_payload);
           })
      .def("write_file",
           [](ProgramWriter& b, const std::string& path) {
             Error error;
             {
               nb::gil_scoped_release release;
               error = b.builder.WriteFile(path);
             }
             if (!error.ok()) Raise(error);
           })
      .def("to_bytes",
           [](ProgramWriter& b) {
             const std::vector<uint8_t> bytes = b.builder.ToBytes();
             return nb::bytes(bytes.data(), bytes.size());
           })
      .def("check", &Check,
           "Loads every method as a device would: {obstacles, methods, metadata_bytes, "
           "file_bytes}.");
}

}  // namespace rushlight::python
