# SPDX-License-Identifier: Apache-2.0
"""Networks in a namespace of the test's own, and virtio-net devices driven over the qtest protocol.

enter() runs the program again in fresh network and mount namespaces, so that a test may make
interfaces and bridges as it likes. A Nic is a virtio-net-pci with its queues in the guest's memory;
a Port is a packet socket on an interface of the host's side.
"""

import ctypes
import os
import select
import socket
import struct
import subprocess
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), '..', 'qmp'))
from vm import Vm, run  # noqa: E402,F401

# In seconds: what has not come by then never will.
SILENCE = Vm.SILENCE
ETH_P_ALL = 3
SOL_PACKET, PACKET_ADD_MEMBERSHIP, PACKET_MR_PROMISC = 263, 1, 1


class Skip(Exception):
    """Why a test cannot run here."""


# ---- Namespaces ----

def enter():
    """The rest of the program runs in namespaces of its own; or the whole of it is skipped."""
    if os.environ.get('VIREO_NETLAB') != '1':
        probe = subprocess.run(['unshare', '-n', '-m', 'ip', 'link', 'set', 'lo', 'up'],
                               capture_output=True, text=True, check=False)
        if probe.returncode:
            print(f'1..0 # SKIP no network namespaces: {probe.stderr.strip()}')
            sys.exit(0)
        os.environ['VIREO_NETLAB'] = '1'
        os.execvp('unshare', ['unshare', '-n', '-m', sys.executable, *sys.argv])
    ip('link', 'set', 'lo', 'up')
    libc = ctypes.CDLL(None, use_errno=True)
    # Of this namespace's interfaces, where they are looked for.
    libc.mount(b'none', b'/', None, 0x44000, None)
    libc.mount(b'sysfs', b'/sys', b'sysfs', 0, None)


def own_etc():
    """What is written to /etc from here on is this test's, and goes with it."""
    layers = '/run/vireo-netlab'
    words = subprocess.run(
        ['sh', '-c', f'mkdir -p {layers} && mount -t tmpfs none {layers} && cd {layers} && '
         'mkdir up work && mount -t overlay -o lowerdir=/etc,upperdir=up,workdir=work none /etc'],
        capture_output=True, text=True, check=False)
    if words.returncode:
        raise Skip(f'no /etc of its own: {words.stderr.strip()}')


def ip(*words):
    subprocess.run(['ip', *words], check=True, capture_output=True, text=True)


def need_tap():
    if not os.access('/dev/net/tun', os.R_OK | os.W_OK):
        raise Skip('/dev/net/tun cannot be opened')


def run_tests(tests):
    """As vm.run(), with tests that skip themselves."""
    print(f'1..{len(tests)}')
    failed = 0
    for number, test in enumerate(tests, 1):
        state, note = run_one(test)
        failed += state != 'ok'
        print(f'{state} {number} - {test.__name__}{note}', flush=True)
    return 1 if failed else 0


def run_one(test):
    import traceback
    try:
        test()
        return 'ok', ''
    except Skip as why:
        return 'ok', f' # SKIP {why}'
    except Exception:
        for line in traceback.format_exc().splitlines():
            print(f'# {line}', flush=True)
        return 'not ok', ''


def until(condition, what):
    """Waits for what no event tells of."""
    end = time.monotonic() + SILENCE
    while not condition():
        assert time.monotonic() < end, f'{what} did not happen in {SILENCE} s'
        time.sleep(0.005)


# ---- Frames ----

def mac(text):
    return bytes.fromhex(text.replace(':', ''))


def frame(to, sender, payload=b'', kind=0x88b5):
    """An Ethernet frame, of the kind that is free for experiments."""
    return (mac(to) + mac(sender) + struct.pack('>H', kind) + payload).ljust(60, b'\0')


def checksum(data):
    if len(data) % 2:
        data += b'\0'
    total = sum(struct.unpack(f'>{len(data) // 2}H', data))
    while total >> 16:
        total = (total & 0xffff) + (total >> 16)
    return ~total & 0xffff


