"""A device with a web server that breaks every rule a small server can break, over raw sockets.

It owns what arrives at a device byte by byte and what comes back byte by byte, one path a case. What a
tunnel must make of each case is asserted by the tests that drive it, not here. The rules are those that
docs/PROXY.md names; "own" is this device's authority as its client dialled it.

    path                     rule  behaviour
    /echo...                 1-5,  any method: JSON of what arrived: line, headers in order, framing
                             9-11  (none, length, chunked), body's length and SHA-256, trailers
    /stats                         JSON: connections, open, streams (now open), requests (lines seen so far)
    /auth/basic              5     401 with two challenges, one a line, until Authorization is user:secret
    /cookies?name=N          6     eleven Set-Cookie lines, the last two for the cookie N
    /redirect/own            7     302 to http://own/landing?x=%2F#part
    /redirect/own-https      7     301 to the same path at https://own
    /redirect/foreign        7     302 to another host;  /redirect/relative to "../landing"
    /redirect/network        7     302 to //own/landing (a reference without a scheme)
    /links                   7     Content-Location, Refresh, Access-Control-Allow-Origin, CSP naming own
    /links/foreign           7     the same naming others; /links/alike naming own's prefix ("own" + "0")
    /stripped                8     HSTS, Alt-Svc, Clear-Site-Data, Public-Key-Pins, Report-To, NEL,
                                   Service-Worker-Allowed of the whole origin
    /passed                  8     X-Frame-Options, CSP, COOP, COEP, CORP, Permissions-Policy
    /gzip                    9     a gzip body, Content-Encoding gzip, Vary
    /hop                     10    Connection: close, X-Hop; Keep-Alive, X-Hop, Proxy-Connection, Upgrade
    /trailers                10    chunks, extensions on the sizes, two trailer fields
    /expect/continue         11    sends 100 before it reads the body, then echoes
    /expect/silent           11    never sends 100, waits for the body, then echoes
    /expect/refuse           11    417 at once, body never read
    /early                   11    103 with Link, 102, 103, then 200
    /progress                11    102 twenty times, then 200
    /refuse-body             11    413 and close before the body was read
    /ws/echo?protocol=P      12    101, with it in one segment a text frame of JSON (what arrived), then echoes
                                   every frame unmasked, close codes included; HSTS on the 101 (rule 8)
    /ws/refuse               12    403 with a body;  /ws/unauthorized  401 with a challenge and a body
    /ws/close                12    101, then close 4001 "device is going down"
    /ws/abort                12    101, one frame cut in its middle, then a TCP reset
    /ws/ping                 12    101, a ping with 8 bytes, and a text frame with the pong's payload
    /drip?ms=N               13    chunks "0\\n" to "9\\n", each in a segment of its own, N ms apart
    /drip?asked=yes          13    the same, each once a request to /drip/next has asked for it
    /split                   13    head, and after 5 ms body, as two segments
    /endless                 13    close-delimited bytes without end; /stats tells whether it was cancelled
    /mjpeg                   13    HTTP/1.0 multipart/x-mixed-replace without end
    /sse                     13    server-sent events, one each 50 ms, without end
    /never                   14    takes the request, never answers
    /stall                   14    head and half of the body, then nothing
    /http10                  15    HTTP/1.0, close-delimited;  /http10/length  with a length, kept open
    /http11/close            15    HTTP/1.1 without any framing, ends with the connection
    /short                   15    Content-Length 100, 10 bytes, close;  /short/reset  the same with a reset
    /close-reset             15    close-delimited, ended by a reset
    /chunk-cut               15    chunked, closed before the last chunk
    /reset                   15    reset before any byte;  /empty  closed before any byte
    /head                    15    Content-Length 1000 on HEAD, and its body on GET
    /204, /304               15    no body; the 304 has a Content-Length of 1000
    /204/body, /304/body     15    the same with a body that must not be there, then kept open
    /extra                   15    Content-Length 2, "ok" and a whole second answer behind it
    /lf                      16    LF alone ends each line;  /no-reason  "HTTP/1.1 200" without a phrase
    /fold                    16    a folded field line;  /latin1  a value in Latin-1
    /same-length             16    Content-Length twice, identical;  /same-length/list  "5, 5"
    /te-and-length           16    Transfer-Encoding chunked and a Content-Length that lies, kept open
    /no-blank                16    a leading empty line before the status line
    /different-lengths       16    Content-Length 5 and 6;  /different-lengths/list  "5, 6"
    /space-colon             16    "Content-Length : 5";  /bare-cr  a CR inside a value;  /nul  a NUL
    /bad-chunk               16    size "xyz";  /bad-chunk/huge  2^64;  /bad-chunk/end  no CRLF after data
    /bad-chunk/minus         16    size "-1"
    /bad-length              16    "+5";  /bad-length/minus "-5";  /bad-length/hex "0x5"
    /bad-status              16    "HTTP/1.1 2000 No";  /bad-status/text "HTTP/1.1 OK";  /garbage  no HTTP
    /no-name                 16    a field line that begins with its colon
    /header-64k              17    a head of 60 KiB;  /header-over  one of 80 KiB
    /fields-200              17    200 fields in all;  /fields-over  260
    /order                   17    X-Order 1 to 9, names in mixed case, one of them twice
    /landing and all else          200, text/plain, the path
"""

