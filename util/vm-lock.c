/* SPDX-License-Identifier: Apache-2.0 */
/* There is one VM in the process and this is its lock, hence the file-scope state. */
#include "util/vm-lock.h"

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static __thread bool held;

void vm_lock(void)
{
    g_assert(!held);
    pthread_mutex_lock(&lock);
    held = true;
}

void vm_unlock(void)
{
    g_assert(held);
    held = false;
    pthread_mutex_unlock(&lock);
}

bool vm_lock_held(void)
{
    return held;
}

void vm_lock_cond_wait(pthread_cond_t *cond)
{
    g_assert(held);
    held = false;
    pthread_cond_wait(cond, &lock);
    held = true;
}
