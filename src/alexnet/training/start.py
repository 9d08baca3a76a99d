"""How a run begins, anew or where it was stopped: data packed and parted, net built, folder written."""

import platform
from collections.abc import Collection
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
import yaml

from alexnet.augment import CENTRE, ColourAxes, patches, to_planes
from alexnet.checkpoint import Card, load_state, load_weights, read_card, read_run, weights_file
from alexnet.data import Packed, Parts, Source, Statistics, open_packed, open_source, packed_for, split, statistics
from alexnet.devices import choose_device, environment
from alexnet.errors import InputError
from alexnet.evaluation.evaluate import trained_on
from alexnet.files import replacing, write_json, write_text
from alexnet.models import Classifier, build, model
from alexnet.models.vgg import FROM_A, from_shallower
from alexnet.parallel.launch import name_of_launch
from alexnet.parallel.schemes import Layout, refuse
from alexnet.progress import note
from alexnet.recipe import Recipe
from alexnet.recipes import as_fields, as_yaml, recipe_from
from alexnet.recipes.practical import RATES, USUAL_RATE
from alexnet.training.optimise import parameter_groups
from alexnet.training.run import Run, now
from alexnet.training.speed import choose, resumed
from alexnet.version import __version__

WORK = 20_000  # images that a recipe without a length sees in all, within these bounds:
EPOCHS = (6, 60)


def start(
    source: Source | Packed | str,
    recipe: Recipe,
    out: Path | None = None,
    weights: Path | None = None,
    freeze: tuple[str, ...] = (),
    device: str = "auto",
    root: Path | None = None,
    command: str = "",
    given: Collection[str] = (),
    layout: Layout = "data",
) -> Run:
    """Make a new run: pack the source, part it, build the net, and write the run's folder.

    Args:
        source: a SOURCE of the command line, or one that is open.
        recipe: fields that are None are decided here.
        out: the run's folder; by default runs/<source>-<model>-<n>.
        weights: run or file to start from: all stages but the classifiers are taken over, and with them the
            net, its input size and what it subtracts, whatever the recipe says. Where the recipe's net.start is
            "vgg_a", the net is the recipe's, and takes from a vgg_a what the paper says.
        freeze: stages that do not learn.
        device: "auto", "cpu", "cuda" or "mps".
        root: where named sets are kept.
        command: noted in the run's folder.
        given: fields of the recipe that were asked for by name; of those that weights bring, that is an error.
        layout: how several processes share the work.

    Raises:
        InputError: the folder exists; the data cannot be trained on; a stage or model does not exist.
    """
    if out is not None and Path(out).exists():
        raise InputError(f"{out} exists and is never overwritten: choose another --out, or go on with --resume {out}")
    chosen = choose_device(device)
    recipe = recipe_from(as_fields(recipe))  # numbers judged, and as a file would give them
    if weights is not None:
        for name in ("size",) if _is_staged(recipe) else ("model", "size"):
            if name in given:
                raise InputError(f"--from brings its own net: leave --{name} (in Python {name}=) out")
        weights = weights_file(weights).resolve()
        card = read_card(weights)
        if _is_staged(recipe):
            _refuse_others(recipe, card)
        recipe = _brought(recipe, card)
    elif _is_staged(recipe):
        told = f"alexnet train {source if isinstance(source, str) else 'SOURCE'}"
        raise InputError(
            f"{recipe.model} is to begin with layers of a trained vgg_a: train that with {told} --recipe vgg --out A, "
            f"then {told} --recipe vgg_deep --from A"
        )
    published = model(recipe.model)
    opened = source if isinstance(source, Source | Packed) else open_source(source, root)
    packed, size, side = packed_for(opened, recipe, published.size, published.small)
    recipe = replace(recipe, model=published.name, size=size)
    parts = split(packed, recipe.data.test, recipe.data.validation)
    for text in parts.notes:
        note(text)
    recipe = decide(recipe, packed, len(parts.train))
    if side < size:
        raise InputError(
            f"patches of {size} pixels do not fit into images of {side}: raise --data.stored or lower --size"
        )
    watches = recipe.schedule.kind == "plateau" or recipe.schedule.early_stop is not None
    if watches and len(parts.validation) == 0:
        raise InputError(
            f"the recipe {recipe.name} goes by the validation error and there are no validation images: "
            "raise --data.validation, or take --schedule.kind one_cycle"
        )
    counted = statistics(packed, parts.train)
    net = make_net(recipe, len(packed.classes), counted, size, side, weights)
    refuse(net, layout, min(recipe.optimiser.batch, len(parts.train)))
    fine_tuned = weights is not None and not _is_staged(recipe)
    fresh, frozen = net.fresh if fine_tuned else set(), set(freeze)
    parameter_groups(net, recipe, fresh, frozen)  # refuses a stage that does not exist, before anything is written
    run = Run(
        folder=_new_folder(out, packed.name, recipe.model),
        recipe=recipe,
        packed=packed,
        parts=parts,
        net=net,
        device=chosen,
        fresh=fresh,
        frozen=frozen,
        colour_axes=ColourAxes(counted.eigenvalues, counted.eigenvectors, net.mean),
        size=size,
        side=side,
        speed=choose(recipe, net, chosen, images_of(recipe, parts)),
        layout=layout,
    )
    _write_folder(run, command, weights)
    return run


