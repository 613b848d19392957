/* SPDX-License-Identifier: Apache-2.0 */
/* The options of user networks: addresses, and rules that forward ports. */
#include <arpa/inet.h>
#include <string.h>

#include "net/user.h"
#include "util/error.h"

#define DHCP_MAX_TEXT 255
#define MAX_PREFIX6 126

/* ---- Addresses ---- */

static bool parse_ipv4(const char *text, const char *what, struct in_addr *addr, GError **error)
{
    if (text && !inet_aton(text, addr)) {
        error_setf(error, "Failed to parse %s", what);
        return false;
    }
    return true;
}

static bool parse_ipv6(const char *text, const char *what, struct in6_addr *addr, GError **error)
{
    if (text && inet_pton(AF_INET6, text, addr) != 1) {
        error_setf(error, "Failed to parse %s", what);
        return false;
    }
    return true;
}

/* The mask that goes without saying: that of the private network which it is in, or its class's. */
static uint32_t natural_mask(uint32_t addr)
{
    static const struct {
        uint32_t mask, value, network;
    } table[] = {
        { 0x80000000, 0x00000000, 0xff000000 },
        { 0xfff00000, 0xac100000, 0xfff00000 },
        { 0xc0000000, 0x80000000, 0xffff0000 },
        { 0xffff0000, 0xc0a80000, 0xffff0000 },
        { 0xffff0000, 0xc6120000, 0xfffe0000 },
        { 0xe0000000, 0xe0000000, 0xf0000000 },
    };

    for (size_t i = 0; i < G_N_ELEMENTS(table); i++) {
        if ((addr & table[i].mask) == table[i].value) {
            return table[i].network;
        }
    }
    return 0xffffff00;
}

/* "10.0.2.0", "10.0.2.0/24" or "10.0.2.0/255.255.255.0" */
static bool parse_network(const char *text, NetUserConfig *config, GError **error)
{
    g_auto(GStrv) parts = g_strsplit(text, "/", 2);
    char *end;
    unsigned long bits;

    if (!parts[0] || !inet_aton(parts[0], &config->net)) {
        error_setf(error, "Failed to parse netmask");
        return false;
    }
    if (!parts[1]) {
        config->mask.s_addr = htonl(natural_mask(ntohl(config->net.s_addr)));
        return true;
    }
    bits = strtoul(parts[1], &end, 10);
    if (g_ascii_isdigit(parts[1][0]) && *end == '\0') {
        if (bits < 4 || bits > 32) {
            error_setf(error, "Invalid netmask provided (must be in range 4-32)");
            return false;
        }
        config->mask.s_addr = htonl(UINT32_MAX << (32 - bits));
        return true;
    }
    return parse_ipv4(parts[1], "netmask", &config->mask, error);
}

static bool belongs(const NetUserConfig *config, struct in_addr addr)
{
    return (addr.s_addr & config->mask.s_addr) == config->net.s_addr;
}

static struct in_addr address_of(const NetUserConfig *config, uint32_t number)
{
    return (struct in_addr){ config->net.s_addr | (htonl(number) & ~config->mask.s_addr) };
}

static bool read_ipv4(const NetdevUserOptions *options, NetUserConfig *config, GError **error)
{
    const char *net = options->net ? options->net : options->ip ? options->ip : "10.0.2.0/24";

    if (!config->ipv4 && (options->net || options->ip || options->host || options->dns)) {
        error_setf(error, "IPv4 disabled but netmask/host/dns provided");
        return false;
    }
    if (!parse_network(net, config, error)) {
        return false;
    }
    config->net.s_addr &= config->mask.s_addr;
    config->host = address_of(config, 2);
    config->dhcp = address_of(config, 15);
    config->dns = address_of(config, 3);
    if (!parse_ipv4(options->host, "host", &config->host, error) ||
        !parse_ipv4(options->dhcpstart, "DHCP start address", &config->dhcp, error) ||
        !parse_ipv4(options->dns, "DNS", &config->dns, error)) {
        return false;
    }
    if (!belongs(config, config->host)) {
        error_setf(error, "Host doesn't belong to network");
    } else if (!config->restricted && !belongs(config, config->dns)) {
        error_setf(error, "DNS doesn't belong to network");
    } else if (config->dns.s_addr == config->host.s_addr) {
        error_setf(error, "DNS must be different from host");
    } else if (!belongs(config, config->dhcp)) {
        error_setf(error, "DHCP doesn't belong to network");
    } else if (config->dhcp.s_addr == config->host.s_addr ||
               config->dhcp.s_addr == config->dns.s_addr) {
        error_setf(error, "DNS must be different from host and DHCP");
    } else {
        return true;
    }
    return false;
}

