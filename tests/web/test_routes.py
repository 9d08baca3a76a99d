"""The JSON routes: each answers what the package's own functions say, and an error is one line."""

import hashlib
import json
import shutil
import time
from io import BytesIO

import numpy as np
import pytest
import torch
from PIL import Image

from alexnet.evaluation.predict import load
from alexnet.models.alignment import Alignment
from alexnet.pictures.subject import open_subject
from alexnet.retrieval.index import Index
from alexnet.web.app import create_app
from alexnet.web.drawing import heat_over, maps_sheet, shown


def ok(response):
    assert response.status_code == 200, response.text
    return response.json()


def png(response):
    assert response.status_code == 200, response.text
    assert response.headers["content-type"] == "image/png"
    return np.asarray(Image.open(BytesIO(response.content)).convert("RGB"))


def problem(response, status):
    assert response.status_code == status, response.text
    assert list(response.json()) == ["detail"]
    line = response.json()["detail"]
    assert line
    assert "\n" not in line
    return line


def file_of(pixels, format="PNG"):
    buffer = BytesIO()
    Image.fromarray(pixels).save(buffer, format)
    return buffer.getvalue()


@pytest.fixture(scope="module")
def photo():
    pixels = np.random.default_rng(0).integers(0, 256, (90, 140, 3), dtype=np.uint8)
    return np.asarray(Image.fromarray(pixels).resize((1400, 900)))


@pytest.fixture(scope="module")
def subject(tiny_run):
    return open_subject(tiny_run, "cpu")


@pytest.fixture
def digit(client, subject):
    """The pixels of the test part's image 11, grey as it is stored."""
    return np.asarray(subject.packed.read(subject.test_rows[[11]])[0])


def test_the_runs_say_what_they_are_and_how_far_they_are(client, tiny_run):
    ended, begun = ok(client.get("/api/runs"))
    evaluation = json.loads((tiny_run / "evaluation.json").read_text())
    assert ended["test_error"] == evaluation["top1_error"]
    assert ended["interval"] == evaluation["interval"]
    assert (ended["name"], ended["model"], ended["size"]) == (tiny_run.name, "tiny", 67)
    assert ended["classes"] == [str(digit) for digit in range(10)]
    assert ended["test_images"] == evaluation["images"]
    assert (ended["training"], ended["ready"], ended["confusion"], ended["search"]) == (False, True, True, True)
    assert (begun["training"], begun["ready"], begun["confusion"], begun["search"]) == (True, False, False, False)
    assert begun["test_error"] is None


def test_an_upload_is_kept_under_its_digest_and_shown(client, photo):
    data = file_of(photo)
    answer = client.post("/api/images", files={"image": data})
    assert answer.status_code == 201
    name = f"upload-{hashlib.sha256(data).hexdigest()[:16]}"
    assert answer.json() == {"image": name, "width": 1400, "height": 900}
    assert png(client.get(f"/api/images/{name}")).shape == (329, 512, 3)
    small = png(client.get(f"/api/images/{name}", params={"side": 70}))
    assert small.shape == (45, 70, 3)


def test_predictions_are_those_of_the_net_for_uploads_and_test_images_alike(client, tiny_run, photo, digit, subject):
    net = load(tiny_run, "cpu")
    name = client.post("/api/images", files={"image": file_of(photo)}).json()["image"]
    for views in ("center", "ten"):
        wanted = net.predict(photo, 3, views)[0]
        asked = {"image": name, "views": views, "top": 3}
        said = ok(client.get("/api/runs/0/predictions", params=asked))
        assert [one["label"] for one in said["predictions"]] == [one.label for one in wanted.predictions]
        assert [one["probability"] for one in said["predictions"]] == pytest.approx(
            [one.probability for one in wanted.predictions], abs=1e-6
        )
        assert (said["views"], said["label"], said["accepted"]) == (views, None, wanted.accepted)
    sent = {"files": {"image": file_of(photo)}, "params": {"top": 3, "views": "ten"}}
    assert ok(client.post("/api/runs/0/predict", **sent))["predictions"] == said["predictions"]
    said = ok(client.get("/api/runs/0/predictions", params={"image": "test-11", "top": 1000}))
    assert len(said["predictions"]) == 10
    assert said["label"] == subject.classes[subject.packed.labels[subject.test_rows[11]]]
    first = net.predict(np.repeat(digit, 3, 2), 1, "center")[0].predictions[0]
    assert said["predictions"][0]["label"] == first.label
    assert said["predictions"][0]["probability"] == pytest.approx(first.probability, abs=1e-6)


