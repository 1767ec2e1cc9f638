"""Templates and assets of the pages: escaped by default, strict about what is missing."""

from __future__ import annotations

from importlib import resources

from jinja2 import Environment, PackageLoader, PrefixLoader, StrictUndefined
from starlette.responses import PlainTextResponse, Response

from hallkit.lexicon.words import Words
from hallkit.web.style import tokens_css

TYPES = {
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
}


def environment(application: str, words: Words) -> Environment:
    """Templates of an application as `app/…`, the shared ones as `web/…`; `t` gives words."""
    made = Environment(
        loader=PrefixLoader(
            {"app": PackageLoader(application), "web": PackageLoader("hallkit.web")}
        ),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.globals["t"] = words
    return made


class Assets:
    """Style sheets and scripts from the packages' `assets` folders, read once, by plain name."""

    def __init__(self, *packages: str) -> None:
        self._files: dict[str, tuple[bytes, str]] = {
            "tokens.css": (tokens_css().encode(), TYPES[".css"])
        }
        for package in packages:
            for file in (resources.files(package) / "assets").iterdir():
                kind = TYPES.get(f".{file.name.rpartition('.')[2]}")
                if kind is not None:
                    self._files[file.name] = (file.read_bytes(), kind)

    def answer(self, name: str) -> Response:
        """The file, or 404."""
        if name not in self._files:
            return PlainTextResponse("not found", 404)
        content, kind = self._files[name]
        return Response(content, media_type=kind)
