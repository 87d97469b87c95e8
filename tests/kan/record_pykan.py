"""Writes `pykan.json`: a layer of pykan 0.2.8 in double precision, its values, its gradients, and its updated grid.

python tests/kan/record_pykan.py, where pykan is installed.
"""

import json
from pathlib import Path

import torch
from kan.KANLayer import KANLayer

torch.manual_seed(0)
torch.set_default_dtype(torch.float64)
IN, OUT = 3, 2
layer = KANLayer(in_dim=IN, out_dim=OUT, num=5, k=3, noise_scale=2.0)
x = (torch.rand(11, IN) * 2.6 - 1.3).requires_grad_()
weight = torch.randn(11, OUT)
y = layer(x)[0]
(y * weight).sum().backward()
spline = layer.scale_sp.T[:, :, None]
record = {
    "knots": layer.grid.tolist(),
    "base": layer.scale_base.T.tolist(),
    "coef": (layer.coef.transpose(0, 1) * spline).tolist(),
    "x": x.tolist(),
    "y": y.tolist(),
    "weight": weight.tolist(),
    "grad_x": x.grad.tolist(),
    "grad_base": layer.scale_base.grad.T.tolist(),
    "grad_coef": (layer.coef.grad.transpose(0, 1) / spline).tolist(),
}
data = torch.randn(200, IN).clamp(-0.95, 0.95) ** 3
layer.update_grid_from_samples(data)
record |= {
    "data": data.tolist(),
    "knots_after": layer.grid.tolist(),
    "y_after": layer(data[:20])[0].tolist(),
}


def rounded(value: list | float) -> list | float:
    return [rounded(v) for v in value] if isinstance(value, list) else float(f"{value:.12g}")


text = json.dumps({key: rounded(value) for key, value in record.items()}, separators=(",", ":"))
Path(__file__).with_name("pykan.json").write_text(text + "\n", "utf-8")
