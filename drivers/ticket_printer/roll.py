"""How much paper is left on a roll, counted from what was printed and what the sensors say.

No printer tells it. A new roll is known by its sensor: low or out, and full again. Before the first
of these nobody knows, unless it was remembered.
"""

from __future__ import annotations

from hallkit.model.device import Paper

LINE_MM = 3.75
"""30 dots of 8 a millimetre: what the layout counts in."""


class Roll:
    """One printer's roll."""

    def __init__(self, *, whole_m: float, near_end_m: float) -> None:
        """`whole_m`: on a new roll; `near_end_m`: still on it when the sensor says low."""
        self._whole = round(whole_m * 1000 / LINE_MM)
        self._near_end = round(near_end_m * 1000 / LINE_MM)
        self._paper = Paper.UNKNOWN
        self.left: int | None = None
        """Lines of `LINE_MM`; None: nobody knows."""

    def recall(self, left: int | None, paper: Paper) -> None:
        """What was known before this program began, and what the sensor said then."""
        self.left, self._paper = left, paper

    def printed(self, lines: int) -> None:
        if self.left is not None:
            self.left = max(0, self.left - lines)

    def seen(self, paper: Paper) -> None:
        """Take in what the sensors say; `unknown` changes nothing."""
        match paper:
            case Paper.OUT:
                self.left = 0
            case Paper.LOW:
                self.left = min(self._near_end, self._near_end if self.left is None else self.left)
            case Paper.FULL if self._paper in (Paper.OUT, Paper.LOW):
                self.left = self._whole
            case Paper.FULL:
                # The count ran down and the sensor does not agree: it has that much at least.
                if self.left is not None:
                    self.left = max(self.left, self._near_end)
            case _:
                return
        self._paper = paper
