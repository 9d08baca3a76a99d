"""What the server does not take, from whom it takes nothing, and how much it keeps."""

import hashlib
import shutil
import socket
import sqlite3
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from io import BytesIO

import numpy as np
import pytest
from fastapi import HTTPException
from PIL import Image

from alexnet.images import ImageProblem, read_image
from alexnet.retrieval.index import Index
from alexnet.web.app import create_app
from alexnet.web.gallery import Gallery
from alexnet.web.kept import Kept
from alexnet.web.settings import Settings
from alexnet.web.turns import Turns


def picture(seed=0, side=40, format="PNG"):
    pixels = np.random.default_rng(seed).integers(0, 256, (side, side, 3), dtype=np.uint8)
    buffer = BytesIO()
    Image.fromarray(pixels).save(buffer, format)
    return buffer.getvalue()


def line(response, status):
    assert response.status_code == status, response.text
    assert list(response.json()) == ["detail"]
    assert "\n" not in response.json()["detail"]
    return response.json()["detail"]


@pytest.fixture(scope="module")
def strict(begun_run, serve_app):
    """A server that takes little, and waits half a second."""
    with serve_app(
        create_app([begun_run], None, Settings(most_bytes=50_000, most_pixels=10_000, seconds=0.5))
    ) as client:
        yield client


@pytest.fixture(scope="module")
def guarded(begun_run, serve_app):
    """A server that wants a token."""
    with serve_app(create_app([begun_run], None, Settings(token="open-sesame"))) as client:
        yield client


