"""The scripts behind the tables: packs written directly, every row of a graphics card's table in little, the tables."""

import json
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from alexnet.data import split
from alexnet.errors import JobFailed

SCRIPTS = Path(__file__).parents[2] / "benchmarks"
NAMES = ("measured", "packs", "chips", "gpu", "gpu_rows", "growth", "speed_tables")


@pytest.fixture
def scripts(monkeypatch, tmp_path):
    """Give a script by name; results go to the test's own folder."""
    monkeypatch.syspath_prepend(SCRIPTS)
    for name in NAMES:
        monkeypatch.delitem(sys.modules, name, raising=False)

    def load(name):
        module = __import__(name)
        monkeypatch.setattr(sys.modules["measured"], "RESULTS", tmp_path / "results")
        return module

    load("measured")
    yield load
    for name in NAMES:
        sys.modules.pop(name, None)


@pytest.mark.parametrize("layout", ["raw", "jpeg"])
def test_a_pack_written_directly_reads_like_any_other(scripts, tmp_path, layout):
    packs = scripts("packs")
    pack = packs.write_made_pack(tmp_path / "pack", 11, 24, layout, classes=3, distinct=4)
    assert (len(pack), pack.shape, pack.stored) == (11, (24, 24, 3), 24)
    images = pack.read(np.arange(11))
    assert np.array_equal(images[1], images[9])  # written in cycles of four
    assert not np.array_equal(images[1], images[2])
    if layout == "raw":
        assert np.array_equal(images[6], packs.synthetic_image(2, 24, 24))
    assert pack.labels.tolist() == [0, 1, 2] * 3 + [0, 1]
    assert len(split(pack, 0, 0).train) == 11


def test_growth_measures_reading_feed_and_memory_and_draws_them(scripts, tmp_path, monkeypatch):
    growth = scripts("growth")
    monkeypatch.setattr(growth, "STEPS", 3)
    monkeypatch.setattr(growth, "PASSES", 2)
    monkeypatch.setattr(growth, "BATCH", 8)
    rows = []
    for layout in ("raw", "jpeg"):
        scripts("packs").write_made_pack(tmp_path / layout, 20, 32, layout, distinct=3)
        rows.append(growth.measure(tmp_path / layout))
        assert len(rows[-1]["read"]) == len(rows[-1]["feed"]) == 2
        assert all(seconds > 0 for what in ("read", "feed") for seconds in rows[-1][what])
        assert rows[-1]["memory"] > 1e6
    growth.draw({"results": rows}, tmp_path / "growth.png")
    assert (tmp_path / "growth.png").read_bytes().startswith(b"\x89PNG")


@pytest.fixture
def little(scripts, thin, small_images, tiny, tmp_path, monkeypatch):
    """A plan of a few images on the CPU; nothing is compiled, which takes minutes."""
    gpu = scripts("gpu")
    eager = lambda device, seconds: ("eager", "")  # noqa: E731
    monkeypatch.setattr("alexnet.training.speed.response_norm_for", eager)
    monkeypatch.setattr(torch, "compile", lambda function, **_: function)
    plan = gpu.plan_for(gpu.argparse.Namespace(device="cpu", small=True, images=40, batch=8), tmp_path)
    return gpu, replace(plan, model="tiny", families=("lenet5",))


def test_every_row_of_the_graphics_card_runs_in_little(little, tmp_path):
    gpu, plan = little
    gpu.run(plan, {"device": "NVIDIA H100 80GB HBM3"}, "gpu")
    found = json.loads((tmp_path / "results" / "gpu.json").read_text())
    assert set(gpu.SECTIONS) | {"summary"} <= set(found)
    assert {"obvious", "without norm, compiled"} <= set(found["step"]["rows"][0]["ways"])
    for layout in ("raw", "jpeg"):
        assert found["train"][layout]["images_per_second"] > 0
        assert found["train"][layout]["whole_run"]["images"] == 40
    told = found["summary"]
    assert told["hours_for_90_epochs_of_imagenet"] == pytest.approx(90 * 1_281_167 / told["images_per_second"] / 3600)
    assert "hours_for_90_epochs_of_imagenet" in told["extrapolated"]
    assert 0 < told["share_of_peak"] < 1
    assert found["families"]["lenet5"]["answers_per_second"] > 0


def test_a_step_that_moves_the_weights_otherwise_is_no_measurement(little, monkeypatch):
    _, plan = little
    rows = sys.modules["gpu_rows"]
    assert rows.step_error(plan, "graph") < rows.STEP_ERROR
    true = rows.make_step

    def other_masks(scheme, recipe, chosen, batch):
        return true(scheme, replace(recipe, seed=1 if chosen.step == "graph" else 0), chosen, batch)

    monkeypatch.setattr(rows, "make_step", other_masks)
    monkeypatch.setattr(rows, "kernel_error", lambda *_: 0.0)
    with pytest.raises(JobFailed, match="a graph step moves weights otherwise"):
        rows.correct(plan, {})


