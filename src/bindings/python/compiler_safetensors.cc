// Copyright (c) The Rushlight authors.
// SPDX-License-Identifier: BSD-3-Clause

// Safetensors files: what is in one, and tensors as arrays of the mapped bytes.

#include <nanobind/ndarray.h>
#include <nanobind/stl/string.h>

#include <memory>
#include <string>

#include "src/bindings/python/native.h"
#include "src/compiler/safetensors.h"

namespace nb = nanobind;
using namespace nb::literals;
using rushlight::compiler::SafetensorsFile;
using rushlight::compiler::SafetensorsTensor;

namespace rushlight::python {
namespace {

using Bytes = nb::ndarray<nb::numpy, const uint8_t>;

// Named apart from the File of compiler_gguf.cc: nanobind tells types apart by their names.
class Safetensors {
 public:
  explicit Safetensors(const std::string& path)
      : file_(std::make_shared<const SafetensorsFile>(ValueOf(SafetensorsFile::Open(path)))) {}

  nb::dict tensors() const {
    nb::dict tensors;
    for (const SafetensorsTensor& t : file_->tensors()) {
      nb::list shape;
      for (size_t d = 0; d < t.rank; ++d) shape.append(t.dims[d]);
      tensors[FileText(t.name)] = nb::make_tuple(FileText(t.type->name), nb::tuple(shape));
    }
    return tensors;
  }

  // Arrays share the file, not this object: PyTorch keeps some until the interpreter has ended,
  // when objects of this module that are left would be reported as leaks.
  Bytes BytesOf(const std::string& name) const {
    const SafetensorsTensor* t = file_->Find(name);
    if (t == nullptr) throw nb::key_error(name.c_str());
    auto share = std::make_unique<Share>(file_);
    const nb::capsule owner(share.get(), [](void* p) noexcept { delete static_cast<Share*>(p); });
    (void)share.release();
    return Bytes(t->bytes.data(), {t->bytes.size()}, owner);
  }

 private:
  using Share = std::shared_ptr<const SafetensorsFile>;
  Share file_;
};

}  // namespace

void BindSafetensors(nb::module_& m) {
  nb::class_<Safetensors>(m, "SafetensorsFile", "A safetensors file, mapped and checked.")
      .def(nb::init<const std::string&>(), "path"_a)
      .def_prop_ro("tensors", &Safetensors::tensors, "{name: (type, shape)}")
      .def("bytes", &Safetensors::BytesOf, "name"_a,
           "A tensor's bytes where they are mapped: read-only, at any alignment.");
}

}  // namespace rushlight::python
