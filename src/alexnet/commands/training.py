"""The command that trains: train."""

import shlex
from pathlib import Path

from alexnet.errors import InputError
from alexnet.options import did_you_mean, parallel_options, parted, print_json, value_of

TRAIN = (
    "Train a net on SOURCE, test it on images it has not seen, and write a report. SOURCE is a folder of class folders "
    "(or one with train/, val/, test/ inside), a CSV or text list, a packed folder, a folder of IDX files, or a name: "
    "digits, mnist, fashion-mnist, cifar10, imagenette, flowers102, imagenet."
)
RESUME_OPTIONS = {
    "--resume",
    "--source",
    "--device",
    "--towers",
    "--fully_connected",
    "--save_every",
    "--board",
    "--json",
}


def train(arguments: list[str]) -> int:
    """Train a net on a source, test it and write a report."""
    from jsonargparse import ArgumentError, ArgumentParser

    from alexnet.recipes import RECIPES, add_recipe_options, load_recipe, one_line, recipe_of

    flags = {"--json", "--board", "-h", "--help"}
    options, positionals = parted(arguments, flags)
    parser = ArgumentParser(prog="alexnet train", exit_on_error=False, allow_abbrev=False, description=TRAIN)
    parser.add_argument("source", nargs="?", default="digits", help="what to train on (default digits)")
    parser.add_argument("--recipe", default="practical", help=f"{', '.join(RECIPES)}, or a YAML file")
    parser.add_argument("--out", help="the run's folder (default runs/<source>-<model>-<n>)")
    parser.add_argument("--from", help="start from the weights of a run or a .safetensors file")
    parser.add_argument("--freeze", help="stages that do not learn, with commas between")
    parser.add_argument("--resume", help="go on with a run that was stopped or killed")
    parser.add_argument("--source", dest="moved", help="with --resume: where the images are now")
    parser.add_argument("--device", default="auto", help="auto, cpu, cuda or mps")
    parser.add_argument("--towers", choices=("1", "2"), default="1", help="2: each tower in a process of its own")
    parser.add_argument(
        "--fully_connected",
        choices=("whole", "split"),
        default="whole",
        help="split: its units among the processes (Krizhevsky, 2014); whole: in each",
    )
    parallel_options(parser)
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
    from alexnet.parallel.launch import is_restart
    from alexnet.training.journal import board_class
    from alexnet.training.loop import STOPPED, fit
    from alexnet.training.shared_start import start_shared
    from alexnet.training.start import resume, start

    if asked.board:
        board_class()
    if asked.towers == "2" and asked.fully_connected == "split":
        raise InputError("--towers 2 splits the fully-connected layers already: leave --fully_connected out")
    layout = "towers" if asked.towers == "2" else "split" if asked.fully_connected == "split" else "data"
    out = Path(asked.out) if asked.out else None
    if asked.resume:
        names = [word.split("=")[0] for word in options if word.startswith("--")]
        others = [name for name in names if name not in RESUME_OPTIONS] + positionals
        if others:
            raise InputError(
                f"--resume goes on with the run's own source and recipe, {others[0]} cannot be changed: "
                f"leave it out, or start a new run with --from {asked.resume}"
            )
        run = resume(Path(asked.resume), asked.moved, asked.device, layout, ended=is_restart())
    else:
        if asked.moved:
            raise InputError("--source says where a resumed run finds its images: give SOURCE without the --source")
        run = start_shared(
            lambda: start(
                asked.source,
                recipe,
                out=out,
                weights=Path(asked["from"]) if asked["from"] else None,
                freeze=tuple(name.strip() for name in asked.freeze.split(",")) if asked.freeze else (),
                device=asked.device,
                root=Path(asked.root) if asked.root else None,
                command=shlex.join(["alexnet", "train", *arguments]),
                given=[name for name in ("model", "size") if value_of(options, f"--{name}")],
                layout=layout,
            ),
            asked.device,
            layout,
            out,
        )
    from alexnet.api.runs import complete
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
