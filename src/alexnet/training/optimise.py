"""Stochastic gradient descent as the paper has it, and how its rate changes.

The paper's rule (section 5), with momentum 0.9 and decay 0.0005:
    v <- 0.9 v - 0.0005 * rate * w - rate * gradient;   w <- w + v
torch's fused SGD holds b = -v / rate, which is the same while the rate is constant. When the rate drops, the
paper's velocity keeps its size; torch's b gives the same step only if it is multiplied by old rate / new rate.
"""

import math
from typing import Any

import torch
from torch import Tensor, nn

from alexnet.errors import InputError
from alexnet.models import Classifier
from alexnet.recipe import Recipe


def parameter_groups(net: Classifier, recipe: Recipe, fresh: set[str], frozen: set[str]) -> list[dict[str, Any]]:
    """Part a net's parameters by what decides their rate: own stage, taken over or fresh, weight or bias.

    Args:
        net: the net.
        recipe: rates and decay.
        fresh: stages that start anew while the others come from another run; empty when all start anew.
        frozen: stages that do not learn.
    """
    optimiser = recipe.optimiser
    own = {event.stage for event in recipe.schedule.events if event.stage}
    for name in sorted((own | frozen) - set(net.parts)):
        raise InputError(f"{recipe.model} has no stage {name!r}: its stages are {', '.join(net.parts)}")
    for name in sorted(frozen):
        if not list(net.parts[name].parameters()):
            raise InputError(f"{name} has no weights to freeze: name one of {', '.join(with_weights(net))}")
    groups: dict[tuple[str, bool, bool], list[nn.Parameter]] = {}
    for stage, module in net.parts.items():
        for name, parameter in module.named_parameters():
            parameter.requires_grad_(stage not in frozen)
            if stage not in frozen:
                kept = bool(fresh) and stage not in fresh
                key = (stage if stage in own else "", kept, name.endswith("bias"))
                groups.setdefault(key, []).append(parameter)
    if not groups:
        raise InputError("every stage is frozen, nothing would learn: leave at least one out of --freeze")
    return [
        {
            "params": parameters,
            "weight_decay": optimiser.decay if not bias or optimiser.bias_decay else 0.0,
            "stage": stage,
            "bias": bias,
            "factor": (optimiser.kept_rate if kept else 1.0) * (optimiser.bias_rate if bias else 1.0),
        }
        for (stage, kept, bias), parameters in groups.items()
    ]


def with_weights(net: Classifier) -> list[str]:
    """The stages that learn."""
    return [name for name, stage in net.parts.items() if list(stage.parameters())]


def rate_of(recipe: Recipe) -> float:
    """The rate of a recipe in which nothing is left to be decided."""
    assert recipe.optimiser.rate is not None
    return recipe.optimiser.rate


def make_optimiser(groups: list[dict[str, Any]], recipe: Recipe) -> torch.optim.SGD:
    """torch's fused SGD over the groups."""
    return torch.optim.SGD(groups, lr=rate_of(recipe), momentum=recipe.optimiser.momentum, fused=True)


def hold_rates(optimiser: torch.optim.SGD) -> None:
    """Keep every group's rate in a tensor beside its weights, where a captured step finds it anew each time.

    `Rates` then fills these tensors. float32 on a GPU, whose kernel asks for it; else float64, which changes no digit.
    """
    for group in optimiser.param_groups:
        device = group["params"][0].device
        kind = torch.float32 if device.type == "cuda" else torch.float64
        group["lr"] = torch.tensor(float(group["lr"]), dtype=kind, device=device)


def optimiser_state(optimiser: torch.optim.SGD) -> dict[str, Any]:
    """What a resumed run needs; rates are numbers in it, wherever they are held."""
    state = optimiser.state_dict()
    for group in state["param_groups"]:
        group["lr"] = float(group["lr"])
    return state


def load_optimiser(optimiser: torch.optim.SGD, state: dict[str, Any]) -> None:
    """Take a state back, the velocities in the weights' own order in memory: the fused update goes by that alone."""
    optimiser.load_state_dict(state)
    for parameter, held in optimiser.state.items():
        velocity = held.get("momentum_buffer")
        if velocity is not None and velocity.stride() != parameter.stride():
            held["momentum_buffer"] = torch.empty_like(parameter).copy_(velocity)


