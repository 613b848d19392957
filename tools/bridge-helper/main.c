/* SPDX-License-Identifier: Apache-2.0 */
/*
 * vireo-bridge-helper: opens a tap interface, joins it to a bridge and hands its descriptor over a
 * socket to who started it: `--br=NAME --fd=SOCKET [--use-vnet]`, as QEMU's helper is called.
 *
 * To do that is a right of the network namespace (CAP_NET_ADMIN). The program asks for no set-uid
 * bit: an administrator gives it that one capability by setcap(8), or starts it by other means.
 * What it then does for whom is said by a file of lines "allow BRIDGE", "deny BRIDGE" ("all": every
 * bridge) and "include FILE"; without a line that allows it, nothing is done, and "deny" wins.
 */
#include <errno.h>
#include <fcntl.h>
#include <glib.h>
#include <linux/if_tun.h>
#include <linux/sockios.h>
#include <net/if.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#define TUN_DEVICE "/dev/net/tun"
#define MAX_INCLUDES 8

/* The first that exists counts. */
static const char *const acl_files[] = { "/etc/vireo/bridge.conf", "/etc/qemu/bridge.conf" };

typedef struct Request {
    const char *bridge;
    int socket;
    bool vnet_header;
    const char *acl;
} Request;

static G_GNUC_PRINTF(1, 2) _Noreturn void die(const char *fmt, ...)
{
    va_list args;

    fputs("vireo-bridge-helper: ", stderr);
    va_start(args, fmt);
    vfprintf(stderr, fmt, args);
    va_end(args);
    fputc('\n', stderr);
    exit(1);
}

/* ---- Options ---- */

static const char *value_of(const char *arg, const char *name)
{
    size_t len = strlen(name);

    return strncmp(arg, name, len) == 0 ? arg + len : NULL;
}

static int parse_fd(const char *text)
{
    char *end;
    long fd = strtol(text, &end, 10);

    if (!*text || *end || fd < 0 || fd > INT32_MAX) {
        die("'%s' is no descriptor", text);
    }
    return (int)fd;
}

static Request parse_options(int argc, char **argv)
{
    Request request = { .socket = -1 };

    for (int i = 1; i < argc; i++) {
        const char *value;

        if (strcmp(argv[i], "--use-vnet") == 0) {
            request.vnet_header = true;
        } else if ((value = value_of(argv[i], "--br="))) {
            request.bridge = value;
        } else if ((value = value_of(argv[i], "--fd="))) {
            request.socket = parse_fd(value);
        } else if ((value = value_of(argv[i], "--acl="))) {
            request.acl = value;
        } else {
            die("usage: vireo-bridge-helper --br=BRIDGE --fd=SOCKET [--use-vnet] [--acl=FILE]");
        }
    }
    if (!request.bridge || request.socket < 0) {
        die("--br=BRIDGE and --fd=SOCKET are needed");
    }
    if (!*request.bridge || strlen(request.bridge) >= IFNAMSIZ) {
        die("'%s' cannot be the name of a bridge", request.bridge);
    }
    /* With rights that the caller lacks, the administrator's file counts and no other. */
    if (request.acl && getauxval(AT_SECURE)) {
        die("--acl= is for callers that need no extra rights");
    }
    return request;
}

/* ---- Who may ---- */

typedef struct Verdict {
    bool allowed, denied;
} Verdict;

static void read_rules(const char *path, const char *bridge, unsigned depth, Verdict *verdict)
{
    g_autofree char *text = NULL;
    g_auto(GStrv) lines = NULL;

    if (depth > MAX_INCLUDES || !g_file_get_contents(path, &text, NULL, NULL)) {
        die("cannot read '%s', which says who may use which bridge", path);
    }
    lines = g_strsplit(text, "\n", -1);
    for (unsigned i = 0; lines[i]; i++) {
        char word[16], name[256];

        g_strstrip(lines[i]);
        if (!*lines[i] || *lines[i] == '#') {
            continue;
        }
        if (sscanf(lines[i], "%15s %255s", word, name) != 2) {
            die("%s:%u: neither 'allow', 'deny' nor 'include' with a name", path, i + 1);
        } else if (strcmp(word, "include") == 0) {
            read_rules(name, bridge, depth + 1, verdict);
        } else if (strcmp(word, "allow") != 0 && strcmp(word, "deny") != 0) {
            die("%s:%u: neither 'allow', 'deny' nor 'include' with a name", path, i + 1);
        } else if (strcmp(name, "all") == 0 || strcmp(name, bridge) == 0) {
            verdict->allowed |= *word == 'a';
            verdict->denied |= *word == 'd';
        }
    }
}

static const char *find_acl(void)
{
    for (size_t i = 0; i < G_N_ELEMENTS(acl_files); i++) {
        if (access(acl_files[i], F_OK) == 0) {
            return acl_files[i];
        }
    }
    die("there is no %s, which says who may use which bridge", acl_files[0]);
}

