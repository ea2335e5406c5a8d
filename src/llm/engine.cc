// Copyright (c) The Rushlight authors.
// SPDX-License-Identifier: BSD-3-Clause

#include "rushlight/llm/engine.h"

#include <algorithm>

#include "rushlight/half.h"
#include "rushlight/platform.h"
#include "src/core/file_bytes.h"
#include "src/kernels/rows/rows.h"

namespace rushlight::llm {
namespace {

// The outputs of a constant method as integers; empty where there is none.
std::vector<int64_t> Metadata(Module& module, std::string_view name) {
  std::vector<int64_t> numbers;
  if (!module.method_meta(name).ok()) return numbers;
  const auto outputs = module.Execute(name, {});
  if (!outputs.ok()) return numbers;
  for (const Value& v : *outputs) {
    if (v.tag() == Tag::kInt || v.tag() == Tag::kBool || v.tag() == Tag::kDouble) {
      numbers.push_back(Scalar(v).to_int());
    }
  }
  module.UnloadMethod(name);
  return numbers;
}

std::optional<int64_t> MetadataNumber(Module& module, std::string_view name) {
  const std::vector<int64_t> numbers = Metadata(module, name);
  if (numbers.empty()) return std::nullopt;
  return numbers[0];
}

}  // namespace

Result<Engine> Engine::Load(const std::string& path, const ModuleOptions& options) {
  RL_ASSIGN_OR_RETURN(Module module, Module::Load(path, options));
  return FromModule(std::move(module));
}

Result<Engine> Engine::FromModule(Module module) {
  Engine engine;
  engine.module_ = std::make_unique<Module>(std::move(module));
  RL_RETURN_IF_ERROR(engine.ReadMetadata());
  NamedBytes tokenizer;
  const DataMap data = engine.program().named_data_map();
  if (data.Find(kTokenizerKey, &tokenizer).ok()) {
    RL_ASSIGN_OR_RETURN(engine.tokenizer_, OpenTokenizer(tokenizer.bytes));
  } else if (data.Find(kTokenizerJsonKey, &tokenizer).ok()) {
    RL_RETURN_IF_ERROR(engine.SetTokenizer(tokenizer.bytes));
  }
  return engine;
}

Error Engine::SetTokenizer(Span<const uint8_t> tokenizer_json) {
  RL_ASSIGN_OR_RETURN(tokenizer_, LoadTokenizer(tokenizer_json));
  return kOk;
}

Error Engine::SetTokenizerFile(const std::string& path) {
  RL_ASSIGN_OR_RETURN(const FileBytes file,
                      FileBytes::Open(path.c_str(), platform::FileAccess::kMap));
  return SetTokenizer(file.bytes());
}

std::string_view Engine::text(std::string_view key) const {
  NamedBytes data;
  if (!program().named_data_map().Find(key, &data).ok()) return {};
  return {reinterpret_cast<const char*>(data.bytes.data()), data.bytes.size()};
}

Error Engine::ReadMetadata() {
  // The signature: tokens [1, n] and their positions, or the position of the first.
  RL_ASSIGN_OR_RETURN(const MethodMeta meta, module_->method_meta("forward"));
  RL_CHECK(meta.num_inputs() == 2, Reason::kInputCount, Error::kNone,
           static_cast<int64_t>(meta.num_inputs()), 2);
  RL_CHECK(meta.num_outputs() == 1, Reason::kOutputIndex, Error::kNone,
           static_cast<int64_t>(meta.num_outputs()), 1);
  RL_ASSIGN_OR_RETURN(const TensorInfo tokens, meta.input_tensor(0));
  RL_ASSIGN_OR_RETURN(const TensorInfo positions, meta.input_tensor(1));
  RL_ASSIGN_OR_RETURN(const TensorInfo logits, meta.output_tensor(0));
  const auto check = [](const TensorInfo& t, uint32_t i, size_t rank) {
    RL_CHECK(t.dtype == DType::kInt64, Reason::kInputDType, i, static_cast<int64_t>(t.dtype),
             static_cast<int64_t>(DType::kInt64));
    RL_CHECK(t.sizes.size() == rank, Reason::kInputRank, i, static_cast<int64_t>(t.sizes.size()),
             static_cast<int64_t>(rank));
    return kOk;
  };
  RL_RETURN_IF_ERROR(check(tokens, 0, 2));
  RL_RETURN_IF_ERROR(check(positions, 1, 1));
  RL_CHECK(tokens.sizes[1] >= 1, Reason::kInputSize, 0, tokens.sizes[1], 1);
  RL_CHECK(!logits.sizes.empty() && logits.sizes.size() <= 3 &&
               (logits.dtype == DType::kFloat32 || logits.dtype == DType::kFloat16 ||
                logits.dtype == DType::kBFloat16),
           Reason::kOutputIndex, 0, static_cast<int64_t>(logits.dtype));
  takes_positions_ = positions.sizes[0] > 1 || tokens.sizes[1] == 1;

  Module& m = *module_;
  info_.vocab_size = static_cast<size_t>(logits.sizes[logits.sizes.size() - 1]);
  // Several tokens in one call need dynamic shapes; a fixed length is fed as it is: one by one.
  info_.max_seq_len = tokens.dynamic ? static_cast<size_t>(tokens.sizes[1]) : 1;
  RL_CHECK(tokens.dynamic || tokens.sizes[1] == 1, Reason::kInputSize, 0, tokens.sizes[1], 1);
  const auto context = MetadataNumber(m, "get_max_context_len");
  const auto seq_len = MetadataNumber(m, "get_max_seq_len");
  const int64_t positions_held = context.value_or(seq_len.value_or(0));
  RL_CHECK(positions_held > 0 && positions_held <= INT32_MAX, Reason::kMethodNotFound);
  info_.max_context_len = static_cast<size_t>(positions_held);
  for (const char* name : {"get_eos_ids", "get_eos_id"}) {
    if (!info_.eos_ids.empty()) break;
    for (const int64_t id : Metadata(m, name)) info_.eos_ids.push_back(static_cast<int32_t>(id));
  }
  if (const auto bos = MetadataNumber(m, "get_bos_id")) info_.bos_id = static_cast<int32_t>(*bos);
  info_.can_rewind = MetadataNumber(m, "get_can_rewind").value_or(1) != 0;
  return kOk;
}

Result<Session> Engine::NewSession() const {
  Session session(*this, module_->Share());
  RL_RETURN_IF_ERROR(session.module_->LoadMethod("forward"));
  return session;
}

Result<Session> Engine::RestoreSession(Span<const uint8_t> saved) const {
  RL_ASSIGN_OR_RETURN(Session session, NewSession());
  RL_ASSIGN_OR_RETURN(session.position_, session.module_->RestoreState(saved));
  RL_CHECK(session.position_ <= info_.max_context_len, Reason::kContextFull, Error::kNone,
           static_cast<int64_t>(session.position_), static_cast<int64_t>(info_.max_context_len));
  return session;
}

Result<size_t> Session::Rewind(size_t position) {
  RL_CHECK(position <= position_, Reason::kOptionInvalid, Error::kNone,
           static_cast<int64_t>(position), static_cast<int64_t>(position_));
  if (!engine_->info().can_rewind && position != position_) {
    RL_RETURN_IF_ERROR(module_->ResetState());
    position = 0;
  }
  position_ = position;
  return position_;
}

Result<Session> Session::Fork() const {
  RL_ASSIGN_OR_RETURN(Session other, engine_->NewSession());
  RL_RETURN_IF_ERROR(other.module_->CopyState(*module_, position_));
  other.position_ = position_;
  return other;
}

Result<std::vector<uint8_t>> Session::Save() const { return module_->SaveState(position_); }

Span<const Value> Session::Prepare(Span<const int32_t> tokens) {
  tokens_.assign(tokens.begin(), tokens.end());
  positions_.resize(engine_->takes_positions_ ? tokens.size() : 1);
  for (size_t i = 0; i < positions_.size(); ++i) {
    positions_[i] = static_cast<int64_t>(position_ + i);
  }
  token_sizes_[0] = 1;
  token_sizes_[1] = static_cast<int32_t>(tokens_.size());
  position_sizes_[0] = static_cast<int32_t>(positions_.size());
  tensors_[0] = Tensor(DType::kInt64, tokens_.data(), token_sizes_);
  tensors_[1] = Tensor(DType::kInt64, positions_.data(), position_sizes_);
  for (size_t i = 0; i < 2; ++i) inputs_[i] = Value(&tensors_[i]);
  return {inputs_, 2};
}

Error Session::CheckTokens(Span<const int32_t> tokens) const {
  const EngineInfo& info = engine_->info();
  RL_CHECK(!tokens.empty(), Reason::kOptionInvalid);
  RL_CHECK(tokens.size() <= remaining(), Reason::kContextFull, Error::kNone,
           static_cast<int64_t>(position_ + tokens.size()),
           static_cast<int64_t>(info.max_context_len));
  for (const int32_t id : tokens) {
    RL_CHECK(id >= 0 && static_cast<size_t>(id) < info.vocab_size, Reason::kOptionInvalid,
             Error::kNone, id, static_cast<int64_t>(info.vocab_size));
  }
  return kOk;
}

Result<Span<const float>> Session::Feed(Span<const int32_t> tokens, const ExecuteOptions& options) {
  Session* const self = this;
  RL_RETURN_IF_ERROR(FeedTogether({&self, 1}, {&tokens, 1}, options));
  return Logits();
}

Error Session::FeedTogether(Span<Session* const> sessions, Span<const Span<const int32_t>> tokens,
                            const ExecuteOptions& options) {
  RL_CHECK(sessions.size() == tokens.size(), Reason::kOptionInvalid);
  for (size_t i = 0; i < sessions.size(); ++i) {
    RL_CHECK(sessions[i]->engine_ == sessions[0]->engine_, Reason::kOptionInvalid,
             static_cast<uint32_t>(i));
    RL_RETURN_IF_ERROR(sessions[i]->CheckTokens(tokens[i]));
  }
  std::vector<Module::Row> rows;
  for (size_t done = 0;;) {
    rows.clear();
    for (size_t i = 0; i < sessions.size(); ++i) {
      if (done >= tokens[i].size()) continue;
      const size_t some =
          std::min(tokens[i].size() - done, sessions[i]->engine_->info().max_seq_len);
      rows.push_back(
          {sessions[i]->module_.get(), sessions[i]->Prepare(tokens[i].subspan(done, some))});
    }
    if (rows.empty()) return kOk;
    RL_RETURN_IF_ERROR(Module::ExecuteTogether("forward", rows, options));
    for (size_t i = 0; i < sessions.size(); ++i) {
      if (done < tokens[i].size()) sessions[i]->position_ += sessions[i]->tokens_.size();
    }
    done += sessions[0]->engine_->info().max_seq_len;
  }
}

Result<Span<const float>> Session::Logits() {
  const EngineInfo& info = engine_->info();
  RL_ASSIGN_OR_RETURN(Method* const method, module_->method("forward"));
  const Tensor& logits = method->output(0).as_tensor();
  const size_t rows = logits.numel() / info.vocab_size;
  RL_CHECK(rows > 0, Reason::kOutputIndex, 0, 0, 1);
  const size_t begin = (rows - 1) * info.vocab_size;
  if (logits.dtype() == DType::kFloat32) {
    return Span<const float>(logits.data<float>() + begin, info.vocab_size);
  }
  logits_.resize(info.vocab_size);
  for (size_t i = 0; i < info.vocab_size; ++i) {
    logits_[i] = logits.dtype() == DType::kFloat16
                     ? static_cast<float>(logits.data<Float16>()[begin + i])
                     : static_cast<float>(logits.data<BFloat16>()[begin + i]);
  }
  return Span<const float>(logits_.data(), logits_.size());
}

int32_t Argmax(Span<const float> logits) {
  static const kernels::RowKernels* const rows = kernels::kRowKernels[kernels::ChooseIsa(
      platform::CpuFeatures(), platform::Setting("RUSHLIGHT_ISA"))];
  return static_cast<int32_t>(rows->argmax(logits.data(), logits.size()));
}

}  // namespace rushlight::llm
