"""A trained net as a file of torch.export: a graph of torch's own operators, which runs without this package."""

import copy
import json
from dataclasses import asdict
from pathlib import Path

import torch
from torch import Tensor, nn

from alexnet.checkpoint import Card
from alexnet.exchange.agreement import images_to_compare
from alexnet.models import Classifier


class Served(nn.Module):
    """A net with its temperature: images to {"scores", "probabilities"}, [n classes] each."""

    def __init__(self, net: Classifier, temperature: float):
        super().__init__()
        self.net, self.temperature = net, temperature

    def forward(self, images: Tensor) -> dict[str, Tensor]:
        """Ask about float32 RGB [n 3 size size] in 0..255."""
        scores = self.net(images)
        return {"scores": scores, "probabilities": (scores / self.temperature).softmax(1)}


def write_torch(net: Classifier, card: Card, path: Path) -> None:
    """Write the net as .pt2, for any number of images; the card lies in the file as card.json.

    Args:
        net: in evaluation mode, on the CPU.
        card: of its weights.
        path: of the file.
    """
    plain = copy.deepcopy(net).requires_grad_(False)
    example = images_to_compare(net.size, images=2)
    program = torch.export.export(
        Served(plain, card.temperature),
        (example,),
        dynamic_shapes={"images": {0: torch.export.Dim("n")}},
        strict=False,
    )
    torch.export.save(program, path, extra_files={"card.json": json.dumps(asdict(card), ensure_ascii=False)})


class TorchProgram:
    """An exported .pt2 file, run by torch.

    Attributes:
        name: of the program, with its version.
    """

    def __init__(self, path: Path):
        self.name = f"torch {torch.__version__}"
        self.module = torch.export.load(path).module()

    @torch.inference_mode()
    def __call__(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """Scores and probabilities, [n classes] each, of float32 RGB [n 3 size size] in 0..255."""
        answer = self.module(images)
        return answer["scores"], answer["probabilities"]
