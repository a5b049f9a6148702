"""`ganbench report`: one HTML file that loads nothing, escapes everything and can be read without seeing it."""

from __future__ import annotations

import base64
import hashlib
import json
import re
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest
from command_line import run_command
from conftest import UNSCORED
from report_page import EVIL, SHOWN, Element, Page, history, hostile, invoke, report, save_run
from test_report import result
from torch import Tensor

from ganbench.errors import ExitCode
from ganbench.plugin.registry import Registry
from ganbench.reporting.html.line_chart import Line, LineChart
from ganbench.reporting.html.runs import load_runs, short_names
from ganbench.reporting.html.scale import Scale
from ganbench.results.html import scores_html
from ganbench.results.schema import MetricPoint, Result


@pytest.fixture
def write_run(tmp_path: Path, images: Tensor) -> Callable[..., Path]:
    """`write_run(result, name, steps)` writes a run in the test's folder."""

    def write(written: Result, name: str, steps: Sequence[str] = ("epoch-0001", "step-000250")) -> Path:
        return save_run(tmp_path / name, written, images, steps)

    return write


@pytest.fixture
def pages(write_run: Callable[..., Path]) -> list[Element]:
    """The report of one run, and that of two different ones."""
    one, other = write_run(result(), "one"), write_run(result(history=history(0.5, None, 0.7), benchmark="x"), "other")
    return [report(one), report(one, other)]


def test_the_page_loads_nothing(pages: list[Element], write_run: Callable[..., Path]) -> None:
    for page in [*pages, report(write_run(hostile(), "hostile"))]:
        assert not page.find("link", "iframe", "object", "embed", "base", "form")
        for element in page.find():
            for name, value in element.attributes.items():
                assert not name.startswith("on")
                if name in ("src", "href", "srcset", "action", "data", "xlink:href"):
                    assert value is not None
                    assert value.startswith(("#", "data:image/png;base64,"))
        (style,), (script,) = page.find("style"), page.find("script")
        assert not re.search(r"url\(|@import|http|//", style.text + script.text)
        policy = next(meta.attributes["content"] for meta in page.find("meta") if "http-equiv" in meta.attributes)
        digest = base64.b64encode(hashlib.sha256(script.text.encode()).digest()).decode()
        assert policy is not None
        assert policy.startswith("default-src 'none'; img-src data:;")
        assert policy.endswith(f"script-src 'sha256-{digest}'")


def test_text_from_files_and_plugins_stays_text(write_run: Callable[..., Path]) -> None:
    run = write_run(hostile(), EVIL.replace("/", "").replace("\x1b", ""))
    for page in (report(run), report(run, write_run(result(), "other"))):
        assert len(page.find("script")) == 1
        assert all((image.attributes["src"] or "").startswith("data:image/png") for image in page.find("img"))
        texts = [element.text for element in page.find("th", "td", "h1", "h3", "p", "span", "pre")]
        for part in (f"{SHOWN} {SHOWN} (source {SHOWN})", f"{SHOWN} {SHOWN}"):  # the plugin
            assert part in texts
        assert EVIL.title().replace("\x1b", "\\x1b") in [heading.text for heading in page.find("h3")]  # the monitor
        assert SHOWN in page.find("h1")[0].text
        assert "\x1b" not in page.text


def test_every_chart_has_its_data_as_a_table(pages: list[Element]) -> None:
    for page in pages:
        charts = [figure for figure in page.find("figure") if figure.attributes.get("class") == "chart"]
        titles = [figure.find("h3")[0].text for figure in charts]
        assert {"FID (fashion-cnn) during training", "Images per second", "Real Score"} <= set(titles)
        for figure in charts:
            (drawing,) = (each for each in figure.find("svg") if each.attributes.get("role") == "img")
            assert drawing.attributes["aria-label"]
            (details,) = figure.find("details")
            assert len(details.find("tbody")[0].find("tr")) >= 1
    other = next(table for table in pages[1].find("table") if table.find("caption")[0].text.startswith("Loss of the d"))
    rows = [[cell.text for cell in row.find("th", "td")] for row in other.find("tr")]
    assert rows == [
        ["images", "one", "other"],
        ["5,000", "0.5000", "0.5000"],
        ["10,000", "", "not finite"],
        ["15,000", "", "0.7000"],
    ]


def test_the_page_can_be_read_by_a_screen_reader(pages: list[Element]) -> None:
    for page in pages:
        assert page.find("html")[0].attributes["lang"] == "en"
        assert len(page.find("h1")) == len(page.find("main")) == len(page.find("header")) == len(page.find("nav")) == 1
        assert all(header.attributes.get("scope") in ("col", "row") for header in page.find("th"))
        assert all(table.find("caption")[0].text for table in page.find("table"))
        assert all(image.attributes.get("alt") for image in page.find("img"))
        assert page.find("label")[0].find("input")
        ids = {element.attributes["id"] for element in page.find() if "id" in element.attributes}
        links = {(link.attributes["href"] or "").removeprefix("#") for link in page.find("a")}
        assert links <= ids
        assert {section.attributes["aria-labelledby"] for section in page.find("section")} <= ids