static void check_rules(const Request *request)
{
    Verdict verdict = { 0 };

    read_rules(request->acl ? request->acl : find_acl(), request->bridge, 0, &verdict);
    if (!verdict.allowed || verdict.denied) {
        die("bridge '%s' is not allowed", request->bridge);
    }
}

/* ---- The interface ---- */

static int open_tap(const Request *request, char name[IFNAMSIZ])
{
    struct ifreq ifr = { .ifr_flags = IFF_TAP | IFF_NO_PI };
    unsigned features = 0;
    int fd = open(TUN_DEVICE, O_RDWR | O_CLOEXEC);

    if (fd < 0) {
        die("cannot open %s: %s", TUN_DEVICE, strerror(errno));
    }
    if (request->vnet_header && ioctl(fd, TUNGETFEATURES, &features) == 0 &&
        (features & IFF_VNET_HDR)) {
        ifr.ifr_flags |= IFF_VNET_HDR;
    }
    g_strlcpy(ifr.ifr_name, "tap%d", IFNAMSIZ);
    if (ioctl(fd, TUNSETIFF, &ifr) < 0) {
        die("cannot make a tap interface: %s", strerror(errno));
    }
    g_strlcpy(name, ifr.ifr_name, IFNAMSIZ);
    return fd;
}

static struct ifreq named(const char *name)
{
    struct ifreq ifr = { 0 };

    g_strlcpy(ifr.ifr_name, name, IFNAMSIZ);
    return ifr;
}

/* As large frames as the bridge has, else it would come down to the interface's. */
static void set_mtu(int control, const char *bridge, const char *tap)
{
    struct ifreq from = named(bridge), to = named(tap);

    if (ioctl(control, SIOCGIFMTU, &from) < 0) {
        die("cannot read the MTU of bridge '%s': %s", bridge, strerror(errno));
    }
    to.ifr_mtu = from.ifr_mtu;
    if (ioctl(control, SIOCSIFMTU, &to) < 0) {
        die("cannot set the MTU of '%s': %s", tap, strerror(errno));
    }
}

/* A bridge takes the lowest address among its ports': not this one. */
static void set_high_mac(int control, const char *tap)
{
    struct ifreq ifr = named(tap);

    if (ioctl(control, SIOCGIFHWADDR, &ifr) < 0) {
        die("cannot read the address of '%s': %s", tap, strerror(errno));
    }
    ifr.ifr_hwaddr.sa_data[0] = (char)0xfe;
    if (ioctl(control, SIOCSIFHWADDR, &ifr) < 0) {
        die("cannot set the address of '%s': %s", tap, strerror(errno));
    }
}

static void join(int control, const char *bridge, const char *tap)
{
    struct ifreq ifr = named(bridge);

    ifr.ifr_ifindex = (int)if_nametoindex(tap);
    if (ioctl(control, SIOCBRADDIF, &ifr) < 0) {
        die("cannot join '%s' to bridge '%s': %s", tap, bridge, strerror(errno));
    }
}

static void set_up(int control, const char *tap)
{
    struct ifreq ifr = named(tap);

    if (ioctl(control, SIOCGIFFLAGS, &ifr) < 0) {
        die("cannot read the state of '%s': %s", tap, strerror(errno));
    }
    ifr.ifr_flags |= IFF_UP;
    if (ioctl(control, SIOCSIFFLAGS, &ifr) < 0) {
        die("cannot set '%s' up: %s", tap, strerror(errno));
    }
}

static void hand_over(int socket, int fd)
{
    union {
        struct cmsghdr header;
        char room[CMSG_SPACE(sizeof(int))];
    } control = { 0 };
    char byte = 0;
    struct iovec iov = { &byte, 1 };
    struct msghdr message = { .msg_iov = &iov, .msg_iovlen = 1, .msg_control = &control,
                              .msg_controllen = sizeof(control) };
    struct cmsghdr *cmsg = CMSG_FIRSTHDR(&message);

    cmsg->cmsg_level = SOL_SOCKET;
    cmsg->cmsg_type = SCM_RIGHTS;
    cmsg->cmsg_len = CMSG_LEN(sizeof(int));
    memcpy(CMSG_DATA(cmsg), &fd, sizeof(fd));
    if (sendmsg(socket, &message, MSG_NOSIGNAL) != 1) {
        die("cannot hand the interface over: %s", strerror(errno));
    }
}

int main(int argc, char **argv)
{
    Request request = parse_options(argc, argv);
    char tap[IFNAMSIZ];
    int control, fd;

    check_rules(&request);
    control = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (control < 0) {
        die("cannot make a socket: %s", strerror(errno));
    }
    fd = open_tap(&request, tap);
    set_mtu(control, request.bridge, tap);
    set_high_mac(control, tap);
    join(control, request.bridge, tap);
    set_up(control, tap);
    hand_over(request.socket, fd);
    return 0;
}
