"""A thin AlexNet in place of the paper's, and images of a sixth of the size, so that every case runs in a second."""

from contextlib import contextmanager
from dataclasses import replace

import pytest
import torch

from alexnet.bench import synthetic
from alexnet.bench.settings import Settings
from alexnet.models import VARIANTS, build_variant

THIN = replace(VARIANTS["alexnet"], widths=(8, 16, 16, 16, 16), hidden=(32, 32))


@contextmanager
def beside(prepare, *given):
    yield prepare(*given)


@pytest.fixture(autouse=True)
def one_process(monkeypatch):
    """The obvious way beside ours, thin as it is; and the heap is left alone, for all the tests that follow."""
    for case in ("step", "inference", "tencrop"):
        monkeypatch.setattr(f"alexnet.bench.{case}.apart", beside)
    monkeypatch.setattr("alexnet.bench.run.keep_memory", lambda: None)


@pytest.fixture
def thin(monkeypatch):
    """`step.net_for` builds a thin net."""

    def build(name, classes, size, start):
        assert name == "alexnet"
        return build_variant(THIN, classes, size, start)

    monkeypatch.setattr("alexnet.bench.step.build", build)


@pytest.fixture
def small_images(monkeypatch):
    """JPEG files of 100 x 75."""
    monkeypatch.setattr(synthetic.jpeg_folder, "__defaults__", (75, 100))


@pytest.fixture
def settings():
    return Settings(repeats=2, images=16, batch=4, size=67, device=torch.device("cpu"))
