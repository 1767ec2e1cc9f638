"""A directory's catalogue, indexed: built once, then kept beside the sources in `.index/`."""

from __future__ import annotations

import hashlib
import os
import sys
from importlib import resources
from pathlib import Path

from affairs.catalogue_source import check
from hallkit.catalogue import search
from hallkit.catalogue.meaning import Embedder
from hallkit.catalogue.snapshot import FORMAT, Catalogue, build
from hallkit.errors import ConfigError, TrustError
from hallkit.model.content import Content

FOLDER = ".index"
_SOURCES = ("*.toml", "*.jsonl")
_DATA = ("readings.toml", "handlings.toml")
"""Files of the lexicon that an index is made with."""


def catalogue_of(folder: Path, embedder: Embedder | None = None) -> Catalogue:
    """The catalogue of this directory. `ConfigError` if nothing in it can be read.

    With an embedder it holds the names' vectors too, in an index of its own.
    Mistakes in some of its items are told on standard error; the others are found all the same.
    """
    paths = sorted(path for pattern in _SOURCES for path in folder.glob(pattern))
    model = embedder.model if embedder else ""
    kept = folder / FOLDER / f"{_digest(paths, model)}.sqlite"
    try:
        return Catalogue.unverified(kept)
    except TrustError:
        content = _content(folder)
    try:
        kept.parent.mkdir(exist_ok=True)
        for old in kept.parent.glob("*.sqlite"):
            old.unlink(missing_ok=True)
        fresh = kept.with_suffix(f".{os.getpid()}")  # two at once don't write one file
        build(content, fresh, version="unsigned", embedder=embedder)
        fresh.replace(kept)
        return Catalogue.unverified(kept)
    except OSError:  # the directory is read-only
        return Catalogue.in_memory(content, embedder=embedder)


def _content(folder: Path) -> Content:
    content, problems = check(folder)
    errors = [one for one in problems if one.level == "error"]
    if not content.items and not content.bundles:
        raise ConfigError(list(errors))
    if errors:
        print(f"{folder.name}: {len(errors)} mistakes, see hall catalogue verify", file=sys.stderr)
    return content


def _digest(paths: list[Path], model: str) -> str:
    digest = hashlib.sha256(f"{FORMAT}\n{search.SCHEMA}\n{model}\n".encode())
    for name in _DATA:
        digest.update(resources.files("hallkit.lexicon").joinpath(name).read_bytes())
    for path in paths:
        content = path.read_bytes()
        digest.update(f"{path.name}\n{len(content)}\n".encode())
        digest.update(content)
    return digest.hexdigest()[:32]
