"""The composition root of the hall's business node."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from affairs.api import Node, create_app
from affairs.catalogue_source import CONTENT, load_items
from affairs.publication import publish
from affairs.queue import Queue, Service, load_services
from affairs.sealing import Sealer
from affairs.server import MACHINES
from affairs.settings import parse
from affairs.store import Store
from hallkit.errors import ConfigError, ConfigProblem, TrustError
from hallkit.model.item import Item
from hallkit.runtime.clock import SystemClock
from hallkit.runtime.config import Places, files_from_environment, hint
from hallkit.runtime.lifecycle import ReadyCallback, run
from hallkit.web.server import https_context, serve

SERVICES_FILE = Path(__file__).parent / "services.toml"


def main() -> int:
    """Run the node until it is told to stop; the exit code."""
    return run("affairs", _main)


async def _main(ready: ReadyCallback) -> None:
    settings, listed = parse(files_from_environment())
    places = Places.from_environment()
    clock = SystemClock()
    services = load_services(SERVICES_FILE)
    items = {item.catalog_code: item for item in load_items(settings.affairs.content or CONTENT)}
    _check_services(items, services)
    signing_key = _signing_key(places.credentials / "signing.pem")
    sealer = Sealer.from_file(places.credentials / "data.key")
    context = https_context(places.credentials, known_peers=True)
    publication = publish(list(items.values()), places.state / "catalogue", signing_key, clock)

    def service_of_item(code: str) -> str | None:
        item = items.get(code)
        return item.service if item is not None else None

    async with Store(places.state / "affairs.sqlite") as store:
        node = Node(
            queue=Queue(
                store,
                services=services,
                service_of_item=service_of_item,
                sealer=sealer,
                signing_key=signing_key,
                clock=clock,
            ),
            publication=publication,
            devices=frozenset({*listed, *settings.affairs.devices}),
            clock=clock,
        )
        await serve(
            create_app(node),
            host=settings.affairs.host,
            port=settings.affairs.port,
            context=context,
            ready=ready,
            manners=MACHINES,
        )


def _check_services(items: Mapping[str, Item], services: Mapping[str, Service]) -> None:
    problems = [
        ConfigProblem(
            "content",
            f"{item.catalog_code}.service",
            f"unknown service {item.service!r}",
            hint(item.service, services),
        )
        for item in items.values()
        if item.service not in services
    ]
    if problems:
        raise ConfigError(problems)


def _signing_key(path: Path) -> Ed25519PrivateKey:
    try:
        key = load_pem_private_key(path.read_bytes(), password=None)
    except (OSError, TypeError, ValueError) as exc:
        raise TrustError(f"{path.name}: {type(exc).__name__}") from exc
    if not isinstance(key, Ed25519PrivateKey):
        raise TrustError(f"{path.name}: must be an Ed25519 key")
    return key


if __name__ == "__main__":
    sys.exit(main())
