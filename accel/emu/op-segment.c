/* SPDX-License-Identifier: Apache-2.0 */
#include "accel/emu/decode.h"

const EmuInsnTable emu_insns_segment = { .rows = NULL };
