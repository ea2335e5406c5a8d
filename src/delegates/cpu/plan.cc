// Copyright (c) The Rushlight authors.
// SPDX-License-Identifier: BSD-3-Clause

#include "src/delegates/cpu/plan.h"

#include <algorithm>
#include <iterator>

#include "rushlight/platform.h"
#include "src/delegates/cpu/schema.h"

namespace rushlight::delegates::cpu {
namespace {

namespace fb = rushlight::fb::cpu;
using kernels::PackedFormat;
using kernels::PackedMatrix;

constexpr uint32_t kVersion = 2;
// Sizes of rows, matrices and caches; products of two of them and a few bytes fit 64 bits.
constexpr uint64_t kMaxSize = uint64_t{1} << 28;
constexpr uint64_t kMaxBytes = SIZE_MAX < uint64_t{1} << 46 ? SIZE_MAX / 4 : uint64_t{1} << 46;

static_assert(static_cast<int>(fb::MatrixFormat_U4) == static_cast<int>(PackedFormat::kU4) &&
              static_cast<int>(fb::MatrixFormat_BF16) == static_cast<int>(PackedFormat::kBF16));
static_assert(static_cast<int>(fb::ScaleType_F16) == static_cast<int>(kernels::ScaleType::kF16) &&
              static_cast<int>(fb::ScaleType_F32) == static_cast<int>(kernels::ScaleType::kF32) &&
              static_cast<int>(fb::ScaleType_I8) == static_cast<int>(kernels::ScaleType::kI8));
static_assert(static_cast<int>(fb::Activation_MAX) ==
              static_cast<int>(kernels::Activation::kQuickGelu));
static_assert(static_cast<int>(fb::RopeKind_INTERLEAVED) ==
              static_cast<int>(kernels::Rope::kInterleaved));

#define CHECK_PLAN(condition) RL_CHECK(condition, Reason::kDelegatePayload)

bool InSize(uint64_t n) { return n > 0 && n <= kMaxSize; }

// Checks steps against everything that they name.
class StepChecker {
 public:
  StepChecker(const fb::Plan& source, Plan* plan) : source_(source), plan_(*plan) {}

  Error Check(const fb::Step& step) {
    CHECK_PLAN(step.operation() != nullptr);  // FlatBuffers lets a kind stand without its table
    switch (step.operation_type()) {
      case fb::Operation_Embed:
        return CheckEmbed(*step.operation_as_Embed());
      case fb::Operation_Norm:
        return CheckNorm(*step.operation_as_Norm());
      case fb::Operation_Matmul:
        return CheckMatmul(*step.operation_as_Matmul());
      case fb::Operation_Rope:
        return CheckRope(*step.operation_as_Rope());
      case fb::Operation_Attention:
        return CheckAttention(*step.operation_as_Attention());
      case fb::Operation_Add: {
        const fb::Add& s = *step.operation_as_Add();
        RL_RETURN_IF_ERROR(Output(s.out(), s.size()));
        RL_RETURN_IF_ERROR(Input(s.a(), s.size()));
        return Input(s.b(), s.size());
      }
      case fb::Operation_Gate: {
        const fb::Gate& s = *step.operation_as_Gate();
        CHECK_PLAN(s.activation() <= fb::Activation_MAX);
        RL_RETURN_IF_ERROR(Output(s.out(), s.size()));
        RL_RETURN_IF_ERROR(Input(s.gate(), s.size()));
        return Input(s.input(), s.size());
      }
      case fb::Operation_Last: {
        const fb::Last& s = *step.operation_as_Last();
        RL_RETURN_IF_ERROR(Output(s.out(), s.size()));
        CHECK_PLAN(single_);
        return Columns(s.input(), s.size(), nullptr);
      }
      case fb::Operation_Scale: {
        const fb::Scale& s = *step.operation_as_Scale();
        RL_RETURN_IF_ERROR(Output(s.out(), s.size()));
        return Input(s.input(), s.size());
      }
      case fb::Operation_SelfAttention:
        return CheckSelfAttention(*step.operation_as_SelfAttention());
      case fb::Operation_Affine: {
        const fb::Affine& s = *step.operation_as_Affine();
        RL_RETURN_IF_ERROR(Output(s.out(), s.size()));
        RL_RETURN_IF_ERROR(Input(s.input(), s.size()));
        RL_RETURN_IF_ERROR(CheckGroups(s.groups()));
        const uint64_t floats = uint64_t{s.size()} * s.groups()->length();
        RL_RETURN_IF_ERROR(OptionalVector(s.weight(), floats));
        return OptionalVector(s.bias(), floats);
      }
      default:
        return Error(Reason::kDelegatePayload);
    }
  }

