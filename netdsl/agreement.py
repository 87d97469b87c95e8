"""Whether a network does what it claims, and the same in every backend: what `netdsl verify` measures."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import field
from importlib.util import find_spec
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
from numpy.typing import NDArray

from netdsl import syntax as s
from netdsl.api import graph_flops
from netdsl.check import statics
from netdsl.check.laws import sample_statics
from netdsl.check.network import CheckedNetwork, Session
from netdsl.check.report import Mistake
from netdsl.check.values import CheckValue
from netdsl.claims import ClaimResult, check_claim
from netdsl.collector import deep_recursion
from netdsl.diagnostics import Diagnostic, Label, NetError
from netdsl.did_you_mean import suggest
from netdsl.initialisers import initial_values
from netdsl.ir import Graph, Value
from netdsl.record import dataclass
from netdsl.sampling import sample_inputs, sample_sizes, smallest_sizes, storage_dtype
from netdsl.source import Span
from netdsl.structs import arguments
from netdsl.tolerance import allowed_difference, largest_difference
from netdsl.weights import random_weights

Array = NDArray[np.generic]
Outputs = Mapping[str, Array]
Runner = Callable[[Mapping[str, Array]], Outputs]

#: Package that a backend needs -> the extra that brings it.
NEEDS = {"torch": ("torch", "torch"), "onnx": ("onnxruntime", "cpu")}

#: Sizes tried after the smallest and 3; the largest that stays within the budget is taken.
LARGER = (33, 16, 7, 4)
FLOPS_BUDGET = 2 * 10**10


@dataclass(frozen=True, slots=True)
class Agreement:
    """One output of one backend beside the reference's, at some sizes."""

    backend: str
    sizes: Mapping[str, int]
    output: str
    difference: float
    allowed: float

    @property
    def holds(self) -> bool:
        return self.difference <= self.allowed


@dataclass(frozen=True, slots=True)
class Verification:
    """What was measured of one network with one set of statics.

    Args: statics: as a claim gives them, printed; "" for the network's own.
    """

    network: str
    statics: str
    claims: tuple[ClaimResult, ...]
    agreements: tuple[Agreement, ...]


def available_backends() -> dict[str, str]:
    """Each backend beside the reference and why it cannot be used; "" where it can."""
    return {
        name: "" if find_spec(package) else f"{package} is not installed: `pip install 'netdsl[{extra}]'`"
        for name, (package, extra) in NEEDS.items()
    }


@dataclass(frozen=True, slots=True)
class Conditions:
    """Under what a network is verified.

    Args:
        backends: beside the reference.
        seed:     of the weights and inputs.
        is_initial: the weights are the initial ones of the seed, as `build` writes them; else random ones of which none
            is the value of an initialiser.
    """

    backends: tuple[str, ...]
    seed: int = 0
    is_initial: bool = False

    def weights(self, graph: Graph) -> dict[str, Array]:
        """Values of every parameter, in the type in which it is stored."""
        drawn = (initial_values if self.is_initial else random_weights)(graph.params, self.seed)
        dtypes = {p.path: storage_dtype(p.value.type.dtype.storage.name) for p in graph.params}
        return {path: np.asarray(drawn[path]).astype(dtype) for path, dtype in dtypes.items()}


def verify_session(
    session: Session, names: Sequence[str], values: Mapping[str, CheckValue], conditions: Conditions
) -> Iterator[Verification]:
    """Verify networks of a file one after the other: their claims, and their backends against the reference.

    Args:   values: statics by name, for those networks that know them.
    Raises: NetError: a network or a claim that is wrong in itself, or that a backend refuses to build.
    """
    for name in names:
        decl = session.subjects[name]
        header = decl.header
        values = values if name in session.networks else {**sample_statics(decl), **values}
        known = {p.name for p in header.statics}
        mine = {k: v for k, v in values.items() if k in known}
        claims = [c for c in session.file.module.items if isinstance(c, s.Claim) and c.network == name]
        special = [c for c in claims if c.args]
        is_open = any(p.default is None and p.name not in mine for p in header.statics)
        if not is_open or len(special) < len(claims) or not special:
            own = _Subject(session, session.network(name, mine), conditions)
            results = [r for c in claims if not c.args for r in own.claim(c)]
            yield Verification(name, "", tuple(results), tuple(own.agreements()))
        for claim in special:
            checked = session.network(name, mine | _claim_statics(session, claim))
            subject = _Subject(session, checked, conditions)
            text = claim.span.source.text[claim.args[0].span.start : claim.args[-1].span.end]
            agreements = tuple(subject.agreements()) if is_open else ()
            yield Verification(name, text, tuple(subject.claim(claim)), agreements)


