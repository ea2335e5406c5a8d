// Copyright (c) The Rushlight authors.
// SPDX-License-Identifier: BSD-3-Clause

#include "src/tokenizers/fields.h"

#include <iterator>
#include <utility>

#include "rushlight/tokenizer.h"

namespace rushlight {
namespace tokenizers {
namespace {

constexpr std::string_view kNames[] = {"",
#define RL_KEY(name, key) key,
                                       RL_TOKENIZER_FIELDS(RL_KEY)
#undef RL_KEY
};

}  // namespace

std::string_view FieldName(Field field) { return kNames[static_cast<uint32_t>(field)]; }

Json Find(Json object, Field field) { return object.Find(FieldName(field)); }

Error Read(Json object, Field field, bool* value) {
  const Json json = Find(object, field);
  if (json.is_null()) return kOk;
  RL_CHECK(json.is_bool(), Reason::kTokenizerField, static_cast<uint32_t>(field));
  *value = json.AsBool();
  return kOk;
}

Error Read(Json object, Field field, std::string* value) {
  const Json json = Find(object, field);
  if (json.is_null()) return kOk;
  RL_CHECK(json.is_string(), Reason::kTokenizerField, static_cast<uint32_t>(field));
  *value = json.AsString();
  return kOk;
}

Error Read(Json object, Field field, int32_t* value) {
  const Json json = Find(object, field);
  if (json.is_null()) return kOk;
  RL_CHECK(IsId(json), Reason::kTokenizerField, static_cast<uint32_t>(field));
  *value = static_cast<int32_t>(json.AsUnsigned());
  return kOk;
}

std::string_view TypeOf(Json object) {
  const Json type = Find(object, Field::kType);
  return type.is_string() ? type.AsString() : std::string_view();
}

bool IsId(Json value) { return value.is_unsigned() && value.AsUnsigned() <= 0x7fffffffu; }

}  // namespace tokenizers

std::string_view TokenizerFieldName(uint32_t index) {
  return index < std::size(tokenizers::kNames) ? tokenizers::kNames[index] : "";
}

}  // namespace rushlight
