// Copyright (c) The Rushlight authors.
// SPDX-License-Identifier: BSD-3-Clause

// What Module::Load costs, apart from what is run later.
//
//   load_bench make BYTES PROGRAM     writes a program with one table of that size (a sparse file)
//   load_bench time PROGRAM ...       loads the programs by turns; for each its size, the median of
//                                     milliseconds, and by how much resident file pages grew (the
//                                     first round, which brings in our own code, is not counted)
#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <vector>

#include "rushlight/dtype.h"
#include "rushlight/memory_estimate.h"
#include "rushlight/module.h"
#include "rushlight/platform.h"
#include "src/compiler/program_builder.h"

namespace rushlight {
namespace {

constexpr int kRounds = 51;
constexpr int32_t kWidth = 1024;

// forward(index: int64[1]) -> float32[1, kWidth]: a row of an embedding table of zeros, which are
// left out of the file system's blocks.
int Make(uint64_t bytes, const char* path) {
  const auto rows = static_cast<int32_t>(bytes / (kWidth * sizeof(float)));
  const size_t table_bytes = size_t{kWidth} * sizeof(float) * static_cast<size_t>(rows);
  void* zeros = platform::AllocatePages(table_bytes);
  if (zeros == nullptr) return 1;
  const Span<const uint8_t> contents(static_cast<const uint8_t*>(zeros), table_bytes);

  compiler::ProgramBuilder builder;
  compiler::MethodBuilder method = builder.AddMethod("forward");
  compiler::TensorSpec index;
  index.scalar_type = static_cast<int8_t>(DType::kInt64);
  index.sizes = {1};
  compiler::TensorSpec table;
  table.scalar_type = static_cast<int8_t>(DType::kFloat32);
  table.sizes = {rows, kWidth};
  compiler::TensorSpec row = table;
  row.sizes = {1, kWidth};
  table.constant = builder.AddConstant(contents);
  row.memory_id = 1;
  const int32_t x = method.AddTensor(index);
  const int32_t w = method.AddTensor(table);
  const int32_t y = method.AddTensor(row);
  const int32_t no_padding = method.AddInt(-1);
  const int32_t no = method.AddBool(false);
  const int32_t embedding = method.AddOperator("aten::embedding", "out");
  method.AddKernelCall(embedding, {w, x, no_padding, no, no, y, y});
  method.SetInputs({x});
  method.SetOutputs({y});
  method.SetMemory({kWidth * sizeof(float)});

  std::FILE* file = std::fopen(path, "wb");
  if (file == nullptr) return 1;
  const bool written = builder.Finish([&](const void* data, size_t size) {
    if (data != zeros) return std::fwrite(data, 1, size, file) == size;
    // The table is the last piece; its last byte makes the file as long as it must be.
    return std::fseek(file, static_cast<long>(size - 1), SEEK_CUR) == 0 &&
           std::fputc(0, file) != EOF;
  });
  const bool closed = std::fclose(file) == 0;
  platform::FreePages(zeros, table_bytes);
  return written && closed ? 0 : 1;
}

uint64_t ResidentFileBytes() {
  std::FILE* file = std::fopen("/proc/self/status", "r");
  if (file == nullptr) return 0;
  char line[256];
  unsigned long long kilobytes = 0;
  while (std::fgets(line, sizeof line, file) != nullptr) {
    if (std::sscanf(line, "RssFile: %llu", &kilobytes) == 1) break;
  }
  std::fclose(file);
  return kilobytes * 1024;
}

struct Program {
  const char* path = nullptr;
  size_t bytes = 0;
  uint64_t growth = 0;  // the most of all rounds
  std::vector<double> milliseconds = {};
};

bool LoadOnce(Program* program, bool counted) {
  const uint64_t before = ResidentFileBytes();
  const int64_t begin = platform::MonotonicNanos();
  Result<Module> module = Module::Load(program->path);
  const bool loaded = module.ok() && module->LoadMethod("forward").ok();
  const int64_t end = platform::MonotonicNanos();
  if (!loaded || !counted) return loaded;
  const uint64_t after = ResidentFileBytes();
  program->bytes = module->program().file().size();
  program->growth = std::max(program->growth, after > before ? after - before : 0);
  program->milliseconds.push_back(static_cast<double>(end - begin) / 1e6);
  return true;
}

int Time(int count, char** paths) {
  std::vector<Program> programs;
  for (int i = 0; i < count; ++i) programs.push_back({paths[i]});
  for (int round = -1; round < kRounds; ++round) {
    for (Program& program : programs) {
      if (!LoadOnce(&program, round >= 0)) {
        std::fprintf(stderr, "%s does not load\n", program.path);
        return 1;
      }
    }
  }
  for (Program& program : programs) {
    std::vector<double>& times = program.milliseconds;
    std::nth_element(times.begin(), times.begin() + kRounds / 2, times.end());
    std::printf("%zu %.4f %llu\n", program.bytes, times[kRounds / 2],
                static_cast<unsigned long long>(program.growth));
  }
  return 0;
}

}  // namespace
}  // namespace rushlight

int main(int argc, char** argv) {
  if (argc == 4 && std::strcmp(argv[1], "make") == 0) {
    return rushlight::Make(std::strtoull(argv[2], nullptr, 10), argv[3]);
  }
  if (argc > 2 && std::strcmp(argv[1], "time") == 0) return rushlight::Time(argc - 2, argv + 2);
  std::fprintf(stderr, "usage: %s make BYTES PROGRAM | time PROGRAM ...\n", argv[0]);
  return 2;
}
