"""How a process starts, says that it is ready, and ends: one function for all of them."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import Callable, Coroutine
from typing import Any

from hallkit.errors import ConfigError, HallError
from hallkit.runtime.log import configure_logging, get_logger
from hallkit.runtime.notify import notify, watchdog_interval_s

EXIT_CONFIG = 78
"""EX_CONFIG of sysexits(3): systemd must not restart us over and over."""

ReadyCallback = Callable[[], None]
Main = Callable[[ReadyCallback], Coroutine[Any, Any, None]]


def run(process: str, main: Main) -> int:
    """Run `main` until it returns or SIGTERM/SIGINT cancels it; the exit code.

    `main` gets a function to call when it serves: systemd is told `READY=1` and the line
    `ready` goes to standard output, which is how the launcher knows.
    """
    configure_logging(os.environ.get("HALLKIT_LOG_LEVEL", "info"), process=process)
    log = get_logger()
    try:
        asyncio.run(_supervise(process, main))
    except BaseExceptionGroup as group:
        ours, others = group.split(HallError)
        if others is not None:
            raise
        faults = _leaves(ours) if ours is not None else []
        mistakes = [fault for fault in faults if isinstance(fault, ConfigError)]
        for mistake in mistakes:
            print(mistake, file=sys.stderr)  # noqa: T201  # for the person who wrote the file
        log.error("process.failed", faults=[str(fault) for fault in faults])  # noqa: TRY400
        return EXIT_CONFIG if mistakes else 1
    return 0


async def _supervise(process: str, main: Main) -> None:
    log = get_logger()
    loop = asyncio.get_running_loop()
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)

    def ready() -> None:
        notify("READY=1")
        print("ready", flush=True)  # noqa: T201  # the launcher waits for this line
        log.info("process.ready")

    async with asyncio.TaskGroup() as tasks:
        watchdog = tasks.create_task(_feed_watchdog(), name="watchdog")
        work = tasks.create_task(main(ready), name=process)
        stopped = tasks.create_task(stop.wait(), name="signals")
        await asyncio.wait({work, stopped}, return_when=asyncio.FIRST_COMPLETED)
        notify("STOPPING=1")
        if not work.done():
            log.info("process.stopping")
        for task in (work, stopped, watchdog):
            task.cancel()
    log.info("process.stopped")


async def _feed_watchdog() -> None:
    interval = watchdog_interval_s()
    while interval is not None:
        notify("WATCHDOG=1")
        await asyncio.sleep(interval)


def _leaves(group: BaseExceptionGroup[HallError]) -> list[BaseException]:
    faults: list[BaseException] = []
    for fault in group.exceptions:
        faults.extend(_leaves(fault) if isinstance(fault, BaseExceptionGroup) else [fault])
    return faults
