"""Write THIRD_PARTY_NOTICES.md: what the locks install, and under which licence.

Licences are those that each installed package states of itself. `--check` writes nothing and
says whether the file is current.
"""

from __future__ import annotations

import argparse
import re
import sys
from importlib.metadata import PackageMetadata, PackageNotFoundError, metadata

from packaging.utils import canonicalize_name

from launcher.installation import CHECKOUT

HELP = "write the notices of third parties; --check compares"

FILE = CHECKOUT / "THIRD_PARTY_NOTICES.md"
LOCKS = CHECKOUT / "locks"
ROLES = ("terminal", "agent", "central", "camera", "voice")
_NAME_LIMIT = 70
"""A longer field is a licence's text, not its name."""

SAME = {
    "Apache 2.0": "Apache-2.0",
    "Apache Software License": "Apache-2.0",
    "BSD 2-Clause License": "BSD-2-Clause",
    "MIT License": "MIT",
    "Mozilla Public License 2.0 (MPL 2.0)": "MPL-2.0",
}

READ = {"axe-playwright-python": "MIT, with axe-core under MPL-2.0"}
"""Of packages whose metadata says nothing: read in the licence file that comes with them."""

DEBIAN = {
    "The Python interpreter (PSF-2.0)": ("python3", "python3-venv"),
    "Eclipse Mosquitto (EPL-2.0 or EDL-1.0)": ("mosquitto",),
    "Noto Sans CJK (OFL-1.1)": ("fonts-noto-cjk",),
    "GLib, AT-SPI (LGPL-2.1 or later)": ("libglib2.0-0", "at-spi2-core"),
    "D-Bus (AFL-2.1 or GPL-2.0 or later)": ("dbus", "libdbus-1-3"),
    "FreeType (FTL or GPL-2.0), Fontconfig (MIT)": ("libfreetype6", "libfontconfig1"),
    "GLVND (MIT)": ("libegl1", "libgl1"),
    "X.Org server, its drivers, XCB and xkbcommon (MIT)": (
        *("libx11-xcb1", "libxcb-cursor0", "libxcb-icccm4", "libxcb-image0", "libxcb-keysyms1"),
        *("libxcb-randr0", "libxcb-render-util0", "libxcb-shape0", "libxcb-shm0", "libxcb-sync1"),
        *("libxcb-xfixes0", "libxcb-xkb1", "libxkbcommon-x11-0", "libxkbcommon0"),
        *("xserver-xorg-core", "xserver-xorg-video-dummy"),
    ),
    "CUPS (Apache-2.0 with exceptions), a server of its own": ("cups-daemon", "cups-ipp-utils"),
    "Network UPS Tools (GPL-2.0 or later), a server of its own": ("nut-server",),
    "libusb, umockdev, PyGObject (LGPL-2.1 or later)": (
        *("libusb-1.0-0", "umockdev", "gir1.2-umockdev-1.0", "python3-gi"),
    ),
    "PortAudio (MIT), Speex DSP (BSD-3-Clause)": ("libportaudio2", "libspeexdsp1"),
    "PulseAudio (LGPL-2.1 or later), a server of its own": ("pulseaudio", "pulseaudio-utils"),
    "ALSA's plugins (LGPL-2.1 or later)": ("libasound2-plugins",),
    "PC/SC Lite (BSD-3-Clause)": ("libpcsclite1", "pcscd"),
    "vsmartcard's virtual reader (GPL-3.0 or later), a driver of that service": (
        "vsmartcard-vpcd",
    ),
    "Chromium (BSD-3-Clause and others)": ("chromium",),
    "Git (GPL-2.0), ShellCheck (GPL-3.0 or later), systemd (LGPL-2.1 or later)": (
        *("git", "shellcheck", "systemd"),
    ),
    "cage (MIT), the compositor of a real terminal": ("cage", "xwayland"),
}
"""Packages of locks/debian.txt, and what systemd/hall-screen.service starts besides."""

ONLY_INSTALLED = {"cage", "xwayland"}
"""Of the units alone: neither the demo nor the tests need them."""


def configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--check", action="store_true", help="only say whether it is current")


def run(args: argparse.Namespace) -> int:
    """0 written or current, 1 not current."""
    made = text()
    if args.check:
        if FILE.read_text(encoding="utf-8") == made:
            return 0
        print("THIRD_PARTY_NOTICES.md is not current: ./hall notices", file=sys.stderr)
        return 1
    FILE.write_text(made, encoding="utf-8")
    return 0


def text() -> str:
    """The file as it should be."""
    roles = {role: names(role) for role in ROLES}
    everything = names("all")
    at_run_time = [name for name in everything if any(name in held for held in roles.values())]
    lines = [
        "# Third-party notices",
        "",
        "Written by `./hall notices` from the locks and from what each installed package says of",
        "itself; none of it is copied into this repository. The licence texts come with the",
        "packages. Hallkit's own code, icons and pages are under [LICENSE](LICENSE).",
        "",
        "## Python packages at run time",
        "",
        "| package | version | licence | role |",
        "|---|---|---|---|",
    ]
    for name in at_run_time:
        where = ", ".join(role for role in ROLES if name in roles[role])
        lines.append(f"| {name} | {everything[name]} | {licence(name)} | {where} |")
    lines += [
        "",
        "PySide6 Essentials and Shiboken are used under LGPL-3.0: unmodified, as shared libraries",
        "that may be replaced by another build of the same version.",
        "",
        "## Python packages of the demo, the tests and the build",
        "",
        "| package | version | licence |",
        "|---|---|---|",
    ]
    lines += [
        f"| {name} | {version} | {licence(name)} |"
        for name, version in everything.items()
        if name not in at_run_time
    ]
    lines += [
        "",
        "## Debian packages",
        "",
        "Installed from Debian, not distributed by us; each carries its terms in",
        "`/usr/share/doc/<package>/copyright`.",
        "",
        "| what (main licence) | packages |",
        "|---|---|",
    ]
    lines += [f"| {what} | {', '.join(packages)} |" for what, packages in DEBIAN.items()]
    return "\n".join(lines) + "\n"


def names(lock: str) -> dict[str, str]:
    """Versions by name in a lock."""
    content = (LOCKS / f"{lock}.lock").read_text(encoding="utf-8")
    entries = re.findall(r"^([A-Za-z0-9._-]+)==([^ \\;]+)", content, flags=re.MULTILINE)
    return {canonicalize_name(name): version for name, version in entries}


def licence(name: str) -> str:
    """What an installed package says of its licence."""
    if name in READ:
        return READ[name]
    try:
        said = metadata(name)
    except PackageNotFoundError:
        return "not installed here"
    named = _field(said, "License-Expression") or _field(said, "License")
    if not named or named == "UNKNOWN":
        classes = [
            line.rpartition(" :: ")[2]
            for line in said.get_all("Classifier") or ()
            if line.startswith("License :: ")
        ]
        named = ", ".join(SAME.get(line, line) for line in classes)
    return SAME.get(named, named) or "see the package"


def _field(said: PackageMetadata, key: str) -> str:
    lines = "\n".join(said.get_all(key) or ()).strip().splitlines()
    return lines[0].strip() if lines and len(lines[0]) <= _NAME_LIMIT else ""
