/* SPDX-License-Identifier: Apache-2.0 */
#include "accel/emu/check.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "accel/emu/block.h"

EmuCheck *emu_check_new(EmuCheckMode mode)
{
    EmuCheck *check = aligned_alloc(64, ROUND_UP(sizeof(EmuCheck), 64));

    if (!check) {
        g_error("no memory for the checking mode");
    }
    memset(check, 0, offsetof(EmuCheck, before));
    check->all = mode == EMU_CHECK_ALL;
    return check;
}

void emu_check_free(EmuCheck *check)
{
    if (check) {
        g_free(check->empty_jumps);
        free(check);
    }
}

char *emu_check_describe(const EmuCheck *check)
{
#define COUNT(name) __atomic_load_n(&check->counts.name, __ATOMIC_RELAXED)
    return g_strdup_printf("%" PRIu64 " runs of %" PRIu64 " blocks compared with the interpreter "
                           "(%" PRIu64 " raced with others), %" PRIu64 " left out as often "
                           "compared, %" PRIu64 " as not repeatable", COUNT(compared),
                           COUNT(blocks), COUNT(races), COUNT(interpreted), COUNT(skipped));
#undef COUNT
}

/* ---- The first run ---- */

bool emu_check_may_fill_write(EmuCheck *check, const uint8_t *host, EmuTlbKind kind,
                              unsigned index)
{
    if (check->phase != EMU_CHECK_OFF) {
        return (uintptr_t)host - (uintptr_t)check->shadow < sizeof(check->shadow);
    }
    if (check->writable_count < EMU_CHECK_WRITABLE) {
        check->writable[check->writable_count] = (EmuTlbSlot) { kind, index };
    }
    check->writable_count = MIN(check->writable_count + 1, EMU_CHECK_WRITABLE + 1);
    return true;
}

static void forget_writable(EmuCpu *cpu)
{
    EmuCheck *check = cpu->check;

    if (check->writable_count > EMU_CHECK_WRITABLE) {
        emu_tlb_flush_first(cpu);
    } else if (check->writable_count) {
        emu_tlb_forget_writes(cpu, check->writable, check->writable_count);
    }
    check->writable_count = 0;
}

void emu_check_begin_log(EmuCpu *cpu)
{
    EmuCheck *check = cpu->check;

    forget_writable(cpu);
    check->phase = EMU_CHECK_LOG;
    check->page_count = check->write_count = check->linear_count = 0;
    check->io = false;
}

void emu_check_end_log(EmuCheck *check)
{
    check->phase = EMU_CHECK_OFF;
    for (unsigned i = 0; i < check->page_count; i++) {
        memcpy(check->expected[i], check->before[i], EMU_PAGE_SIZE);
    }
    for (unsigned i = 0; i < check->write_count; i++) {
        const EmuCheckWrite *write = &check->writes[i];

        memcpy(check->expected[write->page] + write->offset,
               check->pages[write->page].host + write->offset, write->len);
    }
}

static void note_linear(EmuCheck *check, uint64_t linear)
{
    for (unsigned i = 0; i < check->linear_count; i++) {
        if (i < EMU_CHECK_LINEARS && check->linears[i] == linear) {
            return;
        }
    }
    /* One too many says that all entries must go. */
    if (check->linear_count < EMU_CHECK_LINEARS) {
        check->linears[check->linear_count] = linear;
    }
    check->linear_count = MIN(check->linear_count + 1, EMU_CHECK_LINEARS + 1);
}

static EmuCheckPage *find_page(EmuCheck *check, const uint8_t *host)
{
    for (unsigned i = 0; i < check->page_count; i++) {
        if (check->pages[i].host == host || check->shadow[i] == host) {
            return &check->pages[i];
        }
    }
    return NULL;
}

static EmuCheckPage *add_page(EmuCheck *check, const EmuPage *page, uint64_t linear)
{
    unsigned i = check->page_count;
    EmuCheckPage *added = &check->pages[i];

    if (i == EMU_CHECK_PAGES) {
        return NULL;
    }
    check->page_count++;
    *added = (EmuCheckPage) {
        .host = page->write,
        .linear = linear & EMU_PAGE_MASK,
        .page = *page,
        .place = { .region = page->region, .first = page->physical,
                   .last = page->physical + EMU_PAGE_SIZE - 1, .offset = page->offset,
                   .read = check->shadow[i], .write = check->shadow[i] },
    };
    added->page.read = added->page.write = check->shadow[i];
    note_linear(check, added->linear);
    memcpy(check->before[i], page->write, EMU_PAGE_SIZE);
    return added;
}

