"""The server that an agent speaks with: tools and resources by the Model Context Protocol, over stdin and stdout.

Weighed against `mcp.server.mcpserver.MCPServer`, which leaves out arguments that a tool does not have without a word.
"""

import asyncio
import base64
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from importlib.metadata import version
from pathlib import Path
from typing import Any

import mcp_types as types
from mcp.server.lowlevel.server import Server
from mcp.server.stdio import stdio_server
from mcp.shared.exceptions import MCPError

from secondguess.analysis.agents import resources, told
from secondguess.analysis.agents.desk import Desk
from secondguess.analysis.agents.tools import Tool, tools
from secondguess.analysis.errors import NotFound, SecondguessError, listing, meant
from secondguess.analysis.serving.pool import Workers

_INSTRUCTIONS = """What a classifier predicted, example by example and epoch by epoch, as people recorded it.
Begin with runs; name tables as RUN@EPOCH (cnn@5, cnn@last, cnn@best). ask answers ready-made questions, compare says
whether a difference is real, table and sql show rows, example shows one example with its image. Answers say what was
cut: 50 of 899 rows; offset 50 shows what follows. Errors say what there is."""


class Agents:
    """An open server: its tools over a store, and the workers that answer; each request lists the store anew."""

    def __init__(self, store: Path, *, writes: bool, seconds: float, memory: str) -> None:
        self._store = store
        self._tools = tools(writes=writes)
        self._writes = writes
        self._limits = seconds, memory
        self.server: Server[Desk] = Server(
            "secondguess",
            version=version("secondguess"),
            title="secondguess",
            instructions=_INSTRUCTIONS,
            lifespan=self._open,
            on_list_tools=self._list_tools,
            on_call_tool=self._call,
            on_list_resources=self._list_resources,
            on_list_resource_templates=self._templates,
            on_read_resource=self._read,
        )

    async def over_stdio(self) -> None:
        """Answer what comes through stdin, until it ends."""
        async with stdio_server() as (read, write):
            await self.server.run(read, write, self.server.create_initialization_options())

    @asynccontextmanager
    async def _open(self, server: Any) -> AsyncIterator[Desk]:
        async with Workers(*self._limits) as workers:
            yield Desk(self._store, workers, self._writes)

    async def _list_tools(self, context: Any, params: Any) -> types.ListToolsResult:
        return types.ListToolsResult(tools=[_described(tool) for tool in self._tools.values()])

    async def _call(self, context: Any, params: types.CallToolRequestParams) -> types.CallToolResult:
        try:
            tool = self._tools.get(params.name)
            if tool is None:
                known = listing(self._tools)
                raise NotFound(f"no tool named {params.name!r}{meant(params.name, self._tools)}; there are: {known}")
            answer, picture = await tool.call(context.lifespan_context, params.arguments or {})
        except SecondguessError as error:
            return types.CallToolResult(content=[_text(" ".join(str(error).split()))], is_error=True)
        except OSError as error:
            return types.CallToolResult(content=[_text(f"{params.name}: {error}")], is_error=True)
        content: list[Any] = [_text(told.text(answer))]
        if picture is not None:
            data = base64.b64encode(picture.data).decode()
            content.append(types.ImageContent(data=data, mime_type=picture.kind))
        return types.CallToolResult(content=content, structured_content=answer)

    async def _list_resources(self, context: Any, params: Any) -> types.ListResourcesResult:
        listed = await self._of_store(lambda: resources.every(self._store))
        return types.ListResourcesResult(
            resources=[
                types.Resource(uri=one.uri, name=one.name, description=one.about, mime_type="application/json")
                for one in listed
            ]
        )

    async def _templates(self, context: Any, params: Any) -> types.ListResourceTemplatesResult:
        of = {"question": resources.QUESTIONS, "view": resources.VIEWS}
        about = {"question": "A question with its options and SQL.", "view": "A saved table view."}
        return types.ListResourceTemplatesResult(
            resource_templates=[
                types.ResourceTemplate(uri_template=f"{start}{{name}}", name=name, description=about[name])
                for name, start in of.items()
            ]
        )

    async def _read(self, context: Any, params: types.ReadResourceRequestParams) -> types.ReadResourceResult:
        said = await self._of_store(lambda: resources.read(self._store, str(params.uri)))
        contents = types.TextResourceContents(uri=params.uri, text=said, mime_type="application/json")
        return types.ReadResourceResult(contents=[contents])

    async def _of_store(self, read: Callable[[], Any]) -> Any:
        """What is read in a thread; what is wrong is the protocol's error."""
        try:
            return await asyncio.to_thread(read)
        except (SecondguessError, OSError) as error:
            raise MCPError(code=types.INVALID_PARAMS, message=" ".join(str(error).split())) from None


def _described(tool: Tool) -> types.Tool:
    hints = types.ToolAnnotations(
        read_only_hint=not tool.writes, destructive_hint=False, idempotent_hint=not tool.writes, open_world_hint=False
    )
    return types.Tool(
        name=tool.name,
        description=tool.about,
        input_schema=_untitled(tool.arguments.model_json_schema()),
        output_schema=told.SCHEMA,
        annotations=hints,
    )


def _untitled(schema: Mapping[str, Any]) -> dict[str, Any]:
    """A schema without the titles that only repeat its names: an agent reads every word of it."""
    fields = {
        name: {key: value for key, value in field.items() if key != "title"}
        for name, field in schema.get("properties", {}).items()
    }
    rest = {key: value for key, value in schema.items() if key not in {"title", "description", "properties"}}
    return {**rest, "properties": fields}


def _text(said: str) -> types.TextContent:
    return types.TextContent(text=said)
