// Copyright (c) The Rushlight authors.
// SPDX-License-Identifier: BSD-3-Clause

// The long-running operators cut into pieces: the bits of a result do not depend on how, and they
// stop where the caller says so.

#include <gtest/gtest.h>

#include <atomic>
#include <cstring>
#include <deque>
#include <random>
#include <string>
#include <vector>

#include "rushlight/op.h"
#include "rushlight/thread_team.h"
#include "src/ops/tables.h"

namespace rushlight::ops {
namespace {

// Arguments of an operator, with what they point to.  The last one is the output.
class Call {
 public:
  explicit Call(std::string name) : name_(std::move(name)) {}

  Call& Random(std::vector<int32_t> sizes) {
    Tensor& t = Add(std::move(sizes));
    std::uniform_real_distribution<float> uniform(-1, 1);
    for (float& v : data_.back()) v = uniform(random_);
    t.set_read_only(true);
    return *this;
  }
  Call& Out(std::vector<int32_t> sizes) {
    Add(std::move(sizes));
    return *this;
  }
  Call& None() { return Push(Value()); }
  Call& Number(int64_t v) { return Push(Value(v)); }
  Call& Flag(bool v) { return Push(Value(v)); }
  Call& Ints(std::vector<int64_t> ints) {
    // The items are values further up, which are added when the call is made.
    ints_.push_back(std::move(ints));
    int_lists_.emplace_back();
    return Push(Value(&int_lists_.back()));
  }

  Error Run(Context* context) {
    std::vector<Value> values = values_;
    std::deque<std::vector<int64_t>> items;
    std::deque<std::vector<int64_t>> storage;
    for (size_t l = 0; l < ints_.size(); ++l) {
      items.emplace_back();
      for (const int64_t v : ints_[l]) {
        items.back().push_back(static_cast<int64_t>(values.size()));
        values.push_back(Value(v));
      }
      storage.emplace_back(ints_[l].size());
      int_lists_[l] = {items.back().data(), storage.back().data(),
                       static_cast<uint32_t>(ints_[l].size())};
    }
    std::vector<int32_t> positions;
    for (size_t i = 0; i < values_.size(); ++i) positions.push_back(static_cast<int32_t>(i));
    positions.push_back(positions.back());
    const Args args{values.data(), positions.data(), positions.size()};
    const Op* op = FindOp(AllOps(), name_);
    if (op == nullptr) return Error(Reason::kNoKernel);
    Prepared prepared;
    PrepareContext prepare(*op, context->threads, &prepared);
    RL_RETURN_IF_ERROR(op->prepare(prepare, args, &prepared));
    RunContext run(*context, prepared);
    return prepared.run(run, args);
  }
  std::vector<float>& output() { return data_.back(); }
  const std::string& name() const { return name_; }

 private:
  Tensor& Add(std::vector<int32_t> sizes) {
    size_t n = 1;
    for (const int32_t s : sizes) n *= static_cast<size_t>(s);
    sizes_.push_back(std::move(sizes));
    data_.emplace_back(n);
    tensors_.emplace_back(DType::kFloat32, data_.back().data(), Span<int32_t>(sizes_.back()));
    Push(Value(&tensors_.back()));
    return tensors_.back();
  }
  Call& Push(Value v) {
    values_.push_back(v);
    return *this;
  }

