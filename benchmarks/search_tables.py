"""The tables of docs/search.md, from results/search.json."""

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