import argparse
import base64
import collections
import gzip
import hashlib
import json
import socket
import struct
import sys
import threading
import time
import urllib.parse

HEAD_MAX = 256 * 1024  # Far above any limit a proxy may have: what is too big must fail there, not here.
WEBSOCKET_GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
OK = "HTTP/1.1 200 OK\r\n"


class Gone(Exception):
    """The client closed where a request had to go on."""


class Seen:
    """What the device has seen since it began; one lock for all threads."""

    def __init__(self):
        self.lock = threading.Lock()
        self.connections = self.open = self.streams = 0
        self.requests = collections.deque(maxlen=1000)

    def add(self, **changes):
        with self.lock:
            for name, change in changes.items():
                setattr(self, name, getattr(self, name) + change)

    def json(self):
        with self.lock:
            return {
                "connections": self.connections,
                "open": self.open,
                "streams": self.streams,
                "requests": list(self.requests),
            }


class Request:
    """One request exactly as it came; Latin-1 keeps each byte a character."""

    def __init__(self, connection, head):
        self.connection = connection
        self.head = head.decode("latin-1")
        self.line, *lines = self.head.split("\r\n")
        self.headers = [tuple(line.split(":", 1)) if ":" in line else (line, "") for line in lines if line]
        self.method, _, rest = self.line.partition(" ")
        self.target, _, self.version = rest.rpartition(" ")
        self.path, _, query = self.target.partition("?")
        self.query = dict(urllib.parse.parse_qsl(query))
        self.own = self.header("host") or "localhost"
        self.framing = "none"
        self.trailers = []
        self.body_length = 0
        self.digest = hashlib.sha256()
        self.body_read = False

    def header(self, name):
        found = [value.strip() for key, value in self.headers if key.lower() == name]
        return ", ".join(found) if found else None

    def read_body(self):
        """Reads the whole body in pieces, so that gigabytes need no memory."""
        if self.body_read:
            return
        self.body_read = True
        if (self.header("transfer-encoding") or "").lower() == "chunked":
            self.framing = "chunked"
            while size := int(self.connection.line().split(b";")[0], 16):
                self._take(size)
                self.connection.line()
            while line := self.connection.line():
                self.trailers.append(line.decode("latin-1"))
        elif (length := self.header("content-length")) is not None:
            self.framing = "length"
            self._take(int(length))

    def _take(self, left):
        while left:
            piece = self.connection.read(min(left, 256 * 1024))
            self.digest.update(piece)
            self.body_length += len(piece)
            left -= len(piece)

    def json(self):
        return {
            "line": self.line,
            "headers": [[name, value.strip()] for name, value in self.headers],
            "framing": self.framing,
            "body_length": self.body_length,
            "body_sha256": self.digest.hexdigest(),
            "trailers": self.trailers,
        }