class Rates:
    """The rate of every group at every step, by the recipe's schedule."""

    def __init__(self, optimiser: torch.optim.SGD, recipe: Recipe, epochs: int, steps_per_epoch: int):
        self.optimiser = optimiser
        self.recipe = recipe
        self.epochs = epochs
        self.steps_per_epoch = steps_per_epoch
        self.drops = 0
        self.best = math.inf
        self.epochs_since_best = 0
        self.epochs_since_drop = 0
        self.now = [float(group["lr"]) for group in optimiser.param_groups]  # a GPU need not be asked

    def set(self, step: int) -> float:
        """Set each group's rate for a step; give the rate of the weights that follow no own schedule."""
        keeps_size = self.recipe.optimiser.velocity == "paper"
        for i, group in enumerate(self.optimiser.param_groups):
            rate = self._rate(step, group["stage"], group["bias"]) * group["factor"]
            if keeps_size and rate != self.now[i]:
                self._keep_velocity(group, self.now[i], rate)
            if isinstance(group["lr"], Tensor):
                group["lr"].fill_(rate)
            else:
                group["lr"] = rate
            self.now[i] = rate
        return self._rate(step, "", bias=False)

    def share(self, step: int) -> float:
        """The weights' rate at a step, as a share of the recipe's."""
        return self._rate(step, "", bias=False) / rate_of(self.recipe)

    def colour_deviation(self, step: int) -> float:
        """The deviation of the colour noise at a step."""
        deviation = self.recipe.augmentation.colour_deviation
        for event in self._past_events(step):
            deviation = deviation if event.colour_deviation is None else event.colour_deviation
        return deviation

    def after_validation(self, error: float) -> str:
        """Take an epoch's validation error; give the reason to end training, or an empty text."""
        schedule = self.recipe.schedule
        if error < self.best:
            self.best, self.epochs_since_best, self.epochs_since_drop = error, 0, 0
            return ""
        self.epochs_since_best += 1
        self.epochs_since_drop += 1
        if schedule.early_stop is not None and self.epochs_since_best >= schedule.early_stop:
            return f"no better validation error for {self.epochs_since_best} epochs"
        if schedule.kind == "plateau" and self.epochs_since_drop >= schedule.patience:
            if self.drops == schedule.drops:
                return f"no better validation error after {self.drops} drops of the rate"
            self.drops += 1
            self.epochs_since_drop = 0
        return ""

    def state(self) -> dict[str, Any]:
        """What a resumed run needs."""
        return {
            "drops": self.drops,
            "best": self.best,
            "epochs_since_best": self.epochs_since_best,
            "epochs_since_drop": self.epochs_since_drop,
        }

    def load(self, state: dict[str, Any]) -> None:
        """Take a state back, after the optimiser has taken its own."""
        for name in self.state():
            setattr(self, name, state[name])
        self.now = [float(group["lr"]) for group in self.optimiser.param_groups]

    def _rate(self, step: int, stage: str, bias: bool) -> float:
        schedule, rate = self.recipe.schedule, rate_of(self.recipe)
        if schedule.kind == "constant":
            return rate
        if schedule.kind == "plateau":
            return rate / schedule.factor**self.drops if schedule.biases_follow or not bias else rate
        if schedule.kind == "decay":
            divisions = math.floor(self._published_epoch(step) / schedule.every + 1e-9)
            return rate / schedule.factor**divisions if schedule.biases_follow or not bias else rate
        if schedule.kind == "one_cycle":
            return rate * one_cycle(step / (self.epochs * self.steps_per_epoch), schedule.warm_up)
        now = own = None
        for event in self._past_events(step):
            if event.rate is not None and not event.stage:
                now = event.rate
            elif event.rate is not None and event.stage == stage:
                own = event.rate
        weights = rate if now is None else now
        if own is not None:
            weights = own
        frozen = own == 0
        return weights if schedule.biases_follow or not bias or frozen else rate

    def _past_events(self, step: int) -> list[Any]:
        schedule, now = self.recipe.schedule, self._published_epoch(step)
        return [event for event in schedule.events if event.epoch <= now + 1e-9] if schedule.kind == "steps" else []

    def _published_epoch(self, step: int) -> float:
        return step / self.steps_per_epoch * self.recipe.schedule.published_epochs / self.epochs

    def _keep_velocity(self, group: dict[str, Any], before: float, rate: float) -> None:
        scale = before / rate if rate > 0 else 0.0
        for parameter in group["params"]:
            buffer = self.optimiser.state[parameter].get("momentum_buffer")
            if buffer is not None:
                buffer.mul_(scale)


def one_cycle(progress: float, warm_up: float) -> float:
    """Share of the peak rate: a straight rise over the warm-up, then half a cosine down to zero.

    Args:
        progress: share of the run that is over, 0..1.
        warm_up: share of the run in which the rate rises, from a twentieth of the peak.
    """
    if progress < warm_up:
        return 0.05 + 0.95 * progress / warm_up
    return 0.5 * (1 + math.cos(math.pi * (progress - warm_up) / (1 - warm_up)))
