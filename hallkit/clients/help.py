"""呼叫帮办 at the business node. Faults as in `hallkit.clients.affairs`."""

from __future__ import annotations

from hallkit.clients.affairs import RETRY_FOR_S, AffairsClient
from hallkit.wire.base import Message
from hallkit.wire.help_api import HELP_CALLS, HelpCall, HelpRequest


class _Nothing(Message):
    """A body without fields."""


class HelpClient:
    def __init__(self, affairs: AffairsClient) -> None:
        self._affairs = affairs

    async def call(
        self, request: HelpRequest, idempotency_key: str, *, retry_for_s: float = RETRY_FOR_S
    ) -> HelpCall:
        """Call for somebody, or press again: a key for each press."""
        return await self._affairs.write(
            HelpCall, HELP_CALLS, request, idempotency_key, retry_for_s=retry_for_s
        )

    async def status(self, call: str) -> HelpCall:
        """Who comes, and since when somebody waits."""
        return await self._affairs.ask(HelpCall, "GET", f"{HELP_CALLS}/{call}")

    async def cancel(
        self, call: str, idempotency_key: str, *, retry_for_s: float = RETRY_FOR_S
    ) -> HelpCall:
        """Nobody needs to come."""
        path = f"{HELP_CALLS}/{call}/cancel"
        return await self._affairs.write(
            HelpCall, path, _Nothing(), idempotency_key, retry_for_s=retry_for_s
        )
