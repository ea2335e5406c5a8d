// Copyright (c) The Rushlight authors.
// SPDX-License-Identifier: BSD-3-Clause

#include "rushlight/op.h"

namespace rushlight {

namespace {
const Loop* Find(Span<const Loop> loops, DType in, DType out, uint8_t variant) {
  for (const Loop& loop : loops) {
    if (loop.in == in && loop.out == out && loop.variant == variant) return &loop;
  }
  return nullptr;
}
}  // namespace

const Loop* PrepareContext::FindLoop(DType in, DType out, uint8_t variant) const {
  return Find(op_.loops, in, out, variant);
}

Error PrepareContext::UseLoop(size_t slot, DType in, DType out, uint8_t variant) {
  return Use(FindLoop(in, out, variant), slot, in, out);
}

Error PrepareContext::UseCast(size_t slot, DType in, DType out) {
  return Use(Find(op_.casts, in, out, 0), slot, in, out);
}

Error PrepareContext::Use(const Loop* loop, size_t slot, DType in, DType out) {
  RL_CHECK(loop != nullptr, Reason::kNoKernelForDType, Error::kNone, static_cast<int64_t>(in),
           static_cast<int64_t>(out));
  prepared_->loops[slot] = loop;
  return kOk;
}

const Op* FindOp(Span<const Span<const Op>> tables, std::string_view name) {
  for (const Span<const Op>& table : tables) {
    size_t low = 0;
    size_t high = table.size();
    while (low < high) {
      const size_t middle = (low + high) / 2;
      const int order = std::string_view(table[middle].name).compare(name);
      if (order == 0) return &table[middle];
      if (order < 0) {
        low = middle + 1;
      } else {
        high = middle;
      }
    }
  }
  return nullptr;
}

namespace internal {

Error WrongKind(const Args& args, size_t i, Tag expected) {
  return Error(Reason::kArgumentKind, static_cast<uint32_t>(args.indices[i]),
               static_cast<int64_t>(args[i].tag()), static_cast<int64_t>(expected))
      .WithArgument(i);
}

Error CheckTensor(const Args& args, size_t i, bool writes, bool running) {
  const Tensor& t = args[i].as_tensor();
  const auto index = static_cast<uint32_t>(args.indices[i]);
  RL_CHECK(!writes || !t.read_only(), Reason::kArgumentReadOnly, index, 0, 0, i);
  RL_CHECK(!running || t.raw() != nullptr || t.numel() == 0, Reason::kArgumentNull, index, 0, 0, i);
  return kOk;
}

Error ResolveInts(const Args& args, size_t i, Span<const int64_t>* out) {
  if (args[i].tag() != Tag::kIntList) return WrongKind(args, i, Tag::kIntList);
  const IntListValue& list = args[i].as_int_list();
  for (uint32_t k = 0; k < list.count; ++k) {
    const Value& item = args.values[list.items[k]];
    if (item.tag() != Tag::kInt) return WrongKind(args, i, Tag::kInt);
    list.ints[k] = item.as_int();
  }
  *out = {list.ints, list.count};
  return kOk;
}

Error ResolveTensors(const Args& args, size_t i, bool optional, bool writes, bool running,
                     Span<Tensor* const>* out) {
  const Tag tag = args[i].tag();
  if (tag != Tag::kTensorList && !(optional && tag == Tag::kOptionalTensorList)) {
    return WrongKind(args, i, optional ? Tag::kOptionalTensorList : Tag::kTensorList);
  }
  const TensorListValue& list = args[i].as_tensor_list();
  for (uint32_t k = 0; k < list.count; ++k) {
    list.tensors[k] = nullptr;
    if (list.items[k] < 0) continue;
    const Value& item = args.values[list.items[k]];
    if (item.is_none() && optional) continue;
    if (!item.is_tensor()) return WrongKind(args, i, Tag::kTensor);
    const Args one{args.values, list.items + k, 1};
    const Error error = CheckTensor(one, 0, writes, running);
    if (!error.ok()) return error.WithArgument(i);
    list.tensors[k] = &item.as_tensor();
  }
  *out = {list.tensors, list.count};
  return kOk;
}

Error Unbox<const Tensor&>::Get(const Args& args, size_t i, bool running, Tensor** out) {
  if (!args[i].is_tensor()) return WrongKind(args, i, Tag::kTensor);
  *out = &args[i].as_tensor();
  return CheckTensor(args, i, false, running);
}

Error Unbox<Tensor&>::Get(const Args& args, size_t i, bool running, Tensor** out) {
  if (!args[i].is_tensor()) return WrongKind(args, i, Tag::kTensor);
  *out = &args[i].as_tensor();
  return CheckTensor(args, i, true, running);
}

Error Unbox<const Tensor*>::Get(const Args& args, size_t i, bool running, Tensor** out) {
  *out = nullptr;
  return args[i].is_none() ? kOk : Unbox<const Tensor&>::Get(args, i, running, out);
}

Error Unbox<int64_t>::Get(const Args& args, size_t i, bool, int64_t* out) {
  if (args[i].tag() != Tag::kInt) return WrongKind(args, i, Tag::kInt);
  *out = args[i].as_int();
  return kOk;
}

Error Unbox<double>::Get(const Args& args, size_t i, bool, double* out) {
  if (args[i].tag() == Tag::kInt) {
    *out = static_cast<double>(args[i].as_int());
    return kOk;
  }
  if (args[i].tag() != Tag::kDouble) return WrongKind(args, i, Tag::kDouble);
  *out = args[i].as_double();
  return kOk;
}

Error Unbox<bool>::Get(const Args& args, size_t i, bool, bool* out) {
  if (args[i].tag() != Tag::kBool) return WrongKind(args, i, Tag::kBool);
  *out = args[i].as_bool();
  return kOk;
}

Error Unbox<Scalar>::Get(const Args& args, size_t i, bool, Scalar* out) {
  const Tag tag = args[i].tag();
  if (tag != Tag::kInt && tag != Tag::kDouble && tag != Tag::kBool) {
    return WrongKind(args, i, Tag::kDouble);
  }
  *out = Scalar(args[i]);
  return kOk;
}

Error Unbox<std::string_view>::Get(const Args& args, size_t i, bool, std::string_view* out) {
  if (args[i].tag() != Tag::kString) return WrongKind(args, i, Tag::kString);
  *out = args[i].as_string();
  return kOk;
}

Error Unbox<Span<const int64_t>>::Get(const Args& args, size_t i, bool, Span<const int64_t>* out) {
  return ResolveInts(args, i, out);
}

Error Unbox<Span<Tensor* const>>::Get(const Args& args, size_t i, bool running,
                                      Span<Tensor* const>* out) {
  return ResolveTensors(args, i, false, false, running, out);
}

Error Unbox<OutTensors>::Get(const Args& args, size_t i, bool running, OutTensors* out) {
  return ResolveTensors(args, i, false, true, running, &out->tensors);
}

Error Unbox<OptionalTensors>::Get(const Args& args, size_t i, bool running, OptionalTensors* out) {
  return ResolveTensors(args, i, true, false, running, &out->tensors);
}

namespace {
template <class T>
Error GetOptional(const Args& args, size_t i, bool running, std::optional<T>* out) {
  out->reset();
  if (args[i].is_none()) return kOk;
  T value{};
  RL_RETURN_IF_ERROR(Unbox<T>::Get(args, i, running, &value));
  *out = value;
  return kOk;
}
}  // namespace

Error Unbox<std::optional<int64_t>>::Get(const Args& args, size_t i, bool running, Stored* out) {
  return GetOptional<int64_t>(args, i, running, out);
}
Error Unbox<std::optional<double>>::Get(const Args& args, size_t i, bool running, Stored* out) {
  return GetOptional<double>(args, i, running, out);
}
Error Unbox<std::optional<bool>>::Get(const Args& args, size_t i, bool running, Stored* out) {
  return GetOptional<bool>(args, i, running, out);
}
Error Unbox<std::optional<Scalar>>::Get(const Args& args, size_t i, bool running, Stored* out) {
  return GetOptional<Scalar>(args, i, running, out);
}
Error Unbox<std::optional<std::string_view>>::Get(const Args& args, size_t i, bool running,
                                                  Stored* out) {
  return GetOptional<std::string_view>(args, i, running, out);
}
Error Unbox<std::optional<Span<const int64_t>>>::Get(const Args& args, size_t i, bool running,
                                                     Stored* out) {
  return GetOptional<Span<const int64_t>>(args, i, running, out);
}
Error Unbox<std::optional<Span<const double>>>::Get(const Args& args, size_t i, bool, Stored* out) {
  out->reset();
  if (args[i].is_none()) return kOk;
  if (args[i].tag() != Tag::kDoubleList) return WrongKind(args, i, Tag::kDoubleList);
  *out = args[i].as_double_list();
  return kOk;
}

}  // namespace internal
}  // namespace rushlight
