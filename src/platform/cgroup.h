// Copyright (c) The Rushlight authors.
// SPDX-License-Identifier: BSD-3-Clause

// The CPU quota of a process's Linux control groups, of both versions.
#pragma once

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cstddef>
#include <cstdint>

namespace rushlight::platform {

// The start of a file as text; empty where there is none.
template <size_t kSize>
inline void ReadText(const char* path, char (&text)[kSize]) {
  text[0] = 0;
  const int fd = open(path, O_RDONLY | O_CLOEXEC);
  if (fd < 0) return;
  const ssize_t n = read(fd, text, kSize - 1);
  text[n > 0 ? n : 0] = 0;
  close(fd);
}

// CPUs of `quota` in each `period`, rounded down, at least 1: a thread that is throttled would
// stall the others.  SIZE_MAX: no quota.
inline size_t CpusOfQuota(long long quota, long long period) {
  if (quota <= 0 || period <= 0) return SIZE_MAX;
  return quota < period ? 1 : static_cast<size_t>(quota / period);
}

// The quota of the group in `folder` alone.
inline size_t GroupCpus(const char* folder) {
  char path[1200], text[64];
  long long quota = 0, period = 0;
  snprintf(path, sizeof path, "%s/cpu.max", folder);
  ReadText(path, text);
  if (text[0] != 0) {  // "max 100000" or "150000 100000"
    if (sscanf(text, "%lld %lld", &quota, &period) != 2) return SIZE_MAX;
    return CpusOfQuota(quota, period);
  }
  snprintf(path, sizeof path, "%s/cpu.cfs_quota_us", folder);
  ReadText(path, text);
  quota = strtoll(text, nullptr, 10);
  snprintf(path, sizeof path, "%s/cpu.cfs_period_us", folder);
  ReadText(path, text);
  period = strtoll(text, nullptr, 10);
  return CpusOfQuota(quota, period);
}

// The least of the quotas of a group and of those around it.
inline size_t NestedGroupCpus(const char* root, const char* group) {
  char folder[1100];
  snprintf(folder, sizeof folder, "%s%s", root, group);
  size_t cpus = SIZE_MAX;
  for (;;) {
    const size_t here = GroupCpus(folder);
    if (here < cpus) cpus = here;
    char* const slash = strrchr(folder, '/');
    if (slash == nullptr || slash < folder + strlen(root)) return cpus;
    *slash = 0;
  }
}

// CPUs that the quotas leave to the process whose groups are listed in the file `groups`; SIZE_MAX
// where there is no quota.  In a container the paths may be those outside: then the root of what is
// mounted is the container's own group.
inline size_t QuotaCpus(const char* groups = "/proc/self/cgroup",
                        const char* root = "/sys/fs/cgroup") {
  char text[4096], mount[600];
  ReadText(groups, text);
  size_t cpus = SIZE_MAX;
  char* rest = nullptr;
  for (char* line = strtok_r(text, "\n", &rest); line != nullptr;
       line = strtok_r(nullptr, "\n", &rest)) {  // "4:cpu,cpuacct:/path", or "0::/path"
    char* const controllers = strchr(line, ':');
    char* const group = controllers == nullptr ? nullptr : strchr(controllers + 1, ':');
    if (group == nullptr || strlen(group) > 400) continue;
    *group = 0;
    bool limits_cpu = controllers[1] == 0;
    char* more = nullptr;
    for (char* c = strtok_r(controllers + 1, ",", &more); c != nullptr;
         c = strtok_r(nullptr, ",", &more)) {
      limits_cpu |= strcmp(c, "cpu") == 0;
    }
    if (!limits_cpu) continue;
    snprintf(mount, sizeof mount, "%s%s", root, controllers[1] == 0 ? "" : "/cpu");
    const size_t here = NestedGroupCpus(mount, group + 1);
    if (here < cpus) cpus = here;
  }
  return cpus;
}

}  // namespace rushlight::platform
