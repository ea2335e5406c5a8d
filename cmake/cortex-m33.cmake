# Copyright (c) The Rushlight authors.
# SPDX-License-Identifier: BSD-3-Clause

# Cortex-M33 without an operating system: Debian's gcc-arm-none-eabi with newlib-nano.  Floating
# point is done by the library, as not every Cortex-M33 has a unit for it.

set(CMAKE_SYSTEM_NAME Generic)
set(CMAKE_SYSTEM_PROCESSOR arm)
set(CMAKE_C_COMPILER arm-none-eabi-gcc)
set(CMAKE_CXX_COMPILER arm-none-eabi-g++)
set(CMAKE_TRY_COMPILE_TARGET_TYPE STATIC_LIBRARY)  # there is nothing to link a program against yet

# -Wno-psabi: nothing that GCC 6 compiled is linked.
set(cpu "-mcpu=cortex-m33 -mthumb -mfloat-abi=soft -Wno-psabi")
set(CMAKE_C_FLAGS_INIT ${cpu})
set(CMAKE_CXX_FLAGS_INIT ${cpu})
set(CMAKE_EXE_LINKER_FLAGS_INIT "--specs=nano.specs --specs=nosys.specs")

set(CMAKE_FIND_ROOT_PATH_MODE_PROGRAM NEVER)
set(CMAKE_FIND_ROOT_PATH_MODE_LIBRARY ONLY)
set(CMAKE_FIND_ROOT_PATH_MODE_INCLUDE ONLY)
set(CMAKE_FIND_ROOT_PATH_MODE_PACKAGE ONLY)
