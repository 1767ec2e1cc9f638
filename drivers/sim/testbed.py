"""A /dev and a /sys of one's own, by umockdev: for twins of devices that hang on the kernel.

A program that runs under `libumockdev-preload.so.0` with UMOCKDEV_DIR set to the bed's root sees
the bed's devices at their usual paths, by the real libusb and libudev: what it opens, reads and
asks by ioctl goes to the twin's process. Without UMOCKDEV_DIR it sees the machine's own.

The bed needs PyGObject, which Debian has for its own Python: a twin begins its `main` with
`under_debians_python("drivers.sim.…")`. So such a twin imports nothing but the standard library.
"""

from __future__ import annotations

import fcntl
import importlib.util
import os
import sys
import threading
import tty
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

DEBIANS_PYTHON = "/usr/bin/python3"
VARIABLE = "UMOCKDEV_DIR"
PRELOAD = "libumockdev-preload.so.0"
NOBODY_MAY_WRITE = "/proc/sys/kernel/ostype"
"""Stands in the place of a node without rights: opened to write, it refuses root too."""
STOP_LIMIT_S = 2.0
PAGE_BYTES = 4096


def under_debians_python(module: str) -> None:
    """Go on as `python3 -m module` of Debian, with the same arguments and the preload.

    The bed needs it too: it tells of plugs pulled by what libudev finds under its /sys.
    """
    if importlib.util.find_spec("gi") is not None and PRELOAD in os.environ.get("LD_PRELOAD", ""):
        return
    if sys.executable == DEBIANS_PYTHON and importlib.util.find_spec("gi") is None:
        sys.exit("install Debian's python3-gi and gir1.2-umockdev-1.0")
    top = Path(__file__).resolve().parents[2]
    environment = {key: value for key, value in os.environ.items() if key != "PYTHONHOME"}
    os.execve(  # noqa: S606 - ourselves again
        DEBIANS_PYTHON,
        [DEBIANS_PYTHON, "-P", "-m", module, *sys.argv[1:]],
        environment | {"PYTHONPATH": str(top), "LD_PRELOAD": PRELOAD},
    )


class Memory:
    """A piece of the memory of the program that asks, as its ioctl points to it."""

    def __init__(self, data: Any) -> None:
        self.data = data
        """UMockdev's own, for what this class does not cover."""

    def read(self) -> bytes:
        return bytes(self.data.retrieve())

    def write(self, offset: int, new: bytes) -> None:
        """Reaches the program when the call is completed."""
        self.data.update(offset, list(new))

    def follow(self, offset: int, length: int) -> Memory | None:
        """What the pointer at `offset` points to; None for a null pointer."""
        found = self.data.resolve(offset, length)
        return None if found is None else Memory(found)

    def point(self, offset: int, other: Memory) -> None:
        """Let the pointer at `offset` point to another piece, whose news come along."""
        self.data.set_ptr(offset, other.data)


class Call:
    """One ioctl under way. It blocks the program until it is completed, now or later."""

    def __init__(self, client: Any) -> None:
        self._client = client
        self.caller = hash(client)
        """Which opening of the node asks."""
        self.request: int = client.get_request()

    @property
    def number(self) -> int:
        """The argument itself, where it is a number."""
        return int.from_bytes(bytes(self._client.get_arg().retrieve()), sys.byteorder)

    def structure(self, length: int) -> Memory | None:
        """What the argument points to."""
        return Memory(self._client.get_arg()).follow(0, length)

    def complete(self, result: int = 0, errno: int = 0) -> None:
        self._client.complete(result, errno)


class Gate:
    """A node that is writable while it stands open, for programs that wait for that.

    It is a pipe of one page: full it is shut, empty it stands open. Nobody reads it.
    """

    def __init__(self, path: Path) -> None:
        os.mkfifo(path)
        self._pipe = os.open(path, os.O_RDWR | os.O_NONBLOCK)
        fcntl.fcntl(self._pipe, fcntl.F_SETPIPE_SZ, PAGE_BYTES)
        self._is_open = True
        self.shut()

    def shut(self) -> None:
        if self._is_open:
            os.write(self._pipe, bytes(PAGE_BYTES))
            self._is_open = False

    def open(self) -> None:
        if not self._is_open:
            os.read(self._pipe, PAGE_BYTES)
            self._is_open = True

    def close(self) -> None:
        os.close(self._pipe)


