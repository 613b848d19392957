/* SPDX-License-Identifier: Apache-2.0 */
#include "nbd/server.h"

#include <inttypes.h>
#include <string.h>

#include "io/channel-tls.h"
#include "util/bits.h"
#include "util/error.h"

/* Longer data of an option than this ends the connection; up to it, it is read and refused. */
#define MAX_SKIPPED (1u << 20)
/* A client that wants to see every export of a large server needs a few for each. */
#define MAX_OPTIONS 100000
#define MAX_QUERIES 1000

typedef struct Server {
    Channel *channel;               /* owned */
    const NbdServerSetup *setup;
    NbdServerResult *result;
    bool is_tls, no_zeroes, fixed;
    char *context_export;           /* for which result->contexts was chosen; owned */
    uint32_t option;                /* the one that is answered */
    uint8_t *data;                  /* its data, owned; a zero stands behind it */
    uint32_t len, at;               /* at: what was taken of it */
} Server;

/* What comes after an option. */
typedef enum Next { NEXT_OPTION, NEXT_TRANSMISSION, NEXT_END, NEXT_BROKEN } Next;

/* ---- Answers ---- */

static bool answer_parts(Server *s, uint32_t type, const struct iovec *parts, unsigned n,
                         GError **error)
{
    uint8_t header[NBD_OPTION_REPLY_LEN];
    struct iovec iov[4] = { { header, sizeof(header) } };
    uint32_t len = 0;

    for (unsigned i = 0; i < n; i++) {
        iov[i + 1] = parts[i];
        len += (uint32_t)parts[i].iov_len;
    }
    nbd_encode_option_reply(header, &(NbdOptionReply){ s->option, type, len });
    return channel_writev_all(s->channel, iov, n + 1, error);
}

static Next answer(Server *s, uint32_t type, const char *text, GError **error)
{
    struct iovec part = { (void *)text, text ? strlen(text) : 0 };

    return answer_parts(s, type, &part, 1, error) ? NEXT_OPTION : NEXT_BROKEN;
}

/* ---- Taking an option's data apart; false: there is less than that ---- */

static bool take32(Server *s, uint32_t *value)
{
    if (s->len - s->at < 4) {
        return false;
    }
    *value = ldl_be(s->data + s->at);
    s->at += 4;
    return true;
}

static bool take16(Server *s, uint16_t *value)
{
    if (s->len - s->at < 2) {
        return false;
    }
    *value = ldw_be(s->data + s->at);
    s->at += 2;
    return true;
}

/* A length and so many bytes, which must be text. The caller's. */
static char *take_string(Server *s)
{
    uint32_t len;
    char *text;

    if (!take32(s, &len) || len > NBD_MAX_STRING || len > s->len - s->at ||
        !g_utf8_validate((char *)s->data + s->at, len, NULL)) {
        return NULL;
    }
    text = g_strndup((char *)s->data + s->at, len);
    s->at += len;
    return text;
}

static Next not_present(Server *s, const char *name, GError **error)
{
    g_autofree char *text = g_strdup_printf("export '%s' not present", name);

    return answer(s, NBD_REP_ERR_UNKNOWN, text, error);
}

/* ---- Choosing an export ---- */

/* The export is chosen; its reference goes to the result. */
static Next choose(Server *s, void *export, const char *name)
{
    s->result->export = export;
    if (g_strcmp0(s->context_export, name) != 0) {
        s->result->contexts = 0;
    }
    return NEXT_TRANSMISSION;
}

static uint16_t flags_for(const Server *s, const NbdExportInfo *info)
{
    return info->flags | NBD_FLAG_HAS_FLAGS | (s->result->structured ? NBD_FLAG_SEND_DF : 0);
}

static Next export_name(Server *s, GError **error)
{
    uint8_t reply[10 + NBD_EXPORT_NAME_PADDING] = { 0 };
    NbdExportInfo info = { 0 };
    void *export;

    if (s->setup->tls && !s->is_tls) {
        error_setf(error, "The client chose an export without TLS");
        return NEXT_BROKEN;
    }
    if (s->len > NBD_MAX_STRING || !g_utf8_validate((char *)s->data, s->len, NULL)) {
        error_setf(error, "The client's export name is no text of at most %d bytes",
                   NBD_MAX_STRING);
        return NEXT_BROKEN;
    }
    export = s->setup->ops->find(s->setup->opaque, (char *)s->data, &info);
    if (!export) {
        error_setf(error, "export '%s' not present", (char *)s->data);
        return NEXT_BROKEN;
    }
    stq_be(reply, info.size);
    stw_be(reply + 8, flags_for(s, &info));
    nbd_export_info_clear(&info);
    if (!channel_write_all(s->channel, reply, s->no_zeroes ? 10 : sizeof(reply), error)) {
        s->setup->ops->unref(export);
        return NEXT_BROKEN;
    }
    return choose(s, export, (char *)s->data);
}

