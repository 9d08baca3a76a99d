"""The tables of speed, of results/bench.json, growth.json and gpu.json, with the targets beside the figures."""

import statistics
from dataclasses import dataclass
from typing import Any

from alexnet.bench.table import seconds
from measured import result

OBVIOUS = "obvious"
GROWTH_PICTURE = (
    "![Time of an image and memory of the process, from 1,000 to 100,000 packed images](pictures/growth.png)"
)


@dataclass(frozen=True)
class Line:
    """One line of the table: where its figure stands in bench.json, and what it is to reach.

    Attributes:
        words: key of the words that say what it is.
        case: of the benchmark; `row` of it; `way` of that.
        target: ratio to the obvious way, or seconds where there is none; None where none was set.
    """

    words: str
    case: str
    row: int
    way: str
    target: float | None = None


LINES = (
    Line("lrn_1", "lrn", 1, "eager", 5),
    Line("lrn_1_compiled", "lrn", 1, "compiled", 6),
    Line("lrn_2", "lrn", 3, "eager", 5),
    Line("lrn_2_compiled", "lrn", 3, "compiled", 10),
    Line("step", "step", 0, "ours, float32", 1.9),
    Line("step_bfloat16", "step", 0, "ours, bfloat16", 3),
    Line("one", "inference", 0, "torch, many images"),
    Line("one_openvino", "inference", 0, "OpenVINO, bfloat16"),
    Line("many", "inference", 1, "torch, many images", 2.5),
    Line("many_openvino", "inference", 1, "OpenVINO, bfloat16", 8),
    Line("ten", "tencrop", 0, "ours", 3),
    Line("raw", "loader", 0, "packed raw, bytes", 25),
    Line("raw_floats", "loader", 0, "packed raw, floats"),
    Line("jpeg", "loader", 0, "packed jpeg, bytes", 7),
    Line("jpeg_floats", "loader", 0, "packed jpeg, floats"),
    Line("whole", "train", 1, "packed raw, float32", 3),
    Line("whole_bfloat16", "train", 1, "packed raw, bfloat16", 3),
)
WAITS = (Line("help", "start", 0, "ours", 0.3), Line("first", "start", 1, "no packed data yet", 10))

ENGLISH = {
    "speed": "| what | the obvious way | ours | ratio | target |",
    "waits": "| what | seconds | target |",
    "growth": "| packed images | read, raw | read, JPEG | feed, raw | feed, JPEG | memory, raw | memory, JPEG |",
    "profile": "| kind of stage | {} |",
    "gpu": "| what | figure | target |",
    "families": "| net | input | training | answers |",
    "none": "not yet measured",
    "second": "images/s",
    "lrn_1": "response normalisation, forward and backward, 32 x 96 x 55 x 55, without a compiler",
    "lrn_1_compiled": "the same, compiled",
    "lrn_2": "32 x 256 x 27 x 27, without a compiler",
    "lrn_2_compiled": "the same, compiled",
    "step": "training step of the paper's AlexNet, float32",
    "step_bfloat16": "the same in bfloat16",
    "one": "answer to one image, torch",
    "one_openvino": "the same through OpenVINO, bfloat16",
    "many": "answers to 64 images at once, torch",
    "many_openvino": "the same through OpenVINO, bfloat16",
    "ten": "test on ten views",
    "raw": "loader, one core: packed raw, bytes",
    "raw_floats": "the same with mirror, colour noise and floats",
    "jpeg": "loader, one core: packed JPEG, bytes",
    "jpeg_floats": "the same with mirror, colour noise and floats",
    "whole": "folder of JPEG files to trained weights, float32 (a sum)",
    "whole_bfloat16": "the same in bfloat16 (a sum)",
    "help": "`alexnet --help`",
    "first": "`alexnet train` to the end of its first step, bundled digits, nothing packed yet",
    "gpu_rate": "packed data to weights, bfloat16, images/s",
    "gpu_jpeg": "the same from packed JPEG",
    "gpu_free": "share of the compiled step without normalisation",
    "gpu_peak": "share of the chip's peak",
    "gpu_floor": "the most by operations and bytes, images/s",
    "gpu_times": "times torchvision's loader and `nn.LocalResponseNorm`",
    "gpu_ten": "ten views, images/s",
    "gpu_hours": "90 epochs of ImageNet, hours (extrapolated)",
}
CHINESE = ENGLISH | {
    "speed": "| 内容 | 常见做法 | 本程序 | 倍数 | 目标 |",
    "waits": "| 内容 | 秒 | 目标 |",
    "gpu": "| 内容 | 数值 | 目标 |",
    "none": "尚未测量",
    "second": "张/秒",
    "lrn_1": "响应归一化，前向加反向，32 x 96 x 55 x 55，不用编译器",
    "lrn_1_compiled": "同上，编译后",
    "lrn_2": "32 x 256 x 27 x 27，不用编译器",
    "lrn_2_compiled": "同上，编译后",
    "step": "论文 AlexNet 的一个训练步，float32",
    "step_bfloat16": "同上，bfloat16",
    "one": "推理一张图像，torch",
    "one_openvino": "同上，OpenVINO，bfloat16",
    "many": "一次推理 64 张图像，torch",
    "many_openvino": "同上，OpenVINO，bfloat16",
    "ten": "十视图测试",
    "raw": "单核读取：打包的原始像素，字节",
    "raw_floats": "同上，含镜像、颜色噪声和浮点",
    "jpeg": "单核读取：打包的 JPEG，字节",
    "jpeg_floats": "同上，含镜像、颜色噪声和浮点",
    "whole": "从 JPEG 文件夹到训练好的权重，float32（各部分之和）",
    "whole_bfloat16": "同上，bfloat16（各部分之和）",
    "first": "`alexnet train` 到第一步结束，自带的数字图像，尚未打包",
    "gpu_rate": "从打包数据到权重，bfloat16，张/秒",
    "gpu_jpeg": "同上，打包的 JPEG",
    "gpu_free": "占无归一化的编译训练步的比例",
    "gpu_peak": "占芯片峰值的比例",
    "gpu_floor": "按运算量和字节数的上限，张/秒",
    "gpu_times": "相对 torchvision 读取加 `nn.LocalResponseNorm` 的倍数",
    "gpu_ten": "十视图，张/秒",
    "gpu_hours": "ImageNet 90 轮，小时（外推）",
}


