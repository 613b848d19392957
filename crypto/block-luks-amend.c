/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Changing the key slots of LUKS. A slot is filled before the header names it and erased before the
 * header forgets it, so an interruption leaves at worst a slot that opens nothing.
 */
#include <string.h>

#include "crypto/block-internal.h"
#include "crypto/block-luks.h"
#include "crypto/luks-keys.h"
#include "util/error.h"

typedef struct Amend {
    CryptoBlock *block;
    const QCryptoBlockAmendOptionsLUKS *options;
    const char *prefix;
    const CryptoBlockIo *io;
    bool force;
} Amend;

static bool refuse(const char *given, const char *prefix, const char *name, const char *state,
                   GError **error)
{
    if (given) {
        error_setf(error, "'%s%s' has no meaning with state '%s'", prefix, name, state);
    }
    return given == NULL;
}

static unsigned active_slots(const LuksHeader *header)
{
    unsigned slots = 0;

    for (int i = 0; i < LUKS_SLOTS; i++) {
        slots |= (unsigned)header->slots[i].active << i;
    }
    return slots;
}

static bool check_keyslot(const Amend *amend, GError **error)
{
    if (amend->options->has_keyslot &&
        (amend->options->keyslot < 0 || amend->options->keyslot >= LUKS_SLOTS)) {
        error_setf(error, "'%skeyslot' is %" PRId64 "; slots are 0 to %d", amend->prefix,
                   amend->options->keyslot, LUKS_SLOTS - 1);
        return false;
    }
    return true;
}

/* The slot to fill, or -1. */
static int choose_slot(const Amend *amend, GError **error)
{
    const LuksHeader *header = &amend->block->luks;
    int slot = amend->options->has_keyslot ? (int)amend->options->keyslot : 0;

    if (amend->options->has_keyslot) {
        if (header->slots[slot].active && !amend->force) {
            error_setf(error, "key slot %d is active; erase it first", slot);
            return -1;
        }
        return slot;
    }
    while (slot < LUKS_SLOTS && header->slots[slot].active) {
        slot++;
    }
    if (slot == LUKS_SLOTS) {
        error_setf(error, "all %d key slots are active; erase one first", LUKS_SLOTS);
        return -1;
    }
    return slot;
}

static bool activate(const Amend *amend, GError **error)
{
    const QCryptoBlockAmendOptionsLUKS *options = amend->options;
    CryptoBlock *block = amend->block;
    const char *secret_id = options->secret ? options->secret : block->key_secret;
    g_autoptr(SecretData) old_password = NULL;
    g_autoptr(SecretData) new_password = NULL;
    uint8_t master_key[LUKS_MAX_KEY];
    LuksHeader header = block->luks;
    uint64_t iter_time;
    LuksPace pace;
    int slot = choose_slot(amend, error);
    bool ok;

    if (slot < 0 ||
        !refuse(options->old_secret, amend->prefix, "old-secret", "active", error) ||
        !luks_iter_time(options->has_iter_time, options->iter_time, &iter_time, error)) {
        return false;
    }
    new_password = crypto_block_secret(options->new_secret, amend->prefix, "new-secret", error);
    if (!new_password) {
        return false;
    }
    old_password = crypto_block_secret(secret_id, amend->prefix, "secret", error);
    if (!old_password) {
        return false;
    }
    pace = luks_pace(&header, iter_time);
    ok = luks_find_key(&header, old_password, secret_id, amend->io, master_key, error) &&
         luks_slot_fill(&header, slot, new_password, &pace, master_key, amend->io, error) &&
         luks_header_write(&header, amend->io, error);
    explicit_bzero(master_key, sizeof(master_key));
    if (ok) {
        block->luks = header;
    }
    return ok;
}

/* Of the slots in *slots, those that the password opens. */
static bool keep_matching(const Amend *amend, unsigned *slots, const SecretData *password,
                          GError **error)
{
    const LuksHeader *header = &amend->block->luks;
    uint8_t master_key[LUKS_MAX_KEY];

    for (int i = 0; i < LUKS_SLOTS; i++) {
        bool fits = false;

        if (*slots >> i & 1 && header->slots[i].active &&
            !luks_slot_try(header, i, password, amend->io, master_key, &fits, error)) {
            return false;
        }
        if (!fits) {
            *slots &= ~(1u << i);
        }
    }
    explicit_bzero(master_key, sizeof(master_key));
    return true;
}

/* Which slots are to be erased; none is an error. */
static bool choose_victims(const Amend *amend, unsigned *slots, GError **error)
{
    const QCryptoBlockAmendOptionsLUKS *options = amend->options;
    g_autoptr(SecretData) password = NULL;

    *slots = options->has_keyslot ? 1u << options->keyslot : active_slots(&amend->block->luks);
    if (!options->old_secret) {
        if (!options->has_keyslot) {
            error_setf(error, "erasing needs '%skeyslot' or '%sold-secret'", amend->prefix,
                       amend->prefix);
        } else if (!(*slots & active_slots(&amend->block->luks)) && !amend->force) {
            error_setf(error, "key slot %" PRId64 " is not active", options->keyslot);
            return false;
        }
        return options->has_keyslot;
    }
    password = secret_lookup(options->old_secret, error);
    if (!password || !keep_matching(amend, slots, password, error)) {
        return false;
    }
    if (!*slots) {
        error_setf(error, "the password in secret '%s' opens none of these key slots",
                   options->old_secret);
    }
    return *slots != 0;
}

static bool deactivate(const Amend *amend, GError **error)
{
    const QCryptoBlockAmendOptionsLUKS *options = amend->options;
    LuksHeader *header = &amend->block->luks;
    unsigned slots;

    if (!refuse(options->new_secret, amend->prefix, "new-secret", "inactive", error) ||
        !refuse(options->secret, amend->prefix, "secret", "inactive", error) ||
        !refuse(options->has_iter_time ? "" : NULL, amend->prefix, "iter-time", "inactive",
                error) ||
        !choose_victims(amend, &slots, error)) {
        return false;
    }
    if (!(active_slots(header) & ~slots) && !amend->force) {
        error_setf(error, "this would erase the last key, and all data with it; force does it");
        return false;
    }
    for (int i = 0; i < LUKS_SLOTS; i++) {
        if (slots >> i & 1 && (!luks_slot_erase(header, i, amend->io, error) ||
                               !luks_header_write(header, amend->io, error))) {
            return false;
        }
    }
    return true;
}

bool luks_amend(CryptoBlock *block, const QCryptoBlockAmendOptions *options, const char *prefix,
                const CryptoBlockIo *io, bool force, GError **error)
{
    Amend amend = {
        .block = block,
        .options = &options->u.luks,
        .prefix = prefix,
        .io = io,
        .force = force,
    };

    return check_keyslot(&amend, error) &&
           (options->u.luks.state == QCRYPTO_BLOCK_LUKS_KEYSLOT_STATE_ACTIVE
                ? activate(&amend, error) : deactivate(&amend, error));
}
