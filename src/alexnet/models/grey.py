"""Nets that read one grey map."""

from torch import Tensor

from alexnet.models.classifier import Classifier


class GreyClassifier(Classifier):
    """A classifier whose first stage reads one map: the mean of the three channels, each preprocessed."""

    def preprocess(self, images: Tensor) -> Tensor:
        """RGB [n 3 h w] in 0..255 to [n 1 h w]."""
        return super().preprocess(images).mean(1, keepdim=True)
