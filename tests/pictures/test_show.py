"""`show`: every picture by its name, from the command line and from Python, and what it refuses."""

import re

import numpy as np
import pytest
from matplotlib.figure import Figure
from PIL import Image

import alexnet
from alexnet.cli import main
from alexnet.errors import InputError
from alexnet.models.lenet import TABLE
from alexnet.pictures.catalogue import CATALOGUE
from alexnet.pictures.confusion import confusion_figure
from alexnet.pictures.curves import curves_figure
from alexnet.pictures.errors import classes_figure
from alexnet.pictures.features import features_figure, plane
from alexnet.pictures.filters import filters_figure
from alexnet.pictures.maps import maps_figure
from alexnet.pictures.predictions import predictions_figure
from alexnet.pictures.records import read_run
from alexnet.pictures.show import DRAWN
from alexnet.pictures.style import svg

LONG = [f"a class with quite a long name, number {number}, and a 猫" for number in range(100)]
OF_IMAGE = [name for name, picture in CATALOGUE.items() if picture.needs]


def texts(drawing):
    return [text.strip() for text in re.findall(r"<text[^>]*>([^<]*)</text>", svg(drawing, "a drawing"))]


@pytest.fixture(scope="module")
def photograph(tmp_path_factory):
    from skimage import data

    path = tmp_path_factory.mktemp("image") / "astronaut.jpg"
    Image.fromarray(data.astronaut()).save(path)
    return path


@pytest.mark.parametrize("what", [name for name in DRAWN if name != "c3"])
def test_every_picture_of_a_run_is_written_and_nothing_on_it_is_cut(
    what, tiny_run, photograph, tmp_path, monkeypatch, nothing_cut
):
    monkeypatch.setattr("alexnet.pictures.show.MOST_LAID_OUT", 60)
    monkeypatch.setattr("alexnet.pictures.show.MOST_LOOKED_AT", 100)
    out = tmp_path / f"{what}.png"
    nothing_cut(alexnet.show(tiny_run, what, [photograph] if what in OF_IMAGE else (), out=out))
    with Image.open(out) as picture:
        assert min(picture.size) > 150
        pixels = np.asarray(picture.convert("RGB"))
    assert pixels[[0, -1], :].mean() > 235  # its margin is white
    assert pixels.std() > 5


def test_the_command_line_and_python_know_the_same_pictures():
    assert {name for name, picture in CATALOGUE.items() if picture.of_model} == {"architecture", "c3"}
    assert set(DRAWN) <= set(CATALOGUE)
    assert set(CATALOGUE) - set(DRAWN) <= {"similar"}  # which the command line joins with an index
    with pytest.raises(InputError, match="did you mean filters"):
        alexnet.show("runs/none", "filter")
    with pytest.raises(InputError, match="similar needs an index"):
        alexnet.show("runs/none", "similar")


