/* SPDX-License-Identifier: Apache-2.0 */
/* Thread start: RCU registration, name and signal mask in one place. */
#include "util/thread.h"

#include <signal.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "util/error.h"
#include "util/rcu.h"

typedef struct ThreadStart {
    void *(*fn)(void *);
    void *opaque;
    char name[16];
} ThreadStart;

/* The main thread is not made by thread_create(), and is an RCU reader like any other. */
static void __attribute__((constructor)) register_main_thread(void)
{
    rcu_register_thread();
}

static void unregister_thread(void *opaque)
{
    rcu_unregister_thread();
}

static void *thread_main(void *opaque)
{
    ThreadStart start = *(ThreadStart *)opaque;
    void *result;

    g_free(opaque);
    pthread_setname_np(pthread_self(), start.name);
    rcu_register_thread();
    pthread_cleanup_push(unregister_thread, NULL);
    result = start.fn(start.opaque);
    pthread_cleanup_pop(1);
    return result;
}

bool thread_create(pthread_t *thread, const char *name, void *(*fn)(void *), void *opaque,
                   GError **error)
{
    ThreadStart *start = g_new0(ThreadStart, 1);
    sigset_t all;
    sigset_t before;
    int err;

    start->fn = fn;
    start->opaque = opaque;
    g_strlcpy(start->name, name, sizeof(start->name));
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    err = pthread_create(thread, NULL, thread_main, start);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (err) {
        g_free(start);
        error_set_errno(error, err, "cannot start thread '%s'", name);
        return false;
    }
    return true;
}

int thread_current_tid(void)
{
    return (int)syscall(SYS_gettid);
}
