// Copyright (c) The Rushlight authors.
// SPDX-License-Identifier: BSD-3-Clause

#include "rushlight/llm/chat.h"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "src/core/no_throw.h"

namespace rushlight::llm {
namespace {

using Json = nlohmann::json;

// A special token of tokenizer_config.json: a text, or an object that has it as "content".
std::optional<std::string> SpecialToken(const Json& config, const char* name) {
  const auto field = config.find(name);
  if (field == config.end()) return std::nullopt;
  if (field->is_string()) return field->get<std::string>();
  if (!field->is_object()) return std::nullopt;
  const auto content = field->find("content");
  if (content == field->end() || !content->is_string()) return std::nullopt;
  return content->get<std::string>();
}

std::string ToJson(const std::vector<ChatMessage>& messages) {
  Json list = Json::array();
  for (const ChatMessage& m : messages) {
    list.push_back({{"role", m.role}, {"content", m.content}});
  }
  return list.dump(-1, ' ', false, Json::error_handler_t::replace);
}

}  // namespace

Result<Chat> Chat::Start(const Engine& engine, std::string_view system) {
  return NoThrow([&]() -> Result<Chat> {
    RL_CHECK(engine.tokenizer() != nullptr, Reason::kNoTokenizer);
    RL_ASSIGN_OR_RETURN(Session session, engine.NewSession());
    Chat chat(engine, std::move(session));
    RL_RETURN_IF_ERROR(chat.ReadTemplate());
    if (!system.empty()) chat.messages_.push_back({"system", std::string(system)});
    return chat;
  });
}

Error Chat::ReadTemplate() {
  const std::string_view source = engine_->text(kChatTemplateKey);
  if (source.empty()) return kOk;
  RL_ASSIGN_OR_RETURN(template_, ChatTemplate::Parse(source));
  const Json config = Json::parse(engine_->text(kTokenizerConfigKey), nullptr,
                                  /*allow_exceptions=*/false);
  if (!config.is_object()) return kOk;
  bos_token_ = SpecialToken(config, "bos_token");
  eos_token_ = SpecialToken(config, "eos_token");
  return kOk;
}

Result<std::vector<int32_t>> Chat::Prompt() {
  if (!template_) {
    std::string text;
    for (const ChatMessage& m : messages_) text += m.content;
    return engine_->tokenizer()->Encode(text, {});
  }
  ChatTemplate::Inputs inputs;
  const std::string messages = ToJson(messages_);
  inputs.messages = messages;
  inputs.add_generation_prompt = true;
  if (bos_token_) inputs.bos_token = *bos_token_;
  if (eos_token_) inputs.eos_token = *eos_token_;
  RL_ASSIGN_OR_RETURN(const std::string text, template_->Render(inputs, &refusal_));
  return engine_->tokenizer()->Encode(text, {.add_special_tokens = false});
}

Result<GenerateResult> Chat::Send(std::string_view user, const GenerateOptions& options) {
  return NoThrow([&]() -> Result<GenerateResult> {
    const std::vector<ChatMessage> before = messages_;
    const size_t forgotten_before = forgotten_;
    messages_.push_back({"user", std::string(user)});
    Result<GenerateResult> answer = Answer(options);
    if (answer.ok()) {
      messages_.push_back({"assistant", answer->text});
    } else {
      messages_ = before;
      forgotten_ = forgotten_before;
    }
    return answer;
  });
}

Result<GenerateResult> Chat::Answer(const GenerateOptions& options) {
  const size_t context = engine_->info().max_context_len;
  const size_t room = std::min(options.max_new_tokens, context / 4);  // for the answer
  RL_ASSIGN_OR_RETURN(std::vector<int32_t> prompt, Prompt());
  while (prompt.size() + room > context && messages_.size() > first() + 1) {
    const auto oldest = messages_.begin() + static_cast<std::ptrdiff_t>(first());
    messages_.erase(oldest, oldest + 2);  // a question and its answer
    forgotten_ += 2;
    RL_ASSIGN_OR_RETURN(prompt, Prompt());
  }
  RL_CHECK(!prompt.empty(), Reason::kOptionInvalid);
  // The last token is fed in any case, for its logits.
  const auto same = std::mismatch(held_.begin(), held_.end(), prompt.begin(), prompt.end() - 1);
  size_t begin = static_cast<size_t>(same.first - held_.begin());
  RL_ASSIGN_OR_RETURN(begin, session_.Rewind(begin));
  Result<GenerateResult> answer =
      Generate(session_, {prompt.data() + begin, prompt.size() - begin}, options);
  if (answer.ok()) prompt.insert(prompt.end(), answer->ids.begin(), answer->ids.end());
  // What was fed is the beginning of that, also where a call failed.
  prompt.resize(std::min(prompt.size(), session_.position()));
  held_ = std::move(prompt);
  RL_ASSIGN_OR_RETURN(const size_t reached, session_.Rewind(held_.size()));
  held_.resize(reached);
  return answer;
}

void Chat::Reset() {
  messages_.erase(messages_.begin() + static_cast<std::ptrdiff_t>(first()), messages_.end());
}

}  // namespace rushlight::llm
