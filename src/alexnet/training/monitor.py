"""What is made of the losses as they come: judged by the watchdog, written to the journal, shown in the bar."""

from typing import Any

import torch
from torch import Tensor

from alexnet import processes
from alexnet.progress import is_terminal, note
from alexnet.training.journal import Journal
from alexnet.training.watchdog import Watchdog

LOOK_EVERY = 10  # steps between two looks at the loss: each look waits for the device


class Monitor:
    """Collects the loss terms of the steps and looks at them every few steps.

    Args:
        journal: where lines go.
        watchdog: who judges.
        steps_per_epoch: to tell epochs from steps.
        batch: images of a step.
        window: sums since the last line, of a run that is resumed.
        copies: how many of all processes see the same images.
    """

    def __init__(
        self,
        journal: Journal,
        watchdog: Watchdog,
        steps_per_epoch: int,
        batch: int,
        window: dict[str, float],
        copies: int = 1,
    ):
        self.journal = journal
        self.watchdog = watchdog
        self.steps_per_epoch = steps_per_epoch
        self.batch = batch
        self.window = dict(window)
        self.copies = copies
        self.shown = {"training": "", "validation": ""}
        self._pending: list[tuple[int, dict[str, Tensor], Tensor, int, float]] = []

    def add(self, step: int, terms: dict[str, Tensor], wrong: Tensor, n: int, rate: float, seconds: float) -> None:
        """Take one step: this process's share of its loss terms and wrong answers, still on the device.

        Raises:
            JobFailed: at a look, when a term was not finite.
        """
        self._pending.append((step, terms, wrong, n, rate))
        if step % LOOK_EVERY == 0:
            self.look(seconds)

    def look(self, seconds: float) -> None:
        """Bring what is pending from the device, and from all processes; judge it; write a line for every full window.

        Every process looks after the same steps and comes to the same judgement.
        """
        if not self._pending:
            return
        pending, self._pending = self._pending, []
        shares = torch.stack([torch.stack([*named.values(), wrong]) for _, named, wrong, _, _ in pending])
        rows = (processes.total(shares) / self.copies).tolist()
        terms = [dict(zip(named, row)) for (_, named, _, _, _), row in zip(pending, rows)]  # brought in one piece
        self.say(pending[-1][0], self.watchdog.after_steps(pending[-1][0], terms))
        for named, row, (step, _, _, n, rate) in zip(terms, rows, pending):
            for name, value in [*named.items(), ("wrong", row[-1]), ("images", n), ("steps", 1)]:
                self.window[name] = self.window.get(name, 0.0) + value
            if step % LOOK_EVERY == 0:
                self._line(step, rate, seconds)

    def epoch(self, step: int, layers: list[dict[str, Any]], rate_share: float) -> None:
        """Write and judge how the layers fare at an epoch's end."""
        self.journal.write("layers", step, layers=layers)
        self.say(step, self.watchdog.after_epoch(layers, rate_share))

    def validation(self, step: int, epoch: int, best: bool, result: dict[str, float]) -> None:
        """Write an epoch's validation."""
        self.journal.write("validation", step, epoch=float(epoch), best=best, **result)
        self.shown["validation"] = f"validation {result['error']:.1%}"
        if not is_terminal():
            note(f"epoch {epoch}: {' '.join(text for text in self.shown.values() if text)}")

    def say(self, step: int, messages: list[str]) -> None:
        """Tell the reader, and the journal, what the watchdog found."""
        for message in messages:
            self.journal.write("watchdog", step, message=message)
            note(f"watchdog: {message}")

    def _line(self, step: int, rate: float, seconds: float) -> None:
        steps, images, wrong = (self.window.pop(name) for name in ("steps", "images", "wrong"))
        means = {name: value / steps for name, value in self.window.items()}
        self.window.clear()
        loss, error = sum(means.values()), wrong / images
        self.journal.write(
            "step",
            step,
            epoch=step / self.steps_per_epoch,
            loss=loss,
            error=error,
            rate=rate,
            images_seen=step * self.batch,
            seconds=seconds,
            terms=means,
        )
        self.shown["training"] = f"loss {loss:.3f} error {error:.1%}"
