"""Several processes share what is measured, asked and embedded: each image once, one process's numbers, one writer."""

import json
import os
import shutil
import signal
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from alexnet.checkpoint import save_weights
from alexnet.data import open_source, pack
from alexnet.evaluation import predict
from alexnet.evaluation.evaluate import evaluate
from alexnet.recipes import RECIPES
from alexnet.retrieval.embed import embed
from alexnet.training.start import start
from parallel import working_on_evaluation as work
from parallel.commands import Command
from parallel.launching import launched

ROWS = np.random.default_rng(0).permutation(1797)[:300]
"""Ten batches of 32, the last of them smaller."""


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """A net that has learned nothing, and says something else of each image all the same."""
    folder = tmp_path_factory.mktemp("shared")
    with pytest.MonkeyPatch.context() as patched:
        patched.setenv("ALEXNET_CACHE", str(folder / "cache"))
        recipe = replace(RECIPES["practical"], model="lenet5_softmax", epochs=1)
        run = start("digits", recipe, out=folder / "run", device="cpu")
    save_weights(run.folder / "best.safetensors", run.net.state_dict(), run.card(0))
    return run.folder


@pytest.fixture(scope="module")
def images(tmp_path_factory):
    """Seven files, two of them no images."""
    folder = tmp_path_factory.mktemp("images")
    for i in range(7):
        pixels = np.random.default_rng(i).integers(0, 256, (40, 40, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(folder / f"{i}.png")
    for i in (2, 5):
        (folder / f"{i}.png").write_text("no image")
    return sorted(map(str, folder.iterdir()))


@pytest.fixture(scope="module")
def two(run, images, tmp_path_factory):
    """What two processes say, and where they left an embedding unfinished."""
    folder = tmp_path_factory.mktemp("two")
    shutil.copytree(run, folder / "run")
    return launched(
        2, "parallel.working_on_evaluation:asked", str(folder / "run"), images, ROWS, str(folder / "out")
    ), folder


@pytest.fixture(scope="module")
def three(run, two):
    """What three processes say, which go on with it."""
    return launched(3, "parallel.working_on_evaluation:resumed", str(run), ROWS, str(two[1] / "out"))


def test_each_image_goes_through_one_net_and_all_processes_get_one_process_s_numbers(run, two, three):
    alone = work.counted(str(run), ROWS)
    assert np.abs(alone["p"][0] - alone["p"][1]).max() > 1e-3  # an order that is another would be seen
    for said in (two[0], three):
        assert all((one["p"] == alone["p"]).all() for one in said)
    assert [one["sizes"] for one in two[0]] == [[32] * 5, [32] * 4 + [12]]
    assert [one["sizes"] for one in three] == [[32] * 3 + [12], [32] * 3, [32] * 3]


def test_with_fewer_images_than_processes_some_have_nothing_to_do(run, two, three):
    alone = work.counted(str(run), ROWS[:2])["p"]
    assert [one["one image"]["sizes"] for one in two[0]] == [[1], []]
    assert [one["two images"]["sizes"] for one in three] == [[2], [], []]
    assert all((one["two images"]["p"] == alone).all() for one in three)


def test_what_evaluate_finds_is_the_same_and_written_once(run, two, tmp_path):
    said, folder = two
    shutil.copytree(run, tmp_path / "run")
    alone = evaluate(tmp_path / "run") | {"seconds": None}
    assert alone["images"] == 359
    assert [one["evaluated"] | {"seconds": None} for one in said] == [alone, alone]
    assert [one["written"] for one in said] == [["write_answers", "write_json"], []]
    kept = [json.loads((at / "run" / "evaluation.json").read_text()) for at in (tmp_path, folder)]
    for one in kept:
        one["seconds"] = one["by_views"]["center"]["seconds"] = None
    assert kept[0] == kept[1]
    assert kept[0]["baselines"]["nearest_pixel"]["error"] < 0.1


def test_predictions_come_in_the_order_of_the_files_bad_ones_among_them(run, images, two, monkeypatch):
    monkeypatch.setattr(predict, "AT_ONCE", 2)
    alone = predict.answers(run, images)
    assert ["error" in row for row in alone] == [False, False, True, False, False, True, False]
    assert [one["predicted"] for one in two[0]] == [alone, alone]


def test_features_for_a_probe_are_those_of_one_process(run, two):
    alone = work.features(str(run), ROWS)
    assert alone.shape == (300, 84)
    assert all((one["features"] == alone).all() for one in two[0])


def test_an_embedding_that_was_killed_goes_on_with_another_number_of_processes(run, two, three, tmp_path):
    whole = embed(run, work.packed(str(run)), tmp_path / "whole", batch=work.BATCH)
    assert [one["stopped"] for one in two[0]] == ["Stopped: ", "Stopped: "]
    todo = len(whole) - 2 * work.STOPPED_AFTER * work.BATCH
    assert sum(len(one["computed"]) - 1 for one in three) == -(-todo // work.BATCH)  # one: the blank image
    assert all((one["vectors"] == whole.array).all() for one in three)
    for file in ("vectors", "paths", "labels", "digests", "given", "rows"):
        name = f"{file}.npy"
        assert (two[1] / "out" / name).read_bytes() == (whole.path / name).read_bytes()


def test_what_one_process_refuses_all_refuse(two, three):
    assert all("do not all find the same" in one["same"] for one in two[0])
    assert all("exists and is not overwritten" in one["exists"] for one in three)


@pytest.mark.slow
@pytest.mark.parametrize(("number", "rank"), [(signal.SIGKILL, 0), (signal.SIGKILL, 1), (signal.SIGSTOP, 1)])
def test_an_embedding_of_which_a_process_dies_or_hangs_is_taken_up_by_itself(run, tmp_path, number, rank):
    source, out = work.packed(str(run)), tmp_path / "out"
    whole = embed(run, source, tmp_path / "whole", batch=1)
    words = ["embed", run, source, out, "--batch", "1", "--devices", "2", "--timeout", "10", "--json"]
    command = Command(tmp_path / "cache", *words)
    command.wait_until((tmp_path / "out.partial" / "done.json").exists)
    command.send(number, rank)
    code, said, noted = command.end()
    assert code == 0, noted
    assert json.loads(said)["images"] == 1797
    assert "1,024 of 1,797 images are there" in noted
    assert (out / "vectors.npy").read_bytes() == (whole.path / "vectors.npy").read_bytes()


@pytest.mark.slow
def test_a_damaged_image_in_one_process_s_share_ends_all_with_one_line(run, tmp_path):
    images = tmp_path / "images"
    for i in range(40):
        (images / f"class {i % 2}").mkdir(parents=True, exist_ok=True)
        pixels = np.random.default_rng(i).integers(0, 256, (80, 80, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(images / f"class {i % 2}" / f"{i}.png")
    packed = pack(open_source(str(images)), tmp_path / "packed", format="jpeg")
    with (packed.path / "images.npy").open("r+b") as file:
        file.seek(np.load(packed.path / "offsets.npy")[-2] - np.load(packed.path / "offsets.npy")[-1], os.SEEK_END)
        file.write(bytes(100))
    words = ["embed", run, packed.path, tmp_path / "out", "--batch", "20", "--devices", "2"]
    code, said, noted = Command(tmp_path / "cache", *words).end()
    assert (code, said) == (2, "")
    lines = [line for line in noted.splitlines() if line.startswith("alexnet: ")]
    assert len(lines) == 1, noted
    assert "image 39 of" in lines[0]
    assert "Traceback" not in noted
