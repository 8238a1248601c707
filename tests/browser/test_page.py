"""The page of attend-serve."""

from __future__ import annotations

import base64
import subprocess
import unittest
from pathlib import Path

from browser import DESKTOP, PHONE, PROGRAMS, RUN, PageTest
from playwright.sync_api import Page, expect

PICTURES = sorted((RUN / "scenes" / "images").glob("*.png"))
# Those of the test split, which stand last.
PICTURE, OTHER = PICTURES[-1], PICTURES[-2]


class ServedPage(PageTest):
    @classmethod
    def setUpClass(cls) -> None:
        super().setUpClass()
        cls.service, cls.url = cls.serve("--jobs", "2")

    @classmethod
    def serve(cls, *options: str) -> tuple[subprocess.Popen, str]:
        """Starts a service; returns it and its address."""
        service = subprocess.Popen(
            [PROGRAMS / "attend-serve", "--model", RUN / "model", "--listen", "127.0.0.1:0", *options],
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )
        cls.addClassCleanup(service.stdout.close)
        cls.addClassCleanup(service.wait)
        cls.addClassCleanup(service.terminate)
        return service, service.stdout.readline().strip()

    def described(self, page: Page, picture: Path = PICTURE) -> str:
        """Chooses a picture, and returns its caption."""
        page.set_input_files("#file", picture)
        expect(page.locator("#result")).to_be_visible()
        return self.caption(page)

    def caption(self, page: Page) -> str:
        return " ".join(page.locator("#words .word").all_inner_texts())

    def overlay(self, page: Page) -> str:
        """What lies over the picture, once it has stopped moving."""
        page.wait_for_timeout(350)
        return page.evaluate("document.getElementById('overlay').toDataURL()")


