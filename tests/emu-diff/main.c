/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The driver: batches are generated, run by the host's processor while the next is generated and
 * the last one is run by accel/emu, and compared. A batch is decided by the seed and its number
 * alone, so that every mismatch can be had again (--seed S --first-batch B --batches 1).
 */
#include "tests/emu-diff/diff.h"

#include <glib.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "accel/emu/decode.h"

#define SLOTS 3u /* two batches on their way, and one case when a mismatch is being reduced */

typedef struct Diff {
    int64_t seed, first_batch, batches, step;
    int seconds;
    int max_reports;
    gboolean list, any_host;

    Forms *forms[CODE_MODES];
    int bits;               /* of all cases; 0: some of each */
    Features features;
    Native *native;
    Guest *guest;
    Batch *batch[SLOTS];
    Result result;          /* accel/emu's */
    uint64_t cases, runs, instructions, mismatches, timeouts, skipped;
    uint64_t strayed; /* cases that met pages of the native process, which the guest has not */
    uint32_t *tested[CODE_MODES]; /* by mnemonic */
    uint32_t *wrong;        /* by mnemonic of the last instruction */
} Diff;

static CodeMode choose_mode(const Diff *d, Random *r)
{
    unsigned of = below(r, 100);

    if (!d->features.code32 || d->bits) {
        return d->bits == 16 ? CODE_16 : d->bits == 32 ? CODE_32 : CODE_64;
    }
    return of < 50 ? CODE_64 : of < 80 ? CODE_32 : CODE_16;
}

static void make_batch(Diff *d, uint64_t number, Batch *batch)
{
    Random r = { mix(d->seed, number) };

    make_image(&r, &batch->image);
    batch->count = BATCH;
    for (unsigned i = 0; i < BATCH; i++) {
        Random own = { mix(mix(d->seed, number), i + 1) };

        make_case(&own, d->forms[choose_mode(d, &own)], &d->features, &batch->cases[i]);
    }
}

/* ---- Comparing ---- */

/* The first flavour that differs; FLAVOUR_COUNT: none. */
static Flavour compare_case(Diff *d, const Case *test, const Result *native, bool all)
{
    for (unsigned flavour = 0; flavour < FLAVOUR_COUNT; flavour++) {
        if (flavour >= FLAVOUR_TRANSLATED && !guest_translates(d->guest)) {
            break;
        }
        if (flavour == FLAVOUR_SINGLE && !all) {
            continue;
        }
        guest_run(d->guest, test, flavour, &d->result);
        d->runs++;
        if (!results_equal(test, native, &d->result)) {
            return flavour;
        }
    }
    return FLAVOUR_COUNT;
}

/* Does the case in the last slot still differ? */
static Flavour retry(Diff *d)
{
    Batch *batch = d->batch[SLOTS - 1];
    const Result *native = &batch->results[0];

    native_start(d->native, SLOTS - 1);
    native_wait(d->native);
    if (native->status != STATUS_FAULT) {
        return FLAVOUR_COUNT;
    }
    return compare_case(d, &batch->cases[0], native, true);
}

/* Replace by NOPs what is not needed for the difference. */
static void reduce(Diff *d, Case *test)
{
    for (unsigned i = 0; i < test->insns; i++) {
        uint8_t *code = test->code + test->insn[i].offset;
        uint8_t saved[16];

        memcpy(saved, code, test->insn[i].length);
        memset(code, 0x90, test->insn[i].length);
        if (retry(d) == FLAVOUR_COUNT) {
            memcpy(code, saved, test->insn[i].length);
        }
    }
    if (test->step) {
        test->step = false;
        test->start.rflags &= ~0x100ull;
        if (retry(d) == FLAVOUR_COUNT) {
            test->step = true;
            test->start.rflags |= 0x100;
        }
    }
}

static void note_wrong(Diff *d, const Case *test)
{
    for (unsigned i = test->insns; i-- > 0;) {
        if (test->code[test->insn[i].offset] != 0x90) {
            d->wrong[test->insn[i].mnemonic]++;
            return;
        }
    }
}

static bool worth_reporting(Diff *d, const Case *test)
{
    for (unsigned i = test->insns; i-- > 0;) {
        if (test->code[test->insn[i].offset] != 0x90) {
            return d->wrong[test->insn[i].mnemonic] <= 3;
        }
    }
    return true;
}

