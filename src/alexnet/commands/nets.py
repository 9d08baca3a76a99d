"""The commands on nets without weights: models, summary, compare."""

from alexnet.options import Parser, json_option, print_json


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
    parser.add_argument("--classes", type=int, help="number of classes (default: the publication's)")
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
    if not rows:
        print(f"{asked.first} and {asked.second}: nothing differs")
        return 0
    Console().print(differences_table(asked.first, asked.second, rows))
    return 0
