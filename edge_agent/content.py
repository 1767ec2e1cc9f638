"""Keeps the catalogue of this machine: signed snapshot from the business node, swapped whole.

A download that is cut off, tampered with or older than ours is never seen by an application: the
pair (snapshot, manifest) is renamed into place only after its signature and digest hold.
"""

from __future__ import annotations

from pathlib import Path

from hallkit.catalogue.installed import FOLDER, install, installed
from hallkit.catalogue.snapshot import Catalogue
from hallkit.clients.affairs import AffairsClient
from hallkit.errors import HallError
from hallkit.runtime.clock import Clock
from hallkit.runtime.keys import load_public
from hallkit.runtime.log import get_logger

INTERVAL_S = 300.0
RETRY_S = 2.0


class CatalogueSync:
    """Fetches the catalogue when the business node has another one."""

    def __init__(self, client: AffairsClient, clock: Clock, *, state: Path, key: Path) -> None:
        self._client = client
        self._clock = clock
        self._state = state
        self._key = key
        self._log = get_logger()

    async def run(self) -> None:
        """Keep up to date until cancelled; a fault is logged once and tried again."""
        failing = False
        while True:
            try:
                await self.once()
            except HallError as fault:
                if not failing:
                    self._log.warning("catalogue.sync_failed", fault=fault.code)
                failing = True
                await self._clock.sleep(RETRY_S)
                continue
            failing = False
            await self._clock.sleep(INTERVAL_S)

    async def once(self) -> bool:
        """Fetch and swap if there is another version; True if swapped."""
        manifest = await self._client.manifest()
        have = installed(self._state)
        if have is not None and have[1].sha256 == manifest.sha256 and have[0].exists():
            return False
        folder = self._state / FOLDER
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        fresh = folder / "download.part"
        await self._client.download_snapshot(fresh)
        Catalogue.open(fresh, manifest, load_public(self._key)).close()  # or TrustError
        install(fresh, self._state, manifest)
        self._log.info("catalogue.swapped", version=manifest.version)
        return True
