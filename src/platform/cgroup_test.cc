// Copyright (c) The Rushlight authors.
// SPDX-License-Identifier: BSD-3-Clause

#include "src/platform/cgroup.h"

#include <gtest/gtest.h>
#include <sched.h>

#include <filesystem>
#include <fstream>
#include <string>
#include <thread>

#include "rushlight/platform.h"

namespace rushlight::platform {
namespace {

namespace fs = std::filesystem;

class Quota : public testing::Test {
 protected:
  Quota() : root_(fs::path(testing::TempDir()) / ("cgroup_test." + std::to_string(getpid()))) {}
  ~Quota() override { fs::remove_all(root_); }

  void Write(const std::string& path, const std::string& text) const {
    const fs::path full = root_ / path;
    fs::create_directories(full.parent_path());
    std::ofstream(full) << text;
  }
  size_t Cpus(const std::string& groups) const {
    Write("groups", groups);
    return QuotaCpus((root_ / "groups").c_str(), root_.c_str());
  }

  fs::path root_;
};

TEST_F(Quota, Version2TakesTheLeastOfTheGroupsAround) {
  EXPECT_EQ(Cpus("0::/a/b\n"), SIZE_MAX);
  Write("a/b/cpu.max", "max 100000\n");
  EXPECT_EQ(Cpus("0::/a/b\n"), SIZE_MAX);
  Write("a/cpu.max", "350000 100000\n");
  EXPECT_EQ(Cpus("0::/a/b\n"), 3u);
  Write("a/b/cpu.max", "10000 100000\n");
  EXPECT_EQ(Cpus("0::/a/b\n"), 1u);
  EXPECT_EQ(Cpus("0::/a\n"), 3u);
}

TEST_F(Quota, Version1IsInTheCpuFolder) {
  Write("cpu/x/cpu.cfs_quota_us", "200000\n");
  Write("cpu/x/cpu.cfs_period_us", "100000\n");
  EXPECT_EQ(Cpus("7:memory:/x\n4:cpu,cpuacct:/x\n0::/\n"), 2u);
  EXPECT_EQ(Cpus("7:memory:/x\n4:cpuacct:/x\n0::/\n"), SIZE_MAX);
  Write("cpu/x/cpu.cfs_quota_us", "-1\n");
  EXPECT_EQ(Cpus("4:cpuacct,cpu:/x\n"), SIZE_MAX);
}

TEST_F(Quota, AContainerSeesItsOwnGroupAsTheRoot) {
  Write("cpu.max", "250000 100000\n");
  EXPECT_EQ(Cpus("0::/not/mounted/here\n"), 2u);
}

TEST_F(Quota, Nonsense) {
  EXPECT_EQ(QuotaCpus("/nowhere", "/nowhere"), SIZE_MAX);
  for (const char* text : {"", ":", "::", "0:", "\n\n::\n", "0::/../../..\n"}) {
    EXPECT_EQ(Cpus(text), SIZE_MAX) << text;
  }
  Write("cpu.max", "-5 0\n");
  EXPECT_EQ(Cpus("0::/\n"), SIZE_MAX);
  Write("cpu.max", "one two\n");
  EXPECT_EQ(Cpus("0::/\n"), SIZE_MAX);
  EXPECT_EQ(Cpus("0::/" + std::string(3000, 'a') + "\n"), SIZE_MAX);
}

TEST(Cpus, ThereIsOne) {
  EXPECT_GE(TotalCpus(), 1u);
  EXPECT_GE(UsableCpus(), 1u);
  EXPECT_LE(UsableCpus(), TotalCpus());
}

#ifdef __linux__
TEST(Cpus, FollowTheThreadsAffinity) {
  std::thread([] {
    cpu_set_t set;
    ASSERT_EQ(sched_getaffinity(0, sizeof set, &set), 0);
    int cpu = 0;
    while (!CPU_ISSET(cpu, &set)) ++cpu;
    CPU_ZERO(&set);
    CPU_SET(cpu, &set);
    ASSERT_EQ(sched_setaffinity(0, sizeof set, &set), 0);
    EXPECT_EQ(UsableCpus(), 1u);
  }).join();
}
#endif

}  // namespace
}  // namespace rushlight::platform
