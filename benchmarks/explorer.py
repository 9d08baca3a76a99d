"""The explorer as the README and the docs show it, photographed with Debian's Chromium through playwright.

    python benchmarks/explorer.py ALEXNET_RUN LENET_RUN INDEX

Both runs are those of the README's table on Fashion-MNIST; INDEX is one of the first run's test images
(`alexnet embed ALEXNET_RUN FASHION vectors --split test`, `alexnet index vectors INDEX`).
"""

import argparse
import shutil
import threading
from pathlib import Path

import uvicorn
from playwright.sync_api import sync_playwright

import measured
from alexnet.web.app import create_app
from alexnet.web.serve import listen

PICTURES = measured.ROOT / "docs" / "pictures"
SCREEN = {"width": 1280, "height": 800}
SANDAL = "test-480"  # one that the net hesitates about
PLACES = {
    "explorer": f"image={SANDAL}&heat=gradcam",
    "explorer-inside": f"image={SANDAL}&view=inside&stage=conv1&unit=13",
}


def main() -> None:
    """Photograph all places and say what was written."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name in ("alexnet", "lenet", "index"):
        parser.add_argument(name, type=Path)
    asked = parser.parse_args()
    listening = listen("127.0.0.1", 0)
    server = uvicorn.Server(uvicorn.Config(create_app([asked.alexnet, asked.lenet], asked.index), log_level="warning"))
    thread = threading.Thread(target=server.run, args=[[listening]])
    thread.start()
    try:
        photograph(f"http://127.0.0.1:{listening.getsockname()[1]}/")
    finally:
        server.should_exit = True
        thread.join()


def photograph(address: str) -> None:
    """Write a PNG of each place."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox"])
        for name, place in PLACES.items():
            page = browser.new_page(viewport=SCREEN, locale="en-GB", reduced_motion="reduce")
            page.goto(f"{address}#{place}")
            page.locator("[role=tab][aria-selected=true]").wait_for()
            page.locator("[aria-busy=true]").first.wait_for(state="detached", timeout=120_000)
            page.wait_for_load_state("networkidle")
            path = PICTURES / f"{name}.png"
            page.screenshot(path=path)
            page.close()
            print(f"{path}: {path.stat().st_size / 1000:.0f} kB")
        browser.close()


if __name__ == "__main__":
    main()
