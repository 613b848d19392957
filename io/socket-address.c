/* SPDX-License-Identifier: Apache-2.0 */
/* Socket addresses: text to schema type to kernel structure, and back. */
#include <netdb.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h> /* linux/vm_sockets.h wants it first */
#include <linux/vm_sockets.h>
#include <sys/un.h>

#include "io/socket-internal.h"
#include "util/error.h"
#include "util/parse.h"

static bool set_flag(const char *value, bool *has, bool *flag, GError **error)
{
    *has = true;
    return parse_bool(value, flag, error);
}

static bool set_to(InetSocketAddress *inet, const char *value, GError **error)
{
    uint64_t to;

    if (!parse_uint64(value, &to, error)) {
        return false;
    }
    if (to > UINT16_MAX) {
        error_setf(error, "port %s is more than 65535", value);
        return false;
    }
    inet->has_to = true;
    inet->to = (uint16_t)to;
    return true;
}

/* "ipv4=on"; a bare word means on. */
static bool set_option(InetSocketAddress *inet, char *word, GError **error)
{
    static const char *const names[] = { "to", "ipv4", "ipv6", "numeric", "keep-alive", "mptcp",
                                         NULL };
    bool *const has[] = { NULL, &inet->has_ipv4, &inet->has_ipv6, &inet->has_numeric,
                          &inet->has_keep_alive, &inet->has_mptcp };
    bool *const flags[] = { NULL, &inet->ipv4, &inet->ipv6, &inet->numeric, &inet->keep_alive,
                            &inet->mptcp };
    char *equals = strchr(word, '=');
    const char *value = equals ? equals + 1 : "on";

    if (equals) {
        *equals = '\0';
    }
    for (size_t i = 0; names[i]; i++) {
        if (strcmp(word, names[i]) == 0) {
            return i == 0 ? set_to(inet, value, error) : set_flag(value, has[i], flags[i], error);
        }
    }
    error_setf(error, "a socket address has no option '%s'", word);
    error_append_nearest(error, word, names);
    return false;
}

static bool parse_inet(const char *text, InetSocketAddress *inet, GError **error)
{
    g_auto(GStrv) words = g_strsplit(text, ",", -1);
    const char *first = words[0] ? words[0] : "";
    const char *colon;

    if (first[0] == '[') {
        const char *end = strchr(first, ']');

        colon = end && end[1] == ':' ? end + 1 : NULL;
        inet->host = colon ? g_strndup(first + 1, (gsize)(end - first - 1)) : NULL;
    } else {
        colon = strrchr(first, ':');
        inet->host = colon ? g_strndup(first, (gsize)(colon - first)) : NULL;
    }
    if (!colon || colon[1] == '\0') {
        error_setf(error, "'%s' is no socket address; write HOST:PORT, unix:PATH, vsock:CID:PORT "
                   "or fd:NAME", text);
        return false;
    }
    if (first[0] != '[' && strchr(inet->host, ':')) {
        error_setf(error, "'%s': an IPv6 address is written in brackets, [%s]:PORT", text,
                   inet->host);
        return false;
    }
    inet->port = g_strdup(colon + 1);
    for (char **word = words + 1; *word; word++) {
        if (!set_option(inet, *word, error)) {
            return false;
        }
    }
    return true;
}

static bool parse_vsock(const char *text, VsockSocketAddress *vsock, GError **error)
{
    const char *colon = strchr(text, ':');

    if (!colon) {
        error_setf(error, "'%s' is no vsock address; write CID:PORT", text);
        return false;
    }
    vsock->cid = g_strndup(text, (gsize)(colon - text));
    vsock->port = g_strdup(colon + 1);
    return true;
}

SocketAddress *socket_address_parse(const char *text, GError **error)
{
    g_autoptr(SocketAddress) addr = g_new0(SocketAddress, 1);
    bool ok = true;

    if (g_str_has_prefix(text, "unix:")) {
        addr->type = SOCKET_ADDRESS_TYPE_UNIX;
        addr->u.q_unix.path = g_strdup(text + 5);
    } else if (g_str_has_prefix(text, "fd:")) {
        addr->type = SOCKET_ADDRESS_TYPE_FD;
        addr->u.fd.str = g_strdup(text + 3);
    } else if (g_str_has_prefix(text, "vsock:")) {
        addr->type = SOCKET_ADDRESS_TYPE_VSOCK;
        ok = parse_vsock(text + 6, &addr->u.vsock, error);
    } else {
        addr->type = SOCKET_ADDRESS_TYPE_INET;
        ok = parse_inet(g_str_has_prefix(text, "tcp:") ? text + 4 : text, &addr->u.inet, error);
    }
    return ok ? g_steal_pointer(&addr) : NULL;
}

