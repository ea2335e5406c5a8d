// Copyright (c) The Rushlight authors.
// SPDX-License-Identifier: BSD-3-Clause

// rushlight chat: a conversation in the terminal.

#include "rushlight/llm/chat.h"

#include <signal.h>
#include <unistd.h>

#include <cstdio>
#include <iostream>
#include <string>

#include "tools/cli/commands.h"

namespace rushlight::cli {
namespace {

struct ChatOptions {
  std::string path;
  std::vector<std::string> data_files;
  std::string tokenizer;
  std::string system;
  std::vector<std::string> prompts;
  size_t max_new_tokens = SIZE_MAX;
  size_t threads = 0;
  bool stats = false;
};

std::atomic<bool> interrupted;

// While a model answers, Ctrl-C ends the answer; otherwise it ends the program.
class InterruptGuard {
 public:
  InterruptGuard() {
    interrupted = false;
    struct sigaction action = {};
    action.sa_handler = [](int) { interrupted = true; };
    sigaction(SIGINT, &action, &before_);
  }
  ~InterruptGuard() { sigaction(SIGINT, &before_, nullptr); }

 private:
  struct sigaction before_ = {};
};

double PerSecond(size_t tokens, int64_t nanoseconds) {
  return nanoseconds > 0 ? static_cast<double>(tokens) * 1e9 / static_cast<double>(nanoseconds) : 0;
}

int Answer(llm::Chat& chat, const std::string& text, const ChatOptions& options,
           const Program& program) {
  const InterruptGuard guard;
  llm::GenerateOptions generate;
  generate.max_new_tokens = options.max_new_tokens;
  generate.cancel = &interrupted;
  generate.on_token = [](int32_t, std::string_view piece) {
    std::fwrite(piece.data(), 1, piece.size(), stdout);
    std::fflush(stdout);
    return !interrupted;
  };
  const size_t forgotten = chat.forgotten();
  const Result<llm::GenerateResult> answer = chat.Send(text, generate);
  std::fputs("\n", stdout);
  std::fflush(stdout);
  if (!answer.ok()) {
    const bool refused = answer.error().reason == Reason::kTemplateRaised;
    return Fail(refused ? chat.refusal() : options.path, answer.error(), &program);
  }
  if (chat.forgotten() > forgotten) {
    std::fprintf(stderr, "(the oldest %zu messages were forgotten)\n",
                 chat.forgotten() - forgotten);
  }
  if (answer->stopped == llm::StopReason::kContextFull) {
    std::fputs("(the context is full)\n", stderr);
  }
  if (options.stats) {
    std::fprintf(stderr, "(%zu tokens of prompt: %.1f a second; %zu of answer: %.1f a second)\n",
                 answer->prompt_tokens,
                 PerSecond(answer->prompt_tokens, answer->prefill_nanoseconds), answer->ids.size(),
                 PerSecond(answer->ids.size() - 1, answer->decode_nanoseconds));
  }
  return 0;
}

int RunChat(const ChatOptions& options) {
  ModuleOptions load;
  load.data_files = options.data_files;
  load.threads = options.threads;
  Result<llm::Engine> engine = llm::Engine::Load(options.path, load);
  if (!engine.ok()) return Fail(options.path, engine.error());
  if (!options.tokenizer.empty()) {
    const Error error = engine->SetTokenizerFile(options.tokenizer);
    if (!error.ok()) return Fail(options.tokenizer, error);
  }
  Result<llm::Chat> chat = llm::Chat::Start(*engine, options.system);
  if (!chat.ok()) return Fail(options.path, chat.error(), &engine->program());
  for (const std::string& prompt : options.prompts) {
    const int status = Answer(*chat, prompt, options, engine->program());
    if (status != 0) return status;
  }
  if (!options.prompts.empty()) return 0;

  const bool terminal = isatty(STDIN_FILENO) != 0;
  if (terminal) std::puts("Ctrl-C stops an answer, /reset starts anew, Ctrl-D ends.");
  std::string line;
  while (true) {
    if (terminal) std::fputs("> ", stdout), std::fflush(stdout);
    if (!std::getline(std::cin, line)) break;
    if (line == "/reset") {
      chat->Reset();
    } else if (line == "/exit" || line == "/quit") {
      return 0;
    } else if (!line.empty()) {
      // The conversation goes on after an error, unless nobody is there to go on with it.
      const int status = Answer(*chat, line, options, engine->program());
      if (status != 0 && !terminal) return status;
    }
  }
  if (terminal) std::puts("");
  return 0;
}

}  // namespace

void AddChat(CLI::App& app, int* status) {
  auto options = std::make_shared<ChatOptions>();
  CLI::App* command = app.add_subcommand("chat", "Talks with a language model in the terminal");
  command->add_option("program", options->path, "A program file (.pte)")->required();
  command
      ->add_option("-p,--prompt", options->prompts,
                   "Answers this and ends; may be given several times")
      ->take_all();
  command->add_option("-s,--system", options->system, "What the model is told first");
  command->add_option("-n,--max-new-tokens", options->max_new_tokens, "Longest answer")
      ->check(Numbers(0));
  command->add_option("--tokenizer", options->tokenizer,
                      "tokenizer.json, where the program carries none");
  command->add_option("--data", options->data_files, "External weights (.ptd)");
  command->add_option("--threads", options->threads, kThreadsHelp)->check(Numbers(0));
  command->add_flag("--stats", options->stats, "Prints tokens a second");
  command->callback([options, status] { *status = RunChat(*options); });
}

}  // namespace rushlight::cli