static bool answer_info(Server *s, uint16_t type, const void *data, size_t len, GError **error)
{
    uint8_t head[2];
    struct iovec parts[] = { { head, 2 }, { (void *)data, len } };

    stw_be(head, type);
    return answer_parts(s, NBD_REP_INFO, parts, 2, error);
}

static bool answer_infos(Server *s, const NbdExportInfo *info, const char *name, bool wants_name,
                         bool wants_blocks, GError **error)
{
    uint8_t blocks[12], size[10];

    stl_be(blocks, wants_blocks ? info->min_block : 1);
    stl_be(blocks + 4, info->opt_block);
    stl_be(blocks + 8, info->max_block);
    stq_be(size, info->size);
    stw_be(size + 8, flags_for(s, info));
    return (!wants_name || answer_info(s, NBD_INFO_NAME, name, strlen(name), error)) &&
           (!info->description || answer_info(s, NBD_INFO_DESCRIPTION, info->description,
                                              strlen(info->description), error)) &&
           answer_info(s, NBD_INFO_BLOCK_SIZE, blocks, sizeof(blocks), error) &&
           answer_info(s, NBD_INFO_EXPORT, size, sizeof(size), error);
}

/* NBD_OPT_INFO and NBD_OPT_GO. */
static Next info_or_go(Server *s, GError **error)
{
    g_autofree char *name = take_string(s);
    bool wants_name = false, wants_blocks = false;
    NbdExportInfo info = { 0 };
    uint16_t count = 0, wish;
    Next next = NEXT_BROKEN;
    void *export;

    if (!name || !take16(s, &count) || s->len - s->at != 2u * count) {
        return answer(s, NBD_REP_ERR_INVALID, "malformed request for an export", error);
    }
    while (take16(s, &wish)) {
        wants_name |= wish == NBD_INFO_NAME;
        wants_blocks |= wish == NBD_INFO_BLOCK_SIZE;
    }
    export = s->setup->ops->find(s->setup->opaque, name, &info);
    if (!export) {
        return not_present(s, name, error);
    }
    if (answer_infos(s, &info, name, wants_name, wants_blocks, error)) {
        next = answer(s, NBD_REP_ACK, NULL, error);
    }
    nbd_export_info_clear(&info);
    if (next == NEXT_OPTION && s->option == NBD_OPT_GO) {
        return choose(s, export, name);
    }
    s->setup->ops->unref(export);
    return next;
}

/* ---- Lists ---- */

static Next list(Server *s, GError **error)
{
    const NbdServerSetup *setup = s->setup;
    char *name;

    if (s->len) {
        return answer(s, NBD_REP_ERR_INVALID, "a list takes no data", error);
    }
    for (unsigned i = 0; (name = setup->ops->name(setup->opaque, i)); i++) {
        NbdExportInfo info = { 0 };
        void *export = setup->ops->find(setup->opaque, name, &info);
        uint8_t head[4];
        struct iovec parts[] = {
            { head, 4 }, { name, strlen(name) },
            { info.description, info.description ? strlen(info.description) : 0 },
        };
        bool ok;

        stl_be(head, (uint32_t)strlen(name));
        ok = !export || answer_parts(s, NBD_REP_SERVER, parts, 3, error);
        nbd_export_info_clear(&info);
        g_free(name);
        if (export) {
            setup->ops->unref(export);
        }
        if (!ok) {
            return NEXT_BROKEN;
        }
    }
    return answer(s, NBD_REP_ACK, NULL, error);
}

/*
 * Listing, a query may be a prefix that ends in a colon ("qemu:", "qemu:dirty-bitmap:");
 * choosing, it is a whole name.
 */
static bool query_matches(const char *query, const char *context, bool is_list)
{
    size_t len = strlen(query);

    return !strcmp(query, context) ||
           (is_list && len && query[len - 1] == ':' && g_str_has_prefix(context, query));
}

static bool answer_contexts(Server *s, void *export, uint64_t chosen, bool is_list, GError **error)
{
    bool ok = true;

    for (unsigned i = 0; i < NBD_MAX_CONTEXTS && ok; i++) {
        g_autofree char *name = chosen >> i & 1 ? s->setup->ops->context(export, i) : NULL;
        uint8_t head[4];
        struct iovec parts[] = { { head, 4 }, { name, name ? strlen(name) : 0 } };

        stl_be(head, is_list ? 0 : i);
        ok = !name || answer_parts(s, NBD_REP_META_CONTEXT, parts, 2, error);
    }
    return ok;
}

