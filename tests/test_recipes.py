"""Recipes: named, from files, overridden, refused."""

from dataclasses import asdict, fields, is_dataclass

import pytest
import yaml

from alexnet.errors import InputError
from alexnet.models import names
from alexnet.recipe import Event, Recipe
from alexnet.recipes import RECIPES, as_yaml, load_recipe, recipe_from
from alexnet.training.summary import WHY


@pytest.mark.parametrize("name", RECIPES)
def test_a_recipe_written_as_yaml_reads_back_the_same(name, tmp_path):
    path = tmp_path / "recipe.yaml"
    path.write_text(as_yaml(RECIPES[name]))
    assert load_recipe(path) == RECIPES[name]


@pytest.mark.parametrize("name", RECIPES)
def test_a_recipe_is_known_by_its_name_and_names_a_net_that_exists(name):
    assert RECIPES[name].name == name
    assert RECIPES[name].model in names()


def test_a_file_holds_only_what_differs_from_the_recipe_it_names(tmp_path):
    path = tmp_path / "mine.yaml"
    path.write_text("name: caffe\nepochs: 3\noptimiser:\n  rate: 0.1\nschedule:\n  events: [{epoch: 1, rate: 0.5}]\n")
    recipe = load_recipe(path)
    assert (recipe.model, recipe.epochs, recipe.optimiser.rate, recipe.optimiser.batch) == (
        "caffe_alexnet",
        3,
        0.1,
        256,
    )
    assert recipe.schedule.events == (Event(1, rate=0.5),)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"epochs": "three"}, r"--epochs got 'three': wanted"),
        ({"optimiser": {"rat": 1}}, r"rat"),
        (
            {"optimiser": {"precision": "fp8"}},
            r"--optimiser.precision got 'fp8': wanted Literal\['auto', 'float32', 'bfloat16'\]",
        ),
        ({"colour": 1}, r"colour"),
        ({"optimiser": {"micro_batch": 0}}, r"--optimiser.micro_batch 0: give 1 or more"),
        ({"optimiser": {"batch": -4}}, r"--optimiser.batch -4: give 1 or more"),
        ({"optimiser": {"rate": 0}}, r"--optimiser.rate 0.0: give more than 0"),
        ({"optimiser": {"momentum": 1}}, r"--optimiser.momentum 1.0: give 0 or more, and less than 1"),
        ({"schedule": {"warm_up": 1.5}}, r"--schedule.warm_up 1.5"),
        ({"seed": -1}, r"--seed -1: give 0 or more"),
        ({"max_minutes": 0}, r"--max_minutes 0.0: give more than 0"),
        ({"schedule": {"events": [{"epooch": 1}]}}, r"epooch"),
        ({"schedule": {"every": 0}}, r"--schedule.every 0.0: give more than 0"),
        ({"augmentation": {"pad": -1}}, r"--augmentation.pad -1: give 0 or more"),
        (
            {"augmentation": {"scale": [2, 0.5]}},
            r"--augmentation.scale \(2.0, 0.5\): give a smaller and",
        ),
        (
            {"augmentation": {"scale": [256]}},
            r"--augmentation.scale got .*: wanted null or two numbers such as \[1.14,2.14\]",
        ),
        (
            {"augmentation": {"area": [0.0, 1.0]}},
            r"--augmentation.area \(0.0, 1.0\): give a smaller and a larger share",
        ),
        ({"augmentation": {"area": [0.1, 1.0], "scale": [1, 2]}}, r"not both"),
    ],
)
def test_a_wrong_field_or_value_is_one_line_that_names_it(values, message):
    with pytest.raises(InputError, match=message) as caught:
        recipe_from(values)
    assert "\n" not in str(caught.value)


def test_a_name_that_is_neither_recipe_nor_file_lists_the_recipes():
    with pytest.raises(InputError, match="one of practical, lenet5, paper, source_2012, caffe, nin"):
        load_recipe("papper")


@pytest.mark.parametrize("text", ["- 1\n- 2\n", "a: [", "\xff", "name: papr\n"])
def test_a_file_that_is_no_recipe_is_refused(tmp_path, text):
    path = tmp_path / "x.yaml"
    path.write_bytes(text.encode("latin-1"))
    with pytest.raises(InputError, match=r"x\.yaml"):
        load_recipe(path)


@pytest.mark.parametrize("name", RECIPES)
def test_the_user_is_told_why_a_recipe_is_so(name):
    assert name in WHY


def test_every_field_of_a_recipe_is_explained():
    def look(kind):
        for field in fields(kind):
            inner = field.default_factory if callable(field.default_factory) else None
            if not is_dataclass(inner):
                assert f"{field.name}: " in kind.__doc__, (kind, field.name)
            else:
                look(inner)

    look(Recipe)
    look(Event)


def test_the_saved_recipe_is_plain_yaml():
    assert yaml.safe_load(as_yaml(RECIPES["source_2012"]))["schedule"]["events"][2]["stage"] == "conv1"
    assert set(yaml.safe_load(as_yaml(RECIPES["paper"]))) == set(asdict(Recipe()))
