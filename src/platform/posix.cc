// Copyright (c) The Rushlight authors.
// SPDX-License-Identifier: BSD-3-Clause

// POSIX systems.

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include <atomic>

#include "rushlight/platform.h"
#ifdef __linux__
#include <sched.h>

#include "src/platform/cgroup.h"
#endif

namespace rushlight::platform {

int64_t MonotonicNanos() {
  timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return static_cast<int64_t>(t.tv_sec) * 1'000'000'000 + t.tv_nsec;
}

void Log(LogLevel level, const char* message) {
  static constexpr const char* kNames[] = {"debug", "info", "warning", "error"};
  fprintf(stderr, "rushlight: %s: %s\n", kNames[static_cast<int>(level)], message);
}

namespace {

// Reads all of `fd`, whatever the sizes of single reads.
int ReadAll(int fd, uint8_t* data, size_t size) {
  size_t done = 0;
  while (done < size) {
    const ssize_t n = read(fd, data + done, size - done);
    if (n < 0) {
      if (errno == EINTR) continue;
      return errno;
    }
    if (n == 0) return EIO;  // cut since fstat
    done += static_cast<size_t>(n);
  }
  return 0;
}

}  // namespace

int OpenFile(const char* path, FileAccess access, FileView* view) {
  int fd;
  do {
    // Without O_NONBLOCK a FIFO would keep us waiting for its writer.
    fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
  } while (fd < 0 && errno == EINTR);
  if (fd < 0) return errno;
  struct stat info;
  int error = fstat(fd, &info) != 0 ? errno : 0;
  if (error == 0 && !S_ISREG(info.st_mode)) error = S_ISDIR(info.st_mode) ? EISDIR : EINVAL;
  if (error == 0 && static_cast<uint64_t>(info.st_size) > SIZE_MAX) error = EFBIG;
  if (error != 0) {
    close(fd);
    return error;
  }
  view->size = static_cast<size_t>(info.st_size);
  view->access = access;
  view->data = nullptr;
  if (view->size > 0 && access == FileAccess::kMap) {
    void* p = mmap(nullptr, view->size, PROT_READ, MAP_SHARED, fd, 0);
    if (p == MAP_FAILED) {
      error = errno;
    } else {
      view->data = static_cast<const uint8_t*>(p);
    }
  } else if (view->size > 0) {
    auto* p = static_cast<uint8_t*>(AllocatePages(view->size));
    error = p == nullptr ? ENOMEM : ReadAll(fd, p, view->size);
    if (error != 0 && p != nullptr) FreePages(p, view->size);
    if (error == 0) view->data = p;
  }
  close(fd);
  return error;
}

void CloseFile(FileView* view) {
  // Both kinds are whole mappings.
  if (view->data != nullptr) munmap(const_cast<uint8_t*>(view->data), view->size);
  view->data = nullptr;
  view->size = 0;
}

void WillNeed(const void* data, size_t size) {
  const auto page = static_cast<uintptr_t>(sysconf(_SC_PAGESIZE));
  const uintptr_t begin = reinterpret_cast<uintptr_t>(data) / page * page;
  const uintptr_t end = reinterpret_cast<uintptr_t>(data) + size;
  madvise(reinterpret_cast<void*>(begin), end - begin, MADV_WILLNEED);
}

void* AllocatePages(size_t size) {
  void* p = mmap(nullptr, size == 0 ? 1 : size, PROT_READ | PROT_WRITE,
                 MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  return p == MAP_FAILED ? nullptr : p;
}

void FreePages(void* data, size_t size) {
  if (data != nullptr) munmap(data, size == 0 ? 1 : size);
}

void ZeroPages(void* data, size_t size) {
  if (size == 0) return;
#ifdef __linux__  // private anonymous pages come back zeroed
  if (madvise(data, size, MADV_DONTNEED) == 0) return;
#endif
  memset(data, 0, size);
}

uint64_t TotalMemory() {
  const long pages = sysconf(_SC_PHYS_PAGES);
  const long page = sysconf(_SC_PAGESIZE);
  return pages > 0 && page > 0 ? static_cast<uint64_t>(pages) * static_cast<uint64_t>(page) : 0;
}

size_t TotalCpus() {
  const long cpus = sysconf(_SC_NPROCESSORS_ONLN);
  return cpus > 0 ? static_cast<size_t>(cpus) : 1;
}

size_t UsableCpus() {
#ifdef __linux__
  cpu_set_t set;
  const bool known = sched_getaffinity(0, sizeof set, &set) == 0;
  const size_t cpus = known ? static_cast<size_t>(CPU_COUNT(&set)) : TotalCpus();
  // Read once: a quota is the container's, while threads are pinned at any time.
  static std::atomic<size_t> quota{0};
  size_t allowed = quota.load(std::memory_order_relaxed);
  if (allowed == 0) {
    allowed = QuotaCpus();
    quota.store(allowed, std::memory_order_relaxed);
  }
  return allowed < cpus ? allowed : cpus;
#else
  return TotalCpus();
#endif
}

}  // namespace rushlight::platform
