"""The catalogue that the hall's machines download: built when the content changed, then signed."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from pydantic import ValidationError

from hallkit import __version__
from hallkit.catalogue import snapshot
from hallkit.model.item import Item
from hallkit.runtime.clock import Clock, utc
from hallkit.wire.affairs_api import CatalogueManifest

SNAPSHOT_NAME = "catalogue.sqlite"
MANIFEST_NAME = "catalogue.json"


@dataclass(frozen=True, slots=True)
class Publication:
    """What is offered now."""

    path: Path
    manifest: CatalogueManifest

    @property
    def etag(self) -> str:
        return f'"{self.manifest.sha256}"'


def publish(
    items: Sequence[Item], folder: Path, signing_key: Ed25519PrivateKey, clock: Clock
) -> Publication:
    """Offer `items` from `folder`: what lies there if it is of the same content, else a new one.

    A version is `<UTC time>-<digest of the content>`, so that later ones sort behind.
    """
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    path = folder / SNAPSHOT_NAME
    digest = _digest(items)
    standing = _standing(path, folder / MANIFEST_NAME)
    if standing is not None and standing.version.endswith(f"-{digest}"):
        # Signed again: the key may be another one, and signing the same gives the same.
        manifest = snapshot.sign(path, signing_key)
    else:
        version = f"{utc(clock.wall_ms()):%Y%m%dT%H%M%SZ}-{digest}"
        snapshot.build(items, path, version=version)
        manifest = snapshot.sign(path, signing_key)
    _write(folder / MANIFEST_NAME, manifest.to_bytes())
    return Publication(path, manifest)


def _digest(items: Sequence[Item]) -> str:
    """Of the items and of the code that lays them out."""
    content = [__version__, snapshot.FORMAT, *(item.model_dump(mode="json") for item in items)]
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()[:16]


def _standing(path: Path, manifest_path: Path) -> CatalogueManifest | None:
    """The manifest of an earlier start, if the file beside it is whole."""
    try:
        manifest = CatalogueManifest.model_validate_json(manifest_path.read_bytes())
        with path.open("rb") as file:
            sha256 = hashlib.file_digest(file, "sha256").hexdigest()
    except (OSError, ValidationError):
        return None
    return manifest if manifest.sha256 == sha256 else None


def _write(path: Path, content: bytes) -> None:
    fresh = path.with_suffix(".new")
    with fresh.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    fresh.replace(path)
