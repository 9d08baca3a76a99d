"""The obvious way: the paper's AlexNet of torch's own layers, torchvision's reference loader, plain SGD, eager float32.

Nothing here is slowed down: these are the layers, transforms and defaults that torch and torchvision document. The net
is the paper's, and a test compares its outputs and gradients with ours.
"""

from collections.abc import Callable
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.utils.data import DataLoader
from torchvision import datasets, transforms

from alexnet.models import Classifier
from alexnet.models.dropout import Dropout

MEAN, DEVIATION = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)  # torchvision's, of RGB in 0..1
RATE = 0.001  # a tenth of the paper's: random labels again and again must not make the loss infinite


class TowerNorm(nn.LocalResponseNorm):
    """torch's response normalisation, each half of the maps by itself, as on the paper's two GPUs."""

    def forward(self, input: Tensor) -> Tensor:
        """Normalise [n c h w]."""
        n, c, h, w = input.shape
        return super().forward(input.view(2 * n, c // 2, h, w)).view(n, c, h, w)


class PlainAlexNet(nn.Sequential):
    """The paper's AlexNet for an input without padding (227), of layers that torch brings; [n 3 h w] -> [n classes].

    Args:
        like: our net, whose widths, classes and weights it takes.
    """

    def __init__(self, like: Classifier):
        weights = {name: value.detach() for name, value in like.named_parameters()}
        one, two, three, four, five = (weights[f"conv{i}.weight"].shape[0] for i in range(1, 6))
        fc6, fc7, fc8 = (weights[f"fc{i}.weight"].shape for i in (6, 7, 8))
        super().__init__(
            nn.Conv2d(3, one, 11, stride=4),
            nn.ReLU(inplace=True),
            TowerNorm(5, alpha=5e-4, beta=0.75, k=2.0),  # torch divides alpha by the window
            nn.MaxPool2d(3, 2),
            nn.Conv2d(one, two, 5, padding=2, groups=2),
            nn.ReLU(inplace=True),
            TowerNorm(5, alpha=5e-4, beta=0.75, k=2.0),
            nn.MaxPool2d(3, 2),
            nn.Conv2d(two, three, 3, padding=1),
            nn.ReLU(inplace=True),
            nn.Conv2d(three, four, 3, padding=1, groups=2),
            nn.ReLU(inplace=True),
            nn.Conv2d(four, five, 3, padding=1, groups=2),
            nn.ReLU(inplace=True),
            nn.MaxPool2d(3, 2),
            nn.Flatten(),
            nn.Linear(fc6[1], fc6[0]),
            nn.ReLU(inplace=True),
            nn.Dropout(),
            nn.Linear(fc7[1], fc7[0]),
            nn.ReLU(inplace=True),
            nn.Dropout(),
            nn.Linear(fc8[1], fc8[0]),
        )
        keep = next(stage.keep for stage in like.stages.values() if isinstance(stage, Dropout))
        layers = [layer for layer in self if isinstance(layer, nn.Conv2d | nn.Linear)]
        names = [name for name in like.stages if f"{name}.weight" in weights]
        with torch.no_grad():
            for name, layer in zip(names, layers, strict=True):
                # The paper halves at test what torch doubles in training: the next layer's weights take the factor.
                factor = keep if name in ("fc7", "fc8") else 1.0
                layer.weight.copy_(weights[f"{name}.weight"] * factor)
                assert layer.bias is not None
                layer.bias.copy_(weights[f"{name}.bias"])


def training_step(net: nn.Module, images: Tensor, labels: Tensor) -> Callable[[], Tensor]:
    """One step of SGD as torch's tutorials write it; each call takes one and gives the loss.

    Args:
        net: of `PlainAlexNet`, on the images' device.
        images: float32 [n, 3, h, w], normalised.
        labels: int64 [n].
    """
    net.train()
    optimiser = torch.optim.SGD(net.parameters(), lr=RATE, momentum=0.9, weight_decay=5e-4)

    def step() -> Tensor:
        optimiser.zero_grad()
        loss = functional.cross_entropy(net(images), labels)
        loss.backward()
        optimiser.step()
        return loss.detach()

    return step


def loader(folder: Path, batch: int, size: int, workers: int = 0) -> DataLoader:
    """torchvision's reference training input: one folder for each class, float32 [n, 3, size, size], normalised."""
    steps = [
        transforms.RandomResizedCrop(size),
        transforms.RandomHorizontalFlip(),
        transforms.PILToTensor(),
        transforms.ConvertImageDtype(torch.float32),
        transforms.Normalize(MEAN, DEVIATION),
    ]
    images = datasets.ImageFolder(str(folder), transforms.Compose(steps))
    return DataLoader(images, batch, shuffle=True, num_workers=workers, drop_last=True)


def ten_crop(net: nn.Module, images: Tensor, size: int, mean: Tensor) -> Tensor:
    """Softmax outputs over ten views averaged, as the documentation of torchvision's TenCrop has it; [n classes].

    Args:
        net: in evaluation mode.
        images: uint8 [n, 3, h, w], on the net's device.
        size: side of a view.
        mean: [3, 1, 1], what is subtracted, in 0..255.
    """
    views = torch.stack(transforms.TenCrop(size)(images), 1)  # n 10 3 size size
    with torch.no_grad():
        scores = net((views.float() - mean).flatten(0, 1))
    return scores.softmax(-1).view(len(images), 10, -1).mean(1)


def one_view_at_a_time(net: nn.Module, images: Tensor, size: int, mean: Tensor) -> Tensor:
    """The same by ten calls of the net for each image, which needs no memory."""
    averaged = []
    with torch.no_grad():
        for image in images:
            views = transforms.TenCrop(size)(image[None])
            averaged.append(torch.cat([net(view.float() - mean).softmax(-1) for view in views]).mean(0))
    return torch.stack(averaged)
