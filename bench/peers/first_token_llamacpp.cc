// Copyright (c) The Rushlight authors.
// SPDX-License-Identifier: BSD-3-Clause

// The least that llama.cpp needs to say a first token, for bench/claims/first_token.py, which
// compiles it:
//
//   first_token_llamacpp MODEL.gguf THREADS PROMPT      control tokens in the prompt count as such

#include <llama.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <vector>

int main(int count, char** arguments) {
  if (count != 4) return 2;
  llama_log_set([](ggml_log_level, const char*, void*) {}, nullptr);
  llama_backend_init();
  llama_model* model = llama_model_load_from_file(arguments[1], llama_model_default_params());
  if (model == nullptr) return 1;
  llama_context_params params = llama_context_default_params();
  params.n_ctx = 2048;
  params.n_threads = params.n_threads_batch = std::atoi(arguments[2]);
  llama_context* context = llama_init_from_model(model, params);
  if (context == nullptr) return 1;

  const llama_vocab* vocab = llama_model_get_vocab(model);
  const std::string text = arguments[3];
  std::vector<llama_token> tokens(text.size() + 1);
  const int32_t n = llama_tokenize(vocab, text.data(), static_cast<int32_t>(text.size()),
                                   tokens.data(), static_cast<int32_t>(tokens.size()), true, true);
  if (n <= 0 || llama_decode(context, llama_batch_get_one(tokens.data(), n)) != 0) return 1;
  const float* logits = llama_get_logits_ith(context, -1);
  const auto best = static_cast<llama_token>(
      std::max_element(logits, logits + llama_vocab_n_tokens(vocab)) - logits);
  char piece[128];
  const int32_t size = llama_token_to_piece(vocab, best, piece, sizeof piece, 0, false);
  std::fwrite(piece, 1, static_cast<size_t>(std::max(size, 0)), stdout);
  std::fflush(stdout);
  std::fprintf(stderr, "(%d tokens of prompt)\n", n);
  std::_Exit(0);
}
