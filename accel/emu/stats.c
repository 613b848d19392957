/* SPDX-License-Identifier: Apache-2.0 */
/* `info jit`. */
#include <inttypes.h>

#include "accel/emu/block.h"
#include "accel/emu/check.h"
#include "accel/emu/emu-accel.h"
#include "accel/emu/exec.h"
#include "accel/emu/jit/jit.h"

#define COUNT(name) __atomic_load_n(&cpu->stats.name, __ATOMIC_RELAXED)

static uint64_t per(uint64_t sum, uint64_t count)
{
    return count ? sum / count : 0;
}

static void describe_code(const EmuCpu *cpu, GString *text)
{
    uint64_t size = (uint64_t)emu_accel()->cache_mib * MiB;

    g_string_append_printf(text, "  gen code size       %zu/%" PRIu64 "\n",
                           emu_jit_bytes_used(cpu->jit), size);
    g_string_append_printf(text, "  TBs translated      %" PRIu64 ", %" PRIu64 " guest and %" PRIu64
                           " host bytes on average\n", COUNT(translated),
                           per(COUNT(guest_bytes), COUNT(translated)),
                           per(COUNT(host_bytes), COUNT(translated)));
    g_string_append_printf(text, "  direct jumps made   %" PRIu64 "\n", COUNT(links));
    g_string_append_printf(text, "  jump table misses   %" PRIu64 "\n", COUNT(jump_misses));
    g_string_append_printf(text, "  entries, callouts   %" PRIu64 ", %" PRIu64 "\n", COUNT(entries),
                           COUNT(callouts));
}

static void describe_cpu(EmuCpu *cpu, void *opaque)
{
    GString *text = opaque;
    uint64_t size = (uint64_t)emu_accel()->cache_mib * MiB;

    g_string_append_printf(text, "CPU %u:\n", cpu->vcpu->index);
    g_string_append_printf(text, "  decoded code size   %zu/%" PRIu64 "\n",
                           emu_blocks_bytes_used(cpu->blocks), size);
    g_string_append_printf(text, "  TB count            %" PRIu64 " of %" PRIu64 " decoded\n",
                           COUNT(blocks), COUNT(decoded));
    g_string_append_printf(text, "  TB lookups          %" PRIu64 "\n", COUNT(lookups));
    if (cpu->jit) {
        describe_code(cpu, text);
    }
    g_string_append_printf(text, "  TB flush count      %" PRIu64 "\n", COUNT(cache_flushes));
    g_string_append_printf(text, "  TB invalidate count %" PRIu64 "\n", COUNT(retired));
    g_string_append_printf(text, "  TLB misses          %" PRIu64 ", page walks %" PRIu64 "\n",
                           COUNT(tlb_misses), COUNT(walks));
    g_string_append_printf(text, "  TLB full flushes    %" PRIu64 "\n", COUNT(flushes));
    g_string_append_printf(text, "  TLB partial flushes %" PRIu64 " of address spaces, %" PRIu64
                           " of pages\n", COUNT(local_flushes), COUNT(page_flushes));
    if (cpu->check) {
        g_autofree char *checked = emu_check_describe(cpu->check);

        g_string_append_printf(text, "  checked             %s\n", checked);
    }
}

char *emu_describe_jit(Accel *accel)
{
    GString *text = g_string_new(NULL);

    emu_cpus_foreach(describe_cpu, text);
    return g_string_free(text, FALSE);
}
