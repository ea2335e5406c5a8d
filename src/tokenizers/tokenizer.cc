// Copyright (c) The Rushlight authors.
// SPDX-License-Identifier: BSD-3-Clause

// The pipeline: added tokens → normalizers → pre-tokenizers → model → post-processor, and decoders
// back.  Each stage is a section of the file.

#include "rushlight/tokenizer.h"

#include <algorithm>
#include <string>
#include <utility>

#include "src/core/no_throw.h"
#include "src/tokenizers/added_tokens.h"
#include "src/tokenizers/decoder.h"
#include "src/tokenizers/model.h"
#include "src/tokenizers/normalizer.h"
#include "src/tokenizers/post_processor.h"
#include "src/tokenizers/pre_tokenizer.h"
#include "src/tokenizers/utf8.h"

namespace rushlight {
namespace tokenizers {
namespace {

constexpr size_t kMaxFileBytes = size_t{1} << 30;
constexpr size_t kMaxTextBytes = size_t{1} << 30;  // positions in a piece have 31 bits

struct Pipeline {
  std::unique_ptr<const std::string> tables;  // null where they are somebody else's
  AddedTokens added;
  Normalizers normalizers;
  PreTokenizers pre_tokenizers;
  std::unique_ptr<Model> model;
  PostProcessor post_processor;
  std::optional<Decoders> decoders;
};

class PipelineTokenizer : public Tokenizer {
 public:
  explicit PipelineTokenizer(Pipeline stages) : stages_(std::move(stages)) {}

  // That what is added to every text is inside the vocabulary, as all other ids are.
  Error CheckSpecialIds() const {
    for (const auto* ids : {&stages_.post_processor.prefix, &stages_.post_processor.suffix}) {
      for (const int32_t id : *ids) {
        RL_CHECK(static_cast<size_t>(id) < vocab_size(), Reason::kTokenizerToken,
                 static_cast<uint32_t>(id));
      }
    }
    return kOk;
  }

  Result<std::vector<int32_t>> Encode(std::string_view text, EncodeOptions options) const override {
    return NoThrow([&] { return EncodeText(text, options); });
  }
  Result<std::string> Decode(Span<const int32_t> ids, bool skip_special) const override {
    return NoThrow([&] { return DecodeIds(ids, skip_special); });
  }
  Result<std::string> TokenBytes(int32_t id, bool at_start) const override {
    return NoThrow([&]() -> Result<std::string> {
      const std::optional<std::string_view> content = ContentOf(id);
      RL_CHECK(content.has_value(), Reason::kIndexOutOfRange, Error::kNone, id,
               static_cast<int64_t>(vocab_size()));
      std::string token(*content);
      if (!stages_.decoders) {
        if (!at_start) token.insert(token.begin(), ' ');
        return token;
      }
      Budget budget(token.size());
      RL_RETURN_IF_ERROR(DecodeOne(*stages_.decoders, at_start, &budget, &token));
      return token;
    });
  }

  size_t vocab_size() const override {
    return static_cast<size_t>(
        int64_t{std::max(stages_.model->vocabulary().last_id(), stages_.added.last_id())} + 1);
  }
  std::optional<int32_t> FindToken(std::string_view content) const override {
    const AddedToken* added = stages_.added.FindContent(content);
    return added != nullptr ? added->id : stages_.model->vocabulary().Find(content);
  }
  bool IsSpecial(int32_t id) const override {
    const AddedToken* added = stages_.added.FindId(id);
    return added != nullptr && added->special;
  }
  std::optional<int32_t> bos_id() const override {
    const std::vector<int32_t>& prefix = stages_.post_processor.prefix;
    return prefix.empty() ? std::nullopt : std::optional(prefix.front());
  }
  std::optional<int32_t> eos_id() const override {
    const std::vector<int32_t>& suffix = stages_.post_processor.suffix;
    return suffix.empty() ? std::nullopt : std::optional(suffix.back());
  }

