// Copyright (c) The Rushlight authors.
// SPDX-License-Identifier: BSD-3-Clause

// Data files (.ptd): writing them, and what is in one.

#include <nanobind/ndarray.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/vector.h>

#include <memory>
#include <string>
#include <vector>

#include "rushlight/data_file.h"
#include "src/bindings/python/native.h"
#include "src/compiler/data_file_builder.h"

namespace nb = nanobind;
using rushlight::compiler::Bytes;
using rushlight::compiler::DataFileBuilder;

namespace rushlight::python {
namespace {

using ByteArray = nb::ndarray<const uint8_t, nb::ndim<1>, nb::c_contig, nb::device::cpu>;

// A DataFileBuilder that keeps the Python owners of its bytes alive.
struct Builder {
  explicit Builder(size_t segment_alignment) : builder(segment_alignment) {
    CheckAlignment(segment_alignment);
  }

  static void CheckAlignment(size_t alignment) {
    if (alignment < 16 || (alignment & (alignment - 1)) != 0) {
      throw nb::value_error("an alignment must be a power of two, 16 or more");
    }
  }

  void AddTensor(const std::string& key, uintptr_t address, size_t size, nb::object owner,
                 int dtype, std::vector<int32_t> sizes, std::vector<uint8_t> dim_order) {
    if (!IsValidDType(dtype)) throw nb::value_error("no such dtype");
    owners.push_back(std::move(owner));
    builder.AddTensor(key, {reinterpret_cast<const uint8_t*>(address), size},
                      static_cast<DType>(dtype), std::move(sizes), std::move(dim_order));
  }

  void AddBytes(const std::string& key, const nb::bytes& bytes, size_t alignment) {
    CheckAlignment(alignment);
    owners.push_back(bytes);
    builder.AddBytes(key, {reinterpret_cast<const uint8_t*>(bytes.c_str()), bytes.size()},
                     alignment);
  }

  DataFileBuilder builder;
  std::vector<nb::object> owners;
};

nb::list Entries(const ByteArray& data) {
  const Bytes bytes(data.data(), data.size());
  const Result<size_t> size = DataFile::MetadataBytes(bytes, bytes.size());
  if (!size.ok()) Raise(size.error());
  const auto memory = std::make_unique<uint8_t[]>(*size + 16);
  Arena arena(memory.get(), *size + 16);
  const Result<DataFile> file = DataFile::Load(bytes, arena);
  if (!file.ok()) Raise(file.error());
  nb::list entries;
  for (size_t i = 0; i < file->size(); ++i) {
    const NamedBytes entry = file->entry(i);
    nb::object dtype = nb::none();
    if (entry.has_layout) dtype = nb::int_(static_cast<int>(entry.dtype));
    entries.append(nb::make_tuple(
        FileText(file->key(i)), entry.bytes.data() - bytes.data(), entry.bytes.size(), dtype,
        std::vector<int32_t>(entry.sizes.begin(), entry.sizes.end()),
        std::vector<uint8_t>(entry.dim_order.begin(), entry.dim_order.end())));
  }
  return entries;
}

}  // namespace

void BindDataFile(nb::module_& m) {
  nb::class_<Builder>(m, "DataFileBuilder",
                      "Writes a data file (.ptd).  Bytes of tensors are referred to until then: "
                      "(address, size, owner).")
      .def(nb::init<size_t>(), nb::arg("segment_alignment") = 128)
      .def("add_tensor", &Builder::AddTensor, nb::arg("key"), nb::arg("address"), nb::arg("size"),
           nb::arg("owner"), nb::arg("dtype"), nb::arg("sizes"),
           nb::arg("dim_order") = std::vector<uint8_t>())
      .def("add_bytes", &Builder::AddBytes, nb::arg("key"), nb::arg("data"),
           nb::arg("alignment") = 16)
      .def("write_file",
           [](Builder& b, const std::string& path) {
             Error error;
             {
               nb::gil_scoped_release release;
               error = b.builder.WriteFile(path);
             }
             if (!error.ok()) Raise(error);
           })
      .def("to_bytes", [](Builder& b) {
        const std::vector<uint8_t> bytes = b.builder.ToBytes();
        return nb::bytes(bytes.data(), bytes.size());
      });
  m.def("data_file_entries", &Entries, nb::arg("data"),
        "What is in a data file: [(key, offset, size, dtype, sizes, dim_order)].  The dtype is "
        "None where the bytes are not a tensor.");
}

}  // namespace rushlight::python
