"""What an operator's program does, over gRPC with nothing but grpcio and the protos: signs in, lists the hosts, opens a
console session, reads the device's page through it, closes it, and reads what the audit log says of it.

usage: client.py --api HOST:PORT --ca FILE --console HOST:PORT --user NAME --host NAME
The password is in FLEETWIRE_PASSWORD. What was seen is printed as one JSON object.
"""

import argparse
import http.client
import importlib
import json
import os
import pathlib
import sys
import tempfile
import urllib.parse

import grpc
from grpc_tools import protoc

PROTO = pathlib.Path(__file__).resolve().parents[2] / "proto"
CALL_SECONDS_MAX = 30


def compiled(folder):
    """The messages and stubs of the API, made of the protos."""
    files = [str(path.relative_to(PROTO)) for path in PROTO.rglob("*.proto")]
    well_known = pathlib.Path(protoc.__file__).parent / "_proto"
    options = [f"-I{PROTO}", f"-I{well_known}", f"--python_out={folder}", f"--grpc_python_out={folder}"]
    if protoc.main(["protoc", *options, *files]) != 0:
        sys.exit("the protos do not compile")
    # Before the bindings of an installed package, should there be one.
    sys.path.insert(0, folder)

    def module(name):
        return importlib.import_module(f"fleetwire.api.v1.{name}")

    return module


class Console:
    """A console session's origin, on an address that its name need not lead to."""

    def __init__(self, address, url):
        page = urllib.parse.urlsplit(url)
        self.address, self.host, self.ticket = address, page.netloc, page.fragment
        self.entry = page.path
        self.cookies = {}

    def request(self, method, path, body=None, headers=None):
        connection = http.client.HTTPConnection(self.address, timeout=CALL_SECONDS_MAX)
        cookies = "; ".join(f"{name}={value}" for name, value in self.cookies.items())
        fields = {"Host": self.host, **({"Cookie": cookies} if cookies else {}), **(headers or {})}
        connection.request(method, path, body, fields)
        answer = connection.getresponse()
        text = answer.read().decode()
        for line in answer.headers.get_all("set-cookie", []):
            name, _, value = line.split(";")[0].partition("=")
            self.cookies[name] = value
        connection.close()
        return answer.status, text

    def enter(self):
        """What the entering page's script does: posts the ticket, with the state that the page's cookie has."""
        status, _ = self.request("GET", self.entry)
        assert status == 200, status
        body = json.dumps({"ticket": self.ticket, "state": self.cookies["fleetwire-state"]})
        origin = {"Origin": f"http://{self.host}", "Content-Type": "application/json"}
        status, text = self.request("POST", self.entry, body, origin)
        assert status == 204, (status, text)


def main():
    arguments = argparse.ArgumentParser()
    for name in ("--api", "--ca", "--console", "--user", "--host"):
        arguments.add_argument(name, required=True)
    arguments = arguments.parse_args()

    with tempfile.TemporaryDirectory() as folder:
        module = compiled(folder)
        auth, auth_grpc = module("auth_pb2"), module("auth_pb2_grpc")
        host, host_grpc = module("host_pb2"), module("host_pb2_grpc")
        session, session_grpc = module("session_pb2"), module("session_pb2_grpc")
        audit, audit_grpc = module("audit_pb2"), module("audit_pb2_grpc")

        credentials = grpc.ssl_channel_credentials(pathlib.Path(arguments.ca).read_bytes())
        with grpc.secure_channel(arguments.api, credentials) as channel:
            password = os.environ["FLEETWIRE_PASSWORD"]
            request = auth.SignInRequest(user=arguments.user, password=password)
            answer = auth_grpc.AuthServiceStub(channel).SignIn(request, timeout=CALL_SECONDS_MAX)
            call = {
                "metadata": [("authorization", f"Bearer {answer.tokens.access_token}")],
                "timeout": CALL_SECONDS_MAX,
            }

            hosts = host_grpc.HostServiceStub(channel).ListHosts(host.ListHostsRequest(), **call)
            online = host.HostStatus.HOST_STATUS_ONLINE
            seen = {"hosts": {one.name: one.status == online for one in hosts.hosts}}

            sessions = session_grpc.SessionServiceStub(channel)
            opened = sessions.OpenSession(session.OpenSessionRequest(host=arguments.host), **call)
            console = Console(arguments.console, opened.console_url)
            console.enter()
            seen["status"], seen["page"] = console.request("GET", "/")
            sessions.CloseSession(session.CloseSessionRequest(session_id=opened.session_id), **call)
            seen["status_after"], _ = console.request("GET", "/")

            listed = audit_grpc.AuditServiceStub(channel).ListAuditEntries(
                audit.ListAuditEntriesRequest(session_id=opened.session_id), **call
            )
            # The newest are first.
            seen["audit"] = [[entry.actor, entry.action] for entry in reversed(listed.entries)]
            seen["session"] = opened.session_id
    print(json.dumps(seen))


main()