char *socket_address_text(const SocketAddress *addr)
{
    switch (addr->type) {
    case SOCKET_ADDRESS_TYPE_INET:
        return g_strdup_printf(strchr(addr->u.inet.host, ':') ? "[%s]:%s" : "%s:%s",
                               addr->u.inet.host, addr->u.inet.port);
    case SOCKET_ADDRESS_TYPE_UNIX:
        return g_strdup_printf("unix:%s", addr->u.q_unix.path);
    case SOCKET_ADDRESS_TYPE_VSOCK:
        return g_strdup_printf("vsock:%s:%s", addr->u.vsock.cid, addr->u.vsock.port);
    default:
        return g_strdup_printf("fd:%s", addr->u.fd.str);
    }
}

SocketAddress *socket_address_flatten(const SocketAddressLegacy *legacy)
{
    SocketAddress *addr = g_new0(SocketAddress, 1);

    /* A branch is embedded: move what the clone holds, and free only its shell. */
    addr->type = legacy->type;
    switch (legacy->type) {
    case SOCKET_ADDRESS_TYPE_INET: {
        InetSocketAddress *copy = InetSocketAddress_clone(legacy->u.inet.data);

        addr->u.inet = *copy;
        g_free(copy);
        break;
    }
    case SOCKET_ADDRESS_TYPE_UNIX: {
        UnixSocketAddress *copy = UnixSocketAddress_clone(legacy->u.q_unix.data);

        addr->u.q_unix = *copy;
        g_free(copy);
        break;
    }
    case SOCKET_ADDRESS_TYPE_VSOCK: {
        VsockSocketAddress *copy = VsockSocketAddress_clone(legacy->u.vsock.data);

        addr->u.vsock = *copy;
        g_free(copy);
        break;
    }
    default:
        addr->u.fd.str = g_strdup(legacy->u.fd.data->str);
        break;
    }
    return addr;
}

static SocketAddress *from_inet(const struct sockaddr_storage *sa, socklen_t len, GError **error)
{
    SocketAddress *addr;
    char host[NI_MAXHOST];
    char port[NI_MAXSERV];
    int result = getnameinfo((const struct sockaddr *)sa, len, host, sizeof(host), port,
                             sizeof(port), NI_NUMERICHOST | NI_NUMERICSERV);

    if (result) {
        error_setf(error, "cannot tell a socket's address: %s", gai_strerror(result));
        return NULL;
    }
    addr = g_new0(SocketAddress, 1);
    addr->type = SOCKET_ADDRESS_TYPE_INET;
    addr->u.inet.host = g_strdup(host);
    addr->u.inet.port = g_strdup(port);
    addr->u.inet.has_numeric = addr->u.inet.numeric = true;
    if (sa->ss_family == AF_INET6) {
        addr->u.inet.has_ipv6 = addr->u.inet.ipv6 = true;
    } else {
        addr->u.inet.has_ipv4 = addr->u.inet.ipv4 = true;
    }
    return addr;
}

static SocketAddress *from_unix(const struct sockaddr_storage *sa, socklen_t len)
{
    const struct sockaddr_un *un = (const struct sockaddr_un *)sa;
    SocketAddress *addr = g_new0(SocketAddress, 1);
    size_t room = len - MIN(len, offsetof(struct sockaddr_un, sun_path));

    addr->type = SOCKET_ADDRESS_TYPE_UNIX;
    if (room > 0 && un->sun_path[0] == '\0') {
        addr->u.q_unix.path = g_strndup(un->sun_path + 1, room - 1);
        addr->u.q_unix.has_abstract = addr->u.q_unix.abstract = true;
        addr->u.q_unix.has_tight = true;
        addr->u.q_unix.tight = len < sizeof(*un);
    } else {
        addr->u.q_unix.path = g_strndup(un->sun_path, room);
    }
    return addr;
}

SocketAddress *socket_address_from_sockaddr(const struct sockaddr_storage *sa, socklen_t len,
                                            GError **error)
{
    const struct sockaddr_vm *vm = (const struct sockaddr_vm *)sa;
    SocketAddress *addr;

    switch (sa->ss_family) {
    case AF_INET:
    case AF_INET6:
        return from_inet(sa, len, error);
    case AF_UNIX:
        return from_unix(sa, len);
    case AF_VSOCK:
        addr = g_new0(SocketAddress, 1);
        addr->type = SOCKET_ADDRESS_TYPE_VSOCK;
        addr->u.vsock.cid = g_strdup_printf("%u", vm->svm_cid);
        addr->u.vsock.port = g_strdup_printf("%u", vm->svm_port);
        return addr;
    default:
        error_setf(error, "a socket is of the unknown family %u", sa->ss_family);
        return NULL;
    }
}