@pytest.mark.parametrize(
    ("data", "status", "words"),
    [
        (b"These are words.", 415, "no image format"),
        (b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 10 10\n", 415, "not-an-image"),
        (b"", 422, "no bytes"),
        (picture()[:2000], 422, "damaged PNG"),
        (picture(side=101), 413, "10,000"),
        (b"\x89PNG" + bytes(50_000), 413, "50,000"),
        (bytes(400_000), 413, "50,000"),
    ],
    ids=["words", "postscript", "empty", "broken", "pixels", "bytes", "many bytes"],
)
def test_what_is_no_image_is_refused_in_one_line(strict, data, status, words):
    for path in ("/api/images", "/api/runs/0/predict"):
        if path == "/api/images" or (status == 413 and len(data) > 150_000):
            assert words in line(strict.post(path, files={"image": data}), status)
    assert "image" in line(strict.post("/api/images", files={"other": data[:10]}), 422)


def test_a_length_that_was_not_told_is_counted(strict):
    def pieces():
        for _ in range(40):
            yield bytes(10_000)

    kind = {"Content-Type": "multipart/form-data; boundary=x"}
    assert "50,000" in line(strict.post("/api/images", content=pieces(), headers=kind), 413)


def test_a_large_picture_is_refused_by_its_header_alone(strict):
    header = picture(side=101)[:60]
    with pytest.raises(ImageProblem, match="101 x 101"):
        read_image(header, 10_000)


def test_an_upload_that_does_not_come_is_given_up(strict):
    with socket.create_connection((strict.base_url.host, strict.base_url.port), timeout=10) as connection:
        connection.sendall(b"POST /api/images HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1000\r\n\r\nabc")
        began = time.monotonic()
        assert connection.recv(100).startswith(b"HTTP/1.1 408")
        assert 0.3 < time.monotonic() - began < 5


def test_only_names_that_the_server_gave_lead_to_images(client):
    for name in ("test-359", "test-99999999999", "test7-0", "index-999999", "upload-0123456789abcdef"):
        line(client.get(f"/api/images/{name}"), 404)
        line(client.get("/api/runs/0/predictions", params={"image": name}), 404)
    for name in (
        "../run.json",
        "test--1",
        "test-1.0",
        "index-1/..",
        "upload-../../etc/pas",
        "/etc/passwd",
        "",
        "te\0st-1",
    ):
        line(client.get("/api/runs/0/predictions", params={"image": name}), 404)


def test_an_indexed_file_is_shown_only_while_it_is_the_one_that_was_indexed(tiny_index, tmp_path):
    shutil.copytree(tiny_index.parent, tmp_path / "copy")
    secret = tmp_path / "secret.png"
    secret.write_bytes(picture(3, side=50))
    with sqlite3.connect(tmp_path / "copy/index/table.sqlite") as table:
        table.execute("UPDATE images SET path = ? WHERE id = 4", (str(secret),))
    table.close()
    with Index(tmp_path / "copy/index") as index:
        assert Gallery([], index, Settings()).pixels("index-4").shape == (8, 8, 3)
        with sqlite3.connect(tmp_path / "copy/index/table.sqlite") as table:
            digest = hashlib.sha256(secret.read_bytes()).digest()
            table.execute("UPDATE images SET digest = ? WHERE id = 4", (digest,))
        table.close()
        assert Gallery([], index, Settings()).pixels("index-4").shape == (50, 50, 3)


def test_a_token_is_wanted_for_everything_and_may_come_three_ways(guarded):
    for path in ("/", "/static/explorer.js", "/api/runs", "/api/openapi.json", "/examples", "/nothing"):
        assert "token" in line(guarded.get(path), 401)
    for wrong in ("open-sesam", "open-sesame!", "ü"):
        line(guarded.get("/api/runs", headers={"Authorization": b"Bearer " + wrong.encode("latin-1")}), 401)
    line(guarded.get("/?token=wrong"), 401)
    line(guarded.get("/api/runs?token=open-sesame"), 401)
    assert guarded.get("/api/runs", headers={"Authorization": "Bearer open-sesame"}).status_code == 200
    signed = guarded.get("/?token=open-sesame")
    assert signed.status_code == 200
    assert 'content="0; url=/"' in signed.text
    assert "sesame" not in signed.text
    cookie = signed.headers["set-cookie"]
    assert "HttpOnly" in cookie
    assert "SameSite=Strict" in cookie
    assert guarded.get("/api/runs").status_code == 200, "the cookie is not enough"
    guarded.cookies.clear()
    line(guarded.get("/api/runs"), 401)


def test_a_private_server_answers_under_this_machines_names_alone(strict):
    port = strict.base_url.port
    for host in ("localhost", f"localhost:{port}", "127.0.0.1", f"[::1]:{port}"):
        assert strict.get("/api/runs", headers={"Host": host}).status_code == 200
    for host in ("evil.example", f"evil.example:{port}", "localhost.evil.example", "127.0.0.1.evil.example", ""):
        assert "localhost" in line(strict.get("/api/runs", headers={"Host": host}), 403)


def test_pages_of_other_sites_may_ask_nothing(strict):
    elsewhere = {"Sec-Fetch-Site": "cross-site"}
    line(strict.get("/api/runs", headers=elsewhere), 403)
    line(strict.post("/api/images", headers=elsewhere, files={"image": picture()}), 403)
    assert strict.get("/", headers=elsewhere).status_code == 200, "a link to the page is fine"
    assert strict.get("/api/runs", headers={"Sec-Fetch-Site": "same-origin"}).status_code == 200


def test_every_answer_forbids_what_comes_from_outside(client, guarded):
    for answer in (client.get("/"), client.get("/api/runs"), client.get("/nothing"), guarded.get("/api/runs")):
        assert answer.headers["content-security-policy"].startswith("default-src 'self'; img-src 'self' blob: data:;")
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert answer.headers["cross-origin-resource-policy"] == "same-origin"


def test_one_at_a_time_goes_through_a_net_and_a_full_queue_refuses():
    turns = Turns(most=4, seconds=10)
    inside, most, order = [0], [0], []
    gate = threading.Event()

    def work(number):
        inside[0] += 1
        most[0] = max(most[0], inside[0])
        gate.wait(5)
        inside[0] -= 1
        return number

    with ThreadPoolExecutor(4) as pool:
        futures = [pool.submit(turns, lambda n=n: work(n)) for n in range(4)]
        while turns._there < 4:
            time.sleep(0.001)
        with pytest.raises(HTTPException, match="wait for this net") as refused:
            turns(lambda: order.append("never"))
        assert refused.value.status_code == 503
        gate.set()
        assert [future.result() for future in futures] == [0, 1, 2, 3]
    assert most == [1]
    assert turns(lambda: "again") == "again"
    assert order == []
    turns.close()


def test_an_answer_that_takes_too_long_is_given_up_and_the_next_one_served():
    turns = Turns(most=4, seconds=0.1)
    gate, ran = threading.Event(), []
    with pytest.raises(HTTPException, match="within"):
        turns(lambda: gate.wait(5))
    with pytest.raises(HTTPException):
        turns(lambda: ran.append("after nobody waits"))
    gate.set()
    turns._seconds = 5
    assert turns(lambda: 3) == 3
    assert ran == []
    turns.close()


def test_what_is_kept_stays_within_number_and_bytes():
    kept = Kept(most=3, most_bytes=100)
    for name in "abcd":
        kept.put(name, name.upper(), 10)
    assert [kept.get(name) for name in "abcd"] == [None, "B", "C", "D"]
    kept.get("b")
    kept.put("e", "E", 75)
    assert [kept.get(name) for name in "bcde"] == ["B", None, "D", "E"]
    kept.put("f", "F", 101)
    assert (kept.get("f"), kept.bytes, len(kept)) == (None, 95, 3)
    kept.put("e", "small", 5)
    assert (kept.get("e"), kept.bytes) == ("small", 25)


def test_only_the_last_uploads_are_kept(begun_run, serve_app):
    with serve_app(create_app([begun_run], None, Settings(kept_uploads=2))) as client:
        names = [client.post("/api/images", files={"image": picture(seed)}).json()["image"] for seed in range(3)]
        assert "no longer" in line(client.get(f"/api/images/{names[0]}"), 404)
        assert client.get(f"/api/images/{names[2]}").status_code == 200
