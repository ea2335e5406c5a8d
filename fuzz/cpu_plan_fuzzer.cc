// Copyright (c) The Rushlight authors.
// SPDX-License-Identifier: BSD-3-Clause

// Plans of the CPU delegate (format/cpu_plan.fbs): loaded, and called with arguments and state as
// they ask for.  Half of the mutations write edge numbers into a sound plan and name weights that
// fit its sizes, so that what differs is not only that data is missing.

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <deque>
#include <map>

#include "fuzz/target.h"
#include "rushlight/platform.h"
#include "src/delegates/cpu/cpu.h"
#include "tests/hostile/cpu_plans.h"
#include "tests/hostile/mutator.h"

namespace rushlight {

std::vector<std::string> fuzz::Seeds() {
  using namespace fb::cpu;
  std::vector<hostile::DecoderShape> shapes(7);
  shapes[0].scale = ScaleType_F16;
  shapes[0].minimums = true;
  shapes[1].weights = MatrixFormat_U8;
  shapes[1].scale = ScaleType_F32;
  shapes[1].group = 16;
  shapes[1].float_activations = true;
  shapes[1].rope = RopeKind_INTERLEAVED;
  shapes[1].gated = false;
  shapes[2].weights = MatrixFormat_BF16;
  shapes[2].bf16_activations = true;
  shapes[2].cache = CacheType_F16;
  shapes[2].window = 3;
  shapes[2].heads = 4;
  shapes[2].kv_heads = 2;
  shapes[3].weights = MatrixFormat_F32;
  shapes[3].cache = CacheType_F32;
  shapes[3].norm = NormKind_LAYER;
  shapes[3].embeddings = true;
  shapes[4].weights = MatrixFormat_F16;
  shapes[4].layers = 2;
  shapes[5].cache = CacheType_I8;
  shapes[5].heads = 6;
  shapes[5].kv_heads = 2;
  shapes[5].window = 20;
  shapes[6].scale = ScaleType_I8;
  shapes[6].minimums = true;
  shapes[6].group = 16;
  shapes[6].max_rows = 24;
  std::vector<std::string> seeds;
  for (const hostile::DecoderShape& shape : shapes) {
    PlanT plan = hostile::MakeDecoderPlan(shape);
    seeds.push_back(TextOf(hostile::PackPlan(plan)));
  }
  for (const bool alone : {false, true}) {
    PlanT plan = hostile::MakeEncoderPlan(alone);
    seeds.push_back(TextOf(hostile::PackPlan(plan)));
  }
  return seeds;
}

namespace {

namespace cpu = fb::cpu;

constexpr size_t kMaxBytes = size_t{4} << 20;
constexpr int64_t kMaxNanoseconds = 100'000'000;
constexpr size_t kRows = 5;
constexpr size_t kPositions = 24;

// Memory of just this size, aligned as mapped weights are, so that a sanitizer sees one byte more.
class Block {
 public:
  explicit Block(size_t size) : size_(size) {
    if (posix_memalign(&data_, 64, std::max<size_t>(size, 1)) != 0) std::abort();
    std::memset(data_, 0, size);
  }
  Block(const void* bytes, size_t size) : Block(size) {
    if (size > 0) std::memcpy(data_, bytes, size);
  }
  ~Block() { std::free(data_); }
  Block(const Block&) = delete;
  uint8_t* data() const { return static_cast<uint8_t*>(data_); }
  Span<const uint8_t> bytes() const { return {data(), size_}; }

 private:
  void* data_ = nullptr;
  size_t size_;
};

bool IsSound(Span<const uint8_t> payload) {
  if (payload.size() < 16 || !cpu::PlanBufferHasIdentifier(payload.data())) return false;
  flatbuffers::Verifier verifier(payload.data(), payload.size());
  return cpu::VerifyPlanBuffer(verifier);
}

// Named data of any size that a key asks for.
class Weights {
 public:
  DataMap map() const {
    return DataMap(this, [](const void* self, std::string_view key, NamedBytes* out) {
      auto& blocks = static_cast<const Weights*>(self)->blocks_;
      auto found = blocks.find(key);
      if (found == blocks.end()) {
        const std::vector<uint8_t> data = hostile::CpuPlanData(key, kMaxBytes / 4);
        RL_CHECK(!data.empty(), Reason::kKeyNotFound);
        found = blocks.try_emplace(std::string(key), data.data(), data.size()).first;
      }
      out->bytes = found->second.bytes();
      return Error(kOk);
    });
  }

