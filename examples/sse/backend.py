#!/usr/bin/env python3
"""A page that updates itself by server-sent events, and its backend in plain Python.

    python3 backend.py [PORT]        # 8000 unless told otherwise; 0: any free port

The backend answers at once and keeps nothing open: pincushion holds the streams, and what is
published to the channel `news` goes to all of them.
"""
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

PAGE = Path(__file__).with_name("page.html").read_bytes()

# path: (content, fields)
ANSWERS = {
    "/": (PAGE, {"Content-Type": "text/html; charset=utf-8"}),
    "/events": (
        # The first thing in the stream: how long the browser waits before it connects again, ms.
        b"retry: 1000\n\n",
        {
            "Content-Type": "text/event-stream",
            "Cache-Control": "no-store",
            "Grip-Hold": "stream",
            "Grip-Channel": "news",
            # A comment, which the browser skips. It shows every proxy on the way that the
            # connection is in use.
            "Grip-Keep-Alive": r":\n\n; format=cstring; timeout=20",
        },
    ),
}


class Backend(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"  # so that pincushion can use its connections again
    wbufsize = -1  # head and content leave in one packet
    disable_nagle_algorithm = True

    def do_GET(self):
        path = self.path.partition("?")[0]
        content, fields = ANSWERS.get(path, (b"no such page\n", {"Content-Type": "text/plain"}))
        self.send_response(200 if path in ANSWERS else 404)
        for name, value in fields.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)


if __name__ == "__main__":
    port = int(sys.argv[1]) if len(sys.argv) > 1 else 8000
    server = ThreadingHTTPServer(("127.0.0.1", port), Backend)
    print(f"backend on http://localhost:{server.server_port}/", flush=True)
    try:
        server.serve_forever()
    except KeyboardInterrupt:
        pass