def test_one_run_shows_its_score_speed_samples_and_spec(write_run: Callable[..., Path]) -> None:
    page = report(write_run(result(), "one"))
    text = " ".join(page.text.split())
    for expected in (
        "dcgan-fashion", "4.0000", "real data 0.05000 (5,000 images)", "split test · extractor fashion-cnn",
        "500 (p10 480, p90 510", "roofline bound 2,000", "4.00 times the roofline minimum",
        "ganbench run spec.toml --device auto", "batch_size = 50",
    ):  # fmt: skip
        assert expected in text
    captions = [item.find("span")[0].text for item in page.find("ol")[0].find("li")]
    assert captions == ["epoch 1", "step 250"]
    real, generated = (
        figure for figure in page.find("figure") if (figure.attributes.get("class") or "").startswith("picture")
    )
    assert real.text == "Real images"
    assert generated.text == "Generated images, step 250"


def test_a_run_over_several_processes_is_repeated_with_as_many(write_run: Callable[..., Path]) -> None:
    conditions = {**result().throughput.conditions, "processes": 4}
    changed = result(throughput=result().throughput.model_copy(update={"conditions": conditions}))
    assert "torchrun --nproc-per-node 4 -m ganbench run spec.toml" in report(write_run(changed, "run")).text


def test_only_web_pages_of_trackers_are_linked(write_run: Callable[..., Path]) -> None:
    urls = {"wandb": "https://wandb.example/run?a=1&b=2", "mlflow": "sqlite:///db", "evil": "javascript:alert(1)"}
    run = write_run(result(), "run")
    (run / "trackers.json").write_text(json.dumps({name: {"id": "7", "url": url} for name, url in urls.items()}))
    links = [link for link in report(run).find("a") if not (link.attributes["href"] or "").startswith("#")]
    assert [(link.text, link.attributes["href"]) for link in links] == [("wandb", urls["wandb"])]


def test_a_run_that_is_given_twice_is_shown_once(write_run: Callable[..., Path]) -> None:
    run = write_run(result(), "run")
    (run.parent / "link").symlink_to(run)
    assert len(report(run, run / "result.json", run.parent / "link").find("ul")[0].find("li")) == 1


def test_a_folder_of_runs_shows_all_of_them(write_run: Callable[..., Path], tmp_path: Path) -> None:
    for name in ("runs/first", "runs/more/second"):
        write_run(result(), name)
    (tmp_path / "runs" / "unfinished").mkdir()
    assert [run.name for run in load_runs([tmp_path / "runs"], Registry.load())] == ["first", "second"]


def test_a_score_that_is_not_finite_is_not_called_missing(write_run: Callable[..., Path]) -> None:
    (fid,) = result().metrics
    lost = fid.model_copy(update={"value": None})  # training went on after the last score
    broken = lost.model_copy(update={"curve": [*fid.curve, MetricPoint(epoch=2, images=10_000, value=None)]})
    for number, (metric, epochs, text) in enumerate(
        [(lost, 2, "not reached"), (broken, 2, "not finite"), (broken, 3, "not reached")]
    ):
        ended = result(metrics=[metric], history=history(*[0.5] * epochs))
        page = report(write_run(ended, f"run-{number}"))
        assert text in [each.text for each in page.find("span")]
        assert f"<td>{text}</td>" in scores_html(ended)


def test_the_roofline_bound_is_left_out_where_it_bounds_nothing(write_run: Callable[..., Path]) -> None:
    measured = result().throughput
    assert measured.roofline
    for changes, reason in (
        ({"unreliable": "the CPUs were busy"}, "unknown: the CPUs were busy"),
        ({"flops_per_image": 1.0}, "unknown: arithmetic and memory traffic take less than 1% of a step"),
    ):
        roofline = measured.roofline.model_copy(update=changes)
        changed = result(throughput=measured.model_copy(update={"roofline": roofline}))
        text = report(write_run(changed, f"run-{len(reason)}")).text
        assert reason in text
        assert "no roofline bound is known, see the data" in text


