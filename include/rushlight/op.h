// Copyright (c) The Rushlight authors.
// SPDX-License-Identifier: BSD-3-Clause

// Op: one row of an operator table, and the template that unpacks arguments.
//
// An operator is two plain typed functions and its inner loops:
//
//   Error PrepareAdd(PrepareContext& c, const Tensor& a, const Tensor& b, Scalar alpha, Tensor&
//   out); Error RunAdd(RunContext& c, const Tensor& a, const Tensor& b, Scalar alpha, Tensor& out);
//   constexpr Op kOps[] = {{"aten::add.out", Boxed<PrepareAdd, RunAdd>, kAddLoops}};
//
// Prepare runs once, when a method is loaded (and in the compiler): it checks what cannot change
// (dtypes, ranks, attributes), picks loops and asks for scratch.  Tensors may still lack memory,
// and their sizes are upper bounds.  Run does the work: it checks what was computed (shapes,
// indices), resizes `out` and calls the loops.
//
// The last parameters are the outputs.  A function that ends in `Value& result` returns a scalar
// and overwrites that value whole.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string_view>
#include <tuple>
#include <utility>

#include "rushlight/context.h"
#include "rushlight/value.h"

namespace rushlight {

// An inner loop.  `in` is the dtype it computes in or reads, `out` the one it writes; what
// `args` points to is the business of the kernel family.
struct Loop {
  DType in;
  DType out;
  uint8_t variant;  // tells the functions of one operator apart: a rounding mode, an approximation
  void (*fn)(const void* args);
};

// Wraps a typed loop: MakeLoop<&AddF32>(in, out) for  void AddF32(const MapArgs&).
namespace internal {
template <auto Fn>
struct LoopThunk;
template <class A, void (*Fn)(const A&)>
struct LoopThunk<Fn> {
  static void Call(const void* args) { Fn(*static_cast<const A*>(args)); }
};
}  // namespace internal
template <auto Fn>
constexpr Loop MakeLoop(DType in, DType out, uint8_t variant = 0) {
  return {in, out, variant, &internal::LoopThunk<Fn>::Call};
}

class RunContext;

// The arguments of one instruction: positions in the value table.
struct Args {
  Value* values;
  const int32_t* indices;  // [count]
  size_t count;

  Value& operator[](size_t i) const { return values[indices[i]]; }
};

inline constexpr size_t kMaxLoops = 6;

// What Prepare leaves for Run.
struct Prepared {
  Error (*run)(RunContext&, const Args&) = nullptr;
  const Loop* loops[kMaxLoops] = {};
  size_t scratch_bytes = 0;
};

struct Op;

class PrepareContext {
 public:
  PrepareContext(const Op& op, size_t max_tasks, Prepared* prepared)
      : threads(max_tasks), op_(op), prepared_(prepared) {}

  // Puts the loop for (in, out) into `slot`, or fails with kNoKernelForDType.
  Error UseLoop(size_t slot, DType in, DType out, uint8_t variant = 0);
  // The same for the row's casts.  Apart, since loops and casts take different arguments.
  Error UseCast(size_t slot, DType in, DType out);
  const Loop* FindLoop(DType in, DType out, uint8_t variant = 0) const;
  // Asks for scratch memory; the largest request counts.
  void NeedScratch(size_t bytes) {
    if (bytes > prepared_->scratch_bytes) prepared_->scratch_bytes = bytes;
  }

  const size_t threads;  // most tasks that ParallelFor will run at once

 private:
  Error Use(const Loop* loop, size_t slot, DType in, DType out);

  const Op& op_;
  Prepared* prepared_;
};

class RunContext {
 public:
  RunContext(Context& execution, const Prepared& prepared)
      : context(execution), prepared_(prepared) {}

  template <class A>
  void CallLoop(size_t slot, const A& args) const {
    prepared_.loops[slot]->fn(&args);
  }
  bool has_loop(size_t slot) const { return prepared_.loops[slot] != nullptr; }
  const Loop& loop(size_t slot) const { return *prepared_.loops[slot]; }

  Context& context;

