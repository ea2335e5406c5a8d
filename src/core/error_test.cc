// Copyright (c) The Rushlight authors.
// SPDX-License-Identifier: BSD-3-Clause

#include "rushlight/error.h"

#include <gtest/gtest.h>

#include <memory>

namespace rushlight {
namespace {

Error Check(int value) {
  RL_CHECK(value != 1, Reason::kUnsupported);
  RL_CHECK(value != 2, Reason::kValueKind, 7);
  RL_CHECK(value != 3, Reason::kInputSize, 7, -5, 9, 2);
  return kOk;
}

Result<std::unique_ptr<int>> Make(int value) {
  RL_RETURN_IF_ERROR(Check(value));
  return std::make_unique<int>(value);
}

Result<int> Twice(int value) {
  RL_ASSIGN_OR_RETURN(const std::unique_ptr<int> made, Make(value));
  return *made * 2;
}

TEST(Error, TheReasonHasTheCode) {
  EXPECT_EQ(Error().code(), ErrorCode::kOk);
  EXPECT_EQ(Check(1).code(), ErrorCode::kNotSupported);
  EXPECT_EQ(Check(2).code(), ErrorCode::kInvalidProgram);
  EXPECT_EQ(CodeOf(Reason::kTemplateLimit), ErrorCode::kTemplateInvalid);
  EXPECT_EQ(CodeOf(Reason::kNoKernelForDType), ErrorCode::kOperatorMissing);
}

TEST(Error, ChecksFillWhatTheyAreGiven) {
  const Error plain = Check(1);
  EXPECT_EQ(plain.index, Error::kNone);
  EXPECT_EQ(plain.argument, Error::kNoArgument);
  const Error full = Check(3);
  EXPECT_EQ(full.index, 7u);
  EXPECT_EQ(full.found, -5);
  EXPECT_EQ(full.limit, 9);
  EXPECT_EQ(full.argument, 2);
  EXPECT_TRUE(Check(4).ok());
}

TEST(Error, PlacesAreAdded) {
  const Error error = Check(3).AtInstruction(4).InMethod(5).WithArgument(6);
  EXPECT_EQ(error.instruction, 4u);
  EXPECT_EQ(error.method, 5u);
  EXPECT_EQ(error.argument, 6);
  EXPECT_EQ(error.reason, Reason::kInputSize);
}

TEST(Error, EveryCodeHasANumberOfExecuTorch) {
  EXPECT_EQ(ExecuTorchCode(ErrorCode::kOk), 0);
  for (int code = 1; code <= static_cast<int>(ErrorCode::kTemplateInvalid); ++code) {
    EXPECT_NE(ExecuTorchCode(static_cast<ErrorCode>(code)), 0) << code;
  }
  EXPECT_EQ(ExecuTorchCode(ErrorCode::kInvalidProgram), 0x23);
  EXPECT_EQ(ExecuTorchCode(ErrorCode::kOutOfMemory), 0x21);
}

TEST(Result, HoldsAValueOrAnError) {
  EXPECT_EQ(*Twice(5), 10);
  const Result<int> failed = Twice(2);
  ASSERT_FALSE(failed.ok());
  EXPECT_EQ(failed.error().reason, Reason::kValueKind);
}

TEST(Result, MovesAndDestroysItsValueOnce) {
  const auto counted = std::make_shared<int>(1);
  {
    Result<std::shared_ptr<int>> first(counted);
    Result<std::shared_ptr<int>> second(std::move(first));
    EXPECT_EQ(counted.use_count(), 2);
    const std::shared_ptr<int> taken = *std::move(second);
    EXPECT_EQ(counted.use_count(), 2);
  }
  EXPECT_EQ(counted.use_count(), 1);
}

TEST(Result, WithoutAValueIsNeverOk) {
  const Result<int> result(kOk);
  EXPECT_EQ(result.error().reason, Reason::kBug);
}

}  // namespace
}  // namespace rushlight