def ipv4(source, target, protocol, payload, ident=1):
    head = struct.pack('>BBHHHBBH4s4s', 0x45, 0, 20 + len(payload), ident, 0, 64, protocol, 0,
                       socket.inet_aton(source), socket.inet_aton(target))
    return head[:10] + struct.pack('>H', checksum(head)) + head[12:] + payload


def udp(source, target, source_port, target_port, data, family=socket.AF_INET):
    length = 8 + len(data)
    pseudo = socket.inet_pton(family, source) + socket.inet_pton(family, target) + \
        struct.pack('>II', length, 17)
    head = struct.pack('>HHHH', source_port, target_port, length, 0)
    total = checksum(pseudo + head + data) or 0xffff
    return head[:6] + struct.pack('>H', total) + data


def tcp(source, target, source_port, target_port, seq, ack, flags, data=b''):
    pseudo = socket.inet_aton(source) + socket.inet_aton(target) + \
        struct.pack('>HH', 6, 20 + len(data))
    head = struct.pack('>HHIIBBHHH', source_port, target_port, seq & 0xffffffff, ack & 0xffffffff,
                       0x50, flags, 65535, 0, 0)
    total = checksum(pseudo + head + data)
    return head[:16] + struct.pack('>H', total) + head[18:] + data


class Port:
    """Frames in and out of an interface of the host."""

    def __init__(self, name):
        self.socket = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(ETH_P_ALL))
        self.socket.bind((name, ETH_P_ALL))
        member = struct.pack('iHH8s', socket.if_nametoindex(name), PACKET_MR_PROMISC, 0, b'')
        self.socket.setsockopt(SOL_PACKET, PACKET_ADD_MEMBERSHIP, member)
        self.socket.settimeout(SILENCE)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.socket.close()

    def send(self, data):
        self.socket.send(data)

    def receive(self, wanted):
        """The next frame that came in and is wanted; the kernel sends some of its own."""
        while True:
            data, where = self.socket.recvfrom(65536)
            if where[2] != socket.PACKET_OUTGOING and wanted(data):
                return data


# ---- Machines ----

class Lab(Vm):
    """A pc without a running guest, whose ports and memory the test drives."""

    def __init__(self, program, *args, memory=(), prepare=None, pass_fds=()):
        self.listener = socket.socket(socket.AF_UNIX)
        self.name = f'\0vireo-qtest-{os.getpid()}-{id(self)}'
        self.listener.bind(self.name)
        self.listener.listen(1)
        super().__init__(program, '-machine', 'pc', '-m', '64', *memory, '-chardev',
                         f'socket,id=qtest,path={self.name[1:]},abstract=on', '-qtest',
                         'chardev:qtest', *args, prepare=prepare, pass_fds=pass_fds)
        self.qtest, _ = self.listener.accept()
        self.qtest.settimeout(SILENCE)
        self.qtest_stream = self.qtest.makefile('r')
        self.next_slot = 0

    def close(self):
        super().close()
        self.qtest_stream.close()
        self.qtest.close()
        self.listener.close()

    def ask(self, line):
        self.qtest.sendall(line.encode() + b'\n')
        while True:
            answer = self.qtest_stream.readline().split()
            assert answer, 'the machine has gone'
            if answer[0] == 'IRQ':
                continue
            assert answer[0] == 'OK', f'{line[:60]}: {answer}'
            return answer[1] if len(answer) > 1 else None

    def read(self, addr, size):
        return bytes.fromhex(self.ask(f'read {addr:#x} {size:#x}')[2:])

    def write(self, addr, data):
        self.ask(f'write {addr:#x} {len(data):#x} 0x{data.hex()}')

    def load(self, addr, letter):
        return int(self.ask(f'read{letter} {addr:#x}'), 16)

    def store(self, addr, letter, value):
        self.ask(f'write{letter} {addr:#x} {value:#x}')

    def pci_write(self, slot, offset, size, value):
        self.ask(f'outl 0xcf8 {0x80000000 | slot << 11 | offset & ~3:#x}')
        letter = {1: 'b', 2: 'w', 4: 'l'}[size]
        self.ask(f'out{letter} {0xcfc + offset % 4:#x} {value:#x}')