def test_the_test_part_is_paged_through_once_and_by_class(client, subject):
    total = len(subject.test_rows)
    seen = []
    for offset in range(0, total + 150, 150):
        page = ok(client.get("/api/runs/0/test", params={"offset": offset, "limit": 150}))
        assert page["total"] == total
        seen += [(one["image"], one["label"]) for one in page["images"]]
    labels = subject.packed.labels[subject.test_rows]
    assert sorted(seen) == sorted((f"test-{n}", str(label)) for n, label in enumerate(labels))
    assert len({label for _, label in seen[:24]}) > 4, "one class after the other"
    of_three = ok(client.get("/api/runs/0/test", params={"label": "3", "limit": 200}))
    assert of_three["total"] == (labels == 3).sum() == len(of_three["images"])
    assert {one["label"] for one in of_three["images"]} == {"3"}
    stored = np.asarray(subject.packed.read(subject.test_rows[[5]])[0])
    assert np.array_equal(png(client.get("/api/images/test-5")), np.repeat(stored, 3, 2))
    assert "3" in problem(client.get("/api/runs/0/test", params={"label": "cat"}), 404)


def test_runs_are_compared_on_one_image_and_those_without_weights_say_so(client):
    ended, begun = ok(client.get("/api/compare", params={"image": "test-0"}))
    assert ended["predictions"] == ok(client.get("/api/runs/0/predictions?image=test-0"))["predictions"]
    assert ended["label"] == ok(client.get("/api/runs/0/predictions?image=test-0"))["label"] is not None
    assert begun["predictions"] == []
    assert "no weights yet" in begun["problem"]


def test_a_run_still_training_shows_its_whole_lines_and_predicts_once_it_has_weights(
    begun_run, tiny_run, tmp_path, serve_app
):
    run = tmp_path / "run"
    shutil.copytree(begun_run, run)
    with serve_app(create_app([run])) as client:
        curves = ok(client.get("/api/runs/0/curves"))
        assert (len(curves["lines"]), curves["next"], curves["training"]) == (2, 2, True)
        assert "no weights yet" in problem(client.get("/api/runs/0/predictions?image=test-0"), 409)
        with (run / "metrics.jsonl").open("a") as journal:
            journal.write('ep", "step": 3}\n{"kind": "watchdog", "step": 3, "message": "flat"}\n')
        curves = ok(client.get("/api/runs/0/curves?after=2"))
        assert [line["step"] for line in curves["lines"]] == [3, 3]
        assert (curves["next"], curves["watchdog"]) == (4, ["flat"])
        (run / "metrics.jsonl").write_text('{"kind": "step", "step": 1}\n')
        assert ok(client.get("/api/runs/0/curves?after=4")) == {
            "lines": [], "next": 1, "training": True, "watchdog": []
        }  # fmt: skip
        shutil.copy(tiny_run / "best.safetensors", run)
        before = ok(client.get("/api/runs/0/predictions?image=test-0"))["predictions"]
        from safetensors.torch import load_file, save_file

        weights, card = load_file(run / "best.safetensors"), open_metadata(run / "best.safetensors")
        weights["fc8.bias"][4] += 50
        save_file(weights, run / "best.safetensors", card)
        after = ok(client.get("/api/runs/0/predictions?image=test-0"))["predictions"]
        assert after[0]["label"] == "4"
        assert after != before


def open_metadata(path):
    from safetensors import safe_open

    with safe_open(path, "pt") as file:
        return file.metadata()


def test_a_stopped_run_is_not_training(begun_run, tmp_path):
    from alexnet.training.run import now
    from alexnet.web.records import is_training

    run = tmp_path / "run"
    shutil.copytree(begun_run, run)
    assert is_training(run)
    about = json.loads((run / "run.json").read_text())
    (run / "run.json").write_text(json.dumps(about | {"stopped": now()}))
    assert not is_training(run)


