"""The tables of docs/search.md, from results/search.json, search_speed.json and embedding.json."""

from typing import Any

from measured import result

WHAT = {
    "fc7": "fc7, trained on all ten",
    "untrained": "fc7, not trained",
    "pixels": "pixels",
    "unseen-five": "fc7, trained on the other five",
    "unseen-fc7": "fc7, trained on all ten",
    "unseen-untrained": "fc7, not trained",
    "unseen-pixels": "pixels",
}
METHODS = {"autoencoder": "auto-encoder", "hyperplanes": "random hyperplanes", "itq": "PCA + ITQ"}
HEAD = [
    "| vectors | search | precision at 10 | mAP | precision, re-ranked | kept |",
    "|---|---|---:|---:|---:|---:|",
]


def search(words: dict[str, Any]) -> list[str]:
    """All ten classes."""
    return HEAD + rows(("fc7", "untrained", "pixels"))


def unseen(words: dict[str, Any]) -> list[str]:
    """The last five classes alone."""
    return HEAD + rows(("unseen-five", "unseen-fc7", "unseen-untrained", "unseen-pixels"))


def cost(words: dict[str, Any]) -> list[str]:
    """What a query costs, and opening."""
    lines = ["| index | opened in | a query |", "|---|---:|---:|"]
    found = result("search_speed")
    for row in found["hamming"] if found else ():
        query = row["query"]["median"] * 1000
        lines.append(f"| {row['codes']:,} codes of {found['bits']} bits | {opened(row)} | {query:.2g} ms |")
    if found:
        exact = found["exact"]
        what = f"{exact['rows']:,} features of {exact['features']:,} numbers"
        lines.append(f"| {what}, exact L2 | {opened(exact)} | {exact['query']['median'] * 1000:.0f} ms |")
        among = exact["query_among_200"]["median"] * 1000
        lines.append(f"| the same, only the 200 of a short-list | {opened(exact)} | {among:.1f} ms |")
    return lines


def embedding(words: dict[str, Any]) -> list[str]:
    """What `embed` adds to the net."""
    lines = ["| paper's AlexNet, 227 pixels, fc7 | images a second |", "|---|---:|"]
    found = result("embedding")
    for name, way in found["row"]["ways"].items() if found else ():
        lines.append(f"| {name} | {way['images_per_second']:.0f} |")
    return lines


def opened(row: dict[str, Any]) -> str:
    """In milliseconds."""
    return f"{row['opening']['median'] * 1000:.1f} ms"


def rows(names: tuple[str, ...]) -> list[str]:
    """One row an experiment and search; re-ranked: the short-list by code, in the order of L2."""
    found = result("search")
    lines = []
    for name in names if found else ():
        experiment = found["experiments"][name]
        exact = experiment["exact"]
        lines.append(f"| {WHAT[name]} | exact, L2 | {exact['precision']:.3f} | {exact['map']:.3f} | | |")
        for row in experiment["codes"]:
            again = f"{row['reranked']['precision']:.3f} | {row['precision_kept']:.1%}"
            search = f"{METHODS[row['method']]}, {row['bits']} bits"
            lines.append(f"| {WHAT[name]} | {search} | {row['precision']:.3f} | {row['map']:.3f} | {again} |")
    return lines
