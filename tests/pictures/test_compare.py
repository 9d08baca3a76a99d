"""Several runs on a page: which is better, by more than chance or not, and what cannot be compared."""

import json

import numpy as np
import pytest
import yaml

import alexnet
from alexnet.cli import main
from alexnet.errors import InputError
from alexnet.pictures.compare_page import comparison, sentence, write_comparison
from alexnet.pictures.compare_runs import against_best, cautions, differing, names_of, only_one_right, per_class
from alexnet.pictures.records import read_run
from pictures.pages import Page


@pytest.fixture
def pair(made_up_run):
    """A good run and a worse one, tested on the same images."""
    good, _ = made_up_run(folder="good", images=600)
    worse, _ = made_up_run(folder="worse", images=600, quality=1.5, seed=1)
    return good, worse


def changed(run, name, **values):
    path = run / name
    path.write_text(json.dumps(json.loads(path.read_text()) | values))


def test_a_worse_run_is_called_so_image_by_image(pair):
    runs = [read_run(folder) for folder in reversed(pair)]
    (row,) = against_best(runs, ["worse", "good"])
    good, worse = runs[1].answers, runs[0].answers
    assert (row.best, row.other, row.larger) == (1, 0, True)
    assert row.found.only_first == int((good.right & ~worse.right).sum())
    assert row.found.only_second == int((worse.right & ~good.right).sum())
    assert row.found.difference == pytest.approx((~worse.right).mean() - (~good.right).mean())
    said = sentence(row, ["worse", "good"])
    assert said.startswith(
        f"The error of worse is {100 * row.found.difference:.1f} points above that of good (95 % interval "
    )
    assert "larger than chance. Of 600 same images good alone has" in said


def test_runs_that_are_as_good_are_not_told_apart(made_up_run):
    folders = [made_up_run(folder=f"run{seed}", seed=seed)[0] for seed in range(4)]
    runs = [read_run(folder) for folder in folders]
    rows = against_best(runs, names_of(folders))
    assert len(rows) == 3
    assert not any(row.larger for row in rows)
    assert all("not shown to be larger than chance" in sentence(row, names_of(folders)) for row in rows)


def test_what_is_called_larger_than_chance_is_harder_among_more_runs(made_up_run, monkeypatch):
    folders = [made_up_run(folder=f"run{seed}", seed=seed)[0] for seed in range(3)]
    runs = [read_run(folder) for folder in folders]
    rows = against_best(runs, names_of(folders))
    largest = min(rows, key=lambda row: row.found.p)
    for level, larger in ((3 * largest.found.p * 1.01, True), (3 * largest.found.p * 0.99, False)):  # of three pairs
        monkeypatch.setattr("alexnet.pictures.compare_runs.CHANCE", level)
        assert any(row.larger for row in against_best(runs, names_of(folders))) is larger


def test_what_cannot_be_compared_is_said(made_up_run, pair):
    other, _ = made_up_run(folder="other", images=500)
    untested, _ = made_up_run(folder="untested", evaluated=False)
    unkept, _ = made_up_run(folder="unkept", images=600, kept=False, seed=2)
    changed(other, "run.json", fingerprint="x")
    changed(pair[0], "run.json", fingerprint="y")
    folders = [*pair, other, untested, unkept]
    runs, names = [read_run(folder) for folder in folders], names_of(folders)
    reasons = {names[row.other]: row.missing for row in against_best(runs, names)}
    best = ({"good", "worse", "other", "unkept"} - set(reasons)).pop()
    assert "untested" not in reasons
    assert f"the answers of unkept were not kept: alexnet evaluate {unkept}" in reasons["unkept"]
    unlike = {"good": "other", "other": "good"}[best]
    assert reasons[unlike] == f"{unlike} and {best} were tested on other images"
    said = cautions(runs, names)
    assert "untested has not been tested yet." in said
    assert "They were trained on other images (good; other)." in said


def test_only_the_fields_that_differ_are_listed_by_their_whole_names(pair):
    recipe = yaml.safe_load((pair[1] / "recipe.yaml").read_text())
    recipe["optimiser"]["rate"] = 0.123
    recipe["epochs"] = 9
    del recipe["augmentation"]["pad"]  # as of a version before there was such a field
    (pair[1] / "recipe.yaml").write_text(yaml.safe_dump(recipe))
    found = differing([read_run(folder) for folder in pair])
    assert [name for name, _ in found] == ["epochs", "optimiser.rate"]
    assert dict(found)["epochs"] == ["7", "9"]
    assert dict(found)["optimiser.rate"][1] == "0.123"


def test_classes_come_in_the_order_of_their_differences(pair):
    rows, count = per_class([read_run(folder) for folder in pair])
    apart = [abs(row[0] - row[1]) for _, row in rows]
    assert count == 10
    assert apart == sorted(apart, reverse=True)
    assert apart[0] > apart[-1]


def test_images_that_one_alone_has_right_are_shown_surest_mistake_first(pair, read_rows):
    good, worse = (read_run(folder) for folder in pair)
    found = only_one_right(good, worse)
    assert good.answers.right[found[:, 0]].all()
    assert not worse.answers.right[found[:, 1]].any()
    assert len(found) == (good.answers.right & ~worse.answers.right).sum()
    sure = worse.answers.probability[found[:, 1]]
    assert (np.diff(sure) <= 0).all()
    asked = []

    def reading(rows):
        asked.append(rows.tolist())
        return read_rows(rows)

    page = Page(comparison([good, worse], [reading, None], ["good", "worse"]))
    assert asked == [good.answers.rows[found[:12, 0]].tolist()]
    assert sum(address.startswith("data:image/webp") for address in page.addresses) == 12
    assert f"good right, worse wrong: {len(found)}" in page.text
    assert "Validation error" in page.text


def test_a_comparison_is_a_new_file_unless_one_is_named(pair, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "comparison.html").write_text("somebody's own")
    assert main(["report", *map(str, pair)]) == 0
    assert capsys.readouterr().out == "comparison-2.html\n"
    assert (tmp_path / "comparison.html").read_text() == "somebody's own"
    named = alexnet.report(*pair, out=tmp_path / "named.html")
    html = named.read_text(encoding="utf-8")
    assert [address for address in Page(html).addresses if not address.startswith(("data:", "#"))] == []
    assert not {path.name for folder in pair for path in folder.iterdir()} & {"report.html", "comparison.html"}


def test_what_no_comparison_can_be_made_of_is_said_in_one_line(pair, tmp_path):
    for runs, more, said in (
        ([], {}, "no run came"),
        ([pair[0], pair[0]], {}, "more than once"),
        (pair, {"index": tmp_path}, "leave --index out"),
        (pair, {"out": tmp_path / "page.pdf"}, "give such a name"),
        ([pair[0], tmp_path], {}, "no run.json"),
    ):
        with pytest.raises(InputError, match=said):
            alexnet.report(*runs, **more)
    with pytest.raises(InputError, match="more than once"):
        write_comparison([pair[0], pair[0] / ".." / "good"], [None, None], tmp_path / "page.html")
