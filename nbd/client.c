/* SPDX-License-Identifier: Apache-2.0 */
#include "nbd/client.h"

#include <inttypes.h>
#include <string.h>

#include "io/channel-tls.h"
#include "util/bits.h"
#include "util/error.h"

/* Replies to one option: more than this is no honest server. */
#define MAX_REPLIES 1000

typedef struct Client {
    Channel *channel;     /* owned */
    bool fixed;           /* knows options beyond NBD_OPT_EXPORT_NAME */
    bool no_zeroes;
    bool oldstyle;
    NbdExportInfo *info;
} Client;

/* One reply to an option. */
typedef struct Answer {
    uint32_t type;
    uint32_t len;
    uint8_t *data;        /* owned; len bytes and a zero behind them */
} Answer;

static void answer_clear(Answer *answer)
{
    g_free(answer->data);
    *answer = (Answer) { 0 };
}
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(Answer, answer_clear)

void nbd_client_result_clear(NbdClientResult *result)
{
    channel_unref(result->channel);
    nbd_export_info_clear(&result->info);
    *result = (NbdClientResult) { 0 };
}

/* ---- Options ---- */

static bool send_option(Client *client, NbdOpt option, const void *data, uint32_t len,
                        GError **error)
{
    uint8_t header[NBD_OPTION_LEN];
    struct iovec iov[] = { { header, sizeof(header) }, { (void *)data, len } };

    nbd_encode_option(header, &(NbdOption){ option, len });
    if (!channel_writev_all(client->channel, iov, 2, error)) {
        g_prefix_error(error, "Failed to send option %s: ", nbd_option_name(option));
        return false;
    }
    return true;
}

/* Replaces *answer. */
static bool receive_answer(Client *client, NbdOpt option, Answer *answer, GError **error)
{
    uint8_t header[NBD_OPTION_REPLY_LEN];
    NbdOptionReply reply;

    answer_clear(answer);
    if (!channel_read_all(client->channel, header, sizeof(header), error)) {
        g_prefix_error(error, "Failed to read the reply to %s: ", nbd_option_name(option));
        return false;
    }
    if (!nbd_decode_option_reply(header, &reply) || reply.option != option) {
        error_setf(error, "The server's reply to %s is not one", nbd_option_name(option));
        return false;
    }
    if (reply.len > NBD_MAX_OPTION_DATA) {
        error_setf(error, "The server's reply to %s has %" PRIu32 " bytes, more than %u",
                   nbd_option_name(option), reply.len, NBD_MAX_OPTION_DATA);
        return false;
    }
    answer->type = reply.type;
    answer->len = reply.len;
    answer->data = g_malloc0(reply.len + 1);
    return reply.len == 0 || channel_read_all(client->channel, answer->data, reply.len, error);
}

/* A peer's words in one of our lines: nothing that a terminal obeys. */
static char *printable(const uint8_t *data, size_t len)
{
    char *text = g_strndup((const char *)data, MIN(len, 500));

    for (char *c = text; *c; c++) {
        if ((unsigned char)*c < ' ' || *c == 0x7f) {
            *c = '?';
        }
    }
    return text;
}

static bool is_text(const uint8_t *data, size_t len)
{
    return len <= NBD_MAX_STRING && g_utf8_validate((const char *)data, (gssize)len, NULL);
}

/* What the server answered with an error, for people. */
static void set_refusal(const Answer *answer, NbdOpt option, GError **error)
{
    g_autofree char *words = printable(answer->data, answer->len);

    if (answer->type == NBD_REP_ERR_UNKNOWN) {
        error_setf(error, "Requested export not available%s%s", *words ? ": " : "", words);
    } else if (answer->type == NBD_REP_ERR_TLS_REQD) {
        error_setf(error, "The server requires TLS for %s; did you forget a valid tls-creds?",
                   nbd_option_name(option));
    } else {
        error_setf(error, "The server refused %s: %s", nbd_option_name(option),
                   *words ? words : nbd_reply_name(answer->type));
    }
}