/* Which contexts the queries mean; false: the data is malformed. */
static bool take_queries(Server *s, void *export, bool is_list, uint64_t *chosen)
{
    uint32_t count;
    char *name;

    *chosen = 0;
    if (!take32(s, &count) || count > MAX_QUERIES) {
        return false;
    }
    for (uint32_t q = 0; q < MAX(count, 1); q++) {
        g_autofree char *query = count ? take_string(s) : NULL;

        if (count && !query) {
            return false;
        }
        for (unsigned i = 0; i < NBD_MAX_CONTEXTS &&
                             (name = s->setup->ops->context(export, i)); i++) {
            if (query ? query_matches(query, name, is_list) : is_list) {
                *chosen |= BIT_ULL(i);
            }
            g_free(name);
        }
    }
    return s->at == s->len;
}

/* NBD_OPT_LIST_META_CONTEXT and NBD_OPT_SET_META_CONTEXT. */
static Next contexts(Server *s, GError **error)
{
    bool is_list = s->option == NBD_OPT_LIST_META_CONTEXT;
    g_autofree char *name = take_string(s);
    NbdExportInfo info = { 0 };
    Next next = NEXT_BROKEN;
    uint64_t chosen;
    void *export;

    if (!s->result->structured) {
        return answer(s, NBD_REP_ERR_INVALID, "structured replies come first", error);
    }
    if (!name) {
        return answer(s, NBD_REP_ERR_INVALID, "malformed export name", error);
    }
    if (!is_list) {
        s->result->contexts = 0;
    }
    export = s->setup->ops->find(s->setup->opaque, name, &info);
    nbd_export_info_clear(&info);
    if (!export) {
        return not_present(s, name, error);
    }
    if (!take_queries(s, export, is_list, &chosen)) {
        next = answer(s, NBD_REP_ERR_INVALID, "malformed queries", error);
    } else if (answer_contexts(s, export, chosen, is_list, error)) {
        next = answer(s, NBD_REP_ACK, NULL, error);
        if (!is_list) {
            s->result->contexts = chosen;
            g_free(s->context_export);
            s->context_export = g_steal_pointer(&name);
        }
    }
    s->setup->ops->unref(export);
    return next;
}

/* ---- The others ---- */

static Next abort_option(Server *s, GError **error)
{
    answer(s, NBD_REP_ACK, NULL, NULL); /* who is leaving need not hear it */
    return NEXT_END;
}

static Next start_tls(Server *s, GError **error)
{
    Channel *tls;

    if (s->len) {
        return answer(s, NBD_REP_ERR_INVALID, "TLS takes no data", error);
    }
    if (!s->setup->tls) {
        return answer(s, NBD_REP_ERR_POLICY, "TLS not configured", error);
    }
    if (s->is_tls) {
        return answer(s, NBD_REP_ERR_INVALID, "TLS is in use already", error);
    }
    if (answer(s, NBD_REP_ACK, NULL, error) == NEXT_BROKEN) {
        return NEXT_BROKEN;
    }
    tls = channel_tls_new(s->channel, s->setup->tls, NULL, s->setup->tls_authz, error);
    if (!tls) {
        return NEXT_BROKEN;
    }
    channel_unref(s->channel);
    s->channel = tls;
    s->is_tls = true;
    return channel_tls_handshake(tls, error) ? NEXT_OPTION : NEXT_BROKEN;
}

static Next structured_reply(Server *s, GError **error)
{
    if (s->len) {
        return answer(s, NBD_REP_ERR_INVALID, "structured replies take no data", error);
    }
    if (s->result->structured) {
        return answer(s, NBD_REP_ERR_INVALID, "structured replies are in use already", error);
    }
    s->result->structured = true;
    return answer(s, NBD_REP_ACK, NULL, error);
}

typedef struct OptionRule {
    Next (*run)(Server *s, GError **error);
    bool before_tls; /* also where TLS is required and not there yet */
} OptionRule;

static const OptionRule rules[] = {
    [NBD_OPT_EXPORT_NAME] = { export_name, true },
    [NBD_OPT_ABORT] = { abort_option, true },
    [NBD_OPT_LIST] = { list },
    [NBD_OPT_STARTTLS] = { start_tls, true },
    [NBD_OPT_INFO] = { info_or_go },
    [NBD_OPT_GO] = { info_or_go },
    [NBD_OPT_STRUCTURED_REPLY] = { structured_reply },
    [NBD_OPT_LIST_META_CONTEXT] = { contexts },
    [NBD_OPT_SET_META_CONTEXT] = { contexts },
};

