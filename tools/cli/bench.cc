// Copyright (c) The Rushlight authors.
// SPDX-License-Identifier: BSD-3-Clause

// rushlight bench: how fast a program that generates text is, here and now.

#include <algorithm>
#include <cstdio>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "rushlight/cpu_features.h"
#include "rushlight/llm/engine.h"
#include "rushlight/memory_estimate.h"
#include "rushlight/platform.h"
#include "src/kernels/isa.h"
#include "tools/cli/commands.h"

namespace rushlight::cli {
namespace {

struct BenchOptions {
  std::string path;
  std::vector<std::string> data_files;
  size_t prompt_tokens = 512;
  size_t decode_tokens = 64;
  size_t context = 0;
  size_t batch = 1;
  size_t repeat = 3;
  size_t threads = 0;
  bool json = false;
};

double Seconds(int64_t begin) {
  return static_cast<double>(platform::MonotonicNanos() - begin) * 1e-9;
}

// Tokens that say nothing: the same in each run.
std::vector<int32_t> Tokens(size_t count, size_t vocabulary, uint32_t seed) {
  std::vector<int32_t> ids(count);
  for (int32_t& id : ids) {
    seed = seed * 1664525 + 1013904223;
    id = static_cast<int32_t>((seed >> 8) % vocabulary);
  }
  return ids;
}

// Seconds of decoding `count` tokens, one after another, in all sessions at once.
Result<double> Decode(std::vector<llm::Session>& sessions, size_t count, int32_t first,
                      const ExecuteOptions& options) {
  std::vector<llm::Session*> all;
  std::vector<int32_t> next(sessions.size(), first);
  std::vector<Span<const int32_t>> tokens;
  for (size_t i = 0; i < sessions.size(); ++i) {
    all.push_back(&sessions[i]);
    tokens.emplace_back(&next[i], 1);
  }
  const int64_t begin = platform::MonotonicNanos();
  for (size_t i = 0; i < count; ++i) {
    RL_RETURN_IF_ERROR(llm::Session::FeedTogether(all, tokens, options));
    for (size_t k = 0; k < sessions.size(); ++k) {
      RL_ASSIGN_OR_RETURN(const Span<const float> logits, sessions[k].Logits());
      next[k] = llm::Argmax(logits);
    }
  }
  return Seconds(begin);
}

// The fastest of several runs.  Each decodes behind `context` tokens.
Error Measure(const llm::Engine& engine, const BenchOptions& o, nlohmann::ordered_json* out) {
  ExecuteOptions execute;
  execute.threads = o.threads;
  const size_t vocabulary = engine.info().vocab_size;
  const std::vector<int32_t> prompt = Tokens(o.prompt_tokens, vocabulary, 1);
  double prefill = 1e30, decode = 1e30, first_token = 0;
  for (size_t run = 0; run < o.repeat; ++run) {
    if (!prompt.empty()) {
      RL_ASSIGN_OR_RETURN(llm::Session session, engine.NewSession());
      const int64_t begin = platform::MonotonicNanos();
      RL_RETURN_IF_ERROR(session.Feed({prompt.data(), prompt.size()}, execute).error());
      prefill = std::min(prefill, Seconds(begin));
      if (run == 0) first_token = prefill;
    }
    if (o.decode_tokens == 0) continue;
    std::vector<llm::Session> sessions;
    for (size_t i = 0; i < o.batch; ++i) {
      RL_ASSIGN_OR_RETURN(llm::Session session, engine.NewSession());
      const std::vector<int32_t> before =
          Tokens(std::max<size_t>(o.context, 1), vocabulary, static_cast<uint32_t>(2 + i));
      RL_RETURN_IF_ERROR(session.Feed({before.data(), before.size()}, execute).error());
      sessions.push_back(std::move(session));
    }
    RL_ASSIGN_OR_RETURN(const double seconds,
                        Decode(sessions, o.decode_tokens, prompt.empty() ? 0 : prompt[0], execute));
    decode = std::min(decode, seconds);
  }
  if (!prompt.empty()) {
    (*out)["prefill_tokens_per_second"] = static_cast<double>(prompt.size()) / prefill;
    (*out)["first_token_ms"] = first_token * 1e3;
  }
  if (o.decode_tokens > 0) {
    (*out)["decode_tokens_per_second"] = static_cast<double>(o.batch * o.decode_tokens) / decode;
  }
  return kOk;
}

int RunBench(const BenchOptions& o) {
  ModuleOptions load;
  load.data_files = o.data_files;
  load.threads = o.threads;
  const int64_t begin = platform::MonotonicNanos();
  const Result<llm::Engine> engine = llm::Engine::Load(o.path, load);
  if (!engine.ok()) return Fail(o.path, engine.error());
  nlohmann::ordered_json out = {{"program", o.path},
                                {"prompt_tokens", o.prompt_tokens},
                                {"decode_tokens", o.decode_tokens},
                                {"context", o.context},
                                {"batch", o.batch},
                                {"threads", o.threads == 0 ? platform::UsableCpus() : o.threads}};
  out["load_ms"] = Seconds(begin) * 1e3;
  const Error error = Measure(*engine, o, &out);
  if (!error.ok()) return Fail(o.path, error, &engine->program());
  out["peak_rss_bytes"] = PeakResidentBytes();
  const kernels::Isa isa =
      kernels::ChooseIsa(platform::CpuFeatures(), platform::Setting("RUSHLIGHT_ISA"));
  out["isa"] = kernels::Info(isa).name;
  if (o.json) {
    std::puts(out.dump(2).c_str());
    return 0;
  }
  for (const auto& [name, value] : out.items()) {
    if (value.is_number_float()) {
      std::printf("%-26s %.1f\n", name.c_str(), value.get<double>());
    } else {
      std::printf("%-26s %s\n", name.c_str(),
                  value.is_string() ? value.get<std::string>().c_str() : value.dump().c_str());
    }
  }
  return 0;
}

}  // namespace

void AddBench(CLI::App& app, int* status) {
  auto options = std::make_shared<BenchOptions>();
  CLI::App* command = app.add_subcommand("bench", "Measures how fast a language model is");
  command->add_option("program", options->path, "A program file (.pte)")->required();
  command->add_option("--prompt-tokens", options->prompt_tokens, "Of the prompt; 0: none")
      ->check(Numbers(0))
      ->capture_default_str();
  command->add_option("--decode-tokens", options->decode_tokens, "Decoded one by one; 0: none")
      ->check(Numbers(0))
      ->capture_default_str();
  command->add_option("--context", options->context, "Tokens before those that are decoded")
      ->check(Numbers(0))
      ->capture_default_str();
  command->add_option("--batch", options->batch, "Conversations that are decoded at once")
      ->check(Numbers(1))
      ->capture_default_str();
  command->add_option("--repeat", options->repeat, "Runs; the fastest counts")
      ->check(Numbers(1))
      ->capture_default_str();
  command->add_option("--data", options->data_files, "External weights (.ptd)");
  command->add_option("--threads", options->threads, kThreadsHelp)->check(Numbers(0));
  command->add_flag("--json", options->json, "Prints JSON");
  command->callback([options, status] { *status = RunBench(*options); });
}

}  // namespace rushlight::cli
