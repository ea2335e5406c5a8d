// Copyright (c) The Rushlight authors.
// SPDX-License-Identifier: BSD-3-Clause

// The byte-level alphabet of GPT-2, in which every byte is a printable character ("Ġ" is a space),
// and the pattern by which GPT-2 cuts a text.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace rushlight::tokenizers {

// The last character of the alphabet.
inline constexpr uint32_t kLastByteChar = 0x143;

// Appends `bytes`, written in the alphabet.
void AppendByteChars(std::string_view bytes, std::string* out);

// Appends the bytes that `token` stands for; a token with a character outside of the alphabet
// stands for itself.  Requires: valid UTF-8.
void AppendBytesOfChars(std::string_view token, std::string* out);

// The end of the match that starts at `pos` of
//   's|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+
// which matches everywhere.  Linear in what it matches.  Requires: valid UTF-8, pos < text.size().
size_t NextGpt2Word(std::string_view text, size_t pos);

}  // namespace rushlight::tokenizers