class Connection:
    """A socket with just enough buffer to read lines, and writes that say when the client is gone."""

    def __init__(self, sock):
        self.sock = sock
        self.buffer = b""
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def _more(self):
        piece = self.sock.recv(256 * 1024)
        if not piece:
            raise Gone
        self.buffer += piece

    def until(self, mark, limit):
        while (at := self.buffer.find(mark)) < 0:
            if len(self.buffer) > limit:
                raise Gone
            self._more()
        found, self.buffer = self.buffer[:at], self.buffer[at + len(mark) :]
        return found

    def line(self):
        return self.until(b"\r\n", HEAD_MAX)

    def read(self, at_most):
        if not self.buffer:
            self._more()
        piece, self.buffer = self.buffer[:at_most], self.buffer[at_most:]
        return piece

    def exactly(self, size):
        while len(self.buffer) < size:
            self._more()
        piece, self.buffer = self.buffer[:size], self.buffer[size:]
        return piece

    def send(self, data):
        self.sock.sendall(data.encode("latin-1") if isinstance(data, str) else data)

    def reset(self):
        """Closes with a TCP reset in place of a clean end."""
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.sock.close()
        raise Gone

    def closed_within(self, seconds):
        """Waits for the client's end, its bytes ignored; true when it came."""
        self.sock.settimeout(seconds)
        try:
            return not self.sock.recv(65536)
        except TimeoutError:
            return False
        except OSError:
            return True
        finally:
            self.sock.settimeout(None)


def whole(body, head="", status="200 OK"):
    """An answer as a good server gives it."""
    body = body.encode("latin-1") if isinstance(body, str) else body
    text = f"HTTP/1.1 {status}\r\nContent-Length: {len(body)}\r\n{head}\r\n"
    return text.encode("latin-1") + body


def as_json(value, head=""):
    return whole(json.dumps(value).encode(), "Content-Type: application/json\r\n" + head)


