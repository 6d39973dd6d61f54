"""report.html in a real browser: Chromium of the system, driven by Playwright, without a network."""

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from crescent.core.console import Console
from crescent.reporting.analyse.results import Options, compare
from crescent.reporting.read.runs import read_all
from crescent.reporting.show.page import write_page

sync_api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed (pip install playwright)")
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="no Chromium on this machine (apt-get install chromium)")
FLAGS = [
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-sync",
]  # fmt: skip
UNNAMED = """() => [...document.querySelectorAll('button, input, select, a, summary, [role=tab], [tabindex="0"]')]
  .filter((one) => one.offsetParent !== null || one.getClientRects().length)
  .filter((one) => !(one.getAttribute('aria-label') || one.textContent.trim() || (one.labels && one.labels[0])))
  .map((one) => one.outerHTML)"""


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    """A browser with a profile of its own, closed at the end whatever happens."""
    with tempfile.TemporaryDirectory() as profile, sync_api.sync_playwright() as playwright:
        context = playwright.chromium.launch_persistent_context(
            profile, executable_path=CHROMIUM, args=FLAGS, offline=True, color_scheme="light"
        )
        try:
            yield context
        finally:
            context.close()


@pytest.fixture(scope="module")
def report(hostile: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    runs, notes = read_all([hostile])
    comparison = compare(runs, Options(), Console(quiet=True), notes)
    return write_page(comparison, tmp_path_factory.mktemp("page") / "report.html", Console(quiet=True))


@pytest.fixture
def page(browser: Any, report: Path) -> Iterator[Any]:
    """The page, fresh; whatever it says on the console is collected in `page.said`."""
    opened = browser.new_page()
    opened.said = []
    opened.on("console", lambda message: opened.said.append(message.text))
    opened.on("pageerror", lambda error: opened.said.append(str(error)))
    opened.set_default_timeout(10_000)
    opened.goto(report.as_uri())
    yield opened
    opened.close()


def found(page: Any, text: str) -> None:
    page.wait_for_function("text => document.getElementById('found').textContent.startsWith(text)", arg=text)


def test_the_page_opens_without_a_word_on_the_console(page: Any) -> None:
    page.click("role=tab[name=/Votes/]")
    page.click("role=tab[name=/Changed/]")
    assert page.said == [] and page.title().startswith("synthetic")


def test_a_script_in_a_question_is_shown_as_text_and_does_not_run(page: Any) -> None:
    shown = page.locator("#entries li").first.inner_text()
    assert '<script>document.title = "broken"</script><img src=x onerror=' in shown
    assert page.title().startswith("synthetic") and page.locator("img").count() == 0


def test_search_finds_words_in_any_order_and_marks_them(page: Any) -> None:
    found(page, "120 found")
    page.fill("#search", "17) (number shop")
    found(page, "2 found")
    assert page.locator("#entries mark").first.inner_text() in ("shop", "(number", "17)")
    page.fill("#search", "no such words")
    found(page, "0 found")


def test_filters_narrow_what_is_shown(page: Any) -> None:
    page.select_option("#row", "dedup=none")
    found(page, "60 found among 120")
    page.click("role=tab[name=/Changed/]")
    page.select_option("#verdict", label="became wrong")
    assert set(page.locator("#entries .verdict").all_inner_texts()) == {"became wrong"}


def test_more_are_shown_on_demand(page: Any) -> None:
    assert page.locator("#entries li").count() == 30
    page.click("#more")
    assert page.locator("#entries li").count() == 60


def test_tabs_are_moved_through_with_the_arrow_keys(page: Any) -> None:
    page.focus("#tab-questions")
    page.keyboard.press("ArrowRight")
    assert page.get_attribute("#tab-rejections", "aria-selected") == "true"
    assert page.evaluate("document.activeElement.id") == "tab-rejections"
    page.keyboard.press("End")
    assert page.get_attribute("#tab-changes", "aria-selected") == "true"


def test_dark_mode_follows_the_system_and_the_button(page: Any) -> None:
    paper = "() => getComputedStyle(document.body).backgroundColor"
    light = page.evaluate(paper)
    page.emulate_media(color_scheme="dark")
    dark = page.evaluate(paper)
    page.click("#theme")
    assert page.get_attribute("#theme", "aria-label") == "Colours: light"
    assert light != dark and page.evaluate(paper) == light
    page.click("#theme")
    page.emulate_media(color_scheme="light")
    assert page.evaluate(paper) == dark


def test_the_chosen_colours_are_kept(page: Any) -> None:
    page.evaluate("localStorage.setItem('crescent-theme', 'dark')")
    page.reload()
    assert page.evaluate("document.documentElement.dataset.theme") == "dark"
    page.evaluate("localStorage.clear()")


def test_every_control_has_a_name_and_every_picture_too(page: Any) -> None:
    assert page.evaluate(UNNAMED) == []
    assert page.evaluate(
        "[...document.querySelectorAll('svg:not([aria-hidden])')].every((one) => one.getAttribute('aria-label'))"
    )


def test_ids_are_not_used_twice(page: Any) -> None:
    ids = page.evaluate("[...document.querySelectorAll('body :not(svg *)[id]')].map((one) => one.id)")
    assert len(ids) == len(set(ids))


@pytest.mark.parametrize("width", [320, 390, 1280])
def test_nothing_but_tables_scrolls_sideways(page: Any, width: int) -> None:
    page.set_viewport_size({"width": width, "height": 800})
    assert page.evaluate("document.documentElement.scrollWidth") <= width


def test_a_phone_shows_before_after_and_the_difference_without_scrolling(browser: Any, prompted: Path) -> None:
    runs, notes = read_all([prompted])
    path = write_page(compare(runs, Options(), Console(quiet=True), notes), prompted / "page.html", Console(quiet=True))
    opened = browser.new_page()
    opened.set_viewport_size({"width": 390, "height": 800})
    opened.goto(path.as_uri())
    row = opened.locator("#results table tbody tr").first
    interval = row.locator("td").nth(3).bounding_box()
    assert interval["x"] + interval["width"] <= 390 and "to" in row.locator("td").nth(3).inner_text()
    opened.close()
