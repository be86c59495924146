"""An agent in 100 lines of Python that knows only the messages of the seed documents.

    json_agent.py --url wss://127.0.0.1:8443/v1/agent/ws --server-name NAME --token-file F --ca FILE
        [--packages DIR]

It says `hello`, then `heartbeat` each 15 s, and answers every `http_request` with an `http_response` out of
its own head: no origin, no library of ours, no subprotocol. Where it has a directory for packages, it runs the
`command` of type `package_operation`: a package is a file there, and is reported by `status_update` and
`response`. What it does not know it ignores. The end-to-end tests run it as proof that such an agent is enough to put a
page on the platform, and to be told what to do.
"""

import argparse
import asyncio
import json
import pathlib
import ssl
import time
import uuid

import websockets

HEARTBEAT_SECONDS = 15
PAGE = """<!doctype html><meta charset="utf-8"><title>JSON agent</title><h1>Grüße from a JSON agent</h1>
<output id="answer"></output><script>
fetch("/answer?n=41", {method: "POST", body: "question"}).then((response) => response.json())
  .then((answer) => { document.getElementById("answer").textContent = JSON.stringify(answer); });
</script>"""


def answer(request):
    """Status, content type and body of one request's answer."""
    path = request["path"]
    if path == "/":
        return 200, "text/html; charset=utf-8", PAGE
    if path.startswith("/answer"):
        seen = {"method": request["method"], "path": path, "body": request.get("body", "")}
        return 200, "application/json", json.dumps(seen)
    return 404, "text/plain", "no such page"


def durable(kind, original, **content):
    """A durable message that belongs to another."""
    now = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
    return {"message_id": str(uuid.uuid4()), "original_message_id": original, "timestamp": now, "message_type": kind} | content


async def obey(socket, command, packages):
    """Runs a command, and says how it gets on and what came of it."""
    begun, id = time.monotonic(), command["message_id"]
    wanted = command["parameters"]
    await socket.send(json.dumps(durable("status_update", id, status="running", progress_percent=0)))
    for number, name in enumerate(wanted["packages"], 1):
        file = packages / name
        if wanted["operation"] == "install":
            file.write_text("installed\n")
        else:
            file.unlink(missing_ok=True)
        progress = 100 * number // len(wanted["packages"])
        update = durable("status_update", id, status="running", progress_percent=progress, output=f"{name} done\n")
        await socket.send(json.dumps(update))
    key = "installed_packages" if wanted["operation"] == "install" else "removed_packages"
    result = {key: wanted["packages"], "execution_time": time.monotonic() - begun, "output": "all done"}
    await socket.send(json.dumps(durable("response", id, status="success", result=result)))


async def heartbeats(socket):
    while True:
        beat = {"type": "heartbeat", "uptime_seconds": int(time.monotonic()), "cpu_percent": 1.5, "memory_percent": 40.0}
        await socket.send(json.dumps(beat))
        await asyncio.sleep(HEARTBEAT_SECONDS)


async def run(options):
    context = ssl.create_default_context(cafile=options.ca)
    token = pathlib.Path(options.token_file).read_text().strip()
    async with websockets.connect(options.url, ssl=context, server_hostname=options.server_name, proxy=None) as socket:
        await socket.send(json.dumps({"type": "hello", "auth_token": token}))
        beating = asyncio.create_task(heartbeats(socket))
        async for text in socket:
            message = json.loads(text)
            if message.get("type") == "http_request":
                status, kind, body = answer(message)
                head = {"type": "http_response", "id": message["id"], "status": status}
                await socket.send(json.dumps({**head, "headers": {"content-type": kind}, "body": body}))
            elif message.get("command_type") == "package_operation" and options.packages:
                await obey(socket, message, options.packages)
        beating.cancel()


if __name__ == "__main__":
    arguments = argparse.ArgumentParser(description="An agent that speaks only the seeds' JSON.")
    for name in ("--url", "--server-name", "--token-file", "--ca"):
        arguments.add_argument(name, required=True)
    arguments.add_argument("--packages", type=pathlib.Path)
    asyncio.run(run(arguments.parse_args()))
