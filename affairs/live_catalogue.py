"""The catalogue that the node works by: read, checked, published; read again when it is told to."""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Mapping
from functools import partial
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from affairs.build_apart import build_apart
from affairs.hall_content import check_hall, refuse_errors
from affairs.publication import Publication, publish
from affairs.queue.services import Service
from hallkit.catalogue.meaning import installed_model
from hallkit.errors import ConfigError, StoreError
from hallkit.model.content import Content
from hallkit.model.form import FormDefinition
from hallkit.model.hall_map import HallMap
from hallkit.model.item import Item
from hallkit.model.rules import RulePack
from hallkit.runtime.clock import Clock
from hallkit.runtime.log import get_logger

_SHOWN = 20
"""So many warnings stand in the log; `hall catalogue verify` lists all."""


class LiveCatalogue:
    """What the hall offers now: catalogue and map. `reload` replaces it whole or not at all."""

    def __init__(
        self,
        source: Path,
        *,
        folder: Path,
        services: Mapping[str, Service],
        devices: Collection[str] | None = None,
        signing_key: Ed25519PrivateKey,
        clock: Clock,
        embedding: bool = False,
    ) -> None:
        """Read and publish. `ConfigError` lists all mistakes of the files in `source`.

        With `embedding` the snapshots hold the names' vectors; `ConfigError` without the extra.

        `devices` are what the configuration calls the hall's machines: the log says which of them
        are not on the map.
        """
        self._source = source
        self._folder = folder
        self._services = services
        self._devices = devices
        self._signing_key = signing_key
        self._clock = clock
        self._model = installed_model() if embedding else ""
        self._log = get_logger()
        self.changed = asyncio.Event()
        """Set when another publication is offered; whoever waits for it clears it."""
        self._offer(*self._publish())

    @property
    def publication(self) -> Publication:
        return self._publication

    def service_of_item(self, code: str) -> str | None:
        """Which queue handles the item; None if nobody knows it."""
        return self._service.get(code)

    def item(self, code: str) -> Item | None:
        """None if nobody knows it."""
        return self._items.get(code)

    def form(self, code: str) -> FormDefinition | None:
        return self._forms.get(code)

    def pack(self, code: str) -> RulePack | None:
        return self._packs.get(code)

    def plain_name(self, code: str) -> str | None:
        """What people call an item or a bundle; None if nobody knows it."""
        return self._plain_names.get(code)

    def window_services(self) -> Mapping[int, frozenset[str]]:
        """Which services each window of the hall serves, by its number; none without a map."""
        return self._windows

    def hall_map(self) -> HallMap | None:
        return self._hall_map

    async def reload(self) -> bool:
        """Offer what the files say now; True if that is another catalogue.

        Files with mistakes change nothing, nor does a disk that refuses: the log says what is
        wrong, the former one stands.
        """
        try:
            content, publication = await asyncio.to_thread(self._publish)
        except ConfigError as mistakes:
            self._log.error("catalogue.refused", mistakes=[str(one) for one in mistakes.problems])
            return False
        except (OSError, StoreError) as fault:
            self._log.error("catalogue.not_published", why=str(fault))
            return False
        is_other = publication.manifest.sha256 != self.publication.manifest.sha256
        self._offer(content, publication)
        if is_other:
            self._log.info("catalogue.published", version=publication.manifest.version)
            self.changed.set()
        return is_other

    def _publish(self) -> tuple[Content, Publication]:
        content, problems = check_hall(self._source, services=self._services, devices=self._devices)
        refuse_errors(problems)
        if problems:
            told = [str(one) for one in problems]
            self._log.warning("catalogue.warned", warnings=told[:_SHOWN], count=len(told))
        if content.hall_map is None:
            self._log.info("catalogue.without_map", source=self._source.name)
        publication = publish(
            content,
            self._folder,
            self._signing_key,
            self._clock,
            build=partial(build_apart, embedding=bool(self._model)),
            model=self._model,
        )
        return content, publication

    def _offer(self, content: Content, publication: Publication) -> None:
        self._publication = publication
        self._service = _services_of(content)
        self._items = {item.catalog_code: item for item in content.items}
        self._forms = {form.code: form for form in content.forms}
        self._packs = {pack.code: pack for pack in content.rule_packs}
        self._hall_map = content.hall_map
        self._plain_names = {item.catalog_code: item.plain_name for item in content.items} | {
            bundle.code: bundle.plain_name for bundle in content.bundles
        }
        self._windows = {
            window.properties.number: frozenset(window.properties.services)
            for window in (content.hall_map.windows if content.hall_map is not None else ())
        }


def _services_of(content: Content) -> dict[str, str]:
    services = {item.catalog_code: item.service for item in content.items}
    return services | {bundle.code: bundle.service for bundle in content.bundles}