 private:
  // `size` columns of what `rows` names.
  Error Columns(const fb::Rows* rows, uint64_t size, bool* single, bool* writable = nullptr) const {
    CHECK_PLAN(rows != nullptr && InSize(size));
    uint64_t width;
    if (rows->is_argument()) {
      CHECK_PLAN(rows->index() < SizeOf(source_.arguments()));
      const fb::Argument& a = *source_.arguments()->Get(rows->index());
      CHECK_PLAN(a.kind() == fb::ArgumentKind_ROWS_IN || a.kind() == fb::ArgumentKind_ROWS_OUT);
      if (single != nullptr) *single = a.single();
      if (writable != nullptr) *writable = a.kind() == fb::ArgumentKind_ROWS_OUT;
      width = a.width();
    } else {
      CHECK_PLAN(rows->index() < SizeOf(source_.buffers()));
      const fb::Buffer& b = *source_.buffers()->Get(rows->index());
      if (single != nullptr) *single = b.single();
      if (writable != nullptr) *writable = true;
      width = b.width();
    }
    CHECK_PLAN(rows->column() <= width && size <= width - rows->column());
    return kOk;
  }
  // Comes first: the other rows of the step are as many.
  Error Output(const fb::Rows* rows, uint64_t size) {
    bool writable = false;
    RL_RETURN_IF_ERROR(Columns(rows, size, &single_, &writable));
    CHECK_PLAN(writable);
    return kOk;
  }
  Error Input(const fb::Rows* rows, uint64_t size) const {
    bool single = false;
    RL_RETURN_IF_ERROR(Columns(rows, size, &single));
    CHECK_PLAN(single == single_);
    return kOk;
  }
  Error OptionalVector(int32_t index, uint64_t size) const {
    if (index == -1) return kOk;
    CHECK_PLAN(index >= 0 && static_cast<size_t>(index) < SizeOf(source_.vectors()));
    CHECK_PLAN(source_.vectors()->Get(static_cast<uint32_t>(index))->size() >= size);
    return kOk;
  }

  Error CheckEmbed(const fb::Embed& s) {
    CHECK_PLAN(s.tokens() < SizeOf(source_.arguments()) && s.matrix() < SizeOf(source_.matrices()));
    CHECK_PLAN(source_.arguments()->Get(s.tokens())->kind() == fb::ArgumentKind_TOKENS);
    RL_RETURN_IF_ERROR(Output(s.out(), plan_.matrices[s.matrix()].k));
    CHECK_PLAN(!single_);
    return kOk;
  }

  Error CheckNorm(const fb::Norm& s) {
    CHECK_PLAN(s.kind() <= fb::NormKind_MAX && InSize(s.count()) && InSize(s.size()));
    RL_RETURN_IF_ERROR(Output(s.out(), uint64_t{s.size()} * s.count()));
    RL_RETURN_IF_ERROR(Input(s.input(), uint64_t{s.size()} * s.count()));
    CHECK_PLAN(s.kind() != fb::NormKind_RMS || s.weight() >= 0);
    RL_RETURN_IF_ERROR(OptionalVector(s.weight(), s.size()));
    return OptionalVector(s.bias(), s.size());
  }

  Error CheckMatmul(const fb::Matmul& s) {
    CHECK_PLAN(s.matrix() < SizeOf(source_.matrices()) && s.activation() <= fb::Activation_MAX);
    const PackedMatrix& w = plan_.matrices[s.matrix()];
    CHECK_PLAN(InSize(s.columns()));
    if (s.gated()) {
      CHECK_PLAN(w.n % (2 * kernels::kPanelOutputs) == 0 && s.columns() <= w.n / 2);
      CHECK_PLAN(s.residual() == nullptr);
    } else {
      CHECK_PLAN(s.columns() == w.n);
    }
    RL_RETURN_IF_ERROR(Output(s.out(), s.columns()));
    RL_RETURN_IF_ERROR(Input(s.input(), w.k));
    if (s.residual() != nullptr) {
      CHECK_PLAN(s.activation() == fb::Activation_NONE);
      RL_RETURN_IF_ERROR(Input(s.residual(), s.columns()));
    }
    CHECK_PLAN(!kernels::HasTwoLevels(w) || !s.float_activations());
    if (kernels::IsInteger(w.format) && !s.float_activations()) {
      plan_.quantized_stride = std::max(plan_.quantized_stride, kernels::QuantizedStride(w.k));
      plan_.quantized_groups = std::max(plan_.quantized_groups, kernels::GroupCount(w));
    }
    if (w.format == PackedFormat::kBF16 && s.bf16_activations()) {
      plan_.quantized_stride =
          std::max(plan_.quantized_stride, kernels::RoundedStride(w.k) * sizeof(BFloat16));
    }
    return OptionalVector(s.bias(), w.n);
  }

