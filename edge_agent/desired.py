"""What the hub wants on this machine, and the machine's word on what it has."""

from __future__ import annotations

from collections.abc import Callable

from hallkit.errors import HallError
from hallkit.runtime.clock import Clock
from hallkit.wire.affairs_api import CatalogueManifest
from hallkit.wire.mqtt import CatalogueInUse, Desired, PartFault, Reported

CATALOGUE = "catalogue"


class DesiredState:
    """Keeps both sides together; whoever changes one hears of it."""

    def __init__(
        self, clock: Clock, *, want_catalogue: Callable[[], None], changed: Callable[[], None]
    ) -> None:
        """`want_catalogue` makes the machine look for another one, `changed` tells the hub."""
        self._clock = clock
        self._want_catalogue = want_catalogue
        self._changed = changed
        self._desired: Desired | None = None
        self._catalogue: CatalogueInUse | None = None
        self._fault = ""

    def want(self, desired: Desired) -> None:
        """The hub's word; the catalogue itself comes from the business node, signed."""
        if self._desired is not None and desired.version == self._desired.version:
            return
        self._desired = desired
        if desired.catalogue is not None and not self._has(desired):
            self._want_catalogue()
        self._changed()

    def catalogue_is(self, manifest: CatalogueManifest | None, fault: HallError | None) -> None:
        """Which catalogue is in use, and what keeps the machine from the newest."""
        catalogue = None
        if manifest is not None:
            catalogue = CatalogueInUse(
                version=manifest.version, sequence=manifest.sequence, sha256=manifest.sha256
            )
        code = "" if fault is None else fault.code
        if (catalogue, code) != (self._catalogue, self._fault):
            self._catalogue, self._fault = catalogue, code
            self._changed()

    @property
    def reported(self) -> Reported:
        """The machine's word as of now."""
        faults = (PartFault(part=CATALOGUE, code=self._fault),) if self._fault else ()
        return Reported(
            version=0 if self._desired is None else self._desired.version,
            applied=self._desired is not None and self._has(self._desired),
            catalogue=self._catalogue,
            faults=faults,
            ts=self._clock.wall_ms(),
        )

    def _has(self, desired: Desired) -> bool:
        wanted = desired.catalogue
        return wanted is None or (
            self._catalogue is not None and self._catalogue.sha256 == wanted.sha256
        )
