// Copyright (c) The Rushlight authors.
// SPDX-License-Identifier: BSD-3-Clause

#include "tests/hostile/campaign.h"

#include "tests/hostile/crash_note.h"

namespace rushlight::hostile {

Campaign::Campaign(uint32_t seed, uint64_t mutants)
    : seeds_(MakeSeeds()), seed_(seed), mutants_(mutants) {
  for (const Seed& s : seeds_) truncations_ += s.program.size() + s.data.size();
  const File network = MakeSeed("perceptron").program;
  Random random(7);
  for (size_t i = 0; i < kPublished; ++i) {
    published_.push_back(MutateBytes(network, network.size(), random));
  }
}

HostileFile Campaign::Make(uint64_t i) const {
  HostileFile file;
  if (i < truncations_) {
    file = Truncated(i);
  } else if (i - truncations_ < kPublished) {
    file = {"published", published_[static_cast<size_t>(i - truncations_)], {}};
  } else {
    file = Mutant(i - truncations_ - kPublished);
  }
  file.description += ", number " + std::to_string(i);
  return file;
}

HostileFile Campaign::Truncated(uint64_t i) const {
  for (const Seed& s : seeds_) {
    if (i < s.program.size()) {
      const auto end = s.program.begin() + static_cast<ptrdiff_t>(i);
      return {s.name + " cut at " + std::to_string(i), File(s.program.begin(), end), s.data};
    }
    i -= s.program.size();
    if (i < s.data.size()) {
      const auto end = s.data.begin() + static_cast<ptrdiff_t>(i);
      return {s.name + ".ptd cut at " + std::to_string(i), s.program, File(s.data.begin(), end)};
    }
    i -= s.data.size();
  }
  return {};
}

HostileFile Campaign::Mutant(uint64_t i) const {
  const Seed& s = seeds_[static_cast<size_t>(i / 4 % seeds_.size())];
  Random random(seed_ ^ static_cast<uint32_t>(i * 2654435761u));
  const bool of_data = !s.data.empty() && random.Chance(0.3);
  const File& original = of_data ? s.data : s.program;
  File mutant;
  const char* how;
  switch (i % 4) {
    case 0:
      how = "bytes";
      mutant = MutateBytes(original, PartsOf(original).metadata, random);
      break;
    case 2:
      how = "offsets";
      mutant = MutateOffsets(original, random);
      break;
    default:
      how = "fields";
      mutant = of_data ? MutateDataFile(original, random) : MutateProgram(original, random);
      break;
  }
  HostileFile file{s.name + ": " + how, s.program, s.data};
  (of_data ? file.data : file.program) = std::move(mutant);
  return file;
}

Error Trial::Run(const HostileFile& file) const {
  NoteInput(file.description);
  Error first = ExerciseCore(file.program, file.data);
  program_.Write(file.program);
  if (!file.data.empty()) data_.Write(file.data);
  for (const auto access : {platform::FileAccess::kMap, platform::FileAccess::kRead}) {
    const Error error =
        ExerciseModule(program_.path(), file.data.empty() ? "" : data_.path(), access);
    if (first.ok()) first = error;
  }
  NoteDone();
  return first;
}

}  // namespace rushlight::hostile
