// Copyright (c) The Rushlight authors.
// SPDX-License-Identifier: BSD-3-Clause

// rushlight/tokenizer.h for Python.  A text is str, or bytes that need not be UTF-8.

#include <nanobind/stl/optional.h>
#include <nanobind/stl/pair.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/string_view.h>
#include <nanobind/stl/unique_ptr.h>
#include <nanobind/stl/vector.h>

#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "rushlight/tokenizer.h"
#include "src/bindings/python/native.h"
#include "src/tokenizers/regex.h"

namespace nb = nanobind;

namespace rushlight::python {
namespace {

std::unique_ptr<Tokenizer> Load(const nb::bytes& file) {
  return ValueOf(LoadTokenizer({static_cast<const uint8_t*>(file.data()), file.size()}));
}

std::unique_ptr<Tokenizer> Open(const nb::bytes& compiled) {
  return ValueOf(OpenTokenizer({static_cast<const uint8_t*>(compiled.data()), compiled.size()}));
}

nb::bytes Compile(const nb::bytes& file) {
  const std::string compiled =
      ValueOf(CompileTokenizer({static_cast<const uint8_t*>(file.data()), file.size()}));
  return nb::bytes(compiled.data(), compiled.size());
}

std::vector<int32_t> Encode(const Tokenizer& tokenizer, std::string_view text,
                            bool add_special_tokens, bool parse_special_tokens) {
  return ValueOf(tokenizer.Encode(text, {add_special_tokens, parse_special_tokens}));
}

std::vector<int32_t> EncodeBytes(const Tokenizer& tokenizer, const nb::bytes& text,
                                 bool add_special_tokens, bool parse_special_tokens) {
  return Encode(tokenizer, {text.c_str(), text.size()}, add_special_tokens, parse_special_tokens);
}

std::string Decode(const Tokenizer& tokenizer, const std::vector<int32_t>& ids, bool skip_special) {
  return ValueOf(tokenizer.Decode(ids, skip_special));
}

nb::bytes TokenBytes(const Tokenizer& tokenizer, int32_t id, bool at_start) {
  const std::string bytes = ValueOf(tokenizer.TokenBytes(id, at_start));
  return nb::bytes(bytes.data(), bytes.size());
}

// For tests: where a pattern of a tokenizer file matches, in bytes.
std::vector<std::pair<size_t, size_t>> FindAll(std::string_view pattern, std::string_view text) {
  const tokenizers::Regex regex = ValueOf(tokenizers::Regex::Parse(pattern));
  tokenizers::Budget budget(text.size());
  std::vector<tokenizers::Regex::Match> matches;
  const Error error = regex.FindAll(text, &budget, &matches);
  if (!error.ok()) Raise(error);
  std::vector<std::pair<size_t, size_t>> pairs;
  for (const auto& m : matches) pairs.emplace_back(m.begin, m.end);
  return pairs;
}

}  // namespace

void BindTokenizers(nb::module_& m) {
  nb::class_<Tokenizer>(m, "Tokenizer", "Text to ids and back, from the bytes of a tokenizer.json.")
      .def(nb::new_(&Load), nb::arg("file"))
      .def_static("open", &Open, nb::arg("compiled"), nb::keep_alive<0, 1>(),
                  "From what compile_tokenizer() made.")
      .def("encode", &Encode, nb::arg("text"), nb::arg("add_special_tokens") = true,
           nb::arg("parse_special_tokens") = true)
      .def("encode", &EncodeBytes, nb::arg("text"), nb::arg("add_special_tokens") = true,
           nb::arg("parse_special_tokens") = true)
      .def("decode", &Decode, nb::arg("ids"), nb::arg("skip_special") = true)
      .def("token_bytes", &TokenBytes, nb::arg("id"), nb::arg("at_start") = false)
      .def("find_token", &Tokenizer::FindToken, nb::arg("content"))
      .def("is_special", &Tokenizer::IsSpecial, nb::arg("id"))
      .def_prop_ro("vocab_size", &Tokenizer::vocab_size)
      .def_prop_ro("bos_id", &Tokenizer::bos_id)
      .def_prop_ro("eos_id", &Tokenizer::eos_id);
  nb::class_<StreamDecoder>(m, "StreamDecoder", "Text of a growing sequence, in whole characters.")
      .def(nb::init<const Tokenizer&, bool>(), nb::arg("tokenizer"), nb::arg("skip_special") = true,
           nb::keep_alive<1, 2>())
      .def(
          "add", [](StreamDecoder& d, int32_t id) { return ValueOf(d.Add(id)); }, nb::arg("id"))
      .def("finish", [](StreamDecoder& d) { return ValueOf(d.Finish()); });
  m.def("compile_tokenizer", &Compile, nb::arg("file"),
        "The bytes of a tokenizer.json in the form that program files carry.");
  m.def("regex_find_all", &FindAll, nb::arg("pattern"), nb::arg("text"));
}

}  // namespace rushlight::python