class Testbed:
    """Devices that can be plugged in and pulled out. Used as a context manager.

    Answers to ioctls run on a thread of their own, beside the twin's loop.
    """

    __test__ = False
    """Not a test, whatever its name says."""

    def __init__(self) -> None:
        import gi  # noqa: PLC0415 - only Debian's Python has it

        gi.require_version("UMockdev", "1.0")
        from gi.repository import GLib, UMockdev  # noqa: PLC0415

        self._umockdev = UMockdev
        self._bed = UMockdev.Testbed.new()
        self._loop = GLib.MainLoop()
        self._thread = threading.Thread(target=self._loop.run, name="umockdev", daemon=True)
        self._streams: dict[str, int] = {}
        self._answered: set[str] = set()
        self.root = Path(self._bed.get_root_dir())
        """What UMOCKDEV_DIR is for programs that shall see the bed."""

    @contextmanager
    def running(self) -> Iterator[Testbed]:
        """Answer while the block runs."""
        self._thread.start()
        try:
            yield self
        finally:
            for node in tuple(self._streams):
                self.hang_up(node)
            self._loop.quit()
            self._thread.join(STOP_LIMIT_S)

    def add(self, description: str, *, make_nodes: Callable[[], None] | None = None) -> None:
        """Plug in what a text in umockdev's record format describes; programs hear of it.

        `make_nodes` makes the nodes what they shall be, before anybody hears of them. Without it
        they are empty files at first.
        """
        if make_nodes is not None:
            for node in _nodes(description):
                (self.root / node.removeprefix("/")).parent.mkdir(parents=True, exist_ok=True)
            make_nodes()
            lines = description.splitlines(keepends=True)
            description = "".join(line for line in lines if not line.startswith("N: "))
        self._bed.add_from_string(description)

    def remove(self, description: str) -> None:
        """Pull it out again; programs hear of it. Its nodes are gone."""
        for syspath in reversed(_syspaths(description)):
            self._bed.uevent(syspath, "remove")
            self._bed.remove_device(syspath)
        for node in _nodes(description):
            self.hang_up(node)
            (self.root / node.removeprefix("/")).unlink(missing_ok=True)

    def stream(self, node: str) -> int:
        """Make a device's node one that can be waited for; the descriptor of its other end.

        What is written there the program reads. `hang_up` or `remove` ends it, as a pulled plug
        does.
        """
        master, slave = os.openpty()
        tty.setraw(slave)
        path = self.root / node.removeprefix("/")
        path.unlink(missing_ok=True)
        path.symlink_to(os.ttyname(slave))
        os.close(slave)
        self._streams[node] = master
        return master

    def hang_up(self, node: str) -> None:
        """Whoever reads the node reads an error from now on."""
        if (master := self._streams.pop(node, None)) is not None:
            os.close(master)

    def gate(self, node: str) -> Gate:
        """Make a device's node one that can be waited for until it is writable."""
        path = self.root / node.removeprefix("/")
        path.unlink(missing_ok=True)
        return Gate(path)

    def answer(
        self,
        node: str,
        answer: Callable[[Call], bool],
        *,
        closed: Callable[[int], None] = lambda _caller: None,
    ) -> None:
        """Have the ioctls on a node answered by a function; it gives False for those it lacks.

        `closed` hears which opening of the node is no more.
        """

        class Handler(self._umockdev.IoctlBase):  # type: ignore[misc,name-defined]
            def do_handle_ioctl(self, client: Any) -> bool:
                return answer(Call(client))

            def do_client_vanished(self, client: Any) -> None:
                closed(hash(client))

        if node in self._answered:
            self._bed.detach_ioctl(node)
        self._answered.add(node)
        self._bed.attach_ioctl(node, Handler())

    def answer_no_more(self, node: str) -> None:
        self._answered.discard(node)
        self._bed.detach_ioctl(node)


def _syspaths(description: str) -> list[str]:
    lines = description.splitlines()
    return [f"/sys{line[3:].strip()}" for line in lines if line.startswith("P: ")]


def _nodes(description: str) -> list[str]:
    lines = description.splitlines()
    return [f"/dev/{line[3:].partition('=')[0].strip()}" for line in lines if line[:3] == "N: "]