def test_several_runs_are_ranked_only_if_comparable_and_list_what_differs(write_run: Callable[..., Path]) -> None:
    (fid,) = result().metrics
    better = fid.model_copy(update={"value": 2.0})
    other = better.model_copy(update={"protocol": {"extractor": "fashion-cnn", "split": "train"}})
    one = write_run(result(), "one")
    ranked = report(one, write_run(result(metrics=[better], spec={"training": {"batch_size": 32}}), "two"))
    (badge,) = (each for each in ranked.find("div") if each.attributes.get("class") == "best")
    assert "2.0000" in badge.text
    (row,) = (
        row for row in ranked.find("tr") if row.find("th")[:1] and row.find("th")[0].text == "training.batch_size"
    )
    assert [cell.text for cell in row.find("td")] == ["50", "32"]
    unranked = report(one, write_run(result(metrics=[other]), "three"))
    assert "Not ranked: the protocols differ in split." in unranked.text
    assert not [each for each in unranked.find("div") if each.attributes.get("class") == "best"]


def test_a_warning_about_a_score_has_the_names_of_the_runs_unless_it_is_about_all(
    write_run: Callable[..., Path],
) -> None:
    (fid,) = result().metrics

    def warned(name: str, *warnings: str) -> Path:
        return write_run(result(metrics=[fid.model_copy(update={"warnings": list(warnings)})]), name)

    page = report(warned("one", "few images", "copies"), warned("two", "few images"))
    assert [each.text for each in page.find("p") if each.attributes.get("class") == "warning"][1:] == [
        "few images", "one: copies",
    ]  # fmt: skip


def test_many_large_samples_stay_below_5_mb_and_the_page_says_so(write_run: Callable[..., Path]) -> None:
    from PIL import Image

    run = write_run(result(history=history(*[0.5] * 3000)), "large", tuple(f"epoch-{n:04d}" for n in range(1, 13)))
    noise = Image.fromarray(np.random.default_rng(0).integers(0, 256, (500, 500, 3), np.uint8))
    for file in (run / "samples").iterdir():
        noise.save(file)
    page = report(run)
    assert Path("page.html").stat().st_size < 5e6
    assert "1 of 12 steps are shown" in page.text
    assert "Generated images, epoch 12" in page.text
    assert "Points at equal intervals" in page.text


def test_samples_that_are_missing_broken_or_of_another_run_do_not_prevent_a_report(
    write_run: Callable[..., Path],
) -> None:
    run = write_run(result(), "run")
    (run / "samples" / "epoch-0001.png").write_bytes(b"<svg onload=alert(1)>")
    (run / "samples" / "epoch-0009.png").write_bytes((run / "samples" / "real.png").read_bytes())
    text = report(run).text
    assert "epoch-0001.png cannot be shown" in text
    assert "epoch 9" not in text
    alone = run.parent / "alone.json"
    alone.write_bytes((run / "result.json").read_bytes())
    assert "No sample images next to this result." in report(alone).text


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["one", "--out", "one/result.json"], ExitCode.USAGE, "must end in .html"),
        (["one", "--out", "nowhere/page.html"], ExitCode.USAGE, "folder nowhere does not exist; create it first"),
        (["nothing"], ExitCode.NOT_COMPARABLE, "cannot read it"),
        (["one/samples"], ExitCode.NOT_COMPARABLE, "no runs found"),
        ([], ExitCode.USAGE, "RESULT"),
    ],
)
def test_what_cannot_be_reported_is_an_error(
    arguments: list[str], code: ExitCode, message: str, write_run: Callable[..., Path]
) -> None:
    write_run(result(), "one")
    found, output = invoke(*arguments)
    assert found == code
    assert message in output


def test_runs_are_named_by_as_much_of_their_path_as_it_takes(tmp_path: Path) -> None:
    assert short_names([tmp_path / "a", tmp_path / "b" / "result.json"]) == ["a", "b"]
    assert short_names([tmp_path / "x" / "run", tmp_path / "y" / "run"]) == ["x/run", "y/run"]


def test_a_line_is_interrupted_where_a_loss_is_not_finite() -> None:
    chart = LineChart("loss", [Line("a", 0, [(0, 1.0), (1, 2.0), (2, None), (3, float("inf")), (4, 1.0)])])
    assert re.sub(r"[\d. ]+", " ", chart.path(chart.lines[0])) == "M L M "
    assert "nan" not in chart.path(chart.lines[0])


@pytest.mark.parametrize(("count", "repeated"), [(16, False), (17, True)])
def test_a_chart_says_so_if_it_has_more_lines_than_styles(count: int, repeated: bool) -> None:
    chart = LineChart("loss", [Line(str(number), number, [(0, 1.0)]) for number in range(count)])
    assert ("some look the same" in chart.note) is repeated


