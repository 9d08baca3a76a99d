"""The texts say what is so: commands exist, links lead somewhere, tables equal the code."""

import importlib.util
import json
import re
from dataclasses import fields, is_dataclass
from pathlib import Path

import pytest

from alexnet.cli import COMMANDS
from alexnet.recipe import Recipe
from alexnet.recipes import RECIPES, load_recipe
from alexnet.recipes.practical import RATES, USUAL_RATE
from alexnet.version import __version__

ROOT = Path(__file__).parents[1]
PAGES = [*(ROOT / name for name in ("README.md", "README.zh.md", "CONTRIBUTING.md", "CHANGELOG.md"))]
PAGES += sorted((ROOT / "docs").rglob("*.md"))
SOURCE_2012 = RECIPES["source_2012"].optimiser
RATE_OF_BIASES = (SOURCE_2012.rate or 0) * SOURCE_2012.bias_rate
EVERYWHERE = {"-h", "--help", "-V", "--version"}


def page_name(path):
    return str(path.relative_to(ROOT))


@pytest.fixture(scope="module")
def script():
    spec = importlib.util.spec_from_file_location("reference", ROOT / "benchmarks" / "reference.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def options(script):
    """Command -> its option strings, with underscores for dashes inside, read off its help."""
    found = {}
    for command, text in script.helps().items():
        strings = {word.lstrip("-") for word in re.findall(r"(?<![\w-])--?[a-zA-Z][\w.-]*", text)}
        found[command] = {word.replace("-", "_") for word in strings}
    return found


def test_the_reference_has_every_command_and_is_what_the_program_says(script):
    page = (ROOT / "docs" / "reference.md").read_text(encoding="utf-8")
    assert [command for command in COMMANDS if f"\n## alexnet {command}\n" not in page] == []
    # Word by word: Pythons wrap their lines at different places.
    assert page.split() == script.reference().split(), "stale: run python benchmarks/reference.py"


@pytest.mark.parametrize("path", PAGES, ids=page_name)
def test_relative_links_lead_to_files(path):
    text = re.sub(r"```.*?```", "", path.read_text(encoding="utf-8"), flags=re.DOTALL)
    links = re.findall(r"\]\(([^)\s]+)\)", text)
    relative = [link.partition("#")[0] for link in links if not re.match(r"[a-z]+:|#", link)]
    assert [link for link in relative if not (path.parent / link).exists()] == []


def commands_in(text):
    """Command, and its words, of every line in a fenced block that calls the program."""
    for block in re.findall(r"^```\w*\n(.*?)^```", text, re.DOTALL | re.MULTILINE):
        for line in block.replace("\\\n", " ").splitlines():
            for part in re.split(r"&&|\|", line):
                # A session's prompt, or the folder of an environment, may stand before the name.
                called = re.match(r"\s*(?:\$ )?(?:[\w./]*/)?alexnet\s+([^:].*)", part)
                if called and re.match(r"[a-z-]", called[1]):
                    yield called[1].split("#")[0].split()


def mistakes(text, options):
    """Commands and long options that do not exist, in the fenced blocks of a text."""
    wrong = []
    for command, *words in commands_in(text):
        if command not in COMMANDS and command not in EVERYWHERE:
            wrong.append(command)
            continue
        known = options.get(command, set())
        given = [word.partition("=")[0] for word in words if word.startswith("--")]
        wrong += [f"{command} {name}" for name in given if name[2:].replace("-", "_") not in known]
    return wrong


@pytest.mark.parametrize("path", [p for p in PAGES if p.name != "reference.md"], ids=page_name)
def test_commands_and_options_in_examples_exist(path, options):
    assert mistakes(path.read_text(encoding="utf-8"), options) == []


def test_a_command_or_option_that_does_not_exist_would_be_seen(options):
    text = "```bash\nalexnet trian x\n.venv/bin/alexnet train a --epoch 3 --max-minutes=2  # --not-this\n```\n"
    assert mistakes(text, options) == ["trian", "train --epoch"]


def test_the_tutorial_and_the_readme_have_commands_to_check():
    for name in ("README.md", "docs/tutorial.md"):
        assert len(list(commands_in((ROOT / name).read_text(encoding="utf-8")))) >= 5, name


def test_the_changelog_names_this_version():
    heading = re.search(r"^## (\S+)", (ROOT / "CHANGELOG.md").read_text(encoding="utf-8"), re.MULTILINE)
    assert heading
    assert heading[1] == __version__


def written(value):
    """A field's value as the tables of recipes have it."""
    if value is None:
        return "-"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, tuple) and value and not is_dataclass(value[0]):
        return " to ".join(written(one) for one in value)
    if isinstance(value, tuple):
        return f"{len(value)} of them" if value else "none"
    return f"{value:.6g}" if isinstance(value, float) else str(value)


