"""Reports in a real browser: they load nothing, fit a phone, and axe finds nothing serious."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from report_page import history, hostile, save_run
from test_report import result
from test_suite_report import BCE, HINGE, save_suite
from torch import Tensor

from ganbench.plugin.registry import Registry
from ganbench.reporting.console import out
from ganbench.reporting.report_command import write_report
from ganbench.results.throughput import Memory

playwright = pytest.importorskip("playwright.sync_api", reason="the extra `browser` is missing: playwright")
axe = pytest.importorskip(
    "axe_playwright_python.sync_playwright", reason="the extra `browser` is missing: axe-playwright-python"
)
CHROMIUM = shutil.which("chromium") or shutil.which("google-chrome")
pytestmark = [pytest.mark.slow, pytest.mark.skipif(CHROMIUM is None, reason="the browser chromium is missing")]


@pytest.fixture(scope="module")
def reports(images: Tensor, registry: Registry, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """The report of one run, of three with long names, of six, of one whose texts are attacks, and of a suite."""
    folder = tmp_path_factory.mktemp("reports")
    losses = history(0.5, None, 0.7)
    run_results = {
        "first": result(),
        "a-long-name-of-a-run-directory-that-does-not-fit-on-a-phone": result(history=losses),
        "failed": result(status="failed", message="out of memory", spec={"training": {"seed": 1}}),
        "attack": hostile(),
    }
    runs = [save_run(folder / name, each, images, ["epoch-0001", "step-000250"]) for name, each in run_results.items()]
    suite = save_suite(folder / "losses", images, {"bce": BCE, "hinge": HINGE})
    memory = [Memory(device_peak_bytes=None, host_peak_rss_bytes=(9 - number) * 2**30) for number in range(6)]
    six = [  # the mark of the best value, which only screen readers see, is in the last column
        save_run(folder / f"dcgan-fashion-seed{number}-52d053b8d920", result(memory=used), images, ["epoch-0001"])
        for number, used in enumerate(memory)
    ]
    pages = {"one": runs[:1], "three": runs[:3], "six": six, "attack": runs[3:], "suite": [suite]}
    for name, shown in pages.items():
        write_report(shown, folder / f"{name}.html", registry, out)
    return {name: folder / f"{name}.html" for name in pages}


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with playwright.sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield browser
        browser.close()


@pytest.mark.parametrize("name", ["one", "three", "six", "attack", "suite"])
@pytest.mark.parametrize(("width", "scheme"), [(1440, "light"), (390, "dark")])
def test_a_report_works_everywhere(name: str, width: int, scheme: str, reports: dict[str, Path], browser: Any) -> None:
    page = browser.new_page(viewport={"width": width, "height": 900}, color_scheme=scheme)
    messages: list[str] = []
    requests: list[str] = []
    page.on("console", lambda message: messages.append(message.text))
    page.on("pageerror", lambda error: messages.append(str(error)))
    page.on("dialog", lambda dialog: messages.append(dialog.message))
    page.on("request", lambda request: requests.append(request.url))
    page.goto(reports[name].as_uri())
    page.evaluate("for (const each of document.querySelectorAll('details')) each.open = true")
    violations = axe.Axe().run(page).response["violations"]
    assert [(rule["id"], rule["nodes"][0]["html"]) for rule in violations] == []
    assert [url for url in requests if not url.startswith("data:")] == [reports[name].as_uri()]
    assert messages == []
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    page.close()


def test_the_slider_chooses_a_step_by_keyboard(reports: dict[str, Path], browser: Any) -> None:
    page = browser.new_page()
    page.goto(reports["one"].as_uri())
    caption, slider = page.locator(".generated .step"), page.locator("input[type=range]")
    assert caption.inner_text() == "step 250"
    slider.press("Home")
    assert caption.inner_text() == slider.get_attribute("aria-valuetext") == "epoch 1"
    page.locator(".strip img").last.click()
    assert caption.inner_text() == "step 250"
    page.close()


def test_without_scripts_and_in_print_all_steps_are_shown(reports: dict[str, Path], browser: Any) -> None:
    page = browser.new_page(java_script_enabled=False)
    page.goto(reports["one"].as_uri())
    for media in ("screen", "print"):
        page.emulate_media(media=media)
        assert not page.locator(".slider").is_visible()
        assert page.locator(".strip img").count() == 2
        assert all(page.locator(".strip img").nth(position).is_visible() for position in range(2))
    page.close()


def test_a_leaderboard_is_sorted_by_click_and_keyboard(reports: dict[str, Path], browser: Any) -> None:
    page = browser.new_page()
    page.goto(reports["suite"].as_uri())
    table = page.locator("[data-sortable]")
    hinge, bce, wgan = (f"dcgan-fashion, loss={loss}" for loss in ("hinge", "bce", "wgan"))
    assert table.locator("tbody th").all_inner_texts() == [hinge, bce, wgan]
    mean = table.locator("thead th").nth(3)
    mean.locator("button").press("Enter")
    assert mean.get_attribute("aria-sort") == "ascending"
    assert table.locator("tbody th").all_inner_texts() == [hinge, bce, wgan]  # 4 before 12, and none last
    mean.locator("button").click()
    assert mean.get_attribute("aria-sort") == "descending"
    assert table.locator("tbody th").all_inner_texts() == [bce, hinge, wgan]
    table.locator("thead button").first.press("Space")
    assert mean.get_attribute("aria-sort") is None
    assert table.locator("tbody th").all_inner_texts() == [bce, hinge, wgan]
    page.close()
