// Copyright (c) The Rushlight authors.
// SPDX-License-Identifier: BSD-3-Clause

// The subcommands of `rushlight`.  Each adds itself to the command line and returns the process's
// exit status from its callback.
#pragma once

#include <CLI/CLI.hpp>

namespace rushlight::cli {

void AddBench(CLI::App& app, int* status);
void AddChat(CLI::App& app, int* status);
void AddEmbed(CLI::App& app, int* status);
void AddInspect(CLI::App& app, int* status);
void AddRun(CLI::App& app, int* status);

inline constexpr const char* kThreadsHelp =
    "Threads that a call may use; 0: one for each CPU that it may run on";

// What an option takes that counts things: `least` or more.  (The library reads -1 as the largest.)
inline CLI::Range Numbers(size_t least) { return CLI::Range(least, size_t{1} << 31); }

// Prints an error's sentence; returns the exit status 1.
int Fail(const std::string& what, const Error& error, const Program* program = nullptr);

}  // namespace rushlight::cli
