// Copyright (c) The Rushlight authors.
// SPDX-License-Identifier: BSD-3-Clause

// Engines and sessions: text generation from Python.

#include <nanobind/ndarray.h>
#include <nanobind/stl/function.h>
#include <nanobind/stl/optional.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/vector.h>

#include <set>
#include <string>

#include "rushlight/llm/chat.h"
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

nb::object Copied(std::vector<float> values, std::initializer_list<size_t> shape) {
  auto* copy = new std::vector<float>(std::move(values));
  nb::capsule owner(copy, [](void* p) noexcept { delete static_cast<std::vector<float>*>(p); });
  return nb::cast(nb::ndarray<nb::numpy, float>(copy->data(), shape, owner));
}

// ValueError where sessions and tokens do not belong together.
void CheckTogether(const std::vector<Session*>& sessions,
                   const std::vector<std::vector<int32_t>>& tokens) {
  if (sessions.size() != tokens.size()) {
    throw nb::value_error(("feed_together: " + std::to_string(sessions.size()) + " sessions, but " +
                           std::to_string(tokens.size()) + " lists of tokens")
                              .c_str());
  }
  const std::set<const Session*> each(sessions.begin(), sessions.end());
  if (each.size() != sessions.size()) {
    throw nb::value_error("feed_together: a session twice; fork() makes another of it");
  }
}

// The logits that follow each session's last token, float32 [sessions, vocab_size], copied.
nb::object FeedTogether(const Engine& engine, const std::vector<Session*>& sessions,
                        const std::vector<std::vector<int32_t>>& tokens, size_t threads) {
  CheckTogether(sessions, tokens);
  ExecuteOptions options;
  options.threads = threads;
  std::vector<float> all;
  const Error error = [&]() -> Error {
    nb::gil_scoped_release release;
    std::vector<Span<const int32_t>> spans;
    for (const auto& ids : tokens) spans.emplace_back(ids.data(), ids.size());
    RL_RETURN_IF_ERROR(Session::FeedTogether({sessions.data(), sessions.size()},
                                             {spans.data(), spans.size()}, options));
    for (Session* session : sessions) {
      RL_ASSIGN_OR_RETURN(const Span<const float> logits, session->Logits());
      all.insert(all.end(), logits.begin(), logits.end());
    }
    return kOk;
  }();
  if (!error.ok()) Raise(error, &engine.program());
  return Copied(std::move(all), {sessions.size(), engine.info().vocab_size});
}

Session* Opened(Result<Session> session, const Engine& engine) {
  if (!session.ok()) Raise(session.error(), &engine.program());
  return new Session(*std::move(session));
}

// The logits that follow the last token, float32 [vocab_size], copied.
nb::object Feed(Session& session, const std::vector<int32_t>& tokens, size_t threads) {
  if (tokens.empty()) throw nb::value_error("feed: no tokens; logits follow one at least");
  ExecuteOptions options;
  options.threads = threads;
  const Result<Span<const float>> logits = [&] {
    nb::gil_scoped_release release;
    return session.Feed(tokens, options);
  }();
  if (!logits.ok()) Raise(logits.error(), &session.engine().program());
  return Copied({logits->begin(), logits->end()}, {logits->size()});
}

using OnToken = std::optional<std::function<bool(int32_t, nb::bytes)>>;

// Calls `generate` with these options; its result as a dict.
template <class Generate>
nb::dict Generated(const Generate& generate, size_t max_new_tokens, bool ignore_eos,
                   const std::vector<std::string>& stop, const OnToken& on_token, size_t threads,
                   const Program& program) {
  llm::GenerateOptions options;
  options.max_new_tokens = max_new_tokens;
  options.ignore_eos = ignore_eos;
  options.stop = stop;
  options.execute.threads = threads;
  if (on_token) {
    options.on_token = [&](int32_t id, std::string_view text) {
      nb::gil_scoped_acquire acquire;
      return (*on_token)(id, nb::bytes(text.data(), text.size()));
    };
  }
  const Result<llm::GenerateResult> result = [&] {
    nb::gil_scoped_release release;
    return generate(options);
  }();
  if (!result.ok()) Raise(result.error(), &program);
  nb::dict d;
  d["ids"] = result->ids;
  d["text"] = nb::bytes(result->text.data(), result->text.size());
  d["stopped"] = kStopReasons[static_cast<size_t>(result->stopped)];
  d["prompt_tokens"] = result->prompt_tokens;
  d["prefill_nanoseconds"] = result->prefill_nanoseconds;
  d["decode_nanoseconds"] = result->decode_nanoseconds;
  return d;
}

