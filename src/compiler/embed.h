// Copyright (c) The Rushlight authors.
// SPDX-License-Identifier: BSD-3-Clause

// Embed: C++ sources that hold programs, for images without a file system.
//
//   <name>.h, <name>.cc  the program file as an array; the bytes of the arenas of its methods
//   selection.h          the operators and loops that the programs use (rushlight/selection.h)
#pragma once

#include <set>
#include <string>
#include <string_view>
#include <tuple>
#include <vector>

#include "rushlight/method.h"
#include "rushlight/selection.h"

namespace rushlight::compiler {

struct SourceFile {
  std::string name;
  std::string text;
};

// `text` as an identifier: other characters than letters and digits are replaced, and it begins
// with a letter.
std::string ToIdentifier(std::string_view text);

class Embedder {
 public:
  // `tables`: where operators are looked up; borrowed.
  explicit Embedder(Span<const Span<const Op>> tables) : tables_(tables) {}

  // Loads every method of a program, for one thread; what fails there is an error here, and so is
  // a name that there is already (kNameTaken, kDuplicateMethod).  `name`: a C++ identifier, the
  // namespace of what is written.  `file`: 16-byte aligned.
  Error Add(const std::string& name, Span<const uint8_t> file);

  // The sources of all programs.
  std::vector<SourceFile> Finish() const;

 private:
  // Operator, kind, dtypes and variant of a loop.
  using SelectedRow = std::tuple<std::string, ops::SelectedKind, int, int, int>;

  void Select(const Method& method);
  std::string Selection() const;

  Span<const Span<const Op>> tables_;
  std::vector<SourceFile> files_;
  std::set<SelectedRow> selected_;
};

}  // namespace rushlight::compiler
