// Copyright (c) The Rushlight authors.
// SPDX-License-Identifier: BSD-3-Clause

#include "src/module/saved_state.h"

#include <cstring>

namespace rushlight {
namespace {

constexpr char kMagic[] = "RLSTATE1";
constexpr size_t kMagicBytes = sizeof kMagic - 1;
constexpr size_t kHeaderBytes = kMagicBytes + 3 * sizeof(uint64_t);

// A walk over bytes that somebody gave us.
class Reader {
 public:
  explicit Reader(Span<const uint8_t> bytes) : bytes_(bytes) {}

  bool Take(uint64_t size, Span<const uint8_t>* out) {
    if (size > bytes_.size() - at_) return false;
    *out = bytes_.subspan(at_, static_cast<size_t>(size));
    at_ += static_cast<size_t>(size);
    return true;
  }
  bool Number(uint64_t* out) {
    Span<const uint8_t> raw;
    if (!Take(sizeof *out, &raw)) return false;
    *out = 0;
    for (size_t i = sizeof *out; i-- > 0;) *out = *out << 8 | raw[i];
    return true;
  }
  bool Sized(Span<const uint8_t>* out) {
    uint64_t size = 0;
    return Number(&size) && Take(size, out);
  }
  bool done() const { return at_ == bytes_.size(); }
  Error Wrong() const {
    return Error(Reason::kSavedState, Error::kNone, static_cast<int64_t>(at_),
                 static_cast<int64_t>(bytes_.size()));
  }

 private:
  Span<const uint8_t> bytes_;
  size_t at_ = 0;
};

void PutNumber(uint64_t number, std::vector<uint8_t>* out) {
  for (size_t i = 0; i < sizeof number; ++i) {
    out->push_back(static_cast<uint8_t>(number >> (8 * i)));
  }
}

void PutSized(Span<const uint8_t> bytes, std::vector<uint8_t>* out) {
  PutNumber(bytes.size(), out);
  out->insert(out->end(), bytes.begin(), bytes.end());
}

}  // namespace

std::vector<uint8_t> SaveState(uint64_t identity, uint64_t positions, const StateBuffers& buffers) {
  std::vector<uint8_t> out(kMagic, kMagic + kMagicBytes);
  PutNumber(identity, &out);
  PutNumber(positions, &out);
  PutNumber(buffers.size(), &out);
  for (const auto& [name, bytes] : buffers) {
    PutSized({reinterpret_cast<const uint8_t*>(name.data()), name.size()}, &out);
    PutSized(bytes, &out);
  }
  return out;
}

Result<uint64_t> SavedPositions(Span<const uint8_t> saved, uint64_t identity) {
  Reader reader(saved);
  Span<const uint8_t> magic;
  uint64_t found = 0, positions = 0;
  if (!reader.Take(kMagicBytes, &magic) || std::memcmp(magic.data(), kMagic, kMagicBytes) != 0 ||
      !reader.Number(&found) || !reader.Number(&positions)) {
    return reader.Wrong();
  }
  RL_CHECK(found == identity, Reason::kSavedStateProgram);
  return positions;
}

Error RestoreState(Span<const uint8_t> saved, const StateBuffers& buffers) {
  for (const bool write : {false, true}) {
    Reader reader(saved);
    Span<const uint8_t> part;
    uint64_t count = 0;
    if (!reader.Take(kHeaderBytes - sizeof count, &part) || !reader.Number(&count) ||
        count != buffers.size()) {
      return reader.Wrong();
    }
    for (const auto& [name, bytes] : buffers) {
      if (!reader.Sized(&part) || part.size() != name.size() ||
          std::memcmp(part.data(), name.data(), name.size()) != 0 || !reader.Sized(&part) ||
          part.size() != bytes.size()) {
        return reader.Wrong();
      }
      if (write && !bytes.empty()) std::memcpy(bytes.data(), part.data(), part.size());
    }
    if (!reader.done()) return reader.Wrong();
  }
  return kOk;
}

}  // namespace rushlight