static bool read_ipv6(const NetdevUserOptions *options, NetUserConfig *config, GError **error)
{
    int64_t len = options->has_ipv6_prefixlen ? options->ipv6_prefixlen : 64;

    if (!config->ipv6 && (options->ipv6_prefix || options->ipv6_host || options->ipv6_dns)) {
        error_setf(error, "IPv6 disabled but prefix/host6/dns6 provided");
        return false;
    }
    if (len < 0 || len > MAX_PREFIX6) {
        error_setf(error, "Invalid IPv6 prefix provided (IPv6 prefix length must be between 0 "
                   "and %d)", MAX_PREFIX6);
        return false;
    }
    config->prefix6_len = len;
    if (!parse_ipv6(options->ipv6_prefix ? options->ipv6_prefix : "fec0::", "IPv6 prefix",
                    &config->prefix6, error)) {
        return false;
    }
    config->host6 = config->prefix6;
    config->host6.s6_addr[15] |= 2;
    config->dns6 = config->prefix6;
    config->dns6.s6_addr[15] |= 3;
    return parse_ipv6(options->ipv6_host, "IPv6 host", &config->host6, error) &&
           parse_ipv6(options->ipv6_dns, "IPv6 DNS", &config->dns6, error);
}

/* Asking for one protocol alone means without the other. */
static bool choose_protocols(const NetdevUserOptions *options, NetUserConfig *config,
                             GError **error)
{
    bool on4 = options->has_ipv4 && options->ipv4, off4 = options->has_ipv4 && !options->ipv4;
    bool on6 = options->has_ipv6 && options->ipv6, off6 = options->has_ipv6 && !options->ipv6;

    if (off4 && off6) {
        error_setf(error, "IPv4 and IPv6 disabled");
        return false;
    }
    config->ipv4 = !off4 && !(on6 && !options->has_ipv4);
    config->ipv6 = !off6 && !(on4 && !options->has_ipv6);
    return true;
}

static bool too_long(const char *text, const char *what, GError **error)
{
    if (text && strlen(text) > DHCP_MAX_TEXT) {
        error_setf(error, "'%s' parameter cannot exceed %d bytes", what, DHCP_MAX_TEXT);
        return true;
    }
    return false;
}

static char **search_list(const GPtrArray *list)
{
    char **search = list ? g_new0(char *, list->len + 1) : NULL;

    for (guint i = 0; list && i < list->len; i++) {
        search[i] = g_strdup(((const String *)g_ptr_array_index(list, i))->str);
    }
    return search;
}

bool net_user_config(const NetdevUserOptions *options, NetUserConfig *config, GError **error)
{
    *config = (NetUserConfig){ .restricted = options->has_restrict && options->q_restrict };
    if (options->smb || options->smbserver) {
        error_setf(error, "smb is not supported; share files over the network itself, or by tftp");
        return false;
    }
    if (too_long(options->domainname, "domainname", error) ||
        too_long(options->tftp_server_name, "tftp-server-name", error) ||
        too_long(options->hostname, "hostname", error) ||
        !choose_protocols(options, config, error) || !read_ipv4(options, config, error) ||
        !read_ipv6(options, config, error)) {
        return false;
    }
    config->hostname = g_strdup(options->hostname);
    config->tftp_server = g_strdup(options->tftp_server_name);
    config->tftp = g_strdup(options->tftp);
    config->bootfile = g_strdup(options->bootfile);
    config->domain = g_strdup(options->domainname);
    config->search = search_list(options->dnssearch);
    return true;
}

