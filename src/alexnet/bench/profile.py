"""Where a training step spends its time, by kind of stage.

torch.profiler notes every operation, and for those of the backward pass the number of the forward operation that
asked for them. So each operation counts for the stage in whose forward pass it, or what it belongs to, was called;
what belongs to no stage is the optimiser's, or "other": the loss, the draws, the casts between the stages.
"""

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from torch import nn
from torch.autograd.profiler import record_function
from torch.profiler import ProfilerActivity, profile

from alexnet.models.blocks import Conv, FullyConnected, MaxPool
from alexnet.models.dropout import Dropout
from alexnet.models.lrn import LRN

MARK = "kind of stage: "
KINDS: Mapping[type[nn.Module], str] = {
    LRN: "response normalisation",
    Conv: "convolution",
    FullyConnected: "fully connected",
    MaxPool: "pooling",
    Dropout: "dropout",
}


def profiled(step: Callable[[], Any], net: nn.Module, steps: int) -> dict[str, float]:
    """The share of each kind of stage in the time of so many steps; they sum to 1.

    Args:
        step: takes one step of `net`, warmed up.
        net: whose stages are told apart by their class.
        steps: how many are looked at.
    """
    on_gpu = next(net.parameters()).device.type == "cuda"
    activities = [ProfilerActivity.CPU, *([ProfilerActivity.CUDA] if on_gpu else [])]
    with marked(net), profile(activities=activities) as seen:
        for _ in range(steps):
            step()
    return shares(list(seen.events() or []), "self_device_time_total" if on_gpu else "self_cpu_time_total")


def shares(events: Sequence[Any], measure: str) -> dict[str, float]:
    """Share of each kind in the summed `measure` of the profiler's events, the largest first."""
    forward: dict[int, str] = {}
    for event in sorted(events, key=lambda event: event.time_range.start):
        # Operations that are called inside another one carry the number that the next gets, so the last is the one.
        if event.sequence_nr >= 0 and (kind := _marked_kind(event)):
            forward[event.sequence_nr] = kind
    totals: Counter[str] = Counter()
    for event in events:
        totals[_kind(event, forward)] += getattr(event, measure)
    whole = sum(totals.values())
    return {kind: value / whole for kind, value in totals.most_common() if value > 0}


@contextmanager
def marked(net: nn.Module) -> Iterator[None]:
    """While it lasts, each stage's forward pass stands under a mark of its kind in a profile."""
    handles, marks = [], []

    def begin(kind: str) -> None:
        marks.append(record_function(MARK + kind))
        marks[-1].__enter__()

    for stage in net.modules():
        kind = next((kind for type_, kind in KINDS.items() if isinstance(stage, type_)), None)
        if kind:
            handles.append(stage.register_forward_pre_hook(lambda *_, kind=kind: begin(kind)))
            handles.append(stage.register_forward_hook(lambda *_: marks.pop().__exit__(None, None, None)))
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()


def _kind(event: Any, forward: Mapping[int, str]) -> str:
    kind = _marked_kind(event)
    while kind is None and event is not None:
        if event.name.startswith("Optimizer."):
            kind = "optimiser"
        elif event.name.startswith("autograd::engine"):
            kind = forward.get(event.sequence_nr)
        event = event.cpu_parent
    return kind or "other"


def _marked_kind(event: Any) -> str | None:
    while event is not None:
        if event.name.startswith(MARK):
            return event.name.removeprefix(MARK)
        event = event.cpu_parent
    return None
