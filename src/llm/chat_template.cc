// Copyright (c) The Rushlight authors.
// SPDX-License-Identifier: BSD-3-Clause

#include "rushlight/chat_template.h"

#include <utility>

#include "src/llm/template_interpreter.h"
#include "src/llm/template_json.h"
#include "src/llm/template_parser.h"
#include "src/core/no_throw.h"
#include "src/tokenizers/utf8.h"

namespace rushlight {

struct ChatTemplate::Tree : llm::TemplateTree {};

ChatTemplate::ChatTemplate(std::unique_ptr<const Tree> tree) : tree_(std::move(tree)) {}
ChatTemplate::ChatTemplate(ChatTemplate&&) noexcept = default;
ChatTemplate& ChatTemplate::operator=(ChatTemplate&&) noexcept = default;
ChatTemplate::~ChatTemplate() = default;

Result<ChatTemplate> ChatTemplate::Parse(std::string_view source) {
  return NoThrow([&]() -> Result<ChatTemplate> {
    RL_ASSIGN_OR_RETURN(llm::TemplateTree tree, llm::ParseTemplate(source));
    return ChatTemplate(std::make_unique<const Tree>(Tree{std::move(tree)}));
  });
}

namespace {

Error SetInputs(const ChatTemplate::Inputs& inputs, llm::Interpreter* in) {
  using llm::Value;
  const auto set_text = [&](std::string_view name, std::optional<std::string_view> text) -> Error {
    if (!text) return kOk;
    RL_CHECK(tokenizers::IsUtf8(*text), Reason::kOptionInvalid);
    in->SetVariable(name, Value::String(std::string(*text)));
    return kOk;
  };
  // The first of two variables of one name counts.
  RL_ASSIGN_OR_RETURN(const Value variables, llm::ReadJson(inputs.variables, &in->heap()));
  RL_CHECK(variables.is(llm::Kind::kDict), Reason::kOptionInvalid);
  for (const auto& [name, value] : variables.dict().items) in->SetVariable(name.string(), value);
  RL_ASSIGN_OR_RETURN(const Value messages, llm::ReadJson(inputs.messages, &in->heap()));
  in->SetVariable("messages", messages);
  RL_ASSIGN_OR_RETURN(const Value tools, llm::ReadJson(inputs.tools, &in->heap()));
  in->SetVariable("tools", tools);
  in->SetVariable("documents", Value::None());
  in->SetVariable("add_generation_prompt", Value::Bool(inputs.add_generation_prompt));
  RL_RETURN_IF_ERROR(set_text("bos_token", inputs.bos_token));
  return set_text("eos_token", inputs.eos_token);
}

}  // namespace

Result<std::string> ChatTemplate::Render(const Inputs& inputs, std::string* message) const {
  return NoThrow([&]() -> Result<std::string> {
    llm::Interpreter interpreter(*tree_);
    if (inputs.now) interpreter.SetTime(*inputs.now);
    RL_RETURN_IF_ERROR(SetInputs(inputs, &interpreter));
    Result<std::string> text = interpreter.Run();
    if (message != nullptr) *message = interpreter.message();
    return text;
  });
}

}  // namespace rushlight
