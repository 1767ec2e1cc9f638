"""How a simulator is told to misbehave: one JSON object a line on a Unix socket, one answer each.

    {"do": "card.lay", "card": {...}}        {"ok": true}
    {"do": "fault.set", "fault": "paper_out", "after_lines": 12}
    {"do": "state"}                          {"ok": true, "state": {...}}
    {"do": "nonsense"}                       {"ok": false, "error": "unknown: nonsense"}

The same socket serves tests, the demo, rehearsals and a developer with `socat`.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

Handler = Callable[[str, dict[str, Any]], Awaitable[dict[str, Any] | None]]
"""Takes the word after `do` and the whole object; returns more fields for the answer.

Raises `KeyError` for an unknown word and `ValueError` for bad arguments.
"""


@asynccontextmanager
async def control_socket(path: Path, handle: Handler) -> AsyncIterator[None]:
    """Serve the control socket while the block runs."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while line := await reader.readline():
                writer.write(json.dumps(await _answer(line, handle), ensure_ascii=False).encode())
                writer.write(b"\n")
                await writer.drain()
        except (ConnectionError, asyncio.CancelledError):
            pass
        finally:
            writer.close()

    path.unlink(missing_ok=True)
    server = await asyncio.start_unix_server(serve, path)
    try:
        yield
    finally:
        server.close()
        path.unlink(missing_ok=True)


async def _answer(line: bytes, handle: Handler) -> dict[str, Any]:
    try:
        order = json.loads(line)
        more = await handle(str(order["do"]), order)
    except KeyError as exc:
        return {"ok": False, "error": f"unknown: {exc.args[0]}"}
    except (ValueError, TypeError) as exc:
        return {"ok": False, "error": str(exc)}
    return {"ok": True, **(more or {})}


async def order(path: Path, do: str, **arguments: Any) -> dict[str, Any]:
    """Send one order to a simulator; `RuntimeError` if it says no."""
    reader, writer = await asyncio.open_unix_connection(path)
    try:
        writer.write(json.dumps({"do": do, **arguments}, ensure_ascii=False).encode() + b"\n")
        await writer.drain()
        answer: dict[str, Any] = json.loads(await reader.readline())
    finally:
        writer.close()
    if not answer.get("ok"):
        raise RuntimeError(f"{do}: {answer.get('error')}")
    return answer
