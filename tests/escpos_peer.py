"""emupos, an ESC/POS emulator written by others: the same bytes in, its paper and answers out.

It is no dependency of ours and not in the locks: `tests/escpos_peer.txt` says how it is fetched.
It is written for Python 3.13; before that its three kinds of newer syntax (`type X = …`,
`def f[T](…)`) are put as older ones while it is read, everything else runs as it was published.
"""

from __future__ import annotations

import importlib
import io
import re
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec, PathFinder, SourceFileLoader
from pathlib import Path
from types import CodeType, ModuleType
from typing import Any

from PIL import Image

FOLDER = Path(__file__).parents[1] / ".peers" / "escpos"
MISSING = "the peer is not installed: see tests/escpos_peer.txt"
FAULTS = {
    "paper_low": "paper-near-end",
    "paper_out": "paper-out",
    "cover_open": "cover-open",
    "offline": "offline",
}
"""Our names of the faults that both know, and theirs."""

_PACKAGES = frozenset({"emupos", "segno"})
_ALIAS = re.compile(r"(?m)^type (\w+) = ")
_GENERIC = re.compile(r"(?m)^(def \w+)\[(\w+)\]\(")
_LINE = "the line"


@dataclass(frozen=True, slots=True)
class Receipt:
    """What fell at a cut: its text, and its dots from the first line that is not white."""

    text: list[str]
    dots: Image.Image


class EmuposPrinter:
    """Their printer behind one connection."""

    def __init__(self) -> None:
        config: Any = importlib.import_module("emupos.config")
        self._module: Any = importlib.import_module("emupos.printer.printer")
        profile = config._load_profile("epson-tm-t20iii", "printer", Path())
        self._printer = self._module.Printer(
            "peer", profile, sensor_open_level="high", job_idle_timeout_ms=60_000
        )
        self._printer.open_connection(_LINE, 0.0)
        self.answers = b""
        self.receipts: list[Receipt] = []
        self.unknown: list[str] = []

    def receive(self, data: bytes) -> None:
        self._keep(self._printer.receive(_LINE, data, 0.0))

    def set_fault(self, fault: str, *, holds: bool = True) -> None:
        name = self._module.PrinterFault(FAULTS[fault])
        self._keep(self._printer.set_fault(name, holds, 0.0))

    def _keep(self, out: Any) -> None:
        self.answers += b"".join(write.data for write in out.writes)
        self.unknown += [event.data["bytes"] for event in out.events if "bytes" in event.data]
        for made in out.receipts:
            with Image.open(io.BytesIO(made.png)) as png:
                dots = png.convert("L")
            # It shows each half of a Chinese character as a sign of the code page.
            text = made.text.encode("cp437", "replace") if _is_cp437(made.text) else b""
            lines = text.decode("gb18030", "replace") if text else made.text
            self.receipts.append(Receipt(lines.splitlines(), trimmed(dots)))


def trimmed(dots: Image.Image) -> Image.Image:
    """Without the white above the first dot and below the last one."""
    ink = dots.point(lambda grey: 255 if grey < 128 else 0).getbbox()
    return dots if ink is None else dots.crop((0, ink[1], dots.width, ink[3]))


def _is_cp437(text: str) -> bool:
    try:
        text.encode("cp437")
    except UnicodeEncodeError:
        return False
    return True


class _OlderSyntax(SourceFileLoader):
    def source_to_code(  # type: ignore[override]  # the stub names what callers never pass
        self, data: bytes, path: str, *, _optimize: int = -1
    ) -> CodeType:
        text = data.decode()
        if sys.version_info < (3, 13):
            text = _ALIAS.sub(r"\1 = ", text)
            text = _GENERIC.sub(r"\2 = __import__('typing').TypeVar('\2')\n\1(", text)
        code: CodeType = compile(text, path, "exec", dont_inherit=True, optimize=_optimize)
        return code


class _Finder(MetaPathFinder):
    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        package = fullname.partition(".")[0]
        if package not in _PACKAGES:
            return None
        spec = PathFinder.find_spec(fullname, path or [str(FOLDER)], target)
        if spec is not None and spec.origin is not None and package == "emupos":
            spec.loader = _OlderSyntax(fullname, spec.origin)
        return spec


@contextmanager
def emupos() -> Iterator[None]:
    """The peer can be used within; afterwards nothing of it is left in this process."""
    finder = _Finder()
    sys.meta_path.insert(0, finder)
    try:
        yield
    finally:
        sys.meta_path.remove(finder)
        for name in [name for name in sys.modules if name.partition(".")[0] in _PACKAGES]:
            del sys.modules[name]
