// Copyright (c) The Rushlight authors.
// SPDX-License-Identifier: BSD-3-Clause

#include "src/ops/elementwise.h"

#include <atomic>
#include <cstring>

#include "src/ops/loop_nest.h"

namespace rushlight::ops {
namespace {

// Slots of Prepared::loops.
constexpr size_t kCompute = 0;
constexpr size_t kInputCast = 1;  // and following
constexpr size_t kOutputCast = 5;
// For kRounded: from the compute type to the common dtype, and back.  A third and a fourth operand
// are numbers there and need no cast.
constexpr size_t kRound = kInputCast + 2;
constexpr size_t kUnround = kInputCast + 3;

constexpr size_t kBlockBytes = 512;  // an operand's share of the stack
constexpr size_t kGrain = 1 << 14;   // elements worth a task

const Loop* FindSlot(const RunContext& c, size_t slot) {
  return c.has_loop(slot) ? &c.loop(slot) : nullptr;
}

// How one input reaches the loop.
struct Source {
  const uint8_t* data = nullptr;
  size_t element_size = 0;        // as stored
  const Loop* cast = nullptr;     // to the compute type
  const Loop* round = nullptr;    // to the common dtype
  const Loop* unround = nullptr;  // and back
  int64_t stride = 1;
  size_t nest_operand = 0;
  bool constant = false;         // the same element everywhere: laid out once
  alignas(8) uint8_t number[8];  // of a scalar, in the compute type

  // Usable where it lies.
  bool direct() const { return cast == nullptr && round == nullptr && stride == 1; }

