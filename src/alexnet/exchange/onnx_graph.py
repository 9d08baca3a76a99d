"""What an ONNX graph is made of while it is written: nodes, constants, and the tensors between."""

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from torch import Tensor


@dataclass(frozen=True)
class Maps:
    """A tensor of the graph.

    Attributes:
        name: in the graph.
        maps: number of maps, or of units.
        side: in pixels; 0 for units: [n maps] instead of [n maps side side].
    """

    name: str
    maps: int
    side: int = 0

    @property
    def shape(self) -> tuple[int, ...]:
        """Without the batch."""
        return (self.maps, self.side, self.side) if self.side else (self.maps,)


@dataclass
class Graph:
    """Nodes and constants, as they are added.

    Attributes:
        nodes: of protobuf, in the order in which they run.
        constants: name -> values.
    """

    nodes: list[Any] = field(default_factory=list)
    constants: dict[str, np.ndarray] = field(default_factory=dict)

    def node(self, kind: str, inputs: list[str], name: str, **attributes: Any) -> str:
        """Add a node whose only output is `name`; give that name."""
        from onnx.helper import make_node

        self.nodes.append(make_node(kind, inputs, [name], name=name, **attributes))
        return name

    def constant(self, name: str, values: Tensor | np.ndarray | float) -> str:
        """Add a constant, a float as float32; give its name."""
        if isinstance(values, Tensor):
            values = values.detach().cpu().numpy()
        elif isinstance(values, float):
            values = np.array(values, np.float32)
        self.constants[name] = np.asarray(values)
        return name
