"""Reading pages, in a process of its own that is killed when it takes too long or too much memory.

    async with PageReader() as reader:
        match await reader.read(page):
            case PageRead(text): ...          case NotRead(why): ...

One reader a session: closing it ends the process, and with it all that it read.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from types import TracebackType
from typing import Any, Self

from drivers.documents.reading_worker import OUT_OF_MEMORY
from hallkit.model.document import Box, PageText, PrintedLine
from hallkit.ports.document_camera import Page

MEMORY_MB = 1800
"""Private memory, reserved and used: a page with many lines asks for 1.4 GB of it for a moment, of
which 1.0 is used (docs/documents.md)."""
COMMAND = (sys.executable, "-P", "-m", "drivers.documents.reading_worker")
_LINE_LIMIT = 1 << 20


class WhyNot(StrEnum):
    """Why a page was not read."""

    TOO_SLOW = "too_slow"
    NO_MEMORY = "no_memory"
    CRASHED = "crashed"


@dataclass(frozen=True, slots=True)
class PageRead:
    text: PageText = field(repr=False)


@dataclass(frozen=True, slots=True)
class NotRead:
    why: WhyNot


class PageReader:
    """One process, one page at a time; the next page starts a new one if it is gone."""

    def __init__(
        self,
        *,
        page_timeout_s: float = 20.0,
        start_timeout_s: float = 60.0,
        memory_mb: int = MEMORY_MB,
        command: Sequence[str] = COMMAND,
    ) -> None:
        self._page_timeout_s = page_timeout_s
        self._start_timeout_s = start_timeout_s
        self._command = (*command, str(memory_mb))
        self._process: asyncio.subprocess.Process | None = None
        self._turn = asyncio.Lock()
        self._answers = 0
        """Pages that this process has read."""
        self.starts = 0
        """How often a process was started: more than once a session means that pages killed it."""

    @property
    def pid(self) -> int | None:
        return self._process.pid if self._process is not None else None

    async def __aenter__(self) -> Self:
        """Starts the process; models load while the citizen lays the first sheet down."""
        async with self._turn:
            await self._started()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, exc: BaseException | None, at: TracebackType | None
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """End the process and whatever it knows."""
        process, self._process = self._process, None
        if process is None:
            return
        with contextlib.suppress(ProcessLookupError):
            process.kill()
        await process.wait()
        # Its pipes close with it; the loop hears of that in its next round.
        await asyncio.sleep(0)

    async def read(self, page: Page) -> PageRead | NotRead:
        """What stands on the page. Whatever happens to the process is a value."""
        async with self._turn:
            try:
                return await self._read(page)
            except BaseException:
                # Cancelled half way: its answer would be taken for the next page's.
                await self.close()
                raise

    async def _read(self, page: Page) -> PageRead | NotRead:
        why = await self._started()
        if why is not None or self._process is None:
            return NotRead(why or WhyNot.CRASHED)
        told = {"width": page.width, "height": page.height}
        question = json.dumps(told).encode() + b"\n" + page.bgr
        worn = self._answers > 0
        answer = await self._asked(self._process, question, self._page_timeout_s)
        if answer is WhyNot.NO_MEMORY and worn and await self._started() is None:
            # Pages leave traces: what is too much for a worn process may fit a new one.
            answer = await self._asked(self._process, question, self._page_timeout_s)
        if isinstance(answer, WhyNot):
            return NotRead(answer)
        try:
            text = _text(answer)
        except (KeyError, TypeError, ValueError):
            # No exception of a page's text leaves here: its message would quote it.
            await self.close()
            return NotRead(WhyNot.CRASHED)
        self._answers += 1
        return PageRead(text)

    async def _started(self) -> WhyNot | None:
        """None once a process is warm."""
        if self._process is not None and self._process.returncode is None:
            return None
        await self.close()
        self.starts += 1
        self._answers = 0
        self._process = await asyncio.create_subprocess_exec(
            *self._command,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.DEVNULL,
            limit=_LINE_LIMIT,
        )
        try:
            answer = await self._asked(self._process, b"", self._start_timeout_s)
        except BaseException:
            await self.close()
            raise
        return answer if isinstance(answer, WhyNot) else None

    async def _asked(
        self, process: asyncio.subprocess.Process, question: bytes, timeout_s: float
    ) -> dict[str, Any] | WhyNot:
        """One answer, or why there is none; then the process is gone."""
        assert process.stdin is not None  # noqa: S101  # it was asked for
        assert process.stdout is not None  # noqa: S101
        try:
            async with asyncio.timeout(timeout_s):
                process.stdin.write(question)
                with contextlib.suppress(ConnectionError):
                    await process.stdin.drain()
                answer = await process.stdout.readline()
                if answer.endswith(b"\n"):
                    found: dict[str, Any] = json.loads(answer)
                    return found
                code = await process.wait()
        except TimeoutError:
            await self.close()
            return WhyNot.TOO_SLOW
        except ValueError:  # longer than any page
            await self.close()
            return WhyNot.CRASHED
        await self.close()
        return WhyNot.NO_MEMORY if code == OUT_OF_MEMORY else WhyNot.CRASHED


def _text(answer: dict[str, Any]) -> PageText:
    lines = []
    for line in answer["lines"]:
        left, top, right, bottom = line["box"]
        box = Box(left=left, top=top, right=right, bottom=bottom)
        lines.append(PrintedLine(text=line["text"], box=box))
    return PageText(lines=tuple(lines), turn=answer["turn"])