class AskedByPeople(ServedPage):
    def test_a_word_pointed_at_or_tabbed_to_lights_up_the_picture(self) -> None:
        page = self.open(self.url)
        self.assertGreater(len(self.described(page).split()), 1)
        words = page.locator("#words button")
        expect(words.first.locator(".probability")).to_contain_text("%")
        dark = self.overlay(page)
        words.nth(0).hover()
        first = self.overlay(page)
        words.nth(1).hover()
        second = self.overlay(page)
        self.assertEqual(len({dark, first, second}), 3)
        expect(page.locator("#where")).to_contain_text("it looked")
        page.mouse.move(0, 0)
        # from the button before the words
        page.locator("#choose").focus()
        page.keyboard.press("Tab")
        expect(words.nth(0)).to_be_focused()
        self.assertEqual(self.overlay(page), first)
        page.keyboard.press("Tab")
        self.assertEqual(self.overlay(page), second)
        page.keyboard.press("ArrowLeft")
        expect(words.nth(0)).to_be_focused()
        # a word that was pressed stays lit
        page.keyboard.press("Enter")
        page.locator("#choose").focus()
        self.assertEqual(self.overlay(page), first)

    def test_a_pasted_picture_is_described_like_a_chosen_one(self) -> None:
        page = self.open(self.url)
        chosen = self.described(page)
        page.reload()
        page.evaluate(
            """(base64) => {
                const bytes = Uint8Array.from(atob(base64), (c) => c.charCodeAt(0));
                const clipboardData = new DataTransfer();
                clipboardData.items.add(new File([bytes], "pasted.png", { type: "image/png" }));
                document.dispatchEvent(new ClipboardEvent("paste", { clipboardData }));
            }""",
            base64.b64encode(PICTURE.read_bytes()).decode(),
        )
        expect(page.locator("#result")).to_be_visible()
        self.assertEqual(self.caption(page), chosen)

    def test_options_change_the_caption(self) -> None:
        page = self.open(self.url)
        before = self.described(page)
        page.locator("summary").click()
        page.locator("#prefix").fill("a large")
        expect(page.locator("#words .word").nth(1)).to_have_text("large")
        self.assertNotEqual(self.caption(page), before)
        # a word that the model does not know is named
        self.errors.clear()
        page.locator("#prefix").fill("zeppelin")
        expect(page.locator("#problem")).to_contain_text("zeppelin")
        self.errors.clear()
        page.locator("#prefix").fill("")
        expect(page.locator("#problem")).to_be_hidden()
        expect(page.locator("#words .word").nth(1)).not_to_have_text("large")
        page.get_by_label("sampling").check()
        page.locator("#temperature").fill("2")
        expect(page.locator("#alternatives li")).to_have_count(4)
        hot = page.locator("#alternatives").inner_text()
        page.locator("#again").click()
        expect(page.locator("#alternatives")).not_to_have_text(hot, use_inner_text=True)

    def test_an_alternative_is_shown_word_by_word(self) -> None:
        page = self.open(self.url)
        self.described(page)
        other = page.locator("#alternatives button").nth(1)
        text = other.locator(".word").inner_text()
        other.click()
        self.assertEqual(self.caption(page), text)
        expect(other).to_have_attribute("aria-current", "true")

    def test_a_text_file_gives_an_error_that_a_person_understands(self) -> None:
        page = self.open(self.url)
        self.described(page)
        page.set_input_files(
            "#file", {"name": "notes.txt", "mimeType": "text/plain", "buffer": b"milk, bread"}
        )
        problem = page.locator("#problem")
        expect(problem).to_contain_text("“notes.txt” is not a picture that can be read here.")
        expect(problem).to_contain_text("JPEG")
        expect(page.locator("#result")).to_be_hidden()
        self.errors.clear()  # the browser logs the refusal
        self.assert_accessible(page)
        # and the next picture is described
        self.described(page)
        expect(problem).to_be_hidden()

    def test_the_attention_is_taken_away_as_a_picture(self) -> None:
        page = self.open(self.url)
        self.described(page)
        with page.expect_download() as download:
            page.get_by_role("button", name="Download attention").click()
        self.assertEqual(download.value.suggested_filename, f"{PICTURE.stem}-attention.png")
        png = Path(download.value.path()).read_bytes()
        self.assertTrue(png.startswith(b"\x89PNG") and len(png) > 10_000)

    def test_it_is_accessible_and_fits_every_screen(self) -> None:
        for window, viewport in (("desktop", DESKTOP), ("phone", PHONE)):
            for scheme in ("light", "dark"):
                with self.subTest(window=window, scheme=scheme):
                    page = self.open(self.url, viewport=viewport, scheme=scheme)
                    self.assert_accessible(page)
                    self.shot(page, f"page-{window}-{scheme}-empty")
                    self.described(page, OTHER)
                    page.locator("summary").click()
                    page.locator("#words button").nth(1).focus()
                    page.wait_for_timeout(350)
                    self.assert_accessible(page)
                    self.assert_fits(page)
                    self.shot(page, f"page-{window}-{scheme}")


class InTrouble(ServedPage):
    def test_a_token_is_asked_for(self) -> None:
        _, url = self.serve("--token", "sesame")
        page = self.open(url)
        page.set_input_files("#file", PICTURE)
        page.locator("#token").fill("wrong")
        page.keyboard.press("Enter")
        expect(page.locator("#token")).to_be_visible()
        page.locator("#token").fill("sesame")
        page.keyboard.press("Enter")
        expect(page.locator("#result")).to_be_visible()
        self.errors.clear()  # the browser logs the refusals

    def test_a_service_that_is_gone_is_named_and_the_picture_stays(self) -> None:
        service, url = self.serve()
        page = self.open(url)
        self.described(page)
        service.terminate()
        service.wait()
        page.set_input_files("#file", OTHER)
        expect(page.locator("#problem")).to_contain_text("does not answer")
        expect(page.get_by_role("button", name="Try again")).to_be_visible()
        self.errors.clear()  # the browser logs the failure


if __name__ == "__main__":
    unittest.main()
