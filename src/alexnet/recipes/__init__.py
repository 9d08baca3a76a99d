"""The named recipes, and recipes read from and written to YAML.

>>> from alexnet.recipes import load_recipe
>>> load_recipe("paper").optimiser.rate
0.01
"""

import re
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any

import yaml
from jsonargparse import ArgumentError, ArgumentParser, Namespace

from alexnet.errors import InputError
from alexnet.recipe import Recipe
from alexnet.recipes.caffe import CAFFE
from alexnet.recipes.googlenet import GOOGLENET
from alexnet.recipes.lenet5 import LENET5
from alexnet.recipes.nin import NIN, NIN_CIFAR
from alexnet.recipes.paper import PAPER
from alexnet.recipes.practical import PRACTICAL
from alexnet.recipes.resnet import RESNET, RESNET_CIFAR, RESNET_CIFAR_DEEP
from alexnet.recipes.source_2012 import SOURCE_2012
from alexnet.recipes.vgg import VGG, VGG_DEEP

RECIPES: dict[str, Recipe] = {
    "practical": PRACTICAL,
    "lenet5": LENET5,
    "paper": PAPER,
    "source_2012": SOURCE_2012,
    "caffe": CAFFE,
    "nin": NIN,
    "nin_cifar": NIN_CIFAR,
    "vgg": VGG,
    "vgg_deep": VGG_DEEP,
    "googlenet": GOOGLENET,
    "resnet": RESNET,
    "resnet_cifar": RESNET_CIFAR,
    "resnet_cifar_deep": RESNET_CIFAR_DEEP,
}

PAIRS = {"augmentation.scale": "[1.14,2.14]", "augmentation.area": "[0.08,1]"}  # how fields of two numbers are written


def load_recipe(name_or_file: str | Path) -> Recipe:
    """Give a named recipe, or read one from a YAML file.

    A file holds the fields that differ from the recipe that its `name` says (by default `practical`).

    Raises:
        InputError: neither a name nor a file; a field that does not exist; a value of a wrong type.
    """
    if str(name_or_file) in RECIPES:
        return RECIPES[str(name_or_file)]
    path = Path(name_or_file)
    if not path.is_file():
        raise InputError(
            f"recipe {str(name_or_file)!r} is neither a file nor one of {', '.join(RECIPES)}: "
            "name one of these or give a YAML file"
        )
    try:
        values = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise InputError(f"{path} is not YAML ({' '.join(str(error).split())}): mend the file") from None
    if isinstance(values, dict) and values.get("name", "practical") not in RECIPES:
        raise InputError(
            f"{path} is based on {values['name']!r}, which is no recipe: its name says which one it changes, "
            f"one of {', '.join(RECIPES)}"
        )
    if not isinstance(values, dict):
        raise InputError(f"{path} holds no fields: a recipe file has lines such as 'epochs: 3'")
    try:
        return recipe_from(values)
    except InputError as error:
        raise InputError(f"{path}: {error}") from None


def recipe_from(values: dict[str, Any]) -> Recipe:
    """Make a recipe of nested fields; those that are missing come from the recipe named by `name`."""
    base = RECIPES.get(str(values.get("name", "practical")), RECIPES["practical"])
    parser = ArgumentParser(exit_on_error=False)
    add_recipe_options(parser, base)
    try:
        return recipe_of(parser, parser.parse_object(values))
    except (ArgumentError, TypeError) as error:
        raise InputError(one_line(error)) from None


def add_recipe_options(parser: ArgumentParser, base: Recipe) -> None:
    """Give a parser an option for every field of a recipe, with the defaults of `base`."""
    parser.add_class_arguments(Recipe, None)
    parser.set_defaults(_dotted(asdict(base)))


def recipe_of(parser: ArgumentParser, parsed: Namespace) -> Recipe:
    """Make the recipe of what a parser with recipe options has parsed.

    Raises:
        InputError: a number that makes no sense.
    """
    made = parser.instantiate(parsed)
    recipe = Recipe(**{field.name: getattr(made, field.name) for field in fields(Recipe)})
    for name, value, sensible, wanted in _numbers(recipe):
        if value is not None and not sensible:
            raise InputError(f"--{name} {value}: give {wanted}")
    return recipe