# Registers of the common configuration (VIRTIO 1.2, 4.1.4.3).
DFSELECT, DF, GFSELECT, GF, STATUS = 0, 4, 8, 12, 20
Q_SELECT, Q_SIZE, Q_ENABLE, Q_DESC, Q_AVAIL, Q_USED = 22, 24, 28, 32, 40, 48
F_CSUM, F_GUEST_CSUM, F_MAC, F_GUEST_TSO4, F_HOST_TSO4, F_MRG_RXBUF = 0, 1, 5, 7, 11, 15
F_STATUS, F_CTRL_VQ, F_CTRL_RX, F_MQ, F_VERSION_1, F_RSS = 16, 17, 18, 22, 32, 60
NEXT, WRITE = 1, 2
HEADER = 12


class Queue:
    """A split ring of 64 places, each with a buffer of 2 KiB."""

    SIZE, ROOM = 64, 2048

    def __init__(self, nic, index, data):
        self.nic, self.index = nic, index
        self.desc = nic.memory + index * 0x40000
        self.avail, self.used = self.desc + 0x1000, self.desc + 0x2000
        self.data = self.desc + 0x4000
        self.next = self.seen = 0
        lab = nic.lab
        lab.ask(f'memset {self.desc:#x} 0x4000 0')
        lab.store(nic.bar + Q_SELECT, 'w', index)
        lab.store(nic.bar + Q_SIZE, 'w', self.SIZE)
        for where, value in ((Q_DESC, self.desc), (Q_AVAIL, self.avail), (Q_USED, self.used)):
            lab.store(nic.bar + where, 'l', value)
            lab.store(nic.bar + where + 4, 'l', 0)
        lab.store(nic.bar + Q_ENABLE, 'w', 1)

    def describe(self, place, addr, size, flags, following=0):
        self.nic.lab.write(self.desc + 16 * place, struct.pack('<QIHH', addr, size, flags,
                                                               following))

    def offer(self, place):
        lab = self.nic.lab
        lab.store(self.avail + 4 + 2 * (self.next % self.SIZE), 'w', place)
        self.next += 1
        lab.store(self.avail + 2, 'w', self.next & 0xffff)

    def kick(self):
        self.nic.lab.store(self.nic.bar + 0x3000 + 4 * self.index, 'w', self.index)

    def is_used(self):
        return self.nic.lab.load(self.used + 2, 'w') != self.seen & 0xffff

    def take(self):
        """The next place that was used, and its length; waits for it."""
        until(self.is_used, f'an answer in queue {self.index}')
        at = self.used + 4 + 8 * (self.seen % self.SIZE)
        self.seen += 1
        return struct.unpack('<II', self.nic.lab.read(at, 8))

    def buffer(self, place):
        return self.data + place * self.ROOM