# Cases that are bytes and nothing else: {own} is replaced. The connection stays open after "keep".
FIXED = {
    "/redirect/own": whole("", "Location: http://{own}/landing?x=%2F#part\r\n", "302 Found"),
    "/redirect/own-https": whole("", "Location: https://{own}/redirect/own-https\r\n", "301 Moved Permanently"),
    "/redirect/foreign": whole("", "Location: http://other.example:8080/x\r\n", "302 Found"),
    "/redirect/relative": whole("", "Location: ../landing\r\n", "302 Found"),
    "/redirect/network": whole("", "Location: //{own}/landing\r\n", "302 Found"),
    "/stripped": whole(
        "ok",
        "Strict-Transport-Security: max-age=31536000; includeSubDomains\r\n"
        'Alt-Svc: h3=":443"\r\nClear-Site-Data: "*"\r\nPublic-Key-Pins: pin-sha256="x"; max-age=9\r\n'
        'Report-To: {"group":"x"}\r\nNEL: {"report_to":"x"}\r\nService-Worker-Allowed: /\r\nX-Kept: yes\r\n',
    ),
    "/passed": whole(
        "ok",
        "X-Frame-Options: DENY\r\nContent-Security-Policy: default-src 'self'\r\n"
        "Cross-Origin-Opener-Policy: same-origin\r\nCross-Origin-Embedder-Policy: require-corp\r\n"
        "Cross-Origin-Resource-Policy: same-origin\r\nPermissions-Policy: camera=()\r\n",
    ),
    "/hop": whole(
        "ok",
        "Connection: keep-alive, X-Hop\r\nKeep-Alive: timeout=5\r\nX-Hop: secret\r\nProxy-Connection: keep-alive\r\n"
        "Upgrade: h2c\r\nX-Kept: yes\r\n",
    ),
    "/trailers": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: X-Sum, X-Last\r\n\r\n"
    b'5;name=value\r\nhello\r\n00006;q="a;b"\r\n world\r\n0\r\nX-Sum: 11\r\nX-Last: yes\r\n\r\n',
    "/early": b"HTTP/1.1 103 Early Hints\r\nLink: </a.css>; rel=preload\r\n\r\nHTTP/1.1 102 Processing\r\n\r\n"
    b"HTTP/1.1 103 Early Hints\r\nLink: </b.css>; rel=preload\r\n\r\n" + whole("final"),
    "/progress": b"HTTP/1.1 102 Processing\r\n\r\n" * 20 + whole("done"),
    "/http10/length": b"HTTP/1.0 200 OK\r\nContent-Length: 2\r\nConnection: keep-alive\r\n\r\nok",
    "/204": b"HTTP/1.1 204 No Content\r\nX-Kept: yes\r\n\r\n",
    "/204/body": b"HTTP/1.1 204 No Content\r\nContent-Length: 5\r\n\r\nstray",
    "/304": b'HTTP/1.1 304 Not Modified\r\nETag: "x"\r\nContent-Length: 1000\r\n\r\n',
    "/304/body": b"HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\n\r\nstray",
    "/extra": whole("ok") + whole("an answer that nobody asked for", "X-Stray: yes\r\n"),
    "/lf": b"HTTP/1.1 200 OK\nContent-Length: 2\nX-Kept: yes\n\nok",
    "/no-reason": b"HTTP/1.1 200\r\nContent-Length: 2\r\n\r\nok",
    "/fold": b"HTTP/1.1 200 OK\r\nX-Folded: one\r\n  two\r\n\tthree\r\nContent-Length: 2\r\n\r\nok",
    "/latin1": b"HTTP/1.1 200 OK\r\nX-Name: caf\xe9\r\nContent-Length: 2\r\n\r\nok",
    "/same-length": b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 5\r\n\r\nhello",
    "/same-length/list": b"HTTP/1.1 200 OK\r\nContent-Length: 5, 5\r\n\r\nhello",
    "/te-and-length": b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n",
    "/no-blank": b"\r\n" + whole("ok"),
    "/different-lengths": b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nhello!",
    "/different-lengths/list": b"HTTP/1.1 200 OK\r\nContent-Length: 5, 6\r\n\r\nhello!",
    "/space-colon": b"HTTP/1.1 200 OK\r\nContent-Length : 5\r\n\r\nhello",
    "/bare-cr": b"HTTP/1.1 200 OK\r\nX-Bad: a\rb\r\nContent-Length: 2\r\n\r\nok",
    "/nul": b"HTTP/1.1 200 OK\r\nX-Bad: a\0b\r\nContent-Length: 2\r\n\r\nok",
    "/bad-chunk": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nxyz\r\nhello\r\n0\r\n\r\n",
    "/bad-chunk/huge": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n10000000000000000\r\nhello\r\n0\r\n\r\n",
    "/bad-chunk/end": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhelloXX0\r\n\r\n",
    "/bad-chunk/minus": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n-1\r\nhello\r\n0\r\n\r\n",
    "/bad-length": b"HTTP/1.1 200 OK\r\nContent-Length: +5\r\n\r\nhello",
    "/bad-length/minus": b"HTTP/1.1 200 OK\r\nContent-Length: -5\r\n\r\nhello",
    "/bad-length/hex": b"HTTP/1.1 200 OK\r\nContent-Length: 0x5\r\n\r\nhello",
    "/bad-status": b"HTTP/1.1 2000 No\r\nContent-Length: 2\r\n\r\nok",
    "/bad-status/text": b"HTTP/1.1 OK\r\nContent-Length: 2\r\n\r\nok",
    "/garbage": b"\x16\x03\x01\x00\x05hello this is no HTTP at all\r\n\r\n",
    "/no-name": b"HTTP/1.1 200 OK\r\n: nameless\r\nContent-Length: 2\r\n\r\nok",
    "/header-64k": whole("ok", "".join(f"X-Pad-{n}: {'p' * 1000}\r\n" for n in range(60))),
    "/header-over": whole("ok", "".join(f"X-Pad-{n}: {'p' * 1000}\r\n" for n in range(81))),
    "/fields-200": whole("ok", "".join(f"X-Field-{n}: {n}\r\n" for n in range(199))),
    "/fields-over": whole("ok", "".join(f"X-Field-{n}: {n}\r\n" for n in range(259))),
    "/order": whole(
        "ok", "".join(f"{name}: {n}\r\n" for n, name in enumerate("X-A x-B X-c x-B X-d X-E x-f X-G x-H".split(), 1))
    ),
    # From here on the connection ends with the answer.
    "/http10": b"HTTP/1.0 200 OK\r\nContent-Type: text/plain\r\n\r\nuntil the end",
    "/http11/close": b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\nuntil the end",
    "/short": b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n0123456789",
    "/short/reset": b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n0123456789",
    "/close-reset": b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n0123456789",
    "/chunk-cut": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n",
    "/reset": b"",
    "/empty": b"",
}
CLOSED_AFTER = {"/http10", "/http11/close", "/short", "/chunk-cut", "/empty", "/garbage"}
RESET_AFTER = {"/short/reset", "/close-reset", "/reset"}


