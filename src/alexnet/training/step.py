"""One step of training: the gradients of a batch, micro-batch by micro-batch, and the update of the weights.

Three ways to take it, which give the same numbers but for rounding. Op by op, as torch does by itself. With forward
pass and loss compiled. Or captured once as a CUDA graph, update and all, and replayed, so that a GPU never waits for
Python. What changes from step to step in a graph (images, labels, dropout masks, rates) lies in tensors that stay in
place and are filled before. Where compiling or capturing fails, a line says so and steps go on op by op.
"""

from collections.abc import Callable
from contextlib import nullcontext

import torch
from torch import Tensor

from alexnet.models import begin_step, draw_ahead, take_rows
from alexnet.parallel.scheme import Scheme
from alexnet.parallel.traffic import Counted, in_words
from alexnet.processes import own_rows, size
from alexnet.progress import note
from alexnet.recipe import Recipe
from alexnet.training.optimise import hold_rates
from alexnet.training.speed import Chosen

Losses = tuple[dict[str, Tensor], Tensor]
WARM_UP = 3  # steps before a graph is captured: kernels are chosen in them, and buffers made


class Step:
    """Takes the steps of a run, op by op.

    Args:
        scheme: whose own net is in training mode, on its device, as `speed.apply` left it, and whose own optimiser's
            rates are set before each step.
        recipe: gives seed and micro-batch.
        chosen: gives precision and order in memory.
        batch: images of a step in all processes together.
        class_weights: float32 [classes] on the device, or None.
    """

    def __init__(self, scheme: Scheme, recipe: Recipe, chosen: Chosen, batch: int, class_weights: Tensor | None = None):
        self.scheme, self.net, self.optimiser = scheme, scheme.own_net, scheme.own_optimiser
        self.batch, self.own, self.class_weights = batch, scheme.own_rows(batch), class_weights
        self.seed, self.micro_batch = recipe.seed, recipe.optimiser.micro_batch
        self.bfloat16 = chosen.precision == "bfloat16"
        self.order = torch.channels_last if chosen.memory_format == "channels_last" else torch.contiguous_format
        self.taken = 0

    def __call__(self, images: Tensor, labels: Tensor, at: int) -> Losses:
        """Take step `at` of the run; give its loss terms and how many answers were wrong, all on the device.

        Of several processes each gives its share: the sums over all of them, by `scheme.copies`, are the step's.

        Args:
            images: float32 [n, 3, size, size], 0..255; this process's rows of the batch, always the same n.
            labels: int64 [n].
            at: from 0.
        """
        if self.taken == 0 and size() > 1:
            with Counted() as counted:
                losses = self.gradients(images, labels, at)
            note(in_words(counted, self.scheme.net, size()))
        else:
            losses = self.gradients(images, labels, at)
        self.update()
        self.taken += 1
        return losses

    def gradients(self, images: Tensor, labels: Tensor, at: int) -> Losses:
        """Add up the gradients of a batch, as `forward_backward` does, with the dropout masks of step `at`."""

        def begin(rows: slice) -> None:
            begin_step(self.net, self.seed, at, rows, self.batch)

        return self.forward_backward(images, labels, begin)

    def forward_backward(self, images: Tensor, labels: Tensor, begin: Callable[[slice], None]) -> Losses:
        """Add up the gradients of one batch, micro-batch by micro-batch; give its loss terms and its wrong answers.

        However a batch is divided, its gradients are those of the whole, but for rounding: the dropout masks are
        drawn for the whole batch, and each part's loss counts by its share of the images. Not so with batch norm,
        where each part is normalised by its own statistics.

        Args:
            images: float32 [n, 3, size, size], 0..255.
            labels: int64 [n].
            begin: called before each part goes through the net, with the rows of the whole batch that dropouts see.
        """
        n, device = len(labels), labels.device
        images = images.contiguous(memory_format=self.order)
        totals: dict[str, Tensor] = {}
        wrong = torch.zeros((), device=device)
        parts = self.scheme.parts(self.batch, self.micro_batch)
        for part in range(parts):
            rows = own_rows(n, part, parts)
            share = (rows.stop - rows.start) / self.batch
            begin(self.scheme.dropped_rows(slice(self.own.start + rows.start, self.own.start + rows.stop)))
            with self.scheme.keep_gradients() if part < parts - 1 else nullcontext():
                with torch.autocast(device.type, torch.bfloat16, enabled=self.bfloat16):
                    missed, terms = self.scheme.forward(images[rows], labels[rows], self.class_weights)
                (torch.stack(list(terms.values())).sum() * (share * self.scheme.loss_factor)).backward()
            wrong += missed
            for name, value in terms.items():
                totals[name] = totals.get(name, torch.zeros_like(value)) + value.detach() * share
        return totals, wrong

    def take_rows(self, rows: slice) -> None:
        """Hand these rows of the masks that were drawn ahead to the dropouts."""
        take_rows(self.net, rows)

    def update(self) -> None:
        """Move the weights by the gradients, and drop these."""
        self.optimiser.step()
        self.optimiser.zero_grad(set_to_none=True)


