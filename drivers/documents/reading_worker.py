"""The process that reads pages: `python -P -m drivers.documents.reading_worker MEGABYTES`.

In: a line `{"width": …, "height": …}` and as many bytes (BGR). Out: a line `{"ready": true}` once
the models are loaded and warm, then one line an answer. It ends with its standard input, with its
parent, or when memory is not enough (exit 71). Nothing is written to a disk or a log: rapidocr is
silenced, and standard output belongs to the answers alone.
"""

from __future__ import annotations

import contextlib
import ctypes
import importlib
import json
import os
import resource
import sys
from typing import Any, BinaryIO

from drivers.documents.libraries import Plane, cv2, np
from hallkit.runtime.parent import end_with_parent

OUT_OF_MEMORY = 71
MOST_PIXELS = 40_000_000
_LONGEST_PX = 2000
"""More is not read better, and rapidocr would make it smaller itself."""
_SURE = 0.5
"""Score of a line below which it is noise. No check: misread lines have .99 (docs/documents.md)."""
_TALL = 1.5
"""Height by width of a line that stands on end, as rapidocr decides it."""
_PR_SET_DUMPABLE = 4
_M_ARENA_MAX = -8
"""mallopt(3)."""


class Reader:
    """rapidocr with one thread: on a busy machine two take more time and more work."""

    def __init__(self) -> None:
        library: Any = importlib.import_module("rapidocr")
        self._engine = library.RapidOCR(
            params={
                "Global.log_level": "critical",
                "EngineConfig.onnxruntime.intra_op_num_threads": 1,
                "EngineConfig.onnxruntime.inter_op_num_threads": 1,
            }
        )

    def read(self, picture: Plane) -> dict[str, Any]:
        """Lines with their boxes on the upright page, and how it was turned."""
        scale = min(1.0, _LONGEST_PX / max(picture.shape[:2]))
        if scale < 1:
            picture = cv2.resize(picture, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
        asked: dict[str, Any] = {"preprocess": {"ratio_h": 1.0, "ratio_w": 1.0}}
        found, turned, read, _ = self._engine.run_ocr_steps(picture, asked)
        if found.boxes is None or read.txts is None:
            return {"turn": 0, "lines": []}
        padding = asked.get("padding_1", {"top": 0, "left": 0})
        height, width = picture.shape[:2]
        shares = (found.boxes - np.array([padding["left"], padding["top"]])) / (width, height)
        turn = _turn(found.boxes, [label for label, _ in turned.cls_res], read.txts)
        for _ in range(turn):
            shares = np.stack([1 - shares[..., 1], shares[..., 0]], axis=-1)
        shares = np.clip(shares, 0, 1)
        lines = [
            {"text": text, "box": [*box.min(axis=0).tolist(), *box.max(axis=0).tolist()]}
            for text, score, box in zip(read.txts, read.scores, shares, strict=True)
            if score >= _SURE and text.strip()
        ]
        return {"turn": turn, "lines": sorted(lines, key=lambda line: line["box"][1])}


def _turn(boxes: Plane, labels: list[str], texts: tuple[str, ...]) -> int:
    """Quarters clockwise that set the page upright, by the votes of its letters."""
    across = np.linalg.norm(boxes[:, 1] - boxes[:, 0], axis=1)
    down = np.linalg.norm(boxes[:, 3] - boxes[:, 0], axis=1)
    letters = np.array([len(text) if len(text) > 1 else 0 for text in texts])
    tall = down >= _TALL * across
    over = np.array([label == "180" for label in labels])
    on_end = letters[tall].sum() > letters[~tall].sum()
    votes = tall == on_end
    upside_down = letters[votes & over].sum() > letters[votes & ~over].sum()
    # rapidocr turns lines on end a quarter against the clock before it looks which way is up.
    return (3 if on_end else 0) + (2 if upside_down else 0) - (4 if on_end and upside_down else 0)


def main() -> int:
    """Answer until the input ends."""
    megabytes = int(sys.argv[1])
    answers = _only_for_answers()
    end_with_parent()
    # No core file and no debugger: the memory holds what people brought.
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    libc = ctypes.CDLL(None)
    libc.prctl(_PR_SET_DUMPABLE, 0, 0, 0, 0)
    # One thread works; heaps of others would only be counted.
    libc.mallopt(_M_ARENA_MAX, 1)
    # Private memory counts, mapped files do not; the libraries reserve more than they use.
    resource.setrlimit(resource.RLIMIT_DATA, (megabytes << 20, megabytes << 20))
    cv2.setNumThreads(1)
    try:
        reader = Reader()
        reader.read(_a_line_of_text())
        _say(answers, {"ready": True})
        while (picture := _next(sys.stdin.buffer)) is not None:
            _say(answers, reader.read(picture))
            del picture
            # 400 MB go back between two pages, and with them what was read.
            libc.malloc_trim(0)
    except Exception as exc:  # noqa: BLE001  # libraries name the lack of memory in many ways
        return OUT_OF_MEMORY if _is_memory(exc) else 1
    return 0


def _only_for_answers() -> BinaryIO:
    """Standard output for us; whatever a library prints goes nowhere."""
    kept = os.fdopen(os.dup(1), "wb", buffering=0)
    nowhere = os.open(os.devnull, os.O_WRONLY)
    for number in (1, 2):
        os.dup2(nowhere, number)
    os.close(nowhere)
    return kept


def _say(answers: BinaryIO, what: dict[str, Any]) -> None:
    with contextlib.suppress(BrokenPipeError):
        answers.write(json.dumps(what, ensure_ascii=False).encode() + b"\n")


def _next(pages: BinaryIO) -> Plane | None:
    line = pages.readline()
    if not line:
        return None
    told = json.loads(line)
    width, height = int(told["width"]), int(told["height"])
    if not 0 < width * height <= MOST_PIXELS:
        raise ValueError("no picture")
    raw = pages.read(width * height * 3)
    return np.frombuffer(raw, np.uint8).reshape(height, width, 3)


def _a_line_of_text() -> Plane:
    """So that all three models have run once."""
    page = np.full((200, 600, 3), 255, np.uint8)
    cv2.putText(page, "HALL 2026", (40, 120), cv2.FONT_HERSHEY_SIMPLEX, 2, (0, 0, 0), 4)
    return page


def _is_memory(exc: Exception) -> bool:
    told = str(exc).lower()
    return isinstance(exc, MemoryError) or "bad_alloc" in told or "alloc" in told


if __name__ == "__main__":
    sys.exit(main())
