// Copyright (c) The Rushlight authors.
// SPDX-License-Identifier: BSD-3-Clause

// printf-style formatting: "%5.2f of %s" % (x, name).

#include <cstdio>
#include <string>

#include "src/llm/template_interpreter.h"
#include "src/llm/template_text.h"

namespace rushlight::llm {
namespace {

constexpr int kMaxWidth = 200;

struct Conversion {
  std::string flags;
  int width = 0;
  int precision = -1;
  char type = '\0';
};

// Reads what follows a '%', up to the letter.
bool ReadConversion(const std::string& format, size_t* i, Conversion* conversion) {
  const auto number = [&] {
    int value = 0;
    while (*i < format.size() && format[*i] >= '0' && format[*i] <= '9' && value <= kMaxWidth) {
      value = value * 10 + (format[(*i)++] - '0');
    }
    return value;
  };
  while (*i < format.size() && std::string_view("-+ 0#").find(format[*i]) != std::string::npos) {
    if (conversion->flags.size() == 5) return false;
    conversion->flags.push_back(format[(*i)++]);
  }
  conversion->width = number();
  if (*i < format.size() && format[*i] == '.') {
    ++*i;
    conversion->precision = number();
  }
  if (*i == format.size()) return false;
  conversion->type = format[(*i)++];
  return conversion->width <= kMaxWidth && conversion->precision <= kMaxWidth;
}

template <class Number>
std::string Printed(const Conversion& conversion, const char* type, Number number) {
  std::string format("%");
  format.append(conversion.flags);
  if (conversion.width > 0) format.append(std::to_string(conversion.width));
  if (conversion.precision >= 0) {
    format.append(".").append(std::to_string(conversion.precision));
  }
  format.append(type);
  char text[1024];  // a double may have 309 digits in front of the point
  const int size = std::snprintf(text, sizeof(text), format.c_str(), number);
  return std::string(text, static_cast<size_t>(size));
}

std::string Padded(const Conversion& conversion, std::string text) {
  if (conversion.precision >= 0) {
    text.resize(OffsetOf(text, static_cast<size_t>(conversion.precision)));
  }
  const size_t length = Length(text);
  const auto width = static_cast<size_t>(conversion.width);
  if (length >= width) return text;
  const bool left = conversion.flags.find('-') != std::string::npos;
  text.insert(left ? text.size() : 0, width - length, ' ');
  return text;
}

}  // namespace

Result<Value> Interpreter::Format(const std::string& format, const Value& values) {
  const List arguments = values.is(Kind::kTuple) ? values.list() : List{values};
  size_t next = 0;
  std::string out;
  for (size_t i = 0; i < format.size();) {
    if (format[i] != '%') {
      out.push_back(format[i++]);
      continue;
    }
    ++i;
    Conversion conversion;
    RL_CHECK(ReadConversion(format, &i, &conversion), Reason::kTemplateType, line_);
    if (conversion.type == '%') {
      out.push_back('%');
      continue;
    }
    RL_CHECK(next < arguments.size(), Reason::kTemplateType, line_);
    const Value& value = arguments[next++];
    RL_RETURN_IF_ERROR(Spend(8));
    switch (conversion.type) {
      case 's': {
        RL_ASSIGN_OR_RETURN(std::string text, Text(value));
        out.append(Padded(conversion, std::move(text)));
        break;
      }
      case 'd':
      case 'i':
      case 'u':
        RL_RETURN_IF_ERROR(CheckDefined(value));
        RL_CHECK(value.is_number() && std::abs(value.number()) < 9e18, Reason::kTemplateType,
                 line_);
        out.append(Printed(conversion, "lld",
                           value.is_integer() ? static_cast<long long>(value.integer())
                                              : static_cast<long long>(value.number())));
        break;
      case 'x':
      case 'X':
      case 'o':
        RL_RETURN_IF_ERROR(CheckDefined(value));
        RL_CHECK(value.is_integer() && value.integer() >= 0, Reason::kTemplateType, line_);
        out.append(Printed(conversion,
                           conversion.type == 'x'   ? "llx"
                           : conversion.type == 'X' ? "llX"
                                                    : "llo",
                           static_cast<unsigned long long>(value.integer())));
        break;
      case 'f':
      case 'F':
      case 'e':
      case 'E':
      case 'g':
      case 'G': {
        RL_RETURN_IF_ERROR(CheckDefined(value));
        RL_CHECK(value.is_number(), Reason::kTemplateType, line_);
        const char type[] = {conversion.type, '\0'};
        out.append(Printed(conversion, type, value.number()));
        break;
      }
      default:
        return Fail(Reason::kTemplateType);
    }
    RL_CHECK(out.size() <= kMaxOutputBytes, Reason::kTemplateLimit, line_);
  }
  // A dict may stay unread: its items can be taken by name.
  RL_CHECK(next == arguments.size() || values.is(Kind::kDict), Reason::kTemplateType, line_);
  return NewString(std::move(out));
}

}  // namespace rushlight::llm