def claims_of_nothing(session: Session) -> list[Diagnostic]:
    """Claims about something that is no network of the file."""
    found = []
    for item in session.file.module.items:
        if isinstance(item, s.Claim) and item.network not in session.subjects:
            near = suggest(item.network, list(session.subjects))
            found.append(
                Diagnostic(
                    "E0300",
                    f"no network here is named `{item.network}`",
                    Label(item.network_span),
                    help=f"did you mean `{near}`?" if near else None,
                )
            )
    return found


def findings(session: Session, verification: Verification) -> Iterator[Diagnostic]:
    """A diagnostic for each claim that fails and each backend that differs."""
    header = session.subjects[verification.network].header.name_span
    for result in verification.claims:
        if not result.holds:
            yield Diagnostic(
                "E0401",
                f"the claim `{result.text}` does not hold: {result.measured}",
                Label(result.claim.value.span, f"false on the {result.backend} backend"),
                (Label(header, "the network that it is about"),),
            )
    for row in verification.agreements:
        if not row.holds:
            at = ", ".join(f"{k} = {v}" for k, v in row.sizes.items()) or "its only sizes"
            yield Diagnostic(
                "E0402",
                f"`{row.output}` differs by {row.difference:.3g} between {row.backend} and the reference, "
                f"and {row.allowed:.3g} is allowed",
                Label(header),
                notes=(f"found at {at}",),
            )


@dataclass(eq=False)
class _Subject:
    """One checked network with weights, and its runners."""

    session: Session
    network: CheckedNetwork
    conditions: Conditions
    weights: dict[str, Array] = field(init=False)
    _runners: dict[str, Runner] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.weights = self.conditions.weights(self.graph)

    @property
    def graph(self) -> Graph:
        return self.network.eval_graph

    def runner(self, backend: str) -> Runner:
        if backend not in self._runners:
            make = {"reference": reference_runner, "torch": torch_runner, "onnx": onnx_runner}[backend]
            self._runners[backend] = make(self.graph, self.weights)
        return self._runners[backend]

    def claim(self, claim: s.Claim) -> Iterator[ClaimResult]:
        """The claim on the reference; where it speaks of outputs, on every backend."""
        is_run = False

        def reference(inputs: Mapping[str, Array]) -> Outputs:
            nonlocal is_run
            is_run = True
            return self.runner("reference")(inputs)

        yield self._measure(claim, reference, "reference")
        if is_run:
            for backend in self.conditions.backends:
                yield self._measure(claim, self.runner(backend), backend)

    def _measure(self, claim: s.Claim, runner: Runner, backend: str) -> ClaimResult:
        try:
            with deep_recursion():
                return check_claim(claim, self.graph, runner, self._other(claim), flops=graph_flops, backend=backend)
        except Mistake as mistake:
            raise NetError(mistake.diagnostic) from None

    def _other(self, claim: s.Claim) -> Callable[[str], Graph]:
        def find(name: str) -> Graph:
            if name not in self.session.networks:
                near = suggest(name, list(self.session.networks))
                raise NetError(
                    Diagnostic(
                        "E0300",
                        f"no network here is named `{name}`",
                        Label(claim.value.span),
                        help=f"did you mean `{near}`?" if near else None,
                    )
                )
            return self.session.network(name).eval_graph

        return find

    def agreements(self) -> Iterator[Agreement]:
        """Every backend's outputs beside the reference's, at each of the chosen sizes."""
        types = {name: value.type.dtype.storage.name for name, value in self.graph.outputs}
        for sizes in chosen_sizes(self.graph, self.conditions.seed):
            if not self.conditions.backends:
                return
            inputs = sample_inputs(self.graph, sizes, self.conditions.seed)
            expected = self.runner("reference")(inputs)
            for backend in self.conditions.backends:
                found = self.runner(backend)(inputs)
                for name, dtype in types.items():
                    difference = largest_difference(expected[name], found[name])
                    yield Agreement(backend, sizes, name, difference, allowed_difference(expected[name], dtype))


