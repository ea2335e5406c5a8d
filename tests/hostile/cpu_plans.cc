// Copyright (c) The Rushlight authors.
// SPDX-License-Identifier: BSD-3-Clause

#include "tests/hostile/cpu_plans.h"

#include <algorithm>
#include <charconv>
#include <memory>
#include <set>
#include <string>
#include <utility>

#include "src/kernels/packed/layout.h"
#include "tests/hostile/program_writer.h"

namespace rushlight::hostile {
namespace {

namespace fb = rushlight::fb::cpu;

// Writes a plan step by step.
class PlanWriter {
 public:
  explicit PlanWriter(const DecoderShape& s) : s_(s) {}

  fb::PlanT Write() {
    plan_.version = 2;
    plan_.max_rows = s_.max_rows;
    plan_.position_argument = 1;
    Argument(s_.embeddings ? fb::ArgumentKind_ROWS_IN : fb::ArgumentKind_TOKENS,
             s_.embeddings ? s_.width : 0);
    Argument(fb::ArgumentKind_POSITIONS, 0);
    Argument(fb::ArgumentKind_ROWS_OUT, s_.tokens).single = true;
    plan_.arguments.back()->leading = {1};
    if (s_.embeddings) Argument(fb::ArgumentKind_ROWS_OUT, s_.width).like = 0;

    const uint32_t query = s_.heads * s_.head, kv = s_.kv_heads * s_.head;
    x_ = Buffer(s_.width);
    h_ = Buffer(s_.width);
    qkv_ = Buffer(query + 2 * kv);
    attended_ = Buffer(query);
    mlp_ = Buffer(s_.mlp);
    gate_ = Buffer(s_.mlp);
    last_ = Buffer(s_.width, /*single=*/true);
    ones_ = Vector(s_.width);
    angles_ = Vector(s_.positions * s_.head / 2);
    const uint32_t table = Matrix(s_.tokens, s_.width);

    if (s_.embeddings) {
      fb::ScaleT scale;
      scale.input = At(0, 0, true);
      scale.out = At(x_);
      scale.size = s_.width;
      scale.factor = 0.5f;
      Add(std::move(scale));
    } else {
      fb::EmbedT embed;
      embed.matrix = table;
      embed.out = At(x_);
      Add(std::move(embed));
    }
    for (uint32_t layer = 0; layer < s_.layers; ++layer) Layer(query, kv);
    if (s_.embeddings) Norm(At(x_), At(3, 0, true));
    fb::LastT last;
    last.input = At(x_);
    last.out = At(last_);
    last.size = s_.width;
    Add(std::move(last));
    Norm(At(last_), At(last_));
    Matmul(table, last_, At(2, 0, true), s_.tokens);
    return std::move(plan_);
  }

 private:
  using Rows = std::unique_ptr<fb::Rows>;

  static Rows At(uint32_t index, uint32_t column = 0, bool argument = false) {
    return std::make_unique<fb::Rows>(argument, index, column);
  }
  template <class T>
  T& Add(T step) {
    plan_.steps.push_back(std::make_unique<fb::StepT>());
    plan_.steps.back()->operation.Set(std::move(step));
    return *static_cast<T*>(plan_.steps.back()->operation.value);
  }
  fb::ArgumentT& Argument(fb::ArgumentKind kind, uint32_t width) {
    plan_.arguments.push_back(std::make_unique<fb::ArgumentT>());
    plan_.arguments.back()->kind = kind;
    plan_.arguments.back()->width = width;
    return *plan_.arguments.back();
  }
  uint32_t Buffer(uint32_t width, bool single = false) {
    plan_.buffers.emplace_back(floats_, width, single);
    floats_ += (width + 15) / 16 * 16;
    return static_cast<uint32_t>(plan_.buffers.size() - 1);
  }
  int32_t Vector(uint32_t size) {
    plan_.vectors.emplace_back(vector_bytes_, size);
    vector_bytes_ += size * sizeof(float);
    return static_cast<int32_t>(plan_.vectors.size() - 1);
  }
  uint32_t Matrix(uint32_t outputs, uint32_t inputs) {
    auto matrix = std::make_unique<fb::MatrixT>();
    matrix->format = s_.weights;
    matrix->outputs = outputs;
    matrix->inputs = inputs;
    matrix->group = s_.group;
    matrix->scale = s_.scale;
    matrix->has_minimum = s_.minimums;
    plan_.matrices.push_back(std::move(matrix));
    return static_cast<uint32_t>(plan_.matrices.size() - 1);
  }

