// Copyright (c) The Rushlight authors.
// SPDX-License-Identifier: BSD-3-Clause

#include "rushlight/memory_estimate.h"

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <cstring>
#include <map>
#include <vector>

#include "src/core/no_throw.h"

namespace rushlight {
namespace {

constexpr uint64_t kPage = 4096;
// A fault on a mapped file brings its neighbours along where they are in the page cache.
constexpr uint64_t kFaultAround = 64 * 1024;

uint64_t StatusBytes(const char* field) {
  std::FILE* file = std::fopen("/proc/self/status", "r");
  if (file == nullptr) return 0;
  char line[256];
  unsigned long long kilobytes = 0;
  while (std::fgets(line, sizeof line, file) != nullptr) {
    if (std::strncmp(line, field, std::strlen(field)) == 0) {
      std::sscanf(line + std::strlen(field), ": %llu", &kilobytes);
    }
  }
  std::fclose(file);
  return kilobytes * 1024;
}

// A set of byte ranges.
class Ranges {
 public:
  void Add(uint64_t begin, uint64_t end) {
    if (begin < end) ranges_.emplace_back(begin / kPage, (end + kPage - 1) / kPage);
  }
  // Bytes of the pages that any range touches.
  uint64_t Bytes() {
    std::sort(ranges_.begin(), ranges_.end());
    uint64_t pages = 0;
    uint64_t last = 0;
    for (const auto& [begin, end] : ranges_) {
      if (end > last) pages += end - std::max(begin, last);
      last = std::max(last, end);
    }
    return pages * kPage;
  }

 private:
  std::vector<std::pair<uint64_t, uint64_t>> ranges_;
};

// How many bytes of a table are read by looking up this many rows, wherever they are.
uint64_t TouchedByLookup(uint64_t table, double rows) {
  const double windows = std::ceil(static_cast<double>(table) / kFaultAround);
  if (windows <= 1) return table;
  const double touched = windows * (1 - std::pow(1 - 1 / windows, rows));
  return std::min<uint64_t>(table, static_cast<uint64_t>(std::ceil(touched)) * kFaultAround);
}

// Weights, as far as instructions read them.
uint64_t TouchedWeights(const Program& program, const MethodMeta& meta, double shapes) {
  struct Use {
    bool whole = false;
    double rows = 0;
  };
  std::map<size_t, Use> uses;
  char buffer[MethodMeta::kMaxOperatorName + 1];
  Span<const uint8_t> bytes;
  const size_t num_instructions = meta.num_instructions();
  for (size_t i = 0; i < num_instructions; ++i) {
    const Span<const int32_t> operands = meta.instruction_operands(i);
    const bool lookup =
        operands.size() > 1 && meta.instruction_name(i, buffer) == "aten::embedding.out";
    for (size_t k = 0; k < operands.size(); ++k) {
      const auto v = static_cast<size_t>(operands[k]);
      if (!meta.constant_value(v, &bytes)) continue;
      if (!lookup || k != 0) {
        uses[v].whole = true;
        continue;
      }
      const Result<TensorInfo> indices = meta.value_tensor(static_cast<size_t>(operands[1]));
      if (!indices.ok()) continue;
      double rows = 1;
      for (const int32_t size : indices->sizes) rows *= size;
      uses[v].rows += indices->dynamic ? std::ceil(rows * shapes) : rows;
    }
  }
  for (size_t i = 0; i < meta.num_outputs(); ++i) {
    if (meta.constant_value(meta.output_value(i), &bytes)) uses[meta.output_value(i)].whole = true;
  }
  Ranges whole;
  uint64_t lookups = 0;
  for (const auto& [v, use] : uses) {
    meta.constant_value(v, &bytes);
    const auto begin = static_cast<uint64_t>(bytes.data() - program.file().data());
    if (use.whole) {
      whole.Add(begin, begin + bytes.size());
    } else {
      lookups += TouchedByLookup(bytes.size(), use.rows);
    }
  }
  return whole.Bytes() + lookups;
}

}  // namespace

uint64_t ResidentBytes() { return StatusBytes("VmRSS"); }
uint64_t PeakResidentBytes() { return StatusBytes("VmHWM"); }

namespace {

Result<MemoryEstimate> Estimate(const Module& module, std::string_view method,
                                const EstimateOptions& options) {
  const Program& program = module.program();
  RL_ASSIGN_OR_RETURN(const MethodMeta meta, MethodMeta::Get(program, method));
  MemoryEstimate estimate;
  estimate.process = ResidentBytes();
  // Loading without memory tells what operators and delegates need beside the plan.
  MethodOptions load;
  load.ops = module.options().ops;
  load.delegates = module.options().delegates;
  load.threads = options.threads;
  load.external = module.external_data();
  std::vector<uint64_t> memory(meta.arena_bytes() / 8 + 3);
  for (;;) {
    Arena arena(memory.data(), memory.size() * 8);
    const Result<Method> loaded = Method::Load(program, method, load, arena);
    if (loaded.ok()) {
      estimate.tables = arena.high_water();
      estimate.scratch = loaded->scratch_bytes();
      break;
    }
    const bool too_small = loaded.error().reason == Reason::kMethodArena;
    if (!too_small || meta.num_delegates() == 0) return loaded.error();
    const size_t words = memory.size() * 2 + 512;
    RL_CHECK(words * 8 <= module.options().memory_limit, Reason::kMemoryBudget, Error::kNone,
             static_cast<int64_t>(words * 8), static_cast<int64_t>(module.options().memory_limit));
    memory.resize(words);
  }
  std::map<uint32_t, Ranges> activations;
  std::map<uint32_t, Ranges> state;
  for (size_t v = 0; v < meta.num_values(); ++v) {
    PlannedTensor planned;
    if (!meta.planned_value(v, &planned)) continue;
    const bool named = !planned.info.name.empty();
    const double share = named ? options.state : planned.info.dynamic ? options.shapes : 1.0;
    const auto bytes = static_cast<uint64_t>(std::ceil(static_cast<double>(planned.info.nbytes) * share));
    (named ? state : activations)[planned.memory_id].Add(planned.offset, planned.offset + bytes);
  }
  for (auto& [id, ranges] : activations) estimate.activations += ranges.Bytes();
  for (auto& [id, ranges] : state) estimate.state += ranges.Bytes();
  for (size_t i = 0; i < meta.num_outputs(); ++i) {
    const Result<TensorInfo> info = meta.output_tensor(i);
    if (info.ok() && !info->planned) {
      estimate.outputs += static_cast<uint64_t>(
          std::ceil(static_cast<double>(info->nbytes) * (info->dynamic ? options.shapes : 1.0)));
    }
  }
  estimate.weights = TouchedWeights(program, meta, options.shapes);
  return estimate;
}

}  // namespace

Result<MemoryEstimate> EstimateMemory(const Module& module, std::string_view method,
                                      const EstimateOptions& options) {
  return NoThrow([&] { return Estimate(module, method, options); });
}

}  // namespace rushlight
