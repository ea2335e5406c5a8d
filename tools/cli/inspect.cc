// Copyright (c) The Rushlight authors.
// SPDX-License-Identifier: BSD-3-Clause

// rushlight inspect: what is in a program file, and what it will need.

#include <cstdio>
#include <string>

#include "rushlight/describe.h"
#include "rushlight/memory_estimate.h"
#include "tools/cli/commands.h"

namespace rushlight::cli {
namespace {

struct InspectOptions {
  std::string path;
  std::vector<std::string> data_files;
  double shapes = 1.0;
  size_t threads = 0;
  double state = 1.0;
  bool operators = false;
};

std::string Bytes(uint64_t n) {
  char text[32];
  if (n >= 10'000'000) {
    std::snprintf(text, sizeof text, "%.1f MB", static_cast<double>(n) / 1e6);
  } else if (n >= 10'000) {
    std::snprintf(text, sizeof text, "%.1f kB", static_cast<double>(n) / 1e3);
  } else {
    std::snprintf(text, sizeof text, "%llu B", static_cast<unsigned long long>(n));
  }
  return text;
}

void PrintEnd(const char* what, size_t i, Tag tag, const Result<TensorInfo>& info) {
  std::printf("  %s %zu: ", what, i);
  if (tag != Tag::kTensor || !info.ok()) {
    std::printf("%s\n", TagName(tag));
    return;
  }
  std::printf("%s [", DTypeName(info->dtype));
  for (size_t d = 0; d < info->sizes.size(); ++d) {
    std::printf("%s%d", d == 0 ? "" : ", ", info->sizes[d]);
  }
  std::printf("]%s\n", info->dynamic ? " at most" : "");
}

void PrintMethod(const Module& module, const std::string& name, const InspectOptions& options) {
  const MethodMeta meta = *module.method_meta(name);
  std::printf("method %s: %zu instructions, %zu values\n", name.c_str(), meta.num_instructions(),
              meta.num_values());
  for (size_t i = 0; i < meta.num_inputs(); ++i) {
    PrintEnd("input", i, meta.input_tag(i), meta.input_tensor(i));
  }
  for (size_t i = 0; i < meta.num_outputs(); ++i) {
    PrintEnd("output", i, meta.output_tag(i), meta.output_tensor(i));
  }
  for (size_t i = 0; i < meta.num_delegates(); ++i) {
    std::printf("  delegate %zu: %s\n", i, std::string(meta.delegate_id(i)).c_str());
  }
  char buffer[MethodMeta::kMaxOperatorName + 1];
  for (size_t i = 0; options.operators && i < meta.num_operators(); ++i) {
    std::printf("  operator %s\n", std::string(meta.operator_name(i, buffer)).c_str());
  }
  if (meta.num_instructions() == 0) return;
  EstimateOptions estimate_options;
  estimate_options.shapes = options.shapes;
  estimate_options.state = options.state;
  const Result<MemoryEstimate> estimate = EstimateMemory(module, name, estimate_options);
  if (!estimate.ok()) {
    std::printf("  will not load: %s\n", Describe(estimate.error(), &module.program()).c_str());
    return;
  }
  const MemoryEstimate& e = *estimate;
  std::printf("  arena (tables): %zu B with 32-bit pointers, %zu B with 64-bit\n",
              meta.arena_bytes_32(), meta.arena_bytes_64());
  for (size_t id = 1; id <= meta.num_planned(); ++id) {
    std::printf("  planned memory %zu: %llu B\n", id,
                static_cast<unsigned long long>(meta.planned_bytes(id)));
  }
  std::printf("  scratch: %llu B (threads: %zu)\n", static_cast<unsigned long long>(e.scratch),
              module.options().threads);
  std::printf("  peak resident memory: %s = weights %s + activations %s + state %s + other %s\n",
              Bytes(e.total()).c_str(), Bytes(e.weights).c_str(), Bytes(e.activations).c_str(),
              Bytes(e.state).c_str(),
              Bytes(e.total() - e.weights - e.activations - e.state).c_str());
  std::printf("  estimated_peak_rss_bytes: %llu\n", static_cast<unsigned long long>(e.total()));
}

// A method that only returns constants: metadata.  False where it is another kind of method.
bool PrintConstants(Module& module, const std::string& name) {
  const MethodMeta meta = *module.method_meta(name);
  if (meta.num_instructions() > 0 || meta.num_inputs() > 0) return false;
  const auto values = module.Execute(name, {});
  if (!values.ok()) return false;
  std::printf("constant %s:", name.c_str());
  for (const Value& v : *values) {
    switch (v.tag()) {
      case Tag::kInt:
        std::printf(" %lld", static_cast<long long>(v.as_int()));
        break;
      case Tag::kDouble:
        std::printf(" %g", v.as_double());
        break;
      case Tag::kBool:
        std::printf(" %s", v.as_bool() ? "true" : "false");
        break;
      default:
        std::printf(" %s", TagName(v.tag()));
        break;
    }
  }
  std::printf("\n");
  return true;
}

int Inspect(const InspectOptions& options) {
  ModuleOptions load;
  load.data_files = options.data_files;
  load.threads = options.threads;
  Result<Module> module = Module::Load(options.path, load);
  if (!module.ok()) return Fail(options.path, module.error());
  const Program& program = module->program();
  std::printf("%s: %s, of which %s metadata; %zu methods\n", options.path.c_str(),
              Bytes(program.file().size()).c_str(), Bytes(program.metadata().size()).c_str(),
              program.num_methods());
  constexpr std::string_view kPacked = "rushlight.cpu.";  // a key for each matrix: in one line
  size_t packed = 0;
  uint64_t packed_bytes = 0;
  for (size_t i = 0; i < program.num_named_data(); ++i) {
    const std::string key(program.named_data_key(i));
    if (key.compare(0, kPacked.size(), kPacked) == 0) {
      ++packed;
      packed_bytes += program.named_data(i).size();
      continue;
    }
    std::printf("named data %s: %s\n", key.c_str(), Bytes(program.named_data(i).size()).c_str());
  }
  if (packed > 0) {
    std::printf("named data %s*: %zu packed weights, %s\n", std::string(kPacked).c_str(), packed,
                Bytes(packed_bytes).c_str());
  }
  for (const std::string& name : module->method_names()) {
    if (!PrintConstants(*module, name)) PrintMethod(*module, name, options);
  }
  return 0;
}

}  // namespace

void AddInspect(CLI::App& app, int* status) {
  auto options = std::make_shared<InspectOptions>();
  CLI::App* command =
      app.add_subcommand("inspect", "What is in a program, and the memory it needs");
  command->add_option("program", options->path, "A program file (.pte)")->required();
  command->add_option("--data", options->data_files, "External weights (.ptd)");
  command->add_option("--threads", options->threads, kThreadsHelp)->check(Numbers(0));
  command
      ->add_option("--shapes", options->shapes,
                   "Share of the dynamic shapes' bounds that a call uses, 0 to 1")
      ->check(CLI::Range(0.0, 1.0));
  command->add_option("--state", options->state, "Share of the state that is filled, 0 to 1")
      ->check(CLI::Range(0.0, 1.0));
  command->add_flag("--operators", options->operators, "List the operators");
  command->callback([options, status] { *status = Inspect(*options); });
}

}  // namespace rushlight::cli
