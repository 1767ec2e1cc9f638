"""Keeps the terminal's two programs going: `python -m kiosk.keep service|screen`.

`service` keeps the visit's service; `screen` keeps the window. Each has a warm spare.
"""

from __future__ import annotations

import sys

from hallkit.lexicon.words import words
from hallkit.runtime.clock import SystemClock
from hallkit.runtime.config import Places, files_from_environment
from hallkit.runtime.keeper import Keeper
from hallkit.runtime.last_good import LastGood
from hallkit.runtime.lifecycle import ReadyCallback, run
from kiosk.service import SCREEN_SOCKET
from kiosk.settings import KioskSettings, parse, read_files


def _service_command() -> list[str]:
    return [sys.executable, "-P", "-m", "kiosk.app"]


def _screen_command() -> list[str]:
    places = Places.from_environment()
    last_good = LastGood(places.state, "screen")
    settings = last_good.parse(read_files(files_from_environment()), parse)
    last_good.started(KioskSettings.model_fields)
    text = words("zh_CN")
    return [
        *(sys.executable, "-P", "-m", "kiosk.ui.app"),
        *("--socket", str(places.runtime / SCREEN_SOCKET)),
        *("--px-per-mm", str(settings.kiosk.px_per_mm)),
        *("--recovering-title", text("chrome.recovering_title")),
        *("--recovering-text", text("chrome.recovering_text")),
        *("--earlier", text("chrome.earlier")),
        *("--later", text("chrome.later")),
        *sys.argv[2:],
    ]


_COMMANDS = {"service": _service_command, "screen": _screen_command}


def main() -> int:
    """Entry point of the process."""
    which = sys.argv[1] if len(sys.argv) > 1 else ""
    if which not in _COMMANDS:
        print("use: kiosk.keep service|screen [options of the screen]", file=sys.stderr)  # noqa: T201
        return 2

    async def keep(ready: ReadyCallback) -> None:
        keeper = Keeper(which, _COMMANDS[which](), SystemClock())
        ready()
        await keeper.run()

    return run(f"kiosk.keep.{which}", keep)


if __name__ == "__main__":
    sys.exit(main())