 private:
  Result<std::vector<int32_t>> EncodeText(std::string_view text, EncodeOptions options) const {
    RL_CHECK(text.size() <= kMaxTextBytes, Reason::kTextTooLong, Error::kNone,
             static_cast<int64_t>(text.size()), kMaxTextBytes);
    std::string repaired;
    if (!IsUtf8(text)) {
      AppendRepaired(text, &repaired);
      text = repaired;
    }
    Budget budget(text.size());
    std::vector<int32_t> ids;
    if (options.add_special_tokens) ids = stages_.post_processor.prefix;
    bool at_start = true;
    const bool parse_special = options.parse_special_tokens;
    for (const AddedTokens::Part& part : stages_.added.Cut(text, false, parse_special)) {
      if (part.token != nullptr) {
        ids.push_back(part.token->id);
      } else {
        RL_RETURN_IF_ERROR(EncodePart(part.text, at_start, parse_special, &budget, &ids));
      }
      at_start = false;
    }
    if (options.add_special_tokens) {
      const std::vector<int32_t>& suffix = stages_.post_processor.suffix;
      ids.insert(ids.end(), suffix.begin(), suffix.end());
    }
    return ids;
  }

  // What lies between tokens that are not normalized.
  Error EncodePart(std::string_view text, bool at_start, bool parse_special, Budget* budget,
                   std::vector<int32_t>* ids) const {
    RL_ASSIGN_OR_RETURN(const std::string normalized, Normalize(stages_.normalizers, text, budget));
    for (const AddedTokens::Part& part : stages_.added.Cut(normalized, true, parse_special)) {
      if (part.token != nullptr) {
        ids->push_back(part.token->id);
      } else {
        Pieces pieces;
        RL_RETURN_IF_ERROR(Cut(stages_.pre_tokenizers, part.text, at_start, budget, &pieces));
        for (size_t i = 0; i < pieces.size(); ++i) {
          RL_CHECK(pieces[i].size() <= kMaxTextBytes, Reason::kTextTooLong);
          RL_RETURN_IF_ERROR(stages_.model->Tokenize(pieces[i], ids));
        }
      }
      at_start = false;
    }
    return kOk;
  }

  Result<std::string> DecodeIds(Span<const int32_t> ids, bool skip_special) const {
    std::vector<std::string> tokens;
    size_t bytes = 0;
    for (const int32_t id : ids) {
      const std::optional<std::string_view> content = ContentOf(id);
      if (!content || (skip_special && IsSpecial(id))) continue;
      tokens.emplace_back(*content);
      bytes += content->size();
    }
    if (!stages_.decoders) {
      std::string text;
      for (size_t i = 0; i < tokens.size(); ++i) text.append(i == 0 ? "" : " ").append(tokens[i]);
      return text;
    }
    Budget budget(bytes);
    return tokenizers::Decode(*stages_.decoders, std::move(tokens), &budget);
  }

  std::optional<std::string_view> ContentOf(int32_t id) const {
    const AddedToken* added = stages_.added.FindId(id);
    return added != nullptr ? added->decoded : stages_.model->vocabulary().ContentOfId(id);
  }

