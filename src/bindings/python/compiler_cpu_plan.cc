// Copyright (c) The Rushlight authors.
// SPDX-License-Identifier: BSD-3-Clause

// Plans of the CPU delegate (format/cpu_plan.fbs) and its packed weights.

#include <nanobind/ndarray.h>
#include <nanobind/stl/optional.h>
#include <nanobind/stl/pair.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/tuple.h>
#include <nanobind/stl/vector.h>

#include <cmath>
#include <memory>
#include <optional>

#include "src/bindings/python/native.h"
#include "src/compiler/quantize.h"
#include "src/delegates/cpu/schema.h"

namespace nb = nanobind;
namespace fbc = rushlight::fb::cpu;

namespace rushlight::python {
namespace {

// (is an argument, index, first column)
using PyRows = std::tuple<bool, uint32_t, uint32_t>;

std::unique_ptr<fbc::Rows> ToRows(const PyRows& rows) {
  return std::make_unique<fbc::Rows>(std::get<0>(rows), std::get<1>(rows), std::get<2>(rows));
}

// (most rows, argument or -1)
using PyGroups = std::pair<uint32_t, int32_t>;

std::unique_ptr<fbc::Groups> ToGroups(const PyGroups& groups) {
  return std::make_unique<fbc::Groups>(groups.first, groups.second);
}

uint32_t Last(size_t size) { return static_cast<uint32_t>(size - 1); }

struct CpuPlanWriter {
  fbc::PlanT plan;

  template <class T>
  void Add(T operation) {
    plan.steps.push_back(std::make_unique<fbc::StepT>());
    plan.steps.back()->operation.Set(std::move(operation));
  }

