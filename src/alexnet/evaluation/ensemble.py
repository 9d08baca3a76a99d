"""Several nets asked about the same images, and the average of their answers.

Krizhevsky et al. (2012, section 6) average the predictions of five and of seven nets, Szegedy et al. (2015,
section 7) the softmax outputs of seven GoogLeNets: a plain mean of softmax outputs, over views first and then
over nets, each net weighing the same. Temperatures are not applied: the papers had none.
"""

import csv
from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np

from alexnet.checkpoint import Card, load_weights, weights_file
from alexnet.data import Packed, Source
from alexnet.devices import choose_device
from alexnet.errors import InputError
from alexnet.evaluation.classify import probabilities
from alexnet.evaluation.evaluate import class_numbers, images_of, places, rows_of, trained_on
from alexnet.evaluation.inference import for_inference
from alexnet.evaluation.metrics import errors_text, figures, top_k
from alexnet.evaluation.sharing import same_everywhere
from alexnet.files import replacing
from alexnet.models import Classifier
from alexnet.processes import size


@dataclass(frozen=True)
class Member:
    """One of the nets.

    Attributes:
        run: as it was given.
        folder: where its files lie.
        net: in evaluation mode.
        card: what it is.
        columns: for each class of the first member, where this net has it: int64 [classes].
    """

    run: str
    folder: Path
    net: Classifier
    card: Card
    columns: np.ndarray