void net_user_config_clear(NetUserConfig *config)
{
    g_free(config->hostname);
    g_free(config->tftp_server);
    g_free(config->tftp);
    g_free(config->bootfile);
    g_free(config->domain);
    g_strfreev(config->search);
    *config = (NetUserConfig){ 0 };
}

/* ---- Rules ---- */

/* Cuts the part before separator off *text; NULL if there is no separator. The caller's. */
static char *cut(const char **text, char separator)
{
    const char *end = strchr(*text, separator);
    char *part = end ? g_strndup(*text, end - *text) : NULL;

    *text = end ? end + 1 : *text;
    return part;
}

static bool parse_port(const char *text, unsigned min, uint16_t *port)
{
    char *end;
    unsigned long value = strtoul(text, &end, 10);

    if (!g_ascii_isdigit(*text) || *end || value < min || value > 65535) {
        return false;
    }
    *port = value;
    return true;
}

/* "tcp", "udp" or nothing. */
static bool parse_protocol(const char *text, bool *udp)
{
    *udp = g_str_equal(text, "udp");
    return *udp || !*text || g_str_equal(text, "tcp");
}

static const char *parse_host_part(const char **text, char end, NetHostForward *forward)
{
    g_autofree char *protocol = cut(text, ':');
    g_autofree char *host = protocol ? cut(text, ':') : NULL;
    g_autofree char *port = host && end ? cut(text, end) : g_strdup(*text);

    if (!protocol) {
        return "No : separators";
    }
    if (!parse_protocol(protocol, &forward->udp)) {
        return "Bad protocol name";
    }
    if (!host) {
        return "Missing : separator";
    }
    if (*host && !inet_aton(host, &forward->host)) {
        return "Bad host address";
    }
    if (!port || !parse_port(port, 0, &forward->host_port)) {
        return "Bad host port";
    }
    return NULL;
}

static const char *parse_guest_part(const char *text, NetHostForward *forward)
{
    g_autofree char *guest = cut(&text, ':');

    if (!guest) {
        return "Missing guest address";
    }
    if (*guest && !inet_aton(guest, &forward->guest)) {
        return "Bad guest address";
    }
    return parse_port(text, 1, &forward->guest_port) ? NULL : "Bad guest port";
}

bool net_parse_host_forward(const char *text, NetHostForward *forward, GError **error)
{
    const char *rest = text, *wrong;

    *forward = (NetHostForward){ 0 };
    wrong = parse_host_part(&rest, '-', forward);
    if (!wrong) {
        wrong = parse_guest_part(rest, forward);
    }
    if (wrong) {
        error_setf(error, "Invalid host forwarding rule '%s' (%s)", text, wrong);
    }
    return !wrong;
}

bool net_parse_host_port(const char *text, NetHostForward *forward, GError **error)
{
    const char *rest = text, *wrong;

    *forward = (NetHostForward){ 0 };
    wrong = parse_host_part(&rest, '\0', forward);
    if (wrong) {
        error_setf(error, "Invalid format: %s (%s)", text, wrong);
    }
    return !wrong;
}

bool net_parse_guest_forward(const char *text, NetGuestForward *forward, GError **error)
{
    const char *rest = text;
    g_autofree char *protocol = cut(&rest, ':');
    g_autofree char *addr = protocol ? cut(&rest, ':') : NULL;
    g_autofree char *port = addr ? cut(&rest, '-') : NULL;
    bool udp;

    *forward = (NetGuestForward){ 0 };
    if (!port || !parse_protocol(protocol, &udp) || udp ||
        (*addr && !inet_aton(addr, &forward->addr)) || !parse_port(port, 1, &forward->port) ||
        !*rest) {
        error_setf(error, "Invalid guest forwarding rule '%s' (should be "
                   "tcp:ADDRESS:PORT-TARGET or tcp:ADDRESS:PORT-cmd:COMMAND)", text);
        return false;
    }
    if (g_str_has_prefix(rest, "cmd:")) {
        forward->command = g_strdup(rest + strlen("cmd:"));
    } else {
        forward->target = g_strdup(rest);
    }
    return true;
}

void net_guest_forward_clear(NetGuestForward *forward)
{
    g_free(forward->command);
    g_free(forward->target);
}
