# SPDX-License-Identifier: Apache-2.0
"""A web server for tests whose files behave well or badly, as the first part of their path says."""

import base64
import http.server
import re
import socket
import ssl
import threading
import time

LOGIN = 'Basic ' + base64.b64encode(b'user:pass word').decode()


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = 'HTTP/1.1'

    def log_message(self, *_):
        pass

    def setup(self):
        super().setup()
        self.connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def do_HEAD(self):
        self.answer(False)

    def do_GET(self):
        self.answer(True)

    def answer(self, wants_body):
        _, mode, *rest = self.path.split('/')
        self.wants_body = wants_body
        self.content = self.server.files.get('/'.join(rest), b'')
        self.server.requests.append((self.command, self.path, self.headers.get('Range')))
        getattr(self, 'mode_' + mode.replace('-', '_'), self.not_found)()

    # ---- Parts of answers ----

    def asked(self):
        """The range asked for, its end exclusive; None: everything."""
        match = re.fullmatch(r'bytes=(\d+)-(\d+)', self.headers.get('Range', ''))
        if not match:
            return None
        return int(match[1]), min(int(match[2]) + 1, len(self.content))

    def say(self, status, **headers):
        self.send_response(status)
        for key, value in headers.items():
            self.send_header(key.replace('_', '-'), str(value))
        self.end_headers()

    def plain_error(self, status):
        self.say(status, Content_Length=0)

    def not_found(self):
        self.plain_error(404)

    def whole(self, **headers):
        self.say(200, Content_Length=len(self.content), **headers)
        if self.wants_body:
            self.send(self.content)

    def send(self, data):
        try:
            self.wfile.write(data)
        except (BrokenPipeError, ConnectionResetError, ssl.SSLError):
            self.close_connection = True

    def part(self, total=None, shift=0, cut=None, keep=None):
        """shift: give another range than was asked for; cut: give fewer bytes, and say so; keep:
        say all, send fewer, and hang up."""
        start, end = self.asked()
        start, end = start + shift, end + shift
        if cut is not None:
            end = min(end, start + cut)
        data = self.content[start:end]
        total = len(self.content) if total is None else total
        self.say(206, Content_Length=len(data),
                 Content_Range=f'bytes {start}-{start + len(data) - 1}/{total}')
        self.send(data if keep is None else data[:keep])
        self.close_connection = keep is not None and keep < len(data)

    def good(self, **how):
        if self.asked() and self.wants_body:
            self.part(**how)
        else:
            self.whole(Accept_Ranges='bytes')

    # ---- Modes ----

    def mode_good(self):
        self.good()

    def mode_silent_about_ranges(self):
        if self.asked() and self.wants_body:
            self.part()
        else:
            self.whole()

    def mode_no_head(self):
        if self.wants_body:
            self.good()
        else:
            self.plain_error(405)

    def mode_no_ranges(self):
        self.whole()

    def mode_liar_about_ranges(self):
        self.whole(Accept_Ranges='bytes')

    def mode_other_range(self):
        self.good(shift=512)

    def mode_grown(self):
        self.good(total=len(self.content) + 512)

    def mode_cuts(self):
        self.good(cut=1000)

    def mode_hangs_up(self):
        self.good(keep=20000)

    def mode_hangs_up_at_once(self):
        self.good(keep=0)

    def mode_hangs_up_once(self):
        self.good(keep=100 if self.wants_body and self.first_time() else None)

    def first_time(self):
        """The first try of this piece: later ones ask for what is left of it."""
        key = (self.path, self.headers.get('Range', '').partition('-')[2])
        with self.server.lock:
            new = key not in self.server.seen
            self.server.seen.add(key)
        return new

    def mode_busy(self):
        if self.wants_body and self.first_time():
            self.plain_error(503)
        else:
            self.good()

    def mode_too_long(self):
        if not self.wants_body:
            return self.good()
        start, end = self.asked()
        self.say(206, Transfer_Encoding='chunked',
                 Content_Range=f'bytes {start}-{end - 1}/{len(self.content)}')
        data = self.content[start:end] + bytes(100000)
        self.send(b'%x\r\n%b\r\n0\r\n\r\n' % (len(data), data))

    def mode_no_size(self):
        self.say(200, Transfer_Encoding='chunked', Accept_Ranges='none')
        if self.wants_body:
            self.send(b'%x\r\n%b\r\n0\r\n\r\n' % (len(self.content), self.content))

    def mode_redirect(self):
        self.say(302, Location='/good/' + self.path.split('/', 2)[2], Content_Length=0)

    def mode_redirect_loop(self):
        self.say(302, Location=self.path, Content_Length=0)

    def mode_redirect_file(self):
        self.say(302, Location='file:///etc/passwd', Content_Length=0)

    def mode_redirect_plain(self):
        self.say(302, Location=self.server.elsewhere, Content_Length=0)

    def mode_stalls(self):
        if self.wants_body:
            start, end = self.asked()
            self.say(206, Content_Length=end - start,
                     Content_Range=f'bytes {start}-{end - 1}/{len(self.content)}')
            self.send(self.content[start:start + 10])
            self.server.stop.wait(60)
            self.close_connection = True
        else:
            self.good()

    def mode_stalls_at_once(self):
        self.server.stop.wait(60)
        self.close_connection = True

    def mode_endless_headers(self):
        try:
            self.wfile.write(b'HTTP/1.1 200 OK\r\n')
            while not self.server.stop.is_set():
                self.wfile.write(b'X-Filler: ' + b'x' * 1000 + b'\r\n')
        except (BrokenPipeError, ConnectionResetError, ssl.SSLError):
            pass
        self.close_connection = True

    def mode_login(self):
        if self.headers.get('Authorization') == LOGIN:
            return self.good()
        self.say(401, WWW_Authenticate='Basic realm="x"', Content_Length=0)

    def mode_cookie(self):
        if self.headers.get('Cookie') == 'a=1; b=2':
            return self.good()
        self.plain_error(403)

    def mode_slow(self):
        """Slow, but never standing still."""
        if not (self.wants_body and self.asked()):
            return self.good()
        start, end = self.asked()
        self.say(206, Content_Length=end - start,
                 Content_Range=f'bytes {start}-{end - 1}/{len(self.content)}')
        step = (end - start) // 12 + 1
        for at in range(start, end, step):
            self.send(self.content[at:min(at + step, end)])
            time.sleep(0.2)


class Server(http.server.ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, files, certificate=None):
        super().__init__(('127.0.0.1', 0), Handler)
        self.files = files       # name: content
        self.requests = []       # (method, path, Range)
        self.seen = set()
        self.lock = threading.Lock()
        self.stop = threading.Event()
        self.elsewhere = None
        scheme = 'http'
        if certificate:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(certificate)
            self.socket = context.wrap_socket(self.socket, server_side=True,
                                              do_handshake_on_connect=False)
            scheme = 'https'
        self.url = f'{scheme}://127.0.0.1:{self.server_address[1]}'
        threading.Thread(target=self.serve_forever, daemon=True).start()

    def handle_error(self, request, client_address):
        pass

    def close(self):
        self.stop.set()
        self.shutdown()
        self.server_close()
