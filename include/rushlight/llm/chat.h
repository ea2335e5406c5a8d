// Copyright (c) The Rushlight authors.
// SPDX-License-Identifier: BSD-3-Clause

// Chat: a conversation in texts.
//
//   auto engine = rushlight::llm::Engine::Load("model.pte");
//   auto chat = rushlight::llm::Chat::Start(*engine, "Answer briefly.");
//   auto answer = chat->Send("What is the capital of France?");   // answer->text
//
// The whole conversation is rendered with the model's chat template for every message, and what the
// session has already taken in is not computed again.  A model without a template goes on with the
// text as it is.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "rushlight/chat_template.h"
#include "rushlight/llm/engine.h"

namespace rushlight::llm {

struct ChatMessage {
  std::string role;  // "system", "user" or "assistant"
  std::string content;
};

// Belongs to one thread at a time; must not outlive the engine.
class Chat {
 public:
  // Errors: kNoTokenizer; kTemplate... where the template does not parse.
  static Result<Chat> Start(const Engine& engine, std::string_view system = {});

  // Adds a message of the user; returns the model's answer.  Where the context would be full, the
  // oldest messages are forgotten first.  After an error the conversation is as it was before.
  // Errors: kContextFull if the message alone is too long; kTemplateRaised if the template refuses
  // the conversation (see refusal()).
  Result<GenerateResult> Send(std::string_view user, const GenerateOptions& options = {});
  // Forgets all messages but the system's.
  void Reset();

  const std::vector<ChatMessage>& messages() const { return messages_; }
  // Messages that were forgotten so far for want of room.
  size_t forgotten() const { return forgotten_; }
  // What the template said when it last refused a conversation.
  const std::string& refusal() const { return refusal_; }
  const Engine& engine() const { return *engine_; }

 private:
  Chat(const Engine& engine, Session session) : engine_(&engine), session_(std::move(session)) {}
  Error ReadTemplate();
  Result<std::vector<int32_t>> Prompt();
  Result<GenerateResult> Answer(const GenerateOptions& options);
  // Where the conversation begins, behind the system's message.
  size_t first() const { return !messages_.empty() && messages_[0].role == "system" ? 1 : 0; }

  const Engine* engine_;
  Session session_;
  std::optional<ChatTemplate> template_;
  std::optional<std::string> bos_token_, eos_token_;
  std::vector<ChatMessage> messages_;
  std::vector<int32_t> held_;  // the tokens that the session has taken in
  size_t forgotten_ = 0;
  std::string refusal_;
};

}  // namespace rushlight::llm
