"""A small stand-in for PiKVM's daemon behind nginx: sign-in, a WebSocket, and an upload that needs a length.

    kvmd.py SOCKET USER PASSWORD

It keeps what a proxy can break in the real one: a cookie that is HttpOnly and SameSite=Strict, a check for
nginx's auth_request, a WebSocket that closes when its pings are not answered, uploads refused with 411
without Content-Length. The pages and the public face are nginx's (pikvm.conf).
"""

import hashlib
import json
import secrets
import sys

import tornado.httpserver
import tornado.ioloop
import tornado.netutil
import tornado.web
import tornado.websocket

COOKIE = "auth_token"
TOKENS = set()
USER = PASSWORD = ""


class Login(tornado.web.RequestHandler):
    def post(self):
        if (self.get_argument("user", ""), self.get_argument("passwd", "")) != (USER, PASSWORD):
            return self.send_error(403)
        token = secrets.token_hex(16)
        TOKENS.add(token)
        self.set_cookie(COOKIE, token, httponly=True, samesite="Strict", path="/")
        self.finish({"ok": True, "result": {}})


class Check(tornado.web.RequestHandler):
    def get(self):
        token = self.get_cookie(COOKIE)
        self.set_status(200 if token in TOKENS else 401 if token is None else 403)


class Logout(tornado.web.RequestHandler):
    def post(self):
        TOKENS.discard(self.get_cookie(COOKIE))
        self.clear_cookie(COOKIE)
        self.finish({"ok": True, "result": {}})


@tornado.web.stream_request_body
class Write(tornado.web.RequestHandler):
    """An image in one request, hashed as it comes."""

    def prepare(self):
        self.hash, self.size = hashlib.sha256(), 0
        if "Content-Length" not in self.request.headers:
            self.send_error(411)
        else:
            self.request.connection.set_max_body_size(1 << 40)

    def data_received(self, chunk):
        self.hash.update(chunk)
        self.size += len(chunk)

    def post(self):
        image = {"name": self.get_query_argument("image"), "size": self.size, "sha256": self.hash.hexdigest()}
        self.finish({"ok": True, "result": {"image": image}})


class Events(tornado.websocket.WebSocketHandler):
    """Greets with the state, answers pings with pongs, and counts the keys it was sent."""

    def open(self, *_):
        self.keys = 0
        self.write_message(json.dumps({"event_type": "loop", "event": {}}))

    def on_message(self, message):
        if isinstance(message, bytes):
            # The binary form of kvmd: an opcode, then a state and the key's name.
            self.keys += 1
            return self.write_message(bytes([message[0]]) + message[:0:-1], binary=True)
        event = json.loads(message)
        answer = {"ping": "pong", "key": "hid"}.get(event["event_type"], "unknown")
        self.write_message(json.dumps({"event_type": answer, "event": {"keys": self.keys, **event["event"]}}))


def main():
    global USER, PASSWORD
    path, USER, PASSWORD = sys.argv[1:]
    routes = [
        ("/auth/login", Login),
        ("/auth/check", Check),
        ("/auth/logout", Logout),
        ("/msd/write", Write),
        ("/ws", Events),
    ]
    application = tornado.web.Application(routes, websocket_ping_interval=5, websocket_ping_timeout=4)
    server = tornado.httpserver.HTTPServer(application)
    server.add_socket(tornado.netutil.bind_unix_socket(path, mode=0o600))
    tornado.ioloop.IOLoop.current().start()


if __name__ == "__main__":
    main()