  std::string name_;
  std::mt19937 random_{20261201};
  std::vector<Value> values_;
  std::deque<std::vector<int32_t>> sizes_;
  std::deque<std::vector<float>> data_;
  std::deque<Tensor> tensors_;
  std::deque<std::vector<int64_t>> ints_;
  std::deque<IntListValue> int_lists_;
};

// Each is large enough for several pieces.
std::deque<Call> LongCalls() {
  std::deque<Call> calls;
  calls.emplace_back("aten::linear.out")
      .Random({130, 200})
      .Random({301, 200})
      .Random({301})
      .Out({130, 301});
  calls.emplace_back("aten::linear.out").Random({1, 500}).Random({4001, 500}).None().Out({1, 4001});
  calls.emplace_back("aten::mm.out").Random({131, 200}).Random({200, 301}).Out({131, 301});
  calls.emplace_back("aten::mm.out").Random({2, 500}).Random({500, 4001}).Out({2, 4001});
  calls.emplace_back("aten::bmm.out").Random({200, 9, 40}).Random({200, 40, 33}).Out({200, 9, 33});
  calls.emplace_back("aten::convolution.out")
      .Random({2, 20, 30, 31})
      .Random({70, 20, 3, 3})
      .Random({70})
      .Ints({1, 1})
      .Ints({1, 1})
      .Ints({1, 1})
      .Flag(false)
      .Ints({0, 0})
      .Number(1)
      .Out({2, 70, 30, 31});
  calls.emplace_back("aten::convolution.out")
      .Random({1, 64, 70, 71})
      .Random({64, 1, 3, 3})
      .None()
      .Ints({1, 1})
      .Ints({1, 1})
      .Ints({1, 1})
      .Flag(false)
      .Ints({0, 0})
      .Number(64)
      .Out({1, 64, 70, 71});
  calls.emplace_back("aten::convolution.out")
      .Random({1, 40, 20, 21})
      .Random({40, 30, 4, 4})
      .Random({30})
      .Ints({2, 2})
      .Ints({1, 1})
      .Ints({1, 1})
      .Flag(true)
      .Ints({0, 0})
      .Number(1)
      .Out({1, 30, 40, 42});
  calls.emplace_back("aten::avg_pool2d.out")
      .Random({2, 40, 70, 71})
      .Ints({3, 3})
      .Ints({1, 1})
      .Ints({1, 1})
      .Flag(false)
      .Flag(true)
      .None()
      .Out({2, 40, 70, 71});
  calls.emplace_back("aten::_adaptive_avg_pool2d.out")
      .Random({2, 300, 30, 31})
      .Ints({3, 4})
      .Out({2, 300, 3, 4});
  calls.emplace_back("aten::upsample_nearest2d.out")
      .Random({2, 30, 30, 31})
      .Ints({61, 70})
      .None()
      .None()
      .Out({2, 30, 61, 70});
  calls.emplace_back("aten::upsample_bilinear2d.out")
      .Random({2, 30, 30, 31})
      .Ints({61, 70})
      .Flag(false)
      .None()
      .None()
      .Out({2, 30, 61, 70});
  calls.emplace_back("aten::_upsample_bilinear2d_aa.out")
      .Random({2, 30, 130, 131})
      .Ints({61, 40})
      .Flag(false)
      .None()
      .None()
      .Out({2, 30, 61, 40});
  calls.emplace_back("aten::grid_sampler_2d.out")
      .Random({2, 70, 30, 31})
      .Random({2, 60, 61, 2})
      .Number(0)
      .Number(0)
      .Flag(false)
      .Out({2, 70, 60, 61});
  calls.emplace_back("aten::pixel_shuffle.out")
      .Random({2, 36, 50, 51})
      .Number(3)
      .Out({2, 4, 150, 153});
  calls.emplace_back("aten::im2col.out")
      .Random({2, 30, 30, 31})
      .Ints({3, 3})
      .Ints({1, 1})
      .Ints({1, 1})
      .Ints({1, 1})
      .Out({2, 270, 930});
  calls.emplace_back("aten::col2im.out")
      .Random({2, 270, 930})
      .Ints({30, 31})
      .Ints({3, 3})
      .Ints({1, 1})
      .Ints({1, 1})
      .Ints({1, 1})
      .Out({2, 30, 30, 31});
  return calls;
}

// Odd pieces, from the last to the first.
void RunBackwards(void*, size_t count, size_t, Context::Task task, void* arg) {
  size_t end = count;
  for (size_t length = 1; end > 0; length = length * 3 % 17 + 1) {
    const size_t begin = end > length ? end - length : 0;
    task(arg, 0, begin, end);
    end = begin;
  }
}

// As many threads as that, whatever the machine has.
ThreadTeamOptions Threads(size_t threads) {
  ThreadTeamOptions options;
  options.threads = threads;
  options.cpus = threads;
  return options;
}

TEST(Parallel, ResultsDoNotDependOnPieces) {
  for (Call& call : LongCalls()) {
    SCOPED_TRACE(call.name());
    Context serial;
    ASSERT_TRUE(call.Run(&serial).ok());
    const std::vector<float> expected = call.output();
    ThreadTeam team(Threads(3));
    for (const size_t threads : {0, 2, 3}) {
      std::fill(call.output().begin(), call.output().end(), 77.0f);
      ThreadTeam::Lease lease(team, threads);
      Context context;
      context.parallel = threads == 0 ? &RunBackwards : &ThreadTeam::Lease::ParallelFor;
      context.team = &lease;
      context.threads = 3;
      ASSERT_TRUE(call.Run(&context).ok());
      EXPECT_EQ(std::memcmp(expected.data(), call.output().data(), expected.size() * sizeof(float)),
                0);
    }
  }
}

TEST(Parallel, StopsBetweenPieces) {
  for (Call& call : LongCalls()) {
    SCOPED_TRACE(call.name());
    const std::atomic<bool> cancel{true};
    Context context;
    context.cancel = &cancel;
    EXPECT_EQ(call.Run(&context).reason, Reason::kCancelFlag);
  }
}

}  // namespace
}  // namespace rushlight::ops
