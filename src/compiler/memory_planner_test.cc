// Copyright (c) The Rushlight authors.
// SPDX-License-Identifier: BSD-3-Clause

#include "src/compiler/memory_planner.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstdio>
#include <random>
#include <string>
#include <utility>
#include <vector>

namespace rushlight::compiler {
namespace {

uint64_t Sum(const std::vector<uint64_t>& v) {
  uint64_t sum = 0;
  for (const uint64_t x : v) sum += x;
  return sum;
}

// Plans, verifies, and returns the size of all memories over the lower bound.
double Ratio(const PlanRequest& request) {
  const Result<MemoryPlan> plan = PlanMemory(request);
  EXPECT_TRUE(plan.ok());
  if (!plan.ok()) return 0;
  const Error error = VerifyPlan(request, *plan);
  EXPECT_TRUE(error.ok()) << static_cast<int>(error.reason) << " " << error.index << " "
                          << error.found << " " << error.limit;
  const Result<std::vector<uint64_t>> bounds = MemoryLowerBounds(request);
  EXPECT_TRUE(bounds.ok());
  EXPECT_EQ(bounds->size(), plan->sizes.size());
  for (size_t i = 0; i < plan->sizes.size(); ++i) {
    EXPECT_GE(plan->sizes[i], (*bounds)[i]);
    EXPECT_EQ(plan->sizes[i] % 16, 0u);
  }
  const uint64_t bound = Sum(*bounds);
  return bound == 0 ? 1.0 : static_cast<double>(Sum(plan->sizes)) / static_cast<double>(bound);
}

// ---------------------------------------------------------------------------------------------
// Networks, as lists of buffers.

class Network {
 public:
  using Id = uint32_t;
  Id Input(uint64_t bytes) { return Add(bytes, 0, 0); }
  Id State(uint64_t bytes) { return Add(bytes, kMethodBegin, kMethodEnd); }
  Id Op(const std::vector<Id>& inputs, uint64_t bytes, uint64_t scratch = 0,
        bool in_place = false) {
    for (const Id i : inputs) {
      int32_t& last = request_.buffers[i].last_use;
      last = std::max(last, now_);
    }
    if (scratch > 0) Add(scratch, now_, now_);
    const Id output = Add(bytes, now_, now_);
    if (in_place) {
      for (const Id i : inputs) request_.in_place.push_back({i, output});
    }
    ++now_;
    return output;
  }
  Id Map(Id x) { return Op({x}, bytes(x), 0, true); }
  Id Map(Id x, Id y) { return Op({x, y}, bytes(x), 0, true); }

  uint64_t bytes(Id i) const { return request_.buffers[i].bytes; }
  PlanRequest Finish(Id output) {
    request_.buffers[output].last_use = now_;
    return request_;
  }

 private:
  Id Add(uint64_t bytes, int32_t first, int32_t last) {
    request_.buffers.push_back({bytes, 16, first, last});
    return static_cast<Id>(request_.buffers.size() - 1);
  }

