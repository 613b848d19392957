/* SPDX-License-Identifier: Apache-2.0 */
/* For hosts that translated code is not made for: everything is interpreted. */
#include "accel/emu/jit/jit.h"
#include "util/error.h"

bool emu_jit_supported(void)
{
    return false;
}

EmuJit *emu_jit_new(EmuCpu *cpu, size_t code_bytes, GError **error)
{
    error_setf(error, "this kind of host has no translator");
    return NULL;
}

void emu_jit_free(EmuJit *jit)
{
}

bool emu_jit_translate(EmuCpu *cpu, EmuBlock *block)
{
    return false;
}

bool emu_jit_full(const EmuCpu *cpu)
{
    return false;
}

void emu_jit_run(EmuCpu *cpu, EmuBlock *block)
{
    g_assert_not_reached();
}

void emu_jit_link(EmuCpu *cpu, EmuBlock *next)
{
}

void emu_jit_abandoned(EmuCpu *cpu)
{
}

void emu_check_start(EmuCpu *cpu, EmuCheckMode mode)
{
}

void emu_check_run(EmuCpu *cpu, EmuBlock *block)
{
}

void emu_check_abandoned(EmuCpu *cpu)
{
}

void emu_jit_retire(EmuCpu *cpu, EmuBlock *block)
{
}

void emu_jit_flush(EmuCpu *cpu)
{
}

void emu_jit_forget_linear(EmuCpu *cpu)
{
}

void emu_jit_forget_local(EmuCpu *cpu)
{
}

void emu_jit_forget_returns(EmuCpu *cpu)
{
}

size_t emu_jit_bytes_used(const EmuJit *jit)
{
    return 0;
}
