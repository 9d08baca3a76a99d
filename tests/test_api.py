"""The package from Python."""

import subprocess
import sys

import numpy as np
import pytest
import torch

import alexnet


class Squares(torch.utils.data.Dataset):
    """Bright and dark squares, grey, as PIL, arrays or tensors."""

    classes = ("dark", "bright")

    def __init__(self, kind="array", n=60, sides=(16,)):
        self.kind, self.n, self.sides = kind, n, sides

    def __len__(self):
        return self.n

    def __getitem__(self, i):
        side = self.sides[i % len(self.sides)]
        pixels = np.random.default_rng(i).integers(0, 100, (side, side), dtype=np.uint8) + np.uint8(140 * (i % 2))
        if self.kind == "tensor":
            return torch.from_numpy(pixels)[None].float() / 255, i % 2
        return pixels, i % 2


def test_any_map_style_dataset_trains_and_the_result_predicts(tiny, cache, tmp_path):
    run = alexnet.train(
        Squares(),
        out=tmp_path / "run",
        name="squares",
        model=tiny,
        epochs=12,
        optimiser={"batch": 8, "rate": 0.05},
        device="cpu",
    )
    assert alexnet.evaluate(run)["top1_error"] <= 0.25
    net = alexnet.load(run)
    assert net.classes == ["dark", "bright"]
    assert net.predict(np.full((16, 16), 220, np.uint8))[0].predictions[0].label == "bright"
    assert (run / "report.html").is_file()


def test_a_dataset_of_tensors_holds_the_images_of_one_of_arrays():
    from alexnet.data import dataset_source

    arrays, tensors = (dataset_source(Squares(kind), side=16) for kind in ("array", "tensor"))
    assert np.array_equal(tensors.arrays, arrays.arrays)
    assert np.array_equal(tensors.labels, arrays.labels)
    assert tensors.classes == arrays.classes


def test_images_of_different_sizes_in_a_dataset_become_squares_of_one():
    from alexnet.data import dataset_source

    source = dataset_source(Squares(sides=(16, 24)), side=20)
    assert source.arrays.shape == (60, 20, 20, 3)


@pytest.mark.parametrize(
    "wrong", [iter([]), [(np.zeros((4, 4), np.float32) - 3, 0)], [], [(np.zeros((4, 4), np.uint8), -1)]]
)
def test_a_dataset_that_gives_something_else_is_refused_in_one_line(wrong, tmp_path):
    with pytest.raises(alexnet.InputError) as caught:
        alexnet.train(wrong, out=tmp_path / "run")
    assert "\n" not in str(caught.value)


def test_building_and_naming_need_one_line():
    assert "alexnet_2012" in alexnet.names()
    net = alexnet.build("alexnet", classes=3, size=67)
    assert net(torch.zeros(1, 3, 67, 67)).shape == (1, 3)


def test_importing_the_package_imports_no_torch():
    code = "import sys, alexnet; assert not {'torch', 'numpy'} & set(sys.modules); print(alexnet.__version__)"
    out = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert out.stdout.strip() == alexnet.__version__


def test_every_public_name_is_there_and_documented():
    for name in alexnet.__all__:
        assert getattr(alexnet, name).__doc__, name
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        _ = alexnet.nothing


def test_a_field_that_does_not_exist_is_refused():
    with pytest.raises(alexnet.InputError, match="epoch"):
        alexnet.train("digits", epoch=3)
