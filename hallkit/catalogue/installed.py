"""Where a machine keeps the catalogue in use: written by the agent, read by applications.

<state>/catalogue/manifest.json       swapped last, so it never names a missing snapshot
<state>/catalogue/<sha256>.sqlite
"""

from __future__ import annotations

from pathlib import Path

from hallkit.wire.affairs_api import CatalogueManifest

FOLDER = "catalogue"
MANIFEST = "manifest.json"
_MANIFEST_LIMIT = 4096


def installed(state: Path) -> tuple[Path, CatalogueManifest] | None:
    """The snapshot in use and its manifest; None before the first download."""
    folder = state / FOLDER
    try:
        raw = (folder / MANIFEST).read_bytes()
    except FileNotFoundError:
        return None
    manifest = CatalogueManifest.from_bytes(raw, limit=_MANIFEST_LIMIT)
    return snapshot_path(folder, manifest), manifest


def install(fresh: Path, state: Path, manifest: CatalogueManifest) -> None:
    """Rename a verified snapshot (in the same folder) into use and drop the former one."""
    folder = state / FOLDER
    fresh.rename(snapshot_path(folder, manifest))
    part = folder / f"{MANIFEST}.part"
    part.write_bytes(manifest.to_bytes())
    part.rename(folder / MANIFEST)
    for old in folder.glob("*.sqlite"):
        if old.stem != manifest.sha256:
            old.unlink(missing_ok=True)


def snapshot_path(folder: Path, manifest: CatalogueManifest) -> Path:
    return folder / f"{manifest.sha256}.sqlite"
