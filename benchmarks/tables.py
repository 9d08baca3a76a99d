"""Writes the tables of the README, in both languages, and of pages in docs/, from the files in results/.

Run: python benchmarks/tables.py [--check]
A table stands between <!-- table NAME --> and <!-- end --> and is replaced whole; --check fails when it would change.
"""

import argparse
import re
import sys
from typing import Any

import parallel_tables
import search_tables
import speed_tables
from measured import ROOT, result

FASHION = "alexnet train /usr/share/datasets/fashion-mnist "
# One run a family, the oldest paper first: name of the results file.
FAMILIES = (
    "fashion_mnist_lenet5",
    "fashion_mnist",
    "fashion_mnist_nin",
    "fashion_mnist_vgg",
    "fashion_mnist_googlenet",
    "fashion_mnist_resnet20",
)
ENGLISH = speed_tables.ENGLISH | {
    "shared_step": "| a step of `alexnet` by | {} |",
    "scaling": "| GPUs | net | images | shared | link | one GPU | sent by each | a step | overlapped | scaling |",
    "errors": "| images | command | images seen | training | test error | 95 % interval | nearest by pixels |",
    "names": {"digits": "handwritten digits, 8x8", "fashion_mnist": "Fashion-MNIST, 28x28"},
    "photographs": "patches of nine photographs, 224x224",
    "family": "| net | parameters | images seen | training | test error | 95 % interval | `train FASHION` with |",
    "shape": "{} x {} x {} x {}",
    "seconds": "{:.0f} s",
}
CHINESE = speed_tables.CHINESE | {
    "errors": "| 图像 | 命令 | 见过的图像 | 训练时间 | 测试错误率 | 95 % 区间 | 像素最近邻 |",
    "names": {"digits": "手写数字，8x8", "fashion_mnist": "Fashion-MNIST，28x28"},
    "photographs": "九张照片的小块，224x224",
    "family": "| 网络 | 参数 | 见过的图像 | 训练时间 | 测试错误率 | 95 % 区间 | `train FASHION` 的选项 |",
    "shape": "{} x {} x {} x {}",
    "seconds": "{:.0f} 秒",
}
SPEED = ("speed", "waits", "profile", "growth", "gpu", "families")
PAGES = {
    "README.md": (ENGLISH, ("errors", "family", "speed", "waits")),
    "README.zh.md": (CHINESE, ("errors", "family", "speed", "waits")),
    "docs/family.md": (ENGLISH, ("family",)),
    "docs/speed.md": (ENGLISH, ("speed", "waits", "profile", "growth", "gpu", "families")),
    "docs/devices.md": (ENGLISH, ("shared_step", "scaling")),
    "docs/serve.md": (ENGLISH, ("serving",)),
    "docs/search.md": (ENGLISH, ("search", "unseen", "cost", "embedding")),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true", help="change nothing, fail when a table is stale")
    check = parser.parse_args().check
    stale = []
    rows = {"errors": errors, "family": family, "serving": serving}
    rows |= {name: getattr(search_tables, name) for name in ("search", "unseen", "cost", "embedding")}
    rows |= {name: getattr(speed_tables, name) for name in SPEED}
    rows |= {name: getattr(parallel_tables, name) for name in ("shared_step", "scaling")}
    for name, (words, tables) in PAGES.items():
        path = ROOT / name
        before = after = path.read_text(encoding="utf-8")
        for table in tables:
            after = filled(after, table, rows[table](words))
        if after != before:
            stale.append(name)
            if not check:
                path.write_text(after, encoding="utf-8")
    if check and stale:
        sys.exit(f"stale: {', '.join(stale)}; run python benchmarks/tables.py")


def serving(words: dict[str, Any]) -> list[str]:
    """The explorer's server: one client beside the bare net, and many at once."""
    found = result("serving")
    rows = ["| what | median | 95 % within |", "|---|---:|---:|"]
    if found is None:
        return rows
    named = {"answer": "one image through the server", "its_net": "the net within it", "bare_net": "the bare net"}
    timed = [(name, found["one_client"][key]) for key, name in named.items()]
    clients = found["clients"]
    timed.append((f"one of {clients['clients']} clients at once, any question", clients["wait"]))
    rows += [f"| {name} | {took['median'] * 1000:.0f} ms | {took['p95'] * 1000:.0f} ms |" for name, took in timed]
    memory = clients["resident_mb"]
    return [
        *rows,
        "",
        f"{clients['answers']:,} answers in {clients['seconds']} s, {clients['errors']} errors; resident memory "
        f"{memory['start']:,.0f} MB at the start, {memory['middle']:,.0f} in the middle, {memory['end']:,.0f} at the "
        "end.",
    ]


def filled(text: str, table: str, rows: list[str]) -> str:
    """The text with one table replaced."""
    pattern = rf"(<!-- table {table} -->\n).*?(<!-- end -->)"
    if not re.search(pattern, text, re.DOTALL):
        sys.exit(f"no place for the table {table}")
    return re.sub(pattern, lambda m: m[1] + "\n".join(rows) + "\n" + m[2], text, flags=re.DOTALL)


def errors(words: dict[str, Any]) -> list[str]:
    """One row a run."""
    rows = [words["errors"], "|---|---|---:|---:|---:|---|---:|"]
    for name in ("digits", "photographs"):
        found = result(name)
        if found is None:
            continue
        test, nearest = found["test"], found["baselines"]["nearest_pixel"]["error"]
        low, high = test["interval"]
        rows.append(
            f"| {words['names'].get(name, words['photographs'])} | `{found['command']}` | {found['images_seen']:,} "
            f"| {words['seconds'].format(found['training_seconds'])} | **{test['top1_error']:.1%}** "
            f"| {low:.1%} – {high:.1%} (n = {test['images']:,}) | {nearest:.1%} |"
        )
    return rows


def family(words: dict[str, Any]) -> list[str]:
    """One row a net, all on Fashion-MNIST; FASHION stands for the folder of its files."""
    rows = [words["family"], "|---|---:|---:|---:|---:|---|---|"]
    for name in FAMILIES:
        found = result(name)
        if found is None:
            continue
        test = found["test"]
        low, high = test["interval"]
        rows.append(
            f"| `{found['model']}` | {found['parameters']:,} | {found['images_seen']:,} "
            f"| {words['seconds'].format(found['training_seconds'])} | **{test['top1_error']:.1%}** "
            f"| {low:.1%} – {high:.1%} | `{found['command'].removeprefix(FASHION)}` |"
        )
    return rows


if __name__ == "__main__":
    main()
