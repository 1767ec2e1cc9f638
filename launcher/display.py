"""A virtual panel for a machine without a screen: an X server with a real touch device.

Xorg's `dummy` video and `inputtest` input drivers; no root, no console, no kernel device. A
session bus beside it carries accessibility, by which a visit finds what it wants to touch.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from launcher.processes import ProcessTable, Program

XORG = "/usr/lib/xorg/Xorg"
A11Y_BUS = "/usr/libexec/at-spi-bus-launcher"

_CONFIGURATION = """
Section "ServerFlags"
    Option "AutoAddDevices" "false"
    Option "DontVTSwitch" "true"
    Option "BlankTime" "0"
    Option "StandbyTime" "0"
    Option "SuspendTime" "0"
    Option "OffTime" "0"
EndSection
Section "Device"
    Identifier "panel output"
    Driver "dummy"
    VideoRam 65536
EndSection
Section "Monitor"
    Identifier "panel"
    HorizSync 5.0-1000.0
    VertRefresh 5.0-200.0
    Modeline "panel" {clock} {width} {w1} {w2} {w3} {height} {h1} {h2} {h3}
EndSection
Section "Screen"
    Identifier "screen"
    Device "panel output"
    Monitor "panel"
    DefaultDepth 24
    SubSection "Display"
        Depth 24
        Modes "panel"
        Virtual {width} {height}
    EndSubSection
EndSection
Section "InputDevice"
    Identifier "touch panel"
    Driver "inputtest"
    Option "SocketPath" "{touch}"
    Option "DeviceType" "Touch"
    Option "TouchCount" "5"
EndSection
Section "ServerLayout"
    Identifier "terminal"
    Screen "screen"
    InputDevice "touch panel"
EndSection
"""


@dataclass(frozen=True, slots=True)
class VirtualPanel:
    """Where the panel is."""

    display: str
    touch: Path
    bus: str
    """Address of the session bus."""
    width: int
    height: int

    @property
    def environment(self) -> dict[str, str]:
        """What a program needs to show itself here."""
        return {
            "DISPLAY": self.display,
            "QT_QPA_PLATFORM": "xcb",
            "DBUS_SESSION_BUS_ADDRESS": self.bus,
            "QT_LINUX_ACCESSIBILITY_ALWAYS_ON": "1",
            "QT_ACCESSIBILITY": "1",
        }


async def start_panel(
    table: ProcessTable, runtime: Path, *, width: int = 1080, height: int = 1920
) -> VirtualPanel:
    """Start the X server and the session bus as programs of the table."""
    touch = runtime / "touch.sock"
    touch.unlink(missing_ok=True)
    configuration = runtime / "xorg.conf"
    configuration.write_text(_configuration(width, height, touch), encoding="ascii")
    number = _free_display()
    await table.start(
        Program(
            name="panel",
            command=(
                *(XORG, f":{number}", "-config", str(configuration)),
                *("-logfile", str(runtime / "xorg.log"), "-noreset", "-nolisten", "tcp"),
                *("-novtswitch", "-sharevts", "-quiet"),
            ),
            environment=os.environ,
            is_up=touch.exists,
        )
    )
    address = f"unix:path={runtime / 'session-bus.sock'}"
    environment = {
        **os.environ,
        "DISPLAY": f":{number}",
        "DBUS_SESSION_BUS_ADDRESS": address,
        "XDG_RUNTIME_DIR": str(runtime),
    }
    bus = Path(runtime / "session-bus.sock")
    bus.unlink(missing_ok=True)
    await table.start(
        Program(
            name="session-bus",
            command=("dbus-daemon", "--session", "--nofork", f"--address={address}"),
            environment=environment,
            is_up=bus.exists,
        )
    )
    await table.start(
        Program(
            name="accessibility",
            command=(A11Y_BUS, "--launch-immediately"),
            environment=environment,
            is_up=lambda: True,
        )
    )
    return VirtualPanel(f":{number}", touch, address, width, height)


def _configuration(width: int, height: int, touch: Path) -> str:
    blank, lines = width + 416, height + 69
    return _CONFIGURATION.format(
        clock=f"{blank * lines * 60 / 1e6:.2f}",
        width=width,
        w1=width + 96,
        w2=width + 208,
        w3=blank,
        height=height,
        h1=height + 1,
        h2=height + 4,
        h3=lines,
        touch=touch,
    )


def _free_display() -> int:
    """The first display number that no X server uses (its socket and lock name it)."""
    number = 90
    while Path(f"/tmp/.X11-unix/X{number}").exists() or Path(f"/tmp/.X{number}-lock").exists():  # noqa: S108
        number += 1
    return number
