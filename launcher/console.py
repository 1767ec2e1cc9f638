"""A technician's browser: the console page in real headless Chromium."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from playwright.async_api import Page, async_playwright

CHROMIUM = "/usr/bin/chromium"
ARGUMENTS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
SEE_TIMEOUT_MS = 15_000


class Console:
    """The page, which updates by itself."""

    def __init__(self, page: Page) -> None:
        self._page = page

    async def sees(self, selector: str) -> str:
        """Wait until an element stands on the page; its text."""
        found = self._page.locator(selector).first
        await found.wait_for(timeout=SEE_TIMEOUT_MS)
        return (await found.inner_text()).strip()

    async def state(self) -> dict[str, Any]:
        """What the page's own data source says."""
        state: dict[str, Any] = await self._page.evaluate(
            "fetch('/api/state').then(answer => answer.json())"
        )
        return state

    async def picture(self, path: Path) -> str:
        """Keep the whole page as a PNG; the file's name."""
        await self._page.screenshot(path=path, full_page=True)
        return path.name


@asynccontextmanager
async def console_page(url: str) -> AsyncIterator[Console]:
    """Open the console and log in."""
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
        try:
            page = await browser.new_page(
                viewport={"width": 1366, "height": 768}, locale="zh-CN", timezone_id="Asia/Shanghai"
            )
            await page.goto(url)
            yield Console(page)
        finally:
            await browser.close()
