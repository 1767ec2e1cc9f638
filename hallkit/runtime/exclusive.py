"""One process at a time: a lock on a file that the kernel frees with its holder."""

from __future__ import annotations

import fcntl
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from hallkit.runtime.clock import Clock
from hallkit.runtime.log import get_logger

TRY_INTERVAL_S = 0.1


@asynccontextmanager
async def exclusively(path: Path, clock: Clock) -> AsyncIterator[None]:
    """Inside, no other process holds the lock of `path`; waits until the former holder has ended.

    The file stays where it is: one that is removed could be locked twice under the same name.
    """
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o750)
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    waits = False
    try:
        while not _locked(descriptor):
            if not waits:
                waits = True
                get_logger().warning("lock.held_by_another", lock=path.name)
            await clock.sleep(TRY_INTERVAL_S)
        if waits:
            get_logger().info("lock.taken", lock=path.name)
        yield
    finally:
        os.close(descriptor)


def _locked(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