def test_stages_answer_as_the_net_does_and_end_in_the_probabilities(client, subject, digit):
    stages = ok(client.get("/api/runs/0/stages"))
    assert [row["stage"] for row in stages] == [*subject.net.stages, "softmax"]
    assert [row["stage"] for row in stages if row["filters"]] == ["conv1"]
    view = subject.seen(np.repeat(digit, 3, 2))
    for stage in ("conv1", "norm1", "conv3", "fc7", "fc8"):
        with torch.inference_mode():
            wanted = subject.net.features(view, stage)[0].numpy()
        found = ok(client.get(f"/api/runs/0/stages/{stage}/maps", params={"image": "test-11", "limit": 6}))
        assert found["output"] == next(row["output"] for row in stages if row["stage"] == stage) == list(wanted.shape)
        strongest = np.abs(wanted.reshape(len(wanted), -1)).max(1)
        assert [abs(unit["largest"]) for unit in found["units"]] == pytest.approx(
            np.sort(strongest)[::-1][:6], rel=1e-4
        )
        for unit in found["units"]:
            assert abs(unit["largest"]) == pytest.approx(strongest[unit["unit"]], rel=1e-4)
        assert (found["sheet"] is None) == (wanted.ndim == 1)
    said = ok(client.get("/api/runs/0/predictions", params={"image": "test-11"}))["predictions"]
    found = ok(client.get("/api/runs/0/stages/softmax/maps", params={"image": "test-11", "limit": 5}))
    assert [unit["label"] for unit in found["units"]] == [one["label"] for one in said]
    assert [unit["largest"] for unit in found["units"]] == pytest.approx([one["probability"] for one in said], abs=1e-5)
    problem(client.get("/api/runs/0/stages/conv9/maps?image=test-11"), 404)


def test_a_sheet_has_the_maps_that_were_asked_for_in_their_places(client):
    found = ok(client.get("/api/runs/0/stages/conv3/maps", params={"image": "test-11", "limit": 10}))
    cell, columns = found["cell"], found["columns"]
    sheet = png(client.get(found["sheet"]))
    assert sheet.shape == (2 * cell, columns * cell, 3)
    tenth = found["units"][9]["unit"]
    alone = png(client.get(f"/api/runs/0/stages/conv3/maps.png?image=test-11&units={tenth}"))
    assert np.array_equal(sheet[cell:, cell : 2 * cell], alone[:, :cell])
    assert (sheet[cell:, 2 * cell :] == 255).all()
    problem(client.get("/api/runs/0/stages/conv3/maps.png?image=test-11&units=16"), 404)
    problem(client.get("/api/runs/0/stages/conv3/maps.png?image=test-11&units=1,"), 422)
    problem(client.get("/api/runs/0/stages/fc6/maps.png?image=test-11&units=1"), 404)


def test_only_the_first_convolution_has_filters_to_show(client):
    assert png(client.get("/api/runs/0/stages/conv1/filters.png")).size
    problem(client.get("/api/runs/0/stages/conv2/filters.png"), 404)


def test_the_strongest_patches_are_where_the_unit_answers_most(client, subject):
    unit = 2
    found = ok(client.get(f"/api/runs/0/stages/conv2/units/{unit}/patches?limit=4"))
    assert found["looked_at"] == len(subject.test_rows)
    with torch.inference_mode():
        maps = subject.net.features(subject.views(subject.packed.read(subject.test_rows)), "conv2")[:, unit]
    best = maps.flatten(1).max(1).values
    assert [one["value"] for one in found["patches"]] == pytest.approx(best.sort(descending=True).values[:4].tolist())
    for one in found["patches"]:
        n = int(one["image"].removeprefix("test-"))
        assert float(best[n]) == pytest.approx(one["value"])
        left, top, right, bottom = one["box"]
        hidden = subject.views(subject.packed.read(subject.test_rows[[n]]))
        hidden[:, :, :top] = hidden[:, :, bottom:] = hidden[:, :, :, :left] = hidden[:, :, :, right:] = 0
        with torch.inference_mode():
            within = subject.net.features(hidden, "conv2")[0, unit].max()
        assert float(within) >= one["value"] - 1e-4, "the box does not hold what excites the unit"
        picture = png(client.get(one["picture"]))
        assert picture.shape[0] >= 256
    whole = ok(client.get("/api/runs/0/stages/fc7/units/1/patches?limit=1"))["patches"][0]
    assert whole["box"] is None
    assert png(client.get(whole["picture"])).shape == (268, 268, 3)
    problem(client.get("/api/runs/0/stages/conv2/units/99/patches"), 404)
    problem(client.get("/api/runs/0/stages/conv2/units/1/patches/16.png"), 422)


