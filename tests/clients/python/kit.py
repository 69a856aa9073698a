"""What the tests share: a backend, clients, and how to wait for a hold.

Everything waits with a deadline and nothing sleeps for a fixed time. Pincushion runs already; the
environment says where.
"""
import http.client
import os
import socket
import threading
import time
import urllib.request
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

WAIT_S_MAX = 20
PACE_S = 0.01
CLIENT_PORT = int(os.environ["CLIENT_PORT"])
CONTROL_PORT = int(os.environ["CONTROL_PORT"])
BACKEND_PORT = int(os.environ["BACKEND_PORT"])


class Backend(BaseHTTPRequestHandler):
    """Answers each path as it was told with `answer`, and notes the fields of requests."""

    protocol_version = "HTTP/1.1"
    wbufsize = -1
    answers = {}
    seen = {}

    def do_GET(self):
        self.seen[self.path] = self.headers
        fields, content = self.answers[self.path]
        self.send_response(200)
        for name, value in fields.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *_):
        pass

    @classmethod
    def start(cls):
        server = ThreadingHTTPServer(("127.0.0.1", BACKEND_PORT), cls)
        server.daemon_threads = True
        threading.Thread(target=server.serve_forever, daemon=True).start()


def answer(path, fields, content=""):
    """Tells the backend what to say at this path, which no other test uses."""
    Backend.answers[path] = fields, content.encode()


def instruct(path, text):
    """Tells the backend to answer with a GRIP instruct in JSON."""
    answer(path, {"Content-Type": "application/grip-instruct"}, text)


def held(kind):
    """How many clients are held; `kind` is a metric's name without `pincushion_held_`."""
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    url = f"http://localhost:{CONTROL_PORT}/metrics"
    lines = opener.open(url, timeout=WAIT_S_MAX).read().decode().splitlines()
    found = [line.split()[1] for line in lines if line.startswith(f"pincushion_held_{kind} ")]
    return int(found[0])


def wait_until(what, is_so):
    deadline = time.monotonic() + WAIT_S_MAX
    while not is_so():
        if time.monotonic() > deadline:
            raise AssertionError(f"never: {what}")
        time.sleep(PACE_S)


class Client:
    """A client of pincushion that has sent a GET request; closed with its `with`."""

    def __init__(self, path):
        self.connection = http.client.HTTPConnection("127.0.0.1", CLIENT_PORT, timeout=WAIT_S_MAX)
        self.connection.request("GET", path)
        self.response = None

    def __enter__(self):
        return self

    def __exit__(self, *_):
        # Shut down and not closed only: a response that is open keeps the socket open.
        if self.connection.sock:
            self.connection.sock.shutdown(socket.SHUT_RDWR)
        self.connection.close()

    def finish(self):
        """The whole response: status code, reason phrase, fields, content."""
        self.response = self.connection.getresponse()
        content = self.response.read()
        return self.response.status, self.response.reason, self.response.headers, content

    def read(self, text):
        """Reads exactly what `text` is long of a stream's content, and checks that it is that."""
        self.response = self.response or self.connection.getresponse()
        content = self.response.read(len(text))
        if content != text:
            raise AssertionError(f"not {text!r} but {content!r}")


class Poll(Client):
    """A client whose long-poll is held."""

    def __init__(self, path):
        before = held("long_polls")
        super().__init__(path)
        wait_until("the poll is held", lambda: held("long_polls") > before)


class Stream(Client):
    """A client whose stream is held."""

    def __init__(self, path):
        before = held("streams")
        super().__init__(path)
        wait_until("the stream is held", lambda: held("streams") > before)


def gone():
    """Waits until no client is held, so that the next test can count from 0."""
    wait_until("nobody is held", lambda: held("long_polls") + held("streams") == 0)
