"""From a run to similar images: index, search, show similar, and the same from Python."""

import json
import re
import shutil
from html.parser import HTMLParser

import numpy as np
import pytest
from PIL import Image
from sklearn.datasets import load_digits

import alexnet
from alexnet.api.searching import draw_similar
from alexnet.cli import main


@pytest.fixture(scope="module")
def made(tiny_run, tmp_path_factory):
    """A folder with a copy of the tiny run, a folder of 60 digits as files, and their index with codes."""
    work = tmp_path_factory.mktemp("search")
    digits = load_digits()
    for i in range(60):
        path = work / "photos" / str(digits.target[i]) / f"{i:02}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray((digits.images[i] * 15).astype(np.uint8)).save(path)
    with pytest.MonkeyPatch.context() as patched:
        patched.setenv("ALEXNET_CACHE", str(work / "cache"))
        patched.chdir(work)
        shutil.copytree(tiny_run, "run")
        assert main(["embed", "run", "photos", "vectors"]) == 0
        assert main(["index", "vectors", "index", "--codes", "32", "--method", "hyperplanes"]) == 0
    return work


@pytest.fixture
def work(made, tmp_path, monkeypatch):
    """A copy of it all that a test may change."""
    shutil.copytree(made, tmp_path / "work")
    monkeypatch.chdir(tmp_path / "work")
    return tmp_path / "work"


def only_json(capsys):
    return json.loads(capsys.readouterr().out)


def test_search_prints_the_nearest_images_and_python_gives_the_same(work, capsys):
    query = next((work / "photos" / "3").iterdir())
    # As lengths go: by hand, from the vectors.
    vectors = np.load("vectors/vectors.npy").astype(np.float64)
    paths = [path.decode() for path in np.load("vectors/paths.npy").tolist()]
    row = paths.index(f"3/{query.name}")
    far = np.sqrt(((vectors - vectors[row]) ** 2).sum(1))
    nearest = np.argsort(far, kind="stable")[:4]

    assert main(["search", "run", "index", str(query), "--top", "4", "--by", "features", "--json"]) == 0
    found = only_json(capsys)
    assert [hit["id"] for hit in found] == nearest.tolist()
    np.testing.assert_allclose([hit["distance"] for hit in found], far[nearest], atol=1e-3)
    assert (found[0]["label"], found[0]["path"].endswith(f"photos/3/{query.name}")) == ("3", True)
    assert set(found[0]) == {"path", "label", "distance", "id"}

    assert main(["search", "run", "index", str(query), "--top", "2"]) == 0
    assert len(capsys.readouterr().out.splitlines()) == 2
    with alexnet.open_index("index", run="run") as index:
        for image in (query, query.read_bytes(), Image.open(query), np.asarray(Image.open(query))):
            assert [hit.id for hit in index.search(image, 4, "features")] == nearest.tolist()
        assert {hit.distance for hit in index.search(query, 3, "codes")} <= set(range(33))


class Page(HTMLParser):
    """The addresses that a page asks for, its pictures and its text."""

    def __init__(self, text):
        super().__init__()
        self.asked, self.pictures, self.words = [], 0, []
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        given = dict(attributes)
        self.pictures += tag == "img"
        self.asked += [given[name] for name in ("src", "href", "srcset", "action") if given.get(name)]

    def handle_data(self, data):
        self.words.append(data.strip())


def test_a_page_of_results_holds_its_pictures_and_asks_nobody(work, capsys):
    (work / "photos" / "3").rename(work / "photos" / "<b>3 & more")
    query = next((work / "photos" / "<b>3 & more").iterdir()).rename(work / '<i>"q".png')
    assert main(["search", "run", "index", str(query), "--top", "5", "--html", "found.html"]) == 0
    text = (work / "found.html").read_text(encoding="utf-8")
    page = Page(text)
    assert page.pictures == 6  # thumbnails were kept when the index was made: the files are gone
    assert page.asked
    assert all(address.startswith("data:") for address in page.asked)
    assert not re.search(r"url\(|@import|<script", text)
    assert any('Images like <i>"q".png' in words for words in page.words)
    assert any("5 of 60 images" in words and "L2 distance of fc7" in words for words in page.words)


