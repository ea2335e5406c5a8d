// Copyright (c) The Rushlight authors.
// SPDX-License-Identifier: BSD-3-Clause

// Matrix products: mm, bmm, addmm, baddbmm, linear, mv, addmv, dot.

#include "src/kernels/gemm/gemm.h"
#include "src/ops/casts.h"
#include "src/ops/pieces.h"
#include "src/ops/products.h"
#include "src/ops/shapes.h"
#include "src/ops/tables.h"

namespace rushlight::ops {
namespace {

using kernels::Factor;
using kernels::GemmArgs;
using kernels::kGemmRows;

// A batch of products over contiguous matrices.
struct Product {
  const Tensor& a;  // [batch, m, k]
  const Tensor& b;  // [batch, k, n], or [n, k] where b_is_transposed
  Tensor& out;      // [batch, m, n]
  size_t batch;
  size_t m;
  size_t n;
  size_t k;
  bool b_is_transposed;
  const Tensor* addend = nullptr;  // element (batch, i, j) by these strides
  int64_t addend_strides[3] = {};
  Factor alpha = {};
  Factor beta = {};
};

// Columns of a block are a multiple of what the kernels compute at a time.
constexpr size_t kColumns = 24;

// Sets the strides with which `addend` broadcasts to [batch, m, n].  An addend that counts for
// nothing (beta is 0) is not read.
Error SetAddend(const Tensor& addend, Product* p) {
  RL_CHECK(addend.rank() <= p->out.rank(), Reason::kArgumentRank, Error::kNone,
           static_cast<int64_t>(addend.rank()), static_cast<int64_t>(p->out.rank()));
  const size_t sizes[3] = {p->batch, p->m, p->n};
  int64_t strides[kMaxRank];
  ComputeStrides(addend, strides);
  const size_t skip = 3 - addend.rank();
  for (size_t d = 0; d < addend.rank(); ++d) {
    const auto size = static_cast<size_t>(addend.size(d));
    RL_CHECK(size == 1 || size == sizes[skip + d], Reason::kBroadcast, Error::kNone, addend.size(d),
             static_cast<int64_t>(sizes[skip + d]));
    if (size != 1) p->addend_strides[skip + d] = strides[d];
  }
  p->addend = &addend;
  return kOk;
}

Error RunProduct(RunContext& c, const Product& p) {
  if (p.out.numel() == 0) return kOk;
  const kernels::Storage storage = StorageOf(c, p.out.dtype());
  const size_t rows = p.m < kGemmRows ? p.m : kGemmRows;
  const uint64_t group_steps = uint64_t{rows} * kColumns * p.k;
  const size_t columns = PieceOf(group_steps, CeilDiv(p.n, kColumns)) * kColumns;
  const size_t row_blocks = CeilDiv(p.m, kGemmRows);
  const size_t column_blocks = CeilDiv(p.n, columns);
  const size_t blocks = p.batch * row_blocks * column_blocks;

  GemmArgs all{};
  all.storage = storage;
  all.k = p.k;
  all.lda = static_cast<int64_t>(p.k);
  all.ldb = static_cast<int64_t>(p.b_is_transposed ? p.k : p.n);
  all.ldo = static_cast<int64_t>(p.n);
  all.addend_row = p.addend_strides[1];
  all.addend_column = p.addend_strides[2];
  all.alpha = p.alpha;
  all.beta = p.beta;
  const bool has_addend = p.addend != nullptr && (p.beta.real != 0 || p.beta.integer != 0);

  return c.context.ParallelFor(
      blocks, PieceOf(group_steps * (columns / kColumns), blocks), [&](size_t begin, size_t end) {
        for (size_t block = begin; block < end; ++block) {
          const auto batch = static_cast<int64_t>(block / column_blocks / row_blocks);
          const size_t row = block / column_blocks % row_blocks * kGemmRows;
          const size_t column = block % column_blocks * columns;
          const auto i = static_cast<int64_t>(row);
          const auto j = static_cast<int64_t>(column);
          const int64_t a_row = batch * static_cast<int64_t>(p.m) + i;
          GemmArgs g = all;
          g.m = p.m - row < kGemmRows ? p.m - row : kGemmRows;
          g.n = p.n - column < columns ? p.n - column : columns;
          if (p.k != 0) {
            g.a = storage.At(p.a.raw(), a_row * all.lda);
            g.b = storage.At(p.b.raw(),
                             p.b_is_transposed ? j * all.ldb : batch * all.lda * all.ldb + j);
          }
          g.out = storage.At(p.out.raw(), a_row * all.ldo + j);
          if (has_addend) {
            g.addend =
                storage.At(p.addend->raw(), batch * p.addend_strides[0] + i * p.addend_strides[1] +
                                                j * p.addend_strides[2]);
          }
          c.CallLoop(kProduct, g);
        }
      });
}

Error CheckSize(const Tensor& t, size_t d, int64_t expected, size_t argument) {
  if (t.size(d) == expected) return kOk;
  return Error(Reason::kArgumentSize, Error::kNone, t.size(d), expected).WithArgument(argument);
}

// PyTorch refuses a fraction where integers are multiplied.
Error ReadFactor(Scalar scalar, DType dtype, Factor* out) {
  RL_CHECK(IsFloating(dtype) || !scalar.is_floating(), Reason::kArgumentKind, Error::kNone,
           static_cast<int64_t>(scalar.tag()), static_cast<int64_t>(Tag::kInt));
  *out = {scalar.to_double(), scalar.to_int()};
  return kOk;
}

// Matrices, or batches of them: out = beta * self + alpha * a b.  `first` is the position of a
// among the arguments.

Error PrepareMatrices(PrepareContext& c, const Tensor* self, const Tensor& a, const Tensor& b,
                      size_t rank, const Tensor& out) {
  const size_t first = self == nullptr ? 0 : 1;
  RL_RETURN_IF_ERROR(CheckRank(a, rank, first));
  RL_RETURN_IF_ERROR(CheckRank(b, rank, first + 1));
  RL_CHECK(out.rank() == rank, Reason::kOutputRank, Error::kNone, static_cast<int64_t>(out.rank()),
           static_cast<int64_t>(rank));
  return self == nullptr ? PrepareProduct(c, {&a, &b}, out)
                         : PrepareProduct(c, {self, &a, &b}, out);
}

Error RunMatrices(RunContext& c, const Tensor* self, const Tensor& a, const Tensor& b, Scalar beta,
                  Scalar alpha, Tensor& out) {
  const size_t first = self == nullptr ? 0 : 1;
  const size_t rank = a.rank();
  const int32_t batch = rank == 3 ? a.size(0) : 1;
  const int32_t m = a.size(rank - 2);
  const int32_t k = a.size(rank - 1);
  const int32_t n = b.size(rank - 1);
  if (rank == 3) RL_RETURN_IF_ERROR(CheckSize(b, 0, batch, first + 1));
  RL_RETURN_IF_ERROR(CheckSize(b, rank - 2, k, first + 1));
  const int32_t sizes[3] = {batch, m, n};
  RL_RETURN_IF_ERROR(out.Resize({sizes + 3 - rank, rank}));
  RL_RETURN_IF_ERROR(CheckContiguous(a, first));
  RL_RETURN_IF_ERROR(CheckContiguous(b, first + 1));
  RL_RETURN_IF_ERROR(CheckContiguous(out, first + 2));
  Product p{a,
            b,
            out,
            static_cast<size_t>(batch),
            static_cast<size_t>(m),
            static_cast<size_t>(n),
            static_cast<size_t>(k),
            false};
  RL_RETURN_IF_ERROR(ReadFactor(alpha, out.dtype(), &p.alpha));
  RL_RETURN_IF_ERROR(ReadFactor(beta, out.dtype(), &p.beta));
  if (self != nullptr) RL_RETURN_IF_ERROR(SetAddend(*self, &p));
  return RunProduct(c, p);
}

Error PrepareMm(PrepareContext& c, const Tensor& a, const Tensor& b, Tensor& out) {
  return PrepareMatrices(c, nullptr, a, b, 2, out);
}
Error PrepareBmm(PrepareContext& c, const Tensor& a, const Tensor& b, Tensor& out) {
  return PrepareMatrices(c, nullptr, a, b, 3, out);
}
Error RunMm(RunContext& c, const Tensor& a, const Tensor& b, Tensor& out) {
  return RunMatrices(c, nullptr, a, b, Scalar(int64_t{1}), Scalar(int64_t{1}), out);
}
Error PrepareAddmm(PrepareContext& c, const Tensor& self, const Tensor& a, const Tensor& b, Scalar,
                   Scalar, Tensor& out) {
  return PrepareMatrices(c, &self, a, b, 2, out);
}
Error PrepareBaddbmm(PrepareContext& c, const Tensor& self, const Tensor& a, const Tensor& b,
                     Scalar, Scalar, Tensor& out) {
  return PrepareMatrices(c, &self, a, b, 3, out);
}
Error RunAddmm(RunContext& c, const Tensor& self, const Tensor& a, const Tensor& b, Scalar beta,
               Scalar alpha, Tensor& out) {
  return RunMatrices(c, &self, a, b, beta, alpha, out);
}

// linear: rows of any leading dimensions, times weight [n, k] transposed, plus bias [n].

Error PrepareLinear(PrepareContext& c, const Tensor& input, const Tensor& weight,
                    const Tensor* bias, Tensor& out) {
  RL_CHECK(input.rank() >= 1 && out.rank() == input.rank(), Reason::kOutputRank, Error::kNone,
           static_cast<int64_t>(out.rank()), static_cast<int64_t>(input.rank()));
  RL_RETURN_IF_ERROR(CheckRank(weight, 2, 1));
  if (bias != nullptr) RL_RETURN_IF_ERROR(CheckRank(*bias, 1, 2));
  return PrepareProduct(c, {&input, &weight, bias}, out);
}
Error RunLinear(RunContext& c, const Tensor& input, const Tensor& weight, const Tensor* bias,
                Tensor& out) {
  const size_t last = input.rank() - 1;
  RL_RETURN_IF_ERROR(CheckSize(weight, 1, input.size(last), 1));
  int32_t sizes[kMaxRank];
  size_t rows = 1;  // at most the elements of out, once it has this size
  for (size_t d = 0; d < last; ++d) sizes[d] = input.size(d);
  sizes[last] = weight.size(0);
  RL_RETURN_IF_ERROR(out.Resize({sizes, input.rank()}));
  RL_RETURN_IF_ERROR(CheckContiguous(input, 0));
  RL_RETURN_IF_ERROR(CheckContiguous(weight, 1));
  RL_RETURN_IF_ERROR(CheckContiguous(out, 3));
  if (out.numel() == 0) return kOk;
  for (size_t d = 0; d < last; ++d) rows *= static_cast<size_t>(input.size(d));
  Product p{input,
            weight,
            out,
            1,
            rows,
            static_cast<size_t>(weight.size(0)),
            static_cast<size_t>(weight.size(1)),
            true};
  if (bias != nullptr) RL_RETURN_IF_ERROR(SetAddend(*bias, &p));
  return RunProduct(c, p);
}

// A matrix [n, k] times a vector [k]: a linear layer of one row.

Error PrepareMatrixVector(PrepareContext& c, const Tensor* self, const Tensor& matrix,
                          const Tensor& vector, const Tensor& out) {
  const size_t first = self == nullptr ? 0 : 1;
  RL_RETURN_IF_ERROR(CheckRank(matrix, 2, first));
  RL_RETURN_IF_ERROR(CheckRank(vector, 1, first + 1));
  RL_CHECK(out.rank() == 1, Reason::kOutputRank, Error::kNone, static_cast<int64_t>(out.rank()), 1);
  return self == nullptr ? PrepareProduct(c, {&matrix, &vector}, out)
                         : PrepareProduct(c, {self, &matrix, &vector}, out);
}
Error RunMatrixVector(RunContext& c, const Tensor* self, const Tensor& matrix, const Tensor& vector,
                      Scalar beta, Scalar alpha, Tensor& out) {
  const size_t first = self == nullptr ? 0 : 1;
  RL_RETURN_IF_ERROR(CheckSize(vector, 0, matrix.size(1), first + 1));
  const int32_t n = matrix.size(0);
  RL_RETURN_IF_ERROR(out.Resize({&n, 1}));
  RL_RETURN_IF_ERROR(CheckContiguous(matrix, first));
  Product p{vector, matrix, out, 1, 1, static_cast<size_t>(n), static_cast<size_t>(vector.size(0)),
            true};
  RL_RETURN_IF_ERROR(ReadFactor(alpha, out.dtype(), &p.alpha));
  RL_RETURN_IF_ERROR(ReadFactor(beta, out.dtype(), &p.beta));
  if (self != nullptr) RL_RETURN_IF_ERROR(SetAddend(*self, &p));
  return RunProduct(c, p);
}
Error PrepareMv(PrepareContext& c, const Tensor& matrix, const Tensor& vector, Tensor& out) {
  return PrepareMatrixVector(c, nullptr, matrix, vector, out);
}
Error RunMv(RunContext& c, const Tensor& matrix, const Tensor& vector, Tensor& out) {
  return RunMatrixVector(c, nullptr, matrix, vector, Scalar(int64_t{1}), Scalar(int64_t{1}), out);
}
Error PrepareAddmv(PrepareContext& c, const Tensor& self, const Tensor& matrix,
                   const Tensor& vector, Scalar, Scalar, Tensor& out) {
  return PrepareMatrixVector(c, &self, matrix, vector, out);
}
Error RunAddmv(RunContext& c, const Tensor& self, const Tensor& matrix, const Tensor& vector,
               Scalar beta, Scalar alpha, Tensor& out) {
  return RunMatrixVector(c, &self, matrix, vector, beta, alpha, out);
}

Error PrepareDot(PrepareContext& c, const Tensor& a, const Tensor& b, Tensor& out) {
  RL_RETURN_IF_ERROR(CheckRank(a, 1, 0));
  RL_RETURN_IF_ERROR(CheckRank(b, 1, 1));
  RL_CHECK(out.rank() == 0, Reason::kOutputRank, Error::kNone, static_cast<int64_t>(out.rank()), 0);
  return PrepareProduct(c, {&a, &b}, out);
}
Error RunDot(RunContext& c, const Tensor& a, const Tensor& b, Tensor& out) {
  RL_RETURN_IF_ERROR(CheckSize(b, 0, a.size(0), 1));
  return RunProduct(c, {a, b, out, 1, 1, 1, static_cast<size_t>(a.size(0)), true});
}

constexpr Loop kMatrixLoops[] = {
    MakeLoop<&kernels::GemmNN<float>>(DType::kFloat32, DType::kFloat32),
    MakeLoop<&kernels::GemmNN<double>>(DType::kFloat64, DType::kFloat64),
    MakeLoop<&kernels::GemmNN<uint32_t>>(DType::kInt32, DType::kInt32),
    MakeLoop<&kernels::GemmNN<uint64_t>>(DType::kInt64, DType::kInt64),
};
constexpr Loop kTransposedLoops[] = {
    MakeLoop<&kernels::GemmNT<float>>(DType::kFloat32, DType::kFloat32),
    MakeLoop<&kernels::GemmNT<double>>(DType::kFloat64, DType::kFloat64),
};

constexpr Op kOps[] = {
    {"aten::addmm.out", Boxed<PrepareAddmm, RunAddmm>, kMatrixLoops, kCasts},
    {"aten::addmv.out", Boxed<PrepareAddmv, RunAddmv>, kTransposedLoops, kCasts},
    {"aten::baddbmm.out", Boxed<PrepareBaddbmm, RunAddmm>, kMatrixLoops, kCasts},
    {"aten::bmm.out", Boxed<PrepareBmm, RunMm>, kMatrixLoops, kCasts},
    {"aten::dot.out", Boxed<PrepareDot, RunDot>, kTransposedLoops, kCasts},
    {"aten::linear.out", Boxed<PrepareLinear, RunLinear>, kTransposedLoops, kCasts},
    {"aten::mm.out", Boxed<PrepareMm, RunMm>, kMatrixLoops, kCasts},
    {"aten::mv.out", Boxed<PrepareMv, RunMv>, kTransposedLoops, kCasts},
};
static_assert(SortedUnique(kOps));

}  // namespace

Span<const Op> MatmulOps() { return SelectedRows<kOps>(); }

}  // namespace rushlight::ops