 private:
  const Prepared& prepared_;
};

using PrepareFn = Error (*)(PrepareContext&, const Args&, Prepared*);

struct Op {
  const char* name;  // "aten::add.out"
  PrepareFn prepare;
  Span<const Loop> loops = {};
  Span<const Loop> casts = {};  // conversions, which many operators share
};

// Rows must be sorted by name; static_assert(SortedUnique(kOps)) makes a duplicate a compile error.
template <size_t N>
constexpr bool SortedUnique(const Op (&ops)[N]) {
  for (size_t i = 1; i < N; ++i) {
    if (std::string_view(ops[i - 1].name) >= std::string_view(ops[i].name)) return false;
  }
  return true;
}

// The row of that name in the first table that has one, or null.  Tables are searched by bisection.
const Op* FindOp(Span<const Span<const Op>> tables, std::string_view name);

// An output list whose tensors are written.
struct OutTensors {
  Span<Tensor* const> tensors;
  size_t size() const { return tensors.size(); }
  Tensor& operator[](size_t i) const { return *tensors[i]; }
};

// ---------------------------------------------------------------------------------------------
// Unpacking.

namespace internal {

// Fills the list's storage from the value table.
Error ResolveInts(const Args& args, size_t i, Span<const int64_t>* out);
Error ResolveTensors(const Args& args, size_t i, bool optional, bool writes, bool running,
                     Span<Tensor* const>* out);
Error CheckTensor(const Args& args, size_t i, bool writes, bool running);
Error WrongKind(const Args& args, size_t i, Tag expected);

// Unbox<T>::Get reads argument i as a T.  `running`: tensors must have memory.
template <class T>
struct Unbox;

#define RL_UNBOX(TYPE, STORED)                                               \
  template <>                                                                \
  struct Unbox<TYPE> {                                                       \
    using Stored = STORED;                                                   \
    static Error Get(const Args& args, size_t i, bool running, Stored* out); \
    static TYPE Pass(Stored& s)

RL_UNBOX(const Tensor&, Tensor*) { return *s; }
};
RL_UNBOX(Tensor&, Tensor*) { return *s; }
};
RL_UNBOX(const Tensor*, Tensor*) { return s; }
}
;
RL_UNBOX(int64_t, int64_t) { return s; }
}
;
RL_UNBOX(double, double) { return s; }
}
;
RL_UNBOX(bool, bool) { return s; }
}
;
RL_UNBOX(Scalar, Scalar) { return s; }
}
;
RL_UNBOX(std::string_view, std::string_view) { return s; }
}
;
RL_UNBOX(std::optional<int64_t>, std::optional<int64_t>) { return s; }
}
;
RL_UNBOX(std::optional<double>, std::optional<double>) { return s; }
}
;
RL_UNBOX(std::optional<bool>, std::optional<bool>) { return s; }
}
;
RL_UNBOX(std::optional<Scalar>, std::optional<Scalar>) { return s; }
}
;
RL_UNBOX(std::optional<std::string_view>, std::optional<std::string_view>) { return s; }
}
;
RL_UNBOX(Span<const int64_t>, Span<const int64_t>) { return s; }
}
;
RL_UNBOX(std::optional<Span<const int64_t>>, std::optional<Span<const int64_t>>) { return s; }
}
;
RL_UNBOX(std::optional<Span<const double>>, std::optional<Span<const double>>) { return s; }
}
;
RL_UNBOX(Span<Tensor* const>, Span<Tensor* const>) { return s; }
}
;
RL_UNBOX(OutTensors, OutTensors) { return s; }
}
;
#undef RL_UNBOX

// Lists whose items may be none: optional tensors, as aten::index takes them.
struct OptionalTensors {
  Span<Tensor* const> tensors;
};
template <>
struct Unbox<OptionalTensors> {
  using Stored = OptionalTensors;
  static Error Get(const Args& args, size_t i, bool running, Stored* out);
  static OptionalTensors Pass(Stored& s) { return s; }
};

// The slot itself: a scalar result, or a tensor whose memory the operator sets.
template <>
struct Unbox<Value&> {
  using Stored = Value*;
  static Error Get(const Args& args, size_t i, bool, Stored* out) {
    *out = &args[i];
    return kOk;
  }
  static Value& Pass(Stored& s) { return *s; }
};
template <>
struct Unbox<const Value&> {
  using Stored = Value*;
  static Error Get(const Args& args, size_t i, bool, Stored* out) {
    *out = &args[i];
    return kOk;
  }
  static const Value& Pass(Stored& s) { return *s; }
};

enum class ReturnSlot {
  kRepeatsOutput,  // one more index than the function has parameters; never read
  kIsLastArgument  // the function's last parameter is the slot
};

template <class C, class... A, size_t... I>
Error CallUnboxed(Error (*fn)(C&, A...), C& context, const Args& args, bool running,
                  std::index_sequence<I...>) {
  std::tuple<typename Unbox<A>::Stored...> stored;
  Error error;
  const bool ok = ((error = Unbox<A>::Get(args, I, running, &std::get<I>(stored))).ok() && ...);
  if (!ok) return error;
  return fn(context, Unbox<A>::Pass(std::get<I>(stored))...);
}

template <auto Run>
struct BoxedRun;
template <class... A, Error (*Fn)(RunContext&, A...)>
struct BoxedRun<Fn> {
  static Error Call(RunContext& context, const Args& args) {
    return CallUnboxed(Fn, context, args, true, std::index_sequence_for<A...>());
  }
};

template <auto Prepare, auto Run, ReturnSlot Slot>
struct BoxedPrepare;
template <class... A, Error (*Prepare)(PrepareContext&, A...), Error (*Run)(RunContext&, A...),
          ReturnSlot Slot>
struct BoxedPrepare<Prepare, Run, Slot> {
  static Error Call(PrepareContext& context, const Args& args, Prepared* prepared) {
    constexpr size_t kCount = sizeof...(A) + (Slot == ReturnSlot::kRepeatsOutput ? 1 : 0);
    RL_CHECK(args.count == kCount, Reason::kArgumentCount, Error::kNone,
             static_cast<int64_t>(args.count), static_cast<int64_t>(kCount));
    prepared->run = &BoxedRun<Run>::Call;
    return CallUnboxed(Prepare, context, args, false, std::index_sequence_for<A...>());
  }
};

}  // namespace internal

using internal::OptionalTensors;

// For operators with tensor outputs: arguments as in the schema, outputs included, then one more
// index for the returned value.
template <auto Prepare, auto Run>
inline constexpr PrepareFn Boxed =
    &internal::BoxedPrepare<Prepare, Run, internal::ReturnSlot::kRepeatsOutput>::Call;

// For operators that return a scalar (`Value& result` is the last parameter), or nothing.
template <auto Prepare, auto Run>
inline constexpr PrepareFn BoxedScalar =
    &internal::BoxedPrepare<Prepare, Run, internal::ReturnSlot::kIsLastArgument>::Call;

}  // namespace rushlight
