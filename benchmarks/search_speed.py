"""How fast an index answers, and what it costs to have it open; writes results/search_speed.json and a picture.

Run: python benchmarks/search_speed.py [--most 10000000] [--repeats 15]

One thread. Random codes and random features serve: all is compared whatever it is. Exact search reads a memory-mapped
file of 100,000 x 4096 float32 (1.6 GB) that was just written, so that it lies in the system's cache.
"""

import argparse
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import faiss
import numpy as np

import measured
from alexnet.pictures.style import BLUE, figure, save, styled
from alexnet.retrieval.engines import Kind
from alexnet.retrieval.faiss_engine import FaissEngine

BITS, FEATURES, ROWS, TOP, SHORTLIST = 128, 4096, 100_000, 10, 200


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--most", type=int, default=10_000_000, help="codes of the largest index")
    parser.add_argument("--repeats", type=int, default=15)
    asked = parser.parse_args()
    faiss.omp_set_num_threads(1)
    report = measured.conditions(f"python benchmarks/search_speed.py --most {asked.most} --repeats {asked.repeats}")
    report["versions"]["faiss-cpu"] = faiss.__version__
    report |= {"seed": 0, "repeats": asked.repeats, "threads": 1, "top": TOP, "bits": BITS}
    report["seconds"] = "median, least and most of one query at a time, after one that is not measured"
    with tempfile.TemporaryDirectory(dir=measured.ROOT) as folder:
        counts = [count for count in (10**4, 10**5, 10**6, 10**7) if count <= asked.most]
        report["hamming"] = [of_codes(Path(folder) / str(count), count, asked.repeats) for count in counts]
        report["exact"] = of_features(Path(folder), asked.repeats)
    path = measured.write("search_speed", report)
    print(path, save(drawn(report), measured.ROOT / "docs" / "pictures" / "search_growth.png"))


def of_codes(folder: Path, count: int, repeats: int) -> dict[str, Any]:
    drawn_codes = np.random.default_rng(0).integers(0, 256, (count + repeats + 1, BITS // 8), dtype=np.uint8)
    engine = FaissEngine(folder, "codes", BITS // 8)
    engine.add(np.arange(count, dtype=np.int64), drawn_codes[:count])
    queries = drawn_codes[count:]
    return {
        "codes": count,
        "opening": opening(folder, "codes", BITS // 8, repeats),
        "query": timed(lambda i: engine.search(queries[i : i + 1], TOP), repeats),
        "query_of_200": timed(lambda i: engine.search(queries[i : i + 1], SHORTLIST), repeats),
    }


def of_features(folder: Path, repeats: int) -> dict[str, Any]:
    path, drawn_rows = folder / "vectors.npy", np.random.default_rng(0)
    with path.open("wb") as file:
        header = {"descr": "<f4", "fortran_order": False, "shape": (ROWS, FEATURES)}
        np.lib.format.write_array_header_1_0(file, header)
        for _ in range(0, ROWS, 1000):
            file.write(drawn_rows.standard_normal((1000, FEATURES), np.float32).data)
    FaissEngine(folder / "features", "features", FEATURES).add(
        np.arange(ROWS, dtype=np.int64), np.load(path, mmap_mode="r"), path
    )
    queries = drawn_rows.standard_normal((repeats + 1, FEATURES), np.float32)
    before = anonymous_bytes()
    engine = FaissEngine(folder / "features", "features", FEATURES)
    among = drawn_rows.choice(ROWS, (1, SHORTLIST), replace=False)
    return {
        "rows": ROWS,
        "features": FEATURES,
        "file_bytes": path.stat().st_size,
        "opening": opening(folder / "features", "features", FEATURES, repeats),
        "query": timed(lambda i: engine.search(queries[i : i + 1], TOP), repeats),
        "query_among_200": timed(lambda i: engine.search(queries[i : i + 1], TOP, among), repeats),
        "anonymous_bytes_more": anonymous_bytes() - before,
    }


def opening(folder: Path, kind: Kind, columns: int, repeats: int) -> dict[str, float]:
    return timed(lambda _: FaissEngine(folder, kind, columns).close(), repeats)


def timed(once: Callable[[int], object], repeats: int) -> dict[str, float]:
    seconds = []
    for i in range(repeats + 1):
        began = time.perf_counter()
        once(i)
        seconds.append(time.perf_counter() - began)
    seconds = seconds[1:]
    return {"median": statistics.median(seconds), "least": min(seconds), "most": max(seconds)}


def anonymous_bytes() -> int:
    """Memory of this process that is no page of a file: Linux's RssAnon."""
    status = Path("/proc/self/status")
    return 1024 * int(status.read_text().partition("RssAnon:")[2].split()[0])


@styled
def drawn(report: dict[str, Any]) -> Any:
    """Milliseconds of a query over the number of codes, both by powers of ten."""
    picture = figure(5, 3.2)
    axes = picture.subplots()
    counts = [row["codes"] for row in report["hamming"]]
    medians = [1000 * row["query"]["median"] for row in report["hamming"]]
    axes.loglog(counts, medians, "o-", color=BLUE)
    for count, median in zip(counts, medians):
        axes.annotate(f"{median:.2g} ms", (count, median), xytext=(-6, 6), textcoords="offset points", ha="right")
    axes.set_xticks(counts, [f"{count:,}" for count in counts])
    axes.set_yticks([x for x in (0.01, 0.1, 1, 10, 100, 1000) if min(medians) / 2 < x < max(medians) * 3])
    axes.yaxis.set_major_formatter("{x:g}")
    axes.minorticks_off()
    axes.set_xlim(min(counts) / 4, max(counts) * 2)
    axes.set_ylim(min(medians) / 2, max(medians) * 3)
    axes.set_xlabel(f"codes of {report['bits']} bits in the index")
    axes.set_ylabel("ms a query, one thread")
    axes.set_title(f"Hamming search for the {report['top']} nearest")
    return picture


if __name__ == "__main__":
    main()
