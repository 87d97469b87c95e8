"""Random well-typed networks: the reference, torch and ONNX Runtime agree, and every form of a network is the same one.

500 networks in `make test`, 20,000 in `make test-long`. Each is generated as a typed graph, printed as graph text and as
`.net` source, parsed, checked and formatted, and compared; then the float64 reference, torch, and ONNX Runtime with
optimizations off and on run it at up to five settings of its free sizes, 1 and where legal 0 among them.

A pair of a producer and a consumer counts as possible when some result of the one has an element kind (float, int, bool)
that some operand of the other takes.
"""

import os
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field

import pytest

from netdsl.ops import OPS
from netdsl.ops.loop import Loop
from tests.random_networks.agree import NotFinite, Used, check, report
from tests.random_networks.coverage import Coverage
from tests.random_networks.generate import RandomNetwork, generate
from tests.random_networks.onnx_worker import OnnxRuntime

#: A plug-in's function has no meaning without its plug-in; tests/language/test_extern.py runs it.
NOT_GENERATED = {"extern_call"}
RECURRENT = frozenset({"LSTM", "GRU", "RNN"})


@dataclass(eq=False)
class Tally:
    """What a run of networks held."""

    networks: int = 0
    rejected: int = 0
    declined: int = 0
    scans: int = 0
    shared: int = 0
    empty: int = 0
    single: int = 0
    several_outputs: int = 0
    repeated_operands: int = 0
    updated_in_loops: int = 0
    #: Networks with a recurrent operator of ONNX, by operator; and with a loop that is one function of torch.
    recurrent: Counter[str] = field(default_factory=Counter)
    sizes: list[int] = field(default_factory=list)
    dtypes: Counter[str] = field(default_factory=Counter)
    results: dict[str, set[str]] = field(default_factory=dict)
    operands: dict[str, set[str]] = field(default_factory=dict)

    def add(self, network: RandomNetwork) -> None:
        nodes = list(network.graph.walk())
        self.networks += 1
        self.declined += network.declined
        self.sizes.append(len(network.graph.nodes))
        self.scans += any(isinstance(n.op, Loop) for n in nodes)
        if network.training is not None:
            self.updated_in_loops += any(isinstance(n.op, Loop) and n.op.states for n in network.training.nodes)
        paths = Counter(row.path for row in network.graph.instances if row.path)
        self.shared += any(count > 1 for count in paths.values())
        self.empty += any(0 in s.sizes.values() for s in network.samples)
        self.single += any(1 in s.sizes.values() for s in network.samples)
        self.several_outputs += len(network.graph.outputs) > 1
        self.repeated_operands += any(len(set(n.operands)) < len(n.operands) for n in nodes)
        self.dtypes.update({v.type.dtype.storage.name for n in nodes for v in n.results})
        for node in nodes:
            self.results.setdefault(node.op.name, set()).update(v.type.dtype.kind for v in node.results)
            self.operands.setdefault(node.op.name, set()).update(v.type.dtype.kind for v in node.operands)

    def use(self, used: Used) -> None:
        operators = used.onnx & RECURRENT
        self.recurrent.update(operators)
        self.recurrent["onnx"] += bool(operators)
        self.recurrent["torch"] += used.torch_cells > 0

    def possible_pairs(self) -> set[tuple[str, str]]:
        return {
            (producer, consumer)
            for producer, made in self.results.items()
            for consumer, taken in self.operands.items()
            if made & taken
        }


@pytest.fixture(scope="module")
def runtime() -> Iterator[OnnxRuntime]:
    worker = OnnxRuntime()
    yield worker
    worker.close()


def run(seeds: range, runtime: OnnxRuntime) -> tuple[Coverage, Tally]:
    """Check the network of each seed; every disagreement is reported, with its source."""
    coverage, tally = Coverage(), Tally()
    failures: list[str] = []
    for seed in seeds:
        network = generate(seed, coverage)
        try:
            tally.use(check(network, runtime))
        except NotFinite:
            tally.rejected += 1
        except Exception as error:  # noqa: BLE001 - whatever a backend raises is a finding
            failures.append(report(network, error))
        tally.add(network)
    assert not failures, f"{len(failures)} of {len(seeds)} networks disagree\n\n" + "\n\n".join(failures[:3])
    return coverage, tally


@pytest.mark.timeout(1200)
def test_500_networks_agree_and_cover_the_language(runtime: OnnxRuntime) -> None:
    coverage, tally = run(range(500), runtime)
    rare = {name: coverage.ops[name] for name in OPS if name not in NOT_GENERATED and coverage.ops[name] < 20}
    assert {} == rare, "every primitive stands in at least 20 places"
    possible = tally.possible_pairs()
    covered = len(possible & set(coverage.pairs)) / len(possible)
    assert covered >= 0.6, f"{covered:.1%} of {len(possible)} pairs of producer and consumer"
    assert 5 <= min(tally.sizes) and max(tally.sizes) <= 60
    assert {"f32", "f64", "f16", "i64", "bool"} <= set(tally.dtypes)
    assert tally.scans >= 50 and tally.shared >= 50, (tally.scans, tally.shared)
    assert min(tally.recurrent["onnx"], tally.recurrent["torch"]) >= 25, tally.recurrent
    assert all(tally.recurrent[name] >= 5 for name in RECURRENT), tally.recurrent
    assert tally.updated_in_loops >= 5, tally.updated_in_loops
    assert tally.rejected < 10
    assert tally.single > 250 and tally.empty > 50, (tally.single, tally.empty)
    assert tally.several_outputs > 250 and tally.repeated_operands > 50


@pytest.mark.long
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("block", range(40))
def test_20000_networks_agree(block: int, runtime: OnnxRuntime) -> None:
    start = int(os.environ.get("NETDSL_FIRST_SEED", "1000")) + 500 * block
    run(range(start, start + 500), runtime)
