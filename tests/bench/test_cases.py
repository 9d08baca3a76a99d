"""Each case in little: every row is measured, the document has its form, and what cannot be compared is refused."""

import json

import numpy as np
import pytest
import torch

from alexnet.bench import inference, loading, normalisation, profile, start, step, whole
from alexnet.bench.conditions import commit, conditions
from alexnet.bench.run import CASES, bench, case
from alexnet.bench.step import net_for, our_step, refuse_diverged
from alexnet.bench.table import seconds, tables
from alexnet.errors import JobFailed
from alexnet.models.lrn import LRN


def well_formed(found, repeats=2):
    """A case's rows hold figures of every way, and the ratio is that of the medians."""
    json.dumps(found, allow_nan=False)
    assert found["what"]
    for row in found["rows"]:
        for name, way in row["ways"].items():
            if "seconds" in way:
                assert len(way["seconds"]) == len(way["others"]) == repeats
                assert way["min"] <= way["median"] <= way["max"]
            if row["images"]:
                assert way["images_per_second"] == pytest.approx(row["images"] / way["median"])
            if name in row["ratio"]:
                assert row["ratio"][name] == pytest.approx(row["ways"][row["against"]]["median"] / way["median"])
    return found


@pytest.fixture
def eager(monkeypatch):
    """Nothing is compiled: that takes a minute, and its own tests."""
    monkeypatch.setattr("alexnet.bench.normalisation.response_norm_for", lambda device, seconds: ("eager", ""))
    monkeypatch.setattr("alexnet.training.speed.response_norm_for", lambda device, seconds: ("eager", ""))


def test_the_normalisation_is_timed_in_both_directions_at_both_places(eager, settings, monkeypatch):
    monkeypatch.setattr(normalisation, "MAPS", ((8, 5), (16, 3)))
    found = well_formed(normalisation.measure(settings, {}))
    assert [row["what"] for row in found["rows"]] == [
        "[4, 8, 5, 5], forward",
        "[4, 8, 5, 5], forward + backward",
        "[4, 16, 3, 3], forward",
        "[4, 16, 3, 3], forward + backward",
    ]
    assert set(found["rows"][0]["ways"]) == {"obvious", "eager"}


def test_the_stages_compared_are_one_function(settings):
    x = torch.randn(2, 16, 5, 5, generator=torch.Generator().manual_seed(0)) * 60
    stages = normalisation.stages_for(settings.device)
    torch.testing.assert_close(stages["eager"](x), stages["obvious"](x))


def test_where_compiling_suits_long_runs_it_has_a_row_of_its_own(settings, monkeypatch):
    monkeypatch.setattr(normalisation, "response_norm_for", lambda device, seconds: ("compiled", "pays"))
    stages = normalisation.stages_for(settings.device)
    assert [getattr(stage, "implementation", None) for stage in stages.values()] == [None, "eager", "compiled"]


def test_a_step_is_timed_in_both_precisions_and_its_profile_is_whole(eager, thin, settings):
    found = well_formed(step.measure(settings, {}))
    assert set(found["rows"][0]["ways"]) == {"obvious", "ours, float32", "ours, bfloat16"}
    assert {name: chosen["precision"] for name, chosen in found["chosen"].items()} == {
        "ours, float32": "float32",
        "ours, bfloat16": "bfloat16",
    }
    for shares in found["profile"].values():
        assert sum(shares.values()) == pytest.approx(1)
        assert set(profile.KINDS.values()) | {"optimiser"} <= set(shares)


def test_our_steps_learn(eager, thin, settings):
    net = net_for(settings)
    images, labels = step.batch_of(settings)
    before = net.fc8.bias.detach().clone()
    take, _ = our_step(net, settings, "float32", images, labels)
    losses = [float(take()) for _ in range(3)]
    assert not torch.equal(net.fc8.bias, before)
    assert losses[2] < losses[0]


def test_a_profile_gives_work_to_the_stage_that_asked_for_it_forward_and_backward():
    size = 2_000
    net = torch.nn.Sequential(torch.nn.Flatten(), LRN(5, 2.0, 1e-4, 0.75, "sum"))
    heavy = torch.randn(4, 64, 40, 40, requires_grad=True)

    def run():
        net[1](heavy).sum().backward()

    net.register_parameter("weight", torch.nn.Parameter(torch.zeros(1)))
    run()
    shares = profile.profiled(run, net, 2)
    assert shares["response normalisation"] > 0.8, (size, shares)


def test_a_loss_that_is_no_number_is_no_measurement():
    refuse_diverged({"ours": 1.0})
    with pytest.raises(JobFailed, match="the loss of ours is nan"):
        refuse_diverged({"ours": float("nan")})


def test_answers_that_differ_are_no_measurement():
    images = torch.ones(2, 3)

    def compared(name, factor):
        return inference.compared_answers(images, {name: lambda x: x * factor}, images)

    assert compared("ours", 1.0001)["ours"] == pytest.approx(1e-4, rel=0.01)
    assert compared("OpenVINO, bfloat16", 1.01)
    for factor in (1.01, float("nan")):
        with pytest.raises(JobFailed, match="ours answers otherwise"):
            compared("ours", factor)


def test_the_loaders_see_as_many_images_each(small_images, settings, monkeypatch):
    found = well_formed(loading.measure(settings, {}))
    row = found["rows"][0]
    assert list(row["ways"]) == ["obvious", *(f"packed {a}, {b}" for a in ("raw", "jpeg") for b in ("bytes", "floats"))]
    assert row["images"] == 16
    assert found["bytes_an_image"]["raw"] == pytest.approx(3 * settings.stored**2, rel=0.01)
    assert found["files"]["images"] == 16
    assert torch.get_num_threads() == 1


