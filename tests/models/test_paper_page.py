"""The page on the paper names code that exists and counts that are the nets' own."""

import re
from pathlib import Path

import pytest

from alexnet.models import names, parameters

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "papers" / "alexnet.md").read_text(encoding="utf-8")


@pytest.mark.parametrize(("path", "name"), sorted(set(re.findall(r"`([a-z_0-9/]+\.py)(?::(\w+))?", PAGE))))
def test_every_line_of_code_it_names_exists(path, name):
    found = [place / path for place in (ROOT / "src" / "alexnet", ROOT) if (place / path).is_file()]
    assert found, f"{path} is not there"
    if name:
        text = found[0].read_text(encoding="utf-8")
        assert re.search(rf"^\s*(def|class) {name}\b|^{name}\b", text, re.MULTILINE), f"{path} has no {name}"


@pytest.mark.parametrize("name", names())
def test_its_table_has_every_net_with_the_parameters_that_it_has(name):
    rows = [line for line in PAGE.splitlines() if line.startswith(f"| `{name}` |")]
    assert len(rows) == 1
    assert rows[0].split("|")[-2].strip() == f"{parameters(name):,}"


def test_its_example_gives_the_parameters_it_states():
    example = re.search(r"```python\n(.*?)```", PAGE, re.DOTALL)
    assert example
    scope: dict = {}
    code = example[1].replace("classes=10", "classes=1000").replace("= build_variant(", "= outline(")
    exec("import torch\nfrom alexnet.models import build_variant\n" + OUTLINE + code, scope)
    assert f"{sum(p.numel() for p in scope['net'].parameters()):,}" in PAGE


OUTLINE = """
def outline(variant, classes):
    with torch.device("meta"):
        return build_variant(variant, classes)
"""
