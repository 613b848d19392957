/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What device models may know of CPUs: the accelerator's interface, and requests to the machine. A
 * device includes this header instead of accel/ and reaches a CPU only through VCpu's functions, an
 * in-kernel interrupt chip only through accel_ops().
 */
#ifndef VIREO_HW_CORE_CPU_H
#define VIREO_HW_CORE_CPU_H

#include "accel/accel.h"
#include "accel/vm-events.h"

#endif