def test_a_kernel_that_is_wrong_is_no_measurement(little, monkeypatch):
    _, plan = little
    rows = sys.modules["gpu_rows"]
    assert rows.kernel_error(plan.device, (2, 8, 5, 5), torch.float32) < 1e-5
    monkeypatch.setattr(rows, "kernel_error", lambda *_: float("nan"))
    with pytest.raises(JobFailed, match="the response normalisation of 96 maps"):
        rows.correct(plan, {})


def test_a_net_too_large_for_the_card_is_measured_in_smaller_batches(little):
    tried = []

    def measure(batch):
        tried.append(batch)
        if batch > 4:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return {"batch": batch}

    assert sys.modules["gpu_rows"].with_memory(measure, 16) == {"batch": 4}
    assert tried == [16, 8, 4]


def test_without_a_graphics_card_the_file_says_that_nothing_was_measured(scripts, tmp_path, monkeypatch, capsys):
    gpu = scripts("gpu")
    monkeypatch.setattr(sys, "argv", ["gpu.py"])
    gpu.main()
    assert json.loads((tmp_path / "results" / "gpu.json").read_text())["measured"] is False
    assert "no GPU" in capsys.readouterr().err


def test_the_floor_counts_the_papers_operations(scripts):
    import alexnet

    chips = scripts("chips")
    with torch.device("meta"):
        net = alexnet.build("alexnet", classes=1000, size=227)
    work = chips.work_of(net, 128)
    assert work["answer_operations"] == 2 * 724_406_816
    assert work["training_operations"] == 2 * (3 * 724_406_816 - 55 * 55 * 96 * 363)  # conv1 needs no input gradient
    chip = chips.chip_of("NVIDIA H100 80GB HBM3")
    assert chip == chips.CHIPS["H100"]
    assert chips.chip_of("NVIDIA H100 PCIe") == chips.CHIPS["H100 PCIe"]
    assert chips.chip_of("a card of next year") is None
    most = chips.floor(work, chip, "training")
    assert most["images_per_second"] == min(most["by_operations"], most["by_bytes"])
    assert most["by_operations"] == pytest.approx(chip.bfloat16 / work["training_operations"])


def bench_document():
    def row(images, **medians):
        ways = {
            name: {"median": m} | ({"images_per_second": images / m} if images else {}) for name, m in medians.items()
        }
        return {"images": images, "ways": ways, "ratio": {name: medians["obvious"] / m for name, m in medians.items()}}

    return {
        "cases": {
            "step": {
                "rows": [row(128, obvious=8.0, **{"ours, float32": 4.0})],
                "profile": {"ours, float32": {"convolution": 0.75, "other": 0.25}},
            },
            "lrn": {"rows": [row(None, obvious=1.0), row(None, obvious=0.4, eager=0.08)]},
            "start": {"rows": [{"images": None, "ways": {"ours": {"median": 0.25}}, "ratio": {}}]},
        }
    }


def test_tables_hold_figures_beside_targets_and_say_what_was_not_measured(scripts, tmp_path):
    measured, tables = scripts("measured"), scripts("speed_tables")
    words = tables.ENGLISH
    assert any("not yet measured" in line for line in tables.speed(words))
    measured.write("bench", bench_document())
    lines = tables.speed(words)
    assert f"| {words['step']} | 16 images/s | 32 images/s | **2.0** | 1.9 |" in lines
    assert f"| {words['lrn_1']} | 400.0 ms | 80.0 ms | **5.0** | 5 |" in lines
    assert f"| {words['step_bfloat16']} | not yet measured |  |  | 3 |" in lines
    assert len(lines) == 2 + len(tables.LINES)
    assert f"| {words['help']} | **0.25** | 0.3 |" in tables.waits(words)
    assert "| convolution | 75% |" in tables.profile(words)
    measured.write("gpu", {"measured": False})
    assert f"| {words['gpu_rate']} | not yet measured | 38,000 |" in tables.gpu(words)
    assert "not yet measured" in tables.families(words)[-1]
    assert "not yet measured" in tables.growth(words)[-1]
    grown = {"images": 1000, "read": [1e-5, 2e-5, 9e-5], "feed": [1e-4], "memory": 4e8}
    measured.write("growth", {"results": [grown | {"layout": layout} for layout in ("raw", "jpeg")]})
    assert tables.growth(words)[2] == ("| 1,000 | 0.020 ms | 0.020 ms | 0.100 ms | 0.100 ms | 400 MB | 400 MB |")


def test_both_languages_have_words_for_every_line(scripts):
    tables = scripts("speed_tables")
    names = {line.words for line in (*tables.LINES, *tables.WAITS)}
    assert names <= set(tables.ENGLISH)
    assert set(tables.ENGLISH) == set(tables.CHINESE)
