/* SPDX-License-Identifier: Apache-2.0 */
/* iothread objects: their thread, their properties, their end. */
#include "backends/iothread.h"

#include <string.h>

#include "qapi/qapi-commands-misc.h"
#include "util/thread.h"
#include "util/timer.h"

static Object *create(const char *json, GError **error)
{
    json_object *options = json_tokener_parse(json);
    Object *obj = user_object_create(options, false, error);

    json_object_put(options);
    return obj;
}

static void look_around(void *opaque)
{
    int *tid = opaque;

    g_assert_false(loop_in_main_thread());
    *tid = thread_current_tid();
}

static void test_life(void)
{
    g_autoptr(GError) error = NULL;
    Object *obj = create("{'qom-type':'iothread','id':'t0'}", &error);
    g_autoptr(GPtrArray) list = NULL;
    const IOThreadInfo *info;
    int tid = 0;

    g_assert_no_error(error);
    loop_post_wait(iothread_loop((IoThread *)obj), look_around, &tid);
    g_assert_cmpint(tid, ==, iothread_tid((IoThread *)obj));
    list = qmp_query_iothreads(NULL);
    g_assert_cmpuint(list->len, ==, 1);
    info = g_ptr_array_index(list, 0);
    g_assert_cmpstr(info->id, ==, "t0");
    g_assert_cmpint(info->thread_id, ==, tid);
    object_ref(obj);
    g_assert_false(user_object_delete("t0", &error));
    g_assert_cmpstr(error->message, ==, "iothread 't0' is in use");
    object_unref(obj);
    g_assert_true(user_object_delete("t0", NULL));
    g_ptr_array_unref(list);
    list = qmp_query_iothreads(NULL);
    g_assert_cmpuint(list->len, ==, 0);
}

static void test_properties(void)
{
    g_autoptr(GError) error = NULL;
    Object *obj = create("{'qom-type':'iothread','id':'t1','poll-max-ns':50000,'poll-grow':4}",
                         &error);
    json_object *value;
    int tid;

    g_assert_no_error(error);
    value = object_property_get(obj, "poll-max-ns", NULL);
    g_assert_cmpint(json_object_get_int64(value), ==, 50000);
    json_object_put(value);
    /* Polling loops serve posts as sleeping ones do, and the bound changes while they run. */
    for (int i = 0; i < 1000; i++) {
        if (i % 100 == 50) {
            g_assert_true(object_property_set_int(obj, "poll-max-ns", i % 200 == 50 ? 0 : 20000,
                                                  NULL));
        }
        loop_post_wait(iothread_loop((IoThread *)obj), look_around, &tid);
    }
    g_assert_false(object_property_set_int(obj, "poll-max-ns", -1, &error));
    g_assert_nonnull(strstr(error->message, "negative"));
    g_assert_true(user_object_delete("t1", NULL));
    g_clear_error(&error);
    g_assert_null(create("{'qom-type':'iothread','id':'t2','poll-shrink':-1}", NULL));
    g_assert_null(create("{'qom-type':'iothread','id':'t2','thread-pool-max':0}", NULL));
    g_assert_null(create("{'qom-type':'iothread','id':'t2','thread-pool-min':65}", NULL));
    obj = create("{'qom-type':'iothread','id':'t3','thread-pool-min':70,'thread-pool-max':80}",
                 NULL);
    g_assert_nonnull(obj);
    g_assert_false(object_property_set_int(obj, "thread-pool-max", 69, &error));
    g_assert_nonnull(strstr(error->message, "thread-pool-min"));
    g_clear_error(&error);
    g_assert_false(object_property_set_int(obj, "thread-pool-min", 81, NULL));
    g_assert_true(object_property_set_int(obj, "thread-pool-max", 70, NULL));
    g_assert_true(user_object_delete("t3", NULL));
}

static void count(void *opaque)
{
    ++*(int *)opaque;
}

static void test_timer(void)
{
    Object *obj = create("{'qom-type':'iothread','id':'t3','poll-max-ns':1000000}", NULL);
    Loop *loop = iothread_loop((IoThread *)obj);
    int fired = 0;
    Timer *timer = timer_new(loop, VM_CLOCK_REALTIME, count, &fired);

    for (int i = 1; i <= 20; i++) {
        timer_mod(timer, vm_clock_ns(VM_CLOCK_REALTIME) + 100 * NS_PER_US);
        while (__atomic_load_n(&fired, __ATOMIC_RELAXED) < i) {
            g_usleep(100);
        }
    }
    timer_free(timer);
    g_assert_true(user_object_delete("t3", NULL));
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/iothread/life", test_life);
    g_test_add_func("/iothread/properties", test_properties);
    g_test_add_func("/iothread/timer", test_timer);
    return g_test_run();
}
