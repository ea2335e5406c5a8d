// Copyright (c) The Rushlight authors.
// SPDX-License-Identifier: BSD-3-Clause

// Where the heap refuses, the answer is an Error, and a second try works.

#include <gtest/gtest.h>

#include <atomic>
#include <cstdlib>
#include <new>
#include <string>

#include "rushlight/tokenizer.h"

namespace {

std::atomic<int64_t> g_allocations_left{-1};  // negative: no limit

void* Allocate(size_t size) {
  if (g_allocations_left.load() >= 0 && g_allocations_left.fetch_sub(1) <= 0) {
    g_allocations_left = 0;  // and so are all others
    return nullptr;
  }
  return std::malloc(size == 0 ? 1 : size);
}

}  // namespace

// Allocation functions of the whole test program.
void* operator new(size_t size) {
  void* p = Allocate(size);
  if (p == nullptr) throw std::bad_alloc();
  return p;
}
void* operator new(size_t size, const std::nothrow_t&) noexcept { return Allocate(size); }
void operator delete(void* p) noexcept { std::free(p); }
void operator delete(void* p, size_t) noexcept { std::free(p); }
void operator delete(void* p, const std::nothrow_t&) noexcept { std::free(p); }

namespace rushlight {
namespace {

constexpr char kFile[] = R"({
  "added_tokens":[{"content":"<s>","special":true}],
  "normalizer":{"type":"NFKC"},
  "pre_tokenizer":{"type":"Sequence","pretokenizers":[
    {"type":"Split","pattern":{"Regex":"(?i:'s)|\\p{L}+|[^\\p{L}]"},"behavior":"Isolated"},
    {"type":"ByteLevel","use_regex":false}]},
  "decoder":{"type":"ByteLevel"},
  "model":{"type":"BPE","vocab":{"a":0,"b":1,"ab":2},"merges":[["a","b"]]}})";

// The whole way; the first Error that occurs.
Error LoadAndUse() {
  auto loaded = LoadTokenizer({reinterpret_cast<const uint8_t*>(kFile), sizeof(kFile) - 1});
  if (!loaded.ok()) return loaded.error();
  const auto ids = (*loaded)->Encode("ab\xC3\xA9 <s> abab", {});
  if (!ids.ok()) return ids.error();
  const auto text = (*loaded)->Decode(*ids, false);
  if (!text.ok()) return text.error();
  StreamDecoder stream(**loaded, false);
  for (const int32_t id : *ids) {
    const auto part = stream.Add(id);
    if (!part.ok()) return part.error();
  }
  const auto rest = stream.Finish();
  return rest.ok() ? kOk : rest.error();
}

TEST(AllocationFailure, IsAnError) {
  int64_t allowed = 0;
  for (bool done = false; !done; ++allowed) {
    g_allocations_left = allowed;
    const Error error = LoadAndUse();
    g_allocations_left = -1;
    done = error.ok();
    ASSERT_EQ(error.reason, done ? Reason::kOk : Reason::kHeap) << allowed;
    ASSERT_TRUE(allowed % 16 != 0 || LoadAndUse().ok());
  }
  EXPECT_GT(allowed, 100);
}

}  // namespace
}  // namespace rushlight