def resume(
    folder: Path, source: str | None = None, device: str = "auto", layout: Layout = "data", ended: bool = False
) -> Run:
    """Take up a run that was stopped or killed, at the last state it saved, or at its beginning before that.

    Args:
        folder: the run's folder.
        source: where the images are now, if they were moved; they must be the same.
        device, layout: as for `start`; both may be others than before.
        ended: also give a run whose training is over, for its test.

    Raises:
        InputError: no such run; it has ended; the images are gone or others.
    """
    about = read_run(folder)
    if "compared_with" in about:
        raise InputError(f"the weights in {folder} were brought in: begin a run with them, --from {folder}")
    state = load_state(folder / "state.pt")
    if state is None and "finished" in about and not ended:
        untested = not (folder / "evaluation.json").is_file()
        raise InputError(
            f"{folder} has ended: "
            + (f"test it with alexnet evaluate {folder}, then alexnet report {folder}" if untested else "")
            + (f"train on from its weights with --from {folder}" if not untested else "")
        )
    recipe = recipe_from(yaml.safe_load((folder / "recipe.yaml").read_text(encoding="utf-8")))
    chosen = choose_device(device)
    alone = {"processes": 1, "layout": "data"}  # in runs that were begun when nothing else was possible
    for name, value in (environment(chosen) | {"layout": layout}).items():
        saved = about["environment"].get(name, alone.get(name))
        if saved != value:
            note(f"begun with {name} {saved}, resumed with {value}: the last digits may differ")
    packed = _packed_again(folder, about, recipe, source)
    parts = split(packed, recipe.data.test, recipe.data.validation)
    counted = statistics(packed, parts.train)
    weights = Path(about["from"]) if about["from"] and state is None else None
    net = make_net(recipe, len(packed.classes), counted, about["size"], about["side"], weights)
    refuse(net, layout, min(recipe.optimiser.batch, len(parts.train)))
    if state is not None:
        net.set_preprocessing(state["net"]["mean"], state["net"]["scale"])
    return Run(
        folder=folder,
        recipe=recipe,
        packed=packed,
        parts=parts,
        net=net,
        device=chosen,
        fresh=set(about["fresh"]),
        frozen=set(about["frozen"]),
        colour_axes=ColourAxes(counted.eigenvalues, counted.eigenvectors, net.mean),
        size=about["size"],
        side=about["side"],
        speed=resumed(about.get("speed"), recipe, net, chosen, images_of(recipe, parts)),
        layout=layout,
        state=state,
    )


def make_net(
    recipe: Recipe, classes: int, counted: Statistics, size: int, side: int, weights: Path | None
) -> Classifier:
    """Build a run's net: initial weights from the recipe's seed, or taken over, and what is subtracted.

    Args:
        recipe: model, start, mean and scale.
        classes: number of scores.
        counted: of the training part.
        size: side of the input, `side`: shorter side that patches are cut from; both in pixels.
        weights: run or file that the stages come from, as `start` has it, or None.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(recipe.seed)
        net = build(recipe.model, classes, size, "he" if recipe.net.start == "he" else "paper")
    if weights is None:
        net.set_preprocessing(*_preprocessing(recipe, counted, side, size, net))
        return net
    before, _ = load_weights(weights_file(weights))
    if _is_staged(recipe):
        from_shallower(net, before)
        net.set_preprocessing(before.mean, before.scale)
    else:
        take_over(net, before)
    return net


def decide(recipe: Recipe, packed: Packed, train: int) -> Recipe:
    """Fill what the recipe leaves to the data or the net: length, mirror and rate."""
    low, high = EPOCHS
    epochs = recipe.epochs if recipe.epochs is not None else max(low, min(high, WORK // max(1, train)))
    mirror = recipe.augmentation.mirror if recipe.augmentation.mirror is not None else not packed.characters
    rate = recipe.optimiser.rate if recipe.optimiser.rate is not None else RATES.get(recipe.model, USUAL_RATE)
    return replace(
        recipe,
        epochs=epochs,
        augmentation=replace(recipe.augmentation, mirror=mirror),
        optimiser=replace(recipe.optimiser, rate=rate),
    )


def images_of(recipe: Recipe, parts: Parts) -> int:
    """Training images that a run will put through its net, epochs counted."""
    return (recipe.epochs or 0) * len(parts.train)


def take_over(net: Classifier, before: Classifier) -> None:
    """Copy all stages but the classifiers, and what is subtracted from the input."""
    own = net.state_dict()
    kept = {
        name: value
        for name, value in before.state_dict().items()
        if name.split(".")[0] not in net.fresh and name in own
    }
    net.set_preprocessing(kept["mean"], kept["scale"])
    net.load_state_dict(kept, strict=False)


def _is_staged(recipe: Recipe) -> bool:
    """Whether a VGG net is to begin with layers of a shallower one, all of which learn at the full rate."""
    return recipe.net.start == "vgg_a"


def _refuse_others(recipe: Recipe, card: Card) -> None:
    """Refuse a staged start of other nets than the paper's, before any image is packed."""
    wanted = model(recipe.model).name
    if card.model != "vgg_a" or wanted not in FROM_A:
        raise InputError(
            f"{wanted} cannot start from {card.model}: start one of {', '.join(FROM_A)} from vgg_a, "
            "or take another --recipe than vgg_deep"
        )


