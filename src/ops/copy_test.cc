// Copyright (c) The Rushlight authors.
// SPDX-License-Identifier: BSD-3-Clause

#include "src/ops/copy.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <numeric>
#include <vector>

#include "src/ops/index_map.h"
#include "src/ops/tables.h"

namespace rushlight::ops {
namespace {

// A team that takes the pieces of a loop in an odd order, and in odd sizes.
void Shuffled(void*, size_t count, size_t grain, Context::Task task, void* arg) {
  std::vector<size_t> cuts = {0};
  while (cuts.back() < count)
    cuts.push_back(std::min(count, cuts.back() + grain + cuts.size() % 3));
  for (size_t start : {1, 0}) {
    for (size_t i = start; i + 1 < cuts.size(); i += 2) task(arg, 0, cuts[i], cuts[i + 1]);
  }
}

template <class T>
struct Array {
  Array(DType dtype, std::vector<int32_t> array_sizes, std::vector<uint8_t> array_order = {})
      : sizes(std::move(array_sizes)), order(std::move(array_order)) {
    size_t numel = 1;
    for (const int32_t s : sizes) numel *= static_cast<size_t>(s);
    values.resize(numel);
    std::iota(values.begin(), values.end(), T(1));
    tensor = Tensor(dtype, values.data(), sizes, order.empty() ? nullptr : order.data());
  }
  std::vector<int32_t> sizes;
  std::vector<uint8_t> order;
  std::vector<T> values;
  Tensor tensor;
};

std::vector<float> Permuted(Context& context, const std::vector<int64_t>& dims,
                            std::vector<uint8_t> order) {
  Array<float> in(DType::kFloat32, {70, 65, 90});
  View from = ViewOf(in.tensor);
  EXPECT_TRUE(Permute(from, dims).ok());
  std::vector<int32_t> sizes(from.sizes, from.sizes + from.rank);
  Array<float> out(DType::kFloat32, sizes, std::move(order));
  EXPECT_TRUE(Copy(context, ViewOf(out.tensor), from).ok());
  return out.values;
}

TEST(CopyTest, DoesNotDependOnHowTheLoopIsCut) {
  const std::vector<std::vector<int64_t>> permutations = {{0, 1, 2}, {0, 2, 1}, {1, 0, 2},
                                                          {1, 2, 0}, {2, 0, 1}, {2, 1, 0}};
  for (const auto& dims : permutations) {
    for (const std::vector<uint8_t>& order : {std::vector<uint8_t>(), {2, 0, 1}}) {
      Context serial;
      Context parallel;
      parallel.parallel = &Shuffled;
      EXPECT_EQ(Permuted(serial, dims, order), Permuted(parallel, dims, order));
    }
  }
}

TEST(CopyTest, StopsWhereTheExecutionIsCancelled) {
  std::atomic<bool> cancel{true};
  Context context;
  context.cancel = &cancel;
  Array<float> in(DType::kFloat32, {1000, 1000});
  Array<float> out(DType::kFloat32, {1000, 1000});
  EXPECT_EQ(Copy(context, ViewOf(out.tensor), ViewOf(in.tensor)).reason, Reason::kCancelFlag);
  EXPECT_EQ(CopyInOrder(context, ViewOf(out.tensor), 0, ViewOf(in.tensor), 0, 1000000).reason,
            Reason::kCancelFlag);
  const float zero = 0;
  EXPECT_EQ(Fill(context, ViewOf(out.tensor), &zero).reason, Reason::kCancelFlag);
}

TEST(CopyTest, ScattersInOrderWhateverTheTeam) {
  Context context;
  context.parallel = &Shuffled;
  Array<float> in(DType::kFloat32, {40000});
  Array<float> out(DType::kFloat32, {3});
  Array<int64_t> index(DType::kInt64, {40000});
  for (size_t i = 0; i < index.values.size(); ++i) index.values[i] = static_cast<int64_t>(i % 3);
  IndexedView x(ViewOf(out.tensor));
  ASSERT_TRUE(IndexDim(x, 0, ViewOf(index.tensor)).ok());
  ASSERT_TRUE(Scatter(context, x, ViewOf(in.tensor)).ok());
  EXPECT_EQ(out.values, (std::vector<float>{40000, 39998, 39999}));  // the last of each
}

class OperatorTest : public ::testing::Test {
 protected:
  // The arguments are positions in `values`, the output last.
  Error Call(const char* name, std::vector<Value> values, std::vector<int32_t> arguments) {
    const Op* op = FindOp(AllOps(), name);
    EXPECT_NE(op, nullptr);
    arguments.push_back(arguments.back());
    const Args args{values.data(), arguments.data(), arguments.size()};
    Prepared prepared;
    PrepareContext prepare(*op, 1, &prepared);
    const Error error = op->prepare(prepare, args, &prepared);
    if (!error.ok()) return error;
    Context context;
    RunContext run(context, prepared);
    return prepared.run(run, args);
  }
};

// An instruction of a hostile file may name one value twice.
class SameTensorTest : public OperatorTest {
 protected:
  SameTensorTest() : x(DType::kFloat32, {4, 4}) { x.tensor.set_dynamic(true); }
  Array<float> x;
};

TEST_F(SameTensorTest, Cat) {
  const int32_t items[] = {0, 0};
  Tensor* tensors[2];
  const TensorListValue list{items, tensors, 2};
  const Error error =
      Call("aten::cat.out", {Value(&x.tensor), Value(&list, Tag::kTensorList), Value(int64_t{0})},
           {1, 2, 0});
  EXPECT_EQ(error.reason, Reason::kArgumentOverlap);
}

TEST_F(SameTensorTest, Select) {
  // The output is the input, whose sizes shrink while it is read.
  EXPECT_TRUE(
      Call("aten::slice_copy.Tensor_out",
           {Value(&x.tensor), Value(int64_t{0}), Value(int64_t{2}), Value(), Value(int64_t{1})},
           {0, 1, 2, 3, 4, 0})
          .ok());
  EXPECT_EQ(x.sizes, (std::vector<int32_t>{2, 4}));
  EXPECT_EQ(x.values[0], 9);
}

TEST_F(SameTensorTest, Embedding) {
  Array<int64_t> rows(DType::kInt64, {2, 1});
  rows.values = {0, 1};
  const Error error =
      Call("aten::embedding.out", {Value(&rows.tensor), Value(int64_t{-1}), Value(false)},
           {0, 0, 1, 2, 2, 0});
  EXPECT_FALSE(error.ok());
}

// Strides of these sizes do not fit 64 bits; there is no element that could need them.
class HugeEmptyTest : public OperatorTest {
 protected:
  static constexpr int32_t kHuge = INT32_MAX;
  Array<float> in{DType::kFloat32, {0, kHuge, kHuge, kHuge}};
  Array<float> out{DType::kFloat32, {0, kHuge, kHuge, kHuge}};
  Error CallWith(const char* name, std::vector<int64_t> numbers) {
    std::vector<Value> values = {Value(&in.tensor), Value(&out.tensor)};
    std::vector<int32_t> arguments = {0};
    for (const int64_t n : numbers) {
      arguments.push_back(static_cast<int32_t>(values.size()));
      values.emplace_back(n);
    }
    arguments.push_back(1);
    return Call(name, values, arguments);
  }
};

TEST_F(HugeEmptyTest, ViewsOfNothing) {
  EXPECT_TRUE(CallWith("aten::alias_copy.out", {}).ok());
  EXPECT_TRUE(CallWith("aten::narrow_copy.out", {1, 0, kHuge}).ok());
  EXPECT_TRUE(CallWith("aten::slice_copy.Tensor_out", {1, 0, INT64_MAX, 1}).ok());
  EXPECT_TRUE(CallWith("aten::transpose_copy.int_out", {1, 3}).ok());
  EXPECT_TRUE(CallWith("aten::tril.out", {-5}).ok());
  EXPECT_FALSE(CallWith("aten::select_copy.int_out", {3, kHuge - 1}).ok());   // of rank 3
  EXPECT_FALSE(CallWith("aten::diagonal_copy.out", {kHuge - 1, 2, 3}).ok());  // of rank 3
  EXPECT_FALSE(CallWith("aten::unfold_copy.out", {1, 2, kHuge / 2}).ok());    // of rank 5
}

}  // namespace
}  // namespace rushlight::ops