 private:
  mutable std::map<std::string, Block, std::less<>> blocks_;
};

// One conversation: its state, and the arguments of a call.
class Conversation {
 public:
  Conversation(const cpu::Plan& plan, const PlanInfo& info) : plan_(plan) {
    capacity_ = kPositions;
    for (const StateSpec& s : info.states) capacity_ = std::min(capacity_, s.max_positions);
    for (const StateSpec& s : info.states) {
      uint64_t bytes = 0;
      if (!s.BytesFor(capacity_, &bytes) || bytes > kMaxBytes - used_) {
        fits_ = false;
        return;
      }
      used_ += bytes;
      state_.push_back(blocks_.emplace_back(bytes).data());
    }
  }

  // Arguments for `rows` rows behind those of the calls before; null where they would be too large.
  const DelegateRow* Call(size_t rows) {
    values_.clear();
    operands_.clear();
    for (uint32_t i = 0; i < plan_.arguments()->size(); ++i) {
      if (!fits_ || !AddArgument(*plan_.arguments()->Get(i), rows)) return nullptr;
    }
    position_ += rows;
    row_.state = {state_.data(), state_.size()};
    row_.capacity = capacity_;
    row_.args = {values_.data(), operands_.data(), operands_.size()};
    return &row_;
  }

  void TouchOutputs() const {
    for (const Value& v : values_) {
      const Tensor& t = v.as_tensor();
      fuzz::Touch(Span<const uint8_t>(t.data<uint8_t>(), t.nbytes()));
    }
  }

 private:
  bool AddArgument(const cpu::Argument& a, size_t rows) {
    const bool floats = a.kind() >= cpu::ArgumentKind_ROWS_IN;
    std::vector<int32_t>& sizes = sizes_.emplace_back();
    sizes.push_back(a.single() ? 1 : static_cast<int32_t>(rows));
    if (floats && a.kind() != cpu::ArgumentKind_MASK) {
      if (a.kind() == cpu::ArgumentKind_ROWS_OUT && a.like() < 0) {
        const size_t leading = a.leading() == nullptr ? 0 : a.leading()->size();
        sizes.resize(std::max<size_t>(leading, 1), 1);
      }
      sizes.push_back(static_cast<int32_t>(a.width()));
    }
    Tensor shape(floats ? DType::kFloat32 : DType::kInt64, nullptr, {sizes.data(), sizes.size()});
    const size_t bytes = shape.nbytes();
    if (bytes > kMaxBytes - used_) return false;
    used_ += bytes;
    Tensor& tensor = tensors_.emplace_back(shape);
    tensor.Rebind(blocks_.emplace_back(bytes).data(), shape.numel());
    tensor.set_dynamic(a.kind() == cpu::ArgumentKind_ROWS_OUT);
    for (size_t i = 0; i < tensor.numel(); ++i) {
      if (a.kind() == cpu::ArgumentKind_TOKENS) {
        tensor.mutable_data<int64_t>()[i] = static_cast<int64_t>(i);
      } else if (a.kind() == cpu::ArgumentKind_POSITIONS) {
        tensor.mutable_data<int64_t>()[i] = static_cast<int64_t>(position_ + i);
      } else {
        tensor.mutable_data<float>()[i] = static_cast<float>(i % 7) - 3;
      }
    }
    operands_.push_back(static_cast<int32_t>(values_.size()));
    values_.emplace_back(&tensor);
    return true;
  }

