/* SPDX-License-Identifier: Apache-2.0 */
#include "block/qcow2/codec.h"

const Qcow2Codec qcow2_zstd = { 0 };