def test_a_file_is_named_after_the_picture_and_an_svg_keeps_its_letters(tiny_run, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert main(["show", "lenet5", "c3"]) == 0
    assert main(["show", str(tiny_run), "classes", "--out", "errors.svg"]) == 0
    assert capsys.readouterr().out == "lenet5-c3.png\nerrors.svg\n"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["errors.svg", "lenet5-c3.png"]
    assert "Error of each class" in (tmp_path / "errors.svg").read_text(encoding="utf-8")
    assert isinstance(alexnet.show("lenet5", "c3", out=tmp_path / "c3.svg"), Figure)


def test_c3_has_the_crosses_of_the_papers_table():
    axes = alexnet.show("lenet5", "c3").axes[0]
    crosses = {tuple(map(int, text.get_position())) for text in axes.texts if text.get_text() == "X"}
    assert crosses == {(column, row) for column, seen in enumerate(TABLE) for row in seen}
    assert len(crosses) == 60


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["fitlers"], "'fitlers'; did you mean filters?"),
        (["maps"], "needs an IMAGE"),
        (["curves", "a.jpg"], "takes no IMAGE and 1 came: leave out a.jpg"),
        (["maps", "a.jpg", "b.jpg"], "takes one IMAGE and 2 came: leave out b.jpg"),
        (["curves", "--unit", "3"], "--unit means nothing to show curves"),
        (["filters", "--class", "3"], "--class means nothing to show filters"),
        (["c3"], "tiny has no table of connections"),
        (["maps", "PHOTO", "--stage", "conv55"], "no stage 'conv55'; did you mean conv5?"),
        (["maps", "PHOTO", "--stage", "fc6", "--unit", "3"], "fc6 has 32 units without maps"),
        (["maps", "PHOTO", "--unit", "0"], "--unit 0: conv1 has maps 1 to 8"),
        (["patches", "--unit", "99"], "--unit 99: conv5 has maps 1 to 16"),
        (["gradcam", "PHOTO", "--class", "cat"], "there is no class 'cat'"),
        (["gradcam", "no.jpg"], "no.jpg"),
        (["curves", "--out", "a.gif"], "written as .png or .svg"),
    ],
)
def test_what_cannot_be_drawn_is_said_in_one_line(words, said, tiny_run, photograph, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    words = [str(photograph) if word == "PHOTO" else word for word in words]
    assert main(["show", str(tiny_run), *words]) == 2
    told = capsys.readouterr().err
    assert said in told
    assert told.count("\n") == 1
    assert list(tmp_path.iterdir()) == []


def test_a_net_without_a_run_and_a_run_without_a_test_are_said(made_up_run, capsys):
    assert main(["show", "alexnot", "architecture"]) == 2
    assert "neither a run nor a net; did you mean alexnet?" in capsys.readouterr().err
    folder, _ = made_up_run(evaluated=False)
    assert main(["show", str(folder), "confusion"]) == 2
    assert "no evaluation.json yet" in capsys.readouterr().err
    with pytest.raises(InputError, match="no curves"):
        curves_figure([], 10)


@pytest.mark.parametrize("classes", [2, 100])
def test_long_names_of_few_and_many_classes_are_not_cut(classes, made_up_run, nothing_cut):
    names = LONG[:classes]
    folder, evaluation = made_up_run(names=names, images=12 * classes)
    run = read_run(folder)
    nothing_cut(classes_figure(evaluation))
    nothing_cut(confusion_figure(np.array(evaluation["confusion"]), names))
    nothing_cut(curves_figure(run.metrics, classes))
    chance = np.random.default_rng(0)
    pictures = [chance.integers(0, 256, (28, 28, 3), np.uint8) for _ in range(8)]
    p = chance.dirichlet(np.ones(classes) / 3, 8)
    nothing_cut(predictions_figure(pictures, p, names, list(range(7 % classes, 7 % classes + 1)) * 8))
    grey = [picture[:, :, :1] for picture in pictures] * 5
    nothing_cut(features_figure(chance.normal(size=(40, 2)), grey, np.arange(40) % classes, names, "forty images"))


def test_bars_of_classes_are_in_order_of_their_errors(made_up_run):
    _, evaluation = made_up_run()
    drawing = classes_figure(evaluation)
    lengths = [bar.get_width() for bar in drawing.axes[0].patches]
    errors = sorted((100 * row["error"] for row in evaluation["per_class"]), reverse=True)
    assert np.allclose(lengths, errors)
    named = [label.get_text() for label in drawing.axes[0].get_yticklabels()]
    by_name = {row["label"]: 100 * row["error"] for row in evaluation["per_class"]}
    assert [by_name[name] for name in named] == lengths


def test_the_panel_marks_the_right_class_and_has_the_five_best_in_order():
    p = np.array([[0.05, 0.6, 0.2, 0.1, 0.03, 0.02], [0.3, 0.1, 0.25, 0.15, 0.12, 0.08]])
    drawing = predictions_figure([np.zeros((8, 8, 3), np.uint8)] * 2, p, list("abcdef"), [2, None])
    first, second = drawing.axes[2], drawing.axes[3]
    said = [[text.get_text() for text in axes.texts] for axes in (first, second)]
    assert said[0] == ["b", "60%", "c", "20%", "d", "10%", "a", "5%", "e", "3%"]
    assert said[1][0::2] == ["a", "c", "d", "e", "b"]
    colours = [[bar.get_facecolor()[:3] for bar in axes.patches] for axes in (first, second)]
    assert [colour == colours[0][0] for colour in colours[0]] == [True, False, True, True, True]
    assert len(set(colours[1])) == 1
    assert np.allclose([bar.get_width() for bar in first.patches], [0.6, 0.2, 0.1, 0.05, 0.03])


def test_maps_stand_in_their_order_in_one_scale_and_towers_apart():
    answers = np.zeros((8, 5, 5), np.float32)
    answers[3, 2, 1], answers[6] = 4.0, 1.0
    drawing = maps_figure(np.zeros((20, 20, 3), np.uint8), answers, "maps of conv1", towers=2)
    sheets = [axes.images[0] for axes in drawing.axes if axes.images and axes.images[0].get_array().ndim == 2]
    assert len(sheets) == 2
    assert {"maps of conv1: 1 to 4", "maps of conv1: 5 to 8"} <= set(texts(drawing))
    assert sheets[0].get_clim() == sheets[1].get_clim()
    first, second = (np.ma.filled(sheet.get_array(), np.nan) for sheet in sheets)
    assert first.shape == (5, 23)
    assert np.argwhere(first == 4).tolist() == [[2, 19]]
    assert (second[:, 12:17] == 1).all()
    assert np.nansum(second) == 25


def test_filters_of_each_tower_stand_under_their_own_heading():
    weights = np.random.default_rng(0).normal(size=(32, 3, 5, 5))
    assert texts(filters_figure(weights, 2)) == ["Tower 1: filters 1 to 16", "Tower 2: filters 17 to 32"]
    assert texts(filters_figure(weights, 1)) == ["32 filters of 5 × 5 pixels"]
    with pytest.raises(InputError, match="3 towers"):
        filters_figure(weights, 3)


def test_the_plane_keeps_neighbours_together_and_is_the_same_each_time():
    chance = np.random.default_rng(0)
    groups = np.repeat(np.arange(3), 20)
    features = chance.normal(size=(60, 80)) + 8 * chance.normal(size=(3, 80))[groups]
    places = plane(features)
    assert np.array_equal(places, plane(features))
    apart = ((places[:, None] - places[None]) ** 2).sum(2)
    np.fill_diagonal(apart, np.inf)
    assert (groups[apart.argmin(1)] == groups).all()
    with pytest.raises(InputError, match="5 or more"):
        plane(features[:4])