class Nic:
    """virtio-net-pci in a slot of its own; features are bits beside VERSION_1."""

    def __init__(self, lab, slot, features=(F_MAC,), pairs=1, queues=None, buffers=16):
        self.lab, self.slot = lab, slot
        self.bar = 0xe0000000 + slot * 0x100000
        self.memory = 0x400000 + slot * 0x200000
        # BARs: ports, MSI-X, registers.
        lab.pci_write(slot, 0x10, 4, 0xc000 + slot * 0x100 | 1)
        lab.pci_write(slot, 0x14, 4, self.bar + 0x10000)
        lab.pci_write(slot, 0x20, 4, self.bar)
        lab.pci_write(slot, 0x24, 4, 0)
        lab.pci_write(slot, 0x04, 2, 7)
        self.start(features, pairs, queues, buffers)

    def offered(self):
        bits = 0
        for half in range(2):
            self.lab.store(self.bar + DFSELECT, 'l', half)
            bits |= self.lab.load(self.bar + DF, 'l') << 32 * half
        return bits

    def start(self, features, pairs, queues=None, buffers=16):
        """Reset, negotiate, and fill the receive queues."""
        lab = self.lab
        lab.store(self.bar + STATUS, 'b', 0)
        until(lambda: not lab.load(self.bar + STATUS, 'b'), 'a reset')
        lab.store(self.bar + STATUS, 'b', 3)
        bits = sum(1 << bit for bit in features) | 1 << F_VERSION_1
        for half in range(2):
            lab.store(self.bar + GFSELECT, 'l', half)
            lab.store(self.bar + GF, 'l', bits >> 32 * half & 0xffffffff)
        lab.store(self.bar + STATUS, 'b', 11)
        assert lab.load(self.bar + STATUS, 'b') == 11, 'the features are refused'
        wanted = range(2 * pairs) if queues is None else queues
        self.queues = {index: Queue(self, index, None) for index in wanted}
        lab.store(self.bar + STATUS, 'b', 15)
        for index, queue in self.queues.items():
            if index % 2 == 0 and index < 2 * pairs:
                for place in range(buffers):
                    queue.describe(place, queue.buffer(place), queue.ROOM, WRITE)
                    queue.offer(place)
                queue.kick()

    def send(self, data, pair=0, header=bytes(HEADER), wait=True):
        queue = self.queues[2 * pair + 1]
        place = queue.next % queue.SIZE
        self.lab.write(queue.buffer(place), header + data)
        queue.describe(place, queue.buffer(place), HEADER + len(data), 0)
        queue.offer(place)
        queue.kick()
        if wait:
            queue.take()

    def has_frame(self, pair=0):
        return self.queues[2 * pair].is_used()

    def receive_any(self, pair=0):
        """The next frame with its header; its buffer is given back."""
        queue = self.queues[2 * pair]
        place, size = queue.take()
        data = self.lab.read(queue.buffer(place), size)
        queue.offer(place)
        queue.kick()
        return data[:HEADER], data[HEADER:]

    def receive(self, wanted, pair=0):
        """The next frame that is wanted; the kernel sends some of its own."""
        while True:
            data = self.receive_any(pair)[1]
            if wanted(data):
                return data

    def command(self, index, group, number, data):
        """On the control queue; True: done."""
        queue = self.queues[index]
        at = queue.buffer(0)
        self.lab.write(at, bytes([group, number]) + data + b'\xee')
        queue.describe(0, at, 2 + len(data), NEXT, 1)
        queue.describe(1, at + 2 + len(data), 1, WRITE)
        queue.offer(0)
        queue.kick()
        queue.take()
        return self.lab.read(at + 2 + len(data), 1) == b'\0'


OWN, OTHER = '52:54:00:aa:bb:cc', '52:54:00:11:22:33'


def marked(mark):
    """Frames of ours, and this one of them."""
    return lambda data: data[12:14] == b'\x88\xb5' and data[14:].startswith(mark)


def check_both_ways(nic, port, mark, pair=0):
    """A frame passes from the guest to the host's side, and one back."""
    nic.send(frame(OTHER, OWN, mark + b' out'), pair)
    assert port.receive(marked(mark + b' out'))[:12] == mac(OTHER) + mac(OWN)
    port.send(frame(OWN, OTHER, mark + b' in'))
    assert nic.receive(marked(mark + b' in'), pair)[:12] == mac(OWN) + mac(OTHER)


def device(netdev, slot=3, extra=''):
    return ('-device', f'virtio-net-pci,id=nic{slot},netdev={netdev},addr={slot},romfile=,'
                       f'mac=52:54:00:aa:bb:{0xcc + slot - 3:02x}{extra}')


def wait_readable(fd):
    assert select.select([fd], [], [], SILENCE)[0], 'nothing came'
