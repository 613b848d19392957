/* SPDX-License-Identifier: Apache-2.0 */
/* The bare stack switch, for the processor's own code and for ucontext. */
#include <glib.h>
#include <stdlib.h>
#include <string.h>

#include "util/coroutine-switch.h"

#define STACK 65536
#define ROUNDS 1000

/* Entry functions take no argument. */
static CoroutineContext main_context, ping, pong;
static int switches;
static double value;

static void ping_entry(void)
{
    double x = 1.0;

    for (;;) {
        switches++;
        x += 0.5; /* lives in a register or on the stack across the switch */
        value = x;
        coroutine_context_switch(&ping, &pong);
    }
}

static void pong_entry(void)
{
    volatile char scratch[1024];

    for (int i = 1;; i++) {
        memset((char *)scratch, i, sizeof(scratch));
        switches++;
        coroutine_context_switch(&pong, i == ROUNDS ? &main_context : &ping);
    }
}

static void test_switch(void)
{
    void *stacks[2] = { aligned_alloc(16, STACK), aligned_alloc(16, STACK) };

    coroutine_context_init(&ping, stacks[0], STACK, ping_entry);
    coroutine_context_init(&pong, stacks[1], STACK, pong_entry);
    coroutine_context_switch(&main_context, &ping);
    g_assert_cmpint(switches, ==, 2 * ROUNDS);
    g_assert_cmpfloat(value, ==, 1.0 + 0.5 * ROUNDS);
    free(stacks[0]);
    free(stacks[1]);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/switch", test_switch);
    return g_test_run();
}
