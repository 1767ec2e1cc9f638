"""Keeps the catalogue of this machine: signed snapshot from the business node, swapped whole.

A download that is cut off, tampered with, older than ours or of a layout that this program does not
read is never seen by an application: the file is renamed into place only after signature, digest
and every entry hold, and the one before it stays as the way back.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Callable
from contextlib import ExitStack, suppress
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from pydantic import ValidationError

from hallkit.catalogue import delta
from hallkit.catalogue.installed import FOLDER, install, newest_sequence, trusted
from hallkit.catalogue.snapshot import Catalogue, verify_manifest
from hallkit.clients.affairs import AffairsClient
from hallkit.errors import HallError, Rejected, StoreError, TrustError
from hallkit.runtime.backoff import Backoff
from hallkit.runtime.clock import Clock
from hallkit.runtime.keys import load_publics
from hallkit.runtime.log import get_logger
from hallkit.wire.affairs_api import CatalogueDelta, CatalogueManifest

INTERVAL_S = 300.0
"""Looked up without being told, so that a lost word costs minutes."""
RETRY_S = 2.0

Told = Callable[[CatalogueManifest | None, HallError | None], None]
"""Hears which catalogue is in use, and the fault that keeps the machine from the newest."""


def _nobody(_manifest: CatalogueManifest | None, _fault: HallError | None) -> None:
    """Nobody wants to know."""


class CatalogueSync:
    """Fetches the catalogue when the business node has another one."""

    def __init__(
        self,
        client: AffairsClient,
        clock: Clock,
        *,
        state: Path,
        key: Path,
        told: Told = _nobody,
    ) -> None:
        self._client = client
        self._clock = clock
        self._state = state
        self._key = key
        self._told = told
        self._log = get_logger()
        self._wanted = asyncio.Event()

    def want(self) -> None:
        """There may be a new one: look now."""
        self._wanted.set()

    async def run(self) -> None:
        """Keep up to date until cancelled; a fault is logged once and tried again."""
        failing = ""
        backoff = Backoff(base_s=RETRY_S, cap_s=INTERVAL_S)
        while True:
            self._wanted.clear()
            fault: HallError | None = None
            try:
                await self.once()
            except HallError as exc:
                fault = exc
                if failing != exc.code:
                    self._log.warning("catalogue.sync_failed", fault=exc.code, why=str(exc))
            failing = "" if fault is None else fault.code
            self._told(await asyncio.to_thread(self._in_use), fault)
            if fault is None:
                backoff.reset()
            await self._pause(INTERVAL_S if fault is None else backoff.next_s())

    async def once(self) -> bool:
        """Fetch and swap if there is another version; True if swapped.

        One that is broken here counts as none. `StoreError` if the disk refuses.
        """
        try:
            return await self._once()
        except OSError as exc:
            # A full disk keeps the catalogue from changing, nothing else from working.
            raise StoreError(f"the catalogue: {exc.strerror}") from exc

    async def _once(self) -> bool:
        keys = load_publics(self._key)
        manifest = await self._client.manifest()
        verify_manifest(manifest, keys)
        have = await asyncio.to_thread(trusted, self._state, keys)
        if have is not None and have[1].sha256 == manifest.sha256:
            return False
        if manifest.sequence < newest_sequence(self._state, keys):
            raise TrustError(f"the catalogue offered is older than ours: {manifest.version}")
        folder = self._state / FOLDER
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        fresh = folder / "download.part"
        try:
            by_delta = have is not None and await self._fetch_delta(have[1], manifest, fresh)
            if not by_delta:
                await self._client.download_snapshot(fresh)
            await asyncio.to_thread(_check, fresh, manifest, keys, have)
            await asyncio.to_thread(install, fresh, self._state, manifest)
        finally:
            fresh.unlink(missing_ok=True)
        self._log.info("catalogue.swapped", version=manifest.version, by_delta=by_delta)
        return True

    async def _pause(self, seconds: float) -> None:
        """Until the time is over or somebody wants a look."""
        async with asyncio.TaskGroup() as tasks:
            waits = [
                tasks.create_task(self._wanted.wait()),
                tasks.create_task(self._clock.sleep(seconds)),
            ]
            await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
            for wait in waits:
                wait.cancel()

    async def _fetch_delta(
        self, have: CatalogueManifest, manifest: CatalogueManifest, fresh: Path
    ) -> bool:
        """The new snapshot out of ours and the difference; False if only the whole will do."""
        offered = manifest.delta_from(have.sha256)
        if offered is None:
            return False
        part = fresh.with_suffix(".delta")
        try:
            await self._client.download_delta(have.sha256, part)
            await asyncio.to_thread(_apply, part, offered, have, manifest, fresh)
        except (TrustError, Rejected) as fault:
            self._log.warning("catalogue.delta_refused", fault=fault.code, why=str(fault))
            return False
        finally:
            part.unlink(missing_ok=True)
        return True

    def _in_use(self) -> CatalogueManifest | None:
        """The manifest of what applications open now."""
        with suppress(TrustError, OSError):
            have = trusted(self._state, load_publics(self._key))
            if have is not None:
                return have[1]
        return None


def _apply(
    part: Path,
    offered: CatalogueDelta,
    have: CatalogueManifest,
    manifest: CatalogueManifest,
    to: Path,
) -> None:
    packed = part.read_bytes()
    if hashlib.sha256(packed).hexdigest() != offered.sha256:
        raise TrustError("the delta is not the one that the manifest names")
    try:
        old = (part.parent / f"{have.sha256}.sqlite").read_bytes()
    except OSError as exc:
        raise TrustError(f"the catalogue in use: {exc.strerror}") from exc
    to.write_bytes(delta.apply(old, packed, size=manifest.size))


def _check(
    fresh: Path,
    manifest: CatalogueManifest,
    keys: tuple[Ed25519PublicKey, ...],
    have: tuple[Path, CatalogueManifest] | None,
) -> None:
    """`TrustError` unless signature and digest hold and this program can read every entry.

    What stands in the one in use letter by letter is not read again.
    """
    with ExitStack() as stack:
        catalogue = stack.enter_context(Catalogue.open(fresh, manifest, keys))
        known = None if have is None else stack.enter_context(Catalogue.unverified(have[0]))
        try:
            catalogue.check(known)
        except ValidationError as exc:
            raise TrustError(f"the catalogue holds what this program cannot read: {exc}") from exc
