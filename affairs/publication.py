"""The catalogue that the hall's machines download: built when the content changed, then signed.

<folder>/manifest.json            what is offered; swapped last
<folder>/<sha256>.sqlite          the snapshot, and the last `KEPT` before it
<folder>/<from>-<to>.delta        from each of those to the one that is offered
"""

from __future__ import annotations

import hashlib
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from hallkit import __version__
from hallkit.catalogue import delta, snapshot
from hallkit.errors import WireError
from hallkit.model.content import Content
from hallkit.runtime.clock import Clock, utc
from hallkit.wire.affairs_api import CatalogueDelta, CatalogueManifest

MANIFEST = "manifest.json"
KEPT = 4
"""Earlier snapshots from which there is a delta. A machine of an older one downloads it whole."""
_MANIFEST_LIMIT = 16 * 1024


@dataclass(frozen=True, slots=True)
class Publication:
    """What is offered now."""

    path: Path
    manifest: CatalogueManifest

    @property
    def etag(self) -> str:
        return f'"{self.manifest.sha256}"'

    def delta(self, from_sha256: str) -> Path | None:
        """The file that turns an earlier snapshot into this one, if there is one."""
        offered = self.manifest.delta_from(from_sha256)
        return None if offered is None else _delta_path(self.path.parent, offered, self.manifest)


class Offering(Protocol):
    """Whoever knows what is offered now."""

    @property
    def publication(self) -> Publication: ...


class Build(Protocol):
    """Writes the snapshot of a content; `former` is the one that is offered so far."""

    def __call__(
        self, content: Content, path: Path, *, version: str, former: Path | None
    ) -> None: ...


def publish(
    content: Content,
    folder: Path,
    signing_key: Ed25519PrivateKey,
    clock: Clock,
    *,
    build: Build = snapshot.build,
    model: str = "",
) -> Publication:
    """Offer `content` from `folder`: what lies there if it is of the same content, else a new one.

    `model` names what `build` makes vectors with, if it does.

    A version is `<UTC time>-<digest of the content>`; the sequence grows even if the clock was set
    back. Cut off at any point, the former publication stands.
    """
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    digest = _digest(content, model)
    standing = _standing(folder)
    if standing is not None and standing.version.endswith(f"-{digest}"):
        # Signed again: the key may be another one, and signing the same gives the same.
        path = folder / f"{standing.sha256}.sqlite"
        manifest = snapshot.sign(
            path, signing_key, sequence=standing.sequence, deltas=standing.deltas
        )
    else:
        now_ms = clock.wall_ms()
        fresh = folder / "fresh.sqlite"
        former = None if standing is None else folder / f"{standing.sha256}.sqlite"
        version = f"{utc(now_ms):%Y%m%dT%H%M%SZ}-{digest}"
        build(content, fresh, version=version, former=former)
        sequence = max(now_ms // 1000, 0 if standing is None else standing.sequence + 1)
        manifest = snapshot.sign(fresh, signing_key, sequence=sequence)
        path = fresh.rename(folder / f"{manifest.sha256}.sqlite")
        deltas = _make_deltas(folder, manifest)
        manifest = snapshot.sign(path, signing_key, sequence=sequence, deltas=deltas)
    _write(folder / MANIFEST, manifest.to_bytes())
    _tidy(folder, manifest)
    return Publication(path, manifest)


def _digest(content: Content, model: str) -> str:
    """Of the content and of the code that lays it out."""
    laid_out = " ".join(filter(None, (__version__, snapshot.FORMAT, model)))
    told = hashlib.sha256(laid_out.encode())
    values = (*content.items, *content.bundles, *content.forms, *content.rule_packs)
    for value in values if content.hall_map is None else (*values, content.hall_map):
        told.update(f"\n{type(value).__name__} {value.model_dump_json()}".encode())
    return told.hexdigest()[:16]


def _make_deltas(folder: Path, manifest: CatalogueManifest) -> tuple[CatalogueDelta, ...]:
    """Deltas to the new snapshot from the last ones, newest first."""
    target = (folder / f"{manifest.sha256}.sqlite").read_bytes()
    earlier = sorted(
        (path for path in folder.glob("*.sqlite") if path.stem != manifest.sha256),
        key=lambda path: path.stat().st_mtime_ns,
        reverse=True,
    )
    offered = []
    for old in earlier[:KEPT]:
        packed = delta.make(old.read_bytes(), target)
        offer = CatalogueDelta(
            from_sha256=old.stem, size=len(packed), sha256=hashlib.sha256(packed).hexdigest()
        )
        _write(_delta_path(folder, offer, manifest), packed)
        offered.append(offer)
    return tuple(offered)


def _delta_path(folder: Path, offer: CatalogueDelta, manifest: CatalogueManifest) -> Path:
    return folder / f"{offer.from_sha256[:16]}-{manifest.sha256[:16]}.delta"


def _standing(folder: Path) -> CatalogueManifest | None:
    """The manifest of an earlier publication, if its file is whole."""
    try:
        manifest = CatalogueManifest.from_bytes(
            (folder / MANIFEST).read_bytes(), limit=_MANIFEST_LIMIT
        )
        with (folder / f"{manifest.sha256}.sqlite").open("rb") as file:
            sha256 = hashlib.file_digest(file, "sha256").hexdigest()
    except (OSError, WireError):
        return None
    return manifest if manifest.sha256 == sha256 else None


def _tidy(folder: Path, manifest: CatalogueManifest) -> None:
    """Drop what no manifest names any more."""
    kept = {manifest.sha256, *(offer.from_sha256 for offer in manifest.deltas)}
    deltas = {_delta_path(folder, offer, manifest) for offer in manifest.deltas}
    for path in folder.glob("*.sqlite"):
        if path.stem not in kept:
            path.unlink()
    for path in folder.glob("*.delta"):
        if path not in deltas:
            path.unlink()


def _write(path: Path, content: bytes) -> None:
    fresh = path.with_name(f"{path.name}.new")
    with fresh.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    fresh.replace(path)
