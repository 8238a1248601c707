"""The page of attend-report: report.html."""

from __future__ import annotations

import base64
import json
import re
import subprocess
import tempfile
import unittest
import zlib
from pathlib import Path

from browser import DESKTOP, PHONE, PROGRAMS, RUN, PageTest
from playwright.sync_api import Page, expect

HOSTILE = "</script><img src=x onerror=alert(1)> \"'&"


def element(name: str) -> re.Pattern:
    return re.compile(rf'(<script type="text/plain" id="{name}">)([^<]*)')


def unpacked(html: str, name: str) -> bytes:
    return zlib.decompress(base64.b64decode(element(name).search(html).group(2)))


def packed(html: str, name: str, content: bytes) -> str:
    text = base64.b64encode(zlib.compress(content)).decode()
    return element(name).sub(lambda found: found.group(1) + text, html)


class ReportPage(PageTest):
    @classmethod
    def setUpClass(cls) -> None:
        super().setUpClass()
        folder = tempfile.TemporaryDirectory()
        cls.addClassCleanup(folder.cleanup)
        cls.folder = Path(folder.name)
        evaluation, dataset = f"evaluation={RUN}/evaluation", f"dataset={RUN}/dataset"
        cls.make("report", "--input", evaluation, "--input", dataset)
        cls.html = (cls.folder / "report/report.html").read_text()
        cls.count = len(json.loads(unpacked(cls.html, "data"))["ids"])

    @classmethod
    def make(cls, output: str, *arguments: str) -> None:
        command = [PROGRAMS / "attend-report", *arguments, "--output", cls.folder / output]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    def report(self, html: str | None = None, **more) -> Page:
        """Opens the report, or the same with other content."""
        path = self.folder / "report/report.html"
        if html is not None:
            path = path.with_name(f"{self.id()}.html")
            path.write_text(html)
        page = self.open(path.as_uri(), **more)
        expect(page.locator(".card").first).to_be_visible()
        return page

    def grown(self, count: int) -> str:
        """The report with its images again and again until there are `count`."""
        data = json.loads(unpacked(self.html, "data"))
        here = len(data["ids"])
        attention = unpacked(self.html, "attention")

        def grow(column: list) -> list:
            return (column * (count // here + 1))[:count]

        for key in ("ids", "files", "sizes", "references", "words", "wordLogProbs"):
            data[key] = grow(data[key])
        data["captions"] = [grow(captions) for captions in data["captions"]]
        data["logProbs"] = [grow(log_probs) for log_probs in data["logProbs"]]
        data["scores"] = [[grow(column) for column in scores] for scores in data["scores"]]
        cells = data["grid"][0] * data["grid"][1]
        attention = (attention * (count // here + 1))[: sum(data["words"]) * cells]
        html = packed(self.html, "data", json.dumps(data).encode())
        return packed(html, "attention", attention)


class ReadByPeople(ReportPage):
    def overlay(self, page: Page) -> str:
        """What lies over the first picture; empty if nothing does."""
        page.wait_for_timeout(100)
        canvas = page.locator(".card canvas").first
        return "" if canvas.is_hidden() else canvas.evaluate("canvas => canvas.toDataURL()")

    def test_a_word_pointed_at_or_focused_shows_where_the_model_looked(self) -> None:
        page = self.report()
        words = page.locator(".said").first.locator("button")
        self.assertGreater(words.count(), 2)
        self.assertEqual(self.overlay(page), "")
        words.nth(1).hover()
        pointed = self.overlay(page)
        self.assertNotEqual(pointed, "")
        page.mouse.move(0, 0)
        self.assertEqual(self.overlay(page), "")
        # One stop of the tab key for a caption, then arrows.
        words.first.focus()
        page.keyboard.press("ArrowRight")
        expect(words.nth(1)).to_be_focused()
        self.assertEqual(self.overlay(page), pointed)
        page.keyboard.press("End")
        expect(words.last).to_be_focused()
        self.assertNotEqual(self.overlay(page), pointed)
        page.keyboard.press("Escape")
        self.assertEqual(self.overlay(page), "")

    def test_captions_are_searched_sorted_and_found_again(self) -> None:
        page = self.report()
        first = page.locator(".card .file").first
        worst = first.inner_text()
        page.get_by_role("button", name="Best", exact=True).click()
        scores = page.locator(".card .scores div:first-child dd").all_inner_texts()
        numbers = [float(score) for score in scores]
        self.assertEqual(numbers, sorted(numbers, reverse=True))
        self.assertGreater(len(set(numbers)), 1)
        page.get_by_label("Search").fill(worst)
        expect(page.locator(".card")).to_have_count(1)
        expect(page.locator("#count")).to_contain_text(f"1 to 1 of 1 captions, out of {self.count}")
        # The address keeps the view.
        again = self.open(page.url)
        expect(again.locator(".card")).to_have_count(1)
        page.get_by_label("Search").fill("no such word")
        expect(page.locator("#count")).to_have_text(f"0 captions, out of {self.count}")
        page.get_by_label("Search").fill("")
        page.get_by_label("Beam size").select_option("1")
        expect(page.locator(".card")).to_have_count(min(24, self.count))
        # Attention is kept for the primary beam size.
        expect(page.locator(".said button")).to_have_count(0)

    def test_text_from_data_is_shown_as_text(self) -> None:
        data = json.loads(unpacked(self.html, "data"))
        for column in (data["files"], *data["captions"]):
            column[:] = [HOSTILE] * len(column)
        data["references"] = [[HOSTILE, HOSTILE]] * len(data["references"])
        page = self.report(packed(self.html, "data", json.dumps(data).encode()))
        expect(page.locator(".card .file").first).to_have_text(HOSTILE)
        expect(page.locator(".card .more dd").first).to_have_text(f"{HOSTILE} (2 times)")
        self.assertEqual(page.locator(".card img").count(), page.locator(".card").count())

    def test_nothing_comes_from_elsewhere(self) -> None:
        context = self.browser.new_context(viewport=DESKTOP)
        self.addCleanup(context.close)
        page = context.new_page()
        asked = []
        page.on("request", lambda request: asked.append(request.url))
        page.goto((self.folder / "report/report.html").as_uri())
        expect(page.locator(".card").first).to_be_visible()
        picture = page.locator(".card img").first
        picture.scroll_into_view_if_needed()
        page.wait_for_function("document.querySelector('.card img').naturalWidth > 0")
        self.assertTrue(all(url.startswith("file:") for url in asked), asked)
        # Pictures are loaded when they are seen.
        self.assertLess(len(asked), min(24, self.count))

    def test_the_theme_can_be_chosen(self) -> None:
        page = self.report(scheme="light")
        paper = "getComputedStyle(document.body).backgroundColor"
        light = page.evaluate(paper)
        button = page.get_by_role("button", name="Theme")
        button.click()
        button.click()
        expect(button).to_have_text("Theme: dark")
        self.assertNotEqual(page.evaluate(paper), light)

    def test_it_is_accessible_and_fits_at_every_size_light_and_dark(self) -> None:
        for size, viewport in (("desktop", DESKTOP), ("phone", PHONE)):
            for scheme in ("light", "dark"):
                with self.subTest(size=size, scheme=scheme):
                    page = self.report(viewport=viewport, scheme=scheme)
                    page.locator(".said button").nth(1).focus()
                    for summary in page.locator("summary").all():
                        summary.click()
                    self.assert_accessible(page)
                    self.assert_fits(page)
                    self.shot(page, f"report-{size}-{scheme}")


class OfFiveThousandImages(ReportPage):
    def test_it_is_there_at_once_and_sorted_at_once(self) -> None:
        page = self.report(self.grown(5000))
        expect(page.locator("#count")).to_contain_text("of 5,000 captions")
        paint = page.evaluate(
            "performance.getEntriesByName('first-contentful-paint').map((e) => e.startTime)[0]"
        )
        took = page.evaluate(
            """() => {
                const begin = performance.now();
                const sort = document.getElementById("sort");
                sort.value = "length";
                sort.dispatchEvent(new Event("input"));
                document.body.getBoundingClientRect();
                return performance.now() - begin;
            }"""
        )
        searched = page.evaluate(
            """() => {
                const begin = performance.now();
                const query = document.getElementById("query");
                query.value = "small red";
                query.dispatchEvent(new Event("input"));
                document.body.getBoundingClientRect();
                return performance.now() - begin;
            }"""
        )
        print(f"5,000 images: painted after {paint:.0f} ms, sorted in {took:.0f}, searched in {searched:.0f}")
        # On two busy cores these are 132, 26 and 26 ms.
        self.assertLess(paint, 2000)
        self.assertLess(took, 500)
        self.assertLess(searched, 500)
        # Only a page of cards is in the document.
        self.assertLessEqual(page.locator(".card").count(), 24)
        page.get_by_label("Search").fill("")
        page.get_by_role("button", name="Next").first.click()
        expect(page.locator("#count")).to_contain_text("25 to 48 of 5,000")
        page.locator(".said button").first.focus()
        expect(page.locator(".card canvas").first).to_be_visible()


if __name__ == "__main__":
    unittest.main()
