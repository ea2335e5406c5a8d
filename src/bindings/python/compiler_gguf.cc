// Copyright (c) The Rushlight authors.
// SPDX-License-Identifier: BSD-3-Clause

// GGUF files: metadata as a dict, tensors as float32 arrays, or as the integers that they are.

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

template <class T>
nb::ndarray<nb::numpy, T> ToArray(std::unique_ptr<T[]> values, const std::vector<size_t>& shape) {
  const nb::capsule owner(values.get(), [](void* p) noexcept { delete[] static_cast<T*>(p); });
  return nb::ndarray<nb::numpy, T>(values.release(), shape.size(), shape.data(), owner);
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
    const GgufTensor& t = Find(name);
    auto values = std::unique_ptr<float[]>(new float[t.numel]);
    Error error;
    {
      nb::gil_scoped_release release;
      error = Dequantize(t, 0, {values.get(), static_cast<size_t>(t.numel)});
    }
    if (!error.ok()) Raise(error);
    return ToArray(std::move(values), Shape(t));
  }

  // (format, group, type of scale, whether there are minimums), or none.
  nb::object IntegerForm(const std::string& name) const {
    const GgufTensor& t = Find(name);
    if (t.rank != 2 || t.type->integers == nullptr) return nb::none();
    const GgmlIntegers& form = *t.type->integers;
    constexpr const char* kScales[] = {"bfloat16", "float16", "float32"};
    return nb::make_tuple(form.format == kernels::PackedFormat::kU4 ? "int4" : "int8", form.group,
                          kScales[static_cast<int>(form.scale)], form.has_minimum);
  }

  // Codes [n, k], scales [n, groups], and minimums or none.  Requires: IntegerForm(name).
  nb::tuple Integers(const std::string& name) const {
    const GgufTensor& t = Find(name);
    if (t.rank != 2 || t.type->integers == nullptr) {
      throw nb::value_error("the tensor is no matrix of integers with scales");
    }
    const GgmlIntegers& form = *t.type->integers;
    const std::vector<size_t> shape = Shape(t);
    const std::vector<size_t> groups = {shape[0], shape[1] / form.group};
    auto codes = std::unique_ptr<int8_t[]>(new int8_t[t.numel]);
    auto scales = std::unique_ptr<float[]>(new float[groups[0] * groups[1]]);
    auto minimums =
        std::unique_ptr<float[]>(form.has_minimum ? new float[groups[0] * groups[1]] : nullptr);
    {
      nb::gil_scoped_release release;
      form.read(t.bytes.data(), static_cast<size_t>(t.numel / t.type->elements), codes.get(),
                scales.get(), minimums.get());
    }
    nb::object lowest = nb::none();
    if (form.has_minimum) lowest = nb::cast(ToArray(std::move(minimums), groups));
    return nb::make_tuple(ToArray(std::move(codes), shape), ToArray(std::move(scales), groups),
                          lowest);
  }

 private:
  const GgufTensor& Find(const std::string& name) const {
    const GgufTensor* t = file_.FindTensor(name);
    if (t == nullptr) throw nb::key_error(name.c_str());
    return *t;
  }

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
           "A tensor as a float32 array.  Other threads run meanwhile.")
      .def(
          "integer_form", &File::IntegerForm, "name"_a,
          "(format, group, type of scale, whether there are minimums) of a matrix of integers with "
          "scales; none for others")
      .def("integers", &File::Integers, "name"_a,
           "Such a matrix: codes int8 [n, k], scales float32 [n, groups], minimums or none: "
           "scale * code + minimum is what dequantize gives, bit for bit");
}

}  // namespace rushlight::python