/* An option that is answered by one ACK. 1: accepted, 0: refused, -1: broken, error set. */
static int simple_option(Client *client, NbdOpt option, bool optional, GError **error)
{
    g_auto(Answer) answer = { 0 };

    if (!send_option(client, option, NULL, 0, error) ||
        !receive_answer(client, option, &answer, error)) {
        return -1;
    }
    if (answer.type & NBD_REP_IS_ERROR) {
        if (!optional) {
            set_refusal(&answer, option, error);
        }
        return 0;
    }
    if (answer.type != NBD_REP_ACK || answer.len) {
        error_setf(error, "The server's reply to %s is not an acknowledgement",
                   nbd_option_name(option));
        return -1;
    }
    return 1;
}

static void send_abort(Client *client)
{
    send_option(client, NBD_OPT_ABORT, NULL, 0, NULL);
}

/* ---- The greeting ---- */

static bool take_oldstyle(Client *client, GError **error)
{
    uint8_t rest[8 + 4 + NBD_EXPORT_NAME_PADDING];

    if (!channel_read_all(client->channel, rest, sizeof(rest), error)) {
        return false;
    }
    client->oldstyle = true;
    client->info->size = ldq_be(rest);
    client->info->flags = ldw_be(rest + 10);
    return true;
}

static bool greet(Client *client, GError **error)
{
    uint8_t magics[16], flags[4];
    uint16_t offered;
    uint32_t ours;

    if (!channel_read_all(client->channel, magics, sizeof(magics), error)) {
        g_prefix_error(error, "Failed to read the server's greeting: ");
        return false;
    }
    if (ldq_be(magics) != NBD_MAGIC) {
        error_setf(error, "The server does not speak NBD");
        return false;
    }
    if (ldq_be(magics + 8) == NBD_OLDSTYLE_MAGIC) {
        return take_oldstyle(client, error);
    }
    if (ldq_be(magics + 8) != NBD_OPTION_MAGIC) {
        error_setf(error, "The server speaks an unknown kind of NBD (0x%" PRIx64 ")",
                   ldq_be(magics + 8));
        return false;
    }
    if (!channel_read_all(client->channel, flags, 2, error)) {
        return false;
    }
    offered = ldw_be(flags);
    client->fixed = offered & NBD_GREETING_FIXED_NEWSTYLE;
    client->no_zeroes = offered & NBD_GREETING_NO_ZEROES;
    ours = offered & (NBD_GREETING_FIXED_NEWSTYLE | NBD_GREETING_NO_ZEROES);
    stl_be(flags, ours);
    return channel_write_all(client->channel, flags, 4, error);
}

static bool start_tls(Client *client, TlsCreds *creds, const char *hostname, GError **error)
{
    Channel *tls;

    if (!client->fixed) {
        error_setf(error, "The server does not support TLS");
        return false;
    }
    if (simple_option(client, NBD_OPT_STARTTLS, false, error) <= 0) {
        return false;
    }
    tls = channel_tls_new(client->channel, creds, hostname, NULL, error);
    if (!tls) {
        return false;
    }
    channel_unref(client->channel);
    client->channel = tls;
    return channel_tls_handshake(tls, error);
}

/* ---- Choosing an export ---- */

static bool is_power_of_two(uint32_t n)
{
    return n && !(n & (n - 1));
}

static bool take_block_sizes(NbdExportInfo *info, const Answer *answer, GError **error)
{
    if (answer->len != 14) {
        error_setf(error, "The server's block sizes have %" PRIu32 " bytes", answer->len);
        return false;
    }
    info->min_block = ldl_be(answer->data + 2);
    info->opt_block = ldl_be(answer->data + 6);
    info->max_block = ldl_be(answer->data + 10);
    if (!is_power_of_two(info->min_block) || info->min_block > 64 * KiB ||
        !is_power_of_two(info->opt_block) || info->opt_block < info->min_block ||
        info->max_block < info->min_block) {
        error_setf(error, "The server's block sizes (minimum %" PRIu32 ", preferred %" PRIu32
                   ", maximum %" PRIu32 ") make no sense", info->min_block, info->opt_block,
                   info->max_block);
        return false;
    }
    return true;
}

static bool take_text_info(char **to, const char *what, const Answer *answer, GError **error)
{
    if (!is_text(answer->data + 2, answer->len - 2)) {
        error_setf(error, "The server's %s of the export is no text", what);
        return false;
    }
    g_free(*to);
    *to = g_strndup((const char *)answer->data + 2, answer->len - 2);
    return true;
}