def test_show_similar_draws_queries_and_six_beside_each(work, capsys):
    images = [str(next((work / "photos" / str(digit)).iterdir())) for digit in (1, 7)]
    assert main(["show", "run", "similar", *images, "--index", "index", "--out", "two.svg"]) == 0
    assert capsys.readouterr().out == "two.svg\n"
    assert (work / "two.svg").read_text().count("<image") == 2 * 7
    assert main(["show", "run", "similar", "--index", "index", "--out", "five.png"]) == 0
    with Image.open("five.png") as picture:
        assert picture.width > 500
    # An indexed query is not shown beside itself.
    figure = draw_similar("run", images, "index", "cpu", work / "again.png")
    titles = [axes.get_title(loc="left") for axes in figure.axes[1:7]]
    assert len(titles) == 6
    assert not [title for title in titles if float(title.splitlines()[1]) < 1e-5]


def test_the_command_adds_deletes_compacts_and_checks(made, work, capsys):
    assert main(["index", "index", "--delete", "0", str(next((made / "photos" / "3").iterdir())), "--json"]) == 0
    assert only_json(capsys) | {"index": ""} == {
        "index": "",
        "images": 58,
        "deleted": 2,
        "features": 32,
        "metric": "l2",
        "bits": 32,
        "method": "hyperplanes",
        "store": "folder",
    }
    assert main(["index", "index", "--compact"]) == 0
    assert main(["index", "vectors", "index", "--add", "--json"]) == 0
    said = only_json_after(capsys)
    assert (said["added"], said["already_there"], said["images"]) == (2, 58, 60)
    assert main(["index", "index", "--check"]) == 0
    assert "wrong: nothing" in capsys.readouterr().out
    rows = next((work / "index" / "features").glob("rows-*"))
    with rows.open("r+b") as file:
        file.seek(-1, 2)
        file.write(b"\x55")
    assert main(["index", "index", "--check", "--json"]) == 1
    assert "checksum" in only_json(capsys)["wrong"][0]


def only_json_after(capsys):
    return json.loads(capsys.readouterr().out.splitlines()[-1])


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["index", "vectors", "index"], ["index exists", "--add"]),
        (["index", "index"], ["VECTORS INDEX"]),
        (["index", "vectors", "index", "--compact"], ["VECTORS INDEX"]),
        (["index", "nowhere", "new"], ["nowhere", "alexnet embed"]),
        (["index", "vectors", "new", "--codes", "7"], ["7", "multiple of 8"]),
        (["index", "vectors", "new", "--codes", "32", "--method", "hash"], ["hash", "itq"]),
        (["index", "index", "--delete", "nobody.png"], ["nobody.png"]),
        (["search", "run", "nowhere", "q.png"], ["nowhere", "alexnet index"]),
        (["search", "run", "index", "q.png"], ["q.png", "no such file"]),
        (["search", "nowhere", "index", "photos/3"], ["nowhere"]),
        (["search", "run", "index", "photos/3", "--top", "0"], ["0 images"]),
        (["show", "run", "similar"], ["--index", "alexnet index"]),
        (["show", "run", "filters", "--index", "index"], ["--index", "filters"]),
        (["show", "run", "similar", "none.png", "--index", "index"], ["none.png", "no such file"]),
    ],
)
def test_wrong_usage_is_one_line_and_exit_code_2(made, monkeypatch, capsys, arguments, words):
    monkeypatch.chdir(made)
    assert main(arguments) == 2
    said = capsys.readouterr()
    last = said.err.strip().splitlines()[-1]
    assert last.startswith("alexnet: ")
    for word in words:
        assert word in last
    assert not (made / "new" / "index.json").exists()


def test_the_net_must_be_the_one_that_embedded(work, capsys):
    assert main(["train", "--model", "tiny", "--epochs", "1", "--max-minutes", "0.001", "--out", "other"]) == 0
    capsys.readouterr()
    assert main(["search", "other", "index", str(next((work / "photos" / "3").iterdir()))]) == 2
    assert "other weights" in capsys.readouterr().err
