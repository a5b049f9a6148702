"""The file of a suite: which cells it describes, and which mistakes in it are found before anything runs."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from textwrap import dedent

import pytest

from ganbench import Registry, UsageError
from ganbench.spec.loading import load_spec
from ganbench.spec.matrix import Cell, make_cells, read_suite_file

CellsOf = Callable[..., list[Cell]]

HEAD = """
benchmark = "dcgan-fashion"
options = { dataset.source = "embedded", model.width = 4, training.steps = 2, metrics = [] }
"""


@pytest.fixture
def cells_of(tmp_path: Path, registry: Registry) -> CellsOf:
    def make(text: str, head: str = HEAD) -> list[Cell]:
        file = tmp_path / "mine.toml"
        file.write_text(head + dedent(text))
        return make_cells(read_suite_file(file), registry, tmp_path)

    return make


def test_every_combination_is_a_cell_with_its_own_spec(cells_of: CellsOf) -> None:
    cells = cells_of("""
        seeds = [3, 4]
        [axes]
        loss = ["bce", { name = "hinge" }]
        optimizer.generator.lr = [1e-4, 2e-4]
    """)  # fmt: skip
    assert len(cells) == len({cell.id for cell in cells}) == 8
    assert cells[-1].label == "loss=hinge(), optimizer.generator.lr=0.0002, seed=4"
    assert cells[-1].spec.loss.name == "hinge"
    assert cells[-1].spec.optimizer.generator.options.lr == 2e-4
    assert cells[-1].spec.training.seed == 4
    assert {cell.spec.model.options.width for cell in cells} == {4}


def test_linked_axes_change_together_and_cells_are_left_out_and_added(cells_of: CellsOf) -> None:
    cells = cells_of("""
        seeds = [0]
        [axes]
        model.latent_dim = [8, 16]
        [linked.method]
        ttur = { loss = "hinge", optimizer.discriminator.lr = 4e-4 }
        equal = { loss = "bce" }
        [[exclude]]
        method = "equal"
        model.latent_dim = 16
        [[include]]
        loss = "wgan"
    """)  # fmt: skip
    assert [cell.label for cell in cells] == [
        "model.latent_dim=8, method=ttur, seed=0",
        "model.latent_dim=8, method=equal, seed=0",
        "model.latent_dim=16, method=ttur, seed=0",
        "seed=0, loss=wgan",
    ]
    ttur = cells[2].spec
    assert (ttur.loss.name, ttur.optimizer.discriminator.options.lr) == ("hinge", 4e-4)
    assert cells[3].spec.loss.name == "wgan"


def test_cells_are_known_by_content_whatever_the_order_of_the_file(cells_of: CellsOf) -> None:
    one = cells_of('seeds = [0, 1]\n[axes]\nloss = ["bce", "hinge"]\n"model.latent_dim" = [8, 16]')
    other = cells_of('seeds = [1, 0, 2]\n[axes]\nmodel.latent_dim = [16, 8]\nloss = ["wgan", "hinge", "bce"]')
    assert {cell.id for cell in one} < {cell.id for cell in other}
    assert len(other) == 18


def test_benchmarks_are_an_axis_and_files_are_found_next_to_the_suite(cells_of: CellsOf, tmp_path: Path) -> None:
    (spec,) = cells_of("")
    (tmp_path / "other.toml").write_text(spec.spec.to_toml().replace('name = "dcgan-fashion"', 'name = "other"'))
    cells = cells_of('seeds = [7]\n[axes]\nbenchmark = ["wgan-fashion", "other.toml"]', head="")
    assert [cell.spec.name for cell in cells] == ["wgan-fashion", "other"]


def test_published_references_stay_tied_to_the_settings_of_the_benchmark(cells_of: CellsOf, registry: Registry) -> None:
    (cell,) = cells_of("[axes]\ntraining.batch_size = [32]", head='benchmark = "sngan-cifar10"\n')
    expected = load_spec("sngan-cifar10", registry, ["training.batch_size=32"])
    assert cell.spec.references == expected.references


def test_cells_are_left_out_by_plugins_with_options(cells_of: CellsOf) -> None:
    cells = cells_of("""
        [axes]
        optimizer.generator = [{ name = "adam", lr = 1e-4 }, { name = "adam", lr = 2e-4 }]
        [[exclude]]
        optimizer.generator = { name = "adam", lr = 1e-4 }
    """)
    assert [cell.label for cell in cells] == ["optimizer.generator=adam(lr=0.0002)"]


def test_a_run_over_more_processes_is_another_cell(cells_of: CellsOf) -> None:
    one, two = cells_of("seeds = [0]\n[axes]\nprocesses = [1, 2]")
    assert (one.processes, two.processes) == (1, 2)
    assert one.spec == two.spec
    assert one.id != two.id
    assert one.id == cells_of("seeds = [0]")[0].id
    assert cells_of("seeds = [0]", head="processes = 2" + HEAD)[0].id == two.id


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('[axes]\nloss = ["bce", "hing"]', "cell loss=hing: .*unknown loss 'hing'; did you mean 'hinge'"),
        ("[axes]\nmodel.width = [4, -1]", "model.width is set twice, by options and by axis model.width"),
        ("seeds = [0]\n[axes]\nmodel.latent_dim = [8, -1]", "cell model.latent_dim=-1, seed=0: .*model.latent_dim"),
        ("seeds = [0, 0]", "two cells are the same: 'seed=0' and 'seed=0'"),
        ('[axes]\nloss = ["bce"]\n[[include]]\nloss = "bce"', "two cells are the same: 'loss=bce' and 'loss=bce'"),
        ('[axes]\nloss = ["bce"]\n[[exclude]]\nlos = "bce"', "no cell has the axis 'los'; did you mean 'loss'"),
        ('[axes]\nloss = ["bce"]\n[[exclude]]\nloss = "hinge"', "exclude.0 matches no cell: loss=hinge"),
        ('[axes]\nloss = ["bce"]\n[[exclude]]\nloss = "bce"', "no cell is left: remove an entry of"),
        ("[axes]\nloss = []", "axes.loss: give a list of at least one value"),
        ('[axes]\nloss = "bce"', "axes.loss: give a list"),
        ("seeds = [0]\n[axes]\ntraining.seed = [1]", "training.seed is set twice, by seeds and by axis training.seed"),
        ("seeds = [0]\n[[include]]\ntraining.seed = 7", "include.0 sets training.seed, but so does seeds"),
        ("[axes]\nmodel.release = [2024-05-01]", 'cell model.release="2024-05-01": .*model.release'),
        ("[axes]\nprocesses = [0]", "cell processes=0: processes: give a whole number of at least 1, got 0"),
        (
            "[axes]\nprocesses = [2, 3]",
            "cell processes=3: training.batch_size: 64 images cannot be split evenly over 3 processes; choose",
        ),
        (
            "processes = 4\n[axes]\ntraining.generator_batch_size = [64, 30]",
            "cell generator_batch_size=30: training.generator_batch_size: 30 images cannot be split evenly over 4",
        ),
        (
            'processes = 2\n[axes]\nengine.mode = ["cuda_graph"]',
            "cell engine.mode=cuda_graph: engine.mode: a run over several processes uses no CUDA graph",
        ),
        (
            '[axes]\nbenchmark = ["wgan-fashion"]',
            "benchmark is set twice, by the top of the file and by axis benchmark",
        ),
        (
            "[axes]\nmetrics.5.num_samples = [10]",
            r"cell metrics\.5\.num_samples=10: metrics\.5\.num_samples: '5' is not .*; set metrics\.0 to append",
        ),
        ("seed = [0]", "unknown key; did you mean 'seeds'"),
        ("seeds = [-1]", "seeds.0: must be at least 0"),
        ("seeds = [true]", r"seeds\.0: must be an integer \(got True\)"),
        ("[axes", "not valid TOML"),
    ],
)
def test_a_mistake_is_found_before_anything_runs(cells_of: CellsOf, text: str, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        cells_of(text)


def test_a_suite_without_a_benchmark_is_refused(cells_of: CellsOf) -> None:
    with pytest.raises(UsageError, match="no benchmark: give `benchmark`"):
        cells_of("seeds = [0]", head="")