/* ---- The haggling ---- */

static bool greet(Server *s, GError **error)
{
    uint8_t greeting[18], flags[4];
    uint32_t known = NBD_GREETING_FIXED_NEWSTYLE | NBD_GREETING_NO_ZEROES;

    stq_be(greeting, NBD_MAGIC);
    stq_be(greeting + 8, NBD_OPTION_MAGIC);
    stw_be(greeting + 16, (uint16_t)known);
    if (!channel_write_all(s->channel, greeting, sizeof(greeting), error) ||
        !channel_read_all(s->channel, flags, sizeof(flags), error)) {
        return false;
    }
    if (ldl_be(flags) & ~known) {
        error_setf(error, "The client has unknown flags 0x%" PRIx32, ldl_be(flags));
        return false;
    }
    s->fixed = ldl_be(flags) & NBD_GREETING_FIXED_NEWSTYLE;
    s->no_zeroes = ldl_be(flags) & NBD_GREETING_NO_ZEROES;
    return true;
}

static bool skip_data(Server *s, uint32_t len, GError **error)
{
    g_autofree uint8_t *data = NULL;

    if (len > MAX_SKIPPED) {
        error_setf(error, "The client's option %s has %" PRIu32 " bytes",
                   nbd_option_name(s->option), len);
        return false;
    }
    data = g_malloc(len);
    return channel_read_all(s->channel, data, len, error);
}

/* Its header and data. *too_big: the data is gone already. */
static bool receive_option(Server *s, bool *too_big, GError **error)
{
    uint8_t header[NBD_OPTION_LEN];
    NbdOption option;

    if (!channel_read_all(s->channel, header, sizeof(header), error)) {
        return false;
    }
    if (!nbd_decode_option(header, &option)) {
        error_setf(error, "The client sent what is no option");
        return false;
    }
    g_clear_pointer(&s->data, g_free);
    s->option = option.option;
    s->len = s->at = 0;
    *too_big = option.len > NBD_MAX_OPTION_DATA;
    if (*too_big) {
        return skip_data(s, option.len, error);
    }
    s->data = g_malloc0(option.len + 1);
    s->len = option.len;
    return option.len == 0 || channel_read_all(s->channel, s->data, option.len, error);
}

static Next do_option(Server *s, GError **error)
{
    const OptionRule *rule;
    bool too_big;

    if (!receive_option(s, &too_big, error)) {
        return NEXT_BROKEN;
    }
    rule = s->option < G_N_ELEMENTS(rules) ? &rules[s->option] : NULL;
    if (!s->fixed && s->option != NBD_OPT_EXPORT_NAME) {
        error_setf(error, "The client sent option %s without fixed newstyle",
                   nbd_option_name(s->option));
        return NEXT_BROKEN;
    }
    if (s->setup->tls && !s->is_tls && !(rule && rule->before_tls)) {
        return answer(s, NBD_REP_ERR_TLS_REQD, "not permitted before TLS", error);
    }
    if (!rule || !rule->run) {
        return answer(s, NBD_REP_ERR_UNSUP, "unknown option", error);
    }
    if (too_big && s->option == NBD_OPT_EXPORT_NAME) {
        error_setf(error, "The client's export name is too long");
        return NEXT_BROKEN;
    }
    if (too_big) {
        return answer(s, NBD_REP_ERR_TOO_BIG, "too much data", error);
    }
    return rule->run(s, error);
}

bool nbd_server_handshake(Channel *channel, const NbdServerSetup *setup, NbdServerResult *result,
                          GError **error)
{
    Server server = { .channel = channel_ref(channel), .setup = setup, .result = result };
    Next next = NEXT_OPTION;

    *result = (NbdServerResult) { 0 };
    if (!greet(&server, error)) {
        next = NEXT_BROKEN;
    }
    for (int i = 0; i < MAX_OPTIONS && next == NEXT_OPTION; i++) {
        next = do_option(&server, error);
    }
    if (next == NEXT_OPTION) {
        error_setf(error, "The client does not stop sending options");
    }
    g_free(server.data);
    g_free(server.context_export);
    if (next == NEXT_TRANSMISSION) {
        result->channel = server.channel;
        return true;
    }
    channel_unref(server.channel);
    return next == NEXT_END;
}
