"""What the programs of this machine say of their files, told as a part that needs a person.

A program that works on its last known good configuration leaves word in the state folder
(`hallkit.runtime.last_good`); the agent, which may be one of them, tells the operations centre.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from hallkit.errors import Reason
from hallkit.model.device import DeviceReport, DeviceStatus, ErrorAction
from hallkit.runtime.clock import Clock
from hallkit.runtime.last_good import WrongFiles, wrong_files
from hallkit.wire.events import MISTAKES_LIMIT, TEXT_LIMIT, ConfigurationChecked

PART = "configuration"
INTERVAL_S = 5.0

Tell = Callable[[ConfigurationChecked], None]


class ConfigurationWatch:
    """Looks whether any program's files are wrong, and tells each change once."""

    def __init__(self, state: Path, clock: Clock, *, tell: Tell) -> None:
        self._state = state
        self._clock = clock
        self._tell = tell
        self._wrong: dict[str, WrongFiles] = {}
        self._since_ms = 0

    @property
    def reports(self) -> tuple[DeviceReport, ...]:
        """One part while files are wrong, none while all is well."""
        if not self._wrong:
            return ()
        report = DeviceReport(
            id=PART,
            port=PART,
            driver="",
            status=DeviceStatus.USER_ERROR,
            reason=Reason.CONFIGURATION,
            action=ErrorAction.CONFIGURATION,
            since_ms=self._since_ms,
        )
        return (report,)

    async def run(self) -> None:
        """Until cancelled."""
        while True:
            self.look()
            await self._clock.sleep(INTERVAL_S)

    def look(self) -> None:
        """Look once."""
        wrong = {one.process: one for one in wrong_files(self._state)}
        changed = [one for name, one in wrong.items() if self._wrong.get(name) != one]
        healed = self._wrong.keys() - wrong.keys()
        if wrong and not self._wrong:
            self._since_ms = self._clock.wall_ms()
        self._wrong = wrong
        for one in changed:
            self._tell(_told(one))
        for process in sorted(healed):
            self._tell(right(process))


def right(process: str) -> ConfigurationChecked:
    """The files of a process are right again."""
    return ConfigurationChecked(process=process)


def _told(one: WrongFiles) -> ConfigurationChecked:
    return ConfigurationChecked(
        process=one.process,
        works=one.works,
        total=len(one.problems),
        mistakes=tuple(str(problem)[:TEXT_LIMIT] for problem in one.problems[:MISTAKES_LIMIT]),
    )
