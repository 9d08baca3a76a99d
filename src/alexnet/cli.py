"""The command line: one function per command. What is heavy is imported inside, so that --help is quick."""

import os
import shlex
import sys
from collections.abc import Callable
from pathlib import Path

from alexnet.errors import InputError, JobFailed
from alexnet.options import Parser, did_you_mean, json_option, parted, print_json, source_argument, value_of
from alexnet.version import __version__


def models(arguments: list[str]) -> int:
    """List the nets that can be built."""
    parser = Parser("models", "List the nets that can be built, with paper, year and parameters.")
    json_option(parser)
    asked = parser.parse_intermixed_args(arguments)
    from alexnet.models import MODELS, parameters

    rows = [
        {"name": m.name, "paper": m.paper, "year": m.year, "parameters": parameters(m.name), "note": m.note}
        for m in MODELS.values()
    ]
    if asked.json:
        return print_json(rows)
    for row in rows:
        print(f"{row['name']:20} {row['parameters']:>12,}  {row['note']}")
    print("\nThe papers: alexnet models --json. One net, layer by layer: alexnet summary alexnet")
    return 0


def summary(arguments: list[str]) -> int:
    """Show a net layer by layer, as its paper's table does."""
    parser = Parser("summary", "Show a net layer by layer: output, parameters, multiply-adds, receptive field.")
    parser.add_argument("model", help="a name that `alexnet models` lists")
    parser.add_argument("--size", type=int, help="side of the input in pixels (default: the publication's)")
    parser.add_argument("--classes", type=int, default=1000, help="number of classes (default 1000)")
    json_option(parser)
    asked = parser.parse_intermixed_args(arguments)
    import torch
    from rich.console import Console

    from alexnet.models import build
    from alexnet.models.summary import summary, summary_for_terminal

    with torch.device("meta"):  # counting needs no weights
        document = summary(build(asked.model, asked.classes, asked.size))
    if asked.json:
        return print_json(document)
    Console().print(summary_for_terminal(document))
    return 0


def compare(arguments: list[str]) -> int:
    """Say what tells two nets apart, with the source of each fact."""
    parser = Parser("compare", "Say what tells two nets apart, line by line, with the source of each fact.")
    parser.add_argument("first", help="a name that `alexnet models` lists")
    parser.add_argument("second", help="another one")
    json_option(parser)
    asked = parser.parse_intermixed_args(arguments)
    from rich.console import Console

    from alexnet.models.compare import differences, differences_table

    rows = differences(asked.first, asked.second)
    if asked.json:
        return print_json(rows)
    Console().print(differences_table(asked.first, asked.second, rows))
    return 0


def check(arguments: list[str]) -> int:
    """Look through a source before anything is trained on it."""
    parser = Parser("check", "Read every image of SOURCE and say what is wrong, before any training.")
    source_argument(parser)
    json_option(parser)
    asked = parser.parse_intermixed_args(arguments)
    from alexnet.data import check as check_source
    from alexnet.data import open_source

    found = check_source(open_source(asked.source, asked.root))
    if asked.json:
        print_json(found.to_dict())
        return 0 if found.usable else 2
    for name, count in found.classes.items():
        print(f"{count:8,}  {name}")
    print(f"{found.images:8,}  images of {len(found.classes)} classes")
    if found.parts:
        print(f"{'':8}  " + ", ".join(f"{count:,} {part.replace('_', ' ')}" for part, count in found.parts.items()))
    for note in found.notes:
        print(note)
    for problem in found.problems:
        print(f"{problem.kind}: {problem.path}: {problem.detail}")
    print("ready to train" if found.usable else "not ready to train: see above")
    return 0 if found.usable else 2


def pack(arguments: list[str]) -> int:
    """Pack a source into plain .npy files that train in no time."""
    parser = Parser("pack", "Decode SOURCE once and store it as plain .npy files with a manifest.")
    source_argument(parser)
    parser.add_argument("out", type=Path, help="the new folder")
    parser.add_argument("--size", type=int, default=224, help="side of the net's input in pixels (default 224)")
    parser.add_argument("--stored", type=int, help="shorter side as stored (default: size * 256 / 224)")
    parser.add_argument("--crop", choices=("centre", "none"), default="centre", help="centre squares or whole images")
    parser.add_argument("--format", choices=("auto", "raw", "jpeg"), default="auto", help="raw under 4 GB, else JPEG")
    json_option(parser)
    asked = parser.parse_intermixed_args(arguments)
    from alexnet.data import open_source
    from alexnet.data import pack as pack_source

    packed = pack_source(
        open_source(asked.source, asked.root), asked.out, asked.stored, asked.crop, asked.format, asked.size
    )
    if asked.json:
        skipped = [vars(problem) for problem in packed.skipped]
        return print_json(
            {"path": str(packed.path), "images": len(packed), "classes": packed.classes, "skipped": skipped}
        )
    print(f"{len(packed)} images of {len(packed.classes)} classes in {packed.path}, {len(packed.skipped)} skipped")
    return 0


