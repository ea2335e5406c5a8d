// Copyright (c) The Rushlight authors.
// SPDX-License-Identifier: BSD-3-Clause

// The seeds are sound, the generators are what they say, and a share of the campaign passes.

#include <gtest/gtest.h>

#include <set>

#include "rushlight/describe.h"
#include "tests/hostile/campaign.h"

namespace rushlight::hostile {
namespace {

TEST(Random, IsPythons) {
  // random.Random(7): getrandbits(32), getrandbits(5), random(), randrange(1000), randrange(2**40)
  Random random(7);
  EXPECT_EQ(random.Bits(32), 1390851128u);
  EXPECT_EQ(random.Bits(5), 30u);
  EXPECT_EQ(random.Unit(), 0.15084917392450192);
  EXPECT_EQ(random.Below(1000), 666u);
  EXPECT_EQ(random.Below(uint64_t{1} << 40), 159121178576u);
}

TEST(MutateBytes, IsMutatePy) {
  File file(256);
  for (size_t i = 0; i < file.size(); ++i) file[i] = static_cast<uint8_t>(i);
  Random random(7);
  uint64_t hash = 14695981039346656037u;  // FNV-1a of the first 100
  for (int i = 0; i < 100; ++i) {
    for (const uint8_t byte : MutateBytes(file, file.size(), random)) {
      hash = (hash ^ byte) * 1099511628211u;
    }
  }
  EXPECT_EQ(hash, 4208503997720879825u);
}

TEST(Seeds, AreSoundAndRun) {
  const std::vector<Seed> seeds = MakeSeeds();
  EXPECT_GE(seeds.size(), 8u);
  const Trial trial("sound");
  std::set<std::string> names;
  for (const Seed& s : seeds) {
    SCOPED_TRACE(s.name);
    EXPECT_TRUE(names.insert(s.name).second);
    EXPECT_LE(s.program.size(), 64u << 10);
    EXPECT_LE(s.data.size(), 64u << 10);
    const Error error = trial.Run({s.name, s.program, s.data});
    EXPECT_TRUE(error.ok()) << Describe(error);
    if (s.data.empty()) {
      EXPECT_TRUE(ExerciseBytes(s.program).ok());
    }
  }
}

TEST(Seeds, UseEveryKindOfValueAndInstruction) {
  std::set<int> values, instructions;
  for (const Seed& s : MakeSeeds()) {
    for (const fb::ExecutionPlan* plan : *fb::GetProgram(s.program.data())->execution_plan()) {
      for (const fb::EValue* v : *plan->values()) values.insert(v->val_type());
      for (const fb::Chain* chain : *plan->chains()) {
        for (const fb::Instruction* i : *chain->instructions()) {
          instructions.insert(i->instr_args_type());
        }
      }
    }
  }
  EXPECT_EQ(values.size(), static_cast<size_t>(fb::KernelTypes_MAX));
  EXPECT_EQ(instructions.size(), static_cast<size_t>(fb::InstructionArguments_MAX));
}

TEST(Campaign, MakesTheSameFilesAgain) {
  const Campaign a(7, 100), b(7, 100), c(8, 100);
  size_t different = 0;
  for (uint64_t i = a.size() - 100; i < a.size(); ++i) {
    const HostileFile file = a.Make(i);
    EXPECT_EQ(file.program, b.Make(i).program);
    EXPECT_EQ(file.data, b.Make(i).data);
    const HostileFile other = c.Make(i);
    different += file.program != other.program || file.data != other.data ? 1 : 0;
  }
  EXPECT_GT(different, 90u);
}

TEST(Campaign, TruncatedFilesAreRefused) {
  const Campaign campaign(7, 0);
  const Trial trial("cut");
  for (uint64_t i = 0; i < campaign.truncations(); i += 7) {
    const HostileFile file = campaign.Make(i);
    const Error error = trial.Run(file);
    EXPECT_FALSE(error.ok()) << file.description;
  }
}

TEST(Campaign, AShareOfTheMutants) {
  const Campaign campaign(7, 1000);
  const Trial trial("share");
  std::set<ErrorCode> ends;
  for (uint64_t i = campaign.truncations(); i < campaign.size();
       i += i < campaign.truncations() + Campaign::kPublished ? 10 : 1) {
    ends.insert(trial.Run(campaign.Make(i)).code());
  }
  // Mutants get through all doors.
  for (const ErrorCode code : {ErrorCode::kOk, ErrorCode::kInvalidProgram, ErrorCode::kNotAProgram,
                               ErrorCode::kInvalidArgument, ErrorCode::kOperatorMissing}) {
    EXPECT_EQ(ends.count(code), 1u) << CodeName(code);
  }
}

}  // namespace
}  // namespace rushlight::hostile
