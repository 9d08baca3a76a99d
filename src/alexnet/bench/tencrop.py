"""The paper's test on ten views (section 4.1): corners and centre, each mirrored, softmax outputs averaged."""

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import Tensor

from alexnet.bench.apart import apart
from alexnet.bench.obvious import PlainAlexNet, one_view_at_a_time, ten_crop
from alexnet.bench.settings import Settings
from alexnet.bench.step import net_for
from alexnet.bench.timing import compared, take_turns
from alexnet.errors import JobFailed
from alexnet.evaluation.classify import batch_probabilities
from alexnet.evaluation.inference import for_inference

IMAGES = 12
MANY = 50_000  # images of ImageNet's validation part


def measure(settings: Settings, found: dict[str, Any]) -> dict[str, Any]:
    """Stored images, uint8, to averaged probabilities."""
    ours = for_inference(net_for(settings, "he"), settings.device, MANY)
    # An even margin: torchvision mirrors the image before it cuts, which would put its last view one pixel beside ours.
    side = settings.stored + (settings.stored - settings.size) % 2
    images = images_of(settings, side)

    def ours_in_one_batch() -> np.ndarray:
        return batch_probabilities(ours, images.numpy(), side, settings.size, "ten").numpy()

    with (
        apart(obvious_views, settings, side, ten_crop) as obvious,
        apart(obvious_views, settings, side, one_view_at_a_time) as slowest,
    ):
        ways = {"obvious": obvious, "obvious, a view at a time": slowest, "ours": ours_in_one_batch}
        wanted = obvious()
        difference = {name: float(np.abs(way() - wanted).max()) for name, way in ways.items()}
        if max(difference.values()) > 1e-3:
            raise JobFailed(f"the ways to test on ten views do not agree: {difference}")
        timings = take_turns(ways, settings.repeats)
    n = len(images)
    return {
        "what": "ten views; obvious: torchvision's TenCrop as documented, all views in one batch of the obvious net",
        "rows": [compared(f"{n} images of {side}x{side}, views of {settings.size}", timings, n)],
        "largest_difference": difference,
    }


def images_of(settings: Settings, side: int) -> Tensor:
    """Stored images, uint8 [n, side, side, 3]."""
    chance = torch.Generator().manual_seed(settings.seed)
    return torch.randint(256, (min(IMAGES, settings.batch), side, side, 3), generator=chance, dtype=torch.uint8)


def obvious_views(settings: Settings, side: int, way: Callable[..., Tensor]) -> Callable[[], np.ndarray]:
    """Averaged probabilities of the obvious net by one of its ways, float32 [n, classes]."""
    net = net_for(settings, "he").to(settings.device)  # scores of unlike images differ
    plain, mean = PlainAlexNet(net).to(settings.device).eval(), net.mean.clone()
    images = images_of(settings, side).permute(0, 3, 1, 2)
    return lambda: way(plain, images.to(settings.device), settings.size, mean).cpu().numpy()
