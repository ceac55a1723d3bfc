"""Answers with the word that is in the store, and counts its answers."""

import os
import signal
import socket
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.error import HTTPError
from urllib.parse import unquote
from urllib.request import urlopen

from greet import greet

STORE = os.environ["STORE_URL"]
METRICS = ("127.0.0.1", 9125)
messages = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)


def word():
    try:
        with urlopen(f"{STORE}/word", timeout=2) as answer:
            return answer.read().decode()
    except HTTPError:
        return None


class Handler(BaseHTTPRequestHandler):
    def do_GET(self):
        try:
            status, text = 200, greet(word(), unquote(self.path[1:]) or "world")
        except OSError as error:
            status, text = 502, f"the store doesn't answer: {error}\n"
        messages.sendto(f"greeting_answers_{status}:1|c".encode(), METRICS)
        self.send_response(status)
        self.send_header("Content-Type", "text/plain; charset=utf-8")
        self.end_headers()
        self.wfile.write(text.encode())


signal.signal(signal.SIGTERM, lambda *_: sys.exit())
server = ThreadingHTTPServer(("", int(os.environ["PORT"])), Handler)
print(f"listening on {server.server_port}", flush=True)
server.serve_forever()
