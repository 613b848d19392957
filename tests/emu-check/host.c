/* SPDX-License-Identifier: Apache-2.0 */
/* The same loads, done by the host. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "tests/emu-check/work.h"

int main(void)
{
    uint8_t *memory = aligned_alloc(4096, WORK_MEMORY);

    for (const Work *work = works; memory && work->name; work++) {
        printf("%s=%016" PRIx64 "\n", work->name, work->run(memory));
    }
    free(memory);
    return memory ? 0 : 1;
}
