"""Rating buttons without a wire, for tests of what uses the port."""

from __future__ import annotations

from collections.abc import Mapping

from hallkit.model.rating import RatingLevel
from hallkit.runtime.clock import Clock
from tests.fakes.listener import FakeListener


class FakeRatingButtons(FakeListener[RatingLevel]):
    """Implements `RatingButtons`; the test presses and pulls the plug."""

    def __init__(self, clock: Clock, device_id: str = "rating") -> None:
        super().__init__(clock, device_id, port="rating_buttons")

    def press(self, level: RatingLevel) -> None:
        self._say(level)

    async def next_rating(self) -> RatingLevel:
        return await self._next()

    def diagnostics(self) -> Mapping[str, str | int | float]:
        return {"presses": self._heard}
