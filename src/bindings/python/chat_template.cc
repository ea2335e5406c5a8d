// Copyright (c) The Rushlight authors.
// SPDX-License-Identifier: BSD-3-Clause

// rushlight/chat_template.h for Python.  Messages, tools and variables are JSON texts.

#include "rushlight/chat_template.h"

#include <nanobind/stl/optional.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/string_view.h>
#include <nanobind/stl/unique_ptr.h>

#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "src/bindings/python/native.h"

namespace nb = nanobind;

namespace rushlight::python {
namespace {

std::unique_ptr<ChatTemplate> Parse(std::string_view source) {
  return std::make_unique<ChatTemplate>(ValueOf(ChatTemplate::Parse(source)));
}

std::string Render(const ChatTemplate& chat, std::string_view messages, bool add_generation_prompt,
                   std::optional<std::string_view> bos_token,
                   std::optional<std::string_view> eos_token, std::string_view tools,
                   std::string_view variables, std::optional<int64_t> now) {
  return ValueOf(chat.Render({.messages = messages,
                              .add_generation_prompt = add_generation_prompt,
                              .bos_token = bos_token,
                              .eos_token = eos_token,
                              .tools = tools,
                              .variables = variables,
                              .now = now}));
}

}  // namespace

void BindChatTemplate(nb::module_& m) {
  nb::class_<ChatTemplate>(m, "ChatTemplate", "The Jinja template of a model's conversations.")
      .def(nb::new_(&Parse), nb::arg("source"))
      .def("render", &Render, nb::arg("messages"), nb::kw_only(),
           nb::arg("add_generation_prompt") = false, nb::arg("bos_token") = nb::none(),
           nb::arg("eos_token") = nb::none(), nb::arg("tools") = "null",
           nb::arg("variables") = "{}", nb::arg("now") = nb::none());
}

}  // namespace rushlight::python
