"""The training loop, from top to bottom.

One pass: take an augmented batch, set the rate, step. Every few steps the losses are looked at; at every epoch's end
the validation part is measured; now and then, and on Ctrl-C, everything that the next step needs is saved as one file.
All chance comes from (seed, step), so a run that is killed and resumed goes through the same numbers as one that is
left alone.
"""

import math
import time
from contextlib import closing
from dataclasses import dataclass, field

from alexnet import processes
from alexnet.checkpoint import save_state, save_weights
from alexnet.data import Batches
from alexnet.errors import InputError
from alexnet.evaluation.classify import measure
from alexnet.parallel.schemes import make_scheme
from alexnet.progress import bar
from alexnet.training.feed import feed
from alexnet.training.journal import Journal, SilentJournal
from alexnet.training.monitor import LOOK_EVERY, Monitor
from alexnet.training.optimise import Rates, load_optimiser, make_optimiser, optimiser_state
from alexnet.training.run import Run
from alexnet.training.speed import apply
from alexnet.training.step import make_step
from alexnet.training.stopping import stop_signals
from alexnet.training.watchdog import Watchdog, layer_health

STATE_FORMAT = 1
STOPPED = "stopped by you"


@dataclass
class Position:
    """Where a run stands.

    Attributes:
        epoch: epochs that are over, their validation included.
        step: steps that are over.
        seconds: time spent in training, pauses left out.
        best: error and loss of the best validation so far, its epoch and step.
    """

    epoch: int = 0
    step: int = 0
    seconds: float = 0.0
    best: dict[str, float] = field(default_factory=dict)


def fit(run: Run, save_every: float = 60.0, board: bool = False) -> str:
    """Train a run until its recipe, its time or its user ends it; give the reason, empty when all epochs are done.

    All processes that were joined call it, each with the run as it found it.

    Writes into the run's folder: metrics.jsonl, state.pt every `save_every` seconds, and at the end
    best.safetensors and last.safetensors. state.pt stays when the run could go on, that is when its time was up or
    its user stopped it.

    Raises:
        JobFailed: a loss is not finite.
        InputError: the state to go on from was saved by another version.
    """
    if run.has_ended:
        return ""
    first = processes.is_first()
    for torn in run.folder.glob(".state.pt.*") if first else ():  # a kill while a state was being written leaves one
        torn.unlink()
    recipe, net, device = run.recipe, run.net.to(run.device), run.device
    batches = Batches(run.packed, run.parts.train, recipe.optimiser.batch, recipe.seed)
    n = min(recipe.optimiser.batch, len(run.parts.train))
    apply(net, run.speed)
    optimiser = make_optimiser(run.groups(), recipe)
    watchdog = Watchdog.for_counts(run.class_counts)
    weights = run.class_weights.to(device) if run.class_weights is not None else None
    health = run.health_images()
    allowed = recipe.max_minutes * 60 if recipe.max_minutes else math.inf
    at, best_weights, length, window = Position(), None, 0, {}
    scheme = make_scheme(net, optimiser, run.layout)
    rates = Rates(scheme.own_optimiser, recipe, run.epochs, batches.steps)
    if run.state is not None:
        if run.state["format"] != STATE_FORMAT:
            raise InputError(
                f"{run.folder} was saved in format {run.state['format']}, this version reads {STATE_FORMAT}: "
                "resume it with the version that began it"
            )
        at, best_weights = Position(**run.state["position"]), run.state["best"]
        length, window = run.state["length"], run.state["window"]
        net.load_state_dict(run.state["net"])
        load_optimiser(optimiser, run.state["optimiser"])
        watchdog.load(run.state["watchdog"])
    scheme.spread()
    if run.state is not None:
        rates.load(run.state["rates"])
    step = make_step(scheme, recipe, run.speed, n, weights)
    journal = Journal(run.folder, length, board, at.step) if first else SilentJournal()
    monitor = Monitor(journal, watchdog, batches.steps, n, window, scheme.copies)

    def save() -> None:
        """Write all that the next step needs; called in every process."""
        monitor.look(at.seconds)
        scheme.collect()
        if not first:
            return
        state = {
            "format": STATE_FORMAT,
            "position": vars(at),
            "window": monitor.window,
            "net": net.state_dict(),
            "best": best_weights,
            "length": journal.length(),
            "optimiser": optimiser_state(optimiser),
            "rates": rates.state(),
            "watchdog": watchdog.state(),
        }
        save_state(run.folder / "state.pt", state)

    def keep(name: str, step: int) -> None:
        """Write the net's present weights."""
        if first:
            save_weights(run.folder / f"{name}.safetensors", net.state_dict(), run.card(step))

    # Asking all processes whether to stop waits for the step before: a GPU would notice, a CPU would not.
    agree_every = LOOK_EVERY if device.type == "cuda" and processes.size() > 1 else 1
    here = saved = time.monotonic()
    before = at.seconds
    reason, can_go_on = "", False
    with closing(journal), stop_signals() as stopped, bar() as progress:
        task = progress.add_task("", total=run.epochs * batches.steps * n, completed=at.step * n, status="")
        while at.epoch < run.epochs and not reason:
            run.to_training(scheme.own_net)
            begin = at.step - at.epoch * batches.steps
            for fed in feed(run, batches, at.epoch, begin, rates.colour_deviation, scheme.own_rows(n)):
                rate = rates.set(at.step)
                terms, wrong = step(fed.images, fed.labels, at.step)
                at.step += 1
                now = time.monotonic()
                at.seconds = before + now - here
                monitor.add(at.step, terms, wrong, n, rate, at.seconds)
                shown = " ".join(monitor.shown.values())
                progress.update(task, advance=n, description=f"epoch {at.epoch + 1}/{run.epochs}", status=shown)
                if at.step % agree_every:
                    continue
                due = first and now - saved > save_every
                asked, late, due = processes.any_of(bool(stopped), now - here > allowed, due)
                if asked or late:
                    reason = STOPPED if asked else f"{recipe.max_minutes:g} minutes are over"
                    can_go_on = True
                    break
                if due:
                    save()
                    saved = time.monotonic()
            if reason:
                break
            monitor.look(at.seconds)
            scheme.collect()
            monitor.epoch(at.step, layer_health(net, health, optimiser), rates.share(at.step - 1))
            at.epoch += 1
            if len(run.parts.validation) == 0:
                continue
            result = measure(net, run.packed, run.parts.validation, run.side, run.size, run.at_once)
            better = not at.best or (result["error"], result["loss"]) < (at.best["error"], at.best["loss"])
            if better:
                at.best = {**result, "epoch": at.epoch, "step": at.step}
                best_weights = {name: value.detach().clone() for name, value in net.state_dict().items()}
            monitor.validation(at.step, at.epoch, better, result)
            reason = rates.after_validation(result["error"])
        if not reason and processes.any_of(bool(stopped))[0]:  # in the last validation
            reason, can_go_on = STOPPED, True
        if can_go_on:
            save()
        run.calibrate()
        keep("last", at.step)
        if best_weights is not None:
            net.load_state_dict(best_weights)
            run.calibrate()
        keep("best", int(at.best.get("step", at.step)))
        if first:
            run.finish(reason or "all epochs are done", at.step, at.seconds, at.best, ended=not can_go_on)
            if not can_go_on:
                (run.folder / "state.pt").unlink(missing_ok=True)
        processes.wait_for_all()
    return reason
