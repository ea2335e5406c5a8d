// Copyright (c) The Rushlight authors.
// SPDX-License-Identifier: BSD-3-Clause

// Operators on the value table itself: sizes, scalar arithmetic, views.

#include <cmath>
#include <cstring>
#include <functional>

#include "rushlight/half.h"
#include "src/ops/shapes.h"
#include "src/ops/tables.h"

namespace rushlight::ops {
namespace {

Error WrongKind(const Value& v, Tag expected, size_t argument) {
  return Error(Reason::kArgumentKind, Error::kNone, static_cast<int64_t>(v.tag()),
               static_cast<int64_t>(expected))
      .WithArgument(argument);
}

bool IsNumber(const Value& v) { return v.tag() == Tag::kInt || v.tag() == Tag::kDouble; }

double AsDouble(const Value& v) { return Scalar(v).to_double(); }

// Scalar results take the place of the whole value: a slot that held a tensor must stay one, since
// operators were prepared for it.
Error CheckResult(const Value& result) {
  switch (result.tag()) {
    case Tag::kNone:
    case Tag::kInt:
    case Tag::kDouble:
    case Tag::kBool:
      return kOk;
    default:
      return WrongKind(result, Tag::kInt, 0);
  }
}

// Prepare functions: kinds may change while the method runs, so that only the result is checked.
Error Prepare1(PrepareContext&, const Value&, Value& result) { return CheckResult(result); }
Error Prepare2(PrepareContext&, const Value&, const Value&, Value& result) {
  return CheckResult(result);
}
Error Prepare3(PrepareContext&, const Value&, const Value&, const Value&, Value& result) {
  return CheckResult(result);
}

// Sizes.

Error RunSize(RunContext&, const Value& self, int64_t dim, Value& result) {
  if (!self.is_tensor()) return WrongKind(self, Tag::kTensor, 0);
  const Tensor& t = self.as_tensor();
  size_t d = 0;
  RL_RETURN_IF_ERROR(NormalizeDim(dim, t.rank(), &d));
  RL_CHECK(d < t.rank(), Reason::kArgumentValue, Error::kNone, dim, 0);
  result = Value(int64_t{t.size(d)});
  return kOk;
}
Error PrepareSize(PrepareContext&, const Value&, int64_t, Value& result) {
  return CheckResult(result);
}

Error RunNumel(RunContext&, const Value& self, Value& result) {
  if (!self.is_tensor()) return WrongKind(self, Tag::kTensor, 0);
  result = Value(static_cast<int64_t>(self.as_tensor().numel()));
  return kOk;
}

template <class T>
T Load(const Tensor& t) {
  T v;
  std::memcpy(&v, t.raw(), sizeof v);
  return v;
}

Error PrepareLocalScalar(PrepareContext&, const Tensor&, Value& result) {
  return CheckResult(result);
}
Error RunLocalScalar(RunContext&, const Tensor& t, Value& result) {
  RL_CHECK(t.numel() >= 1, Reason::kArgumentSize, Error::kNone, 0, 1);
  switch (t.dtype()) {
    case DType::kBool:
      result = Value(Load<uint8_t>(t) != 0);
      return kOk;
    case DType::kUInt8:
      result = Value(int64_t{Load<uint8_t>(t)});
      return kOk;
    case DType::kInt8:
      result = Value(int64_t{Load<int8_t>(t)});
      return kOk;
    case DType::kInt16:
      result = Value(int64_t{Load<int16_t>(t)});
      return kOk;
    case DType::kUInt16:
      result = Value(int64_t{Load<uint16_t>(t)});
      return kOk;
    case DType::kInt32:
      result = Value(int64_t{Load<int32_t>(t)});
      return kOk;
    case DType::kUInt32:
      result = Value(int64_t{Load<uint32_t>(t)});
      return kOk;
    case DType::kInt64:
    case DType::kUInt64:
      result = Value(Load<int64_t>(t));
      return kOk;
    case DType::kFloat16:
      result = Value(double{Load<Float16>(t)});
      return kOk;
    case DType::kBFloat16:
      result = Value(double{Load<BFloat16>(t)});
      return kOk;
    case DType::kFloat32:
      result = Value(double{Load<float>(t)});
      return kOk;
    case DType::kFloat64:
      result = Value(Load<double>(t));
      return kOk;
    default:
      return Error(Reason::kNoKernelForDType, Error::kNone, static_cast<int64_t>(t.dtype()),
                   static_cast<int64_t>(t.dtype()));
  }
}

// Arithmetic on numbers: an Int of two Ints, else a Double.

int64_t Wrap(uint64_t v) { return static_cast<int64_t>(v); }

struct AddNumbers {
  int64_t operator()(int64_t a, int64_t b) const {
    return Wrap(static_cast<uint64_t>(a) + static_cast<uint64_t>(b));
  }
  double operator()(double a, double b) const { return a + b; }
};
struct SubNumbers {
  int64_t operator()(int64_t a, int64_t b) const {
    return Wrap(static_cast<uint64_t>(a) - static_cast<uint64_t>(b));
  }
  double operator()(double a, double b) const { return a - b; }
};
struct MulNumbers {
  int64_t operator()(int64_t a, int64_t b) const {
    return Wrap(static_cast<uint64_t>(a) * static_cast<uint64_t>(b));
  }
  double operator()(double a, double b) const { return a * b; }
};

Error CheckNumbers(const Value& a, const Value& b) {
  if (!IsNumber(a)) return WrongKind(a, Tag::kInt, 0);
  if (!IsNumber(b)) return WrongKind(b, Tag::kInt, 1);
  return kOk;
}

template <class F>
Error RunNumbers(RunContext&, const Value& a, const Value& b, Value& result) {
  RL_RETURN_IF_ERROR(CheckNumbers(a, b));
  if (a.tag() == Tag::kInt && b.tag() == Tag::kInt) {
    result = Value(F()(a.as_int(), b.as_int()));
  } else {
    result = Value(F()(AsDouble(a), AsDouble(b)));
  }
  return kOk;
}

// Division of integers: by zero is an error; the one quotient that does not fit wraps around.
Error CheckDivisor(int64_t b) {
  if (b == 0) return Error(Reason::kArgumentValue, Error::kNone, 0, 1).WithArgument(1);
  return kOk;
}
int64_t Quotient(int64_t a, int64_t b) {
  return b == -1 ? Wrap(0 - static_cast<uint64_t>(a)) : a / b;
}
int64_t Modulus(int64_t a, int64_t b) { return b == -1 ? 0 : a % b; }

Error RunFloorDiv(RunContext&, const Value& a, const Value& b, Value& result) {
  RL_RETURN_IF_ERROR(CheckNumbers(a, b));
  if (a.tag() == Tag::kInt && b.tag() == Tag::kInt) {
    const int64_t x = a.as_int();
    const int64_t y = b.as_int();
    RL_RETURN_IF_ERROR(CheckDivisor(y));
    const int64_t q = Quotient(x, y);
    result = Value(Modulus(x, y) != 0 && ((x < 0) != (y < 0)) ? q - 1 : q);
  } else {
    const double x = AsDouble(a);
    const double y = AsDouble(b);
    result = Value(y == 0 ? std::copysign(HUGE_VAL, x) : std::floor(x / y));
  }
  return kOk;
}

template <int64_t (*kDivide)(int64_t, int64_t)>
Error RunIntegers(RunContext&, const Value& a, const Value& b, Value& result) {
  if (a.tag() != Tag::kInt) return WrongKind(a, Tag::kInt, 0);
  if (b.tag() != Tag::kInt) return WrongKind(b, Tag::kInt, 1);
  RL_RETURN_IF_ERROR(CheckDivisor(b.as_int()));
  result = Value(kDivide(a.as_int(), b.as_int()));
  return kOk;
}

Error RunTrueDiv(RunContext&, const Value& a, const Value& b, Value& result) {
  RL_RETURN_IF_ERROR(CheckNumbers(a, b));
  result = Value(AsDouble(a) / AsDouble(b));
  return kOk;
}

template <class F>
Error RunCompare(RunContext&, const Value& a, const Value& b, Value& result) {
  if (a.tag() == Tag::kBool && b.tag() == Tag::kBool) {
    result = Value(F()(int{a.as_bool()}, int{b.as_bool()}));
    return kOk;
  }
  RL_RETURN_IF_ERROR(CheckNumbers(a, b));
  if (a.tag() == Tag::kInt && b.tag() == Tag::kInt) {
    result = Value(F()(a.as_int(), b.as_int()));
  } else {
    result = Value(F()(AsDouble(a), AsDouble(b)));
  }
  return kOk;
}

Error RunNeg(RunContext&, const Value& a, Value& result) {
  if (a.tag() == Tag::kInt) {
    result = Value(Wrap(0 - static_cast<uint64_t>(a.as_int())));
    return kOk;
  }
  if (a.tag() != Tag::kDouble) return WrongKind(a, Tag::kDouble, 0);
  result = Value(-a.as_double());
  return kOk;
}

// Rounding: an Int of a Double.
Error RunRounded(const Value& a, double (*round)(double), Value& result) {
  if (a.tag() == Tag::kInt) {
    result = a;
    return kOk;
  }
  if (a.tag() != Tag::kDouble) return WrongKind(a, Tag::kDouble, 0);
  result = Value(Scalar(round(a.as_double())).to_int());
  return kOk;
}
double Ceil(double v) { return std::ceil(v); }
double Trunc(double v) { return std::trunc(v); }
double RoundHalfEven(double v) {
  const double down = std::floor(v);
  const double rest = v - down;
  if (rest < 0.5) return down;
  if (rest > 0.5) return down + 1;
  return std::fmod(down, 2.0) == 0 ? down : down + 1;
}
Error RunCeil(RunContext&, const Value& a, Value& result) { return RunRounded(a, Ceil, result); }
Error RunTrunc(RunContext&, const Value& a, Value& result) { return RunRounded(a, Trunc, result); }
Error RunRound(RunContext&, const Value& a, Value& result) {
  return RunRounded(a, RoundHalfEven, result);
}

Error RunSymFloat(RunContext&, const Value& a, Value& result) {
  if (!IsNumber(a) && a.tag() != Tag::kBool) return WrongKind(a, Tag::kDouble, 0);
  result = Value(AsDouble(a));
  return kOk;
}
Error RunSymInt(RunContext&, const Value& a, Value& result) {
  if (!IsNumber(a) && a.tag() != Tag::kBool) return WrongKind(a, Tag::kInt, 0);
  result = Value(Scalar(a).to_int());
  return kOk;
}

Error RunSymMax(RunContext&, const Value& a, const Value& b, Value& result) {
  RL_RETURN_IF_ERROR(CheckNumbers(a, b));
  result = AsDouble(a) >= AsDouble(b) ? a : b;
  return kOk;
}
Error RunSymMin(RunContext&, const Value& a, const Value& b, Value& result) {
  RL_RETURN_IF_ERROR(CheckNumbers(a, b));
  result = AsDouble(a) <= AsDouble(b) ? a : b;
  return kOk;
}

Error RunSymNot(RunContext&, const Value& a, Value& result) {
  if (a.tag() != Tag::kBool) return WrongKind(a, Tag::kBool, 0);
  result = Value(!a.as_bool());
  return kOk;
}

Error RunSymIte(RunContext&, const Value& condition, const Value& a, const Value& b,
                Value& result) {
  if (condition.tag() != Tag::kBool) return WrongKind(condition, Tag::kBool, 0);
  const Value& chosen = condition.as_bool() ? a : b;
  RL_RETURN_IF_ERROR(CheckResult(chosen));
  result = chosen;
  return kOk;
}

// et_copy_index: grows `to` to [index + 1, sizes of from...] and puts `from` at its end.

Error PrepareCopyIndex(PrepareContext&, Tensor& to, const Tensor& from, int64_t) {
  RL_CHECK(to.rank() == from.rank() + 1, Reason::kArgumentRank, Error::kNone,
           static_cast<int64_t>(to.rank()), static_cast<int64_t>(from.rank() + 1));
  RL_CHECK(to.dtype() == from.dtype(), Reason::kArgumentDType, Error::kNone,
           static_cast<int64_t>(to.dtype()), static_cast<int64_t>(from.dtype()));
  return kOk;
}
Error RunCopyIndex(RunContext&, Tensor& to, const Tensor& from, int64_t index) {
  RL_CHECK(index >= 0 && index < INT32_MAX, Reason::kIndexOutOfRange, Error::kNone, index,
           INT32_MAX);
  RL_CHECK(to.IsContiguous() && from.IsContiguous(), Reason::kArgumentDimOrder);
  int32_t sizes[kMaxRank];
  sizes[0] = static_cast<int32_t>(index) + 1;
  for (size_t d = 0; d < from.rank(); ++d) sizes[d + 1] = from.size(d);
  // A static result has its final size already.
  if (to.dynamic()) {
    RL_RETURN_IF_ERROR(to.Resize({sizes, to.rank()}));
  } else {
    RL_CHECK(index < to.size(0), Reason::kIndexOutOfRange, Error::kNone, index, to.size(0));
    for (size_t d = 0; d < from.rank(); ++d) {
      RL_CHECK(to.size(d + 1) == from.size(d), Reason::kOutputShape, Error::kNone, from.size(d),
               to.size(d + 1));
    }
  }
  const size_t bytes = from.nbytes();
  RL_CHECK(to.raw() != nullptr || bytes == 0, Reason::kArgumentNull);
  if (bytes != 0) {
    std::memmove(to.mutable_data<uint8_t>() + static_cast<size_t>(index) * bytes, from.raw(),
                 bytes);
  }
  return kOk;
}

// et_view: `out` becomes another shape of self's memory.

Error CheckView(const Value& self, const Value& out) {
  if (!self.is_tensor()) return WrongKind(self, Tag::kTensor, 0);
  if (!out.is_tensor()) return WrongKind(out, Tag::kTensor, 2);
  RL_CHECK(self.as_tensor().dtype() == out.as_tensor().dtype(), Reason::kArgumentDType,
           Error::kNone, static_cast<int64_t>(out.as_tensor().dtype()),
           static_cast<int64_t>(self.as_tensor().dtype()));
  return kOk;
}
Error PrepareView(PrepareContext&, const Value& self, Span<const int64_t>, Value& out) {
  return CheckView(self, out);
}
Error RunView(RunContext&, const Value& self_value, Span<const int64_t> size, Value& out_value) {
  RL_RETURN_IF_ERROR(CheckView(self_value, out_value));
  const Tensor& self = self_value.as_tensor();
  Tensor& out = out_value.as_tensor();
  RL_CHECK(size.size() == out.rank(), Reason::kOutputRank, Error::kNone,
           static_cast<int64_t>(size.size()), static_cast<int64_t>(out.rank()));
  int32_t sizes[kMaxRank];
  RL_RETURN_IF_ERROR(ResolveViewSizes(self, size, sizes));
  // Mostly the two are planned at one place.
  Tensor view = out;
  if (out.raw() != self.raw() || out.read_only() != self.read_only() ||
      out.capacity() < self.numel()) {
    view.Borrow(self);
  }
  RL_RETURN_IF_ERROR(view.Resize({sizes, out.rank()}));
  out = view;
  return kOk;
}

constexpr Op kOps[] = {
    {"aten::_local_scalar_dense", BoxedScalar<PrepareLocalScalar, RunLocalScalar>, {}},
    {"aten::sym_numel", BoxedScalar<Prepare1, RunNumel>, {}},
    {"aten::sym_size.int", BoxedScalar<PrepareSize, RunSize>, {}},
    {"executorch_prim::add.Scalar", BoxedScalar<Prepare2, RunNumbers<AddNumbers>>, {}},
    {"executorch_prim::ceil.Scalar", BoxedScalar<Prepare1, RunCeil>, {}},
    {"executorch_prim::eq.Scalar", BoxedScalar<Prepare2, RunCompare<std::equal_to<>>>, {}},
    {"executorch_prim::et_copy_index.tensor", BoxedScalar<PrepareCopyIndex, RunCopyIndex>, {}},
    {"executorch_prim::et_view.default", BoxedScalar<PrepareView, RunView>, {}},
    {"executorch_prim::floordiv.Scalar", BoxedScalar<Prepare2, RunFloorDiv>, {}},
    {"executorch_prim::floordiv.int", BoxedScalar<Prepare2, RunIntegers<Quotient>>, {}},
    {"executorch_prim::ge.Scalar", BoxedScalar<Prepare2, RunCompare<std::greater_equal<>>>, {}},
    {"executorch_prim::gt.Scalar", BoxedScalar<Prepare2, RunCompare<std::greater<>>>, {}},
    {"executorch_prim::le.Scalar", BoxedScalar<Prepare2, RunCompare<std::less_equal<>>>, {}},
    {"executorch_prim::lt.Scalar", BoxedScalar<Prepare2, RunCompare<std::less<>>>, {}},
    {"executorch_prim::mod.Scalar", BoxedScalar<Prepare2, RunIntegers<Modulus>>, {}},
    {"executorch_prim::mod.int", BoxedScalar<Prepare2, RunIntegers<Modulus>>, {}},
    {"executorch_prim::mul.Scalar", BoxedScalar<Prepare2, RunNumbers<MulNumbers>>, {}},
    {"executorch_prim::neg.Scalar", BoxedScalar<Prepare1, RunNeg>, {}},
    {"executorch_prim::round.Scalar", BoxedScalar<Prepare1, RunRound>, {}},
    {"executorch_prim::sub.Scalar", BoxedScalar<Prepare2, RunNumbers<SubNumbers>>, {}},
    {"executorch_prim::sym_float.Scalar", BoxedScalar<Prepare1, RunSymFloat>, {}},
    {"executorch_prim::sym_int.Scalar", BoxedScalar<Prepare1, RunSymInt>, {}},
    {"executorch_prim::sym_ite.Scalar", BoxedScalar<Prepare3, RunSymIte>, {}},
    {"executorch_prim::sym_max.Scalar", BoxedScalar<Prepare2, RunSymMax>, {}},
    {"executorch_prim::sym_min.Scalar", BoxedScalar<Prepare2, RunSymMin>, {}},
    {"executorch_prim::sym_not.Scalar", BoxedScalar<Prepare1, RunSymNot>, {}},
    {"executorch_prim::truediv.Scalar", BoxedScalar<Prepare2, RunTrueDiv>, {}},
    {"executorch_prim::trunc.Scalar", BoxedScalar<Prepare1, RunTrunc>, {}},
};
static_assert(SortedUnique(kOps));

}  // namespace

Span<const Op> PrimOps() { return SelectedRows<kOps>(); }

}  // namespace rushlight::ops
