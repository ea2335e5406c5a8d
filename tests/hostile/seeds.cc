// Copyright (c) The Rushlight authors.
// SPDX-License-Identifier: BSD-3-Clause

#include "tests/hostile/seeds.h"

#include <limits>
#include <utility>

#include "src/compiler/data_file_builder.h"
#include "tests/hostile/program_writer.h"
#include "tests/hostile/test_delegate.h"

namespace rushlight::hostile {
namespace {

constexpr DType kFloat = DType::kFloat32;
constexpr DType kLong = DType::kInt64;
constexpr DType kBool = DType::kBool;

using Options = MethodWriter::Options;

std::vector<uint8_t> BytesOf(const std::string& text) { return {text.begin(), text.end()}; }

// x + y: no constants, so neither segments nor an extended header.
Seed Add() {
  ProgramWriter p;
  MethodWriter w(p, "forward");
  const int32_t x = w.Planned(kFloat, {2, 3});
  const int32_t y = w.Planned(kFloat, {2, 3});
  const int32_t sum = w.Planned(kFloat, {2, 3});
  w.Call("aten::add.out", {x, y, w.m.AddInt(1), sum});
  w.Inputs({x, y});
  w.Outputs({sum});
  w.Finish();
  return {"add", p.builder.ToBytes(), {}};
}

// Linear, relu, reshape, linear, softmax: the network of the published mutation table.
Seed Perceptron() {
  ProgramWriter p;
  MethodWriter w(p, "forward");
  const int32_t x = w.Planned(kFloat, {2, 8});
  const int32_t h = w.Planned(kFloat, {2, 16});
  w.Call("aten::linear.out", {x, w.Weights(kFloat, {16, 8}), w.Weights(kFloat, {16}), h});
  const int32_t r = w.Planned(kFloat, {2, 16});
  w.Call("aten::relu.out", {h, r});
  const int32_t flat = w.Alias(r, kFloat, {2, 16});
  const int32_t z = w.Planned(kFloat, {2, 4});
  w.Call("aten::linear.out", {flat, w.Weights(kFloat, {4, 16}), w.m.AddNull(), z});
  const int32_t out = w.Planned(kFloat, {2, 4});
  w.Call("aten::_softmax.out", {z, w.m.AddInt(-1), w.m.AddBool(false), out});
  w.Inputs({x});
  w.Outputs({out});
  w.m.SetTrees("T2#1#0(T1#1($),D0())", "$");
  w.Finish();
  return {"perceptron", p.builder.ToBytes(), {}};
}

// Channels-last images; an operator of two results; segments at 4096, constants at 64.
Seed Convolution() {
  ProgramWriter p({4096, 64});
  MethodWriter w(p, "forward");
  const std::vector<uint8_t> last = {0, 2, 3, 1};
  const int32_t x = w.Planned(kFloat, {1, 3, 8, 8}, {.dim_order = last});
  std::vector<float> kernel(4 * 3 * 3 * 3, 0.25f);
  const int32_t weight = w.Constant(kFloat, {4, 3, 3, 3}, p.Keep(kernel), last);
  const int32_t one = w.Ints({1, 1});
  const int32_t zero = w.Ints({0, 0});
  const int32_t conv = w.Planned(kFloat, {1, 4, 8, 8}, {.dim_order = last});
  w.Call("aten::convolution.out", {x, weight, w.Weights(kFloat, {4}), one, one, one,
                                   w.m.AddBool(false), zero, w.m.AddInt(1), conv});
  const int32_t two = w.Ints({2, 2});
  const int32_t pooled = w.Planned(kFloat, {1, 4, 4, 4}, {.dim_order = last});
  const int32_t places = w.Planned(kLong, {1, 4, 4, 4}, {.dim_order = last});
  w.Call("aten::max_pool2d_with_indices.out",
         {conv, two, two, zero, one, w.m.AddBool(false), pooled, places});
  const int32_t mean = w.Planned(kFloat, {1, 4, 1, 1});
  w.Call("aten::mean.out", {pooled, w.Ints({-1, -2}), w.m.AddBool(true), w.m.AddNull(), mean});
  const int32_t row = w.Planned(kFloat, {1, 4});
  w.Call("aten::view_copy.out", {mean, w.Ints({1, 4}), row});
  w.Inputs({x});
  w.Outputs({row, places});
  w.Finish();
  return {"convolution", p.builder.ToBytes(), {}};
}

// cond inside map: forward and backward jumps, moves, sizes, scalar results.
Seed ControlFlow() {
  ProgramWriter p;
  MethodWriter w(p, "forward");
  const int32_t x = w.Planned(kFloat, {3, 4});
  const int32_t result = w.Planned(kFloat, {3, 4}, {.dynamic = true});
  const int32_t n = w.m.AddInt(0);
  const int32_t i = w.m.AddInt(0);
  const int32_t one = w.m.AddInt(1);
  const int32_t done = w.m.AddBool(false);
  const int32_t never = w.m.AddBool(false);
  const int32_t row = w.Planned(kFloat, {4});
  const int32_t total = w.Planned(kFloat, {});
  const int32_t positive = w.Planned(kBool, {});
  const int32_t doubled = w.Planned(kFloat, {4});
  const int32_t negated = w.Planned(kFloat, {4});
  const int32_t chosen = w.Unplanned(kFloat, {4});
  w.CallScalar("aten::sym_size.int", {x, w.m.AddInt(0), n});
  const int32_t loop = w.Call("aten::select_copy.int_out", {x, w.m.AddInt(0), i, row});
  w.Call("aten::sum.IntList_out", {row, w.Ints({}), w.m.AddBool(false), w.m.AddNull(), total});
  w.Call("aten::gt.Scalar_out", {total, w.m.AddDouble(0.0), positive});
  const int32_t to_else = w.m.AddJumpFalse(positive, 0);
  w.Call("aten::mul.Scalar_out", {row, w.m.AddDouble(2.0), doubled});
  w.m.AddMove(doubled, chosen);
  const int32_t to_end = w.m.AddJumpFalse(never, 0);
  w.m.SetJumpDestination(to_else, w.m.num_instructions());
  w.Call("aten::neg.out", {row, negated});
  w.m.AddMove(negated, chosen);
  w.m.SetJumpDestination(to_end, w.m.num_instructions());
  w.CallScalar("executorch_prim::et_copy_index.tensor", {result, chosen, i});
  w.CallScalar("executorch_prim::add.Scalar", {i, one, i});
  w.CallScalar("executorch_prim::eq.Scalar", {i, n, done});
  w.m.AddJumpFalse(done, loop);
  w.CallScalar("executorch_prim::sub.Scalar", {i, n, i});
  w.Inputs({x});
  w.Outputs({result, i, done});
  w.Finish();
  return {"control_flow", p.builder.ToBytes(), {}};
}

// Upper bounds, views of other shapes, inputs and outputs in the caller's memory, lists of tensors.
Seed DynamicShapes() {
  ProgramWriter p;
  MethodWriter w(p, "forward");
  const int32_t x = w.Unplanned(kFloat, {6, 4}, true);
  const int32_t n = w.m.AddInt(0);
  const int32_t four = w.m.AddInt(4);
  const int32_t count = w.m.AddInt(0);
  const int32_t view = w.Unplanned(kFloat, {24}, true);
  const int32_t square = w.Planned(kFloat, {24}, {.dynamic = true});
  const int32_t back = w.Alias(square, kFloat, {6, 4}, true);
  const int32_t both = w.Unplanned(kFloat, {12, 4}, true);
  const int32_t half = w.Planned(kFloat, {12, 2}, {.dynamic = true});
  const int32_t other_half = w.Planned(kFloat, {12, 2}, {.dynamic = true});
  w.CallScalar("aten::sym_size.int", {x, w.m.AddInt(0), n});
  w.CallScalar("executorch_prim::mul.Scalar", {n, four, count});
  w.CallScalar("executorch_prim::et_view.default", {x, w.m.AddIntList({count}), view});
  w.Call("aten::mul.out", {view, view, square});
  w.CallScalar("executorch_prim::et_view.default", {square, w.m.AddIntList({n, four}), back});
  const int32_t parts = w.m.AddTensorList({x, back});
  w.Call("aten::cat.out", {parts, w.m.AddInt(0), both});
  const int32_t halves = w.m.AddTensorList({half, other_half});
  w.CallScalar("aten::split_with_sizes_copy.out",
               {both, w.Ints({2, 2}), w.m.AddInt(1), halves, halves});
  w.Inputs({x});
  w.Outputs({both, half, n, view});
  w.Finish();
  return {"dynamic_shapes", p.builder.ToBytes(), {}};
}

// Integers of all widths: dequantize, matrix product, requantize; masks, shifts, comparisons.
Seed Integers() {
  ProgramWriter p;
  MethodWriter w(p, "forward");
  const int32_t x = w.Planned(DType::kInt8, {4, 4});
  const int32_t weight = w.Weights(DType::kInt8, {4, 4});
  const int32_t wide_x = w.Planned(DType::kInt32, {4, 4});
  const int32_t wide_w = w.Planned(DType::kInt32, {4, 4});
  const int32_t no = w.m.AddBool(false);
  const int32_t none = w.m.AddNull();
  w.Call("dim_order_ops::_to_dim_order_copy.out", {x, no, none, wide_x});
  w.Call("dim_order_ops::_to_dim_order_copy.out", {weight, no, w.Ints({0, 1}), wide_w});
  const int32_t product = w.Planned(DType::kInt32, {4, 4});
  w.Call("aten::mm.out", {wide_x, wide_w, product});
  const int32_t shifted = w.Planned(DType::kInt32, {4, 4});
  w.Call("aten::bitwise_right_shift.Tensor_Scalar_out", {product, w.m.AddInt(2), shifted});
  const int32_t clamped = w.Planned(DType::kInt32, {4, 4});
  w.Call("aten::clamp.out", {shifted, w.m.AddInt(-128), w.m.AddInt(127), clamped});
  const int32_t narrow = w.Planned(DType::kInt8, {4, 4});
  w.Call("aten::_to_copy.out", {clamped, no, none, narrow});
  const int32_t mask = w.Planned(kBool, {4, 4});
  w.Call("aten::lt.Tensor_out", {narrow, x, mask});
  const int32_t chosen = w.Planned(DType::kInt8, {4, 4});
  w.Call("aten::where.self_out", {mask, x, narrow, chosen});
  const int32_t best = w.Planned(kLong, {4});
  w.Call("aten::argmax.out", {chosen, w.m.AddInt(1), no, best});
  const int32_t sorted = w.Planned(DType::kInt8, {4, 4});
  const int32_t order = w.Planned(kLong, {4, 4});
  w.Call("aten::sort.values", {chosen, w.m.AddInt(-1), w.m.AddBool(true), sorted, order});
  w.Inputs({x});
  w.Outputs({chosen, best, sorted, order});
  w.Finish();
  return {"integers", p.builder.ToBytes(), {}};
}

// One step of attention over a cache that is updated in place, with lists of optional indices.
Seed KvCache() {
  ProgramWriter p;
  MethodWriter w(p, "forward");
  const int32_t token = w.Planned(kLong, {1});
  const int32_t position = w.Planned(kLong, {1});
  const int32_t x = w.Planned(kFloat, {1, 4});
  w.Call("aten::embedding.out", {w.Weights(kFloat, {10, 4}), token, w.m.AddInt(-1),
                                 w.m.AddBool(false), w.m.AddBool(false), x});
  const int32_t keys = w.Planned(kFloat, {8, 4}, {.name = "keys", .memory_id = 2});
  std::vector<float> initial(8 * 4, 0.5f);
  const int32_t values =
      w.State(kFloat, {8, 4}, p.Keep(initial), {.name = "values", .memory_id = 2});
  const int32_t append = w.m.AddBool(false);
  w.CallScalar("aten::index_put_", {keys, w.m.AddOptionalTensorList({position}), x, append, keys});
  w.m.AddMove(keys, keys);
  const int32_t all = w.m.AddOptionalTensorList({position, -1});
  const int32_t also_all = w.m.AddOptionalTensorList({position, w.m.AddNull()});
  w.CallScalar("aten::index_put_", {values, all, x, append, values});
  const int32_t scores = w.Planned(kFloat, {1, 8});
  const int32_t turned = w.Planned(kFloat, {4, 8});
  w.Call("aten::permute_copy.out", {keys, w.Ints({1, 0}), turned});
  w.Call("aten::mm.out", {x, turned, scores});
  const int32_t weights = w.Planned(kFloat, {1, 8});
  w.Call("aten::_softmax.out", {scores, w.m.AddInt(1), w.m.AddBool(false), weights});
  const int32_t out = w.Planned(kFloat, {1, 4});
  w.Call("aten::mm.out", {weights, values, out});
  const int32_t last = w.Planned(kFloat, {1, 4});
  w.Call("aten::index.Tensor_out", {values, also_all, last});
  w.Inputs({token, position});
  w.Outputs({out, last});
  w.Finish();
  p.builder.AddNamedData(
      "rushlight.debug",
      p.Keep(BytesOf(R"({"version": 1, "files": ["model.py"], "methods": {"forward": [)"
                     R"([1, 0, 10], [2, 0, 11], [3, -1, 0], [4, 0, 12]]}})")),
      16);
  p.builder.AddNamedData("rushlight.other", p.Keep(BytesOf("{}")), 16);
  return {"kv_cache", p.builder.ToBytes(), {}};
}

// Two methods over one state and one set of weights in a data file, and constant methods.
Seed TwoMethods() {
  ProgramWriter p;
  const Options state = {.dynamic = false, .dim_order = {}, .name = "counter", .memory_id = 2};
  std::vector<float> zero = {1.0f, 2.0f};
  const auto initial = p.Keep(zero);
  {
    MethodWriter w(p, "decode");
    const int32_t x = w.Planned(kFloat, {2});
    const int32_t counter = w.State(kFloat, {2}, initial, state);
    const int32_t scaled = w.Planned(kFloat, {2});
    w.Call("aten::mul.out", {x, w.External(kFloat, {2}, "scale", false), scaled});
    w.Call("aten::add.out", {counter, scaled, w.m.AddInt(1), counter});
    w.Inputs({x});
    w.Outputs({counter});
    w.Finish();
  }
  {
    MethodWriter w(p, "prefill");
    const int32_t x = w.Planned(kFloat, {3, 2});
    const int32_t counter = w.State(kFloat, {2}, initial, state);
    const int32_t scaled = w.Planned(kFloat, {3, 2});
    const int32_t offset = w.External(kFloat, {2}, "offset", true);
    w.Call("aten::mul.out", {x, w.External(kFloat, {2}, "scale", false), scaled});
    const int32_t sum = w.Planned(kFloat, {2});
    w.Call("aten::sum.IntList_out", {scaled, w.Ints({0}), w.m.AddBool(false), w.m.AddNull(), sum});
    w.Call("aten::add.out", {sum, offset, w.m.AddInt(1), sum});
    w.Call("aten::add.out", {counter, sum, w.m.AddInt(1), counter});
    w.Inputs({x});
    w.Outputs({counter});
    w.Finish();
  }
  {
    MethodWriter w(p, "get_max_seq_len");
    w.Outputs({w.m.AddInt(128)});
    w.Finish();
  }
  {
    MethodWriter w(p, "get_table");
    w.Outputs({w.Weights(kLong, {5})});
    w.Finish();
  }
  compiler::DataFileBuilder data;
  const std::vector<float> scale = {2.0f, 3.0f};
  const std::vector<float> offset = {0.5f, 0.25f};
  data.AddTensor("scale", p.Keep(scale), kFloat, {2});
  data.AddTensor("offset", p.Keep(offset), kFloat, {2});
  data.AddBytes("opaque", p.Keep(BytesOf("bytes")), 16);
  return {"two_methods", p.builder.ToBytes(), data.ToBytes()};
}

// Delegates: payloads in the FlatBuffer and in segments, compile specs, named data, state.
Seed Delegates() {
  ProgramWriter p;
  MethodWriter w(p, "forward");
  const int32_t x = w.Planned(kFloat, {4}, {.dynamic = true});
  const int32_t y = w.Planned(kFloat, {4}, {.dynamic = true});
  const int32_t z = w.Unplanned(kFloat, {4}, true);
  const auto first = p.Keep(TestDelegatePayload(2.0f, false));
  const auto second = p.Keep(TestDelegatePayload(0.5f, true));
  const int32_t inside = p.builder.AddDelegate(
      w.m, kTestDelegateId, first, {{kTestDelegateAddendSpec, "addend"}, {"unused", ""}}, true);
  const int32_t behind = p.builder.AddDelegate(w.m, kTestDelegateId, second, {});
  w.m.AddDelegateCall(inside, {x, y});
  w.m.AddDelegateCall(behind, {y, z});
  w.m.AddDelegateCall(behind, {y, z});
  const std::vector<float> addend = {10.0f};
  p.builder.AddNamedData("addend", p.Keep(addend), 64);
  w.Inputs({x});
  w.Outputs({z});
  w.Finish();
  return {"delegates", p.builder.ToBytes(), {}};
}

// Every kind of value, as input and output where that is legal; every kind of instruction; several
// chains; stack traces; devices; freed memory.
Seed Kinds() {
  ProgramWriter p;
  MethodWriter w(p, "forward");
  const int32_t none = w.m.AddNull();
  const int32_t number = w.m.AddInt(3);
  const int32_t truth = w.m.AddBool(true);
  const int32_t real = w.m.AddDouble(1.5);
  const int32_t text = w.m.AddString("tanh");
  const int32_t x = w.Planned(kFloat, {1, 1, 2, 2});
  const int32_t y = w.Planned(kFloat, {1, 1, 2, 2});
  const int32_t z = w.Planned(kFloat, {1, 1, 4, 4});
  const int32_t scratch = w.Planned(kFloat, {2, 2});
  const int32_t ratio = w.m.AddDouble(0.0);
  w.m.AddBoolList({true, false, true});
  const double infinity = std::numeric_limits<double>::infinity();
  w.m.AddDoubleList({infinity, -infinity, std::numeric_limits<double>::quiet_NaN(), -0.0});
  const int32_t scales = w.m.AddDoubleList({2.0, 2.0});
  const int32_t shape = w.Ints({2, 2});
  w.Call("aten::gelu.out", {x, text, y});
  w.Call("aten::full.out", {shape, real, scratch});
  w.CallScalar("executorch_prim::truediv.Scalar", {number, real, ratio});
  w.m.AddMove(ratio, none);
  w.Free(scratch);
  w.StartChain();
  w.Call("aten::upsample_nearest2d.vec_out", {y, w.m.AddNull(), scales, z});
  w.m.AddJumpFalse(truth, 0);
  w.StartChain();
  w.StartChain();
  w.CallScalar("executorch_prim::sym_not.Scalar", {truth, w.m.AddBool(false)});
  const int32_t empty = w.Planned(kFloat, {0, 3});
  w.Call("aten::clone.out", {empty, w.m.AddNull(), empty});
  w.Inputs({x, number, truth, real, text});
  w.Outputs({z, number, ratio, truth, text, none, z, x, empty});
  w.Finish();

  fb::ExecutionPlanT& plan = *p.builder.program().execution_plan[0];
  auto device = std::make_unique<fb::NonConstBufferDeviceT>();
  device->buffer_idx = 1;
  plan.non_const_buffer_device.push_back(std::move(device));
  plan.chains[0]->inputs = {x};
  plan.chains[0]->outputs = {y};
  auto frames = std::make_unique<fb::FrameListT>();
  frames->items.push_back(std::make_unique<fb::FrameT>());
  frames->items[0]->filename = "model.py";
  frames->items[0]->lineno = 12;
  frames->items[0]->name = "forward";
  frames->items[0]->context = "return gelu(x)";
  plan.chains[0]->stacktrace.push_back(std::move(frames));
  p.builder.program().constant_buffer.push_back(std::make_unique<fb::BufferT>());
  return {"kinds", p.builder.ToBytes(), {}};
}

// A copy of a tensor of each dtype, constants among them; ranks 0 and 16.
Seed DTypes() {
  ProgramWriter p;
  MethodWriter w(p, "forward");
  std::vector<int32_t> inputs, outputs;
  for (int number = 0; number < kDTypeCount; ++number) {
    const auto dtype = static_cast<DType>(number);
    const int32_t x = number % 2 == 0 ? w.Planned(dtype, {3}) : w.Weights(dtype, {3});
    const int32_t y = w.Planned(dtype, {3});
    w.Call("aten::alias_copy.out", {x, y});
    if (number % 2 == 0) inputs.push_back(x);
    outputs.push_back(y);
  }
  Sizes many(16, 1);
  many[3] = 5;
  const int32_t deep = w.Planned(kFloat, many);
  const int32_t copy = w.Planned(kFloat, many);
  w.Call("aten::clone.out", {deep, w.m.AddNull(), copy});
  const int32_t flat = w.Planned(kFloat, {});
  w.Call("aten::scalar_tensor.out", {w.m.AddDouble(2.5), flat});
  inputs.push_back(deep);
  outputs.push_back(copy);
  outputs.push_back(flat);
  w.Inputs(inputs);
  w.Outputs(outputs);
  w.Finish();
  return {"dtypes", p.builder.ToBytes(), {}};
}

}  // namespace

std::vector<Seed> MakeSeeds() {
  return {Add(),     Perceptron(), Convolution(), ControlFlow(), DynamicShapes(), Integers(),
          KvCache(), TwoMethods(), Delegates(),   Kinds(),       DTypes()};
}

Seed MakeSeed(const std::string& name) {
  for (Seed& seed : MakeSeeds()) {
    if (seed.name == name) return std::move(seed);
  }
  return {};
}

}  // namespace rushlight::hostile
