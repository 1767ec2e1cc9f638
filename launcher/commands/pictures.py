"""Make the README's pictures from a visit's report folder: real screens, the slip, the console.

./hall demo --headless --once --report var/report/report.json
./hall pictures var/report
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from PIL import Image

from launcher.installation import CHECKOUT

HELP = "make the README's pictures from a visit's report folder"

PICTURES = {
    "01-home.png": "home.png",
    "02-find.png": "find.png",
    "03-question-1.png": "question.png",
    "04-materials.png": "materials.png",
    "06-identity.png": "identity.png",
    "08-ticket.png": "ticket.png",
    "12-ticket-waits-for-paper.png": "out-of-paper.png",
    "17-console-at-the-end.png": "console.png",
    "slip-0001.png": "slip.png",
}
"""File of the report → file of `docs/pictures`."""

HALF_WIDTH_ABOVE = 800
"""Wider pictures are halved: they are looked at on a page, not on a panel."""


def configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("report", type=Path, help="the folder of a visit's report")
    parser.add_argument("--to", type=Path, default=CHECKOUT / "docs" / "pictures")


def run(args: argparse.Namespace) -> int:
    """Exit 0 when all are made, 2 if the folder lacks one."""
    missing = [name for name in PICTURES if not (args.report / name).exists()]
    if missing:
        print(f"hall pictures: {args.report} lacks {', '.join(missing)}", file=sys.stderr)
        return 2
    args.to.mkdir(parents=True, exist_ok=True)
    for source, target in PICTURES.items():
        with Image.open(args.report / source) as image:
            picture = image.convert("RGB")
            if picture.width > HALF_WIDTH_ABOVE and picture.height > picture.width:
                half = (picture.width // 2, picture.height // 2)
                picture = picture.resize(half, Image.Resampling.LANCZOS)
            colours = picture.quantize(128, dither=Image.Dither.NONE)
            colours.save(args.to / target, optimize=True)
        print(args.to / target)
    return 0
