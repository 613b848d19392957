/* SPDX-License-Identifier: Apache-2.0 */
/* The saved state of a CPU: all that X86CpuState has. */
#ifndef VIREO_CPU_X86_CPU_VMSTATE_H
#define VIREO_CPU_X86_CPU_VMSTATE_H

#include "cpu/x86/cpu-state.h"
#include "vmstate/vmstate.h"

extern const VmState x86_cpu_vmstate;

#endif