  PlanRequest request_;
  int32_t now_ = 0;
};

using Id = Network::Id;

uint64_t Image(uint64_t side, uint64_t channels) { return side * side * channels * 4; }

PlanRequest MobileNet() {
  Network n;
  Id x = n.Op({n.Input(Image(224, 3))}, Image(112, 32), Image(112, 27));
  uint64_t side = 112, channels = 32;
  const int blocks[][4] = {{1, 16, 1, 1}, {6, 24, 2, 2},  {6, 32, 3, 2}, {6, 64, 4, 2},
                           {6, 96, 3, 1}, {6, 160, 3, 2}, {6, 320, 1, 1}};
  for (const auto& [expand, out, repeat, stride] : blocks) {
    for (int r = 0; r < repeat; ++r) {
      const Id skip = x;
      const bool residual = r > 0;
      const uint64_t wide = channels * static_cast<uint64_t>(expand);
      Id h = x;
      if (expand > 1) h = n.Map(n.Op({h}, Image(side, wide)));
      if (r == 0) side /= static_cast<uint64_t>(stride);
      h = n.Map(n.Op({h}, Image(side, wide)));
      channels = static_cast<uint64_t>(out);
      h = n.Op({h}, Image(side, channels));
      x = residual ? n.Map(h, skip) : h;
    }
  }
  x = n.Map(n.Op({x}, Image(7, 1280)));
  x = n.Op({n.Op({x}, 1280 * 4)}, 4000);
  return n.Finish(x);
}

PlanRequest ResNet50() {
  Network n;
  Id x = n.Map(n.Op({n.Input(Image(224, 3))}, Image(112, 64), Image(112, 147)));
  x = n.Op({x}, Image(56, 64));
  uint64_t side = 56;
  const uint64_t stages[][2] = {{64, 3}, {128, 4}, {256, 6}, {512, 3}};
  for (const auto& [width, repeat] : stages) {
    for (uint64_t r = 0; r < repeat; ++r) {
      const bool down = r == 0 && width > 64;
      const Id input = x;
      Id h = n.Map(n.Op({x}, Image(side, width)));
      if (down) side /= 2;
      h = n.Map(n.Op({h}, Image(side, width), Image(side, 9 * width)));
      h = n.Op({h}, Image(side, 4 * width));
      const Id skip = r == 0 ? n.Op({input}, Image(side, 4 * width)) : input;
      x = n.Map(n.Map(h, skip));
    }
  }
  x = n.Op({n.Op({x}, 2048 * 4)}, 4000);
  return n.Finish(x);
}

PlanRequest UNet(uint64_t side, uint64_t width, int depth) {
  Network n;
  Id x = n.Input(Image(side, 3));
  std::vector<std::pair<Id, uint64_t>> skips;
  uint64_t channels = width;
  for (int d = 0; d < depth; ++d) {
    x = n.Map(n.Op({x}, Image(side, channels)));
    x = n.Map(n.Op({x}, Image(side, channels)));
    skips.emplace_back(x, channels);
    side /= 2;
    x = n.Op({x}, Image(side, channels));
    channels *= 2;
  }
  x = n.Map(n.Op({x}, Image(side, channels)));
  x = n.Map(n.Op({x}, Image(side, channels)));
  for (int d = depth; d-- > 0;) {
    channels /= 2;
    side *= 2;
    const Id up = n.Op({x}, Image(side, channels));
    x = n.Op({up, skips[static_cast<size_t>(d)].first}, Image(side, 2 * channels));
    x = n.Map(n.Op({x}, Image(side, channels)));
    x = n.Map(n.Op({x}, Image(side, channels)));
  }
  return n.Finish(n.Op({x}, Image(side, 2)));
}

PlanRequest DenseNet() {
  Network n;
  Id x = n.Op({n.Map(n.Op({n.Input(Image(224, 3))}, Image(112, 64)))}, Image(56, 64));
  uint64_t side = 56, channels = 64;
  for (const int layers : {6, 12, 24, 16}) {
    for (int l = 0; l < layers; ++l) {
      Id h = n.Map(n.Op({x}, Image(side, channels)));
      h = n.Map(n.Op({h}, Image(side, 128)));
      h = n.Op({h}, Image(side, 32));
      channels += 32;
      x = n.Op({x, h}, Image(side, channels));
    }
    channels /= 2;
    x = n.Op({x}, Image(side, channels));
    side /= 2;
    x = n.Op({x}, Image(side, channels));
  }
  return n.Finish(x);
}

PlanRequest Inception() {
  Network n;
  Id x = n.Op({n.Input(Image(149, 3))}, Image(35, 192));
  uint64_t side = 35, channels = 192;
  for (int block = 0; block < 9; ++block) {
    const Id a = n.Map(n.Op({x}, Image(side, 64)));
    Id b = n.Map(n.Op({x}, Image(side, 48)));
    b = n.Map(n.Op({b}, Image(side, 64)));
    Id c = n.Map(n.Op({x}, Image(side, 64)));
    c = n.Map(n.Op({c}, Image(side, 96)));
    c = n.Map(n.Op({c}, Image(side, 96)));
    const Id d = n.Map(n.Op({n.Op({x}, Image(side, channels))}, Image(side, 32)));
    channels = 256;
    x = n.Op({a, b, c, d}, Image(side, channels));
    if (block % 3 == 2) side /= 2, x = n.Op({x}, Image(side, channels));
  }
  return n.Finish(x);
}

struct Transformer {
  uint64_t layers, sequence, hidden, heads, kv_heads, ffn, vocabulary;
  bool cache = false;
  uint64_t context = 0;
};

PlanRequest Decoder(const Transformer& t) {
  Network n;
  const uint64_t s = t.sequence, total = t.cache ? t.context : s;
  const uint64_t x_bytes = s * t.hidden * 4, kv = s * t.hidden / t.heads * t.kv_heads * 4;
  const Id tokens = n.Input(s * 8);
  Id x = n.Op({tokens}, x_bytes);
  const Id cosine = n.Op({tokens}, s * 64 * 4), sine = n.Op({tokens}, s * 64 * 4);
  const Id mask = n.Op({tokens}, s * total * 4);
  for (uint64_t l = 0; l < t.layers; ++l) {
    const Id cache_k = t.cache ? n.State(total * kv / s) : 0;
    const Id cache_v = t.cache ? n.State(total * kv / s) : 0;
    const auto norm = [&](Id h) {
      const Id mean = n.Op({n.Op({h}, x_bytes)}, s * 4);
      return n.Op({n.Op({h, n.Map(mean)}, x_bytes)}, x_bytes);
    };
    const auto rope = [&](Id h) {
      const Id turned = n.Op({h}, n.bytes(h));
      return n.Map(n.Op({h, cosine}, n.bytes(h)), n.Op({turned, sine}, n.bytes(h)));
    };
    const Id h = norm(x);
    const Id q = rope(n.Op({n.Op({h}, x_bytes)}, x_bytes));
    Id k = rope(n.Op({n.Op({h}, kv)}, kv));
    Id v = n.Op({n.Op({h}, kv)}, kv);
    if (t.cache) {
      n.Op({k, cache_k}, 0);
      n.Op({v, cache_v}, 0);
      k = cache_k, v = cache_v;
    }
    const Id keys = n.Op({k}, total * t.hidden * 4), values = n.Op({v}, total * t.hidden * 4);
    Id scores = n.Op({q, keys}, t.heads * s * total * 4);
    scores = n.Map(scores, mask);
    scores = n.Op({scores}, n.bytes(scores));
    const Id attended = n.Op({n.Op({scores, values}, x_bytes)}, x_bytes);
    x = n.Map(x, n.Op({attended}, x_bytes));
    const Id g = norm(x);
    const Id gate = n.Map(n.Op({g}, s * t.ffn * 4));
    const Id up = n.Op({g}, s * t.ffn * 4);
    x = n.Map(x, n.Op({n.Map(gate, up)}, x_bytes));
  }
  return n.Finish(n.Op({x}, s * t.vocabulary * 4));
}

PlanRequest Lstm() {
  Network n;
  Id h = n.Input(1024), c = n.Input(1024);
  std::vector<Id> outputs;
  for (int step = 0; step < 100; ++step) {
    const Id x = n.Input(400);
    const Id gates = n.Map(n.Op({x}, 4096), n.Op({h}, 4096));
    const Id i = n.Op({gates}, 1024), f = n.Op({gates}, 1024), g = n.Op({gates}, 1024),
             o = n.Op({gates}, 1024);
    c = n.Map(n.Map(n.Map(f), c), n.Map(n.Map(i), n.Map(g)));
    h = n.Map(n.Map(o), n.Op({c}, 1024));
    outputs.push_back(h);
  }
  return n.Finish(n.Op(outputs, 102400));
}

// A U-Net with attention, of the diffusion kind.
PlanRequest DiffusionUNet() {
  Network n;
  Id x = n.Op({n.Input(Image(64, 4))}, Image(64, 320));
  const Id time = n.Op({n.Input(1280)}, 1280 * 4);
  uint64_t side = 64, channels = 320;
  const auto residual = [&](Id input, uint64_t out) {
    Id h = n.Op({n.Map(n.Op({input}, n.bytes(input)))}, Image(side, out), Image(side, 1));
    h = n.Map(h, n.Op({time}, out * 4));
    h = n.Op({n.Map(n.Op({h}, n.bytes(h)))}, Image(side, out));
    const Id skip = n.bytes(input) == n.bytes(h) ? input : n.Op({input}, Image(side, out));
    return n.Map(h, skip);
  };
  const auto attention = [&](Id input) {
    const uint64_t b = n.bytes(input);
    const Id h = n.Op({input}, b);
    const Id q = n.Op({h}, b), k = n.Op({h}, b), v = n.Op({h}, b);
    const Id scores = n.Map(n.Op({q, k}, 8 * side * side * side * side * 4 / 16));
    const Id a = n.Map(input, n.Op({n.Op({scores, v}, b)}, b));
    return n.Map(a, n.Op({n.Map(n.Op({n.Op({a}, b)}, 4 * b))}, b));
  };
  std::vector<std::pair<Id, uint64_t>> skips = {{x, channels}};
  for (int level = 0; level < 4; ++level) {
    channels = std::min(1280, 320 << level);
    for (int r = 0; r < 2; ++r) {
      x = residual(x, channels);
      if (level < 3) x = attention(x);
      skips.emplace_back(x, channels);
    }
    if (level < 3) {
      side /= 2;
      x = n.Op({x}, Image(side, channels));
      skips.emplace_back(x, channels);
    }
  }
  x = residual(attention(residual(x, channels)), channels);
  for (int level = 3; level >= 0; --level) {
    const uint64_t out = std::min(1280, 320 << level);
    for (int r = 0; r < 3; ++r) {
      const auto [skip, skip_channels] = skips.back();
      skips.pop_back();
      x = n.Op({x, skip}, Image(side, channels + skip_channels));
      channels = out;
      x = residual(x, channels);
      if (level < 3) x = attention(x);
    }
    if (level > 0) {
      side *= 2;
      x = n.Op({x}, Image(side, channels));
    }
  }
  return n.Finish(n.Op({x}, Image(64, 4)));
}

const std::pair<const char*, PlanRequest (*)()> kNetworks[] = {
    {"MobileNetV2", MobileNet},
    {"ResNet-50, im2col", ResNet50},
    {"U-Net 256, width 64, depth 4", [] { return UNet(256, 64, 4); }},
    {"U-Net 512, width 16, depth 5", [] { return UNet(512, 16, 5); }},
    {"DenseNet-121", DenseNet},
    {"Inception", Inception},
    {"decoder, prefill 128",
     [] {
       return Decoder({30, 128, 576, 9, 3, 1536, 49152});
     }},
    {"decoder, prefill 1024",
     [] {
       return Decoder({16, 1024, 2048, 32, 8, 8192, 128});
     }},
    {"decoder, one token, cache of 2048",
     [] {
       return Decoder({30, 1, 576, 9, 3, 1536, 49152, true, 2048});
     }},
    {"encoder, sequence 77",
     [] {
       return Decoder({12, 77, 768, 12, 12, 3072, 10});
     }},
    {"LSTM, 100 steps", Lstm},
    {"diffusion U-Net", DiffusionUNet},
};

TEST(MemoryPlanner, IsCloseToTheBoundOnNetworks) {
  for (const auto& [name, make] : kNetworks) {
    const PlanRequest request = make();
    const double ratio = Ratio(request);
    std::printf("  %-36s %5zu buffers  %.4f of the lower bound\n", name, request.buffers.size(),
                ratio);
    EXPECT_LE(ratio, 1.05) << name;
  }
}

// ---------------------------------------------------------------------------------------------
// Small cases, whose answers are known.

BufferSpec Buffer(uint64_t bytes, int32_t first, int32_t last) { return {bytes, 16, first, last}; }

MemoryPlan Plan(const PlanRequest& request) {
  const Result<MemoryPlan> plan = PlanMemory(request);
  EXPECT_TRUE(plan.ok());
  EXPECT_TRUE(VerifyPlan(request, *plan).ok());
  return *plan;
}

TEST(MemoryPlanner, PlansNothing) {
  EXPECT_TRUE(Plan({}).sizes.empty());
  const MemoryPlan plan = Plan({{Buffer(0, 1, 2)}, {}});
  EXPECT_EQ(plan.offsets, std::vector<uint64_t>{0});
  EXPECT_EQ(plan.sizes, std::vector<uint64_t>{0});
}

TEST(MemoryPlanner, SharesWhatIsDead) {
  EXPECT_EQ(Plan({{Buffer(100, 0, 1), Buffer(50, 2, 3)}, {}}).sizes[0], 112u);
  // Both ends are included: the two meet at 1.
  EXPECT_EQ(Plan({{Buffer(112, 0, 1), Buffer(48, 1, 3)}, {}}).sizes[0], 160u);
}

TEST(MemoryPlanner, KeepsPersistentBuffersToThemselves) {
  const PlanRequest request = {
      {Buffer(64, 0, 1), {32, 16}, Buffer(64, 2, 3), {16, 16, kMethodBegin, kMethodEnd}}, {}};
  EXPECT_EQ(Plan(request).sizes[0], 112u);
}

TEST(MemoryPlanner, WorksInPlace) {
  PlanRequest request = {{Buffer(64, 0, 1), Buffer(64, 1, 2), Buffer(64, 2, 3)}, {{1, 2}, {0, 1}}};
  const MemoryPlan plan = Plan(request);
  EXPECT_EQ(plan.sizes[0], 64u);
  EXPECT_EQ(plan.offsets[0], plan.offsets[2]);
  // The strictest alignment of the chain holds for all of it.
  request.buffers[2].alignment = 256;
  request.buffers.push_back(Buffer(16, 0, 3));
  EXPECT_EQ(Plan(request).offsets[0] % 256, 0u);
}

TEST(MemoryPlanner, IgnoresHintsThatDoNotHold) {
  const auto size = [](BufferSpec input, BufferSpec output) {
    return Plan({{input, output}, {{0, 1}}}).sizes[0];
  };
  EXPECT_EQ(size(Buffer(64, 0, 1), Buffer(64, 1, 2)), 64u);
  EXPECT_EQ(size(Buffer(64, 0, 2), Buffer(64, 1, 2)), 128u);  // read again later
  EXPECT_EQ(size(Buffer(64, 1, 1), Buffer(64, 1, 2)), 128u);  // not there before
  EXPECT_EQ(size(Buffer(64, 0, 1), Buffer(80, 1, 2)), 144u);
  BufferSpec fixed = Buffer(64, 1, 2);
  fixed.offset = 64;
  EXPECT_EQ(size(Buffer(64, 0, 1), fixed), 128u);
  BufferSpec elsewhere = Buffer(64, 1, 2);
  elsewhere.memory_id = 2;
  EXPECT_EQ(Plan({{Buffer(64, 0, 1), elsewhere}, {{0, 1}}}).sizes, (std::vector<uint64_t>{64, 64}));
  // Of two outputs only one can take over an input, and of two inputs only one is taken over.
  EXPECT_EQ(
      Plan({{Buffer(64, 0, 1), Buffer(64, 1, 2), Buffer(64, 1, 2)}, {{0, 1}, {0, 2}}}).sizes[0],
      128u);
  EXPECT_EQ(
      Plan({{Buffer(64, 0, 1), Buffer(64, 0, 1), Buffer(64, 1, 2)}, {{0, 2}, {1, 2}}}).sizes[0],
      128u);
  EXPECT_EQ(Plan({{Buffer(64, 1, 1), Buffer(64, 1, 1)}, {{0, 1}, {1, 0}, {0, 0}}}).sizes[0], 128u);
}

TEST(MemoryPlanner, PlansMemoriesIndependently) {
  PlanRequest request;
  for (uint32_t i = 0; i < 12; ++i) {
    BufferSpec b = Buffer(64, 0, 1);
    b.memory_id = i % 3 == 0 ? 1 : 3;
    request.buffers.push_back(b);
  }
  EXPECT_EQ(Plan(request).sizes, (std::vector<uint64_t>{256, 0, 512}));
  EXPECT_EQ(*MemoryLowerBounds(request), (std::vector<uint64_t>{256, 0, 512}));
}

TEST(MemoryPlanner, WorksAroundFixedBuffers) {
  BufferSpec a = Buffer(64, 0, 5), b = Buffer(64, 0, 5);
  a.offset = 64;
  b.offset = 96;  // over a: the caller's business
  const PlanRequest request = {{a, b, Buffer(64, 0, 5), Buffer(32, 2, 3), Buffer(16, 4, 4)}, {}};
  const MemoryPlan plan = Plan(request);
  EXPECT_EQ(plan.offsets[0], 64u);
  EXPECT_EQ(plan.offsets[1], 96u);
  EXPECT_EQ(plan.offsets[2], 0u);
  EXPECT_EQ(plan.sizes[0], 192u);
  EXPECT_EQ((*MemoryLowerBounds(request))[0], 160u);  // the shared bytes are not counted twice
}

TEST(MemoryPlanner, RefusesWrongRequests) {
  const auto why = [](BufferSpec b, std::vector<InPlaceHint> hints = {}) {
    const PlanRequest request = {{b}, std::move(hints)};
    const Reason reason = PlanMemory(request).error().reason;
    EXPECT_EQ(MemoryLowerBounds(request).error().reason, reason);
    EXPECT_EQ(VerifyPlan(request, {{0}, {1 << 20}}).reason, reason);
    return reason;
  };
  EXPECT_EQ(why({16, 16, 3, 2}), Reason::kOptionInvalid);
  EXPECT_EQ(why({16, 0, 0, 1}), Reason::kMemoryAlignment);
  EXPECT_EQ(why({16, 24, 0, 1}), Reason::kMemoryAlignment);
  EXPECT_EQ(why({16, 16, 0, 1, 1, 8}), Reason::kMemoryAlignment);
  EXPECT_EQ(why({16, 16, 0, 1, 0}), Reason::kMemoryId);
  EXPECT_EQ(why({16, 16, 0, 1, kMaxMemoryId + 1}), Reason::kMemoryId);
  EXPECT_EQ(why({UINT64_MAX, 16, 0, 1}), Reason::kMemorySize);
  EXPECT_EQ(why({INT64_MAX, 16, 0, 1}), Reason::kMemorySize);
  EXPECT_EQ(why({16, uint64_t{1} << 63, 0, 1}), Reason::kMemorySize);
  EXPECT_EQ(why({16, 16, 0, 1, 1, UINT64_MAX - 15}), Reason::kMemorySize);
  EXPECT_EQ(why(Buffer(16, 0, 1), {{0, 1}}), Reason::kOptionInvalid);
  EXPECT_EQ(why(Buffer(16, 0, 1), {{UINT32_MAX, 0}}), Reason::kOptionInvalid);
}

TEST(VerifyPlan, RefusesWrongPlans) {
  BufferSpec fixed = Buffer(32, 0, 3);
  fixed.offset = 128;
  const PlanRequest request = {
      {Buffer(64, 0, 2), Buffer(64, 2, 3), Buffer(32, 3, 3), fixed, Buffer(0, 0, 3)}, {{0, 1}}};
  const auto verify = [&](std::vector<uint64_t> offsets, std::vector<uint64_t> sizes) {
    return VerifyPlan(request, {std::move(offsets), std::move(sizes)}).reason;
  };
  EXPECT_EQ(verify({0, 0, 64, 128, 16}, {160}), Reason::kOk);
  EXPECT_EQ(verify({0, 64, 0, 128, 16}, {160}), Reason::kOk);
  EXPECT_EQ(verify({0, 0, 64, 128}, {160}), Reason::kOptionInvalid);
  EXPECT_EQ(verify({0, 0, 64, 128, 0}, {}), Reason::kMemoryId);
  EXPECT_EQ(verify({0, 0, 64, 128, 0}, std::vector<uint64_t>(256, 160)), Reason::kMemoryId);
  EXPECT_EQ(verify({0, 0, 64, 128, 0}, {UINT64_MAX}), Reason::kMemorySize);
  EXPECT_EQ(verify({0, 0, 64, 128, 0}, {159}), Reason::kMemoryRange);
  EXPECT_EQ(verify({0, 0, UINT64_MAX - 15, 128, 0}, {160}), Reason::kMemoryRange);
  EXPECT_EQ(verify({0, 0, 72, 128, 0}, {160}), Reason::kMemoryAlignment);
  EXPECT_EQ(verify({0, 0, 64, 112, 0}, {160}), Reason::kMemoryRange);
  EXPECT_EQ(verify({0, 16, 96, 128, 0}, {160}), Reason::kMemoryOverlap);  // shares, but shifted
  EXPECT_EQ(verify({16, 0, 96, 128, 0}, {160}), Reason::kMemoryOverlap);
  EXPECT_EQ(verify({0, 0, 48, 128, 0}, {160}), Reason::kMemoryOverlap);   // from below
  EXPECT_EQ(verify({16, 16, 0, 128, 0}, {160}), Reason::kMemoryOverlap);  // from above
  EXPECT_EQ(verify({0, 0, 128, 128, 0}, {160}), Reason::kMemoryOverlap);  // over a fixed one
  EXPECT_EQ(verify({80, 80, 0, 128, 0}, {160}), Reason::kMemoryOverlap);
  // Without the hint the same plan is wrong.
  EXPECT_EQ(VerifyPlan({request.buffers, {}}, {{0, 0, 64, 128, 0}, {160}}).reason,
            Reason::kMemoryOverlap);
}

// ---------------------------------------------------------------------------------------------
// Random cases.

// 1 to n.
uint32_t Upto(std::mt19937& random, uint32_t n) { return 1 + random() % n; }

struct RandomSpec {
  uint32_t buffers, moments, life, granules;
};

// All kinds of buffers; `plain` is without alignments, fixed offsets, hints and second memories.
PlanRequest RandomRequest(std::mt19937& random, const RandomSpec& spec, bool plain) {
  PlanRequest request;
  for (uint32_t i = 0; i < spec.buffers; ++i) {
    const auto first = static_cast<int32_t>(random() % spec.moments);
    const auto last = first + static_cast<int32_t>(random() % spec.life);
    BufferSpec b = Buffer(16 * (1 + random() % spec.granules), first, last);
    if (!plain) {
      if (random() % 4 == 0) b.bytes = random() % (16 * spec.granules);
      b.alignment = uint64_t{1} << random() % 8;
      if (random() % 8 == 0) b.memory_id = 2;
      if (random() % 16 == 0) b.offset = random() % 64 * b.alignment;
      if (random() % 16 == 0) b.first_use = kMethodBegin, b.last_use = kMethodEnd;
    }
    request.buffers.push_back(b);
  }
  if (plain) return request;
  for (uint32_t i = 0; i < spec.buffers; ++i) {
    for (uint32_t j = 0; j < spec.buffers; ++j) {
      const BufferSpec& a = request.buffers[i];
      BufferSpec& b = request.buffers[j];
      if (a.last_use != b.first_use || random() % 2 == 0) continue;
      if (random() % 2 == 0) b.bytes = a.bytes;
      request.in_place.push_back({i, j});
    }
  }
  return request;
}

TEST(MemoryPlanner, PlansRandomRequests) {
  std::mt19937 random(3);
  for (int round = 0; round < 2000; ++round) {
    const RandomSpec spec = {Upto(random, 40), Upto(random, 30), Upto(random, 20),
                             Upto(random, 100)};
    const PlanRequest request = RandomRequest(random, spec, false);
    EXPECT_GE(Ratio(request), 1.0) << "round " << round;
    if (HasFailure()) return;
  }
}

// The verifier against the definition, on plans that are mostly wrong.
TEST(VerifyPlan, AgreesWithTheDefinition) {
  std::mt19937 random(4);
  int right = 0;
  for (int round = 0; round < 20000; ++round) {
    const RandomSpec spec = {1 + Upto(random, 5), Upto(random, 6), Upto(random, 4), 4};
    const PlanRequest request = RandomRequest(random, spec, false);
    MemoryPlan plan = *PlanMemory(request);
    for (uint64_t& offset : plan.offsets) {
      if (random() % 4 == 0) offset = random() % 16 * 16;
    }
    plan.sizes.resize(2, 1024);
    const auto overlap = [&](size_t i, size_t j) {
      const BufferSpec& a = request.buffers[i];
      const BufferSpec& b = request.buffers[j];
      return a.bytes > 0 && b.bytes > 0 && a.memory_id == b.memory_id &&
             a.first_use <= b.last_use && b.first_use <= a.last_use &&
             plan.offsets[i] < plan.offsets[j] + b.bytes &&
             plan.offsets[j] < plan.offsets[i] + a.bytes;
    };
    const auto in_place = [&](size_t i, size_t j) {
      const BufferSpec& a = request.buffers[i];
      const BufferSpec& b = request.buffers[j];
      return a.bytes == b.bytes && plan.offsets[i] == plan.offsets[j] && !a.offset && !b.offset &&
             a.last_use == b.first_use && a.first_use < b.first_use &&
             std::any_of(request.in_place.begin(), request.in_place.end(),
                         [&](const InPlaceHint& h) { return h.input == i && h.output == j; });
    };
    bool expected = true;
    for (size_t i = 0; i < plan.offsets.size(); ++i) {
      const BufferSpec& a = request.buffers[i];
      expected &= plan.offsets[i] % a.alignment == 0;
      expected &= plan.offsets[i] + a.bytes <= plan.sizes[a.memory_id - 1];
      expected &= !a.offset || *a.offset == plan.offsets[i];
      for (size_t j = 0; j < i; ++j) {
        const bool fixed = a.offset && request.buffers[j].offset;
        expected &= !overlap(i, j) || fixed || in_place(i, j) || in_place(j, i);
      }
    }
    EXPECT_EQ(VerifyPlan(request, plan).ok(), expected) << "round " << round;
    right += expected;
    if (HasFailure()) return;
  }
  EXPECT_GT(right, 1000);
  EXPECT_LT(right, 19000);
}

// Some order of placement into the lowest gap gives the smallest packing; six buffers have 720.
uint64_t SmallestSize(const std::vector<BufferSpec>& buffers) {
  std::vector<size_t> order;
  for (size_t i = 0; i < buffers.size(); ++i) order.push_back(i);
  uint64_t smallest = UINT64_MAX;
  do {
    std::vector<uint64_t> offsets(buffers.size());
    uint64_t size = 0;
    for (size_t p = 0; p < order.size(); ++p) {
      const BufferSpec& b = buffers[order[p]];
      uint64_t& offset = offsets[order[p]];
      for (bool moved = true; moved;) {
        moved = false;
        for (size_t q = 0; q < p; ++q) {
          const BufferSpec& o = buffers[order[q]];
          const uint64_t end = offsets[order[q]] + o.bytes;
          if (o.first_use <= b.last_use && b.first_use <= o.last_use && offset < end &&
              offsets[order[q]] < offset + b.bytes) {
            offset = (end + b.alignment - 1) / b.alignment * b.alignment;
            moved = true;
          }
        }
      }
      size = std::max(size, offset + b.bytes);
    }
    smallest = std::min(smallest, size);
  } while (std::next_permutation(order.begin(), order.end()));
  return (smallest + 15) / 16 * 16;
}

TEST(MemoryPlanner, FindsTheSmallestPlanOfFewBuffers) {
  std::mt19937 random(5);
  for (int round = 0; round < 300; ++round) {
    PlanRequest request = RandomRequest(random, {6, 6, 5, 20}, true);
    const bool mixed = round % 2 == 0;  // odd sizes and alignments try the bound, too
    for (BufferSpec& b : request.buffers) {
      if (mixed) b.bytes -= random() % 16, b.alignment = uint64_t{4} << random() % 5;
    }
    const uint64_t smallest = SmallestSize(request.buffers);
    EXPECT_LE((*MemoryLowerBounds(request))[0], smallest) << "round " << round;
    if (mixed) {
      EXPECT_LE(Plan(request).sizes[0], smallest + 64) << "round " << round;
    } else {
      EXPECT_EQ(Plan(request).sizes[0], smallest) << "round " << round;
    }
    if (HasFailure()) return;
  }
}

TEST(MemoryPlanner, IsDeterministic) {
  std::mt19937 random(6);
  const PlanRequest request = RandomRequest(random, {200, 200, 100, 1000}, true);
  EXPECT_EQ(Plan(request).offsets, Plan(request).offsets);
}

// Thousands of buffers: few that live together, many, and all.
TEST(MemoryPlanner, PlansManyBuffers) {
  std::mt19937 random(7);
  for (const uint32_t life : {20u, 1000u, 10000u}) {
    const double ratio = Ratio(RandomRequest(random, {10000, 10000, life, 1000}, true));
    std::printf("  10000 random buffers, lives up to %5u: %.4f of the lower bound\n", life, ratio);
    EXPECT_LE(ratio, 1.1);
  }
  EXPECT_EQ(Ratio(RandomRequest(random, {10000, 1, 1, 1000}, true)), 1.0);
}

TEST(MemoryPlanner, IsAFunctionThatCallersMayReplace) {
  const Planner stack = [](const PlanRequest& request) -> Result<MemoryPlan> {
    MemoryPlan plan;
    uint64_t end = 0;
    for (const BufferSpec& b : request.buffers) {
      plan.offsets.push_back(end);
      end += (b.bytes + 15) / 16 * 16;
    }
    plan.sizes = {end};
    return plan;
  };
  const PlanRequest request = Inception();
  for (const Planner& planner : {stack, Planner(PlanMemory)}) {
    EXPECT_TRUE(VerifyPlan(request, *planner(request)).ok());
  }
}

}  // namespace
}  // namespace rushlight::compiler
