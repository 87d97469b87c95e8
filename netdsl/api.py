"""The library's face: load a `.net` text, check it, and make a torch module, an ONNX file or a report of it."""

import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import field, replace
from fnmatch import fnmatchcase
from pathlib import Path
from typing import TYPE_CHECKING, Any

from netdsl.check.modules import project_root, read_text
from netdsl.check.network import CheckedNetwork, Session
from netdsl.check.values import CheckValue
from netdsl.diagnostics import Diagnostic, NetError
from netdsl.did_you_mean import suggest
from netdsl.dims import Dim
from netdsl.ir import Decisions, Graph
from netdsl.record import dataclass
from netdsl.source import Source
from netdsl.tensor_type import DTYPES

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from torch import nn
    from torch.fx import GraphModule

    Weights = Mapping[str, NDArray[np.generic]]


def load(path_or_text: "str | Path", **statics: Any) -> "Module":
    """The networks of a `.net` file, or of a text that holds a line end or a `{`.

    Args:   statics: values for the networks' static parameters, by name; each network takes those it knows.
    Raises: NetError: the file cannot be read, or its text is wrong; every finding is in it.
    """
    if isinstance(path_or_text, str) and ("\n" in path_or_text or "{" in path_or_text):
        return Module(Session(Source("<text>", path_or_text), None, None), dict(statics))
    path = Path(path_or_text)
    return Module(open_session(path), dict(statics))


def open_session(path: Path) -> Session:
    """A session over a file.

    Raises: NetError: E0701: the file cannot be read.
    """
    try:
        resolved = Path(os.path.realpath(path))
        opened = read_text(resolved)
    except ValueError as error:
        opened = f"no file has such a name: {error}"
    if isinstance(opened, str):
        raise NetError(Diagnostic("E0701", f"`{path}` cannot be read: {opened}"))
    return Session(Source(str(path), opened[0]), resolved, project_root(resolved))


@dataclass(eq=False)
class Module(Mapping[str, "Network"]):
    """The networks of one file by name; each is checked when it is asked for."""

    session: Session
    statics: dict[str, Any]
    _networks: dict[str, "Network"] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.session.raise_if_wrong()

    def __getitem__(self, name: str) -> "Network":
        if name not in self.session.networks:
            near = suggest(name, list(self.session.networks))
            hint = f"; did you mean `{near}`?" if near else f"; it has {', '.join(self.session.networks) or 'none'}"
            raise KeyError(f"{self.session.source.path} has no network `{name}`{hint}")
        if name not in self._networks:
            known = {p.name for p in self.session.networks[name].header.statics}
            self._networks[name] = Network(self.session, name, {k: v for k, v in self.statics.items() if k in known})
        return self._networks[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self.session.networks)

    def __len__(self) -> int:
        return len(self.session.networks)


