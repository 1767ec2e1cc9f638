"""Where a machine keeps the catalogue in use: written by the agent, read by applications.

<state>/catalogue/manifest.json       what is in use; swapped last, so it names a file that is there
<state>/catalogue/former.json         what was in use before it: the way back when it is broken
<state>/catalogue/<sha256>.sqlite

Each file is written beside its place, synced and renamed, and the folder is synced before the
manifest names it: a power cut at any byte leaves the one or the other catalogue whole.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Collection
from contextlib import suppress
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from hallkit.catalogue.snapshot import Catalogue, verify_manifest
from hallkit.errors import TrustError, WireError
from hallkit.wire.affairs_api import CatalogueManifest

FOLDER = "catalogue"
MANIFEST = "manifest.json"
FORMER = "former.json"
MANIFEST_LIMIT = 16 * 1024


def installed(state: Path) -> tuple[Path, CatalogueManifest] | None:
    """The snapshot in use and its manifest; None before the first download.

    Names files only: whether they hold is for `Catalogue.open` to say.
    """
    return _named(state, MANIFEST)


def former(state: Path) -> tuple[Path, CatalogueManifest] | None:
    """What was in use before; None if there was nothing."""
    return _named(state, FORMER)


def open_installed(state: Path, keys: Collection[Ed25519PublicKey]) -> Catalogue | None:
    """The catalogue in use, or the former one if it is broken; None before the first download.

    `TrustError` says what is wrong with the one in use if neither can be trusted.
    """
    fault: TrustError | None = None
    for name in (MANIFEST, FORMER):
        try:
            if (named := _named(state, name)) is not None:
                return Catalogue.open(*named, keys)
        except WireError as exc:
            fault = fault or TrustError(f"{name}: {exc}")
        except TrustError as exc:
            fault = fault or exc
    if fault is not None:
        raise fault
    return None


def trusted(
    state: Path, keys: Collection[Ed25519PublicKey]
) -> tuple[Path, CatalogueManifest] | None:
    """What `open_installed` opens; None if there is none or none can be trusted."""
    for name in (MANIFEST, FORMER):
        with suppress(WireError, TrustError):
            if (named := _named(state, name)) is not None:
                Catalogue.open(*named, keys).close()
                return named
    return None


def newest_sequence(state: Path, keys: Collection[Ed25519PublicKey]) -> int:
    """The highest sequence that the hall signed for this machine, whole or broken; 0 without."""
    newest = 0
    for name in (MANIFEST, FORMER):
        with suppress(WireError, TrustError):
            if (named := _named(state, name)) is not None:
                verify_manifest(named[1], keys)
                newest = max(newest, named[1].sequence)
    return newest


def install(fresh: Path, state: Path, manifest: CatalogueManifest) -> None:
    """Put a verified snapshot (in the same folder) into use; the one so far becomes the former.

    Unless the one so far is broken: then the former stays what it is, the only way back.
    """
    folder = state / FOLDER
    _sync(fresh)
    fresh.rename(snapshot_path(folder, manifest))
    _sync(folder)
    kept = {manifest.sha256}
    with suppress(WireError):
        so_far = installed(state)
        if so_far is not None and so_far[1].sha256 != manifest.sha256 and _intact(*so_far):
            _write(folder, FORMER, so_far[1])
    with suppress(WireError):
        if (before := former(state)) is not None:
            kept.add(before[1].sha256)
    _write(folder, MANIFEST, manifest)
    for old in folder.glob("*.sqlite"):
        if old.stem not in kept:
            old.unlink(missing_ok=True)


def snapshot_path(folder: Path, manifest: CatalogueManifest) -> Path:
    return folder / f"{manifest.sha256}.sqlite"


def _named(state: Path, name: str) -> tuple[Path, CatalogueManifest] | None:
    folder = state / FOLDER
    try:
        raw = (folder / name).read_bytes()
    except FileNotFoundError:
        return None
    manifest = CatalogueManifest.from_bytes(raw, limit=MANIFEST_LIMIT)
    return snapshot_path(folder, manifest), manifest


def _intact(path: Path, manifest: CatalogueManifest) -> bool:
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest() == manifest.sha256
    except OSError:
        return False


def _write(folder: Path, name: str, manifest: CatalogueManifest) -> None:
    part = folder / f"{name}.part"
    part.write_bytes(manifest.to_bytes())
    _sync(part)
    part.rename(folder / name)
    _sync(folder)


def _sync(path: Path) -> None:
    """What the file or folder holds now survives a power cut."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
