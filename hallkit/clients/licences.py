"""E-licences of the hall's business node, as a terminal prints them.

    async with LicencesClient(base_url(settings.affairs), client_context(credentials)) as licences:
        found = await licences.find(LicenceQuery(number=number, visit=visit))

Faults are those of `hallkit.clients.affairs`. A key stands for one attempt: repeat with the same
key after `LinkDown`, never with another, or a second yes destroys the file.
"""

from __future__ import annotations

import hashlib

from hallkit.clients.affairs import RETRY_FOR_S, AffairsClient
from hallkit.errors import LinkDown, TrustError
from hallkit.model.ids import new_id
from hallkit.wire.affairs_api import IDEMPOTENCY_HEADER
from hallkit.wire.licences_api import (
    LICENCES,
    PERMIT_FILE_LIMIT,
    PERMITS,
    VISITS,
    LicenceQuery,
    LicencesFound,
    PermitOfPerson,
    PermitOutcome,
    PermitRedeemed,
    PermitRedemption,
    PermitRequest,
    PermitStatus,
    PrintPermit,
    VisitEnd,
    VisitEnded,
)

FILE_DEADLINE_S = 15.0


class LicencesClient(AffairsClient):
    """The same connections, with what a terminal that prints licences asks for."""

    async def find(self, query: LicenceQuery) -> LicencesFound:
        """What the person whose card lies there may print. The visit is theirs from now on."""
        path = f"{LICENCES}/find"
        return await self.write(LicencesFound, path, query, new_id(), retry_for_s=0)

    async def permit(
        self, request: PermitRequest, idempotency_key: str, *, retry_for_s: float = RETRY_FOR_S
    ) -> PrintPermit:
        """Have the file of a licence made, to be printed once."""
        return await self.write(
            PrintPermit, PERMITS, request, idempotency_key, retry_for_s=retry_for_s
        )

    async def file(self, permit: PrintPermit, wanted: PermitOfPerson) -> bytes:
        """The bytes. `TrustError` if they are not those that the permit is for."""
        headers = {IDEMPOTENCY_HEADER: new_id(), "Content-Type": "application/json"}
        content = bytearray()
        async with self._answer(
            "POST",
            f"{PERMITS}/file",
            FILE_DEADLINE_S,
            headers=headers,
            content=wanted.model_dump_json().encode(),
        ) as response:
            async for chunk in response.aiter_bytes():
                content += chunk
                if len(content) > PERMIT_FILE_LIMIT:
                    raise LinkDown("the file does not end")
        if hashlib.sha256(content).hexdigest() != permit.sha256:
            raise TrustError("the file is not the one of the permit")
        return bytes(content)

    async def redeem(
        self, wanted: PermitRedemption, idempotency_key: str, *, retry_for_s: float = RETRY_FOR_S
    ) -> PermitRedeemed:
        """Ask immediately before printing. `Rejected`: print nothing, delete the file."""
        path = f"{PERMITS}/redeem"
        return await self.write(
            PermitRedeemed, path, wanted, idempotency_key, retry_for_s=retry_for_s
        )

    async def tell(
        self, told: PermitOutcome, idempotency_key: str, *, retry_for_s: float = RETRY_FOR_S
    ) -> PermitStatus:
        """Say what came of the print."""
        path = f"{PERMITS}/outcome"
        return await self.write(PermitStatus, path, told, idempotency_key, retry_for_s=retry_for_s)

    async def end_visit(
        self, visit: VisitEnd, idempotency_key: str, *, retry_for_s: float = RETRY_FOR_S
    ) -> VisitEnded:
        """The person has gone."""
        path = f"{VISITS}/end"
        return await self.write(VisitEnded, path, visit, idempotency_key, retry_for_s=retry_for_s)
