"""Calls that may block for ever, on one thread of their own.

A call that is given up cannot be ended from outside. It stays on its thread, and so does whatever
was asked for behind it; nothing waits for the thread when the process ends.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import Future
from contextlib import suppress
from queue import SimpleQueue
from threading import Thread
from typing import Any, TypeVar

T = TypeVar("T")
_Calls = SimpleQueue[tuple[Future[Any], Callable[[], Any]] | None]
"""What is to be run; None ends the thread."""


class CallThread:
    """Runs one call after another."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._thread: Thread | None = None
        self._calls: _Calls = SimpleQueue()

    def post(self, function: Callable[[], T]) -> Future[T]:
        """Run it behind the others."""
        if self._thread is None:
            self._thread = Thread(target=_run, args=(self._calls,), name=self._name, daemon=True)
            self._thread.start()
        future: Future[T] = Future()
        self._calls.put((future, function))
        return future

    def stop(self) -> None:
        """The thread ends behind what was asked for; nobody waits for that."""
        if self._thread is not None:
            self._calls.put(None)
            self._thread, self._calls = None, SimpleQueue()


async def settled(future: Future[Any], *, timeout_s: float) -> None:
    """Wait until it is done, for so long only; it goes on if that was not enough."""
    loop, done = asyncio.get_running_loop(), asyncio.Event()

    def tell(_future: Future[Any]) -> None:
        # The loop may be over by then.
        with suppress(RuntimeError):
            loop.call_soon_threadsafe(done.set)

    future.add_done_callback(tell)
    with suppress(TimeoutError):
        async with asyncio.timeout(timeout_s):
            await done.wait()


def _run(calls: _Calls) -> None:
    while (call := calls.get()) is not None:
        future, function = call
        if not future.set_running_or_notify_cancel():
            continue
        try:
            result = function()
        except BaseException as error:  # noqa: BLE001  # it belongs to whoever asked
            future.set_exception(error)
        else:
            future.set_result(result)
