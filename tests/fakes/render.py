"""A file of a licence without typst: every one is another, and says whose it is."""

from __future__ import annotations

from affairs.licences.document import Paper


class FakeRender:
    """Implements `affairs.licences.document.Render`."""

    def __init__(self) -> None:
        self.papers: list[Paper] = []

    def __call__(self, paper: Paper) -> bytes:
        self.papers.append(paper)
        said = f"{paper.identifier} {paper.terminal} {paper.copy} {len(self.papers)}"
        return b"%PDF-fake " + said.encode()
