// Copyright (c) The Rushlight authors.
// SPDX-License-Identifier: BSD-3-Clause

#include "rushlight/method.h"

#include <gtest/gtest.h>

#include <cstring>
#include <functional>
#include <string>
#include <vector>

#include "rushlight/ops.h"
#include "src/compiler/program_builder.h"

namespace rushlight {
namespace {

using compiler::MethodBuilder;
using compiler::ProgramBuilder;
using compiler::TensorSpec;

static_assert(__STDCPP_DEFAULT_NEW_ALIGNMENT__ >= 16);  // of files and arenas in vectors

TensorSpec Float(std::vector<int32_t> sizes) {
  TensorSpec spec;
  spec.scalar_type = static_cast<int8_t>(DType::kFloat32);
  spec.sizes = std::move(sizes);
  return spec;
}
TensorSpec Planned(TensorSpec spec, uint32_t memory_id, uint64_t offset) {
  spec.memory_id = memory_id;
  spec.memory_offset = offset;
  return spec;
}

void AddOp(MethodBuilder& m, int32_t a, int32_t b, int32_t out) {
  m.AddKernelCall(m.AddOperator("aten::add", "out"), {a, b, m.AddInt(1), out, out});
}

// A tensor of the caller's.
struct Input {
  explicit Input(std::vector<float> v, std::vector<int32_t> s = {}, DType dtype = DType::kFloat32)
      : values(std::move(v)),
        sizes(s.empty() ? std::vector<int32_t>{static_cast<int32_t>(values.size())} : std::move(s)),
        tensor(dtype, values.data(), sizes) {}
  operator Value() { return &tensor; }

  std::vector<float> values;
  std::vector<int32_t> sizes;
  Tensor tensor;
};

std::vector<float> Values(const Value& value) {
  const Tensor& t = value.as_tensor();
  return {t.data<float>(), t.data<float>() + t.numel()};
}

// A program of one method with all the memory that it needs.
class MethodTest : public testing::Test {
 protected:
  void Build(const std::function<void(ProgramBuilder&, MethodBuilder&)>& fill) {
    ProgramBuilder builder;
    MethodBuilder forward = builder.AddMethod("forward");
    fill(builder, forward);
    file_ = builder.ToBytes();
    Result<Program> program = Program::LoadInPlace(file_);
    ASSERT_TRUE(program.ok()) << static_cast<int>(program.error().reason);
    program_ = *program;
    options_.ops = ops::AllOps();
  }
  // The Error of loading and binding.
  Error Load() {
    const MethodMeta meta(program_, 0);
    arena_memory_.resize(meta.arena_bytes());
    Arena arena(arena_memory_.data(), arena_memory_.size());
    Result<Method> loaded = Method::Load(program_, "forward", options_, arena);
    if (!loaded.ok()) return loaded.error();
    EXPECT_EQ(arena.used(), arena_memory_.size());
    method_ = std::make_unique<Method>(*std::move(loaded));
    planned_memory_.clear();
    for (size_t id = 1; id <= meta.num_planned(); ++id) {
      planned_memory_.emplace_back(meta.planned_bytes(id));
    }
    scratch_.resize(method_->scratch_bytes());
    return Bind();
  }
  Error Bind() {
    const std::vector<Span<uint8_t>> planned(planned_memory_.begin(), planned_memory_.end());
    MethodMemory memory;
    memory.planned = planned;
    memory.scratch = scratch_;
    return method_->Bind(memory);
  }
  // y = x + b, all of them planned and of four elements; b is a constant.
  void BuildSum(bool dynamic = false) {
    Build([dynamic](ProgramBuilder& builder, MethodBuilder& m) {
      static constexpr float kBias[4] = {10, 20, 30, 40};
      TensorSpec bias = Float({4});
      bias.constant = builder.AddConstant({reinterpret_cast<const uint8_t*>(kBias), sizeof kBias});
      TensorSpec vector = Float({4});
      vector.dynamic = dynamic;
      const int32_t x = m.AddTensor(Planned(vector, 1, 0));
      const int32_t b = dynamic ? x : m.AddTensor(bias);
      const int32_t y = m.AddTensor(Planned(vector, 1, 16));
      AddOp(m, x, b, y);
      m.SetInputs({x});
      m.SetOutputs({y});
      m.SetMemory({32});
    });
  }
  // Never ends.
  void BuildSpin() {
    Build([](ProgramBuilder&, MethodBuilder& m) {
      m.AddJumpFalse(m.AddBool(false), 0);
      m.SetMemory({});
    });
  }

