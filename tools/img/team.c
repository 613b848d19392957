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

/* About a hundredth of a second's work. */
#define STEPS_IN_A_ROW 128

void img_team_breathe(unsigned *steps)
{
    if (++*steps % STEPS_IN_A_ROW == 0) {
        coroutine_wake(coroutine_current());
        coroutine_yield();
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