  // Comes behind Output.  A single row is a group.
  Error CheckGroups(const fb::Groups* groups) const {
    CHECK_PLAN(groups != nullptr);
    CHECK_PLAN(!single_ || (groups->length() == 1 && groups->argument() == -1));
    CHECK_PLAN(groups->length() > 0 && groups->length() <= source_.max_rows());
    if (groups->argument() == -1) return kOk;
    CHECK_PLAN(groups->argument() >= 0 &&
               static_cast<size_t>(groups->argument()) < SizeOf(source_.arguments()));
    const auto index = static_cast<uint32_t>(groups->argument());
    CHECK_PLAN(source_.arguments()->Get(index)->kind() != fb::ArgumentKind_ROWS_OUT);
    return kOk;
  }

  Error CheckRope(const fb::Rope& s) {
    CHECK_PLAN(InSize(s.heads()) && InSize(s.size()) && s.kind() <= fb::RopeKind_MAX);
    CHECK_PLAN(s.rotary() > 0 && s.rotary() % 2 == 0 && s.rotary() <= s.size());
    CHECK_PLAN(s.cos() >= 0 && s.sin() >= 0);
    CHECK_PLAN(s.groups() != nullptr || source_.position_argument() >= 0);
    RL_RETURN_IF_ERROR(Output(s.rows(), uint64_t{s.heads()} * s.size()));
    CHECK_PLAN(!single_);
    if (s.groups() != nullptr) RL_RETURN_IF_ERROR(CheckGroups(s.groups()));
    RL_RETURN_IF_ERROR(OptionalVector(s.cos(), s.rotary() / 2));
    return OptionalVector(s.sin(), s.rotary() / 2);
  }

  Error CheckAttention(const fb::Attention& s) {
    CHECK_PLAN(s.cache() < SizeOf(source_.caches()) && source_.position_argument() >= 0);
    const fb::Cache& c = *source_.caches()->Get(s.cache());
    CHECK_PLAN(InSize(s.heads()) && s.heads() % c.heads() == 0);
    RL_RETURN_IF_ERROR(Output(s.out(), uint64_t{s.heads()} * c.value_size()));
    CHECK_PLAN(!single_);
    RL_RETURN_IF_ERROR(Input(s.query(), uint64_t{s.heads()} * c.key_size()));
    RL_RETURN_IF_ERROR(Input(s.key(), uint64_t{c.heads()} * c.key_size()));
    RL_RETURN_IF_ERROR(Input(s.value(), uint64_t{c.heads()} * c.value_size()));
    plan_.thread_floats = std::max(plan_.thread_floats, kernels::AttentionScratch(CacheOf(c)));
    return OptionalVector(s.sinks(), s.heads());
  }

  Error CheckSelfAttention(const fb::SelfAttention& s) {
    CHECK_PLAN(InSize(s.heads()) && InSize(s.kv_heads()) && s.heads() % s.kv_heads() == 0);
    CHECK_PLAN(InSize(s.key_size()) && InSize(s.value_size()));
    CHECK_PLAN(s.type() == fb::CacheType_F32 || s.type() == fb::CacheType_BF16);
    RL_RETURN_IF_ERROR(Output(s.out(), uint64_t{s.heads()} * s.value_size()));
    CHECK_PLAN(!single_);
    RL_RETURN_IF_ERROR(Input(s.query(), uint64_t{s.heads()} * s.key_size()));
    RL_RETURN_IF_ERROR(Input(s.key(), uint64_t{s.kv_heads()} * s.key_size()));
    RL_RETURN_IF_ERROR(Input(s.value(), uint64_t{s.kv_heads()} * s.value_size()));
    RL_RETURN_IF_ERROR(CheckGroups(s.groups()));
    if (s.mask() != -1) {
      CHECK_PLAN(s.mask() >= 0 && static_cast<size_t>(s.mask()) < SizeOf(source_.arguments()));
      CHECK_PLAN(source_.arguments()->Get(static_cast<uint32_t>(s.mask()))->kind() ==
                 fb::ArgumentKind_MASK);
    }
    const uint64_t sizes = uint64_t{s.key_size()} + s.value_size();
    CHECK_PLAN(sizes <= kMaxBytes / 4096 / kernels::BlockPositions(s.groups()->length()));
    plan_.thread_floats = std::max(plan_.thread_floats, SelfAttentionFloats(s));
    return OptionalVector(s.sinks(), s.heads());
  }

