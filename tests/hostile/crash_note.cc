// Copyright (c) The Rushlight authors.
// SPDX-License-Identifier: BSD-3-Clause

#include "tests/hostile/crash_note.h"

#include <signal.h>
#include <unistd.h>

#include <cstring>

#if defined(__SANITIZE_ADDRESS__)
#define RL_HAS_ASAN 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define RL_HAS_ASAN 1
#endif
#endif
#ifdef RL_HAS_ASAN
#include <sanitizer/common_interface_defs.h>
#endif

namespace rushlight::hostile {
namespace {

char g_note[512];

void Print(const char* what) {
  // Only what a signal handler may call.
  const char* parts[] = {"\nhostile: ", what, ": ", g_note, "\n"};
  for (const char* part : parts) {
    if (write(STDERR_FILENO, part, std::strlen(part)) < 0) return;
  }
}

void OnAlarm(int) {
  Print("hangs");
  _exit(3);
}

#ifdef RL_HAS_ASAN
void OnDeath() {
  if (g_note[0] != 0) Print("input");
}
#else
void OnCrash(int signal_number) {
  if (g_note[0] != 0) Print("crashes");
  signal(signal_number, SIG_DFL);
  raise(signal_number);
}
#endif

void Install() {
  static const bool installed = [] {
    signal(SIGALRM, OnAlarm);
#ifdef RL_HAS_ASAN
    __sanitizer_set_death_callback(OnDeath);
#else
    for (const int s : {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGABRT}) signal(s, OnCrash);
#endif
    return true;
  }();
  static_cast<void>(installed);
}

}  // namespace

void NoteInput(const std::string& description, unsigned seconds) {
  Install();
  std::strncpy(g_note, description.c_str(), sizeof g_note - 1);
  alarm(seconds);
}

void NoteDone() {
  alarm(0);
  g_note[0] = 0;
}

}  // namespace rushlight::hostile