  void Norm(Rows input, Rows out) {
    fb::NormT norm;
    norm.kind = s_.norm;
    norm.input = std::move(input);
    norm.out = std::move(out);
    norm.size = s_.width;
    norm.weight = ones_;
    norm.bias = s_.norm == fb::NormKind_LAYER ? ones_ : -1;
    norm.epsilon = 1e-5f;
    Add(std::move(norm));
  }
  fb::MatmulT& Matmul(uint32_t matrix, uint32_t input, Rows out, uint32_t columns) {
    fb::MatmulT matmul;
    matmul.matrix = matrix;
    matmul.input = At(input);
    matmul.out = std::move(out);
    matmul.columns = columns;
    matmul.float_activations = s_.float_activations;
    matmul.bf16_activations = s_.bf16_activations;
    return Add(std::move(matmul));
  }
  void Rope(uint32_t column, uint32_t heads) {
    fb::RopeT rope;
    rope.rows = At(qkv_, column);
    rope.heads = heads;
    rope.size = rope.rotary = s_.head;
    rope.kind = s_.rope;
    rope.cos = rope.sin = angles_;
    Add(std::move(rope));
  }

  void Layer(uint32_t query, uint32_t kv) {
    auto cache = std::make_unique<fb::CacheT>();
    const auto index = static_cast<uint32_t>(plan_.caches.size());
    cache->keys = "keys" + std::to_string(index);
    cache->values = "values" + std::to_string(index);
    cache->type = s_.cache;
    cache->heads = s_.kv_heads;
    cache->key_size = cache->value_size = s_.head;
    cache->positions = s_.positions;
    plan_.caches.push_back(std::move(cache));

    Norm(At(x_), At(h_));
    Matmul(Matrix(query + 2 * kv, s_.width), h_, At(qkv_), query + 2 * kv);
    Rope(0, s_.heads);
    Rope(query, s_.kv_heads);
    fb::AttentionT attention;
    attention.query = At(qkv_);
    attention.key = At(qkv_, query);
    attention.value = At(qkv_, query + kv);
    attention.out = At(attended_);
    attention.heads = s_.heads;
    attention.cache = index;
    attention.window = s_.window;
    attention.scale = 0.25f;
    Add(std::move(attention));
    Matmul(Matrix(s_.width, query), attended_, At(x_), s_.width).residual = At(x_);
    Norm(At(x_), At(h_));
    if (s_.gated) {
      fb::MatmulT& both = Matmul(Matrix(2 * s_.mlp, s_.width), h_, At(mlp_), s_.mlp);
      both.gated = true;
      both.activation = fb::Activation_SILU;
    } else {
      Matmul(Matrix(s_.mlp, s_.width), h_, At(gate_), s_.mlp);
      Matmul(Matrix(s_.mlp, s_.width), h_, At(mlp_), s_.mlp);
      fb::GateT gate;
      gate.activation = fb::Activation_GELU_TANH;
      gate.gate = At(gate_);
      gate.input = At(mlp_);
      gate.out = At(mlp_);
      gate.size = s_.mlp;
      Add(std::move(gate));
    }
    Matmul(Matrix(s_.width, s_.mlp), mlp_, At(h_), s_.width);
    fb::AddT add;
    add.a = At(x_);
    add.b = At(h_);
    add.out = At(x_);
    add.size = s_.width;
    Add(std::move(add));
  }

