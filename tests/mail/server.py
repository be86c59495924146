"""A mail server for the tests: aiosmtpd, which tells on its standard output what it was given.

The first line is `port N`, then one line of JSON for each message. Recipients that begin with `no-` are refused for
good, those that begin with `later-` at the first try. Arguments: the mode (`none`, `starttls` or `tls`), and for the
last two the files of a certificate and its key; then a user's name and password, if one has to sign in.
"""

import asyncio
import json
import ssl
import sys

from aiosmtpd.smtp import SMTP, AuthResult

mode, *rest = sys.argv[1:]
context = None
if mode != "none":
    certificate, key, *rest = rest
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(certificate, key)
known = [text.encode() for text in rest]


class Handler:
    def __init__(self):
        self.seen = set()

    async def handle_RCPT(self, server, session, envelope, address, options):
        if address.startswith("no-"):
            return "550 5.1.1 there is no such mailbox"
        if address.startswith("later-") and address not in self.seen:
            self.seen.add(address)
            return "451 4.7.1 come again later"
        envelope.rcpt_tos.append(address)
        return "250 2.1.5 OK"

    async def handle_DATA(self, server, session, envelope):
        told = {
            "from": envelope.mail_from,
            "to": envelope.rcpt_tos,
            "tls": session.ssl is not None or mode == "tls",
            "signed_in": session.authenticated,
            "text": envelope.content.decode(),
        }
        print(json.dumps(told), flush=True)
        return "250 2.0.0 taken"


def sign_in(server, session, envelope, mechanism, data):
    return AuthResult(success=[data.login, data.password] == known, handled=False)


handler = Handler()


def dialogue():
    starttls = mode == "starttls"
    return SMTP(
        handler,
        tls_context=context if starttls else None,
        require_starttls=starttls,
        auth_required=bool(known),
        auth_require_tls=starttls,
        authenticator=sign_in,
        hostname="mx.example.com",
    )


async def main():
    loop = asyncio.get_running_loop()
    around = context if mode == "tls" else None
    server = await loop.create_server(dialogue, "127.0.0.1", 0, ssl=around)
    print("port", server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


asyncio.run(main())
