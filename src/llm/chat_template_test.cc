// Copyright (c) The Rushlight authors.
// SPDX-License-Identifier: BSD-3-Clause

// The interface, and hostile templates.  Equality with transformers is tested in
// chat_template_test.py.

#include "rushlight/chat_template.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <random>
#include <sstream>
#include <string>
#include <vector>

#include "src/tokenizers/failing_allocations.h"

namespace rushlight {
namespace {

std::string Repeat(const std::string& unit, size_t count) {
  std::string text;
  for (size_t i = 0; i < count; ++i) text.append(unit);
  return text;
}

Result<std::string> Render(const std::string& source, const ChatTemplate::Inputs& inputs = {}) {
  const Result<ChatTemplate> chat = ChatTemplate::Parse(source);
  if (!chat.ok()) return chat.error();
  return chat->Render(inputs);
}

Reason Failure(const std::string& source) { return Render(source).error().reason; }

TEST(ChatTemplate, Interface) {
  const auto chat = ChatTemplate::Parse(
      "{{ bos_token }}{% for m in messages %}[{{ m.role }}] {{ m.content }}{{ eos_token }}\n"
      "{% endfor %}{% if add_generation_prompt %}[{{ name }}]{{ tools[0].a }}{% endif %}");
  ASSERT_TRUE(chat.ok());
  const auto prompt = chat->Render({.messages = R"([{"role": "user", "content": "Hi"}])",
                                    .add_generation_prompt = true,
                                    .bos_token = "<s>",
                                    .eos_token = "</s>",
                                    .tools = R"([{"a": 1.5}])",
                                    .variables = R"({"name": "bot"})"});
  ASSERT_TRUE(prompt.ok());
  EXPECT_EQ(*prompt, "<s>[user] Hi</s>\n[bot]1.5");
  EXPECT_EQ(*chat->Render({}), "");
}

TEST(ChatTemplate, SaysWhyItRefuses) {
  const auto chat = ChatTemplate::Parse("\n{{ raise_exception('Roles must ' ~ 'alternate') }}");
  std::string message;
  const auto prompt = chat->Render({}, &message);
  EXPECT_EQ(prompt.error().reason, Reason::kTemplateRaised);
  EXPECT_EQ(prompt.error().index, 2u);
  EXPECT_EQ(message, "Roles must alternate");
}

TEST(ChatTemplate, InputsAreChecked) {
  const auto chat = ChatTemplate::Parse("{{ messages }}{{ bos_token }}");
  ASSERT_TRUE(chat.ok());
  const auto failure = [&](const ChatTemplate::Inputs& inputs) {
    return chat->Render(inputs).error().reason;
  };
  EXPECT_EQ(failure({.messages = "[1"}), Reason::kOptionInvalid);
  EXPECT_EQ(failure({.messages = "\"\xFF\""}), Reason::kOptionInvalid);
  EXPECT_EQ(failure({.bos_token = "\xC3"}), Reason::kOptionInvalid);
  EXPECT_EQ(failure({.tools = ""}), Reason::kOptionInvalid);
  EXPECT_EQ(failure({.variables = "[]"}), Reason::kOptionInvalid);
  const std::string deep = Repeat("[", 100'000);
  EXPECT_EQ(failure({.messages = deep}), Reason::kOptionInvalid);
}

TEST(ChatTemplate, Syntax) {
  for (const std::string source : {"{{",
                                   "{%",
                                   "{#",
                                   "{{ }}",
                                   "{{ 1 + }}",
                                   "{{ (1 }}",
                                   "{{ [1 }}",
                                   "{{ 'a }}",
                                   "{{ a b }}",
                                   "{{ a..b }}",
                                   "{{ a[ }}",
                                   "{{ a[] }}",
                                   "{{ a| }}",
                                   "{{ a is }}",
                                   "{{ {1} }}",
                                   "{{ {1:} }}",
                                   "{{ f(a=1, 2) }}",
                                   "{{ f(**a, b) }}",
                                   "{{ f(a=1, a=2) }}",
                                   "{{ 1 }",
                                   "{{ ) }}",
                                   "{{ ? }}",
                                   "{{ '\\ud800' }}",
                                   "{{ '\\N{DASH}' }}",
                                   "{% x %}",
                                   "{% if %}",
                                   "{% if 1 %}",
                                   "{% endif %}",
                                   "{% else %}",
                                   "{% for %}{% endfor %}",
                                   "{% for x %}{% endfor %}",
                                   "{% for x in %}{% endfor %}",
                                   "{% for 1 in x %}{% endfor %}",
                                   "{% for loop in x %}{% endfor %}",
                                   "{% set 1 = 2 %}",
                                   "{% set x.y.z = 2 %}",
                                   "{% set true = 2 %}",
                                   "{% macro %}",
                                   "{% macro m %}",
                                   "{% macro m(a=1, b) %}",
                                   "{% break %}",
                                   "{% continue %}",
                                   "{% for x in y %}{% macro m() %}{% break %}{% endmacro %}",
                                   "{% call x %}{% endcall %}",
                                   "{% include 'x' %}",
                                   "{% extends 'x' %}",
                                   "{% block b %}",
                                   "{% raw %}",
                                   "{% with a %}{% endwith %}",
                                   "\xFF",
                                   "{{ a is b is c }}"}) {
    const auto chat = ChatTemplate::Parse(source);
    EXPECT_EQ(chat.error().reason, Reason::kTemplateSyntax) << source;
    EXPECT_EQ(chat.error().index, 1u) << source;
  }
}

TEST(ChatTemplate, DepthIsLimited) {
  for (const std::string unit :
       {"(", "[", "{1:", "-", "not ", "a.b", "a + ", "a ~ -", "a|e", "a[", "a(", "a if a else ",
        "a and ", "a or ", "a is in ", "f(x=", "f(*", "'a' * "}) {
    for (const size_t count : {1000, 20'000}) {
      const std::string body = Repeat(unit, count);
      for (const std::string& source : {"{{ " + body + " }}", "{{ " + body + "a }}"}) {
        const auto chat = ChatTemplate::Parse(source);
        if (!chat.ok()) continue;
        chat->Render({}).ok();
      }
    }
  }
  EXPECT_EQ(Failure("{{ " + Repeat("(", 1000) + "1" + Repeat(")", 1000) + " }}"),
            Reason::kTemplateLimit);
  EXPECT_EQ(Failure("{{ " + Repeat("1 + ", 1000) + "1 }}"), Reason::kTemplateLimit);
  EXPECT_EQ(Failure("{{ x" + Repeat(".y", 1000) + " }}"), Reason::kTemplateLimit);
  EXPECT_EQ(Failure("{{ x" + Repeat("|e", 1000) + " }}"), Reason::kTemplateLimit);
  EXPECT_EQ(Failure(Repeat("{% if 1 %}", 10'000) + Repeat("{% endif %}", 10'000)),
            Reason::kTemplateLimit);
  EXPECT_EQ(Failure(Repeat("{% for x in y %}", 1000)), Reason::kTemplateLimit);
  // Long is not deep.
  EXPECT_TRUE(Render("{% if 0 %}" + Repeat("{% elif 0 %}", 5000) + "{% endif %}").ok());
  EXPECT_TRUE(Render("{{ 1" + Repeat(" ~ 1", 5000) + " }}").ok());
  EXPECT_TRUE(Render("{{ [" + Repeat("1,", 5000) + "] | length }}").ok());
}

TEST(ChatTemplate, RecursionEnds) {
  for (const char* source :
       {"{% macro m() %}{{ m() }}{% endmacro %}{{ m() }}",
        "{% macro a() %}{{ b() }}{% endmacro %}{% macro b() %}{{ a() }}{% endmacro %}{{ a() }}",
        "{% macro m() %}{% call m() %}{{ caller() }}{% endcall %}{% endmacro %}{{ m() }}",
        "{% macro m(x=m()) %}{% endmacro %}{{ m() }}",
        "{% macro m() %}{% if true %}{% for i in [1] %}{% set x %}{{ [[[[m()]]]] }}{% endset %}"
        "{% endfor %}{% endif %}{% endmacro %}{{ m() }}"}) {
    EXPECT_EQ(Failure(source), Reason::kTemplateLimit) << source;
  }
  EXPECT_TRUE(
      Render("{% macro m(n) %}{% if n %}{{ m(n - 1) }}{% endif %}{% endmacro %}{{ m(20) }}").ok());
}

TEST(ChatTemplate, WorkIsLimited) {
  for (const char* source :
       {"{{ range(10 ** 9) }}",
        "{{ range(10 ** 9) | list }}",
        "{{ range(-1, 10 ** 18, 1) }}",
        "{{ range(-9223372036854775807, 9223372036854775807) }}",
        "{% for a in range(99999) %}{% for b in range(99999) %}{% endfor %}{% endfor %}",
        "{% for a in range(99999) %}{% for b in range(99999) if b < 0 %}{% endfor %}{% endfor %}",
        "{% set ns = namespace(s='x') %}{% for i in range(99) %}{% set ns.s = ns.s ~ ns.s %}{% "
        "endfor %}",
        "{% set ns = namespace(s=[1]) %}{% for i in range(99) %}{% set ns.s = ns.s + ns.s %}{% "
        "endfor %}",
        "{% set ns = namespace(s='x') %}{% for i in range(99) %}{% set ns.s = ns.s | replace('x', "
        "'xx') %}"
        "{% endfor %}",
        "{{ 'a' * 10 ** 12 }}",
        "{{ [1] * 10 ** 12 }}",
        "{{ ('x' * 10 ** 6) | replace('x', 'y' * 10 ** 6) }}",
        "{{ ('x' * 10 ** 6).replace('', 'y' * 10 ** 6) }}",
        "{{ (['x' * 10 ** 6] * 100) | join }}",
        "{{ (['x' * 10 ** 6] * 100) | join('y' * 10 ** 6) }}",
        "{{ [1] | batch(10 ** 12, 0) | list }}",
        "{{ ('\\n' * 10 ** 6) | indent(1000, blank=true) }}",
        "{{ 'x' | indent(10 ** 9) }}",
        "{{ (['x' * 10 ** 6] * 100) | tojson }}",
        "{{ ['x' * 10 ** 6] * 100 }}",
        "{{ ('{0}' * 100000).format('x' * 10 ** 6) }}",
        "{{ ('%s' * 3) % ('x' * 10 ** 7, 1, 2) }}",
        "{% for i in range(99999) %}{{ 'x' * 1000 }}{% endfor %}",
        "{% set s = 'a' * 10 ** 6 %}{% for i in range(99999) %}{% if s | length %}{% endif %}{% "
        "endfor %}",
        "{% set s = 'a' * 10 ** 6 %}{% for i in range(99999) %}{% if 'b' in s %}{% endif %}{% "
        "endfor %}",
        "{% set s = 'a' * 10 ** 6 %}{% for i in range(99999) %}{% if s[-1] %}{% endif %}{% endfor "
        "%}",
        "{% set s = 'a' * 10 ** 6 %}{% for i in range(99999) %}{% if s == s ~ '' %}{% endif %}{% "
        "endfor %}",
        "{{ ('a' * 500000 ~ 'b') in 'a' * 8 * 10 ** 6 }}",
        "{{ ('a' * 8 * 10 ** 6).count('a' * 4 * 10 ** 6 ~ 'b') }}",
        "{{ ('a' * 8 * 10 ** 6).split('a' * 4 * 10 ** 6 ~ 'b') | length }}",
        "{% set l = range(99999) | list %}{% for i in l %}{% if -1 in l %}{% endif %}{% endfor %}",
        "{% for i in range(99999) %}{% macro m() %}{% endmacro %}{% set x = range(99999) | list "
        "%}{% endfor %}",
        "{% for i in range(99999) %}{{ range(99999) | map('string') | sort | first }}{% endfor %}",
        "{{ 10 ** 19 }}",
        "{{ 9223372036854775807 + 1 }}",
        "{{ -9223372036854775807 - 2 }}",
        "{{ 9223372036854775808 }}",
        "{{ 2 ** 63 }}",
        "{{ 3037000500 * 3037000500 }}",
        "{{ 1e300 | int }}",
        "{{ '99999999999999999999' | int }}",
        "{{ 1.5 | round(999) }}"}) {
    EXPECT_EQ(Failure(source), Reason::kTemplateLimit) << source;
  }
}

TEST(ChatTemplate, Circles) {
  const std::string ns = "{% set ns = namespace() %}{% set ns.ns = ns %}{% set ns.l = [ns] %}";
  EXPECT_EQ(Failure(ns + "{{ ns }}"), Reason::kTemplateLimit);
  EXPECT_EQ(Failure(ns + "{{ ns.l | string }}"), Reason::kTemplateLimit);
  EXPECT_EQ(*Render(ns + "{{ ns.ns.ns == ns }}"), "True");
  const std::string nested =
      "{% set ns = namespace(a=[], b=[]) %}{% for i in range(9999) %}{% set ns.a = [ns.a] %}"
      "{% set ns.b = [ns.b] %}{% endfor %}";
  EXPECT_TRUE(Render(nested).ok());
  EXPECT_EQ(Failure(nested + "{{ ns.a }}"), Reason::kTemplateLimit);
  EXPECT_EQ(Failure(nested + "{{ ns.a | tojson }}"), Reason::kTemplateLimit);
  EXPECT_FALSE(Render(nested + "{{ ns.a < ns.b }}").ok());
  EXPECT_TRUE(Render(nested + "{{ ns.a == ns.b }}").ok());
}

TEST(ChatTemplate, BuiltinsWithAnyArguments) {
  const std::vector<std::string> values = {"none",
                                           "undefined",
                                           "true",
                                           "0",
                                           "-1",
                                           "9223372036854775807",
                                           "1.5",
                                           "-1e308",
                                           "''",
                                           "'a b'",
                                           "'é中'",
                                           "[]",
                                           "[3, 'x', none]",
                                           "(1, 2)",
                                           "{}",
                                           "{'a': [1]}",
                                           "range(3)",
                                           "[1, 2] | map('abs')",
                                           "namespace(a=1)",
                                           "dict",
                                           "{'a': 1}.items()"};
  const std::vector<std::string> names = {
      "abs",     "attr",  "batch",  "capitalize", "count", "default", "dictsort",   "e",
      "first",   "float", "format", "indent",     "int",   "items",   "join",       "last",
      "list",    "lower", "map",    "max",        "min",   "reject",  "rejectattr", "replace",
      "reverse", "round", "select", "selectattr", "sort",  "string",  "sum",        "title",
      "tojson",  "trim",  "unique", "upper"};
  const std::vector<std::string> tests = {
      "callable", "defined", "divisibleby", "eq",  "even",   "false",    "in",    "iterable",
      "lower",    "lt",      "mapping",     "odd", "sameas", "sequence", "string"};
  const std::vector<std::string> methods = {
      "strip", "split",  "rsplit",     "startswith", "replace",      "join",  "find",
      "count", "format", "splitlines", "partition",  "removeprefix", "title", "index",
      "get",   "items",  "keys",       "copy",       "isdigit"};
  int rendered = 0;
  const auto check = [&](const std::string& expression) {
    const auto text = Render("{{ " + expression + " }}");
    rendered += text.ok();
    EXPECT_TRUE(text.ok() || text.error().code() == ErrorCode::kTemplateInvalid) << expression;
  };
  std::mt19937 random(20261123);
  const auto any = [&](const std::vector<std::string>& list) {
    return list[random() % list.size()];
  };
  for (int round = 0; round < 40'000; ++round) {
    std::string arguments;
    for (size_t n = random() % 3; n > 0; --n) arguments += any(values) + (n > 1 ? ", " : "");
    const std::string subject = "(" + any(values) + ")";
    check(subject + " | " + any(names) + "(" + arguments + ")");
    check(subject + " is " + any(tests) + "(" + arguments + ")");
    check(subject + "." + any(methods) + "(" + arguments + ")");
    check(subject + "[" + any(values) + ":" + any(values) + ":" + any(values) + "]");
    check(subject + "[" + any(values) + "]");
    for (const char* op : {"+", "-", "*", "/", "//", "%", "**", "~", "<", "==", "in"}) {
      if (random() % 8 == 0) check(subject + " " + op + " (" + any(values) + ")");
    }
  }
  EXPECT_GT(rendered, 10'000);
}

std::vector<std::string> Families() {
  std::vector<std::string> sources;
  for (const auto& entry : std::filesystem::directory_iterator(
           std::filesystem::path(__FILE__).parent_path() / "testdata")) {
    std::ifstream file(entry.path(), std::ios::binary);
    std::stringstream text;
    text << file.rdbuf();
    sources.push_back(text.str());
  }
  return sources;
}

constexpr char kMessages[] =
    R"([{"role": "system", "content": "s"}, {"role": "user", "content": "\u00e9 <think>"},
        {"role": "assistant", "content": null, "tool_calls": [{"function": {"name": "f", "arguments": {"a": 1}}}]},
        {"role": "tool", "content": "1"}, {"role": "assistant", "content": "x</think>y"}])";

TEST(ChatTemplate, TruncatedAndMutated) {
  std::mt19937 random(20261123);
  int rendered = 0;
  const std::string pieces[] = {"{{",   "}}",    "{%",   "%}", "-",    "(",    ")",     "[",
                                "]",    "|",     ".",    "~",  "'",    " if ", " for ", " in ",
                                " is ", " not ", "loop", "1",  "none", "\n",   "\\",    "é"};
  for (const std::string& source : Families()) {
    for (int round = 0; round < 300; ++round) {
      std::string mutant = source;
      if (round % 4 == 0) mutant.resize(random() % (mutant.size() + 1));
      for (size_t n = random() % 4; n > 0 && !mutant.empty(); --n) {
        const size_t pos = random() % mutant.size();
        if (random() % 2 == 0) mutant.erase(pos, random() % 8);
        mutant.insert(pos, random() % 3 == 0
                               ? mutant.substr(random() % mutant.size(), random() % 40)
                               : pieces[random() % std::size(pieces)]);
        if (mutant.empty()) break;
      }
      const auto text =
          Render(mutant, {.messages = kMessages, .bos_token = "<s>", .eos_token = "</s>"});
      rendered += text.ok();
      EXPECT_TRUE(text.ok() || text.error().code() == ErrorCode::kTemplateInvalid);
    }
  }
  EXPECT_GT(rendered, 100);
}

TEST(ChatTemplate, HeapRefuses) {
  const std::string source =
      "{% macro m(a, b=2) %}{{ a | upper }}{{ caller(b) }}{% endmacro %}"
      "{% set ns = namespace(l=[]) %}{% for x in messages if x.role %}{% set ns.l = ns.l + "
      "[x.role] %}"
      "{{ loop.length }}{% call(n) m(x.content) %}{{ n }}{% endcall %}{% endfor %}"
      "{{ ns.l | map('upper') | sort | join(',') }}{{ messages | tojson(indent=2) }}{{ messages }}";
  ExpectHeapErrors([&]() -> Error {
    const auto text = Render(source, {.messages = kMessages});
    return text.ok() ? kOk : text.error();
  });
}

}  // namespace
}  // namespace rushlight
