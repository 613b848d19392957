# SPDX-License-Identifier: Apache-2.0
"""An FTP server for tests: ftpserver.py FOLDER [CERTIFICATE]. Prints its port, and ends with its
standard input. With a certificate TLS begins with the first byte, as ftps:// means it."""

import sys
import threading

from pyftpdlib.authorizers import DummyAuthorizer
from pyftpdlib.servers import FTPServer


def handler_class(certificate):
    if not certificate:
        from pyftpdlib.handlers import FTPHandler
        return FTPHandler
    from pyftpdlib.handlers import TLS_FTPHandler

    class Implicit(TLS_FTPHandler):
        certfile = certificate[0]

        def handle(self):
            self.secure_connection(self.ssl_context)
            super().handle()

    Implicit.ssl_context = Implicit.get_ssl_context()
    Implicit.ssl_context.set_session_id(b'test')  # else resumed sessions are refused
    return Implicit


def main():
    folder, *certificate = sys.argv[1:]
    handler = handler_class(certificate)
    handler.authorizer = DummyAuthorizer()
    handler.authorizer.add_user('user', 'pass word', folder)
    handler.authorizer.add_anonymous(folder)
    server = FTPServer(('127.0.0.1', 0), handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    print(server.address[1], flush=True)
    sys.stdin.read()
    server.close_all()


main()