def speed(words: dict[str, Any]) -> list[str]:
    """One row a line, with its target."""
    rows, found = [words["speed"], "|---|---:|---:|---:|---:|"], result("bench")
    for line in LINES:
        row = row_of(found, line)
        cells = [words["none"], "", ""]
        if row is not None:
            obvious, ours = (figure(row["ways"][way], words, row["images"]) for way in (OBVIOUS, line.way))
            cells = [obvious, ours, f"**{row['ratio'][line.way]:.1f}**"]
        rows.append(f"| {words[line.words]} | {' | '.join(cells)} | {line.target or ''} |")
    return rows


def waits(words: dict[str, Any]) -> list[str]:
    """What a person waits for, in seconds."""
    rows, found = [words["waits"], "|---|---:|---:|"], result("bench")
    for line in WAITS:
        row = row_of(found, line)
        waited = words["none"] if row is None else f"**{row['ways'][line.way]['median']:.2f}**"
        rows.append(f"| {words[line.words]} | {waited} | {line.target} |")
    return rows


def row_of(found: dict[str, Any] | None, line: Line) -> dict[str, Any] | None:
    """The comparison that a line is about; None where it, or its way, was not measured."""
    case = (found or {"cases": {}})["cases"].get(line.case)
    if case is None or len(case["rows"]) <= line.row or line.way not in case["rows"][line.row]["ways"]:
        return None
    return case["rows"][line.row]


def figure(way: dict[str, Any], words: dict[str, Any], images: int | None) -> str:
    """Images a second, or the time of a call that is about none."""
    return f"{way['images_per_second']:,.0f} {words['second']}" if images else seconds(way["median"])


def profile(words: dict[str, Any]) -> list[str]:
    """Where our training step spends its time, by kind of stage."""
    found = result("bench")
    shares = found["cases"].get("step", {}).get("profile", {}) if found else {}
    if not shares:
        return [words["profile"].format(words["none"]), "|---|---:|"]
    rows = [words["profile"].format(" | ".join(shares)), "|---" + "|---:" * len(shares) + "|"]
    for kind in next(iter(shares.values())):
        rows.append(f"| {kind} | " + " | ".join(f"{each.get(kind, 0):.0%}" for each in shares.values()) + " |")
    return rows


def growth(words: dict[str, Any]) -> list[str]:
    """Milliseconds an image, and megabytes of the process, by the number of packed images."""
    rows, found = [words["growth"], "|---:|---:|---:|---:|---:|---:|---:|"], result("growth")
    if found is None:
        return [*rows, f"| {words['none']} | | | | | | |"]
    counts = sorted({row["images"] for row in found["results"]})
    by = {(row["layout"], row["images"]): row for row in found["results"]}
    for count in counts:
        pair = [by[layout, count] for layout in ("raw", "jpeg")]
        times = [f"{statistics.median(row[what]) * 1e3:.3f} ms" for what in ("read", "feed") for row in pair]
        memory = [f"{row['memory'] / 1e6:,.0f} MB" for row in pair]
        rows.append(f"| {count:,} | {' | '.join([*times, *memory])} |")
    return [*rows, "", GROWTH_PICTURE]


def gpu(words: dict[str, Any]) -> list[str]:
    """What the targets for a graphics card are about."""
    found = result("gpu") or {"measured": False}
    figures: dict[str, Any] = {}
    if found["measured"] and "summary" in found:
        told = found["summary"]
        ten = found["ten_crop"]["rows"][0]["ways"]["ours"]["images_per_second"]
        figures = {
            "gpu_rate": f"**{told['images_per_second']:,.0f}**",
            "gpu_jpeg": f"{found['train']['jpeg']['images_per_second']:,.0f}",
            "gpu_free": f"{told['share_of_the_step_without_norm']:.0%}",
            "gpu_peak": f"{told['share_of_peak']:.1%}" if told["share_of_peak"] else "",
            "gpu_floor": f"{told['floor']['images_per_second']:,.0f}" if told["floor"] else "",
            "gpu_times": f"**{told['times_the_reference']:.1f}**",
            "gpu_ten": f"{ten:,.0f}",
            "gpu_hours": f"{told['hours_for_90_epochs_of_imagenet']:.2f}",
        }
    targets = {"gpu_rate": "38,000", "gpu_times": "9", "gpu_hours": "1"}
    names = [name for name in ENGLISH if name.startswith("gpu_")]
    rows = [f"| {words[name]} | {figures.get(name, words['none'])} | {targets.get(name, '')} |" for name in names]
    return [words["gpu"], "|---|---:|---:|", *rows]


def families(words: dict[str, Any]) -> list[str]:
    """Images a second of every family on a graphics card."""
    found = result("gpu") or {"measured": False}
    rows = [words["families"], "|---|---:|---:|---:|"]
    if not (found["measured"] and "families" in found):
        return [*rows, f"| {words['none']} | | | |"]
    for name, row in found["families"].items():
        training, answers = row["training_images_per_second"], row["answers_per_second"]
        rows.append(f"| `{name}` | {row['size']} | {training:,.0f} | {answers:,.0f} |")
    return rows