def flat(value, prefix=""):
    for one in fields(value):
        inner = getattr(value, one.name)
        if is_dataclass(inner):
            yield from flat(inner, f"{one.name}.")
        else:
            yield prefix + one.name, inner


def tables_of_fields():
    """Header and rows, field -> cells, of each table of fields in the page on recipes."""
    text = (ROOT / "docs" / "recipes.md").read_text(encoding="utf-8")
    for table in re.findall(r"^\| field \|.*\n(?:\|.*\n)*", text, re.MULTILINE):
        lines = [[cell.strip().strip("`") for cell in line.strip("|").split("|")] for line in table.splitlines()]
        yield lines[0][1:], {line[0]: line[1:] for line in lines[2:]}


def test_the_tables_of_recipes_have_the_fields_that_differ_from_the_defaults():
    (header, meant), *tables = tables_of_fields()
    defaults = dict(flat(Recipe()))
    assert header == ["default", "what"]
    assert {field: cells[0] for field, cells in meant.items()} == {field: written(defaults[field]) for field in meant}
    assert all(cells[1] for cells in meant.values())
    assert sorted(name for names, _ in tables for name in names) == sorted(RECIPES)
    for names, rows in tables:
        values = [dict(flat(RECIPES[name])) for name in names]
        differing = [field for field in defaults if any(each[field] != defaults[field] for each in values)]
        assert set(differing) - {"name"} == set(rows) <= set(meant), names
        for field, cells in rows.items():
            assert cells == [written(each[field]) for each in values], (names, field)


def test_the_page_on_recipes_has_the_moments_of_every_event():
    text = (ROOT / "docs" / "recipes.md").read_text(encoding="utf-8")
    table = re.search(r"^\| recipe \| at epoch .*\n\|.*\n((?:\|.*\n)*)", text, re.MULTILINE)
    assert table
    told, rates, name = {}, {}, ""
    for line in table[1].splitlines():
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        name = cells[0].strip("`") or name
        told.setdefault(name, set()).update(float(moment) for moment in cells[1].split(","))
        for event in RECIPES[name].schedule.events:
            assert event.stage is None or f"`{event.stage}`" in table[1], name
        rates.setdefault(name, []).extend(map(float, re.findall(r"(?<![\w.])0\.\d+|\b0(?=:)", cells[2])))
    events = {name: recipe.schedule.events for name, recipe in RECIPES.items() if recipe.schedule.events}
    assert told == {name: {event.epoch for event in of_one} for name, of_one in events.items()}
    biases = {"source_2012": [RATE_OF_BIASES]}  # said beside them: no event's
    given = {name: [event.rate for event in of_one if event.rate is not None] for name, of_one in events.items()}
    assert {name: sorted(of_one) for name, of_one in rates.items()} == {
        name: sorted(of_one + biases.get(name, [])) for name, of_one in given.items()
    }


def test_the_page_on_recipes_has_the_rates_of_the_nets():
    text = (ROOT / "docs" / "recipes.md").read_text(encoding="utf-8")
    table = re.search(r"^\| net \| rate .*\n\|.*\n((?:\|.*\n)*)", text, re.MULTILINE)
    assert table
    lines = [[cell.strip() for cell in line.strip("|").split("|")] for line in table[1].splitlines()]
    told = {name: float(line[1]) for line in lines for name in re.findall(r"`(\w+)`", line[0])}
    assert told == RATES
    assert float(lines[-1][1]) == USUAL_RATE


def test_the_recipe_file_in_the_docs_is_one(tmp_path):
    text = (ROOT / "docs" / "recipes.md").read_text(encoding="utf-8")
    examples = re.findall(r"^```yaml\n(.*?)^```", text, re.DOTALL | re.MULTILINE)
    assert examples
    for number, example in enumerate(examples):
        path = tmp_path / f"{number}.yaml"
        path.write_text(example, encoding="utf-8")
        assert load_recipe(path) != RECIPES["practical"]


def test_the_lines_that_read_a_pack_read_one(tmp_path, array_source, monkeypatch):
    from alexnet.data import pack

    source = array_source()
    pack(source, tmp_path / "packed")
    monkeypatch.chdir(tmp_path)
    text = (ROOT / "docs" / "data.md").read_text(encoding="utf-8")
    example = re.search(r"^```python\n(import json.*?)^```", text, re.DOTALL | re.MULTILINE)
    assert example
    scope = {}
    exec(example[1], scope)
    assert scope["images"].shape == (20, 8, 8, 1)
    assert scope["labels"].tolist() == source.labels.tolist()
    assert scope["about"]["classes"] == source.classes
    assert json.loads((tmp_path / "packed" / "manifest.json").read_text()) == scope["about"]
