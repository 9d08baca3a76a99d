"""The paper's test on ten views (section 4.1): corners and centre, each mirrored, softmax outputs averaged."""

from copy import deepcopy
from typing import Any

import torch
from torch import Tensor

from alexnet.bench.memory import heap
from alexnet.bench.obvious import PlainAlexNet, one_view_at_a_time, ten_crop
from alexnet.bench.settings import Settings
from alexnet.bench.step import done, net_for
from alexnet.bench.timing import compared, take_turns
from alexnet.errors import JobFailed
from alexnet.evaluation.classify import batch_probabilities
from alexnet.evaluation.inference import for_inference

IMAGES = 12
MANY = 50_000  # images of ImageNet's validation part


def measure(settings: Settings, found: dict[str, Any]) -> dict[str, Any]:
    """Stored images, uint8, to averaged probabilities."""
    net = net_for(settings, "he").to(settings.device).eval()  # scores of unlike images differ
    plain = PlainAlexNet(net).to(settings.device).eval()
    mean = net.mean.clone()
    ours = for_inference(deepcopy(net), settings.device, MANY)
    # An even margin: torchvision mirrors the image before it cuts, which would put its last view one pixel beside ours.
    side = settings.stored + (settings.stored - settings.size) % 2
    n = min(IMAGES, settings.batch)
    chance = torch.Generator().manual_seed(settings.seed)
    images = torch.randint(256, (n, side, side, 3), generator=chance, dtype=torch.uint8)

    def obvious() -> Tensor:
        return ten_crop(plain, images.permute(0, 3, 1, 2).to(settings.device), settings.size, mean)

    def slowest() -> Tensor:
        return one_view_at_a_time(plain, images.permute(0, 3, 1, 2).to(settings.device), settings.size, mean)

    def ours_in_one_batch() -> Tensor:
        return batch_probabilities(ours, images.numpy(), side, settings.size, "ten")

    ways = {"obvious": obvious, "obvious, a view at a time": slowest, "ours": ours_in_one_batch}
    wanted = obvious().double().cpu()
    difference = {name: float((way().double().cpu() - wanted).abs().max()) for name, way in ways.items()}
    if max(difference.values()) > 1e-3:
        raise JobFailed(f"the ways to test on ten views do not agree: {difference}")
    timings = take_turns(
        {name: done(way, settings.device) for name, way in ways.items()}, settings.repeats, enter=heap()
    )
    return {
        "what": "ten views; obvious: torchvision's TenCrop as documented, all views in one batch of the obvious net",
        "rows": [compared(f"{n} images of {side}x{side}, views of {settings.size}", timings, n)],
        "largest_difference": difference,
    }
