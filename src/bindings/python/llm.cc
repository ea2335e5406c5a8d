// Copyright (c) The Rushlight authors.
// SPDX-License-Identifier: BSD-3-Clause

// Engines and sessions: text generation from Python.

#include <nanobind/ndarray.h>
#include <nanobind/stl/function.h>
#include <nanobind/stl/optional.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/vector.h>

#include "rushlight/llm/engine.h"
#include "src/bindings/python/native.h"

namespace nb = nanobind;

namespace rushlight::python {
namespace {

using llm::Engine;
using llm::Session;

constexpr const char* kStopReasons[] = {"end_of_text", "stop_string", "max_tokens", "context_full",
                                        "cancelled"};

nb::dict Info(const Engine& engine) {
  nb::dict d;
  d["max_context_len"] = engine.info().max_context_len;
  d["max_seq_len"] = engine.info().max_seq_len;
  d["vocab_size"] = engine.info().vocab_size;
  d["eos_ids"] = engine.info().eos_ids;
  d["bos_id"] = engine.info().bos_id;
  d["can_rewind"] = engine.info().can_rewind;
  return d;
}

// The logits that follow the last token, float32 [vocab_size], copied.
nb::object Feed(Session& session, const std::vector<int32_t>& tokens) {
  const Result<Span<const float>> logits = [&] {
    nb::gil_scoped_release release;
    return session.Feed(tokens);
  }();
  if (!logits.ok()) Raise(logits.error(), &session.engine().program());
  auto* copy = new std::vector<float>(logits->begin(), logits->end());
  nb::capsule owner(copy, [](void* p) noexcept { delete static_cast<std::vector<float>*>(p); });
  return nb::cast(nb::ndarray<nb::numpy, float>(copy->data(), {copy->size()}, owner));
}

nb::dict RunGenerate(Session& session, const std::vector<int32_t>& prompt, size_t max_new_tokens,
                     bool ignore_eos, const std::vector<std::string>& stop,
                     std::optional<std::function<bool(int32_t, nb::bytes)>> on_token) {
  llm::GenerateOptions options;
  options.max_new_tokens = max_new_tokens;
  options.ignore_eos = ignore_eos;
  options.stop = stop;
  if (on_token) {
    options.on_token = [&](int32_t id, std::string_view text) {
      nb::gil_scoped_acquire acquire;
      return (*on_token)(id, nb::bytes(text.data(), text.size()));
    };
  }
  const Result<llm::GenerateResult> result = [&] {
    nb::gil_scoped_release release;
    return llm::Generate(session, prompt, options);
  }();
  if (!result.ok()) Raise(result.error(), &session.engine().program());
  nb::dict d;
  d["ids"] = result->ids;
  d["text"] = nb::bytes(result->text.data(), result->text.size());
  d["stopped"] = kStopReasons[static_cast<size_t>(result->stopped)];
  d["prefill_nanoseconds"] = result->prefill_nanoseconds;
  d["decode_nanoseconds"] = result->decode_nanoseconds;
  return d;
}

}  // namespace

void BindLlm(nb::module_& m) {
  nb::class_<Engine>(m, "Engine", "A program that generates text.")
      .def_static(
          "load",
          [](const std::string& path) {
            Result<Engine> engine = Engine::Load(path);
            if (!engine.ok()) Raise(engine.error());
            return new Engine(*std::move(engine));
          },
          nb::arg("path"), nb::rv_policy::take_ownership)
      .def_prop_ro("info", &Info)
      .def(
          "session",
          [](const Engine& engine) {
            Result<Session> session = engine.NewSession();
            if (!session.ok()) Raise(session.error(), &engine.program());
            return new Session(*std::move(session));
          },
          nb::rv_policy::take_ownership, nb::keep_alive<0, 1>());
  nb::class_<Session>(m, "Session", "One conversation with an engine.")
      .def_prop_ro("position", &Session::position)
      .def_prop_ro("remaining", &Session::remaining)
      .def("feed", &Feed, nb::arg("tokens"))
      .def("rewind",
           [](Session& session, size_t position) {
             const Error error = session.Rewind(position);
             if (!error.ok()) Raise(error);
           })
      .def("generate", &RunGenerate, nb::arg("prompt"), nb::arg("max_new_tokens"),
           nb::arg("ignore_eos") = false, nb::arg("stop") = std::vector<std::string>(),
           nb::arg("on_token").none() = nb::none());
}

}  // namespace rushlight::python