  const DecoderShape& s_;
  fb::PlanT plan_;
  uint32_t floats_ = 0;
  uint64_t vector_bytes_ = 0;
  uint32_t x_ = 0, h_ = 0, qkv_ = 0, attended_ = 0, mlp_ = 0, gate_ = 0, last_ = 0;
  int32_t ones_ = 0, angles_ = 0;
};

size_t BytesOf(const fb::MatrixT& m) {
  kernels::PackedMatrix w;
  w.format = static_cast<kernels::PackedFormat>(m.format);
  w.has_minimum = m.has_minimum;
  w.scale = static_cast<kernels::ScaleType>(m.scale);
  w.n = m.outputs;
  w.k = m.inputs;
  w.group = m.group;
  return kernels::PackedBytes(w);
}

}  // namespace

fb::PlanT MakeDecoderPlan(const DecoderShape& shape) { return PlanWriter(shape).Write(); }

fb::PlanT MakeEncoderPlan(bool alone) {
  constexpr uint32_t kHead = 4, kHeads = 2, kWidth = 3 * kHeads * kHead, kRows = 8;
  fb::PlanT plan;
  plan.version = 2;
  plan.max_rows = kRows;
  const auto argument = [&](fb::ArgumentKind kind, uint32_t width) {
    plan.arguments.push_back(std::make_unique<fb::ArgumentT>());
    plan.arguments.back()->kind = kind;
    plan.arguments.back()->width = width;
  };
  argument(fb::ArgumentKind_ROWS_IN, kWidth);
  argument(fb::ArgumentKind_MASK, 0);
  argument(fb::ArgumentKind_ROWS_OUT, kHeads * kHead);
  plan.arguments.back()->like = 0;
  plan.buffers.emplace_back(0, (kWidth + 15) / 16 * 16, false);
  plan.vectors.emplace_back(0, kWidth * kRows);
  const auto groups = [&] {
    return alone ? std::make_unique<fb::Groups>(1, -1) : std::make_unique<fb::Groups>(kRows, 0);
  };
  const auto at = [](bool is_argument, uint32_t index, uint32_t column = 0) {
    return std::make_unique<fb::Rows>(is_argument, index, column);
  };
  const auto add = [&](auto step) {
    plan.steps.push_back(std::make_unique<fb::StepT>());
    plan.steps.back()->operation.Set(std::move(step));
  };
  fb::AffineT affine;
  affine.input = at(true, 0);
  affine.out = at(false, 0);
  affine.size = kWidth;
  affine.weight = affine.bias = 0;
  affine.groups = groups();
  add(std::move(affine));
  fb::RopeT rope;
  rope.rows = at(false, 0);
  rope.heads = 2 * kHeads;
  rope.size = rope.rotary = kHead;
  rope.kind = fb::RopeKind_INTERLEAVED;
  rope.groups = groups();
  add(std::move(rope));
  fb::SelfAttentionT attention;
  attention.query = at(false, 0);
  attention.key = at(false, 0, kHeads * kHead);
  attention.value = at(false, 0, 2 * kHeads * kHead);
  attention.out = at(true, 2);
  attention.heads = attention.kv_heads = kHeads;
  attention.key_size = attention.value_size = kHead;
  attention.groups = groups();
  attention.causal = alone;
  attention.scale = 0.5f;
  attention.mask = alone ? -1 : 1;
  add(std::move(attention));
  return plan;
}

std::vector<uint8_t> PackPlan(fb::PlanT& plan) {
  for (const auto& matrix : plan.matrices) matrix->key = std::to_string(BytesOf(*matrix));
  uint64_t vector_bytes = 0;
  for (const fb::Vector& v : plan.vectors) {
    vector_bytes = std::max(vector_bytes, v.offset() + v.size() * sizeof(float));
  }
  plan.vectors_key = std::to_string(vector_bytes);
  flatbuffers::FlatBufferBuilder builder;
  fb::FinishPlanBuffer(builder, fb::Plan::Pack(builder, &plan));
  return {builder.GetBufferPointer(), builder.GetBufferPointer() + builder.GetSize()};
}

std::vector<uint8_t> CpuPlanData(std::string_view key, size_t limit) {
  size_t size = 0;
  const auto [end, error] = std::from_chars(key.data(), key.data() + key.size(), size);
  if (error != std::errc() || end != key.data() + key.size() || size > limit) return {};
  // Pairs of bytes that are small, as float32, bfloat16 and float16 alike, of either sign.
  std::vector<uint8_t> bytes(size);
  uint32_t random = 1;
  for (size_t i = 0; i < size; ++i) {
    random = random * 1664525 + 1013904223;
    bytes[i] =
        static_cast<uint8_t>(i % 2 == 0 ? random >> 24 & 0x7f : 0x3c | (random >> 24 & 0x80));
  }
  return bytes;
}

std::vector<uint8_t> MakeDecoderProgram(const DecoderShape& shape) {
  fb::PlanT plan = MakeDecoderPlan(shape);
  const std::vector<uint8_t> payload = PackPlan(plan);
  ProgramWriter p;
  std::set<std::string> keys = {plan.vectors_key};
  for (const auto& matrix : plan.matrices) keys.insert(matrix->key);
  for (const std::string& key : keys) {
    p.builder.AddNamedData(key, p.Keep(CpuPlanData(key, SIZE_MAX)), kernels::kLineBytes);
  }
  MethodWriter w(p, "forward");
  const auto rows = static_cast<int32_t>(shape.max_rows);
  const int32_t tokens = w.Planned(DType::kInt64, {rows}, {.dynamic = true});
  const int32_t positions = w.Planned(DType::kInt64, {rows}, {.dynamic = true});
  const int32_t logits = w.Planned(DType::kFloat32, {1, static_cast<int32_t>(shape.tokens)});
  const int32_t delegate = p.builder.AddDelegate(w.m, "RushlightCpu", p.Keep(payload), {});
  w.m.AddDelegateCall(delegate, {tokens, positions, logits});
  w.Inputs({tokens, positions});
  w.Outputs({logits});
  w.Finish();
  return p.builder.ToBytes();
}

}  // namespace rushlight::hostile
