// Copyright (c) The Rushlight authors.
// SPDX-License-Identifier: BSD-3-Clause

#include "src/compiler/embed.h"

#include <cctype>
#include <cstddef>
#include <map>
#include <sstream>

namespace rushlight::compiler {
namespace {

constexpr std::string_view kSelectionName = "selection";
constexpr char kNotice[] = "// Written by `rushlight embed`.\n\n";

// Memory for an arena, aligned as arenas are.
class ArenaMemory {
 public:
  explicit ArenaMemory(size_t bytes)
      : words_(bytes / sizeof(std::max_align_t) + 1), arena_(words_.data(), bytes) {}
  Arena& arena() { return arena_; }

 private:
  std::vector<std::max_align_t> words_;
  Arena arena_;
};

bool IsIn(Span<const Loop> loops, const Loop* loop) {
  return loop >= loops.begin() && loop < loops.end();
}

void WriteMethod(const Method& method, std::ostream& out) {
  const MethodMeta& meta = method.meta();
  const std::string name = ToIdentifier(meta.name());
  out << "\nnamespace " << name << " {\n"
      << "inline constexpr size_t kArenaBytes = sizeof(void*) == 4 ? " << meta.arena_bytes_32()
      << " : " << meta.arena_bytes_64() << ";\n"
      << "inline constexpr size_t kScratchBytes = " << method.scratch_bytes() << ";\n"
      << "inline constexpr std::array<size_t, " << meta.num_planned() << "> kPlannedBytes = {";
  for (size_t id = 1; id <= meta.num_planned(); ++id) {
    out << (id == 1 ? "" : ", ") << meta.planned_bytes(id);
  }
  out << "};\n}  // namespace " << name << "\n";
}

std::string Header(const std::string& name, size_t file_bytes, const std::string& methods) {
  std::ostringstream out;
  out << kNotice
      << "// The program, to be loaded in place, and the bytes that each method needs: the arena\n"
         "// of Method::Load, scratch, planned memory with the ids 1, 2, ...\n"
         "#pragma once\n\n"
         "#include <array>\n#include <cstddef>\n#include <cstdint>\n\n"
         "namespace "
      << name << " {\n\ninline constexpr size_t kFileBytes = " << file_bytes
      << ";\nalignas(16) extern const uint8_t kFile[kFileBytes];\n"
      << methods << "\n}  // namespace " << name << "\n";
  return out.str();
}

std::string Source(const std::string& name, Span<const uint8_t> file) {
  std::ostringstream out;
  out << kNotice << "#include \"" << name << ".h\"\n\nnamespace " << name
      << " {\n\nalignas(16) const uint8_t kFile[kFileBytes] = {";
  for (size_t i = 0; i < file.size(); ++i) {
    out << (i % 24 == 0 ? "\n    " : "") << int{file[i]} << ',';
  }
  out << "\n};\n\n}  // namespace " << name << "\n";
  return out.str();
}

}  // namespace

std::string ToIdentifier(std::string_view text) {
  std::string name(text);
  for (char& c : name) {
    if (!std::isalnum(static_cast<unsigned char>(c))) c = '_';
  }
  if (name.empty() || !std::isalpha(static_cast<unsigned char>(name[0]))) name.insert(0, 1, 'm');
  return name;
}

void Embedder::Select(const Method& method) {
  for (size_t i = 0; i < method.meta().num_instructions(); ++i) {
    const Op* op = method.instruction_op(i);
    if (op == nullptr) continue;
    selected_.insert({op->name, ops::SelectedKind::kOperator, 0, 0, 0});
    for (const Loop* loop : method.instruction_prepared(i)->loops) {
      if (loop == nullptr) continue;
      const auto kind = IsIn(op->casts, loop) ? ops::SelectedKind::kCast : ops::SelectedKind::kLoop;
      selected_.insert(
          {op->name, kind, static_cast<int>(loop->in), static_cast<int>(loop->out), loop->variant});
    }
  }
}

std::string Embedder::Selection() const {
  std::ostringstream out;
  out << kNotice
      << "#pragma once\n\n"
         "#include \"rushlight/selection.h\"\n\n"
         "namespace rushlight::ops {\n\n"
         "inline constexpr Selected kSelection[] = {\n";
  for (const auto& [op, kind, in, to, variant] : selected_) {
    out << "    {\"" << op << "\"";
    if (kind == ops::SelectedKind::kOperator) {
      out << "},\n";
      continue;
    }
    out << ", SelectedKind::" << (kind == ops::SelectedKind::kCast ? "kCast" : "kLoop")
        << ", DType{" << in << "}, DType{" << to << "}, " << variant << "},  // "
        << DTypeName(static_cast<DType>(in)) << " to " << DTypeName(static_cast<DType>(to)) << "\n";
  }
  if (selected_.empty()) out << "    {\"\"},\n";  // an array cannot be empty
  out << "};\n\n}  // namespace rushlight::ops\n";
  return out.str();
}

Error Embedder::Add(const std::string& name, Span<const uint8_t> file) {
  RL_CHECK(name != kSelectionName, Reason::kNameTaken);
  for (const SourceFile& written : files_) {
    RL_CHECK(written.name != name + ".h", Reason::kNameTaken);
  }
  RL_ASSIGN_OR_RETURN(const Program program, Program::LoadInPlace(file));
  std::ostringstream methods;
  std::map<std::string, size_t> namespaces;
  for (size_t i = 0; i < program.num_methods(); ++i) {
    const auto [first, is_new] = namespaces.emplace(ToIdentifier(program.method_name(i)), i);
    RL_CHECK(is_new, Reason::kDuplicateMethod, static_cast<uint32_t>(i),
             static_cast<int64_t>(first->second));
    ArenaMemory memory(MethodMeta(program, i).arena_bytes());
    MethodOptions options;
    options.ops = tables_;
    RL_ASSIGN_OR_RETURN(const Method method,
                        Method::Load(program, program.method_name(i), options, memory.arena()));
    WriteMethod(method, methods);
    Select(method);
  }
  files_.push_back({name + ".h", Header(name, file.size(), methods.str())});
  files_.push_back({name + ".cc", Source(name, file)});
  return kOk;
}

std::vector<SourceFile> Embedder::Finish() const {
  std::vector<SourceFile> files = files_;
  files.push_back({std::string(kSelectionName) + ".h", Selection()});
  return files;
}

}  // namespace rushlight::compiler
