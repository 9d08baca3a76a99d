"""What `alexnet serve` holds: one answer beside the bare net, 16 clients at once, memory; writes results/serving.json.

Run: python benchmarks/serving.py [--seconds 30] [--repeats 60] [--run RUN]

By default the paper's AlexNet with fresh weights, 1000 classes, 227 pixels, and made-up photographs of 500 x 375 as
JPEG. The server is a process of its own. First one client and the bare net here, in turns: what a person waits for.
Then the clients together, each asking one thing after the other. Clients and server share the machine's cores.
"""

import argparse
import itertools
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from io import BytesIO
from pathlib import Path

import httpx
import numpy as np
import torch
from PIL import Image

import measured
from alexnet.checkpoint import Card, save_weights
from alexnet.devices import choose_device
from alexnet.evaluation.inference import for_inference
from alexnet.evaluation.predict import load
from alexnet.models import build

CLIENTS = 16
PHOTOGRAPHS = 40  # fewer than the server keeps
WARM = 5.0  # seconds of the same questions before memory is looked at


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=30)
    parser.add_argument("--repeats", type=int, default=60)
    parser.add_argument("--run", type=Path, help="a run's folder or a file of weights instead")
    asked = parser.parse_args()
    command = f"python benchmarks/serving.py --seconds {asked.seconds:g} --repeats {asked.repeats}"
    report = measured.conditions(command)
    with tempfile.TemporaryDirectory() as scratch:
        run = asked.run or fresh_weights(Path(scratch))
        started = time.perf_counter()
        with subprocess.Popen(
            [sys.executable, "-m", "alexnet", "serve", str(run), "--port", "0"], stdout=subprocess.PIPE, text=True
        ) as server:
            try:
                assert server.stdout is not None
                address = server.stdout.readline().split()[-1]
                report["seconds_to_listen"] = time.perf_counter() - started
                with httpx.Client(base_url=address, timeout=60) as client:
                    names = [uploaded(client, photograph(seed)) for seed in range(PHOTOGRAPHS)]
                    report["one_client"] = in_turns(client, run, names[0], asked.repeats)
                    report["first_page"] = page(client)
                report["clients"] = together(address, server.pid, names, asked.seconds)
            finally:
                server.terminate()
    report |= {"seed": 0, "threads": torch.get_num_threads(), "net": load_card(asked.run)}
    print(measured.write("serving", report))
    one, many = report["one_client"], report["clients"]
    print(f"one image {one['answer']['median'] * 1000:.1f} ms, bare net {one['bare_net']['median'] * 1000:.1f} ms")
    print(f"{CLIENTS} clients: {many['answers']:,} answers, {many['errors']} errors, memory {many['resident_mb']} MB")


def load_card(run: Path | None) -> str:
    """What was served, in words."""
    return f"run of {load(run, 'cpu').card.model}" if run else "alexnet, 227 pixels, 1000 classes, fresh weights"


def fresh_weights(folder: Path) -> Path:
    """A file of the paper's AlexNet as it begins."""
    torch.manual_seed(0)
    file = folder / "alexnet.safetensors"
    net = build("alexnet", classes=1000, size=227)
    save_weights(file, net.state_dict(), Card("alexnet", [f"{number:04}" for number in range(1000)], 227, 256))
    return file


def photograph(seed: int) -> bytes:
    """A JPEG file of 500 x 375 pixels."""
    small = np.random.default_rng(seed).integers(0, 256, (12, 16, 3), dtype=np.uint8)
    file = BytesIO()
    Image.fromarray(small).resize((500, 375), Image.Resampling.BICUBIC).save(file, "JPEG", quality=90)
    return file.getvalue()


def uploaded(client: httpx.Client, data: bytes) -> str:
    answer = client.post("/api/images", files={"image": data})
    answer.raise_for_status()
    return answer.json()["image"]


