"""The training loop, from top to bottom.

One pass: set the rate, take a batch, draw its augmentation, add up gradients over micro-batches, step. Every few
steps the losses are looked at; at every epoch's end the validation part is measured; now and then, and on
Ctrl-C, everything that the next step needs is saved as one file. All chance comes from (seed, step), so a run
that is killed and resumed goes through the same numbers as one that is left alone.
"""

import math
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from types import FrameType
from typing import Any

import torch

from alexnet.augment import draw, training_images
from alexnet.checkpoint import save_state, save_weights
from alexnet.data import Batches
from alexnet.evaluation.classify import measure
from alexnet.models import begin_step
from alexnet.progress import bar, note
from alexnet.training.journal import Journal
from alexnet.training.optimise import Rates, make_optimiser
from alexnet.training.run import Run
from alexnet.training.watchdog import Watchdog, layer_health

LOOK_EVERY = 10  # steps between two looks at the loss: each look waits for the device
STATE_FORMAT = 1
STOPPED = "stopped by you"


@dataclass
class Progress:
    """Where a run stands; all of it is saved.

    Attributes:
        epoch: epochs that are over, their validation included.
        step: steps that are over.
        seconds: time spent in training, stops left out.
        best: error and loss of the best validation so far, its epoch and step.
        window: sums since the last line of the journal.
    """

    epoch: int = 0
    step: int = 0
    seconds: float = 0.0
    best: dict[str, float] = field(default_factory=dict)
    window: dict[str, float] = field(default_factory=dict)


def fit(run: Run, save_every: float = 60.0, board: bool = False) -> str:
    """Train a run until its recipe, its time or its user ends it; give the reason, empty when all epochs are done.

    Writes into the run's folder: metrics.jsonl, state.pt every `save_every` seconds, and at the end
    best.safetensors and last.safetensors. state.pt stays when the run could go on, that is when time was up or
    the user stopped it.

    Raises:
        JobFailed: a loss is not finite.
    """
    recipe, net, device = run.recipe, run.net.to(run.device), run.device
    batch, epochs = recipe.optimiser.batch, run.epochs
    batches = Batches(run.packed, run.parts.train, batch, recipe.seed)
    optimiser = make_optimiser(run.groups(), recipe)
    rates = Rates(optimiser, recipe, epochs, batches.steps)
    watchdog = Watchdog.for_counts(run.class_counts)
    weights = run.class_weights.to(device) if run.class_weights is not None else None
    health = run.health_images()
    allowed = recipe.max_minutes * 60 if recipe.max_minutes else math.inf
    at = Progress()
    best_weights: dict[str, torch.Tensor] | None = None
    length = 0
    if run.state is not None:
        at = Progress(**run.state["progress"])
        best_weights, length = run.state["best"], run.state["length"]
        net.load_state_dict(run.state["net"])
        optimiser.load_state_dict(run.state["optimiser"])
        rates.load(run.state["rates"])
        watchdog.load(run.state["watchdog"])
        run.state = None  # the tensors were copied
    journal = Journal(run.folder, length, board)
    pending: list[tuple[dict[str, torch.Tensor], torch.Tensor, int]] = []
    began, saved = time.monotonic() - at.seconds, time.monotonic()
    reason, can_go_on = "", False

    def look() -> None:
        """Bring the losses of the last steps from the device, judge them, and log full windows."""
        terms = [{name: float(value) for name, value in named.items()} for named, _, _ in pending]
        first = at.step - len(pending)
        for message in watchdog.after_steps(at.step, terms):
            journal.write("watchdog", at.step, message=message)
            note(f"watchdog: {message}")
        for i, (named, (_, wrong, n)) in enumerate(zip(terms, pending), start=first + 1):
            window = at.window
            for name, value in [*named.items(), ("wrong", float(wrong)), ("images", n), ("steps", 1)]:
                window[name] = window.get(name, 0.0) + value
            if i % LOOK_EVERY == 0:
                steps, images, wrongs = window.pop("steps"), window.pop("images"), window.pop("wrong")
                means = {name: value / steps for name, value in window.items()}
                loss, error = sum(means.values()), wrongs / images
                journal.write(
                    "step", i, epoch=i / batches.steps, loss=loss, error=error, rate=rate, terms=means,
                    images_seen=i * min(batch, len(run.parts.train)), seconds=time.monotonic() - began,
                )  # fmt: skip
                shown["train"] = f"loss {loss:.3f} error {error:.1%}"
                window.clear()
        pending.clear()

    def save() -> None:
        """Write all that the next step needs."""
        look()
        at.seconds = time.monotonic() - began
        save_state(
            run.folder / "state.pt",
            {
                "format": STATE_FORMAT,
                "progress": vars(at),
                "net": net.state_dict(),
                "best": best_weights,
                "length": journal.length(),
                "optimiser": optimiser.state_dict(),
                "rates": rates.state(),
                "watchdog": watchdog.state(),
            },
        )

    shown = {"train": "", "validation": ""}
    rate = rates.set(at.step)
    with stop_signals() as stopped, bar() as progress:
        task = progress.add_task(
            "", total=epochs * batches.steps * batch, completed=at.step * batch, status=""
        )
        while at.epoch < epochs and not reason:
            net.train()
            start = at.step - at.epoch * batches.steps
            for stored in batches.epoch(at.epoch, start):
                rate = rates.set(at.step)
                draws = draw(recipe.augmentation, recipe.seed, at.step, len(stored.labels))
                noise = rates.colour_deviation(at.step)
                images = training_images(
                    stored.images,
                    draws,
                    recipe.augmentation,
                    run.colour_axes,
                    run.side,
                    run.size,
                    noise,
                    device,
                )
                labels = torch.from_numpy(stored.labels).to(device)
                terms, wrong = forward_backward(run, net, images, labels, weights, at.step)
                optimiser.step()
                optimiser.zero_grad(set_to_none=True)
                at.step += 1
                pending.append((terms, wrong, len(labels)))
                if at.step % LOOK_EVERY == 0:
                    look()
                progress.update(
                    task,
                    advance=batch,
                    description=f"epoch {at.epoch + 1}/{epochs}",
                    status=" ".join(shown.values()),
                )
                now = time.monotonic()
                if stopped or now - began > allowed:
                    reason = STOPPED if stopped else f"{recipe.max_minutes:g} minutes are over"
                    can_go_on = True
                    break
                if now - saved > save_every:
                    save()
                    saved = now
            if reason:
                break
            look()
            layers = layer_health(net, health, optimiser)
            journal.write("layers", at.step, layers=layers)
            for message in watchdog.after_epoch(layers, rate / recipe.optimiser.rate):
                journal.write("watchdog", at.step, message=message)
                note(f"watchdog: {message}")
            result = measure(net, run.packed, run.parts.validation, run.side, run.size, batch=2 * batch)
            at.epoch += 1
            better = not at.best or (result["error"], result["loss"]) < (at.best["error"], at.best["loss"])
            if better:
                at.best = {**result, "epoch": at.epoch, "step": at.step}
                best_weights = {name: value.detach().clone() for name, value in net.state_dict().items()}
            journal.write("validation", at.step, epoch=float(at.epoch), best=better, **result)
            shown["validation"] = f"validation {result['error']:.1%}"
            reason = rates.after_validation(result["error"])
        at.seconds = time.monotonic() - began
        if can_go_on:
            save()
    journal.close()
    save_weights(run.folder / "last.safetensors", net.state_dict(), run.card(at.step))
    if best_weights is not None:
        net.load_state_dict(best_weights)
    run.calibrate()
    save_weights(
        run.folder / "best.safetensors", net.state_dict(), run.card(int(at.best.get("step", at.step)))
    )
    if not can_go_on:
        (run.folder / "state.pt").unlink(missing_ok=True)
    run.finish(reason or "all epochs are done", at.step, at.seconds, at.best)
    return reason


