// Copyright (c) The Rushlight authors.
// SPDX-License-Identifier: BSD-3-Clause

// rushlight: the command line.  Compiling needs Python; those subcommands are handed to it.

#include <unistd.h>

#include <cstdio>
#include <cstring>
#include <iterator>
#include <vector>

#include "rushlight/describe.h"
#include "tools/cli/commands.h"

namespace rushlight::cli {

int Fail(const std::string& what, const Error& error, const Program* program) {
  std::fprintf(stderr, "rushlight: %s: %s\n", what.c_str(), Describe(error, program).c_str());
  return 1;
}

namespace {

constexpr const char* kInPython[] = {"export", "verify"};

// Replaces this process by Python's command line.
int RunPython(int argc, char** argv) {
  std::vector<char*> arguments = {const_cast<char*>("python3"), const_cast<char*>("-m"),
                                  const_cast<char*>("rushlight")};
  for (int i = 1; i < argc; ++i) arguments.push_back(argv[i]);
  arguments.push_back(nullptr);
  execvp(arguments[0], arguments.data());
  std::fprintf(stderr, "rushlight: %s needs Python with the rushlight package\n", argv[1]);
  return 1;
}

// Says that there is no such command, and which there are.
int NoCommand(const CLI::App& app, const char* name) {
  std::fprintf(stderr, "rushlight: no command %s; there are", name);
  for (const CLI::App* command : app.get_subcommands(nullptr)) {
    std::fprintf(stderr, " %s,", command->get_name().c_str());
  }
  for (const char* command : kInPython) {
    std::fprintf(stderr, " %s%s", command,
                 command == kInPython[std::size(kInPython) - 1] ? "\n" : ",");
  }
  return 2;
}

}  // namespace
}  // namespace rushlight::cli

int main(int argc, char** argv) {
  for (const char* name : rushlight::cli::kInPython) {
    if (argc > 1 && std::strcmp(argv[1], name) == 0) return rushlight::cli::RunPython(argc, argv);
  }
  CLI::App app{"Compiles PyTorch models ahead of time and runs them anywhere"};
  app.require_subcommand(1);
  int status = 0;
  rushlight::cli::AddBench(app, &status);
  rushlight::cli::AddChat(app, &status);
  rushlight::cli::AddEmbed(app, &status);
  rushlight::cli::AddInspect(app, &status);
  rushlight::cli::AddRun(app, &status);
  app.footer("export and verify are Python's: rushlight export --help");
  const auto named = [&](const CLI::App* command) { return command->get_name() == argv[1]; };
  if (argc > 1 && argv[1][0] != '-' && app.get_subcommands(named).empty()) {
    return rushlight::cli::NoCommand(app, argv[1]);
  }
  CLI11_PARSE(app, argc, argv);
  return status;
}