static SocketAddress *address_of(int fd, int (*get)(int, struct sockaddr *, socklen_t *),
                                 GError **error)
{
    struct sockaddr_storage sa = { 0 };
    socklen_t len = sizeof(sa);

    if (get(fd, (struct sockaddr *)&sa, &len) < 0) {
        error_set_errno(error, errno, "cannot tell a socket's address");
        return NULL;
    }
    return socket_address_from_sockaddr(&sa, len, error);
}

static int local_name(int fd, struct sockaddr *sa, socklen_t *len)
{
    return getsockname(fd, sa, len);
}

static int peer_name(int fd, struct sockaddr *sa, socklen_t *len)
{
    return getpeername(fd, sa, len);
}

SocketAddress *socket_local_address(int fd, GError **error)
{
    return address_of(fd, local_name, error);
}

SocketAddress *socket_remote_address(int fd, GError **error)
{
    return address_of(fd, peer_name, error);
}

/* Which family the two switches leave; -1: none. */
static int chosen_family(const InetSocketAddress *addr)
{
    bool v4 = addr->has_ipv4 ? addr->ipv4 : !(addr->has_ipv6 && addr->ipv6);
    bool v6 = addr->has_ipv6 ? addr->ipv6 : !(addr->has_ipv4 && addr->ipv4);

    return v4 && v6 ? AF_UNSPEC : v4 ? AF_INET : v6 ? AF_INET6 : -1;
}

struct addrinfo *socket_resolve(const InetSocketAddress *addr, bool passive, GError **error)
{
    struct addrinfo hints = {
        .ai_family = chosen_family(addr),
        .ai_socktype = SOCK_STREAM,
        .ai_flags = (passive ? AI_PASSIVE : 0) |
                    (addr->has_numeric && addr->numeric ? AI_NUMERICHOST | AI_NUMERICSERV : 0),
    };
    struct addrinfo *list;
    int result;

    if (hints.ai_family < 0) {
        error_setf(error, "'%s:%s': ipv4 and ipv6 cannot both be off", addr->host, addr->port);
        return NULL;
    }
    result = getaddrinfo(*addr->host ? addr->host : NULL, addr->port, &hints, &list);
    /* It means the loopback even where /etc/hosts does not say so (RFC 6761, 6.3). */
    if (result && g_ascii_strcasecmp(addr->host, "localhost") == 0 &&
        !(hints.ai_flags & AI_NUMERICHOST)) {
        hints.ai_flags &= ~AI_PASSIVE;
        result = getaddrinfo(NULL, addr->port, &hints, &list);
    }
    if (result) {
        error_setf(error, "cannot find address '%s:%s': %s", addr->host, addr->port,
                   result == EAI_SYSTEM ? g_strerror(errno) : gai_strerror(result));
        return NULL;
    }
    return list;
}

bool socket_fill_unix(const UnixSocketAddress *addr, struct sockaddr_un *un, socklen_t *len,
                      GError **error)
{
    bool abstract = addr->has_abstract && addr->abstract;
    size_t room = sizeof(un->sun_path) - (abstract ? 1 : 0);
    size_t length = strlen(addr->path);

    if (length == 0 || length > room - (abstract ? 0 : 1)) {
        error_setf(error, "UNIX socket path '%s' has %zu bytes; 1 to %zu are possible", addr->path,
                   length, room - (abstract ? 0 : 1));
        return false;
    }
    *un = (struct sockaddr_un) { .sun_family = AF_UNIX };
    memcpy(un->sun_path + abstract, addr->path, length);
    *len = sizeof(*un);
    if (abstract && (!addr->has_tight || addr->tight)) {
        *len = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + 1 + length);
    }
    return true;
}

bool socket_fill_vsock(const VsockSocketAddress *addr, struct sockaddr_storage *sa, socklen_t *len,
                       GError **error)
{
    struct sockaddr_vm vm = { .svm_family = AF_VSOCK };
    uint64_t cid;
    uint64_t port;

    if (!parse_uint64(addr->cid, &cid, error) || !parse_uint64(addr->port, &port, error)) {
        return false;
    }
    if (cid > UINT32_MAX || port > UINT32_MAX) {
        error_setf(error, "vsock address '%s:%s' is out of range", addr->cid, addr->port);
        return false;
    }
    vm.svm_cid = (unsigned)cid;
    vm.svm_port = (unsigned)port;
    memset(sa, 0, sizeof(*sa));
    memcpy(sa, &vm, sizeof(vm));
    *len = sizeof(vm);
    return true;
}

int socket_new_inet(const InetSocketAddress *addr, const struct addrinfo *info)
{
    int protocol = addr->has_mptcp && addr->mptcp ? IPPROTO_MPTCP : info->ai_protocol;

    return socket(info->ai_family, info->ai_socktype | SOCK_CLOEXEC, protocol);
}
