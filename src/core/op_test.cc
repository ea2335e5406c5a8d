// Copyright (c) The Rushlight authors.
// SPDX-License-Identifier: BSD-3-Clause

#include "rushlight/op.h"

#include <gtest/gtest.h>

namespace rushlight {
namespace {

int64_t seen_number;
const Tensor* seen_optional;
Span<const int64_t> seen_list;

Error Prepare(PrepareContext&, const Tensor&, const Tensor*, Span<const int64_t>, int64_t,
              Tensor&) {
  return kOk;
}
Error Run(RunContext&, const Tensor&, const Tensor* optional, Span<const int64_t> list,
          int64_t number, Tensor&) {
  seen_optional = optional;
  seen_list = list;
  seen_number = number;
  return kOk;
}

void Nothing(const int&) {}
constexpr Loop kLoops[] = {MakeLoop<&Nothing>(DType::kFloat32, DType::kFloat32),
                           MakeLoop<&Nothing>(DType::kFloat32, DType::kFloat32, 1)};
constexpr Op kOps[] = {
    {"a::one", nullptr}, {"a::two", nullptr}, {"b::op", Boxed<Prepare, Run>, kLoops}};
static_assert(SortedUnique(kOps));
constexpr Op kTwice[] = {{"a::two", nullptr}, {"a::two", nullptr}};
static_assert(!SortedUnique(kTwice));

TEST(FindOp, FindsEachNameAndTheFirstTableWins) {
  static constexpr Op kOwn[] = {{"a::two", nullptr}};
  const Span<const Op> tables[] = {kOwn, kOps};
  EXPECT_EQ(FindOp(tables, "a::one"), &kOps[0]);
  EXPECT_EQ(FindOp(tables, "a::two"), &kOwn[0]);
  EXPECT_EQ(FindOp(tables, "b::op"), &kOps[2]);
  for (const char* absent : {"", "a", "a::twoo", "b::", "z"}) {
    EXPECT_EQ(FindOp(tables, absent), nullptr) << absent;
  }
  EXPECT_EQ(FindOp({}, "a::one"), nullptr);
}

TEST(PrepareContext, PicksLoopsByDTypeAndVariant) {
  Prepared prepared;
  PrepareContext context(kOps[2], 1, &prepared);
  EXPECT_TRUE(context.UseLoop(0, DType::kFloat32, DType::kFloat32, 1).ok());
  EXPECT_EQ(prepared.loops[0], &kOps[2].loops[1]);
  EXPECT_EQ(context.UseLoop(1, DType::kInt64, DType::kFloat32).reason, Reason::kNoKernelForDType);
  EXPECT_EQ(context.UseCast(1, DType::kFloat32, DType::kFloat32).reason, Reason::kNoKernelForDType);
  EXPECT_EQ(prepared.loops[1], nullptr);
  context.NeedScratch(8);
  context.NeedScratch(4);
  EXPECT_EQ(prepared.scratch_bytes, 8u);
}

// An instruction: self, optional tensor, list of two ints, int, out, and the returned value.
class BoxedTest : public testing::Test {
 protected:
  BoxedTest() {
    values_[0] = Value(&input_);
    values_[2] = Value(&list_);
    values_[3] = Value(42);
    values_[4] = Value(&output_);
    values_[5] = Value(5);
    values_[6] = Value(6);
  }
  Error PrepareAll(size_t count = 6) {
    PrepareContext context(kOps[2], 1, &prepared_);
    return kOps[2].prepare(context, {values_, kIndices, count}, &prepared_);
  }
  Error RunAll() {
    Context execution;
    RunContext context(execution, prepared_);
    return prepared_.run(context, {values_, kIndices, 6});
  }

  static constexpr int32_t kIndices[] = {0, 1, 2, 3, 4, 4};
  static constexpr int64_t kItems[] = {5, 6};
  int64_t ints_[2];
  IntListValue list_ = {kItems, ints_, 2};
  float memory_[2] = {};
  int32_t sizes_[1] = {2};
  Tensor input_{DType::kFloat32, memory_, sizes_};
  Tensor output_{DType::kFloat32, memory_, sizes_};
  Value values_[7];
  Prepared prepared_;
};

TEST_F(BoxedTest, PassesTypedArguments) {
  ASSERT_TRUE(PrepareAll().ok());
  ASSERT_TRUE(RunAll().ok());
  EXPECT_EQ(seen_number, 42);
  EXPECT_EQ(seen_optional, nullptr);
  ASSERT_EQ(seen_list.size(), 2u);
  EXPECT_EQ(seen_list[1], 6);
  values_[1] = Value(&input_);
  ASSERT_TRUE(RunAll().ok());
  EXPECT_EQ(seen_optional, &input_);
}

TEST_F(BoxedTest, RefusesAnotherCount) { EXPECT_EQ(PrepareAll(5).reason, Reason::kArgumentCount); }

TEST_F(BoxedTest, RefusesAnotherKindAndSaysWhich) {
  values_[3] = Value(0.5);
  const Error error = PrepareAll();
  EXPECT_EQ(error.reason, Reason::kArgumentKind);
  EXPECT_EQ(error.argument, 3);
  EXPECT_EQ(error.found, static_cast<int64_t>(Tag::kDouble));
}

TEST_F(BoxedTest, ItemsOfListsAreCheckedEachTime) {
  ASSERT_TRUE(PrepareAll().ok());
  values_[6] = Value(true);  // as an instruction might
  EXPECT_EQ(RunAll().reason, Reason::kArgumentKind);
}

TEST_F(BoxedTest, ConstantsAreNotWrittenTo) {
  output_.set_read_only(true);
  const Error error = PrepareAll();
  EXPECT_EQ(error.reason, Reason::kArgumentReadOnly);
  EXPECT_EQ(error.argument, 4);
}

TEST_F(BoxedTest, MemoryMayBeMissingUntilItRuns) {
  input_.Rebind(nullptr, 2);
  ASSERT_TRUE(PrepareAll().ok());
  EXPECT_EQ(RunAll().reason, Reason::kArgumentNull);
}

}  // namespace
}  // namespace rushlight
