"""What the tests of pages share: a browser, its screenshots, and the accessibility check."""

from __future__ import annotations

import os
import unittest
from pathlib import Path

from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page, sync_playwright

PROGRAMS = Path(os.environ["ATTEND_BIN_DIR"])
RUN = Path(os.environ["ATTEND_RUN"])
SHOTS = Path(os.environ["ATTEND_SHOTS"])

DESKTOP = {"width": 1280, "height": 900}
PHONE = {"width": 390, "height": 844}


class PageTest(unittest.TestCase):
    """A test with a browser. A page that logs an error, such as a script that its
    Content-Security-Policy forbids, fails it, unless the test forgives it: `self.errors`."""

    @classmethod
    def setUpClass(cls) -> None:
        playwright = sync_playwright().start()
        cls.addClassCleanup(playwright.stop)
        flags = ["--no-sandbox"] if os.geteuid() == 0 else []
        cls.browser = playwright.chromium.launch(
            executable_path=os.environ["ATTEND_BROWSER"], args=flags
        )
        cls.addClassCleanup(cls.browser.close)

    def setUp(self) -> None:
        self.errors: list[str] = []
        self.addCleanup(lambda: self.assertEqual(self.errors, []))

    def open(self, url: str, *, viewport: dict = DESKTOP, scheme: str = "light", **more) -> Page:
        """Opens `url` in a window of that size; `scheme` is light or dark."""
        context = self.browser.new_context(viewport=viewport, color_scheme=scheme, **more)
        self.addCleanup(context.close)
        context.set_default_timeout(20_000)
        page = context.new_page()
        page.on("pageerror", lambda error: self.errors.append(str(error)))
        page.on("console", lambda m: m.type == "error" and self.errors.append(m.text))
        page.goto(url)
        return page

    def assert_accessible(self, page: Page) -> None:
        """axe-core finds nothing to object to."""
        found = Axe().run(page)
        self.assertEqual(found.violations_count, 0, found.generate_report())

    def assert_fits(self, page: Page) -> None:
        """Nobody has to scroll sideways."""
        beyond = page.evaluate(
            "document.documentElement.scrollWidth - document.documentElement.clientWidth"
        )
        self.assertLessEqual(beyond, 0, "wider than the window")

    def shot(self, page: Page, name: str) -> None:
        """Keeps a screenshot of the whole page as SHOTS/NAME.png."""
        SHOTS.mkdir(parents=True, exist_ok=True)
        page.screenshot(path=SHOTS / f"{name}.png", full_page=True)
