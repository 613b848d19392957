/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "accel/emu/x87.h"

#include "accel/emu/decode.h"
#include "accel/emu/exec.h"
#include "accel/emu/system-internal.h"

/* FXSAVE's fields (SDM vol. 1, table 10-2). */
enum {
    FX_FCW = 0, FX_FSW = 2, FX_FTW = 4, FX_FOP = 6, FX_FIP = 8, FX_FCS = 12, FX_FDP = 16,
    FX_FDS = 20, FX_ST = 32, FX_XMM = 160,
};

/* The instruction begins anew behind the handler; it goes on if no interrupt can come. */
static void tell_board(EmuCpu *cpu)
{
    bool taken = emu_lock_vm(cpu);

    accel_raise_ferr();
    emu_unlock_vm(cpu, taken);
    if (emu_lines_deliverable(cpu)) {
        emu_escape(cpu, EMU_EXIT_AGAIN);
    }
}

void emu_x87_pending(EmuCpu *cpu)
{
    if (cpu->cr0 & CR0_NE) {
        emu_raise_plain(cpu, X86_MF);
    }
    if (!accel_ignne()) {
        tell_board(cpu);
    }
}

void emu_x87_settled(void)
{
    if (EMU_UNLIKELY(accel_ignne())) {
        accel_set_ignne(false);
    }
}

void emu_x87_init(EmuFpu *fpu)
{
    emu_x87_settled();
    fpu->fcw = X87_FCW_RESET;
    fpu->fsw = 0;
    fpu->top = 0;
    fpu->valid = 0;
    fpu->fop = 0;
    fpu->fip = fpu->fdp = 0;
    fpu->fcs = fpu->fds = 0;
}

void emu_x87_set_status(EmuFpu *fpu, uint16_t fsw)
{
    fpu->top = fsw >> X87_TOP_SHIFT & 7;
    fsw &= X87_EXCEPTIONS | X87_SF | X87_CC;
    if (fsw & X87_EXCEPTIONS & ~fpu->fcw) {
        fsw |= X87_ES | X87_BUSY;
    } else {
        emu_x87_settled();
    }
    fpu->fsw = fsw;
}

uint16_t emu_x87_tag_word(const EmuFpu *fpu)
{
    uint16_t word = 0;

    for (unsigned i = 0; i < 8; i++) {
        const EmuF80 *reg = &fpu->fpr[i];
        unsigned exponent = reg->sign_exponent & 0x7fff;
        unsigned tag = 2; /* denormals, infinities, NaNs, unsupported */

        if (!(fpu->valid >> i & 1)) {
            tag = 3;
        } else if (exponent == 0 && reg->significand == 0) {
            tag = 1;
        } else if (exponent != 0 && exponent != 0x7fff && reg->significand >> 63) {
            tag = 0;
        }
        word |= tag << (2 * i);
    }
    return word;
}

bool emu_x87_no_selectors(const EmuCpu *cpu)
{
    return emu_has(cpu, X86_FEAT_7_0_EBX, 13);
}

void emu_fxsave_put(const EmuCpu *cpu, uint8_t *area, unsigned components, bool wide)
{
    const EmuFpu *fpu = &cpu->fpu;

    if (components & 1) {
        stw_le(area + FX_FCW, fpu->fcw);
        stw_le(area + FX_FSW, emu_x87_status(fpu));
        stw_le(area + FX_FTW, fpu->valid);
        stw_le(area + FX_FOP, fpu->fop);
        stq_le(area + FX_FIP, fpu->fip);
        stq_le(area + FX_FDP, fpu->fdp);
        if (!wide) {
            stl_le(area + FX_FCS, fpu->fcs);
            stl_le(area + FX_FDS, fpu->fds);
        }
        for (unsigned i = 0; i < 8; i++) {
            const EmuF80 *reg = &fpu->fpr[(fpu->top + i) & 7];

            memset(area + FX_ST + 16 * i, 0, 16);
            stq_le(area + FX_ST + 16 * i, reg->significand);
            stw_le(area + FX_ST + 16 * i + 8, reg->sign_exponent);
        }
    }
    if (components & 2) {
        for (unsigned i = 0; i < 16; i++) {
            memcpy(area + FX_XMM + 16 * i, cpu->vec[i].u8, 16);
        }
    }
}

void emu_fxsave_get(EmuCpu *cpu, const uint8_t *area, unsigned components, bool wide)
{
    EmuFpu *fpu = &cpu->fpu;

    if (components & 1) {
        fpu->fcw = (ldw_le(area + FX_FCW) & 0x1f3f) | 0x40;
        emu_x87_set_status(fpu, ldw_le(area + FX_FSW));
        fpu->valid = area[FX_FTW];
        fpu->fop = ldw_le(area + FX_FOP) & 0x7ff;
        /* An instruction's address is kept canonical. */
        fpu->fip = wide ? (uint64_t)((int64_t)(ldq_le(area + FX_FIP) << 16) >> 16)
                        : ldl_le(area + FX_FIP);
        fpu->fdp = wide ? ldq_le(area + FX_FDP) : ldl_le(area + FX_FDP);
        fpu->fcs = wide || emu_x87_no_selectors(cpu) ? 0 : ldw_le(area + FX_FCS);
        fpu->fds = wide || emu_x87_no_selectors(cpu) ? 0 : ldw_le(area + FX_FDS);
        for (unsigned i = 0; i < 8; i++) {
            EmuF80 *reg = &fpu->fpr[(fpu->top + i) & 7];

            reg->significand = ldq_le(area + FX_ST + 16 * i);
            reg->sign_exponent = ldw_le(area + FX_ST + 16 * i + 8);
        }
    }
    if (components & 2) {
        for (unsigned i = 0; i < 16; i++) {
            memcpy(cpu->vec[i].u8, area + FX_XMM + 16 * i, 16);
        }
    }
}
