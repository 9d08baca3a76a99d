"""What the processes of test_faults.py do beside the commands."""

import os
from pathlib import Path

import alexnet.api.runs
from alexnet.commands.training import train
from parallel.tiny_net import sitecustomize  # noqa: F401 (the tiny net joins the others)


def fitted(cache: Path, arguments: list[str]) -> None:
    """Train as the command does, without the closing test and the report."""
    os.environ["ALEXNET_CACHE"] = str(cache)
    alexnet.api.runs.complete = lambda run, reason: {}
    assert train([*arguments, "--save_every", "999", "--json"]) == 0
