// Copyright (c) The Rushlight authors.
// SPDX-License-Identifier: BSD-3-Clause

// Byte pair encoding.  A piece starts as one token for each character; then, as long as two
// neighbours can be merged, the pair of the lowest rank is, the leftmost of several.
//
// Tokens are a linked list in an array; a heap holds the possible merges.  A merge removes one
// token and adds at most two possible merges, so n characters take n log n time.  Entries of the
// heap whose tokens have changed since are recognized when they come up.

#include <algorithm>
#include <array>
#include <optional>
#include <string>
#include <utility>

#include "src/tokenizers/byte_level.h"  // kLastByteChar
#include "src/tokenizers/model.h"
#include "src/tokenizers/utf8.h"

namespace rushlight::tokenizers {
namespace {

constexpr size_t kMaxAffixBytes = 256;

uint64_t PairKey(int32_t left, int32_t right) {
  return static_cast<uint64_t>(left) << 32 | static_cast<uint32_t>(right);
}

// A view of tables.
class MergeTable {
 public:
  // Requires: what `tables` points to outlives this object.
  explicit MergeTable(const Tables& tables) : merges_(tables.merges), index_(tables.merge_index) {}
  // The rank of the merge, or kNone.
  uint32_t Find(int32_t left, int32_t right) const {
    return index_.Find(PairKey(left, right), KeyOf{merges_});
  }
  int32_t MergedAt(uint32_t rank) const { return merges_[rank].merged; }

 private:
  struct KeyOf {
    const Column<Merge>& merges;
    uint64_t operator()(uint32_t i) const {
      const Merge merge = merges[i];
      return PairKey(merge.left, merge.right);
    }
  };

  Column<Merge> merges_;
  FrozenIndex index_;
};

struct Settings {
  std::string unk_token, prefix, suffix;
  bool has_unk = false, fuse_unk = false, byte_fallback = false, ignore_merges = false;
};

// The tokens of a piece while they are merged.
class Word {
 public:
  void Add(int32_t id) {
    const auto i = static_cast<int32_t>(symbols_.size());
    symbols_.push_back({id, i - 1, i + 1});
  }
  void MergeAll(const MergeTable& merges);
  void AppendTo(std::vector<int32_t>* ids) const {
    if (symbols_.empty()) return;
    for (int32_t i = 0; i != kEnd; i = symbols_[i].next) ids->push_back(symbols_[i].id);
  }

 private:
  static constexpr int32_t kEnd = -1;
  struct Symbol {
    int32_t id;  // -1: merged into its left neighbour
    int32_t previous, next;
  };
  struct Candidate {
    uint32_t rank;
    int32_t position;  // of the left symbol
    // Of two candidates, the heap has the better one on top.
    bool operator<(const Candidate& other) const {
      return rank != other.rank ? rank > other.rank : position > other.position;
    }
  };
  void Consider(const MergeTable& merges, int32_t left) {
    if (left == kEnd || symbols_[left].next == kEnd) return;
    const uint32_t rank = merges.Find(symbols_[left].id, symbols_[symbols_[left].next].id);
    if (rank == FrozenIndex::kNone) return;
    candidates_.push_back({rank, left});
    std::push_heap(candidates_.begin(), candidates_.end());
  }