def chosen_sizes(graph: Graph, seed: int) -> list[dict[str, int]]:
    """The smallest sizes, 3 of everything, and the largest within the budget, of all dimensions or all but the first.

    Raises: NetError: E0403: no sizes satisfy the facts.
    """
    try:
        chosen = [smallest_sizes(graph)]
    except ValueError as error:
        raise NetError(Diagnostic("E0403", str(error))) from None
    flops = graph_flops(graph)
    dims = graph.free_dims
    three = sample_sizes(graph, 3, seed)
    if three not in chosen:
        chosen.append(three)
    for want, changed in ((want, changed) for want in LARGER for changed in (dims, dims[1:])):
        sizes = sample_sizes(graph, want, seed, dims=changed)
        if sizes not in chosen and flops.evaluate(sizes) <= FLOPS_BUDGET:
            chosen.append(sizes)
            break
    return chosen


def reference_runner(graph: Graph, weights: Mapping[str, Array]) -> Runner:
    """The float64 reference."""
    from netdsl.backends.reference.execute import run

    return lambda inputs: run(graph, inputs, weights).outputs


def torch_runner(graph: Graph, weights: Mapping[str, Array]) -> Runner:
    """The torch module in evaluation mode."""
    import torch

    from netdsl.backends.torch_fx.dtypes import torch_dtype
    from netdsl.backends.torch_fx.module import build_module

    module = build_module(graph, weights).eval()

    def tensor(array: Array, value: Value) -> torch.Tensor:
        return torch.from_numpy(np.array(array)).to(torch_dtype(value.type.dtype))

    def run(inputs: Mapping[str, Array]) -> Outputs:
        with torch.no_grad():
            results = module(*arguments({name: tensor(inputs[name], value) for name, value in graph.inputs}))
        results = (results,) if isinstance(results, torch.Tensor) else results
        arrays = (r.double() if r.is_floating_point() else r for r in results)
        return {name: a.numpy() for (name, _), a in zip(graph.outputs, arrays, strict=True)}

    return run


def onnx_runner(graph: Graph, weights: Mapping[str, Array]) -> Runner:
    """ONNX Runtime on the CPU, after the passes that every export runs."""
    from netdsl.backends.onnx.model import build
    from netdsl.backends.onnx.runtime import Session as Runtime
    from netdsl.backends.onnx.serialize import EXTERNAL_BYTES, to_bytes, to_files
    from netdsl.passes.pipeline import run_pipeline

    result = run_pipeline(graph, weights, validate=False)
    model = build(result.graph, result.weights)
    if model.size_bytes <= EXTERNAL_BYTES:
        return Runtime.load(to_bytes(model)).run
    with TemporaryDirectory(prefix="netdsl-") as folder:
        for name, chunks in to_files(model, "model.onnx").items():
            with open(Path(folder, name), "wb") as stream:
                stream.writelines(chunks)
        return Runtime.load(Path(folder, "model.onnx")).run


def _claim_statics(session: Session, claim: s.Claim) -> dict[str, CheckValue]:
    """The statics in `claim Net[depth=2]: ..`. Raises: NetError."""
    header = session.subjects[claim.network].header
    names = [p.name for p in header.statics]
    body = statics.static_body(session.checker(training=False), session.file, {}, claim.span)
    values: dict[str, CheckValue] = {}
    for index, arg in enumerate(claim.args):
        name = arg.name or (names[index] if index < len(names) else None)
        if name is None or name not in names:
            raise NetError(_no_static(header.name, name, names, arg.span))
        try:
            with deep_recursion():
                values[name] = body.evaluate(arg.value)
        except Mistake as mistake:
            raise NetError(mistake.diagnostic) from None
    return values


def _no_static(network: str, name: str | None, names: list[str], span: Span) -> Diagnostic:
    if name is None:
        return Diagnostic("E0330", f"`{network}` has {len(names)} statics, and more are given", Label(span))
    near = suggest(name, names)
    return Diagnostic(
        "E0330", f"`{network}` has no static `{name}`", Label(span), help=f"did you mean `{near}`?" if near else None
    )
