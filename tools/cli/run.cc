// Copyright (c) The Rushlight authors.
// SPDX-License-Identifier: BSD-3-Clause

// rushlight run: one call of a method on arrays.

#include <cstdio>
#include <string>

#include "rushlight/describe.h"
#include "rushlight/memory_estimate.h"
#include "tools/cli/commands.h"
#include "tools/cli/npy.h"

namespace rushlight::cli {
namespace {

struct RunOptions {
  std::string path;
  std::string method = "forward";
  std::vector<std::string> inputs;
  std::vector<std::string> data_files;
  std::string output;
  bool read = false;
  size_t threads = 0;
  int repeat = 1;
  bool stats = false;
};

// A number or a name that is not a file: the value of a scalar input.
Result<Value> ParseScalar(const std::string& text, Tag tag) {
  switch (tag) {
    case Tag::kInt:
      return Value(static_cast<int64_t>(std::strtoll(text.c_str(), nullptr, 10)));
    case Tag::kDouble:
      return Value(std::strtod(text.c_str(), nullptr));
    case Tag::kBool:
      return Value(text == "true" || text == "1");
    case Tag::kNone:
      return Value();
    default:
      return Error(Reason::kInputKind, Error::kNone, static_cast<int64_t>(tag));
  }
}

// Inputs from files, in order; zeros at the bounds where none are given.
Result<std::vector<Value>> MakeInputs(const MethodMeta& meta, const RunOptions& options,
                                      std::vector<HostTensor>* tensors) {
  RL_CHECK(options.inputs.empty() || options.inputs.size() == meta.num_inputs(),
           Reason::kInputCount, Error::kNone, static_cast<int64_t>(options.inputs.size()),
           static_cast<int64_t>(meta.num_inputs()));
  tensors->reserve(meta.num_inputs());
  std::vector<Value> values;
  for (size_t i = 0; i < meta.num_inputs(); ++i) {
    if (meta.input_tag(i) != Tag::kTensor) {
      RL_ASSIGN_OR_RETURN(
          const Value v,
          ParseScalar(options.inputs.empty() ? "" : options.inputs[i], meta.input_tag(i)));
      values.push_back(v);
      continue;
    }
    if (options.inputs.empty()) {
      RL_ASSIGN_OR_RETURN(const TensorInfo info, meta.input_tensor(i));
      tensors->emplace_back(info.dtype, std::vector<int32_t>(info.sizes.begin(), info.sizes.end()),
                            std::vector<uint8_t>(info.dim_order.begin(), info.dim_order.end()));
    } else {
      RL_ASSIGN_OR_RETURN(HostTensor tensor, ReadNpy(options.inputs[i]));
      tensors->push_back(std::move(tensor));
    }
    values.push_back(tensors->back());
  }
  return values;
}

void PrintTensor(const Tensor& t) {
  std::printf("%s [", DTypeName(t.dtype()));
  for (size_t d = 0; d < t.rank(); ++d) std::printf("%s%d", d == 0 ? "" : ", ", t.size(d));
  std::printf("]");
  const size_t shown = t.numel() < 8 ? t.numel() : 8;
  for (size_t i = 0; i < shown; ++i) {
    if (t.dtype() == DType::kFloat32) {
      std::printf(" %g", static_cast<double>(t.data<float>()[i]));
    } else if (t.dtype() == DType::kInt64) {
      std::printf(" %lld", static_cast<long long>(t.data<int64_t>()[i]));
    }
  }
  std::printf("%s\n", shown < t.numel() ? " ..." : "");
}

Error WriteOutput(const std::string& prefix, size_t i, size_t count, const Tensor& tensor) {
  const bool single = count == 1 && prefix.size() > 4 && prefix.substr(prefix.size() - 4) == ".npy";
  return WriteNpy(single ? prefix : prefix + "." + std::to_string(i) + ".npy", tensor);
}

int Run(const RunOptions& options) {
  ModuleOptions load;
  load.data_files = options.data_files;
  load.threads = options.threads;
  load.access = options.read ? platform::FileAccess::kRead : platform::FileAccess::kMap;
  const int64_t start = platform::MonotonicNanos();
  Result<Module> module = Module::Load(options.path, load);
  if (!module.ok()) return Fail(options.path, module.error());
  const Program& program = module->program();
  const Error loaded = module->LoadMethod(options.method);
  if (!loaded.ok()) return Fail(options.method, loaded, &program);
  const int64_t ready = platform::MonotonicNanos();
  std::vector<HostTensor> tensors;
  const auto inputs = MakeInputs(*module->method_meta(options.method), options, &tensors);
  if (!inputs.ok()) return Fail("input", inputs.error(), &program);
  for (int r = 0; r < options.repeat; ++r) {
    const int64_t begin = platform::MonotonicNanos();
    const auto outputs = module->Execute(options.method, *inputs);
    if (!outputs.ok()) return Fail(options.method, outputs.error(), &program);
    const int64_t end = platform::MonotonicNanos();
    if (options.stats) {
      std::fprintf(stderr, "load_ms %.3f execute_ms %.3f peak_rss_bytes %llu\n",
                   static_cast<double>(ready - start) / 1e6, static_cast<double>(end - begin) / 1e6,
                   static_cast<unsigned long long>(PeakResidentBytes()));
    }
    if (r + 1 < options.repeat) continue;
    for (size_t i = 0; i < outputs->size(); ++i) {
      const Value& v = (*outputs)[i];
      std::printf("output %zu: ", i);
      if (v.is_tensor()) {
        PrintTensor(v.as_tensor());
        if (!options.output.empty()) {
          const Error written = WriteOutput(options.output, i, outputs->size(), v.as_tensor());
          if (!written.ok()) return Fail(options.output, written);
        }
      } else if (v.tag() == Tag::kInt) {
        std::printf("%lld\n", static_cast<long long>(v.as_int()));
      } else if (v.tag() == Tag::kDouble) {
        std::printf("%g\n", v.as_double());
      } else if (v.tag() == Tag::kBool) {
        std::printf("%s\n", v.as_bool() ? "true" : "false");
      } else {
        std::printf("%s\n", TagName(v.tag()));
      }
    }
  }
  return 0;
}

}  // namespace

void AddRun(CLI::App& app, int* status) {
  auto options = std::make_shared<RunOptions>();
  CLI::App* command = app.add_subcommand("run", "Runs a method on arrays (.npy)");
  command->add_option("program", options->path, "A program file (.pte)")->required();
  command->add_option("-m,--method", options->method, "The method")->capture_default_str();
  command->add_option("-i,--input", options->inputs,
                      "Inputs in order: .npy files, or numbers; zeros if none are given");
  command->add_option("-o,--output", options->output,
                      "Writes outputs to NAME.npy, or NAME.<i>.npy");
  command->add_option("--data", options->data_files, "External weights (.ptd)");
  command->add_option("--threads", options->threads, kThreadsHelp)->check(Numbers(0));
  command->add_option("--repeat", options->repeat, "Runs this often")
      ->check(CLI::Range(1, 1000000));
  command->add_flag("--read", options->read, "Reads the file instead of mapping it");
  command->add_flag("--stats", options->stats, "Prints times and the peak of memory");
  command->callback([options, status] { *status = Run(*options); });
}

}  // namespace rushlight::cli
