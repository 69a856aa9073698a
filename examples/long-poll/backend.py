#!/usr/bin/env python3
"""A page that updates itself by long-polling without losing anything, in plain Python.

    python3 backend.py [PORT [CONTROL]]        # 8000 and http://localhost:5561 unless told otherwise

Each message has an id. A poll says which one it has last: if there are newer ones they are the
answer, otherwise pincushion holds the poll until the next one is published. The hold and the
published item both name the id before (`prev-id`), so pincushion sees when a message was
published between the answer and the hold, and asks again.
"""
import json
import re
import sys
import threading
import time
import urllib.request
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

PAGE = Path(__file__).with_name("page.html").read_bytes()
CHANNEL = "messages"
# The oldest go first. A page that has missed more gets all that are left.
MESSAGES_MAX = 100
TEXT_BYTES_MAX = 1000
PUBLISH_WAIT_S_MAX = 5


class Messages:
    """The last messages with their ids, oldest first."""

    def __init__(self):
        self.lock = threading.Lock()
        # Ids go on from the clock, so that those of an earlier run do not come again. The first
        # one is no message: it is where a page stands that has seen an empty list.
        self.ids = [int(time.time() * 1000)]
        self.texts = [None]

    def add(self, text):
        """Keeps a message; what a page needs that has all before it."""
        with self.lock:
            before = self.ids[-1]
            self.ids.append(before + 1)
            self.texts.append(text)
            del self.ids[:-MESSAGES_MAX], self.texts[:-MESSAGES_MAX]
            return {"from": before, "to": before + 1, "texts": [text]}

    def after(self, last):
        """What a page needs whose last one is `last`; all, from 0 on, if that one is not here."""
        with self.lock:
            known = last in self.ids
            new = self.texts[self.ids.index(last) + 1 :] if known else self.texts
            texts = [text for text in new if text is not None]
            return {"from": last if known else 0, "to": self.ids[-1], "texts": texts}


class Backend(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"  # so that pincushion can use its connections again
    wbufsize = -1  # head and content leave in one packet
    disable_nagle_algorithm = True
    messages = Messages()
    control = "http://localhost:5561"

    def do_GET(self):
        url = urlsplit(self.path)
        if url.path == "/":
            self.answer(200, PAGE, {"Content-Type": "text/html; charset=utf-8"})
        elif url.path == "/poll":
            self.poll(parse_qs(url.query).get("after", [""])[0])
        else:
            self.answer(404, b"no such page\n")

    def poll(self, after):
        news = self.messages.after(int(after) if re.fullmatch("[0-9]{1,18}", after) else 0)
        fields = {"Content-Type": "application/json", "Cache-Control": "no-store"}
        if news["from"] == news["to"]:
            # Nothing newer: held until an item comes whose prev-id is this one. After 25 seconds
            # the page gets the answer as it is and polls again.
            fields["Grip-Hold"] = "response"
            fields["Grip-Channel"] = f"{CHANNEL}; prev-id={news['to']}"
            fields["Grip-Timeout"] = "25"
        self.answer(200, json.dumps(news).encode(), fields)

    def do_POST(self):
        length = self.headers.get("Content-Length", "")
        if not length.isdigit() or int(length) > TEXT_BYTES_MAX:
            # Its content stays unread, so nothing further can be read here.
            self.answer(413, b"too long\n", {"Connection": "close"})
            return
        text = self.rfile.read(int(length)).decode(errors="replace").strip()
        if self.path != "/messages" or not text:
            self.answer(404 if text else 400, b"post a text to /messages\n")
            return
        # Kept first, then published: a poll that comes in between finds it here. Two at once may
        # be published in the wrong order; pincushion puts them right by their ids.
        news = self.messages.add(text)
        try:
            publish(self.control, news)
        except OSError as error:
            # The message is kept, so it comes with the next poll, 25 seconds later at most.
            print(f"not published: {error}", file=sys.stderr, flush=True)
        self.answer(200, b"kept\n")

    def answer(self, code, content, fields={"Content-Type": "text/plain"}):
        self.send_response(code)
        for name, value in fields.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)


def publish(control, news):
    """Publishes the answer for all polls that have everything before it."""
    item = {
        "channel": CHANNEL,
        "id": str(news["to"]),
        "prev-id": str(news["from"]),
        "formats": {
            "http-response": {
                "headers": {"Content-Type": "application/json", "Cache-Control": "no-store"},
                "body": json.dumps(news),
            }
        },
    }
    request = urllib.request.Request(control + "/publish", json.dumps({"items": [item]}).encode())
    # The control port is near: no proxy of the environment on the way.
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    opener.open(request, timeout=PUBLISH_WAIT_S_MAX).close()


if __name__ == "__main__":
    port = int(sys.argv[1]) if len(sys.argv) > 1 else 8000
    Backend.control = sys.argv[2] if len(sys.argv) > 2 else Backend.control
    server = ThreadingHTTPServer(("127.0.0.1", port), Backend)
    print(f"backend on http://localhost:{server.server_port}/", flush=True)
    try:
        server.serve_forever()
    except KeyboardInterrupt:
        pass
