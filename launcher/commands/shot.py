"""Draw screens of the terminal to PNG files, from the sample views.

`shot SCREEN PNG` draws one; `shot --all DIR` all of them, in normal and in large type.
"""

from __future__ import annotations

import argparse
import json
import sys
from importlib import resources
from pathlib import Path

HELP = "draw a screen, or all of them, to PNG"

LANDSCAPE = (1920, 1080)


def configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("screen", nargs="?", help="name of a sample view, for example home")
    parser.add_argument("png", nargs="?", type=Path, help="file to write")
    parser.add_argument("--all", dest="folder", type=Path, metavar="DIR", help="draw all to DIR")
    parser.add_argument("--large", action="store_true", help="in large type")
    parser.add_argument("--landscape", action="store_true", help="1920 × 1080")


def run(args: argparse.Namespace) -> int:
    """Exit 0 when drawn, 2 for an unknown screen or missing arguments."""
    samples = _samples()
    if args.folder is not None:
        args.folder.mkdir(parents=True, exist_ok=True)
        for name in samples:
            for large in (False, True):
                target = args.folder / f"{name}{'-large' if large else ''}.png"
                _draw(samples[name], target, large=large, landscape=args.landscape)
                print(target)
        return 0
    if args.screen not in samples or args.png is None:
        print(f"hall shot: SCREEN PNG, SCREEN of {', '.join(samples)}", file=sys.stderr)
        return 2
    _draw(samples[args.screen], args.png, large=args.large, landscape=args.landscape)
    return 0


def _samples() -> dict[str, Path]:
    with resources.as_file(resources.files("kiosk.ui") / "samples") as folder:
        return {path.stem: path for path in sorted(folder.glob("*.json"))}


def _draw(sample: Path, target: Path, *, large: bool, landscape: bool) -> None:
    from kiosk.ui import app, shot  # noqa: PLC0415  # Qt only when something is drawn

    view = json.loads(sample.read_text(encoding="utf-8"))
    view["chrome"]["large_type"] = large
    image = shot.render(view, size=LANDSCAPE if landscape else app.PORTRAIT)
    if not image.save(str(target)):
        raise OSError(f"{target} cannot be written")
