"""The house is in order: format, lint, types, import contracts, sizes, names, version."""

import json
import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from alexnet.version import __version__

ROOT = Path(__file__).parents[1]
BIN = Path(sys.executable).parent


def run(*command):
    done = subprocess.run([str(BIN / command[0]), *command[1:]], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_code_is_formatted_and_free_of_lint():
    run("ruff", "format", "--check", ".")
    run("ruff", "check", ".")


def test_types_hold(tmp_path):
    """Of what libraries without types give nothing is worked out from their code, which takes as long again."""
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["pyright"]
    settings |= {"include": [os.path.relpath(ROOT / "src", tmp_path)], "useLibraryCodeForTypes": False}
    (tmp_path / "pyrightconfig.json").write_text(json.dumps(settings))
    run("basedpyright", "--level", "error", "--pythonpath", sys.executable, "--project", str(tmp_path))


@pytest.mark.slow
def test_types_hold_with_what_libraries_give():
    run("basedpyright", "--level", "error", "--pythonpath", sys.executable)


def test_rooms_import_only_from_rooms_below_them():
    run("lint-imports")


def test_every_room_is_in_the_layout_table_of_contributing():
    layers = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]["contracts"][0]["layers"]
    rooms = {room for layer in layers for room in layer.split(" | ")}
    there = {path.stem for path in (ROOT / "src/alexnet").iterdir() if path.stem not in ("__init__", "__pycache__")}
    assert rooms == there
    table = (ROOT / "CONTRIBUTING.md").read_text()
    assert not [room for room in rooms - {"__main__"} if f"`{room}" not in table]


def test_no_file_has_the_name_of_a_drawer():
    names = {path.stem for path in (ROOT / "src").rglob("*.py")}
    assert not names & {"utils", "util", "common", "helpers", "misc"}


def test_files_stay_short():
    lengths = {path: len(path.read_text().splitlines()) for path in (ROOT / "src").rglob("*.py")}
    assert {path.name: n for path, n in lengths.items() if n > 400} == {}
    assert len((ROOT / "src/alexnet/training/loop.py").read_text().splitlines()) < 200


def test_five_files_in_reading_order_are_under_900_lines():
    files = ["models/alexnet.py", "recipes/paper.py", "training/loop.py", "augment.py", "evaluation/classify.py"]
    assert sum(len((ROOT / "src/alexnet" / name).read_text().splitlines()) for name in files) < 900


def test_the_readme_holds_one_command_that_trains_and_one_that_tests():
    for readme in ("README.md", "README.zh.md"):
        text = (ROOT / readme).read_text()
        for mark, words in [("main", ["pip install", "alexnet train"]), ("test", ["pip install", "pytest"])]:
            block = re.search(rf"<!-- {mark} command -->\n```bash\n(.*?)\n```", text, re.DOTALL)
            assert block, (readme, mark)
            assert "\n" not in block[1]
            assert all(word in block[1] for word in words)


def test_the_pinned_versions_satisfy_what_the_package_asks_for():
    pins = dict(
        re.match(r"([\w.-]+)==([\d.]+)", line).groups() for line in (ROOT / "constraints.txt").read_text().split()
    )
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    asked = [*project["dependencies"], *(one for extra in project["optional-dependencies"].values() for one in extra)]
    for requirement in asked:
        name, least = re.match(r"([\w-]+)(?:\[\w+\])?(?:>=([\d.]+))?", requirement).groups()
        pin = {key.lower().replace("_", "-"): value for key, value in pins.items()}.get(name.lower().replace("_", "-"))
        if name != "alexnet":
            assert pin, requirement
            assert [int(x) for x in pin.split(".")] >= [int(x) for x in least.split(".")], requirement


def test_the_installed_package_is_this_version():
    from importlib.metadata import version

    assert version("alexnet") == __version__


@pytest.mark.parametrize("path", ["README.md", "README.zh.md", "CONTRIBUTING.md", "CHANGELOG.md", "docs"])
def test_texts_name_no_place_that_a_reader_cannot_go_to(path):
    files = [ROOT / path] if (ROOT / path).is_file() else list((ROOT / path).rglob("*.md"))
    for file in files:
        assert not re.search(r"/work/|/tmp/|localhost:\d+/simple|file://", file.read_text()), file