def forward_backward(
    run: Run,
    net: Any,
    images: torch.Tensor,
    labels: torch.Tensor,
    class_weights: torch.Tensor | None,
    step: int,
) -> tuple[dict[str, torch.Tensor], torch.Tensor]:
    """Add up the gradients of one batch, micro-batch by micro-batch; give the loss terms and the wrong answers."""
    optimiser = run.recipe.optimiser
    n = len(labels)
    micro = optimiser.micro_batch or n
    totals: dict[str, torch.Tensor] = {}
    wrong = torch.zeros((), device=labels.device)
    for first in range(0, n, micro):
        rows = slice(first, min(first + micro, n))
        share = (rows.stop - rows.start) / n
        begin_step(net, run.recipe.seed, step, rows, n)
        with torch.autocast(labels.device.type, torch.bfloat16, enabled=optimiser.precision == "bfloat16"):
            scores, terms = net.scores_and_loss(images[rows], labels[rows], class_weights)
        (sum(terms.values()) * share).backward()
        wrong += (scores.detach().argmax(1) != labels[rows]).sum()
        for name, value in terms.items():
            totals[name] = totals.get(name, 0.0) + value.detach() * share
    return totals, wrong


@contextmanager
def stop_signals() -> Iterator[list[int]]:
    """Within the block, Ctrl-C and SIGTERM only fill the list that it gives; a second one ends at once."""
    got: list[int] = []

    def handle(number: int, _: FrameType | None) -> None:
        if got:
            raise KeyboardInterrupt
        got.append(number)

    numbers = (signal.SIGINT, signal.SIGTERM)
    try:
        before = [signal.signal(number, handle) for number in numbers]
    except ValueError:  # not in the main thread: the caller's own handling stays
        yield got
        return
    try:
        yield got
    finally:
        for number, handler in zip(numbers, before):
            signal.signal(number, handler)
