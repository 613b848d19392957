# SPDX-License-Identifier: Apache-2.0
"""A guest that is a few lines of IP, at a virtio-net device."""

import socket
import struct

import netlab
from netlab import Nic, OWN, checksum, ipv4, mac, tcp, udp

GUEST, HOST = '10.0.2.15', '10.0.2.2'
GUEST6, HOST6 = 'fec0::5054:ff:feaa:bbcc', 'fec0::2'
FIN, SYN, RST, PSH, ACK = 1, 2, 4, 8, 16


class Guest:
    """Sends and takes packets of 10.0.2.15; answers ARP and neighbour solicitations."""

    def __init__(self, lab, slot=3, address=GUEST):
        self.nic, self.address = Nic(lab, slot), address
        self.gateway = b'\xff' * 6
        self.waiting = []

    def send(self, packet, kind=0x0800):
        self.nic.send(self.gateway + mac(OWN) + struct.pack('>H', kind) + packet)

    def next(self, wanted):
        """The next packet (without Ethernet header) for which wanted() returns something."""
        while True:
            for i, (kind, packet) in enumerate(self.waiting):
                result = wanted(kind, packet)
                if result is not None:
                    del self.waiting[i]
                    return result
            data = self.nic.receive_any()[1]
            self.gateway = data[6:12]
            kind = struct.unpack('>H', data[12:14])[0]
            if not self.answer(kind, data[14:]):
                self.waiting.append((kind, data[14:]))

    def answer(self, kind, packet):
        if kind == 0x0806 and packet[6:8] == b'\0\1':
            if packet[24:28] == socket.inet_aton(self.address):
                self.send(packet[:6] + b'\0\2' + mac(OWN) + packet[24:28] + packet[8:18], 0x0806)
            return True
        if kind == 0x86dd and packet[6] == 58 and packet[40] == 135:
            target = packet[48:64]
            if target == socket.inet_pton(socket.AF_INET6, GUEST6):
                self.send6(packet[8:24], 58, icmp6(
                    target, packet[8:24], 136, struct.pack('>I', 0x60000000) + target + b'\2\1' +
                    mac(OWN)))
            return True
        return False

    def resolve(self, address=HOST):
        self.gateway = b'\xff' * 6
        self.send(struct.pack('>HHBBH', 1, 0x800, 6, 4, 1) + mac(OWN) +
                  socket.inet_aton(self.address) + bytes(6) + socket.inet_aton(address), 0x0806)
        self.gateway = self.next(lambda kind, packet: packet[8:14] if kind == 0x0806 else None)

    def send_udp(self, target, source_port, port, data, source=None):
        source = source or self.address
        self.send(ipv4(source, target, 17, udp(source, target, source_port, port, data)))

    def udp(self, port):
        """(source, source port, data) of the next datagram for this port."""
        def wanted(kind, packet):
            if kind == 0x0800 and packet[9] == 17 and packet[22:24] == struct.pack('>H', port):
                size = struct.unpack('>H', packet[24:26])[0]
                return (socket.inet_ntoa(packet[12:16]), struct.unpack('>H', packet[20:22])[0],
                        packet[28:20 + size])
            return None
        return self.next(wanted)

    def send6(self, target, following, payload, source=None):
        source = source or socket.inet_pton(socket.AF_INET6, GUEST6)
        self.send(struct.pack('>IHBB', 0x60000000, len(payload), following, 255) + source + target +
                  payload, 0x86dd)

    def segment(self, port):
        """(source port, seq, ack, flags, data) of the next TCP segment for this port."""
        def wanted(kind, packet):
            if kind != 0x0800 or packet[9] != 6 or packet[22:24] != struct.pack('>H', port):
                return None
            size = struct.unpack('>H', packet[2:4])[0]
            source, _, seq, ack, offset, flags = struct.unpack('>HHIIBB', packet[20:34])
            return source, seq, ack, flags, packet[20 + (offset >> 4) * 4:size]
        return self.next(wanted)


def icmp6(source, target, kind, body):
    head = bytes([kind, 0, 0, 0]) + body
    pseudo = source + target + struct.pack('>II', len(head), 58)
    return head[:2] + struct.pack('>H', checksum(pseudo + head)) + head[4:]


class Connection:
    """A TCP connection of the guest's, without losses; passive ones wait for a SYN."""

    def __init__(self, guest, port, peer=None, peer_port=0):
        self.guest, self.port, self.peer, self.peer_port = guest, port, peer, peer_port
        self.seq, self.ack = 1000, 0
        if peer:
            self.put(SYN)
            self.seq += 1
            _, seq, _, flags, _ = guest.segment(port)
            assert flags & (SYN | ACK | RST) == SYN | ACK, flags
            self.ack = seq + 1
            self.put(ACK)
        else:
            self.peer = HOST
            self.peer_port, seq, _, flags, _ = guest.segment(port)
            assert flags & (SYN | ACK) == SYN, flags
            self.ack = seq + 1
            self.put(SYN | ACK)
            self.seq += 1

    def put(self, flags, data=b''):
        self.guest.send(ipv4(self.guest.address, self.peer, 6,
                             tcp(self.guest.address, self.peer, self.port, self.peer_port,
                                 self.seq, self.ack, flags, data)))

    def send(self, data):
        self.put(PSH | ACK, data)
        self.seq += len(data)

    def receive(self, size):
        """So many bytes; fewer at the end."""
        got = b''
        while len(got) < size:
            _, seq, _, flags, data = self.guest.segment(self.port)
            assert not flags & RST
            if seq & 0xffffffff != self.ack & 0xffffffff:
                continue
            got += data
            self.ack += len(data)
            if data:
                self.put(ACK)
            if flags & FIN:
                self.ack += 1
                self.put(ACK)
                break
        return got


def listener(kind=socket.SOCK_DGRAM, address='127.0.0.1', family=socket.AF_INET):
    own = socket.socket(family, kind)
    own.settimeout(netlab.SILENCE)
    own.bind((address, 0))
    if kind == socket.SOCK_STREAM:
        own.listen(1)
    return own, own.getsockname()[1]


def dhcp(guest):
    """An offer's address and its options."""
    request = struct.pack('>BBBBIHH', 1, 1, 6, 0, 0x1234, 0, 0x8000) + bytes(16) + \
        mac(OWN).ljust(16, b'\0') + bytes(192) + b'\x63\x82\x53\x63' + b'\x35\1\1\xff'
    guest.send_udp('255.255.255.255', 68, 67, request, source='0.0.0.0')
    answer = guest.udp(68)[2]
    options, at = {}, 240
    while answer[at] != 255:
        options[answer[at]] = answer[at + 2:at + 2 + answer[at + 1]]
        at += 2 + answer[at + 1]
    return socket.inet_ntoa(answer[16:20]), options
