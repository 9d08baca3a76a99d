"""Asking a trained net."""

import csv
from dataclasses import replace
from io import BytesIO

import numpy as np
import pytest
from PIL import Image

from alexnet.errors import InputError
from alexnet.evaluation.calibrate import apply_temperature
from alexnet.evaluation.predict import NONE_OF_THESE, Predictor, answers, load, write_answers
from alexnet.images import ImageProblem
from alexnet.recipe import Optimiser
from alexnet.recipes import RECIPES
from alexnet.training.loop import fit
from alexnet.training.start import start


@pytest.fixture(scope="module")
def predictor(tiny_run):
    return load(tiny_run)


@pytest.fixture
def pixels():
    return np.random.default_rng(0).integers(0, 256, (90, 120, 3), dtype=np.uint8)


def test_a_path_bytes_an_array_and_a_pil_image_get_the_same_answer(predictor, pixels, tmp_path):
    image = Image.fromarray(pixels)
    image.save(tmp_path / "a.png")
    file = BytesIO()
    image.save(file, "PNG")
    together = predictor.predict([tmp_path / "a.png", str(tmp_path / "a.png"), file.getvalue(), pixels, image])
    alone = predictor.predict(pixels)[0]
    for answer in together:  # a batch of another size is rounded in another way
        assert [said.label for said in answer.predictions] == [said.label for said in alone.predictions]
        for said, wanted in zip(answer.predictions, alone.predictions, strict=True):
            assert said.probability == pytest.approx(wanted.probability, rel=1e-5)


def test_a_transparent_and_a_16_bit_image_look_the_same_as_file_and_as_pil(predictor, tmp_path):
    clear = Image.new("RGBA", (90, 90), (0, 0, 0, 0))
    deep = Image.fromarray(np.linspace(0, 65535, 8100).astype(np.uint16).reshape(90, 90))
    for image in (clear, deep):
        image.save(tmp_path / "a.png")
        assert predictor.predict(image) == predictor.predict(tmp_path / "a.png")


def test_predicting_a_file_sees_what_evaluating_it_sees(photo_folder, tiny, cache, tmp_path):
    from alexnet.evaluation.classify import probabilities

    recipe = replace(RECIPES["practical"], model=tiny, size=67, epochs=1, optimiser=Optimiser(batch=4))
    run = start(str(photo_folder), recipe, out=tmp_path / "run", device="cpu")
    fit(run)
    rows = run.parts.test[:4]
    packed = apply_temperature(probabilities(run.net, run.packed, rows, run.side, run.size), run.temperature)
    files = [photo_folder / run.packed.paths[row] for row in rows]
    assert np.abs(load(tmp_path / "run").probabilities(files) - packed).max() < 1e-6


def test_a_folder_stands_for_the_files_in_it(tiny_run, tmp_path, pixels):
    (tmp_path / "some" / "deep").mkdir(parents=True)
    for name in ("b.png", "deep/a.png"):
        Image.fromarray(pixels).save(tmp_path / "some" / name)
    rows = answers(tiny_run, [str(tmp_path / "some")], top=1)
    assert [row["image"] for row in rows] == [str(tmp_path / "some" / name) for name in ("b.png", "deep/a.png")]
    (tmp_path / "none").mkdir()
    with pytest.raises(InputError, match="folder without files"):
        answers(tiny_run, [str(tmp_path / "none")])


def test_no_image_is_no_answer(predictor):
    assert predictor.predict([]) == []


def test_probabilities_are_those_of_all_classes_and_the_best_come_first(predictor, pixels):
    p = predictor.probabilities([pixels])
    assert p.shape == (1, 10)
    assert p.sum() == pytest.approx(1)
    answer = predictor.predict(pixels, top=99)[0]
    assert [x.probability for x in answer.predictions] == sorted(p[0], reverse=True)
    assert answer.predictions[0].label == predictor.classes[p.argmax()]


def test_below_the_threshold_the_answer_is_none_of_these(predictor, pixels):
    best = predictor.probabilities([pixels]).max()
    strict = Predictor(predictor.net, replace(predictor.card, threshold=best + 1e-6))
    lenient = Predictor(predictor.net, replace(predictor.card, threshold=best - 1e-6))
    assert strict.predict(pixels)[0].label == NONE_OF_THESE
    assert lenient.predict(pixels)[0].label == lenient.predict(pixels)[0].predictions[0].label


def test_temperature_flattens_probabilities_and_keeps_their_order(predictor, pixels):
    hot = Predictor(predictor.net, replace(predictor.card, temperature=predictor.card.temperature * 3))
    cool, flat = predictor.probabilities([pixels])[0], hot.probabilities([pixels])[0]
    assert flat.max() < cool.max()
    assert np.array_equal(flat.argsort(), cool.argsort())


def test_views_can_be_chosen(predictor, pixels):
    center, ten = (predictor.probabilities([pixels], views) for views in ("center", "ten"))
    assert np.abs(center - ten).max() > 0


@pytest.mark.parametrize("wrong", [np.zeros((4, 4, 3), np.float32), np.zeros((4, 4, 7), np.uint8), 3])
def test_something_that_is_no_image_is_refused(predictor, wrong):
    with pytest.raises(InputError, match="an image came as"):
        predictor.predict(wrong)


def test_an_image_that_cannot_be_read_is_named_and_stops_nothing(tiny_run, tmp_path, pixels):
    Image.fromarray(pixels).save(tmp_path / "good.png")
    (tmp_path / "bad.png").write_text("no image")
    rows = answers(tiny_run, [str(tmp_path / "bad.png"), str(tmp_path / "good.png")], top=2)
    assert "not-an-image" in rows[0]["error"]
    assert len(rows[1]["predictions"]) == 2
    with pytest.raises(ImageProblem):
        load(tiny_run).predict(tmp_path / "bad.png")
    write_answers(tmp_path / "a.csv", rows)
    table = list(csv.DictReader((tmp_path / "a.csv").read_text().splitlines()))
    assert [row["rank"] for row in table] == ["", "1", "2"]


def test_asking_for_no_class_is_refused(tiny_run):
    with pytest.raises(InputError, match="--top 0"):
        answers(tiny_run, ["a.png"], top=0)