static void mismatch(Diff *d, const Batch *from, unsigned index, uint64_t number, Flavour flavour)
{
    Batch *batch = d->batch[SLOTS - 1];
    g_autofree char *where = g_strdup_printf("seed %" PRId64 " batch %" PRIu64 " case %u", d->seed,
                                             number, index);
    g_autofree Result *first = g_memdup2(&d->result, sizeof(*first));

    if (first->vector == 14 && native_has_page(d->native, first->cr2)) {
        d->strayed++;
        return;
    }
    d->mismatches++;
    if (d->mismatches > 2000) {
        return;
    }
    batch->image = from->image;
    batch->count = 1;
    batch->cases[0] = from->cases[index];
    if (retry(d) == FLAVOUR_COUNT) {
        printf("# %s: not seen again\n", where);
        report_mismatch(where, &from->cases[index], &from->image, flavour,
                        &from->results[index], first);
        return;
    }
    reduce(d, &batch->cases[0]);
    flavour = retry(d);
    note_wrong(d, &batch->cases[0]);
    if (flavour != FLAVOUR_COUNT && worth_reporting(d, &batch->cases[0]) &&
        d->max_reports-- > 0) {
        report_mismatch(where, &batch->cases[0], &batch->image, flavour, &batch->results[0],
                        &d->result);
    }
}

static void note_tested(Diff *d, const Case *test)
{
    for (unsigned i = 0; i < test->insns; i++) {
        d->tested[test->mode][test->insn[i].mnemonic]++;
    }
    d->instructions += test->insns;
}

static void compare_batch(Diff *d, const Batch *batch, uint64_t number)
{
    guest_set_image(d->guest, &batch->image);
    for (unsigned i = 0; i < batch->count; i++) {
        const Result *native = &batch->results[i];
        Flavour flavour;

        if (native->status != STATUS_FAULT) {
            d->timeouts += native->status == STATUS_TIMEOUT;
            d->skipped += native->status != STATUS_TIMEOUT;
            continue;
        }
        d->cases++;
        note_tested(d, &batch->cases[i]);
        flavour = compare_case(d, &batch->cases[i], native, i % 4 == 0);
        if (flavour != FLAVOUR_COUNT) {
            mismatch(d, batch, i, number, flavour);
        }
    }
}

/* ---- The run ---- */

static void run(Diff *d)
{
    int64_t end = g_get_monotonic_time() + d->seconds * (int64_t)G_USEC_PER_SEC;
    uint64_t number = d->first_batch;
    uint64_t last = d->batches ? number + d->batches * d->step : UINT64_MAX;
    unsigned slot = 0;

    make_batch(d, number, d->batch[0]);
    native_start(d->native, 0);
    while (number < last && g_get_monotonic_time() < end) {
        uint64_t next = number + d->step;

        make_batch(d, next, d->batch[slot ^ 1]);
        native_wait(d->native);
        compare_batch(d, d->batch[slot], number);
        slot ^= 1;
        native_start(d->native, slot);
        number = next;
    }
    native_wait(d->native);
}

static void print_wrong(Diff *d)
{
    for (unsigned i = 0; i <= ZYDIS_MNEMONIC_MAX_VALUE; i++) {
        if (d->wrong[i]) {
            printf("# wrong: %s %u of %u\n", ZydisMnemonicGetString(i), d->wrong[i],
                   d->tested[CODE_64][i] + d->tested[CODE_32][i] + d->tested[CODE_16][i]);
        }
    }
}

/* Mnemonics that accel/emu implements. */
static void print_coverage(Diff *d, CodeMode mode)
{
    const uint32_t *counts = d->tested[mode];
    unsigned implemented = 0, tested = 0, least = UINT32_MAX;
    const char *rarest = "";

    for (unsigned i = 1; i <= ZYDIS_MNEMONIC_MAX_VALUE; i++) {
        if (!emu_insn_find(i)) {
            continue;
        }
        implemented++;
        tested += counts[i] != 0;
        if (counts[i] && counts[i] < least) {
            least = counts[i];
            rarest = ZydisMnemonicGetString(i);
        }
        if (!counts[i] && d->list) {
            const char *why = not_tested(mode, i);

            printf("# not tested, %u bits: %s: %s\n", 64u >> mode, ZydisMnemonicGetString(i),
                   why ? why : "not met, or the host lacks it");
        }
    }
    if (tested) {
        printf("# %u bits: %u of %u implemented mnemonics, %u forms; rarest: %s, %u times\n",
               64u >> mode, tested, implemented, d->forms[mode]->count, rarest, least);
    }
}