@dataclass(eq=False)
class Network:
    """One network with its statics given.

    Raises: NetError: what is wrong with it, on construction.
    """

    session: Session
    name: str
    statics: dict[str, Any]
    decisions: Decisions = field(default_factory=dict)
    checked: CheckedNetwork = field(init=False)

    def __post_init__(self) -> None:
        values: dict[str, CheckValue] = {k: static_value(v) for k, v in self.statics.items()}
        self.checked = self.session.network(self.name, values, self.decisions)

    def set(self, **statics: Any) -> "Network":
        """The same network with other statics."""
        return Network(self.session, self.name, {**self.statics, **statics}, self.decisions)

    def choose(self, decisions: "Mapping[str, Any]") -> "Network":
        """The same network with some choices made: options by path, such as `{"layers.0.choose": 64}`.

        An option is a number, or a block as it is written, its brackets left out where one option has the name; a list
        of options is one for each output. Weights are those of the new network.

        Raises: NetError: E0604: no such choice, or an option that it does not have.
        """
        from netdsl.check.values import print_static

        def written(option: Any) -> str:
            return option if isinstance(option, str) else print_static(static_value(option))

        made = {
            path: tuple(map(written, option)) if isinstance(option, (list, tuple)) else (written(option),)
            for path, option in decisions.items()
        }
        return Network(self.session, self.name, self.statics, {**self.decisions, **made})

    def commit(
        self, weights: "Weights | nn.Module | str | Path | None" = None, *, seed: int = 0
    ) -> "tuple[Network, dict[str, NDArray[np.generic]]]":
        """The network with the best option of each choice, and its weights; equal scores go to the smaller option.

        Raises: NetError: E0604: a choice that no scores decide.
        """
        from netdsl.choices import decide, moved_weights

        values = self.weights(weights, seed=seed)
        made = Network(self.session, self.name, self.statics, {**self.decisions, **decide(self.graph, values)})
        return made, moved_weights(self.graph, made.graph, values)

    def smooth(
        self, weights: "Weights | nn.Module | str | Path | None" = None, *, seed: int = 0, validate: bool = True
    ) -> "dict[str, NDArray[np.generic]]":
        """The weights with hidden channels in an order in which neighbours are most alike; the network computes the
        same, in training too.

        Raises: NetError: E0601: the pass broke its promise, a bug of it.
        """
        from netdsl.passes.pipeline import run_pipeline
        from netdsl.passes.smooth import Smooth

        values = self.weights(weights, seed=seed)
        step = Smooth((self.checked.train_graph,))
        return dict(run_pipeline(self.graph, values, passes=(), bound=(step,), validate=validate).weights)

    def tap(self, *patterns: str) -> "Network":
        """The same network with labelled values as further outputs, named by their paths.

        Args:   patterns: paths such as `blocks.3.encoder.attention`; `*` stands for any text.
        Raises: NetError: E0380: a pattern matches no label.
        """
        tapped = Network(self.session, self.name, self.statics, self.decisions)
        tapped.checked = replace(
            self.checked,
            eval_graph=with_taps(self.checked.eval_graph, patterns),
            train_graph=with_taps(self.checked.train_graph, patterns),
        )
        return tapped

    @property
    def graph(self) -> Graph:
        """The typed graph in evaluation mode."""
        return self.checked.eval_graph

    @property
    def param_count(self) -> int:
        """Elements of all trained parameters."""
        return sum(p.value.type.numel().value for p in self.graph.params if p.kind == "param")

    def flops(self, **sizes: int) -> int:
        """Floating-point operations of one call at the given free sizes, as `torch.utils.flop_counter` counts them."""
        return graph_flops(self.graph).evaluate(sizes)

    def weights(
        self, weights: "Weights | nn.Module | str | Path | None" = None, *, seed: int = 0
    ) -> "dict[str, NDArray[np.generic]]":
        """Values of every parameter by path: initial ones for `seed`, or those of a mapping, a module or a file.

        Raises: NetError: E0720 and after: tensors that are missing, extra or of another shape, all listed.
        """
        from netdsl.weights import resolve

        return resolve(self.graph, weights, seed)

    def torch(self, *, seed: int = 0, weights: "Weights | nn.Module | str | Path | None" = None) -> "GraphModule":
        """A trainable `torch.fx.GraphModule`; keys of its state dict are the parameter paths."""
        from netdsl.backends.torch_fx.module import build_module
        from netdsl.choices import refuse_open

        refuse_open(self.graph, what="it is no module yet", soft=True)
        training = self.checked.train_graph
        return build_module(
            self.graph, self.weights(weights, seed=seed), training_graph=None if training is self.graph else training
        )

    def onnx(
        self,
        path: "str | Path",
        *,
        seed: int = 0,
        weights: "Weights | nn.Module | str | Path | None" = None,
        opset: int = 21,
        validate: bool = True,
        bind: "Mapping[str, Any] | None" = None,
        sizes: "Mapping[str, int] | None" = None,
    ) -> "Report":
        """Write an ONNX file, atomically; the default passes run first, each validated.

        Args:
            bind:  inputs that are fixed; what depends on them alone is computed now, and its generator is gone.
            sizes: of free dimensions that are fixed, as those of a bound graph's nodes, which its edges do not tell.
        Raises: NetError: an op that cannot be exported, a pass that broke its promise, a file that cannot be written.
        """
        from netdsl.choices import refuse_open
        from netdsl.export import export_onnx
        from netdsl.structs import taken_apart

        refuse_open(self.graph, what="it cannot be built")
        bind = taken_apart([name for name, _ in self.graph.inputs], bind or {})
        return export_onnx(
            self, Path(path), self.weights(weights, seed=seed), opset=opset, validate=validate, bind=bind, sizes=sizes
        )

    def reference(
        self,
        inputs: "Mapping[str, Any]",
        *,
        seed: int = 0,
        weights: "Weights | nn.Module | str | Path | None" = None,
    ) -> "dict[str, NDArray[np.generic]]":
        """Outputs of the float64 reference."""
        from netdsl.backends.reference.execute import run
        from netdsl.structs import taken_apart

        inputs = taken_apart([name for name, _ in self.graph.inputs], inputs)
        return dict(run(self.graph, inputs, self.weights(weights, seed=seed)).outputs)


def with_taps(graph: Graph, patterns: Sequence[str]) -> Graph:
    """The graph with every tap that a pattern matches as an output of its own.

    Raises: NetError: E0380.
    """
    outputs = dict(graph.outputs)
    for pattern in patterns:
        found = {t.path: t.value for t in graph.taps if fnmatchcase(t.path, pattern)}
        if not found:
            near = suggest(pattern, [t.path for t in graph.taps])
            labels = ", ".join(t.path for t in graph.taps[:12]) or "none"
            help = f"did you mean `{near}`?" if near else f"labels are {labels}"
            raise NetError(Diagnostic("E0380", f"no label of `{graph.name}` matches `{pattern}`", help=help))
        outputs |= found
    return replace(graph, outputs=tuple(outputs.items()))


def graph_flops(graph: Graph) -> Dim:
    """FLOPs of a graph as a size over its free dimensions; a loop counts its body once a step."""
    return _flops(graph.nodes)


def _flops(nodes: Any) -> Dim:
    from netdsl.ops.loop import Loop

    total = Dim.of(0)
    for node in nodes:
        if isinstance(node.op, Loop):
            total = total + node.op.count * _flops(node.regions[0].nodes)
        else:
            total = total + node.op.flops(node.operand_types, tuple(v.type for v in node.results))
    return total


def static_value(value: Any) -> CheckValue:
    """A Python value as a static of the language."""
    from netdsl.check.values import ListValue, TupleValue

    if isinstance(value, list):
        return ListValue(tuple(static_value(v) for v in value))
    if isinstance(value, tuple):
        return TupleValue(tuple(static_value(v) for v in value), (None,) * len(value))
    if isinstance(value, str) and value in DTYPES:
        return DTYPES[value]
    if isinstance(value, (bool, int, float, str)) or value is None:
        return value
    raise TypeError(f"a static is an int, float, bool, str, list or tuple, not {type(value).__name__}")


@dataclass(frozen=True, slots=True)
class Report:
    """What an export did: the path, its size, and one row a pass."""

    path: Path
    size_bytes: int
    nodes: int
    rows: tuple[Any, ...] = ()