class Device:
    """The cases that need more than fixed bytes, one method each, found by path."""

    def __init__(self):
        self.seen = Seen()
        self.asked = threading.Semaphore(0)
        self.cases = {
            "/stats": self.stats,
            "/auth/basic": self.auth_basic,
            "/cookies": self.cookies,
            "/links": lambda r: self.links(r, r.own),
            "/links/alike": lambda r: self.links(r, r.own + "0"),
            "/links/foreign": lambda r: self.links(r, "other.example"),
            "/gzip": self.gzip,
            "/expect/continue": self.expect_continue,
            "/expect/silent": self.echo,
            "/expect/refuse": self.expect_refuse,
            "/refuse-body": self.refuse_body,
            "/ws/echo": self.ws_echo,
            "/ws/refuse": lambda r: r.connection.send(whole("not for you", status="403 Forbidden")),
            "/ws/unauthorized": lambda r: r.connection.send(
                whole("who are you", 'WWW-Authenticate: Basic realm="device"\r\n', "401 Unauthorized")
            ),
            "/ws/close": self.ws_close,
            "/ws/abort": self.ws_abort,
            "/ws/ping": self.ws_ping,
            "/drip": self.drip,
            "/drip/next": self.drip_next,
            "/split": self.split,
            "/endless": self.endless,
            "/mjpeg": self.mjpeg,
            "/sse": self.sse,
            "/never": lambda r: self.hold(r),
            "/stall": self.stall,
            "/head": self.head,
        }

    def serve(self, sock):
        self.seen.add(connections=1, open=1)
        connection = Connection(sock)
        try:
            while self.one(connection):
                pass
        except (Gone, OSError, ValueError):
            pass
        finally:
            self.seen.add(open=-1)
            sock.close()

    def one(self, connection):
        """Answers one request; false when the connection must end."""
        request = Request(connection, connection.until(b"\r\n\r\n", HEAD_MAX))
        self.seen.requests.append(request.line)
        path = request.path
        if path in FIXED:
            request.read_body()
            connection.send(FIXED[path].replace(b"{own}", request.own.encode("latin-1")))
            if path in RESET_AFTER:
                # The client must have the bytes before the reset throws away what is still queued.
                time.sleep(0.05)
                connection.reset()
            if path in CLOSED_AFTER:
                return False
        elif path in self.cases:
            return self.cases[path](request) is not False
        elif path.startswith("/echo"):
            self.echo(request)
        else:
            request.read_body()
            connection.send(whole("" if request.method == "HEAD" else path, "Content-Type: text/plain\r\n"))
        return True

    def echo(self, request):
        request.read_body()
        answer = as_json(request.json())
        request.connection.send(answer.split(b"\r\n\r\n")[0] + b"\r\n\r\n" if request.method == "HEAD" else answer)

    def stats(self, request):
        request.connection.send(as_json(self.seen.json(), "Cache-Control: no-store\r\n"))

    def auth_basic(self, request):
        right = "Basic " + base64.b64encode(b"user:secret").decode()
        if request.header("authorization") == right:
            return request.connection.send(whole("welcome"))
        head = 'WWW-Authenticate: Basic realm="device"\r\nWWW-Authenticate: Digest realm="d", nonce="n"\r\n'
        request.connection.send(whole("sign in", head, "401 Unauthorized"))

    def cookies(self, request):
        name = request.query.get("name", "none")
        host = request.own.rpartition(":")[0] or request.own
        lines = [
            "plain=1",
            f"domain=2; Domain={host}; Path=/",
            "dotted=3; path=/sub; domain=.device.example; HttpOnly",
            "strict=4; Path=/; SameSite=Strict; HttpOnly",
            "secure=5; Secure; SameSite=None; Path=/",
            "expires=6; Expires=Wed, 21 Oct 2099 07:28:00 GMT; Max-Age=3600",
            'quoted="7; 7"; Path=/',
            "empty=",
            "equals=a=b==; Path=/",
            f"{name}=stolen; Path=/",
            f"  {name} = stolen; Path=/; Secure",
        ]
        request.connection.send(whole("ok", "".join(f"Set-Cookie: {line}\r\n" for line in lines)))

    def links(self, request, own):
        head = (
            f"Content-Location: http://{own}/where\r\nRefresh: 5; url=http://{own}/next\r\n"
            f"Access-Control-Allow-Origin: http://{own}\r\n"
            f"Content-Security-Policy: default-src 'self' http://{own}; connect-src ws://{own} wss://cdn.example\r\n"
        )
        request.connection.send(whole(f"http://{own}/ stays in a body", head))

    def gzip(self, request):
        body = gzip.compress(b"compressed by the device\n" * 20, mtime=0)
        request.connection.send(whole(body, "Content-Encoding: gzip\r\nVary: Accept-Encoding\r\n"))

    def expect_continue(self, request):
        request.connection.send("HTTP/1.1 100 Continue\r\n\r\n")
        self.echo(request)

    def expect_refuse(self, request):
        request.connection.send(whole("no", "Connection: close\r\n", "417 Expectation Failed"))
        return False

    def refuse_body(self, request):
        request.connection.send(whole("too large", "Connection: close\r\n", "413 Content Too Large"))
        request.connection.sock.shutdown(socket.SHUT_WR)
        self.hold(request, stream=False)
        return False

    # WebSocket

    def upgrade(self, request, first=b""):
        """Answers 101; `first` goes out in the same segment."""
        key = (request.header("sec-websocket-key") or "").encode()
        accept = base64.b64encode(hashlib.sha1(key + WEBSOCKET_GUID).digest()).decode()
        protocol = request.query.get("protocol")
        request.connection.send(
            (
                "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                f"Sec-WebSocket-Accept: {accept}\r\n"
                + (f"Sec-WebSocket-Protocol: {protocol}\r\n" if protocol else "")
                + "Strict-Transport-Security: max-age=31536000\r\nSet-Cookie: socket=1; Domain=device.example\r\n\r\n"
            ).encode("latin-1")
            + first
        )

    def ws_echo(self, request):
        self.upgrade(request, frame(1, json.dumps(request.json()).encode()))
        self.seen.add(streams=1)
        try:
            while True:
                first, payload = read_frame(request.connection)
                if first & 0x0F == 9:
                    first = first & 0xF0 | 10
                request.connection.send(frame(first, payload, raw=True))
                if first & 0x0F == 8:
                    return False
        finally:
            self.seen.add(streams=-1)

    def ws_close(self, request):
        self.upgrade(request, frame(8, struct.pack(">H", 4001) + b"device is going down"))
        self.hold(request, stream=False)
        return False

    def ws_abort(self, request):
        self.upgrade(request, frame(1, b"0123456789")[:6])
        time.sleep(0.05)
        request.connection.reset()

    def ws_ping(self, request):
        self.upgrade(request, frame(9, b"8 bytes!"))
        while True:
            first, payload = read_frame(request.connection)
            if first & 0x0F == 10:
                request.connection.send(frame(1, payload))
            if first & 0x0F == 8:
                request.connection.send(frame(8, payload))
                return False

    # Streams and silence

    def drip(self, request):
        pause = int(request.query.get("ms", "20")) / 1000
        asked = "asked" in request.query
        request.connection.send(OK + "Transfer-Encoding: chunked\r\nContent-Type: text/plain\r\n\r\n")
        for n in range(10):
            if asked:
                self.asked.acquire()
            request.connection.send(f"2\r\n{n}\n\r\n")
            if not asked:
                time.sleep(pause)
        request.connection.send("0\r\n\r\n")

    def drip_next(self, request):
        self.asked.release()
        request.connection.send(whole("asked"))

    def split(self, request):
        request.connection.send(OK + "Content-Length: 2\r\n\r\n")
        time.sleep(0.005)
        request.connection.send("ok")

    def endless(self, request):
        self.stream(request, OK + "Content-Type: application/octet-stream\r\n\r\n", bytes(65536), 0)

    def mjpeg(self, request):
        part = b"--edge\r\nContent-Type: image/jpeg\r\nContent-Length: 4\r\n\r\n\xff\xd8\xff\xd9\r\n"
        head = "HTTP/1.0 200 OK\r\nContent-Type: multipart/x-mixed-replace;boundary=edge\r\n\r\n"
        self.stream(request, head, part, 0.02)

    def sse(self, request):
        head = OK + "Content-Type: text/event-stream\r\nCache-Control: no-store\r\n\r\n"
        self.stream(request, head, b"data: tick\n\n", 0.05)

    def stream(self, request, head, piece, pause):
        """Sends `piece` until the client is gone; a stream counts in /stats while it lasts."""
        self.seen.add(streams=1)
        try:
            request.connection.send(head)
            while True:
                request.connection.send(piece)
                if pause and request.connection.closed_within(pause):
                    return False
        finally:
            self.seen.add(streams=-1)

    def hold(self, request, stream=True):
        """Waits silently until the client is gone."""
        self.seen.add(streams=1 if stream else 0)
        try:
            while not request.connection.closed_within(60):
                pass
        finally:
            self.seen.add(streams=-1 if stream else 0)
        return False

    def stall(self, request):
        request.connection.send(OK + "Content-Length: 20\r\n\r\n0123456789")
        return self.hold(request)

    def head(self, request):
        body = b"" if request.method == "HEAD" else b"b" * 1000
        request.connection.send((OK + "Content-Length: 1000\r\n\r\n").encode() + body)