def ensemble(
    runs: Sequence[str | Path],
    source: str | Source | None = None,
    views: str | None = None,
    split_name: str | None = None,
    root: Path | None = None,
    device: str = "auto",
    allow_seen: bool = False,
) -> dict[str, Any]:
    """Measure each run, and the mean of their softmax outputs, on the same images.

    The images are those that `evaluate` takes for the first run. The others find them again by the SHA-256 of
    their files, each packed at the size of its own net.

    Args:
        runs: folders of runs, or files of weights: two or more, of any nets and sizes, with the same classes.
        source: a SOURCE of the command line.
        views: "center", "ten" or "dense" for all; by default what each one's recipe says.
        split_name: "train", "val" or "test".
        root: where named sets are kept.
        device: "auto", "cpu", "cuda" or "mps".
        allow_seen: also measure images that one of the nets was trained on.

    Returns:
        "images", "classes", "k", "source", "split", "averaged"; "members": a row each with "run", "model",
        "size", "views", "averaged", "trained_on" and the figures; and the figures of the average:
        "top1_error", "top5_error" (of k), "interval" (95 %) and "log_loss". Errors are fractions 0..1.

    Raises:
        InputError: fewer than two runs; classes that differ; images that a member was trained on.
    """
    if len(runs) < 2:
        raise InputError(f"{len(runs)} run came: give two or more, evaluate measures one")
    members = opened(runs)
    first = members[0]
    packed = images_of(first.card, first.folder, source, root)
    rows, part = rows_of(packed, first.card, split_name)
    labels, digests = class_numbers(packed, first.card)[rows], packed.digests[rows]
    seen = [trained_on(member.folder, digests) for member in members]
    if part != "train" and not allow_seen:
        refuse_seen(members, seen, len(rows))
    total = np.zeros((len(rows), len(first.card.classes)))
    table = []
    for number, (member, count) in enumerate(zip(members, seen), start=1):
        own = packed if member is first else same_images(member, first, packed, source, root)
        evaluation = member.card.recipe["evaluation"]
        view = str(views or evaluation["views"])
        same_everywhere((member.card, sha256(digests.tobytes()).digest()))
        p = probabilities(
            for_inference(member.net, choose_device(device), len(rows) * (10 if view == "ten" else 1) // size()),
            own,
            rows if own is packed else rows_with(own, digests, member),
            member.card.side,
            member.card.size,
            view,
            str(evaluation["averaged"]),
            what=f"net {number} of {len(members)}, {view}",
        )[:, member.columns]
        member.net.cpu()  # one net at a time on the device
        total += p
        table.append(
            {
                "run": member.run,
                "model": member.card.model,
                "size": member.card.size,
                "views": view,
                "averaged": "scores over the map, softmax over the mirror"
                if view == "dense"
                else str(evaluation["averaged"]),
                "trained_on": count,
            }
            | figures(p, labels)
        )
    return {
        "images": len(rows),
        "classes": first.card.classes,
        "k": top_k(len(first.card.classes)),
        "source": packed.name,
        "split": part,
        "averaged": "softmax, uncalibrated, every net weighing the same",
        "members": table,
    } | figures(total / len(members), labels)


def opened(runs: Sequence[str | Path]) -> list[Member]:
    """Open the runs; bring the classes of all into the first one's order.

    Raises:
        InputError: one that has other classes than the first.
    """
    members: list[Member] = []
    for run in runs:
        file = weights_file(run)
        net, card = load_weights(file)
        classes = members[0].card.classes if members else card.classes
        columns = places(classes, members[0].card.source if members else card.source, card)
        if (columns < 0).any() or len(classes) != len(card.classes):
            only = set(classes) ^ set(card.classes)
            raise InputError(
                f"{run} and {runs[0]} do not have the same classes ({', '.join(sorted(only)[:5])} in one of them "
                "only): average nets that were trained on the same classes"
            )
        members.append(Member(str(run), file.parent, net, card, columns))
    return members


def refuse_seen(members: Sequence[Member], seen: Sequence[int | None], images: int) -> None:
    """Raise an `InputError` where a net was trained on some of the images that it is to be measured on."""
    for member, count in zip(members, seen):
        if count:
            raise InputError(
                f"{member.run} was trained on {count:,} of these {images:,} images, which would flatter the average: "
                "give other images as --source, or --allow-seen to measure them all the same"
            )


def same_images(
    member: Member, first: Member, packed: Packed, source: str | Source | None, root: Path | None
) -> Packed:
    """The images of `packed`, the first member's, stored as this member's net takes them."""
    if source is None and member.card.fingerprint != packed.fingerprint:
        if not first.card.spec:
            raise InputError(f"{member.run} was not trained on the images of {first.run}: give images as --source")
        source = first.card.spec
    return images_of(member.card, member.folder, source, root)


def rows_with(packed: Packed, digests: np.ndarray, member: Member) -> np.ndarray:
    """The rows of a pack that hold the images of these SHA-256 digests [n, 32], in their order: int64 [n].

    Raises:
        InputError: one is not there.
    """
    row_of = {digest.tobytes(): row for row, digest in enumerate(packed.digests)}
    rows = [row_of.get(digest.tobytes()) for digest in digests]
    missing = rows.count(None)
    if missing:
        raise InputError(
            f"{missing:,} of the {len(rows):,} images are not among those that {member.run} finds in {packed.name}: "
            "give the images of all as --source"
        )
    return np.array(rows, np.int64)


def as_text(result: dict[str, Any]) -> str:
    """A result as a table for people."""
    k = result["k"]
    lines = [
        f"{len(result['members'])} nets on {result['source']}, {result['split']} part: {result['images']:,} images",
        f"{'run':40} {'model':20} {'views':7} {'top-1 error, 95 % interval':28} top-{k} error",
    ]
    lines += [f"{row['run']:40} {row['model']:20} {row['views']:7} {errors_text(row)}" for row in result["members"]]
    lines.append(f"{'the average':40} {'':20} {'':7} {errors_text(result)}")
    for row in result["members"]:
        if row["trained_on"] is None:
            lines.append(f"whether {row['run']} was trained on these images is not known: no trained_on.npy beside it")
        elif row["trained_on"] and result["split"] != "train":
            lines.append(f"careful: {row['run']} was trained on {row['trained_on']:,} of these images")
    return "\n".join(lines)


def write_table(path: Path, result: dict[str, Any]) -> None:
    """Write a line for each net and one for the average as CSV, atomically."""
    columns = ["run", "model", "size", "views", "images", "top1_error", "low", "high", "top5_error", "log_loss"]
    with replacing(path) as aside, aside.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, columns, extrasaction="ignore")
        writer.writeheader()
        for row in [*result["members"], result | {"run": "the average"}]:
            low, high = row["interval"]
            writer.writerow(row | {"images": result["images"], "low": low, "high": high})
