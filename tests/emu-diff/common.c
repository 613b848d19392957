/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/emu-diff/diff.h"

#include <string.h>

uint64_t mix(uint64_t hash, uint64_t value)
{
    hash = (hash ^ value) * 0x9fb21c651e98df25ull;
    return hash ^ hash >> 32;
}

static uint64_t hash_bytes(uint64_t hash, const void *bytes, size_t size)
{
    const uint8_t *at = bytes;

    for (size_t i = 0; i < size; i += 8) {
        uint64_t value;

        memcpy(&value, at + i, 8);
        hash = mix(hash, value);
    }
    return hash;
}

static uint64_t hash_state(uint64_t hash, const State *state)
{
    hash = hash_bytes(hash, state->gpr, sizeof(state->gpr));
    hash = mix(mix(hash, state->rip), state->rflags);
    for (unsigned i = 0; i < DIFF_SEGS; i++) {
        hash = mix(hash, state->selector[i]);
    }
    hash = hash_bytes(hash, state->x, XS_LEGACY);
    return hash_bytes(hash, state->x + XS_YMM, XS_SIZE - XS_YMM);
}

void note_step(Result *result, const State *state)
{
    result->trace = hash_state(result->trace, state);
    if (result->steps < KEPT_STEPS) {
        result->step[result->steps].rip = state->rip;
        result->step[result->steps].rflags = state->rflags;
        result->step[result->steps].hash = result->trace;
    }
    result->steps++;
}

static void collect_part(const uint8_t *image, uint8_t *memory, unsigned size, unsigned first,
                         Result *result)
{
    if (!memcmp(image, memory, size)) {
        return;
    }
    for (unsigned i = 0; i < size / LINE; i++) {
        const uint8_t *was = image + i * LINE;
        uint8_t *now = memory + i * LINE;

        if (!memcmp(was, now, LINE)) {
            continue;
        }
        if (result->line_count < MAX_LINES) {
            result->line[result->line_count] = first + i;
            memcpy(result->bytes[result->line_count], now, LINE);
        }
        result->line_count++;
        result->line_hash = hash_bytes(mix(result->line_hash, first + i), now, LINE);
        memcpy(now, was, LINE);
    }
}

void collect_lines(const Image *image, uint8_t *data, uint8_t *stack, Result *result)
{
    result->line_count = 0;
    result->line_hash = 0;
    collect_part(image->data, data, DATA_SIZE, 0, result);
    collect_part(image->stack, stack, STACK_SIZE, DATA_SIZE / LINE, result);
}
