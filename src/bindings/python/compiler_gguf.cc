// Copyright (c) The Rushlight authors.
// SPDX-License-Identifier: BSD-3-Clause

// GGUF files: metadata as a dict, tensors as float32 arrays.

#include <nanobind/ndarray.h>
#include <nanobind/stl/string.h>

#include <cstring>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "src/bindings/python/native.h"
#include "src/compiler/gguf.h"

namespace nb = nanobind;
using namespace nb::literals;
using namespace rushlight::compiler;

namespace rushlight::python {
namespace {

template <class T>
T Number(const GgufValue& v, size_t i) {
  T number;
  std::memcpy(&number, v.numbers.data() + i * sizeof(T), sizeof(T));
  return number;
}

nb::object ToPython(const GgufValue& v);

nb::object Item(const GgufValue& v, size_t i) {
  switch (v.type) {
    case GgufType::kUInt8:
      return nb::int_(Number<uint8_t>(v, i));
    case GgufType::kInt8:
      return nb::int_(Number<int8_t>(v, i));
    case GgufType::kUInt16:
      return nb::int_(Number<uint16_t>(v, i));
    case GgufType::kInt16:
      return nb::int_(Number<int16_t>(v, i));
    case GgufType::kUInt32:
      return nb::int_(Number<uint32_t>(v, i));
    case GgufType::kInt32:
      return nb::int_(Number<int32_t>(v, i));
    case GgufType::kUInt64:
      return nb::int_(Number<uint64_t>(v, i));
    case GgufType::kInt64:
      return nb::int_(Number<int64_t>(v, i));
    case GgufType::kFloat32:
      return nb::float_(Number<float>(v, i));
    case GgufType::kFloat64:
      return nb::float_(Number<double>(v, i));
    case GgufType::kBool:
      return nb::bool_(Number<uint8_t>(v, i) != 0);
    case GgufType::kString:
      return FileText(v.strings[i]);
    case GgufType::kArray:
      return ToPython(v.arrays[i]);
  }
  return nb::none();
}

nb::object ToPython(const GgufValue& v) {
  if (!v.is_array) return Item(v, 0);
  nb::list items;
  for (size_t i = 0; i < v.count; ++i) items.append(Item(v, i));
  return items;
}

// Sizes, outermost first: as PyTorch has them.
std::vector<size_t> Shape(const GgufTensor& t) {
  std::vector<size_t> shape(t.rank);
  for (size_t d = 0; d < t.rank; ++d) shape[d] = static_cast<size_t>(t.dims[t.rank - 1 - d]);
  return shape;
}

class File {
 public:
  explicit File(const std::string& path) : file_(Open(path)) {
    for (const GgufEntry& e : file_.metadata()) metadata_[FileText(e.key)] = ToPython(e.value);
    for (const GgufTensor& t : file_.tensors()) {
      nb::list shape;
      for (const size_t size : Shape(t)) shape.append(size);
      tensors_.append(nb::make_tuple(FileText(t.name), nb::tuple(shape), t.type->name));
    }
  }

  nb::dict metadata() const { return metadata_; }
  nb::list tensors() const { return tensors_; }

  nb::ndarray<nb::numpy, float> Dequantized(const std::string& name) const {
    const GgufTensor* t = file_.FindTensor(name);
    if (t == nullptr) throw nb::key_error(name.c_str());
    auto values = std::unique_ptr<float[]>(new float[t->numel]);
    Error error;
    {
      nb::gil_scoped_release release;
      error = Dequantize(*t, 0, {values.get(), static_cast<size_t>(t->numel)});
    }
    if (!error.ok()) Raise(error);
    const std::vector<size_t> shape = Shape(*t);
    const nb::capsule owner(values.get(),
                            [](void* p) noexcept { delete[] static_cast<float*>(p); });
    return nb::ndarray<nb::numpy, float>(values.release(), shape.size(), shape.data(), owner);
  }

 private:
  static GgufFile Open(const std::string& path) {
    Result<GgufFile> file = GgufFile::Open(path);
    if (!file.ok()) Raise(file.error());
    return *std::move(file);
  }

  GgufFile file_;
  nb::dict metadata_;
  nb::list tensors_;
};

}  // namespace

void BindGguf(nb::module_& m) {
  nb::class_<File>(m, "GgufFile", "A GGUF file, mapped and checked.")
      .def(nb::init<const std::string&>(), "path"_a)
      .def_prop_ro("metadata", &File::metadata, "{key: number, bool, str or list of them}")
      .def_prop_ro("tensors", &File::tensors,
                   "[(name, shape, type)]; shapes are in PyTorch's order")
      .def("dequantize", &File::Dequantized, "name"_a,
           "A tensor as a float32 array.  Other threads run meanwhile.");
}

}  // namespace rushlight::python
