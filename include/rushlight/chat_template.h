// Copyright (c) The Rushlight authors.
// SPDX-License-Identifier: BSD-3-Clause

// ChatTemplate: the Jinja template of a model, which makes the prompt of a conversation.
//
//   auto chat = rushlight::ChatTemplate::Parse(source);                  // chat_template.jinja
//   auto prompt = chat->Render({.messages = R"([{"role": "user", "content": "Hi"}])",
//                               .add_generation_prompt = true, .bos_token = "<s>"});
//
// The text is that of transformers' apply_chat_template(tokenize=False), which runs Jinja in a
// sandbox with trim_blocks and lstrip_blocks.  Of Jinja it has what chat templates use: all
// statements but those about other templates (include, import, extends, block), the operators, most
// filters, tests and methods, tojson, raise_exception, strftime_now, {% generation %}, break and
// continue.  Integers have 64 bits.
//
// A template may be hostile: parsing and rendering are limited in depth, work, memory and output.
// Errors: Reason::kTemplate..., index: the line.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "rushlight/error.h"

namespace rushlight {

// Immutable; any number of threads may use one.
class ChatTemplate {
 public:
  // What a template finds under these names.  The texts need to live during Render() only.
  struct Inputs {
    std::string_view messages = "[]";  // JSON
    bool add_generation_prompt = false;
    std::optional<std::string_view> bos_token = std::nullopt;  // undefined if there is none
    std::optional<std::string_view> eos_token = std::nullopt;
    std::string_view tools = "null";  // JSON: a list of functions, or null
    std::string_view variables =
        "{}";  // JSON: an object of more variables, such as enable_thinking
    std::optional<int64_t> now =
        std::nullopt;  // seconds since 1970 for strftime_now; else the clock
  };

  static Result<ChatTemplate> Parse(std::string_view source);
  // `message`: receives what the template says when it refuses a conversation (kTemplateRaised).
  // An input that is not JSON is Reason::kOptionInvalid, found: the offset.
  Result<std::string> Render(const Inputs& inputs, std::string* message = nullptr) const;

  ChatTemplate(ChatTemplate&&) noexcept;
  ChatTemplate& operator=(ChatTemplate&&) noexcept;
  ~ChatTemplate();

 private:
  struct Tree;
  explicit ChatTemplate(std::unique_ptr<const Tree> tree);

  std::unique_ptr<const Tree> tree_;
};

}  // namespace rushlight
