"""Keeps texts by name, each in a file: GET and PUT."""

import os
import signal
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

FOLDER = Path(os.environ["FOLDER"])


class Handler(BaseHTTPRequestHandler):
    def file(self):
        return FOLDER / Path(self.path).name

    def do_GET(self):
        try:
            status, text = 200, self.file().read_bytes()
        except OSError:
            status, text = 404, b"nothing is kept under this name\n"
        self.answer(status, text)

    def do_PUT(self):
        text = self.rfile.read(int(self.headers["Content-Length"]))
        # Whoever reads meanwhile sees all of the old text or all of the new one.
        new = self.file().with_suffix(".new")
        new.write_bytes(text)
        new.replace(self.file())
        self.answer(201, b"")

    def answer(self, status, text):
        self.send_response(status)
        self.send_header("Content-Type", "text/plain; charset=utf-8")
        self.end_headers()
        self.wfile.write(text)


signal.signal(signal.SIGTERM, lambda *_: sys.exit())
server = ThreadingHTTPServer(("", int(os.environ["PORT"])), Handler)
print(f"listening on {server.server_port}", flush=True)
server.serve_forever()