  std::vector<uint8_t> file_;
  Program program_;
  MethodOptions options_;
  std::vector<uint8_t> arena_memory_;
  std::vector<std::vector<uint8_t>> planned_memory_;
  std::vector<uint8_t> scratch_;
  std::unique_ptr<Method> method_;
};

TEST_F(MethodTest, RunsAgainAndAgain) {
  BuildSum();
  ASSERT_TRUE(Load().ok());
  Input x({1, 2, 3, 4});
  ASSERT_TRUE(method_->SetInput(0, x).ok());
  ASSERT_TRUE(method_->Execute().ok());
  EXPECT_EQ(Values(method_->output(0)), (std::vector<float>{11, 22, 33, 44}));
  Input zeros({0, 0, 0, 0});
  ASSERT_TRUE(method_->SetInput(0, zeros).ok());
  ASSERT_TRUE(method_->Execute().ok());
  EXPECT_EQ(Values(method_->output(0)), (std::vector<float>{10, 20, 30, 40}));
}

TEST_F(MethodTest, AnyArenaThatIsTooSmallIsRefused) {
  BuildSum();
  const size_t needed = MethodMeta(program_, 0).arena_bytes();
  std::vector<uint8_t> memory(needed);
  for (size_t bytes = 0; bytes < needed; ++bytes) {
    Arena arena(memory.data(), bytes);
    const Result<Method> method = Method::Load(program_, "forward", options_, arena);
    ASSERT_EQ(method.error().reason, Reason::kMethodArena);
    ASSERT_EQ(method.error().found, static_cast<int64_t>(needed));
    ASSERT_EQ(method.error().limit, static_cast<int64_t>(bytes));
  }
}

TEST_F(MethodTest, UnknownMethodsAreNotFound) {
  BuildSum();
  Arena arena;
  EXPECT_EQ(Method::Load(program_, "backward", options_, arena).error().reason,
            Reason::kMethodNotFound);
}

TEST_F(MethodTest, EveryObstacleIsTold) {
  Build([](ProgramBuilder&, MethodBuilder& m) {
    TensorSpec complex = Planned(Float({1}), 1, 0);
    complex.scalar_type = static_cast<int8_t>(DType::kComplexFloat32);
    const int32_t x = m.AddTensor(complex);
    m.AddKernelCall(m.AddOperator("mine::missing", "out"), {x, x});
    AddOp(m, x, x, x);
    m.SetMemory({16});
  });
  std::vector<Error> told;
  options_.on_obstacle = [](void* self, const Error& error) {
    static_cast<std::vector<Error>*>(self)->push_back(error);
  };
  options_.on_obstacle_self = &told;
  const Error first = Load();
  EXPECT_EQ(first.reason, Reason::kNoKernel);
  EXPECT_EQ(first.instruction, 0u);
  ASSERT_EQ(told.size(), 2u);
  EXPECT_EQ(told[0].index, 0u);
  EXPECT_EQ(told[1].reason, Reason::kNoKernelForDType);
  EXPECT_EQ(told[1].instruction, 1u);
  EXPECT_EQ(told[1].method, 0u);
}

TEST_F(MethodTest, DelegatesWithoutARowAreAnError) {
  Build([](ProgramBuilder& builder, MethodBuilder& m) {
    m.AddDelegateCall(builder.AddDelegate(m, "NobodysBackend", {}, {}), {});
    m.SetMemory({});
  });
  EXPECT_EQ(Load().reason, Reason::kNoDelegate);
}

TEST_F(MethodTest, NothingRunsBeforeItHasMemory) {
  BuildSum();
  std::vector<uint8_t> memory(MethodMeta(program_, 0).arena_bytes());
  Arena arena(memory.data(), memory.size());
  Result<Method> method = Method::Load(program_, "forward", options_, arena);
  ASSERT_TRUE(method.ok());
  Input x({1, 2, 3, 4});
  EXPECT_EQ(method->SetInput(0, x).reason, Reason::kNotLoaded);
  EXPECT_EQ(method->Execute().reason, Reason::kNotLoaded);
}

TEST_F(MethodTest, PlannedMemoryIsChecked) {
  BuildSum();
  ASSERT_TRUE(Load().ok());
  alignas(16) uint8_t memory[48];
  const auto bind = [&](std::vector<Span<uint8_t>> planned) {
    MethodMemory m;
    m.planned = planned;
    return method_->Bind(m).reason;
  };
  EXPECT_EQ(bind({}), Reason::kPlannedArena);
  EXPECT_EQ(bind({{memory, 32}, {memory, 32}}), Reason::kPlannedArena);
  EXPECT_EQ(bind({{memory, 31}}), Reason::kPlannedArena);
  EXPECT_EQ(bind({{memory + 4, 32}}), Reason::kInputMisaligned);
  EXPECT_EQ(method_->Execute().reason, Reason::kNotLoaded);  // what failed leaves none
  EXPECT_EQ(bind({{memory, 32}}), Reason::kOk);
}

TEST_F(MethodTest, ScratchMustSuffice) {
  Build([](ProgramBuilder&, MethodBuilder& m) {  // sort works in scratch
    const int32_t x = m.AddTensor(Planned(Float({64}), 1, 0));
    TensorSpec longs = Planned(Float({64}), 1, 512);
    longs.scalar_type = static_cast<int8_t>(DType::kInt64);
    const int32_t values = m.AddTensor(Planned(Float({64}), 1, 256));
    const int32_t indices = m.AddTensor(longs);
    m.AddKernelCall(
        m.AddOperator("aten::sort", "values"),
        {x, m.AddInt(0), m.AddBool(false), values, indices, m.AddTensorList({values, indices})});
    m.SetMemory({1024});
  });
  ASSERT_TRUE(Load().ok());
  ASSERT_GT(scratch_.size(), 0u);
  EXPECT_TRUE(method_->Execute().ok());
  scratch_.pop_back();
  EXPECT_EQ(Bind().reason, Reason::kScratchArena);
}

TEST_F(MethodTest, InputsMustFitTheProgram) {
  BuildSum();
  ASSERT_TRUE(Load().ok());
  const auto set = [&](Value value) { return method_->SetInput(0, value).reason; };
  Input right({1, 2, 3, 4});
  Input wrong_dtype({1, 2, 3, 4}, {}, DType::kInt32);
  Input wrong_rank({1, 2, 3, 4}, {2, 2});
  Input wrong_size({1, 2, 3});
  EXPECT_EQ(method_->SetInput(1, right).reason, Reason::kInputIndex);
  EXPECT_EQ(set(Value(1)), Reason::kInputKind);
  EXPECT_EQ(set(Value()), Reason::kInputKind);
  EXPECT_EQ(set(wrong_dtype), Reason::kInputDType);
  EXPECT_EQ(set(wrong_rank), Reason::kInputRank);
  EXPECT_EQ(set(wrong_size), Reason::kInputSize);
  Input null({1, 2, 3, 4});
  null.tensor.Rebind(nullptr, 4);
  EXPECT_EQ(set(null), Reason::kInputNull);
  Input misaligned({0, 1, 2, 3, 4}, {4});
  misaligned.tensor.Rebind(reinterpret_cast<uint8_t*>(misaligned.values.data()) + 1, 4);
  EXPECT_EQ(set(misaligned), Reason::kInputMisaligned);
  ASSERT_EQ(set(right), Reason::kOk);
  EXPECT_EQ(set(wrong_size), Reason::kInputSize);  // and the right one counts no more
  const Error error = method_->Execute();
  EXPECT_EQ(error.reason, Reason::kInputNotSet);
  EXPECT_EQ(error.index, 0u);
}

TEST_F(MethodTest, InputsLieInTheOrderOfTheProgram) {
  Build([](ProgramBuilder&, MethodBuilder& m) {
    TensorSpec transposed = Planned(Float({2, 3}), 1, 0);
    transposed.dim_order = {1, 0};
    const int32_t x = m.AddTensor(transposed);
    m.SetInputs({x});
    m.SetOutputs({x});
    m.SetMemory({32});
  });
  ASSERT_TRUE(Load().ok());
  Input rows({1, 2, 3, 4, 5, 6}, {2, 3});
  EXPECT_EQ(method_->SetInput(0, rows).reason, Reason::kInputDimOrder);
}

TEST_F(MethodTest, ScalarInputsMustBeThoseOfTheTrace) {
  Build([](ProgramBuilder&, MethodBuilder& m) {
    m.SetInputs({m.AddInt(7), m.AddDouble(0.5), m.AddBool(true), m.AddString("mean")});
    m.SetMemory({});
  });
  ASSERT_TRUE(Load().ok());
  const std::string_view mean = "mean", sum = "sum";
  EXPECT_TRUE(method_->SetInput(0, Value(7)).ok());
  EXPECT_EQ(method_->SetInput(0, Value(8)).reason, Reason::kInputValue);
  EXPECT_EQ(method_->SetInput(0, Value(7.0)).reason, Reason::kInputKind);
  EXPECT_TRUE(method_->SetInput(1, Value(0.5)).ok());
  EXPECT_EQ(method_->SetInput(1, Value(0.51)).reason, Reason::kInputValue);
  EXPECT_EQ(method_->SetInput(2, Value(false)).reason, Reason::kInputValue);
  EXPECT_TRUE(method_->SetInput(3, Value(&mean)).ok());
  EXPECT_EQ(method_->SetInput(3, Value(&sum)).reason, Reason::kInputValue);
  EXPECT_TRUE(method_->Execute().ok());
}

TEST_F(MethodTest, DynamicShapesGoUpToTheirBounds) {
  BuildSum(/*dynamic=*/true);
  ASSERT_TRUE(Load().ok());
  for (const std::vector<float>& values :
       std::vector<std::vector<float>>{{1, 2}, {}, {1, 2, 3, 4}, {5}}) {
    Input x(values, {static_cast<int32_t>(values.size())});
    ASSERT_TRUE(method_->SetInput(0, x).ok());
    ASSERT_TRUE(method_->Execute().ok());
    std::vector<float> twice;
    for (const float v : values) twice.push_back(2 * v);
    EXPECT_EQ(Values(method_->output(0)), twice);
  }
  Input long_one({1, 2, 3, 4, 5});
  EXPECT_EQ(method_->SetInput(0, long_one).reason, Reason::kInputSize);
}

TEST_F(MethodTest, OutputsWithoutAPlanAreTheCallers) {
  Build([](ProgramBuilder&, MethodBuilder& m) {
    const int32_t x = m.AddTensor(Float({4}));
    const int32_t y = m.AddTensor(Float({4}));
    const int32_t z = m.AddTensor(Planned(Float({4}), 1, 0));
    AddOp(m, x, x, y);
    AddOp(m, x, x, z);
    m.SetInputs({x});
    m.SetOutputs({y, z, m.AddInt(7)});
    m.SetMemory({16});
  });
  ASSERT_TRUE(Load().ok());
  Input x({1, 2, 3, 4});
  ASSERT_TRUE(method_->SetInput(0, x).ok());
  EXPECT_FALSE(method_->Execute().ok());  // y has no memory
  alignas(16) float y[4] = {};
  EXPECT_EQ(method_->SetOutput(0, y, 15).reason, Reason::kOutputBytes);
  EXPECT_EQ(method_->SetOutput(0, reinterpret_cast<uint8_t*>(y) + 1, 16).reason,
            Reason::kInputMisaligned);
  EXPECT_EQ(method_->SetOutput(1, y, 16).reason, Reason::kOutputPlanned);
  EXPECT_EQ(method_->SetOutput(2, y, 16).reason, Reason::kOutputKind);
  EXPECT_EQ(method_->SetOutput(3, y, 16).reason, Reason::kOutputIndex);
  ASSERT_TRUE(method_->SetOutput(0, y, 16).ok());
  ASSERT_TRUE(method_->Execute().ok());
  EXPECT_EQ(y[3], 8);
  EXPECT_EQ(method_->output(0).as_tensor().raw(), y);
  EXPECT_EQ(method_->output(2).as_int(), 7);
}

TEST_F(MethodTest, StateIsKeptUntilItIsBoundAgain) {
  Build([](ProgramBuilder& builder, MethodBuilder& m) {
    static constexpr float kInitial[2] = {1, 2};
    TensorSpec state = Planned(Float({2}), 1, 0);
    state.constant =
        builder.AddInitialState({reinterpret_cast<const uint8_t*>(kInitial), sizeof kInitial});
    state.name = "total";
    const int32_t x = m.AddTensor(Float({2}));
    const int32_t total = m.AddTensor(state);
    AddOp(m, total, x, total);
    m.SetInputs({x});
    m.SetOutputs({total});
    m.SetMemory({16});
  });
  ASSERT_TRUE(Load().ok());
  Input x({10, 20});
  ASSERT_TRUE(method_->SetInput(0, x).ok());
  ASSERT_TRUE(method_->Execute().ok());
  ASSERT_TRUE(method_->Execute().ok());
  EXPECT_EQ(Values(method_->output(0)), (std::vector<float>{21, 42}));
  const Result<Tensor*> buffer = method_->NamedBuffer("total");
  ASSERT_TRUE(buffer.ok());
  EXPECT_EQ((*buffer)->raw(), planned_memory_[0].data());
  EXPECT_EQ(method_->NamedBuffer("").error().reason, Reason::kBufferNotFound);
  ASSERT_TRUE(Bind().ok());
  EXPECT_EQ(Values(method_->output(0)), (std::vector<float>{1, 2}));
}

TEST_F(MethodTest, InstructionsAreABudget) {
  BuildSpin();
  ASSERT_TRUE(Load().ok());
  ExecuteOptions options;
  options.budget.max_instructions = 1000;
  const Error error = method_->Execute(options);
  EXPECT_EQ(error.reason, Reason::kInstructionBudget);
  EXPECT_EQ(error.limit, 1000);
  EXPECT_EQ(error.instruction, 0u);
  EXPECT_EQ(method_->Execute().reason, Reason::kInstructionBudget);  // by default there is one
}

TEST_F(MethodTest, TimeIsABudget) {
  BuildSpin();
  ASSERT_TRUE(Load().ok());
  ExecuteOptions options;
  options.budget.max_instructions = UINT64_MAX;
  options.budget.max_nanoseconds = 1;
  EXPECT_EQ(method_->Execute(options).reason, Reason::kTimeBudget);
}

TEST_F(MethodTest, AFlagCancels) {
  BuildSum();
  ASSERT_TRUE(Load().ok());
  Input x({1, 2, 3, 4});
  ASSERT_TRUE(method_->SetInput(0, x).ok());
  std::atomic<bool> cancel{true};
  ExecuteOptions options;
  options.budget.cancel = &cancel;
  EXPECT_EQ(method_->Execute(options).reason, Reason::kCancelFlag);
  cancel = false;
  EXPECT_TRUE(method_->Execute(options).ok());  // and it runs again
}

TEST_F(MethodTest, JumpsFollowTheirCondition) {
  for (const bool condition : {false, true}) {
    Build([condition](ProgramBuilder&, MethodBuilder& m) {
      const int32_t result = m.AddInt(0);
      m.AddMove(m.AddInt(1), result);
      m.AddJumpFalse(m.AddBool(condition), 3);
      m.AddMove(m.AddInt(2), result);
      m.SetOutputs({result});
      m.SetMemory({});
    });
    ASSERT_TRUE(Load().ok());
    ASSERT_TRUE(method_->Execute().ok());
    EXPECT_EQ(method_->output(0).as_int(), condition ? 2 : 1);
  }
}

TEST_F(MethodTest, StepsRunOneInstructionEach) {
  BuildSum();
  ASSERT_TRUE(Load().ok());
  Input x({1, 2, 3, 4});
  EXPECT_EQ(method_->Step().error().reason, Reason::kNotInProgress);
  ASSERT_TRUE(method_->SetInput(0, x).ok());
  ASSERT_TRUE(method_->Begin({}).ok());
  EXPECT_EQ(method_->Begin({}).reason, Reason::kInUse);
  EXPECT_EQ(method_->SetInput(0, x).reason, Reason::kInUse);
  EXPECT_EQ(method_->SetOutput(0, nullptr, 0).reason, Reason::kInUse);
  EXPECT_TRUE(*method_->Step());
  EXPECT_FALSE(*method_->Step());
  EXPECT_EQ(method_->Step().error().reason, Reason::kNotInProgress);
  EXPECT_EQ(Values(method_->output(0))[3], 44);
}

TEST_F(MethodTest, EventsTellOfEachInstruction) {
  BuildSum();
  ASSERT_TRUE(Load().ok());
  Input x({1, 2, 3, 4});
  ASSERT_TRUE(method_->SetInput(0, x).ok());
  struct Log {
    std::vector<EventKind> kinds;
    std::vector<float> result;
  } log;
  ExecuteOptions options;
  options.events.self = &log;
  options.events.notify = [](void* self, const Event& event) {
    Log& l = *static_cast<Log*>(self);
    l.kinds.push_back(event.kind);
    if (event.kind == EventKind::kInstructionEnd) {
      l.result = Values(event.values[event.operands[event.operands.size() - 1]]);
    }
  };
  ASSERT_TRUE(method_->Execute(options).ok());
  EXPECT_EQ(log.kinds,
            (std::vector<EventKind>{EventKind::kExecuteBegin, EventKind::kInstructionBegin,
                                    EventKind::kInstructionEnd, EventKind::kExecuteEnd}));
  EXPECT_EQ(log.result, (std::vector<float>{11, 22, 33, 44}));
}

TEST_F(MethodTest, AnInstructionThatDoesNotBeginDoesNotEnd) {
  BuildSpin();
  ASSERT_TRUE(Load().ok());
  std::vector<EventKind> kinds;
  ExecuteOptions options;
  options.budget.max_instructions = 1;
  options.events.self = &kinds;
  options.events.notify = [](void* self, const Event& event) {
    static_cast<std::vector<EventKind>*>(self)->push_back(event.kind);
  };
  EXPECT_EQ(method_->Execute(options).reason, Reason::kInstructionBudget);
  EXPECT_EQ(kinds, (std::vector<EventKind>{EventKind::kExecuteBegin, EventKind::kInstructionBegin,
                                           EventKind::kInstructionEnd}));
}

TEST_F(MethodTest, InstructionsTellTheirOperatorAndItsLoops) {
  BuildSum();
  ASSERT_TRUE(Load().ok());
  ASSERT_NE(method_->instruction_op(0), nullptr);
  EXPECT_STREQ(method_->instruction_op(0)->name, "aten::add.out");
  EXPECT_NE(method_->instruction_prepared(0)->loops[0], nullptr);
}

TEST_F(MethodTest, TheMetaSaysTheSame) {
  BuildSum();
  const Result<MethodMeta> meta = MethodMeta::Get(program_, "forward");
  ASSERT_TRUE(meta.ok());
  EXPECT_EQ(meta->num_inputs(), 1u);
  EXPECT_EQ(meta->input_tag(0), Tag::kTensor);
  EXPECT_EQ(meta->num_planned(), 1u);
  EXPECT_EQ(meta->planned_bytes(1), 32u);
  EXPECT_EQ(meta->num_instructions(), 1u);
  char buffer[MethodMeta::kMaxOperatorName + 1];
  EXPECT_EQ(meta->instruction_name(0, buffer), "aten::add.out");
  const Result<TensorInfo> input = meta->input_tensor(0);
  ASSERT_TRUE(input.ok());
  EXPECT_EQ(input->nbytes, 16u);
  EXPECT_TRUE(input->planned);
  Span<const uint8_t> bytes;
  EXPECT_TRUE(meta->constant_value(1, &bytes));
  EXPECT_EQ(bytes.size(), 16u);
  EXPECT_FALSE(meta->constant_value(0, &bytes));
  EXPECT_LT(meta->arena_bytes_32(), meta->arena_bytes_64());
}

}  // namespace
}  // namespace rushlight