nb::list Messages(const llm::Chat& chat) {
  nb::list messages;
  for (const llm::ChatMessage& m : chat.messages()) {
    nb::dict d;
    d["role"] = m.role;
    d["content"] = nb::bytes(m.content.data(), m.content.size());
    messages.append(d);
  }
  return messages;
}

}  // namespace

void BindLlm(nb::module_& m) {
  nb::class_<Engine>(m, "Engine", "A program that generates text.")
      .def_static(
          "load",
          [](const std::string& path, size_t threads) {
            ModuleOptions options;
            options.threads = threads;
            Result<Engine> engine = Engine::Load(path, options);
            if (!engine.ok()) Raise(engine.error());
            return new Engine(*std::move(engine));
          },
          nb::arg("path"), nb::arg("threads") = 0, nb::rv_policy::take_ownership)
      .def_prop_ro("info", &Info)
      .def(
          "session", [](const Engine& engine) { return Opened(engine.NewSession(), engine); },
          nb::rv_policy::take_ownership, nb::keep_alive<0, 1>())
      .def(
          "restore",
          [](const Engine& engine, nb::bytes saved) {
            return Opened(engine.RestoreSession(
                              {reinterpret_cast<const uint8_t*>(saved.data()), saved.size()}),
                          engine);
          },
          nb::arg("saved"), nb::rv_policy::take_ownership, nb::keep_alive<0, 1>())
      .def("feed_together", &FeedTogether, nb::arg("sessions"), nb::arg("tokens"),
           nb::arg("threads") = 0);
  nb::class_<Session>(m, "Session", "One conversation with an engine.")
      .def_prop_ro("position", &Session::position)
      .def_prop_ro("remaining", &Session::remaining)
      .def("feed", &Feed, nb::arg("tokens"), nb::arg("threads") = 0)
      .def("rewind",
           [](Session& session, size_t position) { return ValueOf(session.Rewind(position)); })
      .def(
          "fork", [](const Session& session) { return Opened(session.Fork(), session.engine()); },
          nb::rv_policy::take_ownership, nb::keep_alive<0, 1>())
      .def("save",
           [](const Session& session) {
             const std::vector<uint8_t> saved = ValueOf(session.Save());
             return nb::bytes(saved.data(), saved.size());
           })
      .def(
          "generate",
          [](Session& session, const std::vector<int32_t>& prompt, size_t max_new_tokens,
             bool ignore_eos, const std::vector<std::string>& stop, const OnToken& on_token,
             size_t threads) {
            return Generated(
                [&](const auto& options) { return llm::Generate(session, prompt, options); },
                max_new_tokens, ignore_eos, stop, on_token, threads, session.engine().program());
          },
          nb::arg("prompt"), nb::arg("max_new_tokens"), nb::arg("ignore_eos") = false,
          nb::arg("stop") = std::vector<std::string>(), nb::arg("on_token").none() = nb::none(),
          nb::arg("threads") = 0);
  nb::class_<llm::Chat>(m, "Chat", "A conversation in texts.")
      .def(
          "__init__",
          [](llm::Chat* self, const Engine& engine, const std::string& system) {
            Result<llm::Chat> chat = llm::Chat::Start(engine, system);
            if (!chat.ok()) Raise(chat.error(), &engine.program());
            new (self) llm::Chat(*std::move(chat));
          },
          nb::arg("engine"), nb::arg("system") = "", nb::keep_alive<1, 2>())
      .def_prop_ro("messages", &Messages)
      .def_prop_ro("forgotten", &llm::Chat::forgotten)
      .def_prop_ro("refusal", &llm::Chat::refusal)
      .def("reset", &llm::Chat::Reset)
      .def(
          "send",
          [](llm::Chat& chat, const std::string& user, size_t max_new_tokens,
             const std::vector<std::string>& stop, const OnToken& on_token, size_t threads) {
            return Generated([&](const auto& options) { return chat.Send(user, options); },
                             max_new_tokens, /*ignore_eos=*/false, stop, on_token, threads,
                             chat.engine().program());
          },
          nb::arg("user"), nb::arg("max_new_tokens") = SIZE_MAX,
          nb::arg("stop") = std::vector<std::string>(), nb::arg("on_token").none() = nb::none(),
          nb::arg("threads") = 0);
}

}  // namespace rushlight::python
