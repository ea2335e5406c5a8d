// Copyright (c) The Rushlight authors.
// SPDX-License-Identifier: BSD-3-Clause

// POSIX systems.

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include <atomic>

#include "rushlight/cpu_features.h"
#include "rushlight/platform.h"
#ifdef __linux__
#include <sched.h>

#include "src/platform/cgroup.h"
#endif

#if defined(__x86_64__) || defined(__i386__)
#include <cpuid.h>
#endif
#if defined(__linux__) && defined(__x86_64__)
#include <sys/syscall.h>
#endif
#if defined(__linux__) && defined(__aarch64__)
#include <sys/auxv.h>
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

void* AllocatePages(size_t size) {
  void* p = mmap(nullptr, size == 0 ? 1 : size, PROT_READ | PROT_WRITE,
                 MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  return p == MAP_FAILED ? nullptr : p;
}

void FreePages(void* data, size_t size) {
  if (data != nullptr) munmap(data, size == 0 ? 1 : size);
}

void WillFill(void* data, size_t size) {
#ifdef MADV_HUGEPAGE
  if (data != nullptr && size > 0) madvise(data, size, MADV_HUGEPAGE);
#else
  (void)data;
  (void)size;
#endif
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

const char* Setting(const char* name) { return getenv(name); }

#if defined(__x86_64__) || defined(__i386__)

namespace {

struct CpuId {
  uint32_t eax = 0, ebx = 0, ecx = 0, edx = 0;

  CpuId(uint32_t leaf, uint32_t subleaf) {
    __get_cpuid_count(leaf, subleaf, &eax, &ebx, &ecx, &edx);
  }
};

constexpr bool Has(uint32_t bits, uint32_t mask) { return (bits & mask) == mask; }

// Tiles are given to a process that asks for them.
bool AskForTiles() {
#if defined(__linux__) && defined(__x86_64__)
  constexpr int kRequestPermission = 0x1023;  // ARCH_REQ_XCOMP_PERM
  constexpr int kTileData = 18;
  return syscall(SYS_arch_prctl, kRequestPermission, kTileData) == 0;
#else
  return false;
#endif
}

}  // namespace

uint32_t CpuFeatures() {
  const CpuId basic(1, 0);
  const CpuId extended(7, 0);
  const CpuId more(7, 1);
  if (!Has(basic.ecx, bit_OSXSAVE)) return 0;
  uint32_t low, high;
  __asm__("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
  // Registers that the system keeps: xmm and ymm; masks and both parts of zmm; tiles.
  const bool ymm = Has(low, 0x6);
  const bool zmm = ymm && Has(low, 0xe0);
  const bool tiles = zmm && Has(low, 0x60000);
  uint32_t features = 0;
  if (ymm && Has(basic.ecx, bit_FMA | bit_F16C) && Has(extended.ebx, bit_AVX2)) {
    features |= kCpuAvx2;
    if (Has(more.eax, 1u << 4)) features |= kCpuAvxVnni;
  }
  if (zmm && Has(extended.ebx, bit_AVX512F | bit_AVX512BW | bit_AVX512DQ | bit_AVX512VL)) {
    features |= kCpuAvx512;
    if (Has(extended.ecx, bit_AVX512VNNI)) features |= kCpuAvx512Vnni;
    if (Has(more.eax, 1u << 5)) features |= kCpuAvx512Bf16;
  }
  constexpr uint32_t kTilesInt8Bf16 = 1u << 24 | 1u << 25 | 1u << 22;
  if (tiles && Has(extended.edx, kTilesInt8Bf16) && AskForTiles()) features |= kCpuAmx;
  return features;
}

#elif defined(__aarch64__) && defined(__linux__)

uint32_t CpuFeatures() {
  const unsigned long first = getauxval(AT_HWCAP);
  const unsigned long second = getauxval(AT_HWCAP2);
  uint32_t features = kCpuNeon;
  if (first & 1ul << 20) features |= kCpuNeonDot;    // HWCAP_ASIMDDP
  if (second & 1ul << 13) features |= kCpuNeonI8mm;  // HWCAP2_I8MM
  if (second & 1ul << 14) features |= kCpuNeonBf16;  // HWCAP2_BF16
  return features;
}

#elif defined(__aarch64__)

uint32_t CpuFeatures() {
  uint32_t features = kCpuNeon;
#ifdef __ARM_FEATURE_DOTPROD  // what the compiler was told of every CPU it builds for
  features |= kCpuNeonDot;
#endif
#ifdef __ARM_FEATURE_MATMUL_INT8
  features |= kCpuNeonI8mm;
#endif
  return features;
}

#else

uint32_t CpuFeatures() { return 0; }

#endif

}  // namespace rushlight::platform