static bool take_info(NbdExportInfo *info, const Answer *answer, bool *has_size, GError **error)
{
    if (answer->len < 2) {
        error_setf(error, "The server's information about the export is too short");
        return false;
    }
    switch (ldw_be(answer->data)) {
    case NBD_INFO_EXPORT:
        if (answer->len != 12) {
            error_setf(error, "The server's information about the export has %" PRIu32 " bytes",
                       answer->len);
            return false;
        }
        info->size = ldq_be(answer->data + 2);
        info->flags = ldw_be(answer->data + 10);
        *has_size = true;
        return true;
    case NBD_INFO_BLOCK_SIZE:
        return take_block_sizes(info, answer, error);
    case NBD_INFO_NAME:
        return take_text_info(&info->name, "name", answer, error);
    case NBD_INFO_DESCRIPTION:
        return take_text_info(&info->description, "description", answer, error);
    default:
        return true; /* what we did not ask for */
    }
}

/*
 * NBD_OPT_GO or NBD_OPT_INFO. 1: done, 0: the server does not know this option, -1: error set.
 */
static int go(Client *client, NbdOpt option, const char *export, NbdExportInfo *info,
              GError **error)
{
    static const uint16_t wanted[] = { NBD_INFO_NAME, NBD_INFO_DESCRIPTION, NBD_INFO_BLOCK_SIZE };
    /* A name and a description are of use to who lists exports only. */
    unsigned first = option == NBD_OPT_GO ? 2 : 0, n = G_N_ELEMENTS(wanted) - first;
    uint32_t name_len = (uint32_t)strlen(export);
    g_autofree uint8_t *data = g_malloc(name_len + 6 + 2 * sizeof(wanted));
    g_auto(Answer) answer = { 0 };
    bool has_size = false;

    stl_be(data, name_len);
    memcpy(data + 4, export, name_len);
    stw_be(data + 4 + name_len, (uint16_t)n);
    for (unsigned i = 0; i < n; i++) {
        stw_be(data + 6 + name_len + 2 * i, wanted[first + i]);
    }
    if (!send_option(client, option, data, 6 + name_len + 2 * n, error)) {
        return -1;
    }
    for (int replies = 0; replies < MAX_REPLIES; replies++) {
        if (!receive_answer(client, option, &answer, error)) {
            return -1;
        }
        if (answer.type == NBD_REP_ERR_UNSUP) {
            return 0;
        }
        if (answer.type & NBD_REP_IS_ERROR) {
            set_refusal(&answer, option, error);
            return -1;
        }
        if (answer.type == NBD_REP_ACK && has_size) {
            return 1;
        }
        if (answer.type != NBD_REP_INFO || !take_info(info, &answer, &has_size, error)) {
            if (error && !*error) {
                error_setf(error, "The server's reply to %s lacks the export's size",
                           nbd_option_name(option));
            }
            return -1;
        }
    }
    error_setf(error, "The server does not stop replying to %s", nbd_option_name(option));
    return -1;
}

/* The old way, whose only refusal is the end of the connection. */
static bool choose_by_name(Client *client, const char *export, NbdExportInfo *info, GError **error)
{
    uint8_t reply[10 + NBD_EXPORT_NAME_PADDING];
    size_t len = client->no_zeroes ? 10 : sizeof(reply);

    if (!send_option(client, NBD_OPT_EXPORT_NAME, export, (uint32_t)strlen(export), error)) {
        return false;
    }
    if (!channel_read_all(client->channel, reply, len, error)) {
        g_prefix_error(error, "Requested export not available: ");
        return false;
    }
    info->size = ldq_be(reply);
    info->flags = ldw_be(reply + 8);
    return true;
}

/* ---- Metadata contexts ---- */

static bool send_context_query(Client *client, NbdOpt option, const char *export,
                               const char *query, GError **error)
{
    uint32_t name_len = (uint32_t)strlen(export), query_len = query ? (uint32_t)strlen(query) : 0;
    uint32_t len = 8 + name_len + (query ? 4 + query_len : 0);
    g_autofree uint8_t *data = g_malloc(len);

    stl_be(data, name_len);
    memcpy(data + 4, export, name_len);
    stl_be(data + 4 + name_len, query ? 1 : 0);
    if (query) {
        stl_be(data + 8 + name_len, query_len);
        memcpy(data + 12 + name_len, query, query_len);
    }
    return send_option(client, option, data, len, error);
}

