"""Looking for what must not be there: personal data on the broker and in the hall's files."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from hallkit.clients.mqtt import MqttLink
from hallkit.runtime.backoff import Backoff
from hallkit.runtime.tls import client_context
from hallkit.wire.topics import ROOT
from launcher.installation import WITNESS, Installation

BACK_WITHIN_S = 0.5
"""A witness is back as soon as the broker is."""


class Witness:
    """Hears everything on the broker, to look for what must not be there."""

    def __init__(self) -> None:
        self.payloads: list[tuple[str, bytes]] = []

    async def hear(self, topic: str, payload: bytes) -> None:
        self.payloads.append((topic, payload))

    def find(self, *secrets: str) -> list[str]:
        """Topics whose payload or name holds one of these texts, in clear or escaped."""
        wanted = [secret.encode() for secret in secrets]
        wanted += [json.dumps(secret).strip('"').encode() for secret in secrets]
        return sorted(
            {
                topic
                for topic, payload in self.payloads
                if any(secret in payload or secret in topic.encode() for secret in wanted)
            }
        )


@asynccontextmanager
async def listening(installation: Installation) -> AsyncIterator[Witness]:
    """A witness that hears everything while the block runs."""
    broker = installation.endpoints["broker"]
    link = MqttLink(
        host=broker.host,
        port=broker.port,
        client_id=WITNESS,
        tls=client_context(installation.pki / WITNESS),
        backoff=Backoff(base_s=BACK_WITHIN_S, cap_s=BACK_WITHIN_S),
    )
    witness = Witness()

    async def nothing() -> tuple[str, bytes]:
        return f"{ROOT}/{installation.site}/{WITNESS}/up/presence", b"{}"

    async with asyncio.TaskGroup() as tasks:
        running = tasks.create_task(
            link.run(
                will=nothing,
                on_message=witness.hear,
                on_connected=lambda: link.subscribe(f"{ROOT}/#"),
            )
        )
        await link.connected.wait()
        try:
            yield witness
        finally:
            running.cancel()


def files_holding(installation: Installation, *secrets: str) -> list[str]:
    """Files of the hall that hold one of these texts as UTF-8 or UTF-16LE."""
    wanted = [secret.encode(form) for secret in secrets for form in ("utf-8", "utf-16-le")]
    folders = (installation.root / "state", installation.logs, installation.receipts)
    return [
        str(path.relative_to(installation.root))
        for folder in folders
        for path in sorted(folder.rglob("*"))
        if path.is_file() and any(secret in path.read_bytes() for secret in wanted)
    ]
