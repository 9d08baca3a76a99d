import json
import re
from html.parser import HTMLParser

import numpy as np
import pytest

from alexnet.errors import InputError
from alexnet.pictures.advice import interval_text, percent
from alexnet.pictures.report import write_report


class Page(HTMLParser):
    """The page's text, its tags, and every address that a browser would fetch."""

    def __init__(self, html):
        super().__init__()
        self.tags, self.addresses, self.words = [], [], []
        self.feed(html)
        self.text = " ".join(" ".join(self.words).split())

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.addresses += [value for name, value in attrs if name in ("src", "href", "xlink:href", "srcset", "data")]

    def handle_data(self, data):
        if not self.tags or self.tags[-1] not in ("style", "script"):
            self.words.append(data)


def page_of(run, read_rows=None):
    html = write_report(run, read_rows).read_text(encoding="utf-8")
    return html, Page(html)


def plain(text):
    return " ".join(text.split())


def test_the_page_holds_the_errors_the_interval_and_the_baselines(made_up_run, read_rows):
    run, evaluation = made_up_run()
    _, page = page_of(run, read_rows)
    for figure in (percent(evaluation["top1_error"]), interval_text(evaluation["interval"]), "90.5 %", "70.4 %"):
        assert plain(figure) in page.text
    for said in ("Test error , on 360 images", "12,345 images seen", "alexnet train photos --epochs 7"):
        assert said in page.text
    for said in ("conv5 is mostly dead", "two images have equal pixels", "a/broken.jpg: truncated (ends early)"):
        assert said in page.text


def test_the_page_asks_nobody_for_anything_and_is_small(made_up_run, read_rows):
    run, evaluation = made_up_run()
    html, page = page_of(run, read_rows)
    fetched = [address for address in page.addresses if not address.startswith(("data:", "#"))]
    assert fetched == []
    assert re.findall(r"url\((?!#)[^)]*\)|@import|https?://", html) == []
    assert not {"script", "iframe", "object", "embed"} & set(page.tags)
    assert len(html.encode()) < 1_500_000
    shown = min(24, len(evaluation["mistakes"]))
    assert sum(address.startswith("data:image/jpeg") for address in page.addresses) == shown > 5


def test_names_of_classes_are_text_whatever_they_hold(made_up_run, read_rows):
    names = ["<b>bold</b>", "蒲公英", "$5 & $6", '"quoted"', "<script>alert(1)</script>"]
    run, _ = made_up_run(names=names, quality=0.5)
    _, page = page_of(run, read_rows)
    assert "b" not in page.tags
    assert "script" not in page.tags
    for name in names[:4]:
        assert page.text.count(name) >= 3


@pytest.mark.parametrize(("classes", "images"), [(2, 40), (120, 1500)])
def test_few_and_many_classes_have_their_page(made_up_run, read_rows, classes, images):
    run, _ = made_up_run(names=[f"class {number}" for number in range(classes)], images=images)
    html, page = page_of(run, read_rows)
    assert len(html.encode()) < 3_000_000
    assert f"class {classes - 1}" in page.text
    assert ("Top-5 error" in page.text) == (classes > 5)


def test_a_run_that_was_not_tested_says_so(made_up_run):
    run, _ = made_up_run(evaluated=False)
    (run / "state.pt").write_bytes(b"")
    _, page = page_of(run)
    assert "Not tested yet." in page.text
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


def test_the_two_towers_stand_apart(made_up_run):
    run, _ = made_up_run()
    _, page = page_of(run)
    assert "Tower 1: filters 1 to 48" in page.text
    assert "Tower 2: filters 49 to 96" in page.text


def test_what_differs_from_the_named_recipe_is_marked_and_nothing_else(made_up_run):
    run, _ = made_up_run()
    html, _ = page_of(run)
    marked = re.findall(r'<span class="changed">([^<]*:[^<]*)</span>', html)
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
    assert asked[0].tolist() == [row["row"] for row in evaluation["mistakes"][:24]]
