"""A serial port that appears and vanishes: a symbolic link to a pseudo terminal."""

from __future__ import annotations

import fcntl
import os
import tty
from pathlib import Path


class PtyPort:
    """Its near end is the device's; the far one stands at the link."""

    def __init__(self, link: Path) -> None:
        self._link = link
        self._ends: tuple[int, int] | None = None

    @property
    def near(self) -> int | None:
        """The device's descriptor; None while it is unplugged."""
        return self._ends[0] if self._ends is not None else None

    def plug(self, *, held_by_another: bool = False) -> int:
        """Make the port appear if it is not there; its near end."""
        if self._ends is not None:
            return self._ends[0]
        master, slave = os.openpty()
        tty.setraw(slave)
        if held_by_another:
            fcntl.flock(slave, fcntl.LOCK_EX | fcntl.LOCK_NB)
        fresh = self._link.with_name(f".{self._link.name}.new")
        fresh.unlink(missing_ok=True)
        fresh.symlink_to(os.ttyname(slave))
        fresh.replace(self._link)
        self._ends = master, slave
        return master

    def release(self) -> None:
        """Whoever held it lets go."""
        if self._ends is not None:
            fcntl.flock(self._ends[1], fcntl.LOCK_UN)

    def unplug(self) -> None:
        """Make the port vanish; whoever has it open sees a hang-up."""
        ends, self._ends = self._ends, None
        if ends is not None:
            self._link.unlink(missing_ok=True)
            for end in reversed(ends):
                os.close(end)