def train(arguments: list[str]) -> int:
    """Train a net on a source, test it and write a report."""
    from jsonargparse import ArgumentError, ArgumentParser

    from alexnet.recipes import add_recipe_options, load_recipe, one_line, recipe_of

    flags = {"--json", "--board", "-h", "--help"}
    options, positionals = parted(arguments, flags)
    parser = ArgumentParser(prog="alexnet train", exit_on_error=False, allow_abbrev=False, description=TRAIN)
    parser.add_argument("source", nargs="?", default="digits", help="what to train on (default digits)")
    parser.add_argument("--recipe", default="practical", help="practical, paper, source_2012, caffe, or a YAML file")
    parser.add_argument("--out", help="the run's folder (default runs/<source>-<model>-<n>)")
    parser.add_argument("--from", help="start from the weights of a run or a .safetensors file")
    parser.add_argument("--freeze", help="stages that do not learn, with commas between")
    parser.add_argument("--resume", help="go on with a run that was stopped or killed")
    parser.add_argument("--source", dest="moved", help="with --resume: where the images are now")
    parser.add_argument("--device", default="auto", help="auto, cpu, cuda or mps")
    parser.add_argument("--root", help="where named sets are kept")
    parser.add_argument("--save_every", type=float, default=60.0, help="seconds between two saved states")
    parser.add_argument("--board", action="store_true", help="also write TensorBoard's events")
    parser.add_argument("--json", action="store_true", help="print the result as one JSON document")
    base = load_recipe(value_of(options, "--recipe") or "practical")
    add_recipe_options(parser, base)
    try:
        asked = parser.parse_args([*options, *positionals])
        recipe = recipe_of(parser, asked)
    except (ArgumentError, TypeError) as error:
        known = [option for action in parser._actions for option in action.option_strings]
        raise InputError(f"{one_line(error)}{did_you_mean(options, known)}") from None
    from alexnet.devices import keep_memory
    from alexnet.training.journal import board_class
    from alexnet.training.loop import STOPPED, fit
    from alexnet.training.start import resume, start

    if asked.board:
        board_class()
    if asked.resume:
        names = [word.split("=")[0] for word in options if word.startswith("--")]
        others = [name for name in names if name not in RESUME_OPTIONS] + positionals
        if others:
            raise InputError(
                f"--resume goes on with the run's own source and recipe, {others[0]} cannot be changed: "
                f"leave it out, or start a new run with --from {asked.resume}"
            )
        run = resume(Path(asked.resume), asked.moved, asked.device)
    else:
        if asked.moved:
            raise InputError("--source says where a resumed run finds its images: give SOURCE without the --source")
        for brought in ("--model", "--size"):
            if asked["from"] and value_of(options, brought):
                raise InputError(f"--from brings its own net: leave {brought} out")
        run = start(
            asked.source,
            recipe,
            out=Path(asked.out) if asked.out else None,
            weights=Path(asked["from"]) if asked["from"] else None,
            freeze=tuple(name.strip() for name in asked.freeze.split(",")) if asked.freeze else (),
            device=asked.device,
            root=Path(asked.root) if asked.root else None,
            command=shlex.join(["alexnet", "train", *arguments]),
        )
    from alexnet.api import complete
    from alexnet.progress import note
    from alexnet.training.summary import closing_lines, opening_lines

    for line in opening_lines(run):
        note(line)
    keep_memory()
    reason = fit(run, asked.save_every, asked.board)
    if reason == STOPPED:
        note(f"stopped and saved; to go on: alexnet train --resume {run.folder}")
        return 130
    result = complete(run, reason)
    if asked.json:
        return print_json(result)
    for line in closing_lines(result):
        print(line)
    return 0


def evaluate(arguments: list[str]) -> int:
    """Measure a trained net by a named protocol."""
    parser = Parser("evaluate", "Measure RUN on its test part, or on SOURCE, by a named protocol.")
    parser.add_argument("run", help="a run's folder, or a .safetensors file")
    parser.add_argument("source", nargs="?", help="other images (default: the run's own test part)")
    parser.add_argument("--views", choices=("center", "ten", "dense"), help="default: what the recipe says")
    parser.add_argument("--split", choices=("train", "val", "test"), help="default test")
    parser.add_argument("--root", type=Path, help="where named sets are kept")
    parser.add_argument("--device", default="auto", help="auto, cpu, cuda or mps")
    parser.add_argument("--csv", type=Path, help="write the table of classes to this file")
    json_option(parser)
    asked = parser.parse_intermixed_args(arguments)
    from alexnet.evaluation.evaluate import as_text, evaluate, write_class_table

    result = evaluate(asked.run, asked.source, asked.views, asked.split, asked.root, asked.device)
    if asked.csv:
        write_class_table(asked.csv, result)
    if asked.json:
        return print_json(result)
    print(as_text(result))
    return 0


