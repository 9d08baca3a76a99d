import json
import re
from itertools import pairwise

import numpy as np
import pytest

from alexnet.errors import InputError
from alexnet.evaluation.answers import read_answers
from alexnet.pictures.advice import interval_text, percent
from alexnet.pictures.cells import cells_of
from alexnet.pictures.report import MOST_BYTES, write_report
from pictures.pages import Page


def page_of(run, read_rows=None):
    html = write_report(run, read_rows).read_text(encoding="utf-8")
    return html, Page(html)


def plain(text):
    return " ".join(text.split())


def test_the_page_holds_the_errors_the_interval_and_the_baselines(usual):
    _, evaluation, _, page = usual
    for figure in (percent(evaluation["top1_error"]), interval_text(evaluation["interval"]), "90.5 %", "70.4 %"):
        assert plain(figure) in page.text
    for said in ("Test error , on 360 images", "12,345 images seen", "alexnet train photos --epochs 7"):
        assert said in page.text
    for said in ("conv5 is mostly dead", "two images have equal pixels", "a/broken.jpg: truncated (ends early)"):
        assert said in page.text


def test_the_page_asks_nobody_for_anything_and_is_small(usual):
    _, evaluation, html, page = usual
    fetched = [address for address in page.addresses if not address.startswith(("data:", "#"))]
    assert fetched == []
    assert re.findall(r"url\((?!#)[^)]*\)|@import|https?://", html) == []
    assert not {"script", "iframe", "object", "embed"} & set(page.tags)
    assert len(html.encode()) < MOST_BYTES
    assert len(evaluation["mistakes"]) > 24
    assert page.images["mistakes"] == 24


def test_names_of_classes_are_text_whatever_they_hold(made_up_run, read_rows):
    names = ["<b>bold</b>", "蒲公英", "$5 & $6", '"quoted"', "<script>alert(1)</script>"]
    run, _ = made_up_run(names=names, quality=0.5)
    _, page = page_of(run, read_rows)
    assert "b" not in page.tags
    assert "script" not in page.tags
    for name in names[:4]:
        assert page.text.count(name) >= 3


@pytest.mark.parametrize(("classes", "images"), [(2, 40), (1000, 4000)])
def test_few_and_many_classes_have_their_page(made_up_run, read_rows, classes, images):
    names = [f"a class with quite a long name, {'very ' * 20} long, number {number}" for number in range(classes)]
    run, _ = made_up_run(names=names, images=images, quality=4.0)
    html, page = page_of(run, read_rows)
    assert len(html.encode()) < 3_000_000
    assert f"number {classes - 1}" in page.text
    assert ("Top-5 error" in page.text) == (classes > 5)
    assert page.images["confusion"] > 5
    assert set(page.links) <= {f"#{name}" for name in page.names}


def test_pictures_that_do_not_fit_are_left_out_the_least_telling_first(usual, read_rows, monkeypatch, tmp_path):
    run, _, html, page = usual
    words = len(write_report(run, out=tmp_path / "words.html").read_bytes())
    for room in (40_000, 3_000):
        monkeypatch.setattr("alexnet.pictures.report.MOST_BYTES", words + room)
        smaller = write_report(run, read_rows, out=tmp_path / "smaller.html").read_text(encoding="utf-8")
        few = Page(smaller)
        assert len(smaller.encode()) < words + room
        assert few.text.count("answered") >= 24  # the words stay
        assert few.images["mistakes"] <= page.images["mistakes"]
        assert few.images["confusion"] < page.images["confusion"]
    assert len(html.encode()) > words + 40_000


def test_each_cell_of_the_confusion_matrix_opens_its_images(made_up_run):
    run, evaluation = made_up_run()
    kept = read_answers(run)
    asked = []

    def read(rows):
        asked.extend(rows.tolist())
        return [np.full((90, 90, 3), row % 256, np.uint8) for row in rows]

    _, page = page_of(run, read)
    counts = np.array(evaluation["confusion"])
    cells = {f"cell-{truth}-{answer}" for truth, answer in np.argwhere(counts)}
    assert cells <= page.names
    assert cells == {link[1:] for link in page.links if link.startswith("#cell")}
    assert page.images["confusion"] == np.minimum(counts, 12).sum()
    wrong = set(kept.rows[~kept.right].tolist())
    assert wrong <= set(asked)
    for cell in cells_of(evaluation, kept):
        assert cell.count == len(cell.places) == counts[cell.truth, cell.answer]
        assert (kept.labels[cell.places] == cell.truth).all()
        assert (kept.answers[cell.places] == cell.answer).all()
        sure = kept.probability[cell.places]
        assert (np.diff(sure) >= 0).all() if cell.right else (np.diff(sure) <= 0).all()


