/* SPDX-License-Identifier: Apache-2.0 */
#include "accel/emu/system.h"