  const fb::Plan& source_;
  Plan& plan_;
  bool single_ = false;
};

Error LoadMatrices(const PlanSource& source, const fb::Plan& plan, PackedMatrix* out) {
  for (uint32_t i = 0; i < SizeOf(plan.matrices()); ++i) {
    const fb::Matrix& m = *plan.matrices()->Get(i);
    PackedMatrix& w = out[i];
    CHECK_PLAN(m.format() <= fb::MatrixFormat_MAX && m.scale() <= fb::ScaleType_MAX);
    CHECK_PLAN(InSize(m.outputs()) && InSize(m.inputs()));
    w.format = static_cast<PackedFormat>(m.format());
    w.has_minimum = m.has_minimum();
    w.scale = static_cast<kernels::ScaleType>(m.scale());
    w.n = m.outputs();
    w.k = m.inputs();
    w.group = m.group();
    NamedBytes data;
    RL_RETURN_IF_ERROR(source.data.Find(ViewOrEmpty(m.key()), &data));
    const size_t bytes = kernels::PackedBytes(w);
    CHECK_PLAN(bytes != 0 && bytes == data.bytes.size());
    CHECK_PLAN(reinterpret_cast<uintptr_t>(data.bytes.data()) % kernels::kLineBytes == 0);
    w.panels = data.bytes.data();
  }
  return kOk;
}

Error LoadVectors(const PlanSource& source, const fb::Plan& plan, const float** out,
                  Span<const uint8_t>* bytes) {
  if (SizeOf(plan.vectors()) == 0) return kOk;
  // The verifier looks where the vector begins, not at what its structs need.
  CHECK_PLAN(reinterpret_cast<uintptr_t>(plan.vectors()->Data()) % alignof(fb::Vector) == 0);
  NamedBytes data;
  RL_RETURN_IF_ERROR(source.data.Find(ViewOrEmpty(plan.vectors_key()), &data));
  CHECK_PLAN(reinterpret_cast<uintptr_t>(data.bytes.data()) % alignof(float) == 0);
  for (uint32_t i = 0; i < plan.vectors()->size(); ++i) {
    const fb::Vector& v = *plan.vectors()->Get(i);
    CHECK_PLAN(v.offset() % sizeof(float) == 0 && v.offset() <= data.bytes.size());
    CHECK_PLAN(v.size() <= (data.bytes.size() - v.offset()) / sizeof(float));
    out[i] = reinterpret_cast<const float*>(data.bytes.data() + v.offset());
  }
  *bytes = data.bytes;
  return kOk;
}

// A matrix that is looked up only is read in as many places as a call has rows.
Span<const PlanWeights> ListWeights(const fb::Plan& plan, const PackedMatrix* matrices,
                                    Span<const uint8_t> vectors, PlanWeights* out) {
  const size_t count = SizeOf(plan.matrices());
  for (size_t i = 0; i < count; ++i) {
    out[i] = {{matrices[i].panels, kernels::PackedBytes(matrices[i])}, plan.max_rows()};
  }
  for (const fb::Step* step : *plan.steps()) {
    if (const fb::Matmul* s = step->operation_as_Matmul()) out[s->matrix()].lookups = 0;
  }
  out[count] = {vectors, 0};
  return {out, count + 1};
}

Error LoadCaches(const fb::Plan& plan, StateSpec* out) {
  for (uint32_t i = 0; i < SizeOf(plan.caches()); ++i) {
    const fb::Cache& c = *plan.caches()->Get(i);
    CHECK_PLAN(c.type() <= fb::CacheType_MAX && c.keys() != nullptr && c.values() != nullptr);
    CHECK_PLAN(InSize(c.heads()) && InSize(c.key_size()) && InSize(c.value_size()));
    CHECK_PLAN(InSize(c.positions()));
    CHECK_PLAN(c.positions() == plan.caches()->Get(0)->positions());
    const kernels::KvCache cache = CacheOf(c);
    const uint64_t widest = std::max(c.key_size(), c.value_size()) + uint64_t{1};
    CHECK_PLAN(uint64_t{c.heads()} * widest <= kMaxSize);
    const uint64_t bytes = widest * ElementSize(cache.type) + kernels::ScaleBytes(cache);
    CHECK_PLAN(uint64_t{c.heads()} * bytes <= kMaxBytes / kernels::BlockPositions(c.positions()));
    out[2 * i] = {View(c.keys()), kernels::KeyBytes(cache), 0, c.positions(),
                  kernels::kAttentionBlock};
    out[2 * i + 1] = {View(c.values()), kernels::ValueBytes(cache), 0, c.positions(),
                      kernels::kAttentionBlock};
  }
  return kOk;
}

Error CheckArguments(const PlanSource& source, const fb::Plan& plan) {
  const size_t count = SizeOf(plan.arguments());
  RL_CHECK(count == source.arguments, Reason::kDelegateArguments, Error::kNone,
           static_cast<int64_t>(source.arguments), static_cast<int64_t>(count));
  for (uint32_t i = 0; i < count; ++i) {
    const fb::Argument& a = *plan.arguments()->Get(i);
    CHECK_PLAN(a.kind() <= fb::ArgumentKind_MAX);
    const bool rows = a.kind() == fb::ArgumentKind_ROWS_IN || a.kind() == fb::ArgumentKind_ROWS_OUT;
    CHECK_PLAN(!rows || InSize(a.width()));
    CHECK_PLAN(SizeOf(a.leading()) < kMaxRank);
    CHECK_PLAN(!a.single() || rows);
    int flexible = 0;
    uint64_t fixed = 1;
    for (uint32_t d = 0; d < SizeOf(a.leading()); ++d) {
      const int32_t size = a.leading()->Get(d);
      CHECK_PLAN(size > 0 || size == -1);
      if (size == -1) {
        ++flexible;
      } else {
        fixed *= static_cast<uint64_t>(size);
        CHECK_PLAN(fixed <= kMaxSize);
      }
    }
    CHECK_PLAN(flexible <= 1);
    CHECK_PLAN(a.like() == -1 || (a.like() >= 0 && static_cast<size_t>(a.like()) < count));
    CHECK_PLAN(a.like() == -1 || plan.arguments()->Get(static_cast<uint32_t>(a.like()))->kind() <=
                                     fb::ArgumentKind_ROWS_IN);
  }
  CHECK_PLAN(plan.row_argument() < count);
  const fb::Argument& rows = *plan.arguments()->Get(plan.row_argument());
  CHECK_PLAN(rows.kind() <= fb::ArgumentKind_ROWS_IN && !rows.single());
  if (plan.position_argument() != -1) {
    CHECK_PLAN(plan.position_argument() >= 0 &&
               static_cast<size_t>(plan.position_argument()) < count);
    CHECK_PLAN(plan.arguments()->Get(static_cast<uint32_t>(plan.position_argument()))->kind() ==
               fb::ArgumentKind_POSITIONS);
  }
  return kOk;
}

// Buffers lie anywhere in the floats of a row: that they may share is the compiler's business.
Error CheckBuffers(const fb::Plan& source, Plan* plan) {
  uint64_t floats = 0;
  for (uint32_t i = 0; i < SizeOf(source.buffers()); ++i) {
    const fb::Buffer& b = *source.buffers()->Get(i);
    CHECK_PLAN(InSize(b.width()) && b.offset() <= kMaxSize && b.offset() % 16 == 0);
    floats = std::max(floats, (uint64_t{b.offset()} + b.width() + 15) / 16 * 16);
  }
  plan->row_floats = static_cast<size_t>(floats);
  return kOk;
}

// A row may be a sequence of its own.
uint64_t BytesOfRow(const Plan& plan) {
  return uint64_t{plan.row_floats} * sizeof(float) + plan.quantized_stride +
         uint64_t{plan.quantized_groups} * (2 * sizeof(float) + sizeof(int32_t)) +
         sizeof(uint32_t) + sizeof(Sequence);
}

DType TypeOf(fb::CacheType type) {
  constexpr DType kTypes[] = {DType::kFloat32, DType::kBFloat16, DType::kFloat16, DType::kInt8};
  static_assert(std::size(kTypes) == fb::CacheType_MAX + 1);
  return kTypes[type];
}

}  // namespace

kernels::KvCache CacheOf(const fb::Cache& c) {
  return {TypeOf(c.type()), nullptr, nullptr, c.heads(), c.key_size(), c.value_size()};
}

kernels::KvCache HeadCacheOf(const fb::SelfAttention& s) {
  return {TypeOf(s.type()), nullptr, nullptr, 1, s.key_size(), s.value_size()};
}

size_t SelfAttentionFloats(const fb::SelfAttention& s) {
  const kernels::KvCache head = HeadCacheOf(s);
  // Of a number of positions that makes whole floats of any type.
  return kernels::BlockPositions(s.groups()->length()) *
             (kernels::KeyBytes(head) + kernels::ValueBytes(head)) / sizeof(float) +
         kernels::AttentionScratch(head);
}

size_t ScratchBytes(const Plan& plan, size_t rows) {
  return rows * BytesOfRow(plan) + plan.threads * plan.thread_floats * sizeof(float) +
         8 * kernels::kLineBytes;
}

Result<const Plan*> LoadPlan(const PlanSource& source, Arena& arena) {
  const Span<const uint8_t> payload = source.payload;
  CHECK_PLAN(payload.size() >= 16 && reinterpret_cast<uintptr_t>(payload.data()) % 8 == 0);
  CHECK_PLAN(fb::PlanBufferHasIdentifier(payload.data()));
  flatbuffers::Verifier verifier(payload.data(), payload.size(), /*max_depth=*/8,
                                 /*max_tables=*/1'000'000);
  CHECK_PLAN(fb::VerifyPlanBuffer(verifier));
  const fb::Plan& in = *fb::GetPlan(payload.data());
  RL_CHECK(in.version() == kVersion, Reason::kDelegateVersion, Error::kNone, in.version(),
           kVersion);
  CHECK_PLAN(InSize(in.max_rows()) && SizeOf(in.steps()) > 0);
  RL_RETURN_IF_ERROR(CheckArguments(source, in));

  Plan* plan = arena.AllocateArray<Plan>(1);
  auto* matrices = arena.AllocateArray<PackedMatrix>(SizeOf(in.matrices()));
  auto* vectors = arena.AllocateArray<const float*>(SizeOf(in.vectors()));
  auto* states = arena.AllocateArray<StateSpec>(2 * SizeOf(in.caches()));
  auto* weights = arena.AllocateArray<PlanWeights>(SizeOf(in.matrices()) + 1);
  RL_CHECK(plan != nullptr && matrices != nullptr && vectors != nullptr && states != nullptr &&
               weights != nullptr,
           Reason::kMethodArena, Error::kNone, static_cast<int64_t>(payload.size()));
  RL_RETURN_IF_ERROR(LoadMatrices(source, in, matrices));
  Span<const uint8_t> vector_bytes;
  RL_RETURN_IF_ERROR(LoadVectors(source, in, vectors, &vector_bytes));
  RL_RETURN_IF_ERROR(LoadCaches(in, states));
  plan->source = &in;
  plan->matrices = matrices;
  plan->vectors = vectors;
  plan->states = {states, 2 * SizeOf(in.caches())};
  plan->max_rows = in.max_rows();
  plan->threads = std::max<size_t>(source.threads, 1);
  RL_RETURN_IF_ERROR(CheckBuffers(in, plan));
  StepChecker checker(in, plan);
  for (uint32_t i = 0; i < SizeOf(in.steps()); ++i) {
    RL_RETURN_IF_ERROR(checker.Check(*in.steps()->Get(i)));
  }
  plan->thread_floats = std::max(plan->thread_floats, plan->max_rows * kernels::kPanelOutputs);
  CHECK_PLAN(BytesOfRow(*plan) <= kMaxBytes / plan->max_rows);
  CHECK_PLAN(plan->thread_floats <= kMaxBytes / 4096);

  plan->weights = ListWeights(in, matrices, vector_bytes, weights);

  const char* const cap = platform::Setting("RUSHLIGHT_ISA");
  if (cap != nullptr && kernels::PlaceOfIsa(cap) == kernels::kIsaCount) {
    platform::Log(platform::LogLevel::kWarning, "RUSHLIGHT_ISA is no instruction set: ignored");
  }
  const kernels::Isa isa = kernels::ChooseIsa(platform::CpuFeatures(), cap);
  plan->integers = &kernels::kIntegerKernels[isa];
  plan->float_matmul = kernels::kFloatMatmul[isa];
  plan->round_row = kernels::kRoundRow[isa];
  plan->bf16_matmul = kernels::kBF16Matmul[isa];
  plan->rows = kernels::kRowKernels[isa];
  plan->attention = kernels::kAttention[isa];
  plan->self_attention = kernels::kTiledAttention[isa];
  return static_cast<const Plan*>(plan);
}

}  // namespace rushlight::delegates::cpu
