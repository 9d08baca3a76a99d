import re

import numpy as np
import pytest

from alexnet.pictures.confusion import confusion_figure
from alexnet.pictures.curves import curves
from alexnet.pictures.errors import Bar, errors_figure
from alexnet.pictures.style import short, svg


def texts(drawing):
    return [text.strip() for text in re.findall(r"<text[^>]*>([^<]*)</text>", svg(drawing, "a drawing"))]


def test_letters_stay_letters_and_unknown_scripts_pass_without_a_warning():
    drawn = texts(confusion_figure(np.eye(2, dtype=int), ["蒲公英", "$5 $6"]))
    assert drawn.count("蒲公英") == 2
    assert drawn.count("$5 $6") == 2


@pytest.mark.parametrize(("classes", "numbers", "names"), [(2, True, True), (12, True, True), (13, False, True)])
def test_counts_are_written_while_there_is_room(classes, numbers, names):
    counts = np.full((classes, classes), 77)
    drawn = texts(confusion_figure(counts, [f"n{c}" for c in range(classes)]))
    assert (drawn.count("77") == classes**2) is numbers
    assert ("n0" in drawn) is names


def test_a_hundred_and_twenty_classes_are_numbered_and_not_named():
    drawn = texts(confusion_figure(np.eye(120, dtype=int), [f"n{c}" for c in range(120)]))
    assert not any(text.startswith("n") and text[1:].isdigit() for text in drawn)
    assert "truth (number of the class)" in drawn


def test_colours_follow_the_page():
    drawing = errors_figure([Bar("net", 0.1, (0.05, 0.2)), Bar("guess", 0.9, ours=False)])
    text = svg(drawing, "errors")
    assert "var(--blue, #0072b2)" in text
    assert not re.search(r"(?<!, )#(0072b2|5c6670|1f2429)", text)
    assert {"10.0", "90.0", "net", "guess"} <= set(texts(drawing))


def test_curves_have_the_watchdogs_marks_in_order_and_skip_what_is_not_finite():
    metrics = [
        {"kind": "step", "step": s, "epoch": s / 10, "loss": 1.0, "error": 0.5, "rate": 0.1} for s in range(1, 40)
    ]
    metrics.append({"kind": "step", "step": 40, "epoch": 4.0, "loss": float("nan"), "error": None, "rate": 0.1})
    metrics += [{"kind": "watchdog", "step": s, "message": "m"} for s in (3, 30)]
    drawn = curves(metrics, 10)
    assert [heading for heading, _ in drawn] == ["Loss", "Error", "Learning rate"]
    assert {"1", "2"} <= set(texts(drawn[0][1]))
    assert "nan" not in svg(drawn[0][1], "loss").lower()
    assert curves([], 10) == []


def test_a_rate_that_drops_in_steps_has_plain_numbers():
    metrics = [{"kind": "step", "step": s, "epoch": s, "loss": 1.0, "rate": 0.01 / 10 ** (s // 10)} for s in range(40)]
    drawn = texts(dict(curves(metrics, 10))["Learning rate"])
    assert [heading for heading, _ in curves(metrics, 10)] == ["Loss", "Learning rate"]
    assert {"0.01", "0.001"} <= set(drawn)
    assert not any("math" in text for text in drawn)


def test_long_names_are_cut_in_the_middle():
    assert short("a" * 10 + "b" * 10, 10) == "aaaaaa…bbb"
    assert len(short("x" * 50, 18)) == 18
    assert short("two\n lines", 18) == "two lines"
