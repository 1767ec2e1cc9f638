"""libudev as a transport keeps it: looked for once, and used by one thread at a time."""

from __future__ import annotations

import errno
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import pyudev


class Udev:
    """One for each transport: looking for the library starts a program."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._context: pyudev.Context | None = None

    @contextmanager
    def held(self) -> Iterator[pyudev.Context]:
        """For us alone while the block runs; `OSError` where the machine has no libudev."""
        with self._lock:
            if self._context is None:
                try:
                    self._context = pyudev.Context()
                except ImportError as exc:
                    raise OSError(errno.ENOSYS, "no libudev") from exc
            yield self._context