  nb::bytes ToBytes() const {
    flatbuffers::FlatBufferBuilder builder;
    fbc::FinishPlanBuffer(builder, fbc::Plan::Pack(builder, &plan));
    return nb::bytes(reinterpret_cast<const char*>(builder.GetBufferPointer()), builder.GetSize());
  }
};

// Numbers as PyTorch and NumPy give them.
template <class T>
using Matrix = nb::ndarray<const T, nb::ndim<2>, nb::c_contig, nb::device::cpu>;

nb::bytes ToBytes(const std::vector<uint8_t>& bytes) {
  return nb::bytes(reinterpret_cast<const char*>(bytes.data()), bytes.size());
}

kernels::PackedMatrix Describe(int format, size_t n, size_t k, size_t group, bool minimum,
                               int scale) {
  kernels::PackedMatrix w;
  w.format = static_cast<kernels::PackedFormat>(format);
  w.n = n;
  w.k = k;
  w.group = group;
  w.has_minimum = minimum;
  w.scale = static_cast<kernels::ScaleType>(scale);
  return w;
}

}  // namespace

void BindCpuPlan(nb::module_& m) {
  // The panels of rows float32 [n, k], and the error relative to their size (root mean squares).
  m.def(
      "pack_weights",
      [](uintptr_t address, size_t n, size_t k, int format, size_t group, bool minimum, int scale) {
        Result<compiler::PackedWeights> packed = [&] {
          const nb::gil_scoped_release release;
          return compiler::PackWeights(Describe(format, n, k, group, minimum, scale),
                                       reinterpret_cast<const float*>(address));
        }();
        if (!packed.ok()) Raise(packed.error());
        const double error = packed->squared_magnitude > 0
                                 ? std::sqrt(packed->squared_error / packed->squared_magnitude)
                                 : 0.0;
        return std::pair(ToBytes(packed->panels), error);
      },
      nb::arg("address"), nb::arg("n"), nb::arg("k"), nb::arg("format"), nb::arg("group"),
      nb::arg("minimum"), nb::arg("scale"));

  // The panels of codes [n, k] with scales, and perhaps minimums, [n, groups], as they are.
  m.def(
      "pack_integers",
      [](const Matrix<int8_t>& codes, const Matrix<float>& scales,
         const std::optional<Matrix<float>>& minimums, int format, size_t group, int scale) {
        const kernels::PackedMatrix w =
            Describe(format, codes.shape(0), codes.shape(1), group, minimums.has_value(), scale);
        const size_t groups = kernels::IsValid(w) ? kernels::GroupCount(w) : 0;
        const auto fits = [&](const Matrix<float>& m) {
          return m.shape(0) == w.n && m.shape(1) == groups;
        };
        if (!fits(scales) || (minimums.has_value() && !fits(*minimums))) {
          throw nb::value_error("scales or minimums of another size than the codes ask for");
        }
        const kernels::ConstIntegerRows rows = {codes.data(), scales.data(),
                                                w.has_minimum ? minimums->data() : nullptr};
        Result<std::vector<uint8_t>> panels = [&] {
          const nb::gil_scoped_release release;
          return compiler::PackExactly(w, rows);
        }();
        if (!panels.ok()) Raise(panels.error());
        return ToBytes(*panels);
      },
      nb::arg("codes"), nb::arg("scales"), nb::arg("minimums").none(), nb::arg("format"),
      nb::arg("group"), nb::arg("scale"));

  nb::class_<CpuPlanWriter>(m, "CpuPlanWriter")
      .def("__init__",
           [](CpuPlanWriter* self, uint32_t max_rows, uint32_t row_argument,
              int32_t position_argument) {
             new (self) CpuPlanWriter();
             self->plan.version = 2;
             self->plan.max_rows = max_rows;
             self->plan.row_argument = row_argument;
             self->plan.position_argument = position_argument;
           })
      .def("set_vectors",
           [](CpuPlanWriter& self, const std::string& key,
              const std::vector<std::pair<uint64_t, uint64_t>>& vectors) {
             self.plan.vectors_key = key;
             for (const auto& [offset, size] : vectors) {
               self.plan.vectors.emplace_back(offset, size);
             }
           })
      .def("add_argument",
           [](CpuPlanWriter& self, int kind, uint32_t width, bool single,
              const std::vector<int32_t>& leading, int32_t like) {
             auto argument = std::make_unique<fbc::ArgumentT>();
             argument->kind = static_cast<fbc::ArgumentKind>(kind);
             argument->width = width;
             argument->single = single;
             argument->leading = leading;
             argument->like = like;
             self.plan.arguments.push_back(std::move(argument));
             return Last(self.plan.arguments.size());
           })
      .def("add_matrix",
           [](CpuPlanWriter& self, const std::string& key, int format, uint32_t n, uint32_t k,
              uint32_t group, bool minimum, int scale) {
             auto matrix = std::make_unique<fbc::MatrixT>();
             matrix->key = key;
             matrix->format = static_cast<fbc::MatrixFormat>(format);
             matrix->outputs = n;
             matrix->inputs = k;
             matrix->group = group;
             matrix->has_minimum = minimum;
             matrix->scale = static_cast<fbc::ScaleType>(scale);
             self.plan.matrices.push_back(std::move(matrix));
             return Last(self.plan.matrices.size());
           })
      .def("add_cache",
           [](CpuPlanWriter& self, const std::string& keys, const std::string& values, int type,
              uint32_t heads, uint32_t key_size, uint32_t value_size, uint32_t positions) {
             auto cache = std::make_unique<fbc::CacheT>();
             cache->keys = keys;
             cache->values = values;
             cache->type = static_cast<fbc::CacheType>(type);
             cache->heads = heads;
             cache->key_size = key_size;
             cache->value_size = value_size;
             cache->positions = positions;
             self.plan.caches.push_back(std::move(cache));
             return Last(self.plan.caches.size());
           })
      .def("add_buffer",
           [](CpuPlanWriter& self, uint32_t offset, uint32_t width, bool single) {
             self.plan.buffers.emplace_back(offset, width, single);
             return Last(self.plan.buffers.size());
           })
      .def("embed",
           [](CpuPlanWriter& self, uint32_t tokens, uint32_t matrix, PyRows out) {
             fbc::EmbedT s;
             s.tokens = tokens;
             s.matrix = matrix;
             s.out = ToRows(out);
             self.Add(std::move(s));
           })
      .def("norm",
           [](CpuPlanWriter& self, int kind, PyRows in, PyRows out, uint32_t size, uint32_t count,
              int32_t weight, int32_t bias, float epsilon) {
             fbc::NormT s;
             s.kind = static_cast<fbc::NormKind>(kind);
             s.input = ToRows(in);
             s.out = ToRows(out);
             s.size = size;
             s.count = count;
             s.weight = weight;
             s.bias = bias;
             s.epsilon = epsilon;
             self.Add(std::move(s));
           })
      .def(
          "matmul",
          [](CpuPlanWriter& self, PyRows in, PyRows out, uint32_t matrix, int32_t bias,
             std::optional<PyRows> residual, int activation, bool gated, uint32_t columns,
             bool float_activations, bool bf16_activations) {
            fbc::MatmulT s;
            s.input = ToRows(in);
            s.out = ToRows(out);
            s.matrix = matrix;
            s.bias = bias;
            if (residual.has_value()) s.residual = ToRows(*residual);
            s.activation = static_cast<fbc::Activation>(activation);
            s.gated = gated;
            s.columns = columns;
            s.float_activations = float_activations;
            s.bf16_activations = bf16_activations;
            self.Add(std::move(s));
          },
          nb::arg("input"), nb::arg("out"), nb::arg("matrix"), nb::arg("bias"),
          nb::arg("residual").none(), nb::arg("activation"), nb::arg("gated"), nb::arg("columns"),
          nb::arg("float_activations"), nb::arg("bf16_activations"))
      .def("rope",
           [](CpuPlanWriter& self, PyRows rows, uint32_t heads, uint32_t size, uint32_t rotary,
              int kind, int32_t cos, int32_t sin, std::optional<PyGroups> groups) {
             fbc::RopeT s;
             s.rows = ToRows(rows);
             s.heads = heads;
             s.size = size;
             s.rotary = rotary;
             s.kind = static_cast<fbc::RopeKind>(kind);
             s.cos = cos;
             s.sin = sin;
             if (groups.has_value()) s.groups = ToGroups(*groups);
             self.Add(std::move(s));
           })
      .def("attention",
           [](CpuPlanWriter& self, PyRows query, PyRows key, PyRows value, PyRows out,
              uint32_t heads, uint32_t cache, uint32_t window, float scale, float soft_cap,
              int32_t sinks) {
             fbc::AttentionT s;
             s.query = ToRows(query);
             s.key = ToRows(key);
             s.value = ToRows(value);
             s.out = ToRows(out);
             s.heads = heads;
             s.cache = cache;
             s.window = window;
             s.scale = scale;
             s.soft_cap = soft_cap;
             s.sinks = sinks;
             self.Add(std::move(s));
           })
      .def("self_attention",
           [](CpuPlanWriter& self, PyRows query, PyRows key, PyRows value, PyRows out,
              uint32_t heads, uint32_t kv_heads, uint32_t key_size, uint32_t value_size,
              PyGroups groups, bool causal, float scale, float soft_cap, int32_t sinks,
              int32_t mask, int type) {
             fbc::SelfAttentionT s;
             s.query = ToRows(query);
             s.key = ToRows(key);
             s.value = ToRows(value);
             s.out = ToRows(out);
             s.heads = heads;
             s.kv_heads = kv_heads;
             s.key_size = key_size;
             s.value_size = value_size;
             s.groups = ToGroups(groups);
             s.causal = causal;
             s.scale = scale;
             s.soft_cap = soft_cap;
             s.sinks = sinks;
             s.mask = mask;
             s.type = static_cast<fbc::CacheType>(type);
             self.Add(std::move(s));
           })
      .def("affine",
           [](CpuPlanWriter& self, PyRows in, PyRows out, uint32_t size, int32_t weight,
              int32_t bias, PyGroups groups) {
             fbc::AffineT s;
             s.input = ToRows(in);
             s.out = ToRows(out);
             s.size = size;
             s.weight = weight;
             s.bias = bias;
             s.groups = ToGroups(groups);
             self.Add(std::move(s));
           })
      .def("add",
           [](CpuPlanWriter& self, PyRows a, PyRows b, PyRows out, uint32_t size) {
             fbc::AddT s;
             s.a = ToRows(a);
             s.b = ToRows(b);
             s.out = ToRows(out);
             s.size = size;
             self.Add(std::move(s));
           })
      .def("gate",
           [](CpuPlanWriter& self, int activation, PyRows gate, PyRows in, PyRows out,
              uint32_t size) {
             fbc::GateT s;
             s.activation = static_cast<fbc::Activation>(activation);
             s.gate = ToRows(gate);
             s.input = ToRows(in);
             s.out = ToRows(out);
             s.size = size;
             self.Add(std::move(s));
           })
      .def("last",
           [](CpuPlanWriter& self, PyRows in, PyRows out, uint32_t size) {
             fbc::LastT s;
             s.input = ToRows(in);
             s.out = ToRows(out);
             s.size = size;
             self.Add(std::move(s));
           })
      .def("scale",
           [](CpuPlanWriter& self, PyRows in, PyRows out, uint32_t size, float factor) {
             fbc::ScaleT s;
             s.input = ToRows(in);
             s.out = ToRows(out);
             s.size = size;
             s.factor = factor;
             self.Add(std::move(s));
           })
      .def("to_bytes", &CpuPlanWriter::ToBytes);
}

}  // namespace rushlight::python