def predict(arguments: list[str]) -> int:
    """Name what is on images."""
    parser = Parser("predict", "Name what is on each IMAGE, with calibrated probabilities.")
    parser.add_argument("run", help="a run's folder, or a .safetensors file")
    parser.add_argument("images", nargs="+", metavar="IMAGE", help="image files, or folders of them")
    parser.add_argument("--top", type=int, default=5, help="how many classes (default 5)")
    parser.add_argument("--views", choices=("center", "ten", "dense"), help="default: what the recipe says")
    parser.add_argument("--device", default="auto", help="auto, cpu, cuda or mps")
    parser.add_argument("--csv", type=Path, help="write the answers to this file")
    json_option(parser)
    asked = parser.parse_intermixed_args(arguments)
    from alexnet.evaluation.predict import NONE_OF_THESE, answers, write_answers

    rows = answers(asked.run, asked.images, asked.top, asked.views, asked.device)
    if asked.csv:
        write_answers(asked.csv, rows)
    if asked.json:
        print_json(rows)
    else:
        for row in rows:
            if "error" in row:
                print(f"{row['image']}: {row['error']}")
                continue
            best = ", ".join(f"{p['label']} {p['probability']:.1%}" for p in row["predictions"])
            print(f"{row['image']}: {best if row['accepted'] else f'{NONE_OF_THESE} (nearest: {best})'}")
    return 0 if any("predictions" in row for row in rows) else 1


def report(arguments: list[str]) -> int:
    """Write a run's report.html again."""
    parser = Parser("report", "Write RUN's report.html, one file that opens anywhere.")
    parser.add_argument("run", type=Path, help="a run's folder")
    asked = parser.parse_intermixed_args(arguments)
    from alexnet.api import report as write

    print(write(asked.run))
    return 0


def cache(arguments: list[str]) -> int:
    """Show, or drop, the packed data that training keeps."""
    parser = Parser("cache", "Show where packed data lies and how large it is.")
    parser.add_argument("--clear", action="store_true", help="delete it")
    json_option(parser)
    asked = parser.parse_intermixed_args(arguments)
    from alexnet.data import cache_entries, cache_folder, clear_cache
    from alexnet.files import readable_bytes

    entries = cache_entries()
    total = sum(entry.bytes for entry in entries)
    if asked.clear:
        entries = clear_cache()  # all but those that another process is writing
        total = sum(entry.bytes for entry in entries)
    if asked.json:
        rows = [{"path": str(entry.path), "bytes": entry.bytes} for entry in entries]
        return print_json({"folder": str(cache_folder()), "bytes": total, "cleared": asked.clear, "packs": rows})
    for entry in entries:
        print(f"{readable_bytes(entry.bytes):>10}  {entry.path}")
    print(f"{readable_bytes(total):>10}  {'deleted from' if asked.clear else 'in all, in'} {cache_folder()}")
    return 0


COMMANDS: dict[str, Callable[[list[str]], int]] = {
    "train": train,
    "evaluate": evaluate,
    "predict": predict,
    "report": report,
    "check": check,
    "pack": pack,
    "cache": cache,
    "models": models,
    "summary": summary,
    "compare": compare,
}

TRAIN = (
    "Train a net on SOURCE, test it on images it has not seen, and write a report. SOURCE is a folder of class folders "
    "(or one with train/, val/, test/ inside), a CSV or text list, a packed folder, a folder of IDX files, or a name: "
    "digits, mnist, fashion-mnist, cifar10, imagenette, flowers102, imagenet."
)
RESUME_OPTIONS = {"--resume", "--source", "--device", "--save_every", "--board", "--json"}


def main(arguments: list[str] | None = None) -> int:
    """Run one command; give the exit code: 0 done, 1 the job failed, 2 wrong usage or input, 130 stopped."""
    given = sys.argv[1:] if arguments is None else arguments
    if not given or given[0] in ("-h", "--help", "help"):
        print(_overview())
        return 0
    if given[0] in ("-V", "--version"):
        print(f"alexnet {__version__}")
        return 0
    try:
        if given[0] not in COMMANDS:
            raise InputError(
                f"there is no command {given[0]!r}{did_you_mean(given[:1], list(COMMANDS))}: see alexnet --help"
            )
        return COMMANDS[given[0]](given[1:])
    except InputError as error:
        print(f"alexnet: {error}", file=sys.stderr)
        return 2
    except JobFailed as error:
        print(f"alexnet: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("alexnet: stopped", file=sys.stderr)
        return 130
    except BrokenPipeError:  # whoever read the output has enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except SystemExit as done:  # a parser that printed its help
        return int(done.code or 0)


def _overview() -> str:
    lines = [f"  {name:10} {(command.__doc__ or '').splitlines()[0]}" for name, command in COMMANDS.items()]
    return "\n".join(
        [
            f"alexnet {__version__}: AlexNet as its authors built it, from a folder of images to a tested classifier.",
            "",
            "  alexnet train                 train on the bundled digits, test, write a report (a minute on a laptop)",
            "  alexnet train FOLDER          the same on your own images, one folder for each class",
            "",
            "Commands (each has --help):",
            *lines,
        ]
    )
