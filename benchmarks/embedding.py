"""What `alexnet embed` adds to the net's own time; writes results/embedding.json.

Run: python benchmarks/embedding.py [--images 512] [--repeats 5]

The paper's AlexNet at 227 pixels with fresh weights, made-up photographs of 500 x 375 that are packed already. In
turns: the whole of `embed`, from the pack to the files, and the prepared net alone on images that lie in memory.
"""

import argparse
import shutil
import tempfile
from pathlib import Path

import torch

import measured
from alexnet.bench.loading import packed
from alexnet.bench.settings import Settings
from alexnet.bench.step import CLASSES, net_for
from alexnet.bench.synthetic import jpeg_folder
from alexnet.bench.timing import compared, take_turns
from alexnet.checkpoint import Card, save_weights
from alexnet.devices import keep_memory
from alexnet.evaluation.inference import for_inference
from alexnet.retrieval.embed import embed

BATCH, STAGE = 128, "fc7"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--images", type=int, default=512)
    parser.add_argument("--repeats", type=int, default=5)
    asked = parser.parse_args()
    keep_memory()
    settings = Settings(asked.repeats, asked.images, device=torch.device("cpu"))
    report = measured.conditions(f"python benchmarks/embedding.py --images {asked.images} --repeats {asked.repeats}")
    net = net_for(settings)
    source = packed(jpeg_folder(asked.images), settings, "raw")
    with tempfile.TemporaryDirectory() as scratch:
        weights, out = Path(scratch) / "net.safetensors", Path(scratch) / "vectors"
        card = Card("alexnet", [f"{i:04}" for i in range(CLASSES)], settings.size, settings.stored)
        save_weights(weights, net.state_dict(), card)
        ready = for_inference(net, settings.device, asked.images)
        images = torch.rand(BATCH, 3, settings.size, settings.size).mul_(255)

        def alone() -> None:
            with torch.inference_mode():
                for _ in range(asked.images // BATCH):
                    ready.features(images, STAGE)

        def whole() -> None:
            embed(weights, str(source.path), out, STAGE)
            shutil.rmtree(out)

        timings = take_turns({"net alone": alone, "embed": whole}, asked.repeats)
    report |= {"seed": 0, "repeats": asked.repeats, "threads": torch.get_num_threads(), "stage": STAGE}
    report |= {
        "batch": BATCH,
        "row": compared("from a pack to a folder of vectors", timings, asked.images, "net alone"),
    }
    print(measured.write("embedding", report), report["row"]["ratio"])


if __name__ == "__main__":
    main()