static void log_write(EmuCheck *check, const EmuPage *page, uint64_t linear, unsigned len)
{
    EmuCheckPage *found = find_page(check, page->write);

    if (!found) {
        found = add_page(check, page, linear);
    }
    if (!found || check->write_count == EMU_CHECK_WRITES) {
        check->io = true;
        return;
    }
    check->writes[check->write_count++] = (EmuCheckWrite) {
        .page = found - check->pages, .offset = linear & ~EMU_PAGE_MASK, .len = len,
    };
}

/* ---- Runs on shadows ---- */

static G_NORETURN void leave_shadow(EmuCpu *cpu, EmuCheckStray stray, uint64_t linear)
{
    cpu->check->stray = stray;
    cpu->check->stray_linear = linear;
    emu_escape(cpu, EMU_EXIT_AGAIN);
}

void emu_check_before_write(EmuCpu *cpu, const EmuPage *page, uint64_t linear, unsigned len)
{
    EmuCheck *check = cpu->check;

    if (!page->write || check->phase == EMU_CHECK_OFF) {
        return;
    }
    if (check->phase == EMU_CHECK_LOG) {
        log_write(check, page, linear, len);
    } else if (!find_page(check, page->write)) {
        leave_shadow(cpu, EMU_CHECK_STRAY_WRITE, linear);
    }
}

void emu_check_before_io(EmuCpu *cpu)
{
    if (cpu->check->phase == EMU_CHECK_SHADOW) {
        leave_shadow(cpu, EMU_CHECK_STRAY_IO, 0);
    }
    cpu->check->io = true;
}

const EmuPage *emu_check_page(EmuCpu *cpu, uint64_t linear, const EmuPage *page)
{
    EmuCheck *check = cpu->check;
    EmuCheckPage *found;
    uint8_t *shadow;

    if (check->phase != EMU_CHECK_SHADOW || !page->read) {
        return page;
    }
    found = find_page(check, page->read);
    if (!found) {
        return page;
    }
    note_linear(check, linear & EMU_PAGE_MASK);
    shadow = found->page.read;
    found->page = *page;
    found->page.read = shadow;
    found->page.write = page->write ? shadow : NULL;
    return &found->page;
}

const MemoryPlace *emu_check_place(EmuCheck *check, uint64_t physical)
{
    for (unsigned i = 0; check->phase == EMU_CHECK_SHADOW && i < check->page_count; i++) {
        if (check->pages[i].place.first == (physical & EMU_PAGE_MASK)) {
            return &check->pages[i].place;
        }
    }
    return NULL;
}

/* Entries that lead to the pages, or to their shadows. */
static void forget_entries(EmuCpu *cpu, bool thorough)
{
    EmuCheck *check = cpu->check;

    if (thorough || check->linear_count > EMU_CHECK_LINEARS) {
        emu_tlb_flush_first(cpu);
        return;
    }
    for (unsigned i = 0; i < check->linear_count; i++) {
        emu_tlb_forget_first(cpu, check->linears[i]);
    }
}

void emu_check_begin_shadow(EmuCpu *cpu, bool fill, bool thorough)
{
    EmuCheck *check = cpu->check;

    check->phase = EMU_CHECK_SHADOW;
    check->stray = EMU_CHECK_NO_STRAY;
    forget_entries(cpu, thorough);
    for (unsigned i = 0; i < check->page_count; i++) {
        memcpy(check->shadow[i], check->before[i], EMU_PAGE_SIZE);
        if (fill && !(cpu->mode & EMU_MODE_ALIGN)) {
            emu_tlb_fill(cpu, check->pages[i].linear, cpu->tlb.current, EMU_WRITE,
                         &check->pages[i].page);
        }
    }
}

void emu_check_end_shadow(EmuCpu *cpu, bool thorough)
{
    forget_entries(cpu, thorough);
    cpu->check->phase = EMU_CHECK_OFF;
}

void emu_check_expect_shadow(EmuCheck *check)
{
    for (unsigned i = 0; i < check->page_count; i++) {
        memcpy(check->expected[i], check->shadow[i], EMU_PAGE_SIZE);
    }
}

bool emu_check_find_difference(const EmuCheck *check, unsigned *page, unsigned *offset)
{
    for (unsigned i = 0; i < check->page_count; i++) {
        if (!memcmp(check->shadow[i], check->expected[i], EMU_PAGE_SIZE)) {
            continue;
        }
        *page = i;
        *offset = 0;
        while (check->shadow[i][*offset] == check->expected[i][*offset]) {
            ++*offset;
        }
        return true;
    }
    return false;
}
