/* SPDX-License-Identifier: Apache-2.0 */
/* Encoding and decoding of fixed messages, error numbers, names. */
#include "nbd/proto.h"

#include <errno.h>
#include <glib.h>

#include "util/bits.h"

void nbd_export_info_clear(NbdExportInfo *info)
{
    g_free(info->name);
    g_free(info->description);
    *info = (NbdExportInfo) { 0 };
}

void nbd_encode_option(uint8_t out[NBD_OPTION_LEN], const NbdOption *option)
{
    stq_be(out, NBD_OPTION_MAGIC);
    stl_be(out + 8, option->option);
    stl_be(out + 12, option->len);
}

bool nbd_decode_option(const uint8_t in[NBD_OPTION_LEN], NbdOption *option)
{
    option->option = ldl_be(in + 8);
    option->len = ldl_be(in + 12);
    return ldq_be(in) == NBD_OPTION_MAGIC;
}

void nbd_encode_option_reply(uint8_t out[NBD_OPTION_REPLY_LEN], const NbdOptionReply *reply)
{
    stq_be(out, NBD_OPTION_REPLY_MAGIC);
    stl_be(out + 8, reply->option);
    stl_be(out + 12, reply->type);
    stl_be(out + 16, reply->len);
}

bool nbd_decode_option_reply(const uint8_t in[NBD_OPTION_REPLY_LEN], NbdOptionReply *reply)
{
    reply->option = ldl_be(in + 8);
    reply->type = ldl_be(in + 12);
    reply->len = ldl_be(in + 16);
    return ldq_be(in) == NBD_OPTION_REPLY_MAGIC;
}

void nbd_encode_request(uint8_t out[NBD_REQUEST_LEN], const NbdRequest *request)
{
    stl_be(out, NBD_REQUEST_MAGIC);
    stw_be(out + 4, request->flags);
    stw_be(out + 6, request->type);
    stq_be(out + 8, request->handle);
    stq_be(out + 16, request->offset);
    stl_be(out + 24, request->len);
}

bool nbd_decode_request(const uint8_t in[NBD_REQUEST_LEN], NbdRequest *request)
{
    request->flags = ldw_be(in + 4);
    request->type = ldw_be(in + 6);
    request->handle = ldq_be(in + 8);
    request->offset = ldq_be(in + 16);
    request->len = ldl_be(in + 24);
    return ldl_be(in) == NBD_REQUEST_MAGIC;
}

void nbd_encode_simple_reply(uint8_t out[NBD_SIMPLE_REPLY_LEN], uint64_t handle, uint32_t error)
{
    stl_be(out, NBD_SIMPLE_REPLY_MAGIC);
    stl_be(out + 4, error);
    stq_be(out + 8, handle);
}

void nbd_encode_chunk(uint8_t out[NBD_CHUNK_LEN], const NbdReply *chunk)
{
    stl_be(out, NBD_CHUNK_MAGIC);
    stw_be(out + 4, chunk->flags);
    stw_be(out + 6, chunk->type);
    stq_be(out + 8, chunk->handle);
    stl_be(out + 16, chunk->len);
}

bool nbd_decode_reply(const uint8_t in[NBD_SIMPLE_REPLY_LEN], NbdReply *reply)
{
    *reply = (NbdReply) { .handle = ldq_be(in + 8) };
    switch (ldl_be(in)) {
    case NBD_SIMPLE_REPLY_MAGIC:
        reply->error = ldl_be(in + 4);
        return true;
    case NBD_CHUNK_MAGIC:
        reply->structured = true;
        reply->flags = ldw_be(in + 4);
        reply->type = ldw_be(in + 6);
        return true;
    default:
        return false;
    }
}

/* ---- Errors ---- */

typedef struct ErrorPair {
    int err;
    uint32_t nbd;
} ErrorPair;

/* Where several have one number, the first is what a client sees. */
static const ErrorPair errors[] = {
    { EPERM, 1 },      { EROFS, 1 },   { EIO, 5 },        { ENOMEM, 12 },
    { EINVAL, 22 },    { ENOSPC, 28 }, { EFBIG, 28 },     { EDQUOT, 28 },
    { EOVERFLOW, 75 }, { ENOTSUP, 95 }, { ESHUTDOWN, 108 },
};

uint32_t nbd_error_from_errno(int err)
{
    for (size_t i = 0; i < G_N_ELEMENTS(errors); i++) {
        if (errors[i].err == err) {
            return errors[i].nbd;
        }
    }
    return err ? 5 : 0;
}

int nbd_error_to_errno(uint32_t error)
{
    for (size_t i = 0; i < G_N_ELEMENTS(errors); i++) {
        if (errors[i].nbd == error) {
            return errors[i].err;
        }
    }
    return error ? EINVAL : 0;
}

/* ---- Names ---- */

static const char *const option_names[] = {
    [NBD_OPT_EXPORT_NAME] = "NBD_OPT_EXPORT_NAME",
    [NBD_OPT_ABORT] = "NBD_OPT_ABORT",
    [NBD_OPT_LIST] = "NBD_OPT_LIST",
    [NBD_OPT_STARTTLS] = "NBD_OPT_STARTTLS",
    [NBD_OPT_INFO] = "NBD_OPT_INFO",
    [NBD_OPT_GO] = "NBD_OPT_GO",
    [NBD_OPT_STRUCTURED_REPLY] = "NBD_OPT_STRUCTURED_REPLY",
    [NBD_OPT_LIST_META_CONTEXT] = "NBD_OPT_LIST_META_CONTEXT",
    [NBD_OPT_SET_META_CONTEXT] = "NBD_OPT_SET_META_CONTEXT",
};

static const char *const error_names[] = {
    "", "the option is not supported", "the server's policy forbids it", "the option is invalid",
    "the platform does not support it", "TLS is required", "there is no such export",
    "the server is shutting down", "block sizes must be negotiated", "the option is too big",
};

const char *nbd_option_name(uint32_t option)
{
    return option < G_N_ELEMENTS(option_names) && option_names[option] ? option_names[option]
                                                                       : "<unknown>";
}

const char *nbd_reply_name(uint32_t type)
{
    uint32_t number = type & ~NBD_REP_IS_ERROR;

    if (!(type & NBD_REP_IS_ERROR)) {
        return "no error";
    }
    return number && number < G_N_ELEMENTS(error_names) ? error_names[number] : "<unknown>";
}
