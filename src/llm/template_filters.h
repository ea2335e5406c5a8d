// Copyright (c) The Rushlight authors.
// SPDX-License-Identifier: BSD-3-Clause

// What the files of builtins share.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "rushlight/error.h"
#include "src/llm/template_builtins.h"

namespace rushlight::llm {

// `text` with up to `count` occurrences of `from` replaced, all of them if it is negative; as
// str.replace().  Fails when the result is too long.
Result<std::string> ReplaceText(Interpreter& in, std::string_view text, std::string_view from,
                                std::string_view to, int64_t count);

// As str.splitlines(), for line feeds and carriage returns.
std::vector<std::string_view> SplitLines(std::string_view text);

namespace filters {

// template_sequence_filters.cc
Result<Value> Attr(Interpreter& in, const Value& subject, const Arguments& arguments);
Result<Value> Batch(Interpreter& in, const Value& subject, const Arguments& arguments);
Result<Value> Count(Interpreter& in, const Value& subject, const Arguments& arguments);
Result<Value> DictSort(Interpreter& in, const Value& subject, const Arguments& arguments);
Result<Value> First(Interpreter& in, const Value& subject, const Arguments& arguments);
Result<Value> Items(Interpreter& in, const Value& subject, const Arguments& arguments);
Result<Value> Join(Interpreter& in, const Value& subject, const Arguments& arguments);
Result<Value> Last(Interpreter& in, const Value& subject, const Arguments& arguments);
Result<Value> Map(Interpreter& in, const Value& subject, const Arguments& arguments);
Result<Value> Max(Interpreter& in, const Value& subject, const Arguments& arguments);
Result<Value> Min(Interpreter& in, const Value& subject, const Arguments& arguments);
Result<Value> Reject(Interpreter& in, const Value& subject, const Arguments& arguments);
Result<Value> RejectAttr(Interpreter& in, const Value& subject, const Arguments& arguments);
Result<Value> Reverse(Interpreter& in, const Value& subject, const Arguments& arguments);
Result<Value> Select(Interpreter& in, const Value& subject, const Arguments& arguments);
Result<Value> SelectAttr(Interpreter& in, const Value& subject, const Arguments& arguments);
Result<Value> Sort(Interpreter& in, const Value& subject, const Arguments& arguments);
Result<Value> Sum(Interpreter& in, const Value& subject, const Arguments& arguments);
Result<Value> ToList(Interpreter& in, const Value& subject, const Arguments& arguments);
Result<Value> Unique(Interpreter& in, const Value& subject, const Arguments& arguments);

}  // namespace filters
}  // namespace rushlight::llm
