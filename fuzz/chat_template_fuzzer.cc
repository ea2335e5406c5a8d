// Copyright (c) The Rushlight authors.
// SPDX-License-Identifier: BSD-3-Clause

// Chat templates, each with variables in JSON; rendered for a short conversation.

#include "fuzz/target.h"
#include "rushlight/chat_template.h"

namespace rushlight {

std::vector<std::string> fuzz::Seeds() {
  const std::string variables = R"({"enable_thinking": true, "x": [1, 2.5, "s", null, {"a": []}]})";
  std::vector<std::string> seeds;
  for (const char* source : {
           "{{ bos_token }}{% for m in messages %}[{{ m.role }}] {{ m.content | trim }}{{ "
           "eos_token }}\n"
           "{% endfor %}{% if add_generation_prompt %}<|assistant|>{% endif %}",
           "{%- if messages[0]['role'] == 'system' %}{% set rest = messages[1:] %}{% else %}"
           "{% set rest = messages %}{% endif %}{% set ns = namespace(n=0, last='') %}"
           "{% for m in rest if m.content is string %}{% set ns.n = ns.n + loop.index0 % 2 %}"
           "{{ loop.first ~ loop.last ~ loop.previtem }}{% else %}none{% endfor %}{{ ns.n // 2 ** "
           "3 }}",
           "{% macro show(v, deep=false) -%}{{ v | tojson(indent=2) if deep else v | upper }}"
           "{%- endmacro %}{{ show(tools, deep=true) }}{{ show('a') }}{{ x | map('string') | "
           "join(', ') }}",
           "{{ raise_exception('Roles must alternate') if messages | length < 1 }}"
           "{{ strftime_now('%d %b %Y') }}{{ '%s' | format(1) }}{{ 'abc'.split('b')[-1] }}"
           "{% raw %}{{ }}{% endraw %}{# comment #}{{ x[4].items() | list | first }}",
           "{% for k, v in x[4] | dictsort recursive %}{{ k }}{% endfor %}{% generation %}"
           "{{ messages | selectattr('role', 'equalto', 'user') | list | length }}{% endgeneration "
           "%}"
           "{% filter upper %}{% call show() %}{% endcall %}{% endfilter %}{{ range(3) | sum }}",
       }) {
    seeds.push_back(Join(source, variables));
  }
  return seeds;
}

}  // namespace rushlight

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace rushlight;
  const auto [source, variables] = fuzz::Split(data, size);
  const auto chat = ChatTemplate::Parse(source);
  if (!chat.ok()) return 0;
  for (const std::string_view given : {variables, std::string_view("{}")}) {
    std::string message;
    const auto prompt =
        chat->Render({.messages = R"([{"role": "system", "content": "Be brief."},
                                      {"role": "user", "content": "Hi \u00e9"},
                                      {"role": "assistant", "content": null, "tool_calls": []}])",
                      .add_generation_prompt = true,
                      .bos_token = "<s>",
                      .eos_token = "</s>",
                      .tools = R"([{"type": "function", "function": {"name": "f"}}])",
                      .variables = given,
                      .now = 1'700'000'000},
                     &message);
    fuzz::Touch(message);
    if (prompt.ok()) fuzz::Touch(*prompt);
  }
  return 0;
}