def test_a_packed_pass_gives_patches_of_the_stored_images(small_images, settings):
    folder = loading.jpeg_folder(settings.images)
    pack = loading.packed(folder, settings, "raw")
    draws = loading.draw(loading.AUGMENTATION, 0, 0, 4)
    cut = loading.cut_of(draws, pack.sizes(np.arange(4)), settings.size)
    images = pack.read(np.arange(4), None, cut)
    whole_image = pack.read(np.array([2]))[0]
    top, left = cut.top[2], cut.left[2]
    assert (images[2] == whole_image[top : top + 67, left : left + 67]).all()
    assert tuple(loading.as_floats(images, draws, settings.size).shape) == (4, 3, 67, 67)


def found_before():
    def ways(**rates):
        return {"rows": [{"ways": {name: {"images_per_second": rate} for name, rate in rates.items()}}]}

    packed = {f"packed {layout}, floats": 1000.0 for layout in ("raw", "jpeg")}
    return {
        "loader": ways(obvious=100.0, **packed),
        "step": ways(**{"obvious": 10.0, "ours, float32": 20.0, "ours, bfloat16": 40.0}),
    }


def test_the_whole_way_is_the_sum_of_its_pieces_and_names_the_largest(small_images, settings, monkeypatch):
    monkeypatch.setattr(whole, "cores", lambda: 2)
    found = well_formed(whole.measure(settings, found_before()), repeats=1)
    ways = found["rows"][1]["ways"]
    assert ways["obvious"]["median"] == pytest.approx(1 / 100 / 2 + 1 / 10)
    ours = ways["packed raw, bfloat16"]
    packing = found["rows"][0]["ways"]["packed raw"]["median"] / settings.images / 90
    assert ours["pieces"] == pytest.approx({"loader": 1 / 1000 / 2, "copy": 0, "compute": 1 / 40, "packing": packing})
    assert ours["median"] == pytest.approx(sum(ours["pieces"].values()))
    assert found["words"][0].startswith("obvious: the bottleneck is the compute, 95% of the work")


def test_on_a_gpu_reading_copying_and_computing_run_side_by_side():
    parts = {"loader": 3.0, "copy": 1.0, "compute": 2.0, "packing": 0.5}
    assert whole.together(parts, torch.device("cpu")) == 6.5
    assert whole.together(parts, torch.device("cuda")) == 3.5


def test_the_bottleneck_is_whatever_takes_longest():
    assert "the bottleneck is the loader, 80%" in whole.bottleneck("x", {"loader": 0.004, "compute": 0.001})


def test_a_training_that_ends_before_its_first_step_is_no_measurement(tmp_path, settings, monkeypatch):
    monkeypatch.setattr(start, "FIRST_STEP", "import sys; print('no such option', file=sys.stderr); sys.exit(2)")
    with pytest.raises(JobFailed, match=r"before its first step.*no such option"):
        start.first_step(tmp_path, settings, cold=True)()


def test_the_hook_ends_a_process_at_its_first_step_and_not_before(tmp_path, settings, monkeypatch):
    program = """
import sys
import torch
parameter = torch.nn.Parameter(torch.ones(1))
optimiser = torch.optim.SGD([parameter], lr=0.1)
open(sys.argv[-1] + "-begun", "w").close()
parameter.grad = torch.ones(1)
optimiser.step()
open(sys.argv[-1] + "-after", "w").close()
"""
    hooked = start.FIRST_STEP.replace("from alexnet.cli import main\nsys.exit(main(sys.argv[1:]))", program)
    assert hooked != start.FIRST_STEP
    monkeypatch.setattr(start, "FIRST_STEP", hooked)
    start.first_step(tmp_path, settings, cold=False)()
    assert [path.name for path in tmp_path.glob("warm-1*")] == ["warm-1-begun"]


def test_the_document_is_written_after_every_case_and_kept_when_a_later_one_is_stopped(
    eager, settings, tmp_path, monkeypatch
):
    monkeypatch.setattr(normalisation, "MAPS", ((8, 5),))
    monkeypatch.setattr(step, "measure", lambda settings, found: (_ for _ in ()).throw(KeyboardInterrupt))
    out = tmp_path / "bench.json"
    with pytest.raises(KeyboardInterrupt):
        bench(["lrn", "step"], settings, "alexnet bench lrn step", out)
    kept = json.loads(out.read_text())
    assert list(kept["cases"]) == ["lrn"]
    assert {"command", "commit", "machine", "versions", "threads", "seed", "repeats", "load_before"} <= set(kept)


def test_every_case_has_a_function_and_a_table(eager, settings, monkeypatch):
    assert all(callable(case(name)) for name in CASES)
    monkeypatch.setattr(normalisation, "MAPS", ((8, 5),))
    document = bench(["lrn"], settings, "alexnet bench lrn")
    first, *drawn, last = tables(document)
    assert str(first).startswith("lrn: response normalisation")
    assert [table.row_count for table in drawn] == [2, 2]
    assert last == ""


def test_seconds_are_read_easily():
    assert [seconds(value) for value in (12.345, 0.01234, 0.00001)] == ["12.35 s", "12.3 ms", "10 us"]


def test_conditions_name_the_commit_only_where_this_package_lies_in_its_repository(tmp_path, monkeypatch):
    assert conditions("x")["versions"]["torch"] == torch.__version__.partition("+")[0] or torch.__version__
    import subprocess

    from alexnet.bench import conditions as module

    subprocess.run(["git", "init", "-q", str(tmp_path)], check=True)
    (tmp_path / "alexnet" / "bench").mkdir(parents=True)
    elsewhere = tmp_path / "alexnet" / "bench" / "conditions.py"
    elsewhere.write_text("")
    monkeypatch.setattr(module, "HERE", elsewhere)
    assert commit() is None  # there, but not a file of that repository
