"""A simulator as a process of its own, for tests, rehearsals and the demo.

    async with simulator("drivers.sim.sdt", "--link", link, "--control", control):
        ...

A simulator prints the line `ready` (a network one: `ready PORT`) when its wire is up and cleans up
on SIGTERM.
"""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

START_LIMIT_S = 20.0
STOP_LIMIT_S = 5.0


@asynccontextmanager
async def simulator(
    module: str, *arguments: str | os.PathLike[str]
) -> AsyncIterator[asyncio.subprocess.Process]:
    """Run `python -m module` while the block runs; `RuntimeError` if it does not come up."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-P",
        "-m",
        module,
        *(os.fspath(argument) for argument in arguments),
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
    )
    try:
        await _wait_ready(module, process)
        yield process
    finally:
        await _stop(process)


async def _wait_ready(module: str, process: asyncio.subprocess.Process) -> None:
    if process.stdout is None:
        raise RuntimeError(f"{module}: no standard output")
    try:
        async with asyncio.timeout(START_LIMIT_S):
            line = await process.stdout.readline()
    except TimeoutError as exc:
        raise RuntimeError(f"{module}: not ready after {START_LIMIT_S:.0f} s") from exc
    if line.split()[:1] != [b"ready"]:
        raise RuntimeError(f"{module}: said {line!r} instead of ready")


async def _stop(process: asyncio.subprocess.Process) -> None:
    if process.returncode is None:
        process.terminate()
    try:
        async with asyncio.timeout(STOP_LIMIT_S):
            # Reading to the end closes the pipe, so that nothing of the process stays open.
            await process.communicate()
    except TimeoutError:
        process.kill()
        await process.communicate()