def _numbers(recipe: Recipe) -> list[tuple[str, Any, bool | None, str]]:
    """Numbers that a type alone does not judge: name, value, whether it makes sense, what would."""
    data, optimiser, schedule = recipe.data, recipe.optimiser, recipe.schedule
    ones = {
        "size": recipe.size,
        "epochs": recipe.epochs,
        "data.stored": data.stored,
        "optimiser.batch": optimiser.batch,
        "optimiser.micro_batch": optimiser.micro_batch,
        "augmentation.shared_by": recipe.augmentation.shared_by,
        "schedule.patience": schedule.patience,
        "schedule.published_epochs": schedule.published_epochs,
        "schedule.early_stop": schedule.early_stop,
    }
    above = {
        "max_minutes": recipe.max_minutes,
        "optimiser.rate": optimiser.rate,
        "schedule.factor": schedule.factor,
        "schedule.every": schedule.every,
        "data.margin": data.margin,
    }
    zeros = {
        "seed": recipe.seed,
        "augmentation.pad": recipe.augmentation.pad,
        "optimiser.decay": optimiser.decay,
        "optimiser.bias_rate": optimiser.bias_rate,
        "optimiser.kept_rate": optimiser.kept_rate,
        "augmentation.colour_deviation": recipe.augmentation.colour_deviation,
        "schedule.drops": schedule.drops,
    }
    shares = {"data.test": data.test, "data.validation": data.validation, "schedule.warm_up": schedule.warm_up}
    scale, area = recipe.augmentation.scale, recipe.augmentation.area
    pairs = [
        (
            "augmentation.scale",
            scale,
            scale and 1 <= scale[0] <= scale[1],
            f"a smaller and a larger multiple, from 1, such as {PAIRS['augmentation.scale']}",
        ),
        (
            "augmentation.area",
            area,
            area and 0 < area[0] <= area[1] <= 1,
            f"a smaller and a larger share, up to 1, such as {PAIRS['augmentation.area']}",
        ),
        ("augmentation.area", area, not scale, "it or --augmentation.scale, not both"),
    ]
    below_one = {"optimiser.momentum": optimiser.momentum}
    return [
        *pairs,
        *((name, value, value is not None and value >= 1, "1 or more") for name, value in ones.items()),
        *((name, value, value is not None and value > 0, "more than 0") for name, value in above.items()),
        *((name, value, value >= 0, "0 or more") for name, value in zeros.items()),
        *((name, value, 0 <= value < 1, "0 or more, and less than 1") for name, value in (shares | below_one).items()),
    ]


def as_yaml(recipe: Recipe) -> str:
    """Write a recipe as YAML, fields in their order."""
    return yaml.safe_dump(_plain(asdict(recipe)), sort_keys=False, allow_unicode=True)


def as_fields(recipe: Recipe) -> dict[str, Any]:
    """A recipe as plain nested fields, as JSON and YAML hold them."""
    return _plain(asdict(recipe))


def one_line(error: Exception) -> str:
    """Say a parser's error in one line: which field, what came, what was wanted."""
    text = str(error)
    key = re.search(r'key "([\w.]+)"', text)
    given = re.search(r"(?:Given value|Got value): (.*)", text)
    wanted = sorted(set(re.findall(r"Expected an? (<class '\w+'>|[\w.]+\[.*?\])", text)))
    if key and given and wanted:
        kinds = " or ".join(re.sub(r"<class '(\w+)'>", r"\1", kind).removeprefix("typing.") for kind in wanted)
        kinds = kinds.replace("NoneType", "null")
        if key[1] in PAIRS:
            kinds = f"null or two numbers such as {PAIRS[key[1]]}"
        return f"--{key[1]} got {given[1].strip()!r}: wanted {kinds}"
    return " ".join(text.split())


def _dotted(values: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for name, value in values.items():
        if isinstance(value, dict):
            flat |= _dotted(value, f"{prefix}{name}.")
        else:
            flat[prefix + name] = value
    return flat


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _plain(item) for name, item in value.items()}
    return [_plain(item) for item in value] if isinstance(value, tuple | list) else value