  std::vector<Symbol> symbols_;
  std::vector<Candidate> candidates_;
};

void Word::MergeAll(const MergeTable& merges) {
  if (symbols_.size() < 2) {
    if (!symbols_.empty()) symbols_[0].next = kEnd;
    return;
  }
  symbols_.back().next = kEnd;
  for (int32_t i = 0; symbols_[i].next != kEnd; i = symbols_[i].next) {
    const uint32_t rank = merges.Find(symbols_[i].id, symbols_[symbols_[i].next].id);
    if (rank != FrozenIndex::kNone) candidates_.push_back({rank, i});
  }
  std::make_heap(candidates_.begin(), candidates_.end());
  while (!candidates_.empty()) {
    const Candidate top = candidates_.front();
    std::pop_heap(candidates_.begin(), candidates_.end());
    candidates_.pop_back();
    Symbol& left = symbols_[top.position];
    if (left.id < 0 || left.next == kEnd) continue;
    Symbol& right = symbols_[left.next];
    // Merges of other tokens may have taken the place of this one, even with the same result.
    const uint32_t rank = merges.Find(left.id, right.id);
    if (rank == FrozenIndex::kNone || merges.MergedAt(rank) != merges.MergedAt(top.rank)) continue;
    left.id = merges.MergedAt(rank);
    left.next = right.next;
    if (right.next != kEnd) symbols_[right.next].previous = top.position;
    right.id = -1;
    Consider(merges, left.previous);
    Consider(merges, top.position);
  }
}

class Bpe : public Model {
 public:
  Bpe(const Vocabulary& vocab, const MergeTable& merges, Settings settings)
      : Model(vocab), merges_(merges), settings_(std::move(settings)) {
    for (uint32_t c = 0; c <= kLastByteChar; ++c) {
      std::string content;
      AppendUtf8(c, &content);
      common_[c] = vocabulary().Find(content).value_or(-1);
    }
    for (int b = 0; b < 256 && settings_.byte_fallback; ++b) {
      constexpr char kDigits[] = "0123456789ABCDEF";
      const char token[] = {'<', '0', 'x', kDigits[b >> 4], kDigits[b & 15], '>'};
      bytes_[b] = vocabulary().Find({token, sizeof(token)}).value_or(-1);
    }
    if (settings_.has_unk) unk_ = vocabulary().Find(settings_.unk_token);
  }

  Error Tokenize(std::string_view piece, std::vector<int32_t>* ids) const override {
    if (settings_.ignore_merges) {
      if (const auto id = vocabulary().Find(piece)) {
        ids->push_back(*id);
        return kOk;
      }
    }
    Word word;
    RL_RETURN_IF_ERROR(AddCharacters(piece, &word));
    word.MergeAll(merges_);
    const size_t first = ids->size();
    word.AppendTo(ids);
    for (size_t i = first; i < ids->size(); ++i) {
      const int32_t id = (*ids)[i];  // of a merge, perhaps
      RL_CHECK(vocabulary().InRange(id), Reason::kTokenizerTables, Tables::kMerges, id);
    }
    return kOk;
  }

 private:
  Error AddCharacters(std::string_view piece, Word* word) const {
    bool pending_unk = false;
    const auto add_pending = [&] {
      if (pending_unk) word->Add(*unk_);
      pending_unk = false;
    };
    std::string affixed;
    for (size_t pos = 0; pos < piece.size();) {
      const size_t start = pos;
      const uint32_t c = NextCodePoint(piece, &pos);
      std::string_view content = piece.substr(start, pos - start);
      const bool is_affixed = (start > 0 && !settings_.prefix.empty()) ||
                              (pos == piece.size() && !settings_.suffix.empty());
      if (is_affixed) {
        affixed.assign(start > 0 ? settings_.prefix : "").append(content);
        if (pos == piece.size()) affixed.append(settings_.suffix);
        content = affixed;
      }
      int32_t id = -1;
      if (!is_affixed && c <= kLastByteChar) {
        id = common_[c];
      } else {
        id = vocabulary().Find(content).value_or(-1);
      }
      if (id >= 0) {
        add_pending();
        word->Add(id);
        continue;
      }
      if (settings_.byte_fallback && AddBytes(content, word)) continue;
      if (!settings_.has_unk) continue;  // characters without a token are left out
      RL_CHECK(unk_.has_value(), Reason::kTokenizerField, static_cast<uint32_t>(Field::kUnkToken));
      if (!settings_.fuse_unk) add_pending();
      pending_unk = true;
    }
    add_pending();
    return kOk;
  }

  bool AddBytes(std::string_view content, Word* word) const {
    const auto id_of = [&](char b) { return bytes_[static_cast<uint8_t>(b)]; };
    for (const char b : content) {
      if (id_of(b) < 0) return false;
    }
    for (const char b : content) word->Add(id_of(b));
    return true;
  }

