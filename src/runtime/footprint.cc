// Copyright (c) The Rushlight authors.
// SPDX-License-Identifier: BSD-3-Clause

#include "src/runtime/footprint.h"

namespace rushlight {

MethodCounts CountMethod(const fb::ExecutionPlan& plan) {
  MethodCounts n;
  n.values = plan.values()->size();
  for (const fb::EValue* value : *plan.values()) {
    switch (value->val_type()) {
      case fb::KernelTypes_Tensor: {
        const fb::Tensor& t = *value->val_as_Tensor();
        ++n.tensors;
        if (t.shape_dynamism() != fb::TensorShapeDynamism_STATIC)
          n.dynamic_dims += t.sizes()->size();
        break;
      }
      case fb::KernelTypes_String:
        ++n.strings;
        break;
      case fb::KernelTypes_IntList:
        ++n.int_lists;
        n.ints += value->val_as_IntList()->items()->size();
        break;
      case fb::KernelTypes_DoubleList:
        ++n.double_lists;
        break;
      case fb::KernelTypes_BoolList:
        ++n.bool_lists;
        break;
      case fb::KernelTypes_TensorList:
        ++n.tensor_lists;
        n.list_tensors += value->val_as_TensorList()->items()->size();
        break;
      case fb::KernelTypes_OptionalTensorList:
        ++n.tensor_lists;
        n.list_tensors += value->val_as_OptionalTensorList()->items()->size();
        break;
      default:
        break;
    }
  }
  for (const fb::Chain* chain : *plan.chains()) n.instructions += chain->instructions()->size();
  n.delegates = SizeOf(plan.delegates());
  n.inputs = plan.inputs()->size();
  n.outputs = plan.outputs()->size();
  n.planned = plan.non_const_buffer_sizes()->size() - 1;
  return n;
}

size_t MethodArenaBytes(const MethodCounts& n, const Abi& abi) {
  // {count, size, alignment} of each array, as Method::Load makes them.
  const size_t arrays[][3] = {
      {n.values, abi.value, 8},
      {n.ints, 8, 8},
      {n.tensors, abi.tensor, abi.pointer},
      {n.int_lists, abi.int_list, abi.pointer},
      {n.tensor_lists, abi.tensor_list, abi.pointer},
      {n.strings, abi.view, abi.pointer},
      {n.double_lists, abi.view, abi.pointer},
      {n.bool_lists, abi.view, abi.pointer},
      {n.list_tensors, abi.pointer, abi.pointer},
      {n.instructions, abi.instruction, abi.pointer},
      {n.delegates, abi.delegate, abi.pointer},
      {n.inputs, abi.pointer, abi.pointer},
      {n.outputs, abi.output, abi.pointer},
      {n.planned, abi.pointer, abi.pointer},
      {n.dynamic_dims, 4, 4},
      {n.inputs, 1, 1},
  };
  size_t bytes = 0;
  for (const auto& [count, size, alignment] : arrays) {
    size_t array;
    if (__builtin_mul_overflow(count, size, &array) ||
        __builtin_add_overflow(array, (alignment - bytes % alignment) % alignment, &array) ||
        __builtin_add_overflow(bytes, array, &bytes)) {
      return SIZE_MAX;
    }
  }
  return bytes;
}

}  // namespace rushlight
