/* SPDX-License-Identifier: Apache-2.0 */
/*
 * announce-self: a reverse ARP request (RFC 903) from each NIC makes switches learn where it is;
 * guests that can are asked to say more. Rounds follow each other at growing distance.
 */
#include <string.h>

#include "net/netdev.h"
#include "net/nic.h"
#include "util/bits.h"
#include "util/error.h"
#include "util/timer.h"

#define ETHERTYPE_RARP 0x8035
#define ARP_ETHERNET 1
#define ARP_IPV4 0x0800
#define ARP_REVERSE_REQUEST 3
#define MAX_ROUNDS 1000
#define MAX_DELAY_MS 100000

typedef struct Announcer {
    AnnounceParameters *parameters;
    int64_t done;
    Timer *timer;
} Announcer;

/* By id; "" is the nameless one. */
static GHashTable *announcers;

static void announcer_free(void *data)
{
    Announcer *announcer = data;

    timer_free(announcer->timer);
    AnnounceParameters_free(announcer->parameters);
    g_free(announcer);
}

static bool concerns(const AnnounceParameters *parameters, const char *name)
{
    const GPtrArray *names = parameters->interfaces;

    for (guint i = 0; names && i < names->len; i++) {
        if (g_str_equal(g_ptr_array_index(names, i), name)) {
            return true;
        }
    }
    return !names;
}

static void make_request(uint8_t frame[NET_MIN_FRAME], const uint8_t mac[NET_MAC_LEN])
{
    memset(frame, 0, NET_MIN_FRAME);
    memset(frame, 0xff, NET_MAC_LEN);
    memcpy(frame + 6, mac, NET_MAC_LEN);
    stw_be(frame + 12, ETHERTYPE_RARP);
    stw_be(frame + 14, ARP_ETHERNET);
    stw_be(frame + 16, ARP_IPV4);
    frame[18] = NET_MAC_LEN;
    frame[19] = 4;
    stw_be(frame + 20, ARP_REVERSE_REQUEST);
    memcpy(frame + 22, mac, NET_MAC_LEN);
    memcpy(frame + 32, mac, NET_MAC_LEN);
}

static bool collect(NetClient *nc, void *opaque)
{
    if (net_client_is_nic(nc) && nc->queue_index == 0) {
        g_ptr_array_add(opaque, nc);
    }
    return true;
}

static void announce_all(const AnnounceParameters *parameters)
{
    g_autoptr(GPtrArray) nics = g_ptr_array_new();

    net_client_foreach(collect, nics);
    for (guint i = 0; i < nics->len; i++) {
        NetClient *nc = g_ptr_array_index(nics, i);
        uint8_t frame[NET_MIN_FRAME];

        if (!concerns(parameters, nc->name)) {
            continue;
        }
        make_request(frame, nc->mac);
        net_send_buf(nc, frame, sizeof(frame));
        if (nc->ops->announce) {
            nc->ops->announce(nc);
        }
    }
}

static void next_round(void *opaque)
{
    Announcer *announcer = opaque;
    const AnnounceParameters *parameters = announcer->parameters;
    int64_t delay;

    announce_all(parameters);
    delay = MIN(parameters->initial + announcer->done * parameters->step, parameters->max);
    announcer->done++;
    if (announcer->done < parameters->rounds) {
        timer_mod(announcer->timer, vm_clock_ns(VM_CLOCK_REALTIME) + delay * NS_PER_MS);
    } else {
        g_hash_table_remove(announcers, parameters->id ? parameters->id : "");
    }
}

static bool in_range(int64_t value, int64_t max, const char *name, GError **error)
{
    if (value < 0 || value > max) {
        error_setf(error, "Parameter '%s' expects a value between 0 and %" G_GINT64_FORMAT, name,
                   max);
        return false;
    }
    return true;
}

bool net_announce(const AnnounceParameters *parameters, GError **error)
{
    const char *id = parameters->id ? parameters->id : "";
    Announcer *announcer;

    if (!in_range(parameters->initial, MAX_DELAY_MS, "initial", error) ||
        !in_range(parameters->max, MAX_DELAY_MS, "max", error) ||
        !in_range(parameters->rounds, MAX_ROUNDS, "rounds", error) ||
        !in_range(parameters->step, MAX_DELAY_MS, "step", error)) {
        return false;
    }
    if (!announcers) {
        announcers = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, announcer_free);
    }
    g_hash_table_remove(announcers, id);
    if (!parameters->rounds) {
        return true;
    }
    announcer = g_new0(Announcer, 1);
    announcer->parameters = AnnounceParameters_clone(parameters);
    announcer->timer = timer_new(loop_main(), VM_CLOCK_REALTIME, next_round, announcer);
    g_hash_table_insert(announcers, g_strdup(id), announcer);
    next_round(announcer);
    return true;
}

void net_announce_cleanup(void)
{
    g_clear_pointer(&announcers, g_hash_table_unref);
}
