/* SPDX-License-Identifier: Apache-2.0 */
/* Stand-ins, so that the program links until the parts that they name are there. */
#include "accel/emu/block.h"
#include "accel/emu/decode.h"
#include "accel/emu/exec.h"
#include "accel/emu/mem.h"
#include "accel/emu/system.h"

#define WEAK __attribute__((weak))
WEAK void emu_code_page_protect(EmuCpu *cpu, uint64_t page) { g_assert_not_reached(); }
WEAK void emu_code_page_release(EmuCpu *cpu, uint64_t page) { g_assert_not_reached(); }
WEAK void emu_code_pages_serve(EmuCpu *cpu) { g_assert_not_reached(); }
WEAK bool emu_cpu_caps(Accel *a, X86AccelCaps *c, GError **e) { g_assert_not_reached(); }
WEAK void emu_debug_after(EmuCpu *cpu) { g_assert_not_reached(); }
WEAK void emu_debug_before(EmuCpu *cpu) { g_assert_not_reached(); }
WEAK void emu_deliver_fault(EmuCpu *cpu) { g_assert_not_reached(); }
WEAK uint8_t emu_fetch_byte(EmuCpu *c, const EmuFetch *f, unsigned o) { g_assert_not_reached(); }
WEAK void emu_fetch_page(EmuCpu *c, uint64_t l, EmuFetch *f) { g_assert_not_reached(); }
WEAK bool emu_get_state(VCpu *v, GError **e) { g_assert_not_reached(); }
WEAK bool emu_set_state(VCpu *v, GError **e) { g_assert_not_reached(); }
WEAK bool emu_has(const EmuCpu *c, X86FeatureWord w, unsigned b) { g_assert_not_reached(); }
WEAK bool emu_has_work(VCpu *v) { g_assert_not_reached(); }
WEAK void emu_system_free(EmuSystem *s) { g_assert_not_reached(); }
WEAK EmuSystem *emu_system_new(EmuCpu *c) { g_assert_not_reached(); }
WEAK bool emu_take_interrupts(EmuCpu *c) { g_assert_not_reached(); }
WEAK void emu_tlb_cleanup(EmuCpu *c) { g_assert_not_reached(); }
WEAK void emu_tlb_flush_all(EmuCpu *c) { g_assert_not_reached(); }
WEAK void emu_tlb_init(EmuCpu *c) { g_assert_not_reached(); }
WEAK bool emu_update_debug(VCpu *v, GError **e) { g_assert_not_reached(); }
WEAK void emu_update_mode(EmuCpu *c) { g_assert_not_reached(); }