def test_answers_of_another_test_open_no_cell(made_up_run, read_rows):
    run, evaluation = made_up_run()
    (run / "evaluation.json").write_text(json.dumps(evaluation | {"step": 160}))
    _, page = page_of(run, read_rows)
    assert page.images["confusion"] == 0
    assert "run alexnet evaluate and alexnet report again" in page.text


def test_headings_come_in_order(usual):
    levels = [int(tag[1]) for tag in usual[3].tags if re.fullmatch("h[1-6]", tag)]
    assert levels[0] == 1
    assert levels.count(1) == 1
    assert all(after <= before + 1 for before, after in pairwise(levels))


def test_a_run_that_was_not_tested_says_so(made_up_run):
    run, _ = made_up_run(evaluated=False)
    (run / "state.pt").write_bytes(b"")
    _, page = page_of(run)
    assert "Not tested yet. Training is going on, or was cut off." in page.text
    assert "35.0 % Validation error at epoch 7, on 180 images" in page.text
    assert f"alexnet train --resume {run}" in page.text
    assert "Worst mistakes" not in page.text


def test_images_that_are_gone_are_missed_aloud_and_the_rest_stays(made_up_run):
    run, evaluation = made_up_run()
    _, page = page_of(run, None)
    assert "no longer where the run found them" in page.text
    assert plain(percent(evaluation["top1_error"])) in page.text

    def broken(rows):
        raise OSError("disk has gone")

    _, page = page_of(run, broken)
    assert "could not be read (disk has gone)" in page.text


def test_only_run_json_must_be_there(made_up_run):
    run, _ = made_up_run()
    for name in ("metrics.jsonl", "recipe.yaml", "best.safetensors", "evaluation.json"):
        (run / name).unlink()
    _, page = page_of(run)
    assert "no step yet" in page.text
    assert "First filters" not in page.text
    (run / "run.json").unlink()
    with pytest.raises(InputError, match=r"no run\.json"):
        write_report(run)


def test_the_two_towers_stand_apart(usual):
    assert "Tower 1: filters 1 to 48" in usual[3].text
    assert "Tower 2: filters 49 to 96" in usual[3].text
    assert usual[3].images["learned"] == 2


def test_what_differs_from_the_named_recipe_is_marked_and_nothing_else(usual):
    marked = re.findall(r'<span class="changed">([^<]*:[^<]*)</span>', usual[2])
    assert marked == ["seed: 12"]  # size and epochs were left open by the recipe


def test_a_last_line_cut_off_by_a_kill_is_left_out_but_a_damaged_one_is_an_error(made_up_run):
    run, _ = made_up_run()
    metrics = run / "metrics.jsonl"
    whole = metrics.read_text()
    metrics.write_text(whole + '{"kind": "st')
    write_report(run)
    metrics.write_text('{"kind": "st\n' + whole)
    with pytest.raises(InputError, match="line 1"):
        write_report(run)


def test_a_file_name_that_is_no_text_does_not_stop_the_page(made_up_run):
    run, evaluation = made_up_run()
    evaluation["mistakes"][0]["path"] = "/photos/\udce9.jpg"
    (run / "evaluation.json").write_text(json.dumps(evaluation))
    assert "/photos/?.jpg" in page_of(run)[1].text


def test_rows_are_asked_for_as_integers_in_the_order_shown(made_up_run):
    run, evaluation = made_up_run()
    asked = []

    def read(rows):
        asked.append(rows)
        return np.zeros((len(rows), 8, 8, 1), np.uint8)

    write_report(run, read)
    assert asked[0].dtype == np.int64
    assert np.concatenate(asked)[:24].tolist() == [row["row"] for row in evaluation["mistakes"][:24]]