@pytest.mark.parametrize(
    ("low", "high", "labels"),
    [
        (0, 10, ["0", "2", "4", "6", "8", "10"]),
        (0, 60_000, ["0", "20k", "40k", "60k"]),
        (0, 2_500_000, ["0", "500k", "1M", "1.5M", "2M", "2.5M"]),
        (-0.01, 0.01, ["-0.01", "-0.005", "0", "0.005", "0.01"]),
        (1, 1 + 1e-7, ["1", "1.000000025", "1.00000005", "1.000000075", "1.0000001"]),
        (1e4, 1e4 + 1e-3, ["10k", "10.00000025k", "10.0000005k", "10.00000075k", "10.000001k"]),
    ],
)
def test_ticks_are_round_numbers(low: float, high: float, labels: list[str]) -> None:
    ticks = Scale(low, high, 0, 100).ticks
    assert [label for _, label in ticks] == labels
    assert (ticks[0][0], ticks[-1][0]) == (0, 100)


CURVE_PLUGIN = """
from pathlib import Path
from ganbench import Benchmark, PublishedCurve, hookimpl

@hookimpl
def ganbench_benchmarks():
    curve = PublishedCurve(label="paper", history=Path("curve.csv"), data_fingerprint="0")
    return [Benchmark(name="own", summary="Own", spec={}, published_curve=curve)]
"""


def test_a_published_curve_is_drawn_behind_runs_on_the_same_data(write_run: Callable[..., Path]) -> None:
    Path("own.py").write_text(CURVE_PLUGIN)
    Path("curve.csv").write_text("epoch,d_loss\n1,0.25\n2,0.125\n")
    own = result(benchmark="own")
    one, two = write_run(own, "one"), write_run(own, "two")
    other = write_run(own.model_copy(update={"data": own.data.model_copy(update={"fingerprint": "1"})}), "other")

    def drawn(*arguments: object) -> tuple[str, str]:
        code, output = invoke(*arguments)
        assert code == 0, output
        return Path("report.html").read_text(encoding="utf-8"), output

    single, _ = drawn(one, "-p", "own.py")
    assert "discriminator, paper from 0.2500 to 0.1250; discriminator from 0.5000" in single
    several, _ = drawn(one, two, "-p", "own.py")
    assert "own, paper from 0.2500 to 0.1250; one from 0.5000" in several
    assert several.count("own, paper from") == 1
    assert re.search(r'class="line s2 behind"><path d="M[\d. ]+L[\d. ]+"/></g>', several)
    for arguments in ([one], [other, "-p", "own.py"]):
        assert "paper" not in drawn(*arguments)[0]
    Path("curve.csv").write_text("epoch,d_loss\n1,high\n")
    page, output = drawn(one, "-p", "own.py")
    assert "paper" not in page
    assert "warning: the published curve of own, curve.csv, cannot be read and is left out: ValueError" in output


def test_a_report_starts_without_torch_and_matplotlib(write_run: Callable[..., Path]) -> None:
    script = (
        "import sys; from ganbench.cli import app\n"
        "try: app(['report', sys.argv[1]])\n"
        "finally: print('heavy:', {'torch', 'matplotlib', 'scipy'} & set(sys.modules), file=sys.stderr)"
    )
    run = write_run(result(), "one")
    done = subprocess.run([sys.executable, "-c", script, str(run)], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "heavy: set()" in done.stderr
    assert "report.html: 1 run" in done.stdout


def test_run_writes_its_report_and_only_warns_if_that_fails(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    overrides = [word for override in [*UNSCORED, "sample_images.generated=0"] for word in ("-o", override)]
    arguments = ["run", "dcgan-fashion", *overrides, "--steps", "2", "--device", "cpu", "--report"]
    done = run_command(*arguments, "--out", "one", "--json")
    assert done.exit_code == 0, done.output
    assert json.loads(done.stdout)["status"] == "completed"
    assert "one/report.html: 1 run, " in done.stderr
    page = Page(Path("one/report.html").read_text(encoding="utf-8")).root
    assert [image.attributes["alt"] for image in page.find("img")] == ["Grid of real images from the train split"]
    Path("one/report.html").write_text("outdated")
    run_command("run", "--resume", "one", "--steps", "3")
    assert Page(Path("one/report.html").read_text(encoding="utf-8")).root.find("img")

    def fail(*arguments: object) -> str:
        raise OSError("no space left")

    monkeypatch.setattr("ganbench.reporting.html.page.render", fail)
    done = run_command(*arguments, "--out", "two")
    assert done.exit_code == 0, done.output
    assert "warning: the report failed: OSError: no space left" in done.stderr
    assert not Path("two/report.html").exists()


def test_an_evaluation_has_no_command_and_a_value_without_direction_is_never_ranked(
    write_run: Callable[..., Path],
) -> None:
    folder = write_run(result(), "evaluation")
    stored = json.loads((folder / "result.json").read_text())
    del stored["spec"]["training"]
    stored["metrics"][0]["higher_is_better"] = None
    (folder / "result.json").write_text(json.dumps(stored))
    text = report(folder).text
    assert "ganbench run spec.toml" not in text
    assert "never ranked" in text
    assert "None is better" not in text
