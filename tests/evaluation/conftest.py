"""Runs that the tests of several questions share."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from alexnet.checkpoint import load_weights, save_weights


@pytest.fixture(scope="session")
def brought(tiny_run: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The tiny run's weights as `alexnet import` leaves those from elsewhere: without images to go back to."""
    folder = tmp_path_factory.mktemp("brought")
    net, card = load_weights(tiny_run / "best.safetensors")
    state = replace(card, source="elsewhere", spec="", fingerprint="")
    save_weights(folder / "best.safetensors", net.state_dict(), state)
    about = {"model": card.model, "source": "elsewhere", "spec": "", "compared_with": "torchvision"}
    (folder / "run.json").write_text(json.dumps(about))
    return folder
