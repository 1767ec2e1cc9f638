"""A document camera: a network camera (drivers/sim/camera.py) above a desk with papers.

    python -m drivers.sim.document_camera --control SOCKET [--seed 9] [--scenes FOLDER]
                                          [options of the camera]

Its pictures are rendered (drivers/sim/desk.py) before it says `ready PORT`: a licence, a proof, a
card, the bare desk, and a licence that lies half outside, in the dark, under a reflection, out of
focus, or a little further on. In `--scenes` they stay as NAME.jpg, for a camera on another wire
(drivers/sim/v4l2.py). Orders are the camera's; `scene {names}` says what lies there, and
`["licence", "moved"]` is a sheet that is being pushed about. At first nothing does.
"""

from __future__ import annotations

import asyncio
import tempfile
from pathlib import Path
from random import Random

from drivers.documents.libraries import cv2
from drivers.sim import camera, papers
from drivers.sim.desk import Fault, lay

WIDTH, HEIGHT = 2048, 1536
"""Three million points: the smallest that documents are photographed with."""
_DPI = 200
_JPEG_QUALITY = 90
SPOILT: dict[str, Fault] = {
    "cut": "half",
    "dark": "dark",
    "glare": "glare",
    "blurred": "blur",
    "moved": "moving",
    "desk": "empty",
}
"""Pictures of the licence with something wrong."""


def write(folder: Path, *, seed: int) -> None:
    """Every picture as a file."""
    random = Random(seed)  # noqa: S311  # a picture, no secret
    who = papers.somebody(random)
    licence = papers.business_licence(random, who)
    sheets = {
        "licence": licence,
        "proof": papers.proof(who),
        "card": papers.identity_card(who)[0],
    }
    wanted: list[tuple[str, papers.Paper, frozenset[Fault]]] = [
        *((name, paper, frozenset()) for name, paper in sheets.items()),
        *((name, licence, frozenset({fault})) for name, fault in SPOILT.items()),
    ]
    for name, paper, faults in wanted:
        drawn = papers.draw(paper, dpi=_DPI)
        scene = lay(drawn, paper.size_mm, seed=seed, faults=faults, width=WIDTH, height=HEIGHT)
        quality = [cv2.IMWRITE_JPEG_QUALITY, _JPEG_QUALITY]
        cv2.imwrite(str(folder / f"{name}.jpg"), scene.picture, quality)


def main() -> None:
    parser = camera.parser_of("drivers.sim.document_camera")
    parser.set_defaults(width=WIDTH, height=HEIGHT, fps=10)
    parser.add_argument("--seed", type=int, default=9, help="of papers, desk and light")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        arguments.scenes = arguments.scenes or Path(folder)
        write(arguments.scenes, seed=arguments.seed)
        asyncio.run(camera.run(arguments))


if __name__ == "__main__":
    main()