def frame(first, payload, raw=False):
    """An unmasked WebSocket frame; `first` is an opcode, or with `raw` the whole first byte."""
    head = bytes([first if raw else 0x80 | first])
    size = len(payload)
    if size < 126:
        head += bytes([size])
    elif size < 65536:
        head += bytes([126]) + struct.pack(">H", size)
    else:
        head += bytes([127]) + struct.pack(">Q", size)
    return head + payload


def read_frame(connection):
    """The first byte and the unmasked payload of one frame; an unmasked one ends the connection."""
    first, second = connection.exactly(2)
    if not second & 0x80:
        raise Gone
    size = second & 0x7F
    if size == 126:
        (size,) = struct.unpack(">H", connection.exactly(2))
    elif size == 127:
        (size,) = struct.unpack(">Q", connection.exactly(8))
    mask = connection.exactly(4)
    payload = connection.exactly(size)
    whole_mask = int.from_bytes((mask * (size // 4 + 1))[:size], "big")
    return first, (int.from_bytes(payload, "big") ^ whole_mask).to_bytes(size, "big")


def main():
    arguments = argparse.ArgumentParser(description="A hostile device over raw sockets.")
    arguments.add_argument("--port", type=int, default=0, help="0 takes a free one")
    port = arguments.parse_args().port
    listener = socket.create_server(("127.0.0.1", port), backlog=512)
    device = Device()
    print("ready", listener.getsockname()[1], flush=True)
    while True:
        sock, _ = listener.accept()
        threading.Thread(target=device.serve, args=(sock,), daemon=True).start()


if __name__ == "__main__":
    try:
        main()
    except KeyboardInterrupt:
        sys.exit(0)
