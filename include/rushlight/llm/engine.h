// Copyright (c) The Rushlight authors.
// SPDX-License-Identifier: BSD-3-Clause

// Engine: a program that generates text.  Session: one conversation with it.
//
//   auto engine = rushlight::llm::Engine::Load("model.pte");
//   auto session = engine->NewSession();
//   auto logits = session->Feed(prompt_ids);           // of the last token
//   auto result = Generate(*session, prompt_ids, options);
//
// The program is one that ExecuTorch's LLM runner would take: `forward(tokens int64 [1, n],
// positions)` with one tensor of logits, and metadata as constant methods.  Programs of this
// library carry their tokenizer and chat template along.
//
// An Engine is immutable; any number of threads may make sessions.  A Session belongs to one thread
// at a time and outlives neither its engine nor its tokenizer.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "rushlight/module.h"
#include "rushlight/tokenizer.h"

namespace rushlight::llm {

// Keys of named data in a program file.
inline constexpr std::string_view kTokenizerKey = "rushlight.tokenizer";  // CompileTokenizer()'s
inline constexpr std::string_view kTokenizerJsonKey = "rushlight.tokenizer.json";  // as it was
inline constexpr std::string_view kTokenizerConfigKey = "rushlight.tokenizer_config.json";
inline constexpr std::string_view kChatTemplateKey = "rushlight.chat_template.jinja";

// What a program tells of itself.
struct EngineInfo {
  size_t max_context_len = 0;  // positions that the state holds
  size_t max_seq_len = 1;      // most tokens of one call
  size_t vocab_size = 0;
  std::vector<int32_t> eos_ids;  // any of them ends a text
  std::optional<int32_t> bos_id;
  bool can_rewind = true;  // the state at an earlier position can be gone back to
};

class Session;

class Engine {
 public:
  static Result<Engine> Load(const std::string& path, const ModuleOptions& options = {});
  static Result<Engine> FromModule(Module module);

  const EngineInfo& info() const { return info_; }
  const Program& program() const { return module_->program(); }
  // The tokenizer in the program; null where there is none.
  const Tokenizer* tokenizer() const { return tokenizer_.get(); }
  // Another one.
  Error SetTokenizer(Span<const uint8_t> tokenizer_json);
  Error SetTokenizerFile(const std::string& path);
  // Named data as text; empty where there is none.
  std::string_view text(std::string_view key) const;

  // A conversation with a state of its own, at position 0.
  Result<Session> NewSession() const;
  // One that goes on where Session::Save was called, with this program.
  Result<Session> RestoreSession(Span<const uint8_t> saved) const;

 private:
  friend class Session;
  Engine() = default;
  Error ReadMetadata();

  std::unique_ptr<Module> module_;
  std::unique_ptr<Tokenizer> tokenizer_;
  EngineInfo info_;
  bool takes_positions_ = true;  // the second input has one position for each token
};

class Session {
 public:
  // Tokens that the state holds.
  size_t position() const { return position_; }
  size_t remaining() const { return engine_->info().max_context_len - position_; }

  // Takes tokens in, in as few calls as the program allows; returns the logits [vocab_size] that
  // follow the last one, valid until the next call.  Requires: tokens is not empty.
  // Errors: kContextFull, before anything is fed; kOptionInvalid for an id outside the vocabulary.
  Result<Span<const float>> Feed(Span<const int32_t> tokens, const ExecuteOptions& options = {});
  // Feeds several sessions of one engine as one: tokens[i] to sessions[i], so that weights are read
  // once for all.  Each session's Logits() are, to the bit, as if it were alone.
  static Error FeedTogether(Span<Session* const> sessions, Span<const Span<const int32_t>> tokens,
                            const ExecuteOptions& options = {});
  // Of the last token fed, [vocab_size], valid until the next call.
  Result<Span<const float>> Logits();

  // Forgets what came after `position`.  Returns the position reached: that one, or 0 where the
  // program's state only goes forward.  Fails with kOptionInvalid beyond position().
  Result<size_t> Rewind(size_t position);
  // Another session that has read the same; copies what the state holds.
  Result<Session> Fork() const;
  // The session as bytes, for Engine::RestoreSession.
  Result<std::vector<uint8_t>> Save() const;

  const Engine& engine() const { return *engine_; }

 private:
  friend class Engine;
  Session(const Engine& engine, Module module)
      : engine_(&engine), module_(std::make_unique<Module>(std::move(module))) {}
  Error CheckTokens(Span<const int32_t> tokens) const;
  // Inputs of a call with these tokens.
  Span<const Value> Prepare(Span<const int32_t> tokens);

  const Engine* engine_;
  std::unique_ptr<Module> module_;
  size_t position_ = 0;
  // Of the call:
  std::vector<int64_t> tokens_, positions_;
  int32_t token_sizes_[2] = {}, position_sizes_[1] = {};
  Tensor tensors_[2];
  Value inputs_[2];
  std::vector<float> logits_;  // where the program gives 16-bit ones
};

// The position of the largest logit; the first of several.  NaN never wins.
int32_t Argmax(Span<const float> logits);

enum class StopReason : uint8_t { kEndOfText, kStopString, kMaxTokens, kContextFull, kCancelled };

struct GenerateOptions {
  size_t max_new_tokens = SIZE_MAX;
  bool ignore_eos = false;
  std::vector<std::string> stop;  // texts that end the answer; not part of it
  const std::atomic<bool>* cancel = nullptr;
  // Told of each token, with the text that is complete by now (may be empty); false stops.
  std::function<bool(int32_t id, std::string_view text)> on_token;
  ExecuteOptions execute;
};

struct GenerateResult {
  std::vector<int32_t> ids;  // generated, the end-of-text token included
  std::string text;          // without it
  StopReason stopped = StopReason::kMaxTokens;
  size_t prompt_tokens = 0;         // that were fed
  int64_t prefill_nanoseconds = 0;  // until the first token is known
  int64_t decode_nanoseconds = 0;   // of the others
};

// Feeds a prompt and decodes greedily.  The last token is not fed: the session ends where it can go
// on with more text.  Texts need the engine's tokenizer; without one only ids are given.
Result<GenerateResult> Generate(Session& session, Span<const int32_t> prompt,
                                const GenerateOptions& options = {});

}  // namespace rushlight::llm
