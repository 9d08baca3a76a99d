"""A benchmark's document for people: one table a case, then what stands in the way in words."""

from collections.abc import Iterator
from typing import Any

from rich.table import Table


def tables(document: dict[str, Any]) -> Iterator[Table | str]:
    """Tables of every case of a document of `bench`, and its sentences."""
    for name, case in document["cases"].items():
        yield f"{name}: {case['what']}"
        for row in case["rows"]:
            yield table_of(row)
        yield from case.get("words", [])
        yield ""


def table_of(row: dict[str, Any]) -> Table:
    """One comparison: a line for each way."""
    table = Table(title=row["what"], title_justify="left", show_edge=False)
    for heading in ("way", "median", "least to most", "images/s", "ratio", "quiet"):
        table.add_column(heading, justify="left" if heading == "way" else "right", no_wrap=heading != "way")
    for way, timing in row["ways"].items():
        rate, ratio = timing.get("images_per_second"), row["ratio"].get(way)
        table.add_row(
            way,
            seconds(timing["median"]),
            f"{seconds(timing['min'])} to {seconds(timing['max'])}" if "min" in timing else "a sum",
            f"{rate:,.1f}" if rate is not None else "",
            f"{ratio:.2f}" if ratio is not None else "",
            f"{timing['quiet']} of {len(timing['seconds'])}" if "quiet" in timing else "",
        )
    return table


def seconds(value: float) -> str:
    """Seconds as a person reads them: 1.23 s, 45.6 ms, 78 us."""
    if value >= 1:
        return f"{value:.2f} s"
    return f"{value * 1e3:.1f} ms" if value >= 1e-3 else f"{value * 1e6:.0f} us"
