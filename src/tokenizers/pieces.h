// Copyright (c) The Rushlight authors.
// SPDX-License-Identifier: BSD-3-Clause

// Pieces: a list of strings in one buffer; what pre-tokenizers hand on.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

namespace rushlight::tokenizers {

class Pieces {
 public:
  size_t size() const { return ends_.size(); }
  std::string_view operator[](size_t i) const {
    const size_t begin = i == 0 ? 0 : ends_[i - 1];
    return std::string_view(bytes_).substr(begin, ends_[i] - begin);
  }
  size_t bytes() const { return bytes_.size(); }

  void Clear() {
    bytes_.clear();
    ends_.clear();
  }
  // Empty pieces are left out.
  void Add(std::string_view piece) {
    bytes_.append(piece);
    EndPiece();
  }
  // For a piece that is made in parts: append to buffer(), then EndPiece().
  std::string* buffer() { return &bytes_; }
  void EndPiece() {
    if (bytes_.size() > (ends_.empty() ? 0 : ends_.back())) ends_.push_back(bytes_.size());
  }

 private:
  std::string bytes_;
  std::vector<size_t> ends_;
};

}  // namespace rushlight::tokenizers