static bool parse(Diff *d, int *argc, char ***argv)
{
    const GOptionEntry entries[] = {
        { "seed", 's', 0, G_OPTION_ARG_INT64, &d->seed, "decides all cases", "N" },
        { "seconds", 't', 0, G_OPTION_ARG_INT, &d->seconds, "when to stop", "N" },
        { "batches", 'b', 0, G_OPTION_ARG_INT64, &d->batches, "when to stop", "N" },
        { "first-batch", 'f', 0, G_OPTION_ARG_INT64, &d->first_batch, "where to begin", "N" },
        { "step", 0, 0, G_OPTION_ARG_INT64, &d->step, "from one batch to the next", "N" },
        { "bits", 0, 0, G_OPTION_ARG_INT, &d->bits, "code of 64, 32 or 16 bits alone", "N" },
        { "max-reports", 'r', 0, G_OPTION_ARG_INT, &d->max_reports, "then only count", "N" },
        { "any-host", 0, 0, G_OPTION_ARG_NONE, &d->any_host, "other makers' processors too", NULL },
        { "list", 'l', 0, G_OPTION_ARG_NONE, &d->list, "name mnemonics that were not tested",
          NULL },
        { 0 },
    };
    GOptionContext *context = g_option_context_new(NULL);
    GError *error = NULL;
    bool ok;

    g_option_context_add_main_entries(context, entries, NULL);
    ok = g_option_context_parse(context, argc, argv, &error);
    if (!ok) {
        fprintf(stderr, "emu-diff: %s\n", error->message);
        g_error_free(error);
    }
    g_option_context_free(context);
    return ok;
}

/* Flags that the manuals leave undefined, and what is seen before faults, are as Intel's are. */
static const char *reason_to_skip(void)
{
    if (!__builtin_cpu_supports("x86-64-v3")) {
        return "the host's processor is no x86-64-v3";
    }
    return __builtin_cpu_is("intel") ? NULL : "the host's processor is not Intel's (--any-host)";
}

int main(int argc, char **argv)
{
    g_autofree Diff *d = g_new0(Diff, 1);
    const char *skip;

    *d = (Diff) { .seed = 1, .seconds = 60, .step = 1, .max_reports = 20 };
    if (!parse(d, &argc, &argv)) {
        return 2;
    }
    skip = reason_to_skip();
    if (skip && !d->any_host) {
        printf("skipped: %s\n", skip);
        return 77;
    }
    for (unsigned i = 0; i < CODE_MODES; i++) {
        d->tested[i] = g_new0(uint32_t, ZYDIS_MNEMONIC_MAX_VALUE + 1);
        d->forms[i] = forms_new(i);
    }
    d->wrong = g_new0(uint32_t, ZYDIS_MNEMONIC_MAX_VALUE + 1);
    d->native = native_new(SLOTS, d->batch, &d->features);
    d->guest = guest_new();
    if (d->bits && d->bits != 64 && !d->features.code32) {
        fprintf(stderr, "emu-diff: this host's kernel gives no segments of %d bits\n", d->bits);
        return 2;
    }
    run(d);
    print_wrong(d);
    for (unsigned i = 0; i < CODE_MODES; i++) {
        print_coverage(d, i);
    }
    printf("# %" PRIu64 " cases, %" PRIu64 " instructions, %" PRIu64 " runs; %" PRIu64
           " endless, %" PRIu64 " skipped, %" PRIu64 " strayed; %" PRIu64 " mismatches\n",
           d->cases, d->instructions, d->runs, d->timeouts, d->skipped, d->strayed,
           d->mismatches);
    guest_free(d->guest);
    native_free(d->native);
    for (unsigned i = 0; i < CODE_MODES; i++) {
        forms_free(d->forms[i]);
        g_free(d->tested[i]);
    }
    g_free(d->wrong);
    return d->mismatches != 0;
}