def in_turns(client: httpx.Client, run: Path, name: str, repeats: int) -> dict[str, dict[str, float]]:
    """One image through the server and through the bare net, one after the other: seconds."""
    predictor = load(run, "cpu")
    net = for_inference(predictor.net, choose_device("cpu"), 1)
    view = torch.rand(1, 3, predictor.card.size, predictor.card.size).mul_(255)
    taken: dict[str, list[float]] = {"answer": [], "its_net": [], "bare_net": []}
    for turn in range(repeats + 3):
        began = time.perf_counter()
        answer = client.get("/api/runs/0/predictions", params={"image": name})
        middle = time.perf_counter()
        with torch.inference_mode():
            net(view)
        ended = time.perf_counter()
        answer.raise_for_status()
        if turn >= 3:
            taken["answer"].append(middle - began)
            taken["its_net"].append(answer.json()["seconds"])
            taken["bare_net"].append(ended - middle)
    return {what: spread(seconds) for what, seconds in taken.items()}


def page(client: httpx.Client) -> dict[str, float]:
    """The page itself: seconds and bytes."""
    began = time.perf_counter()
    answer = client.get("/")
    return {"seconds": time.perf_counter() - began, "bytes": len(answer.content)}


def together(address: str, process: int, names: list[str], seconds: float) -> dict[str, object]:
    """All clients at once; what they asked, what went wrong, how long they waited, and the server's memory."""
    counts: Counter[str] = Counter()
    waited: list[float] = []
    errors: list[str] = []
    begins = time.monotonic() + WARM
    ends = begins + seconds

    def ask(number: int) -> None:
        with httpx.Client(base_url=address, timeout=60) as client:
            for turn in itertools.count(number):
                if time.monotonic() > ends:
                    return
                what, question = questions(turn, names)[turn % 8]
                began = time.perf_counter()
                try:
                    answer = question(client)
                    problem = "" if answer.status_code in (200, 201) else f"{what}: {answer.status_code} {answer.text}"
                except httpx.HTTPError as error:
                    problem = f"{what}: {error!r}"
                if time.monotonic() >= begins:
                    counts[what] += 1
                    waited.append(time.perf_counter() - began)
                    if problem:
                        errors.append(problem)

    threads = [threading.Thread(target=ask, args=[number]) for number in range(CLIENTS)]
    for thread in threads:
        thread.start()
    memory = {}
    for what, moment in (("start", begins), ("middle", begins + seconds / 2), ("end", ends - 0.1)):
        time.sleep(max(0.0, moment - time.monotonic()))
        memory[what] = resident_mb(process)
    for thread in threads:
        thread.join()
    return {
        "clients": CLIENTS,
        "seconds": seconds,
        "answers": sum(counts.values()),
        "asked": dict(counts),
        "errors": len(errors),
        "first_errors": errors[:5],
        "wait": spread(waited),
        "resident_mb": memory,
    }


def questions(turn: int, names: list[str]):
    """Eight things to ask, most of them predictions; uploads are of ever new images."""
    name = names[turn % len(names)]
    predictions = ("predictions", lambda client: client.get(f"/api/runs/0/predictions?image={name}"))
    return [
        predictions,
        ("picture", lambda client: client.get(f"/api/images/{name}?side=256")),
        predictions,
        ("predict", lambda client: client.post("/api/runs/0/predict", files={"image": photograph(turn)})),
        predictions,
        ("heat", lambda client: client.get(f"/api/runs/0/heat.png?image={name}")),
        predictions,
        ("maps", lambda client: client.get(f"/api/runs/0/stages/conv1/maps?image={name}")),
    ]


def resident_mb(process: int) -> float:
    """Memory that a process has now, in MB (Linux)."""
    lines = Path(f"/proc/{process}/status").read_text().splitlines()
    return int(next(line for line in lines if line.startswith("VmRSS")).split()[1]) / 1000


def spread(values: list[float]) -> dict[str, float]:
    """Median and 95th percentile."""
    return {"median": statistics.median(values), "p95": float(np.quantile(values, 0.95)), "n": len(values)}


if __name__ == "__main__":
    main()
