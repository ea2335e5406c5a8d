// Copyright (c) The Rushlight authors.
// SPDX-License-Identifier: BSD-3-Clause

#include <algorithm>

#include "rushlight/llm/engine.h"
#include "rushlight/platform.h"

namespace rushlight::llm {
namespace {

// The text of an answer as it grows.  A piece is held back while it may be the beginning of a stop
// string.
class StopScanner {
 public:
  explicit StopScanner(const std::vector<std::string>& stops) : stops_(stops) {
    for (const std::string& s : stops) longest_ = std::max(longest_, s.size());
  }

  // Takes text in; returns what may be shown.  Sets *stopped where a stop string is complete: the
  // text in front of it is the last.
  std::string Add(std::string_view piece, bool* stopped) {
    held_ += piece;
    size_t first = std::string::npos;
    for (const std::string& s : stops_) {
      if (!s.empty()) first = std::min(first, held_.find(s));
    }
    if (first != std::string::npos) {
      *stopped = true;
      std::string shown = held_.substr(0, first);
      held_.clear();
      return shown;
    }
    const size_t keep = Tail();
    std::string shown = held_.substr(0, held_.size() - keep);
    held_.erase(0, held_.size() - keep);
    return shown;
  }
  std::string Finish() { return std::move(held_); }

 private:
  // Bytes at the end that a stop string begins with.
  size_t Tail() const {
    for (size_t n = std::min(held_.size(), longest_); n > 0; --n) {
      const std::string_view end = std::string_view(held_).substr(held_.size() - n);
      for (const std::string& s : stops_) {
        if (s.size() > n && std::string_view(s).substr(0, n) == end) return n;
      }
    }
    return 0;
  }

  const std::vector<std::string>& stops_;
  size_t longest_ = 0;
  std::string held_;
};

}  // namespace

Result<GenerateResult> Generate(Session& session, Span<const int32_t> prompt,
                                const GenerateOptions& options) {
  const EngineInfo& info = session.engine().info();
  const Tokenizer* tokenizer = session.engine().tokenizer();
  std::optional<StreamDecoder> decoder;
  if (tokenizer != nullptr) decoder.emplace(*tokenizer, /*skip_special=*/true);
  StopScanner scanner(options.stop);
  GenerateResult result;
  result.prompt_tokens = prompt.size();
  ExecuteOptions execute = options.execute;
  if (execute.budget.cancel == nullptr) execute.budget.cancel = options.cancel;

  int64_t begin = platform::MonotonicNanos();
  std::vector<int32_t> next(prompt.begin(), prompt.end());
  while (result.ids.size() < options.max_new_tokens) {
    const Result<Span<const float>> logits = session.Feed(next, execute);
    if (!logits.ok() && logits.error().code() == ErrorCode::kCancelled) {
      result.stopped = StopReason::kCancelled;
      break;
    }
    if (!logits.ok()) return logits.error();
    const int32_t id = Argmax(*logits);
    const int64_t now = platform::MonotonicNanos();
    (result.ids.empty() ? result.prefill_nanoseconds : result.decode_nanoseconds) += now - begin;
    begin = now;
    result.ids.push_back(id);
    const bool ends = !options.ignore_eos && std::find(info.eos_ids.begin(), info.eos_ids.end(),
                                                       id) != info.eos_ids.end();
    bool stopped = false;
    std::string shown;
    if (decoder && !ends) {
      RL_ASSIGN_OR_RETURN(const std::string piece, decoder->Add(id));
      shown = scanner.Add(piece, &stopped);
      result.text += shown;
    }
    const bool go_on = !options.on_token || options.on_token(id, shown);
    if (ends || stopped || !go_on) {
      result.stopped = ends      ? StopReason::kEndOfText
                       : stopped ? StopReason::kStopString
                                 : StopReason::kCancelled;
      if (stopped) return result;
      break;
    }
    if (session.remaining() == 0) {
      result.stopped = StopReason::kContextFull;
      break;
    }
    next = {id};
  }
  if (decoder) {  // what was held back
    RL_ASSIGN_OR_RETURN(const std::string rest, decoder->Finish());
    bool stopped = false;
    std::string shown = scanner.Add(rest, &stopped);
    shown += scanner.Finish();
    result.text += shown;
    if (!shown.empty() && options.on_token && !result.ids.empty()) {
      options.on_token(result.ids.back(), shown);
    }
  }
  return result;
}

}  // namespace rushlight::llm
