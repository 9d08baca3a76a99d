"""What the report asks a run's net, and what it does where there is no net to ask."""

import re
import shutil

import numpy as np
import pytest

import alexnet
from alexnet.errors import InputError
from alexnet.evaluation.answers import read_answers
from alexnet.models.alignment import Alignment
from alexnet.pictures import report_learned
from alexnet.pictures.allowance import Allowance, small_picture
from alexnet.pictures.heat import Heat
from alexnet.pictures.overlay import blended
from alexnet.pictures.report_learned import learned
from alexnet.pictures.subject import open_subject
from pictures.pages import Page


@pytest.fixture(scope="module")
def found(tiny_run):
    """What the tiny run's net answers, and the rows of its worst mistakes."""
    subject = open_subject(tiny_run)
    kept = read_answers(tiny_run)
    worst = kept.rows[~kept.right][:3].tolist()
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(report_learned, "MOST_IMAGES", 60)
        patched.setattr(report_learned, "WORK", 1e9)
        return subject, worst, learned(subject, worst)


def test_the_worst_mistakes_are_explained_first_and_by_what_the_net_answered(found):
    subject, worst, told = found
    assert len(told.explained) == 6
    p = subject.probabilities(subject.views(subject.packed.read(np.array(worst))))
    for one, shares in zip(told.explained, p):
        assert one.answer == subject.classes[int(shares.argmax())] != one.truth
        assert one.probability == pytest.approx(shares.max())
        assert [shown.caption for shown in one.panels[:3]] == ["image", "Grad-CAM at conv5", "saliency"]
        assert {shown.pixels.shape for shown in one.panels} == {(67, 67, 3)}
        assert not np.array_equal(one.panels[0].pixels, one.panels[1].pixels)


def test_an_early_and_the_last_stage_show_their_strongest_patches_and_every_stage_its_maps(found):
    told = found[2]
    assert [stage.split(",")[0] for stage, _ in told.patches] == ["conv2", "conv5"]
    assert told.looked == 60
    assert all(len(squares) == 16 for _, squares in told.patches)
    assert [shown.caption.split(",")[0] for shown in told.maps] == ["conv1", "conv2", "conv3", "conv4", "conv5"]
    assert told.points is not None
    assert told.thumbnails.shape == (560, 560, 4)


def test_a_costly_net_is_asked_about_fewer_images(found, monkeypatch):
    subject, worst, _ = found
    monkeypatch.setattr(report_learned, "WORK", 1.0)
    told = learned(subject, worst)
    assert told.looked == 16
    assert told.points is None  # too few to lay out
    assert not any("hidden" in shown.caption for one in told.explained for shown in one.panels)


def test_heat_lies_where_its_positions_look():
    pixels = np.full((8, 8, 3), 255, np.uint8)
    values = np.array([[1.0, 0.0], [0.0, 0.0]])
    seen = blended(pixels, Heat(values, Alignment(2.5, 2, 3), (0, 1), "", "")).astype(int)
    assert (seen[:2] == 255).all()  # no position is centred there
    assert (seen[6:] == 255).all()
    yellow, blue = seen[2, 2], seen[4, 4]
    assert (seen[2:4, 2:4] == yellow).all()
    assert (seen[4:6, 2:6] == blue).all()
    assert yellow[0] > blue[0] + 80
    assert yellow[2] < yellow[0]


def test_the_whole_report_holds_what_the_net_was_asked_and_the_images_of_its_index(
    tiny_run, found, tmp_path, monkeypatch, capsys
):
    run = tmp_path / "run"
    shutil.copytree(tiny_run, run)
    vectors = alexnet.embed(run, "digits", tmp_path / "vectors", split="test")
    alexnet.index(vectors.path, run / "index")
    monkeypatch.setattr("alexnet.api.reporting.learned", lambda subject, worst: found[2])
    html = alexnet.report(run).read_text(encoding="utf-8")
    page = Page(html)
    for said in ("What excites conv5", "stage by stage", "Grad-CAM at conv5", "Nearest in the index", "The net"):
        assert said in page.text
    assert page.images["explained"] == sum(len(one.panels) for one in found[2].explained)
    assert page.images["learned"] == 2 + 2 * 16 + 1 + 5
    rows = html[html.index("Nearest in the index") :].split('<div class="tiles"')[1:5]
    for row in rows:  # a query and its six neighbours, none of them itself
        assert len(set(re.findall(r'src="([^"]*)"', row.split("</div>")[0]))) == 7
    assert len(html.encode()) < 2_900_000
    (run / "best.safetensors").unlink()
    (run / "last.safetensors").unlink()
    capsys.readouterr()
    text = Page(alexnet.report(run, out=tmp_path / "later.html").read_text(encoding="utf-8")).text
    assert "the report does without the net" in capsys.readouterr().err
    assert "Grad-CAM" not in text
    assert "Worst mistakes" in text


def test_runs_that_are_going_on_are_drawn_from_what_is_there(tiny_run, tmp_path):
    run = tmp_path / "run"
    run.mkdir()
    (run / "state.pt").write_bytes(b"")
    with pytest.raises(InputError, match=r"no run\.json"):
        alexnet.report(run)
    shutil.copy(tiny_run / "run.json", run)
    (run / "metrics.jsonl").write_text("")
    assert "The run has written down no step yet." in alexnet.report(run).read_text(encoding="utf-8")
    for what, said in (("filters", "was stopped before"), ("curves", "no curves"), ("confusion", "alexnet evaluate")):
        with pytest.raises(InputError, match=said):
            alexnet.show(run, what)
    lines = (tiny_run / "metrics.jsonl").read_text().splitlines(keepends=True)
    (run / "metrics.jsonl").write_text("".join(lines)[:-20])  # its last line is still being written
    assert alexnet.show(run, "curves").axes
    page = Page(alexnet.report(run).read_text(encoding="utf-8"))
    assert "Training is going on, or was cut off." in page.text
    assert "Loss" in page.text


def test_an_allowance_is_never_overdrawn():
    chance = np.random.default_rng(0)
    images = [chance.integers(0, 256, (90, 90, 3), np.uint8) for _ in range(8)]
    whole = [small_picture(image) for image in images]
    left = Allowance(sum(map(len, whole[:4])) + 4 * 700 + 100)
    assert [uri is not None for uri in left.take_all(images)] == [True] * 4 + [False] * 4
    assert 0 <= left.left <= 100
    assert Allowance(len(whole[0]) + 1500).take(images[0], times=2) is None
