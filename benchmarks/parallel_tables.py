"""The tables of many devices, of results/parallel.json (measured) and results/scaling.json (arithmetic)."""

from typing import Any

from measured import result


def shared_step(words: dict[str, Any]) -> list[str]:
    """One row a way to share a step; of each size the median time, and the bytes that each process sends."""
    found = result("parallel")
    if found is None:
        return [words["none"]]
    cases = found["results"]
    heads = [f"{case['side']} px, {case['images']} images | bytes sent" for case in cases]
    rows = [words["shared_step"].format(" | ".join(heads)), "|---|" + "---:|" * 2 * len(cases)]
    for way in cases[0]["ways"]:
        cells = []
        for case in cases:
            sent = sum(case["bytes"].get(way, {"none": 0}).values())
            cells += [f"{case['ways'][way]['median']:.2f} s", f"{sent / 1e6:.1f} MB" if sent else "–"]
        rows.append(f"| {way} | {' | '.join(cells)} |")
    return rows


def scaling(words: dict[str, Any]) -> list[str]:
    """One row a net, number of GPUs and way; two figures of scaling: gradients sent after backward, and during it."""
    found = result("scaling")
    if found is None:
        return [words["none"]]
    rows = [words["scaling"], "|---:|---|---:|---|---|---:|---:|---:|---:|---:|"]
    for row in found["rows"]:
        sent = row["activations"] + row["gradients"]
        rows.append(
            f"| {row['gpus']:,} | `{row['net']}` | {row['batch']:,} | {row['scheme']} | {row['link']} "
            f"| {_milliseconds(row['alone'])} | {sent / 1e6:,.0f} MB | {_milliseconds(row['step'])} "
            f"| {_milliseconds(row['overlapped'])} "
            f"| {row['efficiency']:.0%} to {row['efficiency_overlapped']:.0%} |"
        )
    return rows


def _milliseconds(seconds: float) -> str:
    return f"{seconds * 1e3:,.{1 if seconds < 0.1 else 0}f} ms"
