"""The commands that ask trained nets: evaluate, predict, probe, ensemble."""

from pathlib import Path

from alexnet.options import Parser, json_option, parallel_options, print_json


def evaluate(arguments: list[str]) -> int:
    """Measure a trained net by a named protocol."""
    parser = Parser("evaluate", "Measure RUN on its test part, or on SOURCE, by a named protocol.")
    parser.add_argument("run", help="a run's folder, or a .safetensors file")
    parser.add_argument("source", nargs="?", help="other images (default: the run's own test part)")
    parser.add_argument("--views", choices=("center", "ten", "dense"), help="default: what the recipe says")
    parser.add_argument("--split", choices=("train", "val", "test"), help="default test")
    parser.add_argument("--root", type=Path, help="where named sets are kept")
    parser.add_argument("--device", default="auto", help="auto, cpu, cuda or mps")
    parallel_options(parser)
    parser.add_argument(
        "--precision", choices=("float32", "bfloat16"), default="float32", help="bfloat16 is faster, and coarser"
    )
    parser.add_argument("--csv", type=Path, help="write the table of classes to this file")
    json_option(parser)
    asked = parser.parse_intermixed_args(arguments)
    from alexnet.devices import keep_memory
    from alexnet.evaluation.evaluate import as_text, evaluate, write_class_table
    from alexnet.processes import is_first

    keep_memory()
    result = evaluate(asked.run, asked.source, asked.views, asked.split, asked.root, asked.device, asked.precision)
    if asked.csv and is_first():
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
    parallel_options(parser)
    parser.add_argument(
        "--precision", choices=("float32", "bfloat16"), default="float32", help="bfloat16 is faster, and coarser"
    )
    parser.add_argument("--csv", type=Path, help="write the answers to this file")
    json_option(parser)
    asked = parser.parse_intermixed_args(arguments)
    from alexnet.devices import keep_memory
    from alexnet.evaluation.predict import NONE_OF_THESE, answers, write_answers
    from alexnet.processes import is_first

    keep_memory()
    rows = answers(asked.run, asked.images, asked.top, asked.views, asked.device, asked.precision)
    if asked.csv and is_first():
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


def probe(arguments: list[str]) -> int:
    """Measure how much a linear classifier reads off a stage."""
    parser = Parser("probe", "Fit a linear classifier on a stage of RUN's net, and measure it on the test part.")
    parser.add_argument("run", help="a run's folder, or a .safetensors file")
    parser.add_argument("source", nargs="?", help="other images: transfer (default: those RUN was trained on)")
    parser.add_argument("--stage", help="stages, with commas between (default: the one before the classifier)")
    parser.add_argument("--root", type=Path, help="where named sets are kept")
    parser.add_argument("--device", default="auto", help="auto, cpu, cuda or mps")
    parallel_options(parser)
    json_option(parser)
    asked = parser.parse_intermixed_args(arguments)
    from alexnet.evaluation.probe import as_text, probe

    stages = [name.strip() for name in asked.stage.split(",")] if asked.stage else []
    result = probe(asked.run, asked.source, stages, asked.root, asked.device)
    if asked.json:
        return print_json(result)
    print(as_text(result))
    return 0


def ensemble(arguments: list[str]) -> int:
    """Average what several nets answer, and measure each and the average."""
    parser = Parser("ensemble", "Average the softmax outputs of several RUNs on the same images; measure all.")
    parser.add_argument("runs", nargs="+", metavar="RUN", help="runs' folders, or .safetensors files: two or more")
    parser.add_argument("--source", help="other images (default: the first run's own test part)")
    parser.add_argument("--views", choices=("center", "ten", "dense"), help="default: what each recipe says")
    parser.add_argument("--split", choices=("train", "val", "test"), help="default test")
    parser.add_argument("--allow-seen", action="store_true", help="also images that one of the nets was trained on")
    parser.add_argument("--root", type=Path, help="where named sets are kept")
    parser.add_argument("--device", default="auto", help="auto, cpu, cuda or mps")
    parallel_options(parser)
    parser.add_argument("--csv", type=Path, help="write the table to this file")
    json_option(parser)
    asked = parser.parse_intermixed_args(arguments)
    from alexnet.devices import keep_memory
    from alexnet.evaluation.ensemble import as_text, ensemble, write_table
    from alexnet.processes import is_first

    keep_memory()
    result = ensemble(asked.runs, asked.source, asked.views, asked.split, asked.root, asked.device, asked.allow_seen)
    if asked.csv and is_first():
        write_table(asked.csv, result)
    if asked.json:
        return print_json(result)
    print(as_text(result))
    return 0
