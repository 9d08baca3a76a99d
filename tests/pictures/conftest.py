import json
import math
import warnings

import numpy as np
import pytest
import yaml
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.text import Text
from safetensors.numpy import save_file

from alexnet.evaluation.answers import answers_of, write_answers
from alexnet.evaluation.metrics import (
    confusion_counts,
    log_loss,
    per_class_table,
    top_k,
    top_k_error,
    wilson_interval,
)
from alexnet.pictures.report import write_report
from alexnet.recipes import RECIPES, as_fields
from pictures.pages import Page

FIRST_ROW = 1000  # of the test part, in the pack


@pytest.fixture
def made_up_run(tmp_path):
    """Write a run's folder of made-up numbers, see `making_runs`."""
    return making_runs(tmp_path)


def making_runs(where):
    """Write a run's folder of made-up numbers that agree with one another: give (folder, evaluation).

    Runs of as many classes and images are of the same images, whatever their `seed`.
    """

    def write(names=tuple("abcdefghij"), images=360, quality=2.4, evaluated=True, seed=0, folder="run", kept=True):
        generator = np.random.default_rng(0)
        classes, folder = len(names), where / folder
        folder.mkdir()
        names = list(names)
        labels = generator.integers(0, classes, images)
        digests = generator.integers(0, 256, (images, 32), np.uint8)
        generator = np.random.default_rng(seed)
        scores = generator.normal(size=(images, classes))
        scores[np.arange(images), labels] += quality
        p = np.exp(scores)
        p /= p.sum(1, keepdims=True)
        answers, k = p.argmax(1), top_k(classes)
        wrong = np.flatnonzero(answers != labels)
        confusion = confusion_counts(labels, answers, classes)
        figures = {
            "top1_error": len(wrong) / images,
            "top5_error": top_k_error(p, labels, k),
            "interval": wilson_interval(len(wrong), images),
            "seconds": 1.5,
        }
        evaluation = figures | {
            "step": 140,
            "images": images,
            "classes": names,
            "split": "test",
            "source": "photos",
            "k": k,
            "log_loss": log_loss(p, labels),
            "views": "center",
            "averaged": "softmax",
            "comparable_to": "no published figure",
            "by_views": {"center": figures},
            "per_class": per_class_table(confusion, names),
            "confusion": confusion.tolist(),
            "baselines": {
                "majority": {"error": 0.905},
                "nearest_pixel": {"error": 0.704, "images": images, "how": "by hand"},
            },
            "calibration": {
                "temperature": 1.25,
                "threshold": 0.31,
                "expected_calibration_error_before": 0.08,
                "expected_calibration_error_after": 0.02,
            },
            "mistakes": [
                {
                    "path": f"/photos/{names[labels[i]]}/{i}.jpg",
                    "row": int(i) + FIRST_ROW,
                    "label": names[labels[i]],
                    "predicted": names[answers[i]],
                    "probability": float(p[i, answers[i]]),
                    "true_probability": float(p[i, labels[i]]),
                }
                for i in wrong
            ],
            "trained_on": 0,
        }
        facts = {
            "command": "alexnet train photos --epochs 7",
            "model": "alexnet",
            "source": "photos",
            "classes": names,
            "counts": dict.fromkeys(names, 200),
            "parts": {"train": 200 * classes, "validation": images // 2, "test": images, "left_out": 0},
            "skipped": [{"path": "a/broken.jpg", "kind": "truncated", "detail": "ends early"}],
            "notes": ["two images have equal pixels"],
            "environment": {"torch": "2.15.0", "device": "cpu", "threads": 2},
            "images_seen": 12_345,
            "seconds": 600.0,
            "first_filters": {"key": "stages.conv1.weight", "towers": 2},
        }
        recipe = as_fields(RECIPES["practical"]) | {"size": 224, "epochs": 7, "seed": 12}
        lines = []
        for step in range(1, 141):
            loss = math.log(classes) * math.exp(-step / 50)
            lines.append({"kind": "step", "step": step, "epoch": step / 20, "loss": loss, "error": 0.3, "rate": 0.01})
            if step % 20 == 0:
                best = {"loss": loss, "error": 0.35, "images": images // 2, "best": step == 80}
                lines.append({"kind": "validation", "step": step, "epoch": step / 20} | best)
        lines.append({"kind": "watchdog", "step": 70, "message": "conv5 is mostly dead: lower the rate"})
        (folder / "run.json").write_text(json.dumps(facts))
        (folder / "recipe.yaml").write_text(yaml.safe_dump(recipe, sort_keys=False))
        (folder / "metrics.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
        if evaluated:
            (folder / "evaluation.json").write_text(json.dumps(evaluation))
            if kept:
                write_answers(folder, answers_of(p, labels, np.arange(images) + FIRST_ROW, digests, "center", 140))
        filters = generator.normal(size=(96, 3, 11, 11)).astype(np.float32)
        save_file({"stages.conv1.weight": filters}, folder / "best.safetensors")
        return folder, evaluation

    return write


@pytest.fixture
def nothing_cut(monkeypatch):
    """Assert that every text that is drawn of a figure lies inside it; give the texts with their boxes."""
    drawn = {}
    draw = Text.draw

    def noted(text, renderer, *args, **kwargs):
        if text.get_visible() and text.get_text().strip():
            drawn[text] = text
        return draw(text, renderer, *args, **kwargs)

    monkeypatch.setattr(Text, "draw", noted)

    def check(drawing):
        canvas = FigureCanvasAgg(drawing)
        drawn.clear()
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", message="Glyph .* missing from font")
            canvas.draw()
        page = drawing.bbox
        boxes = [(text.get_text(), Text.get_window_extent(text)) for text in drawn]
        assert boxes
        over = [name for name, b in boxes if b.x0 < -1 or b.y0 < -1 or b.x1 > page.x1 + 1 or b.y1 > page.y1 + 1]
        assert over == []
        return boxes

    return check


def made_up_images(rows):
    """Images of noise, uint8 [90, 120, 3], the same for the same rows."""
    return [np.random.default_rng(int(row)).integers(0, 256, (90, 120, 3), np.uint8) for row in rows]


@pytest.fixture
def read_rows():
    return made_up_images


@pytest.fixture(scope="session")
def usual(tmp_path_factory):
    """The usual report: its run, evaluation, html, and the page as a reader meets it."""
    run, evaluation = making_runs(tmp_path_factory.mktemp("usual"))()
    html = write_report(run, made_up_images).read_text(encoding="utf-8")
    return run, evaluation, html, Page(html)
