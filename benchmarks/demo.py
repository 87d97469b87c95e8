"""The main job on real input: a `.net` file becomes a trained torch module and an ONNX file, and both are compared.

    python benchmarks/demo.py [--epochs 20] [--out build/digits.onnx]

Trains `specs/vision/digits_cnn.net` on the 1,797 handwritten digits that ship with scikit-learn.
"""

import argparse
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split

import netdsl
from netdsl.runtime import Session

ROOT = Path(__file__).parents[1]


def data() -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Digits as f32 images (N, 1, 8, 8) in 0..1, a fifth of them kept for the test."""
    digits = load_digits()
    images = (digits.images[:, None] / 16.0).astype(np.float32)
    split = train_test_split(images, digits.target, test_size=0.2, random_state=0, stratify=digits.target)
    return split[0], split[1], split[2], split[3]


def train(model: torch.nn.Module, x: np.ndarray, y: np.ndarray, epochs: int) -> None:
    """Plain AdamW with a one-cycle schedule."""
    torch.manual_seed(0)
    images, labels = torch.from_numpy(x), torch.from_numpy(y)
    optimizer = torch.optim.AdamW(model.parameters(), lr=3e-3, weight_decay=1e-2)
    steps = epochs * -(-len(images) // 64)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 1e-2, total_steps=steps)
    model.train()
    for epoch in range(epochs):
        losses = []
        for batch in torch.randperm(len(images)).split(64):
            optimizer.zero_grad()
            loss = torch.nn.functional.cross_entropy(model(images[batch]), labels[batch])
            loss.backward()
            optimizer.step()
            schedule.step()
            losses.append(loss.item())
        if epoch % 5 == 4:
            print(f"  epoch {epoch + 1:3}: loss {statistics.fmean(losses):.4f}", flush=True)
    model.eval()


def latency_ms(call: Callable[[], object]) -> float:
    """Median milliseconds of 200 calls after 20 to warm up."""
    times = []
    for turn in range(220):
        start = time.perf_counter()
        call()
        if turn >= 20:
            times.append(time.perf_counter() - start)
    return 1e3 * statistics.median(times)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--epochs", type=int, default=20)
    parser.add_argument("--out", type=Path, default=ROOT / "build" / "digits.onnx")
    options = parser.parse_args()
    options.out.parent.mkdir(parents=True, exist_ok=True)

    started = time.perf_counter()
    net = netdsl.load(ROOT / "specs" / "vision" / "digits_cnn.net")["DigitsCnn"]
    model = net.torch(seed=0)
    print(
        f"compiled specs/vision/digits_cnn.net: {net.param_count:,} parameters, {time.perf_counter() - started:.2f} s"
    )

    x_train, x_test, y_train, y_test = data()
    print(f"training on {len(x_train):,} digits, testing on {len(x_test):,}")
    started = time.perf_counter()
    train(model, x_train, y_train, options.epochs)
    print(f"trained {options.epochs} epochs in {time.perf_counter() - started:.1f} s")

    report = net.onnx(options.out, weights=model)
    session = Session.load(options.out)
    with torch.no_grad():
        in_torch = model(torch.from_numpy(x_test)).numpy()
    in_onnx = session.run({"image": x_test})["logits"]
    reference = np.asarray(net.reference({"image": x_test}, weights=model)["logits"])
    accuracy_torch = float((in_torch.argmax(1) == y_test).mean())
    accuracy_onnx = float((in_onnx.argmax(1) == y_test).mean())

    one = x_test[:1]
    one_torch = torch.from_numpy(one)
    with torch.no_grad():
        torch_ms = latency_ms(lambda: model(one_torch))
    onnx_ms = latency_ms(lambda: session.run({"image": one}))
    rows = [
        ("test accuracy, torch", f"{accuracy_torch:.2%}"),
        ("test accuracy, ONNX Runtime", f"{accuracy_onnx:.2%}"),
        ("largest difference, torch to ONNX Runtime", f"{np.abs(in_torch - in_onnx).max():.2e}"),
        ("largest difference, torch to float64 reference", f"{np.abs(in_torch - reference).max():.2e}"),
        ("largest difference, ONNX Runtime to float64 reference", f"{np.abs(in_onnx - reference).max():.2e}"),
        ("ONNX file", f"{report.size_bytes / 1024:.0f} KiB, {report.nodes} nodes, {options.out}"),
        ("latency of one image, torch (eager)", f"{torch_ms:.3f} ms"),
        ("latency of one image, ONNX Runtime", f"{onnx_ms:.3f} ms"),
    ]
    width = max(len(name) for name, _ in rows)
    for name, value in rows:
        print(f"  {name:<{width}}  {value}")
    ok = accuracy_torch == accuracy_onnx and accuracy_torch >= 0.97
    print("accuracies are equal and at least 97 %" if ok else "the accuracies differ or are below 97 %")
    return 0 if ok else 1


if __name__ == "__main__":
    sys.exit(main())
