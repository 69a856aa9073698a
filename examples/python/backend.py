#!/usr/bin/env python3
"""A backend for pincushion in plain Python: it answers at once, pincushion holds the client.

    python3 backend.py [PORT]        # 8000 unless told otherwise; 0: any free port
"""
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

# path: (content, fields that tell pincushion what to do with the client)
ANSWERS = {
    # Sent to the client at once; the response then stays open for what is published.
    "/": ("welcome to the stream\n", {"Grip-Hold": "stream", "Grip-Channel": "test"}),
    # Kept back until something is published, or sent as it is after 55 seconds.
    "/poll": ("nothing new\n", {"Grip-Hold": "response", "Grip-Channel": "test"}),
}


class Backend(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"  # so that pincushion can use its connections again
    wbufsize = -1  # head and content leave in one packet
    disable_nagle_algorithm = True

    def do_GET(self):
        path = self.path.partition("?")[0]
        content, fields = ANSWERS.get(path, ("no such page\n", {}))
        body = content.encode()
        self.send_response(200 if path in ANSWERS else 404)
        for name, value in fields.items():
            self.send_header(name, value)
        self.send_header("Content-Type", "text/plain")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


if __name__ == "__main__":
    port = int(sys.argv[1]) if len(sys.argv) > 1 else 8000
    server = ThreadingHTTPServer(("127.0.0.1", port), Backend)
    print(f"backend on http://localhost:{server.server_port}/", flush=True)
    try:
        server.serve_forever()
    except KeyboardInterrupt:
        pass
