/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Where what software sees differs between processors of Intel's and of AMD's kind. The vendor of
 * the guest's CPUID decides; each difference is a member here and nowhere else, but for MSRs, whose
 * table (msr.c) has its own flags.
 */
#ifndef VIREO_ACCEL_EMU_VENDOR_H
#define VIREO_ACCEL_EMU_VENDOR_H

#include "accel/emu/emu.h"

typedef struct EmuVendor {
    bool syscall_in_legacy;   /* SYSCALL and SYSRET outside of 64-bit code */
    bool sysenter_in_long;    /* SYSENTER and SYSEXIT in long mode */
    bool sysret_checks_rip;   /* a bad address is #GP of SYSRET's, not of the fetch behind it */
    bool sysret_loads_ss;     /* base, limit and attributes of SS, not the selector alone */
    bool null_clears_base;    /* a null selector in a data segment clears base and limit */
    bool far_pointers64;      /* REX.W makes offsets of far JMP, CALL, LFS, LGS, LSS 64 bits wide */
    bool near_branches16;     /* 66h makes near branches of 64-bit code 16 bits wide */
    bool cpuid_last_leaf;     /* a leaf beyond the last answers as the last basic one */
    bool cpuid_shows_apic_twice; /* also in 8000_0001h: it follows the APIC's state there too */
} EmuVendor;

const EmuVendor *emu_vendor(const EmuCpu *cpu);

#endif