def _brought(recipe: Recipe, card: Card) -> Recipe:
    """The recipe with what comes with weights: what is subtracted, the input's size, and mostly the net."""
    net = recipe_from(card.recipe).net
    if _is_staged(recipe):
        return replace(recipe, size=card.size, net=replace(net, start="vgg_a"))
    if net.start == "vgg_a":  # these weights were themselves begun so
        net = replace(net, start="paper")
    return replace(recipe, model=card.model, size=card.size, net=net)


def _preprocessing(
    recipe: Recipe, counted: Statistics, side: int, size: int, fresh: Classifier
) -> tuple[torch.Tensor, float]:
    scale = {"one": 1.0, "deviation": counted.deviation, "own": float(fresh.scale)}[recipe.net.scale]
    if recipe.net.mean == "own":
        return fresh.mean, scale
    mean = torch.from_numpy(counted.mean).float()[:, None, None]
    if recipe.net.mean == "image":
        image = to_planes(np.moveaxis(counted.mean_image, 0, -1)[None], side, "cpu")
        middle = torch.full((1, 2), CENTRE, dtype=torch.float64)
        mean = patches(image, middle, torch.zeros(1, dtype=torch.bool), size)[0].contiguous()
    return mean, scale


def _packed_again(folder: Path, about: dict[str, Any], recipe: Recipe, source: str | None) -> Packed:
    if source is None and Path(about["packed"]).is_dir():
        packed = open_packed(Path(about["packed"]))
    else:
        if source is None and not about["spec"]:
            raise InputError(f"the pack of the Dataset that {folder} was trained on is gone: start a new run")
        try:
            opened = open_source(source or about["spec"])
        except InputError as error:
            raise InputError(f"{error}; if the images were moved, say where with --source") from None
        packed, _, _ = packed_for(opened, recipe)
    if packed.fingerprint != about["fingerprint"]:
        raise InputError(
            f"{source or about['spec']} does not hold the images that {about['source']} was trained on: "
            "give the same images with --source, or start a new run"
        )
    return packed


def _new_folder(out: Path | None, source: str, model: str) -> Path:
    if out is not None:
        out.mkdir(parents=True, exist_ok=True)
        return out
    for number in range(1, 100_000):
        folder = Path("runs") / f"{source}-{model}-{number}"
        try:
            folder.mkdir(parents=True)
            return folder
        except FileExistsError:
            continue
    raise InputError("runs/ is full: give --out")


def _write_folder(run: Run, command: str, weights: Path | None) -> None:
    write_text(run.folder / "recipe.yaml", as_yaml(run.recipe))
    seen = run.packed.digests[run.parts.train]
    if weights is not None and (weights.parent / "trained_on.npy").is_file():
        earlier = np.load(weights.parent / "trained_on.npy")
        tested = trained_on(weights.parent, run.packed.digests[run.parts.test])
        if tested:
            note(f"careful: {tested} of the test images were trained on by {weights.parent}, whose weights come in")
        seen = np.unique(np.concatenate([earlier, seen]), axis=0)
    with replacing(run.folder / "trained_on.npy") as aside:
        np.save(aside, seen)
    first = next((name for name, value in run.net.state_dict().items() if value.dim() == 4 and "weight" in name), None)
    write_json(
        run.folder / "run.json",
        {
            "command": command,
            "version": __version__,
            "model": run.recipe.model,
            "source": run.packed.name,
            "spec": run.packed.spec,
            "packed": str(run.packed.path.resolve()),
            "fingerprint": run.packed.fingerprint,
            "classes": run.packed.classes,
            "counts": dict(zip(run.packed.classes, run.class_counts)),
            "parts": {
                "train": len(run.parts.train),
                "validation": len(run.parts.validation),
                "test": len(run.parts.test),
                "left_out": len(run.parts.left_out),
            },
            "skipped": [vars(problem) for problem in run.packed.skipped],
            "notes": run.parts.notes,
            "from": str(weights) if weights is not None else None,
            "fresh": sorted(run.fresh),
            "frozen": sorted(run.frozen),
            "parameters": run.net.parameter_count,
            "size": run.size,
            "side": run.side,
            "first_filters": {
                "key": first,
                "towers": getattr(run.net.stages.get("conv2"), "groups", 1),
            },
            "speed": asdict(run.speed),
            "environment": environment(run.device) | {"layout": run.layout},
            "launch": name_of_launch(),
            "machine": platform.platform(),
            "started": now(),
        },
    )