/* One reply. 1: a context (its name is at data + 4), 0: the end, -1: error set. */
static int receive_context(Client *client, NbdOpt option, Answer *answer, GError **error)
{
    if (!receive_answer(client, option, answer, error)) {
        return -1;
    }
    if ((answer->type & NBD_REP_IS_ERROR) || answer->type == NBD_REP_ACK) {
        return 0; /* a refusal means that there are none */
    }
    if (answer->type != NBD_REP_META_CONTEXT || answer->len < 4 ||
        !is_text(answer->data + 4, answer->len - 4)) {
        error_setf(error, "The server's reply to %s is not a metadata context",
                   nbd_option_name(option));
        return -1;
    }
    return 1;
}

static bool choose_context(Client *client, const NbdClientWish *wish, NbdClientResult *result,
                           GError **error)
{
    g_auto(Answer) answer = { 0 };
    int more;

    if (!send_context_query(client, NBD_OPT_SET_META_CONTEXT, wish->export, wish->context,
                            error)) {
        return false;
    }
    for (int replies = 0; replies < MAX_REPLIES; replies++) {
        more = receive_context(client, NBD_OPT_SET_META_CONTEXT, &answer, error);
        if (more <= 0) {
            return more == 0;
        }
        if (result->has_context || strcmp((char *)answer.data + 4, wish->context) != 0) {
            error_setf(error, "The server chose a metadata context that was not asked for");
            return false;
        }
        result->has_context = true;
        result->context_id = ldl_be(answer.data);
    }
    error_setf(error, "The server does not stop replying to NBD_OPT_SET_META_CONTEXT");
    return false;
}

/* ---- Connecting ---- */

static bool haggle(Client *client, const NbdClientWish *wish, NbdClientResult *result,
                   GError **error)
{
    int ret;

    if (!greet(client, error)) {
        return false;
    }
    if (client->oldstyle) {
        if (*wish->export || wish->tls) {
            error_setf(error, "The server is too old for %s",
                       wish->tls ? "TLS" : "named exports");
            return false;
        }
        return true;
    }
    if (wish->tls && !start_tls(client, wish->tls, wish->tls_hostname, error)) {
        return false;
    }
    if (!client->fixed) {
        return choose_by_name(client, wish->export, &result->info, error);
    }
    ret = wish->simple_replies ? 0 : simple_option(client, NBD_OPT_STRUCTURED_REPLY, true, error);
    if (ret < 0) {
        return false;
    }
    result->structured = ret > 0;
    if (result->structured && wish->context && !choose_context(client, wish, result, error)) {
        return false;
    }
    ret = go(client, NBD_OPT_GO, wish->export, &result->info, error);
    if (ret < 0) {
        send_abort(client);
    }
    return ret > 0 || (ret == 0 && choose_by_name(client, wish->export, &result->info, error));
}

static bool info_is_sane(const NbdExportInfo *info, GError **error)
{
    if (!(info->flags & NBD_FLAG_HAS_FLAGS) && info->flags) {
        error_setf(error, "The server's flags of the export (0x%x) make no sense", info->flags);
        return false;
    }
    if (info->size > INT64_MAX) {
        error_setf(error, "The export's size %" PRIu64 " is too large", info->size);
        return false;
    }
    if (info->min_block > 1 && info->size % info->min_block) {
        error_setf(error, "The export's size %" PRIu64 " is no multiple of its minimum block size "
                   "%" PRIu32, info->size, info->min_block);
        return false;
    }
    return true;
}

bool nbd_client_connect(Channel *channel, const NbdClientWish *wish, NbdClientResult *result,
                        GError **error)
{
    Client client = { .channel = channel_ref(channel), .info = &result->info };

    *result = (NbdClientResult) { 0 };
    if (strlen(wish->export) > NBD_MAX_STRING) {
        error_setf(error, "The export's name is longer than %d bytes", NBD_MAX_STRING);
    } else if (haggle(&client, wish, result, error) && info_is_sane(&result->info, error)) {
        result->channel = client.channel;
        return true;
    }
    channel_unref(client.channel);
    nbd_client_result_clear(result);
    return false;
}

