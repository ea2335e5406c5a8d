// Copyright (c) The Rushlight authors.
// SPDX-License-Identifier: BSD-3-Clause

// Modules under a heap that refuses.

#include <cstring>
#include <string>
#include <vector>

#include "rushlight/module.h"
#include "src/tokenizers/failing_allocations.h"
#include "tests/hostile/seeds.h"
#include "tests/hostile/test_delegate.h"

namespace rushlight {
namespace {

// The bytes of a seed where Module::FromBytes wants them.
class AlignedSeed {
 public:
  explicit AlignedSeed(const std::string& name)
      : program_(hostile::MakeSeed(name).program), words_(program_.size() / 8 + 4) {
    data_ = reinterpret_cast<uint8_t*>((reinterpret_cast<uintptr_t>(words_.data()) + 15) / 16 * 16);
    std::memcpy(data_, program_.data(), program_.size());
  }
  Span<const uint8_t> bytes() const { return {data_, program_.size()}; }

 private:
  std::vector<uint8_t> program_;
  std::vector<uint64_t> words_;
  uint8_t* data_;
};

TEST(Module, HeapRefuses) {
  const AlignedSeed delegates("delegates"), cache("kv_cache");
  const HostTensor x(DType::kFloat32, {4}, {1.0f, 2.0f, 3.0f, 4.0f});
  const HostTensor token(DType::kInt64, {1}, {int64_t{3}});
  const Value one[] = {x};
  const Value two[] = {token, token};
  ModuleOptions options;
  options.delegates = hostile::TestDelegates();
  const auto run = [&](const AlignedSeed& seed, Span<const Value> inputs) -> Error {
    Result<Module> module = Module::FromBytes(seed.bytes(), options);
    if (!module.ok()) return module.error();
    for (int round = 0; round < 2; ++round) {
      const auto outputs = module->Execute("forward", inputs);
      if (!outputs.ok()) return outputs.error();
      RL_RETURN_IF_ERROR(module->ResetState());
    }
    return kOk;
  };
  ExpectHeapErrors(
      [&]() -> Error {
        RL_RETURN_IF_ERROR(run(delegates, one));
        return run(cache, two);
      },
      50);
}

}  // namespace
}  // namespace rushlight