  // Lays n elements out in the compute type, contiguously.  `block` and `spare` hold that many.
  void LayOut(const uint8_t* from, size_t n, uint8_t* block, uint8_t* spare) const {
    if (cast != nullptr) {
      const kernels::CastArgs args{block, from, n, stride};
      cast->fn(&args);
    } else {
      kernels::Gather(block, from, n, stride, element_size);
    }
    if (round != nullptr) {
      const kernels::CastArgs there{spare, block, n, 1};
      round->fn(&there);
      const kernels::CastArgs back{block, spare, n, 1};
      unround->fn(&back);
    }
  }
};

// Bool, integer, floating point: a result may be stored as the same kind or a higher one.
int KindOf(DType t) { return IsFloating(t) ? 2 : IsInteger(t) ? 1 : 0; }

// True where `common` has every value of `t`.
bool Holds(DType common, DType t) {
  if (t == common || t == DType::kBool) return true;
  return IsFloating(t) == IsFloating(common) && PromoteTypes(t, common) == common;
}

bool IsOneElement(const Operand& operand) {
  for (const int32_t size : operand.sizes()) {
    if (size != 1) return false;
  }
  return true;
}

void StoreScalar(Scalar scalar, DType compute, void* out) {
  switch (compute) {
    case DType::kFloat32: {
      const auto v = static_cast<float>(scalar.to_double());
      std::memcpy(out, &v, sizeof v);
      break;
    }
    case DType::kFloat64: {
      const double v = scalar.to_double();
      std::memcpy(out, &v, sizeof v);
      break;
    }
    case DType::kInt32: {
      const auto v = static_cast<int32_t>(scalar.to_int());
      std::memcpy(out, &v, sizeof v);
      break;
    }
    default: {
      const int64_t v = scalar.to_int();
      std::memcpy(out, &v, sizeof v);
      break;
    }
  }
}

}  // namespace

DType ComputeType(DType common) {
  switch (common) {
    case DType::kFloat64:
      return DType::kFloat64;
    case DType::kInt64:
    case DType::kUInt32:
    case DType::kUInt64:
      return DType::kInt64;
    default:
      return IsFloating(common) ? DType::kFloat32 : DType::kInt32;
  }
}

DType CommonType(std::initializer_list<Operand> operands) {
  constexpr auto kUndefined = static_cast<DType>(-1);
  DType by_rank[3] = {kUndefined, kUndefined, kUndefined};  // with dimensions, without, numbers
  for (const Operand& o : operands) {
    DType& t = by_rank[o.tensor() == nullptr ? 2 : o.sizes().empty() ? 1 : 0];
    t = t == kUndefined ? o.dtype() : PromoteTypes(t, o.dtype());
  }
  DType result = by_rank[0];
  for (const DType lower : {by_rank[1], by_rank[2]}) {
    if (lower == kUndefined) continue;
    if (result == kUndefined) {
      result = lower;
    } else if (!IsFloating(result) && (result == DType::kBool || IsFloating(lower))) {
      result = PromoteTypes(result, lower);
    }
  }
  return result;
}

Error PrepareMap(PrepareContext& c, std::initializer_list<Operand> inputs, DType common,
                 MapRules rules, const Tensor& out, uint8_t variant) {
  RL_CHECK((rules & kNoBool) == 0 || common != DType::kBool, Reason::kArgumentDType, Error::kNone,
           static_cast<int64_t>(common));
  if ((rules & kToFloat) != 0 && !IsFloating(common)) common = DType::kFloat32;
  // In int64, half of its values would compare and divide as negative ones.
  RL_CHECK(common != DType::kUInt64, Reason::kNoKernelForDType, Error::kNone,
           static_cast<int64_t>(common));
  const DType compute = ComputeType(common);
  const DType produced = (rules & kToBool) != 0 ? DType::kBool : compute;
  const DType result = (rules & kToBool) != 0 ? DType::kBool : common;
  RL_RETURN_IF_ERROR(c.UseLoop(kCompute, compute, produced, variant));
  size_t i = 0;
  for (const Operand& input : inputs) {
    if (input.tensor() != nullptr && input.dtype() != compute) {
      RL_RETURN_IF_ERROR(c.UseCast(kInputCast + i, input.dtype(), compute));
    }
    if ((rules & kRounded) != 0 && i < 2 && common != compute && !Holds(common, input.dtype())) {
      RL_RETURN_IF_ERROR(c.UseCast(kRound, compute, common));
      RL_RETURN_IF_ERROR(c.UseCast(kUnround, common, compute));
    }
    ++i;
  }
  RL_CHECK(KindOf(result) <= KindOf(out.dtype()), Reason::kArgumentDType, Error::kNone,
           static_cast<int64_t>(out.dtype()), static_cast<int64_t>(result));
  if (out.dtype() != produced) {
    RL_RETURN_IF_ERROR(c.UseCast(kOutputCast, produced, out.dtype()));
  }
  return kOk;
}

Error CheckFits(std::initializer_list<Operand> operands, DType common) {
  if (ComputeType(common) != DType::kInt32) return kOk;
  for (const Operand& o : operands) {
    const int64_t v = o.tensor() == nullptr ? o.scalar().to_int() : 0;
    RL_CHECK(v >= INT32_MIN && v <= INT32_MAX, Reason::kArgumentValue, Error::kNone, v, INT32_MAX);
  }
  return kOk;
}

Error BroadcastShape(std::initializer_list<Operand> inputs, Shape* shape) {
  shape->rank = 0;
  size_t i = 0;
  for (const Operand& input : inputs) {
    const Error error = Broadcast(input.sizes(), shape);
    if (!error.ok()) return error.WithArgument(i);
    ++i;
  }
  return kOk;
}

Error Broadcast(Span<const int32_t> sizes, Shape* shape) {
  while (shape->rank < sizes.size()) {
    for (size_t d = shape->rank++; d > 0; --d) shape->sizes[d] = shape->sizes[d - 1];
    shape->sizes[0] = 1;
  }
  for (size_t d = 0; d < sizes.size(); ++d) {
    int32_t& size = shape->sizes[shape->rank - sizes.size() + d];
    if (size == 1) {
      size = sizes[d];
    } else {
      RL_CHECK(sizes[d] == 1 || sizes[d] == size, Reason::kBroadcast, Error::kNone, sizes[d], size);
    }
  }
  return kOk;
}

Error RunMap(RunContext& c, std::initializer_list<Operand> inputs, Tensor& out) {
  Shape shape;
  RL_RETURN_IF_ERROR(BroadcastShape(inputs, &shape));
  RL_RETURN_IF_ERROR(out.Resize(shape.span()));
  if (out.numel() == 0) return kOk;

  const Loop& loop = c.loop(kCompute);
  const Loop* round = FindSlot(c, kRound);
  if (round != nullptr && round->out == loop.in) round = nullptr;  // the cast of a third operand
  const Loop* const out_cast = FindSlot(c, kOutputCast);
  const size_t compute_size = ElementSize(loop.in);
  const size_t result_size = ElementSize(loop.out);
  const size_t out_size = ElementSize(out.dtype());

  LoopNest nest(out);
  Source sources[kernels::kMaxMapInputs];
  size_t count = 0;
  size_t nest_operands = 0;
  for (const Operand& input : inputs) {
    Source& s = sources[count];
    const Tensor* t = input.tensor();
    if (t == nullptr) {
      StoreScalar(input.scalar(), loop.in, s.number);
      s.data = s.number;
      s.element_size = compute_size;
    } else {
      s.cast = FindSlot(c, kInputCast + count);
      // An optional argument may have become another operand than the one that was prepared for.
      const DType prepared = s.cast != nullptr ? s.cast->in : loop.in;
      RL_CHECK(t->dtype() == prepared, Reason::kArgumentDType, Error::kNone,
               static_cast<int64_t>(t->dtype()), static_cast<int64_t>(prepared));
      s.element_size = ElementSize(t->dtype());
      s.data = t->data<uint8_t>() + input.offset() * static_cast<int64_t>(s.element_size);
    }
    if (round != nullptr && count < 2 && !Holds(round->out, input.dtype())) {
      s.round = round;
      s.unround = &c.loop(kUnround);
    }
    if (IsOneElement(input)) {
      s.constant = true;
      s.stride = 0;
    } else {
      int64_t strides[kMaxRank];
      ComputeStrides(*t, strides);
      RL_RETURN_IF_ERROR(nest.AddBroadcast(input.sizes(), strides));
      s.nest_operand = nest_operands++;
    }
    ++count;
  }
  nest.Finish();
  bool all_direct = out_cast == nullptr;
  for (size_t i = 0; i < count; ++i) {
    Source& s = sources[i];
    if (!s.constant) s.stride = nest.inner_stride(s.nest_operand);
    all_direct &= s.direct();
  }

  auto* const out_data = out.mutable_data<uint8_t>();
  std::atomic<bool> undefined{false};
  const Error error = c.context.ParallelFor(out.numel(), kGrain, [&](size_t begin, size_t end) {
    alignas(16) uint8_t blocks[kernels::kMaxMapInputs + 1][kBlockBytes];
    uint8_t* const spare = blocks[kernels::kMaxMapInputs];  // also for results before their cast
    const size_t widest = compute_size > result_size ? compute_size : result_size;
    const size_t block = all_direct ? end - begin : kBlockBytes / widest;
    bool undefined_here = false;
    kernels::MapArgs args;
    args.undefined = &undefined_here;
    for (size_t i = 0; i < count; ++i) {
      if (!sources[i].constant) continue;
      const size_t n = end - begin < block ? end - begin : block;
      sources[i].LayOut(sources[i].data, n, blocks[i], spare);
      args.in[i] = blocks[i];
    }
    nest.ForEachRun(begin, end, [&](size_t position, const int64_t* offsets, size_t n) {
      for (size_t done = 0; done < n; done += args.n) {
        args.n = n - done < block ? n - done : block;
        for (size_t i = 0; i < count; ++i) {
          const Source& s = sources[i];
          if (s.constant) continue;
          const int64_t element = offsets[s.nest_operand] + static_cast<int64_t>(done) * s.stride;
          const uint8_t* from = s.data + element * static_cast<int64_t>(s.element_size);
          if (s.direct()) {
            args.in[i] = from;
          } else {
            s.LayOut(from, args.n, blocks[i], spare);
            args.in[i] = blocks[i];
          }
        }
        uint8_t* to = out_data + (position + done) * out_size;
        args.out = out_cast == nullptr ? to : spare;
        loop.fn(&args);
        if (out_cast != nullptr) {
          const kernels::CastArgs cast{to, spare, args.n, 1};
          out_cast->fn(&cast);
        }
      }
    });
    if (undefined_here) undefined.store(true, std::memory_order_relaxed);
  });
  RL_RETURN_IF_ERROR(error);
  RL_CHECK(!undefined.load(std::memory_order_relaxed), Reason::kArgumentValue);
  return kOk;
}

}  // namespace rushlight::ops
