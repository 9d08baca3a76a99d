import numpy as np
import pytest

from alexnet.pictures.advice import advice, interval_text, percent, verdict

RECIPE = {"name": "practical", "data": {"class_weights": False}, "augmentation": {"mirror": True, "colour": "off"}}
RUN = {"classes": ["a", "b"], "parts": {"train": 1000}}
COUNTS = {"a": 500, "b": 500}


def result(error=0.1, interval=(0.08, 0.12), images=1000, **more):
    return {"top1_error": error, "interval": interval, "images": images, "views": "ten", "by_views": {"ten": {}}} | more


def history(train_error, checks, loss=0.1):
    steps = [{"kind": "step", "step": i, "epoch": i, "loss": loss, "error": train_error} for i in range(30)]
    return steps + [{"kind": "validation", "step": i, "epoch": i + 1, "error": e} for i, e in enumerate(checks)]


GOOD = history(0.1, [0.15, 0.1, 0.11])


def titles(run=RUN, recipe=RECIPE, metrics=GOOD, evaluation=None, counts=COUNTS):
    return [one.title for one in advice(run, recipe, metrics, evaluation, counts)]


def test_a_good_run_is_left_alone():
    assert titles(evaluation=result()) == []


@pytest.mark.parametrize(
    ("fraction", "text"), [(0.01389, "1.4 %"), (0, "0.0 %"), (0.0003, "<0.1 %"), (1, "100.0 %"), (0.905, "90.5 %")]
)
def test_percents_have_one_decimal(fraction, text):
    assert percent(fraction).replace("\u00a0", " ") == text


def test_intervals_have_one_decimal():
    assert interval_text((0.0061, 0.0324)).replace("\u00a0", " ") == "0.6 to 3.2 %"


@pytest.mark.parametrize(("other", "said"), [(0.3, "Better by 20.0"), (0.11, "Not shown"), (0.02, "Worse by 8.0")])
def test_the_verdict_calls_better_only_what_lies_outside_the_interval(other, said):
    sentences = verdict(result(baselines={"majority": {"error": other}}))
    assert sentences[0].startswith(said)


def test_the_verdict_names_a_wide_interval_another_part_and_images_trained_on():
    assert verdict(result()) == []
    assert "only 40 images" in verdict(result(interval=(0.02, 0.2), images=40))[0]
    assert "validation images" in verdict(result(split="validation"))[0]
    assert verdict(result(trained_on=7))[0].startswith("7 of the 1,000")


def test_a_loss_at_ln_classes_is_seen():
    stuck = history(0.5, [0.5, 0.5, 0.5], loss=float(np.log(2)))
    assert titles(metrics=stuck)[0] == "The loss never left the level of guessing"


def test_few_training_and_few_test_images_are_seen():
    assert titles(run=RUN | {"parts": {"train": 80}}) == ["Few images: 40 a class to train on"]
    assert titles(run=RUN | {"parts": {"train": 100}}) == []
    assert titles(evaluation=result(images=99)) == ["Few images to test with: 99"]


def test_learning_by_heart_names_what_is_switched_off():
    told = advice(RUN, RECIPE, history(0.02, [0.3, 0.25, 0.26]), None, COUNTS)
    assert told[0].title == "It learns its training images by heart"
    assert "--augmentation.colour paper" in told[0].text
    assert "--augmentation.mirror" not in told[0].text
    assert titles(metrics=history(0.16, [0.3, 0.25, 0.26])) == []


def test_a_run_that_stopped_while_improving_is_told_to_go_on():
    told = advice(RUN, RECIPE, history(0.3, [0.5, 0.4, 0.3]), None, COUNTS)
    assert (told[0].title, told[0].command) == ("It was still improving when it stopped", "--epochs 6")


def test_a_training_error_that_stays_high_is_seen():
    assert titles(metrics=history(0.3, [0.3, 0.3, 0.3])) == ["It has not learned even its training images"]


def test_uneven_classes_ask_for_weights_unless_they_have_them():
    uneven = {"a": 500, "b": 100}
    assert titles(counts=uneven) == ["Uneven classes: 500 of a, 100 of b"]
    assert titles(counts=uneven, recipe=RECIPE | {"data": {"class_weights": True}}) == []
    assert titles(counts={"a": 499, "b": 100}) == []


def test_a_class_far_worse_than_the_rest_is_named():
    row = {"label": "b", "errors": 5, "images": 20, "error": 0.25, "most_confused_with": "a"}
    assert titles(evaluation=result(per_class=[row])) == ["Look at the images of b"]
    assert titles(evaluation=result(per_class=[row | {"errors": 4}])) == []


def test_pixels_that_do_as_well_are_named():
    assert titles(evaluation=result(baselines={"nearest_pixel": {"error": 0.05}})) == ["Comparing pixels does as well"]
    assert titles(evaluation=result(baselines={"nearest_pixel": {"error": 0.2}})) == []


def test_ten_views_are_named_where_mirror_images_keep_their_class():
    centre = result(views="center", by_views={"center": {}})
    assert titles(evaluation=centre) == ["Test with ten views"]
    characters = RECIPE | {"augmentation": {"mirror": False, "colour": "off"}}
    assert titles(evaluation=centre, recipe=characters) == []
