"""Says in one line what is wrong with a training run, and what to change.

Users of these nets wait for thousands of steps at ln(classes), or find a run of nothing but zeros in the
morning. Each rule here names what it saw and the option that mends it.
"""

import math
import statistics
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from alexnet.errors import JobFailed
from alexnet.models import Classifier
from alexnet.models.blocks import ConvReLU

FLAT_STEPS = 200  # a loss at chance for so many steps is worth a word
DEAD_SHARE = 0.5  # of a layer's units silent on a whole batch
LARGE_UPDATE = 0.05  # of a layer's weights changed in one step
SMALL_UPDATE = 1e-6


@dataclass
class Watchdog:
    """Watches the loss of every step and the layers of every epoch.

    Attributes:
        chance: the losses of a net that knows nothing: ln(classes), and the entropy of the class shares.
        recent: the cross-entropy of the last FLAT_STEPS steps; none of a net whose loss is another.
        said: what was said already; nothing is said twice.
    """

    chance: list[float]
    recent: list[float] = field(default_factory=list)
    said: list[str] = field(default_factory=list)

    @classmethod
    def for_counts(cls, counts: list[int]) -> "Watchdog":
        """Watch a run whose training part has so many images of each class."""
        total = sum(counts)
        entropy = -sum(n / total * math.log(n / total) for n in counts if n)
        return cls([math.log(len(counts)), entropy])

    def after_steps(self, step: int, terms: list[dict[str, float]]) -> list[str]:
        """Take the loss terms of the steps that end at `step`; give what is to be said.

        Raises:
            JobFailed: a term is not finite. The message names it and its step.
        """
        messages = []
        for at, named in enumerate(terms, start=step - len(terms) + 1):
            for name, value in named.items():
                if not math.isfinite(value):
                    raise JobFailed(
                        f"{name} is {value} at step {at}: the net has blown up; take a tenth of --optimiser.rate, "
                        "or --net.start he --net.scale deviation"
                    )
            if "cross_entropy" not in named:  # LeNet-5's penalties do not compare with ln(classes)
                continue
            self.recent = [*self.recent, named["cross_entropy"]][-FLAT_STEPS:]  # without side classifiers
            if self._is_flat():
                messages += self._say(
                    "flat",
                    f"the loss has stood at {statistics.fmean(self.recent):.3f}, which is chance (ln of the classes), "
                    f"for {FLAT_STEPS} steps: the net has not begun to learn; --recipe practical starts at once "
                    "(He's start, scaled input)",
                )
        return messages

    def after_epoch(self, layers: list[dict[str, Any]], rate_share: float) -> list[str]:
        """Take the layers' health at the end of an epoch; give what is to be said.

        Args:
            layers: as `layer_health` gives them.
            rate_share: present rate as a share of the recipe's; small updates are no fault when it is small.
        """
        messages = []
        for layer in layers:
            stage, dead, update = layer["stage"], layer["dead"], layer["update_to_weight"]
            if dead > DEAD_SHARE:
                messages += self._say(
                    f"dead {stage}",
                    f"{dead:.0%} of the units of {stage} give nothing for any image of a batch: they no longer learn; "
                    "lower --optimiser.rate or take --net.start he",
                )
            if update is not None and update > LARGE_UPDATE:
                messages += self._say(
                    f"large {stage}",
                    f"a step changes the weights of {stage} by {update:.1%}, some 0.1 % is healthy: "
                    "lower --optimiser.rate",
                )
            if update is not None and update < SMALL_UPDATE and rate_share > 0.1:
                messages += self._say(
                    f"small {stage}",
                    f"a step changes the weights of {stage} by only {update:.1e} of their size: they hardly learn; "
                    "raise --optimiser.rate or take --net.start he",
                )
        return messages

    def state(self) -> dict[str, Any]:
        """What a resumed run needs."""
        return {"recent": list(self.recent), "said": list(self.said)}

    def load(self, state: dict[str, Any]) -> None:
        """Take a state back."""
        self.recent, self.said = list(state["recent"]), list(state["said"])

    def _is_flat(self) -> bool:
        """Whether both halves of the last losses are at chance: within 1 %, or what their own noise explains."""
        if len(self.recent) < FLAT_STEPS:
            return False
        half = FLAT_STEPS // 2
        return any(
            all(_near(part, chance) for part in (self.recent[:half], self.recent[half:])) for chance in self.chance
        )

    def _say(self, key: str, message: str) -> list[str]:
        if key in self.said:
            return []
        self.said.append(key)
        return [message]


@torch.no_grad()
def layer_health(net: Classifier, images: Tensor, optimiser: torch.optim.SGD) -> list[dict[str, Any]]:
    """How each layer with weights fares: share of dead units, and the last step's size against the weights'.

    A unit (a map, in a convolution) is dead when it is zero everywhere for every image of the batch. The last
    step is rate x momentum buffer; a stage of several layers is taken as one. Frozen layers have no step (None). The
    last layer's scores have no dead units, unless it cuts them at 0, as NIN's does.

    Args:
        net: in training; put back as it was.
        images: float32 [n, 3, h, w], 0..255; a few dozen are enough.
        optimiser: torch's SGD over the net's parameters.
    """
    rates = {id(p): group["lr"] for group in optimiser.param_groups for p in group["params"]}
    training = net.training
    net.eval()
    rows: list[dict[str, Any]] = []
    x = net.preprocess(images)
    for stage, module in net.stages.items():
        x = module(x)
        weights = [p for name, p in module.named_parameters() if name.endswith("weight") and p.dim() > 1]
        if not weights:
            if stage.startswith("relu") and rows:
                rows[-1]["dead"] = _dead_share(x)
            continue
        buffers = [optimiser.state[w].get("momentum_buffer") if id(w) in rates else None for w in weights]
        steps = [rates[id(w)] * b.norm() for w, b in zip(weights, buffers, strict=True) if b is not None]
        size = torch.stack([w.norm() for w in weights]).norm()
        update = float(torch.stack(steps).norm() / size) if steps else None
        scores = stage == net.classifier_stage and not isinstance(module, ConvReLU)
        dead = 0.0 if scores else _dead_share(x)
        rows.append({"stage": stage, "update_to_weight": update, "dead": dead})
    net.train(training)
    return rows


def _dead_share(x: Tensor) -> float:
    axes = [axis for axis in range(x.dim()) if axis != 1]
    return float((x == 0).all(dim=tuple(axes)).float().mean()) if axes else 0.0


def _near(losses: list[float], chance: float) -> bool:
    noise = 3 * statistics.stdev(losses) / math.sqrt(len(losses))
    return abs(statistics.fmean(losses) - chance) < max(0.01 * chance, noise)
