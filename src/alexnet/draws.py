"""Random numbers that depend on (seed, step, use) alone.

No state is carried from step to step, so a resumed run, and each process of a parallel one, draws what
the undisturbed run would have drawn: always for the whole batch, of which a process takes its rows.
"""

import numpy as np
import torch


def seed_of(seed: int, step: int, use: str) -> int:
    """Mix a run's seed, a step and a use into 63 bits; different uses give unrelated numbers."""
    words = [seed, step, *use.encode()]
    return int(np.random.SeedSequence(words).generate_state(1, np.uint64)[0] >> np.uint64(1))


def generator(seed: int, step: int, use: str, device: torch.device | str = "cpu") -> torch.Generator:
    """Give a torch generator for one use at one step."""
    made = torch.Generator(device=device)
    made.manual_seed(seed_of(seed, step, use))
    return made