/* ---- Listing ---- */

static void listed_free(void *opaque)
{
    NbdListed *listed = opaque;

    nbd_export_info_clear(&listed->info);
    g_ptr_array_unref(listed->contexts);
    g_free(listed);
}

static bool take_listed(GPtrArray *list, const Answer *answer, GError **error)
{
    uint32_t name_len = answer->len >= 4 ? ldl_be(answer->data) : UINT32_MAX;
    NbdListed *listed;

    if (answer->type != NBD_REP_SERVER || name_len > answer->len - 4 ||
        !is_text(answer->data + 4, name_len)) {
        error_setf(error, "The server's list of exports is wrong at entry %u", list->len);
        return false;
    }
    if (list->len == NBD_MAX_LISTED) {
        error_setf(error, "The server lists more than %d exports", NBD_MAX_LISTED);
        return false;
    }
    listed = g_new0(NbdListed, 1);
    listed->info.name = g_strndup((const char *)answer->data + 4, name_len);
    listed->contexts = g_ptr_array_new_with_free_func(g_free);
    if (answer->len > 4 + name_len) {
        listed->info.description = printable(answer->data + 4 + name_len,
                                             answer->len - 4 - name_len);
    }
    g_ptr_array_add(list, listed);
    return true;
}

static bool list_names(Client *client, GPtrArray *list, GError **error)
{
    g_auto(Answer) answer = { 0 };

    if (!send_option(client, NBD_OPT_LIST, NULL, 0, error)) {
        return false;
    }
    for (;;) {
        if (!receive_answer(client, NBD_OPT_LIST, &answer, error)) {
            return false;
        }
        if (answer.type == NBD_REP_ACK) {
            return true;
        }
        if (answer.type & NBD_REP_IS_ERROR) {
            set_refusal(&answer, NBD_OPT_LIST, error);
            return false;
        }
        if (!take_listed(list, &answer, error)) {
            return false;
        }
    }
}

static bool list_contexts(Client *client, NbdListed *listed, GError **error)
{
    g_auto(Answer) answer = { 0 };
    int more = 0;

    if (!send_context_query(client, NBD_OPT_LIST_META_CONTEXT, listed->info.name, NULL, error)) {
        return false;
    }
    while ((more = receive_context(client, NBD_OPT_LIST_META_CONTEXT, &answer, error)) > 0 &&
           listed->contexts->len < MAX_REPLIES) {
        g_ptr_array_add(listed->contexts, g_strdup((char *)answer.data + 4));
    }
    return more == 0;
}

static bool list_details(Client *client, GPtrArray *list, GError **error)
{
    int structured = simple_option(client, NBD_OPT_STRUCTURED_REPLY, true, error);
    int known = structured < 0 ? -1 : 1;

    for (guint i = 0; i < list->len && known > 0; i++) {
        NbdListed *listed = g_ptr_array_index(list, i);
        g_autofree char *name = g_strdup(listed->info.name);

        listed->structured = structured;
        known = go(client, NBD_OPT_INFO, name, &listed->info, error);
        if (known > 0 && structured && !list_contexts(client, listed, error)) {
            known = -1;
        }
    }
    return known >= 0;
}

GPtrArray *nbd_client_list(Channel *channel, TlsCreds *tls, const char *tls_hostname,
                           GError **error)
{
    g_autoptr(GPtrArray) list = g_ptr_array_new_with_free_func(listed_free);
    NbdExportInfo info = { 0 };
    Client client = { .channel = channel_ref(channel), .info = &info };
    bool ok = greet(&client, error);

    if (ok && !client.fixed) {
        error_setf(error, "The server is too old to list its exports");
        ok = false;
    }
    ok = ok && (!tls || start_tls(&client, tls, tls_hostname, error));
    ok = ok && list_names(&client, list, error) && list_details(&client, list, error);
    if (ok) {
        send_abort(&client);
    }
    channel_unref(client.channel);
    nbd_export_info_clear(&info);
    return ok ? g_steal_pointer(&list) : NULL;
}