@pytest.mark.parametrize("method", ["gradcam", "saliency", "occlusion"])
def test_heat_lies_on_what_the_net_sees_and_depends_on_the_class(client, method):
    seen = png(client.get("/api/runs/0/seen.png?image=test-11"))
    heat = [
        png(client.get("/api/runs/0/heat.png", params={"image": "test-11", "method": method, "label": label}))
        for label in ("3", "8")
    ]
    assert seen.shape == heat[0].shape == heat[1].shape == (268, 268, 3)
    assert not np.array_equal(*heat)
    assert "seven" in problem(client.get("/api/runs/0/heat.png?image=test-11&label=seven"), 404)


def test_heat_is_drawn_where_its_position_looks():
    view = np.full((64, 64, 3), 255, np.uint8)
    heat = np.zeros((8, 8))
    heat[1, 6] = 1.0
    drawn = heat_over(view, heat, Alignment(3.5, 8, 8), (0.0, 1.0)).astype(int)
    yellowness = drawn[..., 0] + drawn[..., 1] - 2 * drawn[..., 2]
    y, x = np.unravel_index(yellowness.argmax(), yellowness.shape)
    assert (y // 4, x // 4) == (pytest.approx(11.5, abs=1), pytest.approx(51.5, abs=1))
    assert shown(view).shape == drawn.shape


def test_a_sheet_of_both_signs_has_two_colours():
    maps = np.zeros((2, 3, 3), np.float32)
    maps[0], maps[1] = 1.0, -1.0
    sheet = maps_sheet(maps, 1.0, signed=True)
    assert not np.array_equal(sheet[0, 0], sheet[0, 64])


def test_similar_images_are_those_of_the_index_without_the_image_itself(client, tiny_index, subject, digit):
    with Index(tiny_index, subject.run, "cpu") as index:
        wanted = index.search(np.repeat(digit, 3, 2), 6)
    found = ok(client.get("/api/runs/0/similar?image=test-11&top=5"))
    assert wanted[0].distance == pytest.approx(0, abs=1e-3)
    assert [one["image"] for one in found["results"]] == [f"index-{hit.id}" for hit in wanted[1:]]
    assert [one["distance"] for one in found["results"]] == pytest.approx(
        [hit.distance for hit in wanted[1:]], rel=1e-3
    )
    assert "fc7" in found["distance"]
    first = found["results"][0]["image"]
    again = ok(client.get(f"/api/runs/0/similar?image={first}&top=200"))["results"]
    assert first not in [one["image"] for one in again]
    name = client.post("/api/images", files={"image": file_of(digit[..., 0])}).json()["image"]
    assert ok(client.get(f"/api/runs/0/similar?image={name}&top=1"))["results"][0]["image"] == f"index-{wanted[0].id}"
    assert png(client.get(f"/api/images/{first}")).shape == (8, 8, 3)
    problem(client.get("/api/runs/1/similar?image=index-1"), 409)


def test_the_confusion_matrix_is_the_evaluations_and_its_cells_add_up(client, tiny_run, subject):
    evaluation = json.loads((tiny_run / "evaluation.json").read_text())
    found = ok(client.get("/api/runs/0/confusion"))
    assert (found["matrix"], found["classes"]) == (evaluation["confusion"], evaluation["classes"])
    assert found["views"] == evaluation["views"]
    matrix = np.array(found["matrix"])
    cells = [(right, given) for right, given in np.argwhere(matrix > 0).tolist()]
    totals = {
        cell: ok(client.get(f"/api/runs/0/confusion/{cell[0]}/{cell[1]}?limit=1"))["total"] for cell in cells[:20]
    }
    assert totals == {cell: matrix[cell] for cell in cells[:20]}
    wrong = next((right, given) for right, given in cells if right != given)
    images = ok(client.get(f"/api/runs/0/confusion/{wrong[0]}/{wrong[1]}"))["images"]
    for one in images:
        n = int(one["image"].removeprefix("test-"))
        assert subject.packed.labels[subject.test_rows[n]] == wrong[0]
        said = ok(client.get("/api/runs/0/predictions", params={"image": one["image"], "views": found["views"]}))
        assert said["predictions"][0]["label"] == str(wrong[1])
    assert [one["probability"] for one in images] == sorted((one["probability"] for one in images), reverse=True)
    problem(client.get("/api/runs/0/confusion/10/0"), 404)


def test_without_an_evaluation_the_net_looks_through_the_test_part_itself(tiny_run, tmp_path, serve_app):
    run = tmp_path / "run"
    shutil.copytree(tiny_run, run)
    evaluation = json.loads((run / "evaluation.json").read_text())
    (run / "evaluation.json").unlink()
    (run / "answers.npz").unlink(missing_ok=True)
    with serve_app(create_app([run])) as client:
        answer = client.get("/api/runs/0/confusion")
        assert answer.status_code == 202
        assert "of 359" in answer.json()["detail"]
        while answer.status_code == 202:
            time.sleep(0.1)
            answer = client.get("/api/runs/0/confusion")
        matrix = np.array(ok(answer)["matrix"])
        assert matrix.sum() == 359
        assert 1 - np.trace(matrix) / 359 == pytest.approx(evaluation["by_views"]["center"]["top1_error"])
        right = ok(client.get("/api/runs/0/confusion/1/1"))
        assert right["total"] == matrix[1, 1]


def test_a_run_whose_images_are_gone_serves_without_them(tiny_run, tmp_path, serve_app, photo):
    run = tmp_path / "run"
    shutil.copytree(tiny_run, run)
    about = json.loads((run / "run.json").read_text())
    (run / "run.json").write_text(json.dumps(about | {"packed": str(tmp_path / "nowhere")}))
    with serve_app(create_app([run])) as client:
        (row,) = ok(client.get("/api/runs"))
        assert (row["test_images"], row["confusion"], row["search"]) == (0, True, False)
        assert "not here" in problem(client.get("/api/runs/0/test"), 404)
        assert "not here" in problem(client.get("/api/images/test-1"), 404)
        assert ok(client.post("/api/runs/0/predict", files={"image": file_of(photo)}))["predictions"]
        assert "no index" in problem(client.get("/api/runs/0/similar?image=test-1"), 404)


def test_runs_tested_on_the_same_images_share_their_names_and_others_have_their_own(tiny_run, tmp_path, serve_app):
    same, other = tmp_path / "same", tmp_path / "other"
    for run in (same, other):
        shutil.copytree(tiny_run, run)
    about = json.loads((tiny_run / "run.json").read_text())
    moved = tmp_path / "pack"
    shutil.copytree(about["packed"], moved)
    given = np.load(moved / "given.npy")
    given[:] = 1
    given[:7] = 3
    np.save(moved / "given.npy", given)
    (other / "run.json").write_text(json.dumps(about | {"packed": str(moved)}))
    with serve_app(create_app([tiny_run, same, other])) as client:
        totals = [row["test_images"] for row in ok(client.get("/api/runs"))]
        assert totals == [359, 359, 7]
        names = [ok(client.get(f"/api/runs/{run}/test?limit=1"))["images"][0]["image"] for run in range(3)]
        assert names[0] == names[1]
        assert names[2].startswith("test2-")
        assert png(client.get(f"/api/images/{names[2]}")).size


def test_the_page_its_parts_and_the_document_are_served_and_nothing_else(client):
    page = client.get("/")
    assert page.status_code == 200
    assert page.headers["content-type"].startswith("text/html")
    script = client.get("/static/explorer.js")
    assert script.headers["content-type"].startswith("text/javascript")
    assert client.get("/static/explorer.js", headers={"If-None-Match": script.headers["etag"]}).status_code == 304
    for path in ("/static/../app.py", "/static/%2e%2e/app.py", "/static//etc/passwd", "/docs", "/nothing"):
        problem(client.get(path), 404)
    document = ok(client.get("/api/openapi.json"))
    assert {"/api/runs", "/api/images/{image}", "/api/runs/{run}/predict", "/api/compare"} <= set(document["paths"])
