"""Runs ONNX models in a process of its own: some operators of ONNX Runtime end theirs.

Requests and replies are pickles on standard input and output, between this module and `OnnxRuntime` alone.
"""

import os
import pickle
import select
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]
LEVELS = ("plain", "optimized")
TIMEOUT_S = 60.0


class OnnxRuntimeFailed(Exception):
    """The model could not be loaded or run, or ended the process."""


class OnnxRuntime:
    """One child process; it is started when needed, and again after it ended."""

    def __init__(self) -> None:
        self._child: subprocess.Popen[bytes] | None = None

    def run(self, model: bytes, calls: Sequence[Mapping[str, Array]]) -> dict[str, list[list[Array]]]:
        """Outputs of each call, without and with graph optimization.

        Raises: OnnxRuntimeFailed.
        """
        child = self._child
        if child is None or child.poll() is not None:
            child = self._child = subprocess.Popen(
                [sys.executable, str(Path(__file__))],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                env={**os.environ, "OMP_NUM_THREADS": "1"},
            )
        assert child.stdin is not None and child.stdout is not None
        try:
            pickle.dump((model, [dict(c) for c in calls]), child.stdin)
            child.stdin.flush()
            ready, _, _ = select.select([child.stdout], [], [], TIMEOUT_S)
            if not ready:
                raise OnnxRuntimeFailed(f"no answer within {TIMEOUT_S:.0f} s")
            reply = pickle.load(child.stdout)
        except (EOFError, BrokenPipeError, OnnxRuntimeFailed) as error:
            self.close()
            text = str(error) if isinstance(error, OnnxRuntimeFailed) else f"the process ended: {child.returncode}"
            raise OnnxRuntimeFailed(text) from None
        if isinstance(reply, str):
            raise OnnxRuntimeFailed(reply)
        assert isinstance(reply, dict)
        return reply

    def close(self) -> None:
        if self._child is not None:
            self._child.kill()
            self._child.communicate()
            self._child = None


def _serve() -> None:
    import onnxruntime as ort

    reply_to = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    levels = (ort.GraphOptimizationLevel.ORT_DISABLE_ALL, ort.GraphOptimizationLevel.ORT_ENABLE_ALL)
    while True:
        try:
            model, calls = pickle.load(sys.stdin.buffer)
        except EOFError:
            return
        reply: Any = {}
        where = ""
        try:
            for name, level in zip(LEVELS, levels, strict=True):
                where = f"{name}, loading"
                options = ort.SessionOptions()
                options.graph_optimization_level = level
                options.intra_op_num_threads = options.inter_op_num_threads = 1
                options.log_severity_level = 4
                session = ort.InferenceSession(model, options, providers=["CPUExecutionProvider"])
                reply[name] = []
                for call in calls:
                    where = f"{name}, call {len(reply[name])}"
                    reply[name].append([np.asarray(a) for a in session.run(None, call)])
        except Exception as error:  # noqa: BLE001 - whatever ONNX Runtime says is the reply
            reply = f"{where}: {error}"
        pickle.dump(reply, reply_to)
        reply_to.flush()


if __name__ == "__main__":
    _serve()
