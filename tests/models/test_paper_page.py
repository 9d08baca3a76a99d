"""The pages on the papers name code, tests and nets that exist, and counts that are the nets' own."""

import re
from pathlib import Path

import pytest
import torch

from alexnet.models import ALIASES, build, names

ROOT = Path(__file__).parents[2]
PAGES = {path.stem: path.read_text(encoding="utf-8") for path in sorted((ROOT / "docs" / "papers").glob("*.md"))}
CODE = sorted(
    {(*found, page) for page, text in PAGES.items() for found in re.findall(r"`([\w/]+\.py)(?::(\w+))?", text)}
)


@pytest.mark.parametrize(("path", "name", "page"), CODE)
def test_every_line_of_code_a_page_names_exists(path, name, page):
    found = [place / path for place in (ROOT / "src" / "alexnet", ROOT) if (place / path).is_file()]
    assert found, f"{page}: {path} is not there"
    if name:
        text = found[0].read_text(encoding="utf-8")
        assert re.search(rf"^\s*(def|class) {name}\b|^{name}\b", text, re.MULTILINE), f"{page}: {path} has no {name}"


@pytest.mark.parametrize("page", list(PAGES))
def test_the_commands_of_a_page_name_nets_that_exist(page):
    asked = re.findall(r"alexnet (?:summary|compare) ((?:[a-z]\w+ ?)+)", PAGES[page])
    assert asked
    for name in " ".join(asked).split():
        assert name in {*names(), *ALIASES}, name


@pytest.mark.parametrize("name", names())
def test_one_page_has_a_row_for_the_net_that_ends_in_its_parameters(name):
    rows = [line for text in PAGES.values() for line in text.splitlines() if line.startswith(f"| `{name}` |")]
    assert len(rows) == 1
    with torch.device("meta"):
        stages = build(name).stages.values()  # side classifiers are not counted
    count = sum(p.numel() for stage in stages for p in stage.parameters())
    assert rows[0].split("|")[-2].strip() == f"{count:,}"


def test_the_example_gives_the_parameters_it_states():
    example = re.search(r"```python\n(.*?)```", PAGES["alexnet"], re.DOTALL)
    assert example
    scope: dict = {}
    code = example[1].replace("classes=10", "classes=1000").replace("= build_variant(", "= outline(")
    exec("import torch\nfrom alexnet.models import build_variant\n" + OUTLINE + code, scope)
    assert f"{sum(p.numel() for p in scope['net'].parameters()):,}" in PAGES["alexnet"]


OUTLINE = """
def outline(variant, classes):
    with torch.device("meta"):
        return build_variant(variant, classes)
"""
