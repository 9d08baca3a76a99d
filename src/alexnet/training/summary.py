"""What a person is told before and after training, and the test that closes a run."""

from pathlib import Path
from typing import Any

from torch import nn

from alexnet.evaluation.evaluate import evaluate
from alexnet.training.run import Run
from alexnet.training.speed import speed_line

WHY = {
    "practical": "learns in minutes; the paper's own start needs many thousand steps (--recipe paper)",
    "paper": "the paper's own; on little data its loss stays at ln(classes) for long",
    "source_2012": "the 2012 source code's",
    "caffe": "Caffe's bvlc_alexnet",
    "lenet5": "the paper's rates, but the same for all weights; one image a step, so it takes long",
    "nin": "the author's ImageNet release",
    "nin_cifar": "the author's CIFAR release; its rate of 0.1 is meant for whitened images",
    "vgg": "the paper's; on little data its loss stays at ln(classes) for long",
    "vgg_deep": "the paper's: begun with layers of net A, images at drawn scales",
    "googlenet": "the paper's, and Caffe's where it is silent",
    "resnet": "the paper's for photographs: images at drawn scales",
    "resnet_cifar": "the paper's for small images: padded by 4 pixels, cut and mirrored at random",
    "resnet_cifar_deep": "the paper's for 110 layers: as resnet_cifar, warmed up at a low rate",
}


def opening_lines(run: Run) -> list[str]:
    """What is trained on what, how, and why so."""
    recipe, parts = run.recipe, run.parts
    n = f"{len(parts.train)} training, {len(parts.validation)} validation, {len(parts.test)} test images"
    mirror = "mirrored at random" if recipe.augmentation.mirror else "never mirrored"
    return [
        f"source   {run.packed.name}: {n}, {len(run.packed.classes)} classes",
        f"net      {recipe.model}, input {run.size}x{run.size} cut from {run.side}, {mirror}",
        f"recipe   {recipe.name}: {WHY.get(recipe.name, 'from a file')}",
        f"training {run.epochs} epochs of batches of {recipe.optimiser.batch}",
        f"speed    {speed_line(run.speed, run.net, run.device)}",
        f"run      {run.folder}",
        *batch_norm_note(run),
    ]


def batch_norm_note(run: Run) -> list[str]:
    """A line where batches are put through a net with batch norm in parts, which is not the same."""
    wanted = run.recipe.optimiser
    if wanted.micro_batch is None or wanted.micro_batch >= wanted.batch:
        return []
    if not any(isinstance(module, nn.BatchNorm2d) for module in run.net.modules()):
        return []
    return [
        f"careful: batch norm takes its statistics from {wanted.micro_batch} images (--optimiser.micro_batch), "
        f"not from the {wanted.batch} of a batch"
    ]


def finish(run: Run, reason: str) -> dict[str, Any]:
    """Test a run that has ended and give what is printed: test error, folder, why training ended.

    Ten views are measured as well where that costs little beside the training.
    """
    result: dict[str, Any] = {"run": str(run.folder), "reason": reason or "all epochs are done"}
    test = len(run.parts.test)
    if test == 0:
        return result
    views = [run.recipe.evaluation.views]
    cheap = test * 10 <= run.epochs * len(run.parts.train) / 2
    views += [other for other in ("center", "ten") if other not in views and (cheap or other == "center")]
    measured = [evaluate(run.folder, views=name, device=str(run.device)) for name in views]
    figures = ("images", "top1_error", "top5_error", "k", "interval", "views", "averaged", "comparable_to")
    return result | {name: measured[0][name] for name in figures}


def closing_lines(result: dict[str, Any]) -> list[str]:
    """The result in words."""
    lines = [] if result["reason"] == "all epochs are done" else [f"training ended early: {result['reason']}"]
    if (Path(result["run"]) / "state.pt").is_file():
        lines.append(f"to go on: alexnet train --resume {result['run']}")
    if "top1_error" not in result:
        lines.append("no test error: no image was kept for a test (--data.test)")
    if "top1_error" in result:
        low, high = result["interval"]
        lines.append(
            f"test error {result['top1_error']:.1%} on {result['images']} images "
            f"({low:.1%} to {high:.1%} with 95 % confidence), {result['views']} view"
        )
    return [*lines, f"report {result['report']}"] if "report" in result else lines
