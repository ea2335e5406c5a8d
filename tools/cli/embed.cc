// Copyright (c) The Rushlight authors.
// SPDX-License-Identifier: BSD-3-Clause

// rushlight embed: C++ sources that hold programs, for images without a file system.

#include "src/compiler/embed.h"

#include <cerrno>
#include <cstdio>
#include <filesystem>
#include <string>
#include <vector>

#include "rushlight/ops.h"
#include "rushlight/platform.h"
#include "src/core/file_bytes.h"
#include "tools/cli/commands.h"

namespace rushlight::cli {
namespace {

struct EmbedOptions {
  std::vector<std::string> paths;
  std::string output = ".";
};

// 0, or errno.
int Write(const std::filesystem::path& path, const std::string& text) {
  std::FILE* file = std::fopen(path.string().c_str(), "wb");
  if (file == nullptr) return errno;
  const bool written = std::fwrite(text.data(), 1, text.size(), file) == text.size();
  const int error = written ? 0 : errno;
  return std::fclose(file) == 0 ? error : errno;
}

Error AddFile(const std::string& path, compiler::Embedder* embedder) {
  RL_ASSIGN_OR_RETURN(const FileBytes file,
                      FileBytes::Open(path.c_str(), platform::FileAccess::kMap));
  const std::string name = compiler::ToIdentifier(std::filesystem::path(path).stem().string());
  return embedder->Add(name, file.bytes());
}

int RunEmbed(const EmbedOptions& options) {
  compiler::Embedder embedder(ops::AllOps());
  for (const std::string& path : options.paths) {
    const Error added = AddFile(path, &embedder);
    if (added.reason == Reason::kNoDelegate) {
      std::fputs(
          "rushlight: an image holds operators, no delegates: compile with backend=\"portable\"\n",
          stderr);
    }
    if (!added.ok()) return Fail(path, added);
  }
  std::error_code error;
  std::filesystem::create_directories(options.output, error);  // Write reports a failure
  for (const compiler::SourceFile& source : embedder.Finish()) {
    const std::filesystem::path path = std::filesystem::path(options.output) / source.name;
    if (const int code = Write(path, source.text); code != 0) {
      return Fail(path.string(), Error(Reason::kWrite, Error::kNone, code));
    }
    std::printf("%s\n", path.string().c_str());
  }
  return 0;
}

}  // namespace

void AddEmbed(CLI::App& app, int* status) {
  auto options = std::make_shared<EmbedOptions>();
  CLI::App* command = app.add_subcommand("embed", "Writes C++ sources that hold programs");
  command->add_option("program", options->paths, "Program files (.pte)")->required();
  command->add_option("-o,--output", options->output, "The folder")->capture_default_str();
  command->callback([options, status] { *status = RunEmbed(*options); });
}

}  // namespace rushlight::cli
