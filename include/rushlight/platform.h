// Copyright (c) The Rushlight authors.
// SPDX-License-Identifier: BSD-3-Clause

// The seam to the operating system: clock, log, files, CPUs.  One of src/platform/*.cc is linked.
//
// Nothing here depends on the rest of the library; failures are errno values.
#pragma once

#include <cstddef>
#include <cstdint>

namespace rushlight::platform {

// Nanoseconds of a clock that never goes back; 0 where there is no clock.
int64_t MonotonicNanos();

enum class LogLevel : uint8_t { kDebug, kInfo, kWarning, kError };
void Log(LogLevel level, const char* message);

enum class FileAccess : uint8_t {
  kMap,   // pages are read when touched, and shared between processes
  kRead,  // the whole file in memory of our own: for file systems that may change or go away
};

// A file's bytes, read-only, 64-byte aligned.
struct FileView {
  const uint8_t* data = nullptr;
  size_t size = 0;
  FileAccess access = FileAccess::kMap;
};

// 0, or errno.  A file that changes under a mapping changes under its reader too (and one that is
// cut raises SIGBUS): kRead is for those.
int OpenFile(const char* path, FileAccess access, FileView* view);
void CloseFile(FileView* view);

// Memory for planned arenas: zeroed, 64-byte aligned, pages appear when touched.  Null on failure.
void* AllocatePages(size_t size);
void FreePages(void* data, size_t size);
// Advice for memory from AllocatePages: most of it will be written, so large pages are welcome.
void WillFill(void* data, size_t size);
// Zeroes memory from AllocatePages, giving pages back where the system can.
void ZeroPages(void* data, size_t size);

// Bytes of memory that this process may hope for; 0 where unknown.
uint64_t TotalMemory();

// CPUs of the machine; at least 1.
size_t TotalCpus();
// CPUs that the calling thread may run on, as far as the quota of the process reaches; at least 1.
size_t UsableCpus();

// What this CPU can do: bits of rushlight/cpu_features.h.
uint32_t CpuFeatures();

// A setting from outside the program, such as an environment variable; null where there is none.
const char* Setting(const char* name);

}  // namespace rushlight::platform