  const cpu::Plan& plan_;
  size_t capacity_ = 0, position_ = 0, used_ = 0;
  bool fits_ = true;
  std::deque<Block> blocks_;
  std::vector<void*> state_;
  std::deque<std::vector<int32_t>> sizes_;
  std::deque<Tensor> tensors_;
  std::vector<Value> values_;
  std::vector<int32_t> operands_;
  DelegateRow row_;
};

// Two conversations together, one a token further with each call, and each alone.
void Run(const void* loaded, const cpu::Plan& plan) {
  const Delegate& delegate = delegates::cpu::kDelegate;
  const PlanInfo info = delegate.info(loaded);
  if (info.scratch_bytes > 2 * kMaxBytes) return;
  const Block scratch(info.scratch_bytes);
  Context context;
  context.deadline = platform::MonotonicNanos() + kMaxNanoseconds;
  Conversation a(plan, info), b(plan, info);
  for (const size_t rows : {std::min<size_t>(plan.max_rows(), kRows), size_t{1}}) {
    const DelegateRow* const first = a.Call(rows);
    const DelegateRow* const second = b.Call(1);
    if (first == nullptr || second == nullptr) return;
    const DelegateRow batch[] = {*first, *second};
    context.scratch = Arena(scratch.data(), info.scratch_bytes);
    if (!delegate.run(context, loaded, batch).ok()) return;
    a.TouchOutputs();
    b.TouchOutputs();
  }
  const DelegateRow* const alone = a.Call(1);
  if (alone == nullptr) return;
  context.scratch = Arena(scratch.data(), info.scratch_bytes);
  if (delegate.run(context, loaded, {alone, 1}).ok()) a.TouchOutputs();
}

// A sound plan with edge numbers in a few places, or with none where that did not come out.
std::vector<uint8_t> Mutate(Span<const uint8_t> sound, hostile::Random& random) {
  constexpr int kTries = 16;
  constexpr size_t kWidths[] = {1, 2, 4, 8};
  for (int i = 0; i < kTries; ++i) {
    const Block copy(sound.data(), sound.size());
    for (size_t edits = 1 + random.Below(3); edits > 0; --edits) {
      const size_t width = random.Choice(kWidths);
      const size_t place = random.Below(sound.size() / width) * width;
      const int64_t number = hostile::BoundaryNumber(random);
      std::memcpy(copy.data() + place, &number, width);
    }
    if (!IsSound(copy.bytes())) continue;
    cpu::PlanT plan;
    cpu::GetPlan(copy.data())->UnPackTo(&plan);
    // Named, but not there: sound to FlatBuffers, though nothing that it would write.
    if (std::any_of(plan.steps.begin(), plan.steps.end(), [](const auto& step) {
          return step->operation.type != cpu::Operation_NONE && step->operation.value == nullptr;
        })) {
      return {copy.bytes().begin(), copy.bytes().end()};
    }
    return hostile::PackPlan(plan);
  }
  return {sound.begin(), sound.end()};
}

}  // namespace
}  // namespace rushlight

extern "C" size_t LLVMFuzzerMutate(uint8_t* data, size_t size, size_t max_size);

extern "C" size_t LLVMFuzzerCustomMutator(uint8_t* data, size_t size, size_t max_size,
                                          unsigned seed) {
  using namespace rushlight;
  hostile::Random random(seed);
  const Block copy(data, size);
  if (random.Chance(0.7) && IsSound(copy.bytes())) {
    const std::vector<uint8_t> mutant = Mutate(copy.bytes(), random);
    if (mutant.size() <= max_size) {
      std::copy(mutant.begin(), mutant.end(), data);
      return mutant.size();
    }
  }
  return LLVMFuzzerMutate(data, size, max_size);
}

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace rushlight;
  const Block payload(data, size);
  const Weights weights;
  PlanSource source{};
  source.payload = payload.bytes();
  source.data = weights.map();
  source.threads = 1;
  const bool sound = IsSound(payload.bytes());
  if (sound) source.arguments = SizeOf(fb::cpu::GetPlan(payload.data())->arguments());
  const Block memory((size_t{64} << 10) + 16 * size);
  Arena arena(memory.data(), memory.bytes().size());
  const Result<const void*> plan = delegates::cpu::kDelegate.load(source, arena);
  if (plan.ok() && !sound) std::abort();
  if (plan.ok()) Run(*plan, *fb::cpu::GetPlan(payload.data()));
  return 0;
}
