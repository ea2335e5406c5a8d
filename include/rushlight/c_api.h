/* Copyright (c) The Rushlight authors.
 * SPDX-License-Identifier: BSD-3-Clause */

/* The C API: Module (module.h) for C and whatever speaks to C.
 *
 *   RlError error;
 *   RlModule* module = rl_module_load("m.pte", NULL, &error);
 *   if (module == NULL) { puts(error.message); return 1; }
 *   int32_t sizes[] = {1, 4};
 *   RlValue input = rl_tensor(RL_FLOAT32, 2, sizes, data);
 *   RlValue output;
 *   size_t count = 1;
 *   if (!rl_module_execute(module, "forward", &input, 1, &output, &count, NULL, &error)) ...
 *   rl_module_free(module);
 *
 * Functions that can fail return false or NULL and fill in *error, which may be NULL.  Structs are
 * zeroed where the caller fills them in partly.  A module is used by one thread at a time, except
 * for rl_module_cancel(). */
#ifndef RUSHLIGHT_C_API_H_
#define RUSHLIGHT_C_API_H_

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define RL_MAX_RANK 16

/* Element types, numbered as in the program file and in PyTorch.  Others may come out of a program.
 */
enum {
  RL_UINT8 = 0,
  RL_INT8 = 1,
  RL_INT16 = 2,
  RL_INT32 = 3,
  RL_INT64 = 4,
  RL_FLOAT16 = 5,
  RL_FLOAT32 = 6,
  RL_FLOAT64 = 7,
  RL_BOOL = 11,
  RL_BFLOAT16 = 15,
  RL_UINT16 = 27,
  RL_UINT32 = 28,
  RL_UINT64 = 29
};

typedef enum RlKind {
  RL_NONE = 0,
  RL_TENSOR = 1,
  RL_STRING = 2,
  RL_DOUBLE = 3,
  RL_INT = 4,
  RL_BOOLEAN = 5,
  RL_OTHER = 255 /* a list, which is not shown here */
} RlKind;

typedef struct RlTensor {
  int32_t dtype;
  size_t rank;                    /* at most RL_MAX_RANK */
  int32_t sizes[RL_MAX_RANK];     /* [rank]; the upper bounds in the description of a method */
  uint8_t dim_order[RL_MAX_RANK]; /* [rank] outermost first; all zero means 0, 1, 2, ... */
  void* data;                     /* dense in that order; NULL in the description of a method */
  size_t nbytes;                  /* not read from inputs */
  bool dynamic;                   /* sizes may be smaller; not read from inputs */
} RlTensor;

typedef struct RlValue {
  RlKind kind;
  union {
    int64_t as_int;
    double as_double;
    bool as_bool;
    RlTensor as_tensor;
    struct {
      const char* data; /* not terminated */
      size_t size;
    } as_string;
  } u;
} RlValue;

typedef struct RlError {
  int32_t code;            /* 0: none; otherwise the kind of failure (rushlight::ErrorCode) */
  int32_t reason;          /* exactly which check (rushlight::Reason) */
  int32_t executorch_code; /* the code ExecuTorch has for it */
  char message[512];       /* a sentence, terminated */
} RlError;

typedef struct RlOptions {
  bool read_instead_of_map;      /* read the file into memory */
  const char* const* data_files; /* [data_file_count] external weights (.ptd) */
  size_t data_file_count;
  uint64_t memory_limit; /* most bytes of planned memory, scratch and outputs; 0: no limit */
  size_t threads;        /* that an execution may use; 0: one for each CPU it may run on */
} RlOptions;

typedef struct RlExecuteOptions {
  uint64_t max_instructions; /* 0: ten million */
  int64_t max_nanoseconds;   /* 0: no limit */
  size_t threads;            /* at most those of RlOptions; 0: all of them */
} RlExecuteOptions;

typedef struct RlModule RlModule;

/* The text "0.1.0". */
const char* rl_version(void);

RlModule* rl_module_load(const char* path, const RlOptions* options, RlError* error);
/* The bytes are borrowed, 16-byte aligned, and must not change while the module lives. */
RlModule* rl_module_from_bytes(const void* data, size_t size, const RlOptions* options,
                               RlError* error);
/* A module of its own state over the same file, for another thread. */
RlModule* rl_module_share(const RlModule* module, RlError* error);
void rl_module_free(RlModule* module); /* NULL is allowed */

size_t rl_module_method_count(const RlModule* module);
/* NULL where there is no such method; lives as long as the module. */
const char* rl_module_method_name(const RlModule* module, size_t index);
/* Number of inputs and of outputs; either pointer may be NULL. */
bool rl_module_method_arity(const RlModule* module, const char* method, size_t* inputs,
                            size_t* outputs, RlError* error);
/* Kind, and for tensors dtype, sizes and order. */
bool rl_module_input_info(const RlModule* module, const char* method, size_t index, RlValue* info,
                          RlError* error);
bool rl_module_output_info(const RlModule* module, const char* method, size_t index, RlValue* info,
                           RlError* error);

/* Loads a method before its first execution would. */
bool rl_module_load_method(RlModule* module, const char* method, RlError* error);
/* Frees a method with its memory and state. */
void rl_module_unload_method(RlModule* module, const char* method);
/* Zeroes all state, as after loading. */
bool rl_module_reset_state(RlModule* module, RlError* error);

/* Runs a method.  *output_count: room in `outputs` before the call, outputs of the method after it;
 * those without room are not given.  Tensors and strings in `outputs` belong to the module and live
 * until its next call. */
bool rl_module_execute(RlModule* module, const char* method, const RlValue* inputs,
                       size_t input_count, RlValue* outputs, size_t* output_count,
                       const RlExecuteOptions* options, RlError* error);
/* From any thread: ends the execution in progress, if there is one. */
void rl_module_cancel(RlModule* module);

/* Values.  rl_tensor: `sizes` [rank] is copied, `data` is borrowed. */
RlValue rl_int(int64_t value);
RlValue rl_double(double value);
RlValue rl_bool(bool value);
RlValue rl_tensor(int32_t dtype, size_t rank, const int32_t* sizes, void* data);

#ifdef __cplusplus
}
#endif

#endif /* RUSHLIGHT_C_API_H_ */
