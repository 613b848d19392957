/* SPDX-License-Identifier: Apache-2.0 */
#include "accel/emu/vec.h"

const EmuInsnTable emu_insns_vec_int = { .rows = NULL };
