/* SPDX-License-Identifier: Apache-2.0 */
#include "tools/img/img.h"
#include "util/coroutine.h"

typedef struct Team {
    ImgTeamFn *fn;
    void *opaque;
    unsigned started, running;
    Coroutine *waiter;
} Team;

static void member(void *opaque)
{
    Team *team = opaque;

    team->fn(team->opaque, team->started++);
    if (--team->running == 0) {
        coroutine_wake(team->waiter);
    }
}

void img_team_run(unsigned n, ImgTeamFn *fn, void *opaque)
{
    Team team = { .fn = fn, .opaque = opaque, .running = n, .waiter = coroutine_current() };

    for (unsigned i = 0; i < n; i++) {
        coroutine_start(member, &team);
    }
    coroutine_yield();
}
