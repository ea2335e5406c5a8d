// Copyright (c) The Rushlight authors.
// SPDX-License-Identifier: BSD-3-Clause

// The memory planner over plain lists, so that a planner written in Python can stand in for it.

#include <nanobind/stl/optional.h>
#include <nanobind/stl/pair.h>
#include <nanobind/stl/tuple.h>
#include <nanobind/stl/vector.h>

#include <cstdint>
#include <optional>
#include <tuple>
#include <utility>
#include <vector>

#include "src/bindings/python/native.h"
#include "src/compiler/memory_planner.h"

namespace nb = nanobind;
using namespace nb::literals;
using namespace rushlight::compiler;

namespace rushlight::python {
namespace {

// (bytes, alignment, first_use, last_use, memory_id, offset)
using BufferTuple = std::tuple<uint64_t, uint64_t, std::optional<int32_t>, std::optional<int32_t>,
                               uint32_t, std::optional<uint64_t>>;
using Buffers = std::vector<BufferTuple>;
using InPlace = std::vector<std::pair<uint32_t, uint32_t>>;
using Plan = std::pair<std::vector<uint64_t>, std::vector<uint64_t>>;

PlanRequest ToRequest(const Buffers& buffers, const InPlace& in_place) {
  PlanRequest request;
  for (const auto& [bytes, alignment, first, last, memory_id, offset] : buffers) {
    request.buffers.push_back({bytes, alignment, first.value_or(kMethodBegin),
                               last.value_or(kMethodEnd), memory_id, offset});
  }
  for (const auto& [input, output] : in_place) request.in_place.push_back({input, output});
  return request;
}

Plan PlanLists(const Buffers& buffers, const InPlace& in_place) {
  const PlanRequest request = ToRequest(buffers, in_place);
  const Result<MemoryPlan> plan = [&] {
    nb::gil_scoped_release release;
    return PlanMemory(request);
  }();
  if (!plan.ok()) Raise(plan.error());
  return {plan->offsets, plan->sizes};
}

std::vector<uint64_t> LowerBounds(const Buffers& buffers, const InPlace& in_place) {
  const auto bounds = MemoryLowerBounds(ToRequest(buffers, in_place));
  if (!bounds.ok()) Raise(bounds.error());
  return *bounds;
}

void Verify(const Buffers& buffers, const InPlace& in_place, std::vector<uint64_t> offsets,
            std::vector<uint64_t> sizes) {
  const Error error =
      VerifyPlan(ToRequest(buffers, in_place), {std::move(offsets), std::move(sizes)});
  if (!error.ok()) Raise(error);
}

}  // namespace

void BindMemoryPlanner(nb::module_& m) {
  m.def(
      "plan_memory", &PlanLists, "buffers"_a, "in_place"_a = InPlace(),
      "Plans memory: (offsets of the buffers, sizes of memory ids 1, 2, ...).\n\n"
      "A buffer is (bytes, alignment, first_use, last_use, memory_id, offset): positions of "
      "instructions, both included, None for the method's begin or end; offset is None unless it "
      "is fixed.  in_place: pairs (input, output) of buffers where the instruction that reads one "
      "last and writes the other first may work in place.");
  m.def("memory_lower_bounds", &LowerBounds, "buffers"_a, "in_place"_a = InPlace(),
        "The sizes of memory ids 1, 2, ... that no plan can beat.");
  m.def("verify_plan", &Verify, "buffers"_a, "in_place"_a, "offsets"_a, "sizes"_a,
        "Raises Error unless the plan is sound, whoever made it.");
}

}  // namespace rushlight::python