  const MergeTable merges_;
  const Settings settings_;
  std::optional<int32_t> unk_;
  std::array<int32_t, kLastByteChar + 1> common_{};  // ids of the first characters; -1: none
  std::array<int32_t, 256> bytes_{};                 // ids of "<0x00>" ...; -1: none
};

// Either spelling: "a b" or ["a", "b"].
bool SplitMerge(Json json, std::string_view* left, std::string_view* right) {
  if (json.is_string()) {
    const std::string_view text = json.AsString();
    const size_t space = text.find(' ');
    if (space == std::string_view::npos) return false;
    *left = text.substr(0, space);
    *right = text.substr(space + 1);
    return right->find(' ') == std::string_view::npos;
  }
  if (!json.is_array()) return false;
  int count = 0;
  for (const Json part : json) {
    if (!part.is_string() || ++count > 2) return false;
    *(count == 1 ? left : right) = part.AsString();
  }
  return count == 2;
}

}  // namespace

// The token that two others make loses the prefix of the second.
Error CompileMerges(Json model, TablesBuilder* builder) {
  std::string prefix;
  RL_RETURN_IF_ERROR(Read(model, Field::kContinuingSubwordPrefix, &prefix));
  const Json list = Find(model, Field::kMerges);
  RL_CHECK(list.is_array(), Reason::kTokenizerField, static_cast<uint32_t>(Field::kMerges));
  const std::string file = builder->Build();  // with the vocabulary
  RL_ASSIGN_OR_RETURN(const Tables tables, Tables::Open(Bytes(file)));
  RL_ASSIGN_OR_RETURN(const Vocabulary vocabulary, Vocabulary::Open(tables));
  std::vector<Merge> merges;
  std::string merged;
  for (const Json json : list) {
    const auto position = static_cast<uint32_t>(merges.size());
    std::string_view left, right;
    RL_CHECK(SplitMerge(json, &left, &right) && right.size() >= prefix.size(),
             Reason::kTokenizerMerge, position);
    merged.assign(left).append(right.substr(prefix.size()));
    const auto left_id = vocabulary.Find(left), right_id = vocabulary.Find(right);
    const auto merged_id = vocabulary.Find(merged);
    RL_CHECK(left_id && right_id && merged_id, Reason::kTokenizerMerge, position);
    merges.push_back({*left_id, *right_id, *merged_id});
  }
  FrozenIndex::Tables index;
  const auto key_of = [&](uint32_t i) { return PairKey(merges[i].left, merges[i].right); };
  FrozenIndex::Build(static_cast<uint32_t>(merges.size()), key_of, &index);  // the last one counts
  builder->Add(Tables::kMerges, merges);
  builder->Add(Tables::kMergeOrder, index.order);
  builder->Add(Tables::kMergeBuckets, index.starts);
  return kOk;
}

Result<std::unique_ptr<Model>> MakeBpe(Json json, const Tables& tables) {
  Settings settings;
  RL_RETURN_IF_ERROR(Read(json, Field::kUnkToken, &settings.unk_token));
  settings.has_unk = !Find(json, Field::kUnkToken).is_null();
  RL_RETURN_IF_ERROR(Read(json, Field::kContinuingSubwordPrefix, &settings.prefix));
  RL_RETURN_IF_ERROR(Read(json, Field::kEndOfWordSuffix, &settings.suffix));
  RL_CHECK(settings.prefix.size() <= kMaxAffixBytes, Reason::kTokenizerField,
           static_cast<uint32_t>(Field::kContinuingSubwordPrefix));
  RL_CHECK(settings.suffix.size() <= kMaxAffixBytes, Reason::kTokenizerField,
           static_cast<uint32_t>(Field::kEndOfWordSuffix));
  RL_RETURN_IF_ERROR(Read(json, Field::kFuseUnk, &settings.fuse_unk));
  RL_RETURN_IF_ERROR(Read(json, Field::kByteFallback, &settings.byte_fallback));
  RL_RETURN_IF_ERROR(Read(json, Field::kIgnoreMerges, &settings.ignore_merges));
  RL_ASSIGN_OR_RETURN(const Vocabulary vocabulary, Vocabulary::Open(tables));
  return std::unique_ptr<Model>(new Bpe(vocabulary, MergeTable(tables), std::move(settings)));
}

}  // namespace rushlight::tokenizers