class CompiledStep(Step):
    """Takes steps whose forward pass and loss are compiled; the first one op by op, which tells the masks' shapes."""

    def gradients(self, images: Tensor, labels: Tensor, at: int) -> Losses:
        """As `Step`; the masks are drawn before, since nothing compiled can draw them."""
        if self.taken == 0:
            return super().gradients(images, labels, at)
        draw_ahead(self.net, self.seed, at)
        if self.taken > 1:
            return self.forward_backward(images, labels, self.take_rows)
        as_it_was = self.net.scores_and_loss
        self.net.scores_and_loss = torch.compile(as_it_was)  # type: ignore[method-assign]
        try:
            return self.forward_backward(images, labels, self.take_rows)
        except Exception as error:  # compilers throw what they like
            fell_back("compiled", error)
            self.net.scores_and_loss = as_it_was  # type: ignore[method-assign]
            self.optimiser.zero_grad(set_to_none=True)
            return self.forward_backward(images, labels, self.take_rows)


class GraphStep:
    """Takes steps from tensors that stay in place: on a GPU as one CUDA graph, elsewhere by the same calls again.

    Args:
        step: takes the first `WARM_UP` steps; what it computes, compiled or not, is then captured.
    """

    def __init__(self, step: Step):
        self.step = step
        self.failed = False
        self.replay: Callable[[], None] | None = None
        self.losses: Losses = {}, torch.empty(0)
        hold_rates(step.optimiser)

    def __call__(self, images: Tensor, labels: Tensor, at: int) -> Losses:
        """As `Step`."""
        if self.failed:
            return self.step(images, labels, at)
        if self.step.taken < WARM_UP:
            return self.warm_up(images, labels, at)
        if self.replay is None:
            try:
                self.replay = self.captured(images, labels)
            except Exception as error:  # one operation that cannot be captured is enough
                self.failed = True
                fell_back("captured as a CUDA graph", error)
                self.step.optimiser.zero_grad(set_to_none=True)
                return self.step(images, labels, at)
        self.images.copy_(images)
        self.labels.copy_(labels)
        draw_ahead(self.step.net, self.step.seed, at)
        self.replay()
        terms, wrong = self.losses
        return {name: value.clone() for name, value in terms.items()}, wrong.clone()

    def warm_up(self, images: Tensor, labels: Tensor, at: int) -> Losses:
        """Take a step as it is, on a GPU beside the main stream, where a graph will be captured too."""
        if labels.device.type != "cuda":
            return self.step(images, labels, at)
        aside, main = torch.cuda.Stream(labels.device), torch.cuda.current_stream(labels.device)
        aside.wait_stream(main)
        with torch.cuda.stream(aside):
            losses = self.step(images, labels, at)
        main.wait_stream(aside)
        return losses

    def captured(self, images: Tensor, labels: Tensor) -> Callable[[], None]:
        """The whole step on tensors that stay in place, as one call; nothing is computed yet."""
        step = self.step
        self.images, self.labels = torch.empty_like(images, memory_format=step.order), torch.empty_like(labels)

        def work() -> None:
            self.losses = step.forward_backward(self.images, self.labels, step.take_rows)
            step.update()

        if labels.device.type != "cuda":
            return work
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph, capture_error_mode="thread_local"):  # the reading threads copy meanwhile
            work()
        return graph.replay


def make_step(
    scheme: Scheme, recipe: Recipe, chosen: Chosen, batch: int, class_weights: Tensor | None = None
) -> Step | GraphStep:
    """The kind of step that was chosen, as far as several processes can take it; for the arguments see `Step`."""
    kind = CompiledStep if chosen.step == "compiled" and scheme.can_be_compiled else Step
    step = kind(scheme, recipe, chosen, batch, class_weights)
    on_a_gpu = next(scheme.own_net.parameters()).device.type == "cuda"
    # What processes send each other is not captured: a replayed exchange with a process that is gone never ends.
    return GraphStep(step) if on_a_gpu and chosen.step != "eager" and size() == 1 else step


def fell_back(what: str, error: Exception) -> None:
    """Say that steps go on op by op, and why."""
    reason = next(iter(str(error).splitlines()), "") or type(error).__name__
    note(f"steps cannot be {what} here ({reason[:120]}): they go on op by op")