  const Pipeline stages_;
};

Result<JsonTree> Parse(std::string_view text) {
  RL_CHECK(text.size() <= kMaxFileBytes, Reason::kFileTooLarge, Error::kNone,
           static_cast<int64_t>(text.size()), kMaxFileBytes);
  RL_ASSIGN_OR_RETURN(JsonTree tree, JsonTree::Parse(text));
  RL_CHECK(tree.root().is_object(), Reason::kTokenizerField, static_cast<uint32_t>(Field::kRoot));
  return tree;
}

// From a tokenizer.json, whose vocabulary and merges may be missing, and tables of them.
Result<std::unique_ptr<Tokenizer>> Make(Json file, const Tables& tables,
                                        std::unique_ptr<const std::string> owned) {
  Pipeline stages;
  stages.tables = std::move(owned);
  RL_ASSIGN_OR_RETURN(stages.model, MakeModel(Find(file, Field::kModel), tables));
  if (const Json json = Find(file, Field::kNormalizer); !json.is_null()) {
    RL_ASSIGN_OR_RETURN(stages.normalizers, MakeNormalizers(json));
  }
  if (const Json json = Find(file, Field::kPreTokenizer); !json.is_null()) {
    RL_ASSIGN_OR_RETURN(stages.pre_tokenizers, MakePreTokenizers(json));
  }
  if (const Json json = Find(file, Field::kPostProcessor); !json.is_null()) {
    RL_ASSIGN_OR_RETURN(stages.post_processor, ReadPostProcessor(json));
  }
  if (const Json json = Find(file, Field::kDecoder); !json.is_null()) {
    RL_ASSIGN_OR_RETURN(stages.decoders, MakeDecoders(json));
  }
  RL_ASSIGN_OR_RETURN(stages.added,
                      AddedTokens::Read(file, stages.model->vocabulary(), stages.normalizers));
  auto tokenizer = std::make_unique<PipelineTokenizer>(std::move(stages));
  RL_RETURN_IF_ERROR(tokenizer->CheckSpecialIds());
  return std::unique_ptr<Tokenizer>(std::move(tokenizer));
}

Result<std::unique_ptr<Tokenizer>> Load(std::string_view text) {
  RL_ASSIGN_OR_RETURN(const JsonTree tree, Parse(text));
  RL_ASSIGN_OR_RETURN(std::string compiled, CompileTables(Find(tree.root(), Field::kModel), {}));
  auto bytes = std::make_unique<const std::string>(std::move(compiled));
  RL_ASSIGN_OR_RETURN(const Tables tables, Tables::Open(Bytes(*bytes)));
  return Make(tree.root(), tables, std::move(bytes));
}

Result<std::unique_ptr<Tokenizer>> Open(Span<const uint8_t> file) {
  RL_ASSIGN_OR_RETURN(const Tables tables, Tables::Open(file));
  RL_ASSIGN_OR_RETURN(const JsonTree tree, Parse(tables.description));
  return Make(tree.root(), tables, nullptr);
}

// What tables do not say: the file without its vocabulary and merges.
std::string Description(Json file) {
  std::string text = "{\"model\":{\"type\":\"BPE\"";  // the oldest files do not name it
  const auto append = [&text](Json member) {
    text.push_back(',');
    AppendQuoted(member.key(), &text);
    text.push_back(':');
    member.AppendTo(&text);
  };
  for (const Json member : Find(file, Field::kModel)) {
    if (member.key() != "vocab" && member.key() != "merges") append(member);
  }
  text.push_back('}');
  for (const Json member : file) {
    if (member.key() != "model") append(member);
  }
  text.push_back('}');
  return text;
}

Result<std::string> Compile(std::string_view text) {
  RL_ASSIGN_OR_RETURN(const JsonTree tree, Parse(text));
  const Json file = tree.root();
  RL_ASSIGN_OR_RETURN(std::string compiled,
                      CompileTables(Find(file, Field::kModel), Description(file)));
  RL_RETURN_IF_ERROR(Open(Bytes(compiled)).error());  // that nothing else is wrong with it
  return compiled;
}

}  // namespace
}  // namespace tokenizers

namespace {

std::string_view Text(Span<const uint8_t> bytes) {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

}  // namespace

Result<std::unique_ptr<Tokenizer>> LoadTokenizer(Span<const uint8_t> file) {
  return NoThrow([&] { return tokenizers::Load(Text(file)); });
}

Result<std::unique_ptr<Tokenizer>> OpenTokenizer(Span<const uint8_t> compiled) {
  return NoThrow([&] { return tokenizers::Open(compiled); });
}

Result<std::string> CompileTokenizer(Span<const uint8_t> file) {
  return NoThrow([&] { return tokenizers::Compile(Text(file)); });
}

}  // namespace rushlight
