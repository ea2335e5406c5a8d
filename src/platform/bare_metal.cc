// Copyright (c) The Rushlight authors.
// SPDX-License-Identifier: BSD-3-Clause

// No operating system: no files, no clock unless the board gives one, no heap.

#include "rushlight/platform.h"

namespace rushlight::platform {

// A board defines these two; without them there is no clock and no log.
extern "C" {
__attribute__((weak)) int64_t rushlight_board_nanos() { return 0; }
__attribute__((weak)) void rushlight_board_log(const char*) {}
}

int64_t MonotonicNanos() { return rushlight_board_nanos(); }
void Log(LogLevel, const char* message) { rushlight_board_log(message); }

int OpenFile(const char*, FileAccess, FileView*) { return 38; }  // ENOSYS
void CloseFile(FileView*) {}
void WillFill(void*, size_t) {}
void* AllocatePages(size_t) { return nullptr; }
void FreePages(void*, size_t) {}
void ZeroPages(void*, size_t) {}
uint64_t TotalMemory() { return 0; }
size_t TotalCpus() { return 1; }
size_t UsableCpus() { return 1; }
uint32_t CpuFeatures() { return 0; }
const char* Setting(const char*) { return nullptr; }

}  // namespace rushlight::platform
