"""A client of the Model Context Protocol, the official one for Python, for the tests of `fleetwire mcp`. Standard
input says how the server is started and which tools are called, as JSON; standard output has what it said."""

import asyncio
import json
import sys

from mcp import ClientSession, MCPError, StdioServerParameters
from mcp.client.stdio import stdio_client


def plain(model):
    return model.model_dump(mode="json", by_alias=True, exclude_none=True)


async def main(asked):
    server = StdioServerParameters(command=asked["command"], args=asked["arguments"], env=asked["environment"])
    async with stdio_client(server) as (read, write), ClientSession(read, write) as session:
        about = plain(await session.initialize())
        tools = [plain(tool) for tool in (await session.list_tools()).tools]
        results = []
        for name, arguments in asked["calls"]:
            try:
                results.append(plain(await session.call_tool(name, arguments)))
            except MCPError as error:
                results.append({"protocol_error": str(error)})
        await session.send_ping()
    json.dump({"about": about, "tools": tools, "results": results}, sys.stdout)


asyncio.run(main(json.load(sys.stdin)))
