"""What users get wrong at the command line: each call has a code, a help and its exit code, as text and as JSON."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from netdsl.cli.main import COMMANDS
from netdsl.codes import all_codes
from tests.cli.conftest import Run
from tests.cli.nets import GOOD, TWO

Net = Callable[..., Path]

#: The call, its exit code, the code of its finding, and a part of its title or help.
CALLS = [
    ("chek good.net", 2, "E0708", "did you mean `check`?"),
    ("transmogrify good.net", 2, "E0708", "`netdsl --help` shows"),
    ("--nothing", 2, "E0708", "`netdsl` has no option `--nothing`"),
    ("check", 2, "E0708", "`netdsl check` needs `FILE...`"),
    ("check --jsno good.net", 2, "E0708", "did you mean `--json`?"),
    ("check good.net --set", 2, "E0708", "`--set` needs a value"),
    ("check goood.net", 2, "E0701", "did you mean `good.net`?"),
    ("check nowhere/a.net", 2, "E0701", "there is no folder `nowhere`"),
    ("check folder", 2, "E0708", "holds no `.net` file"),
    ("show folder", 2, "E0701", "it is a folder"),
    ("verify transformer.net", 2, "E0701", "it was looked for in `"),
    ("check good.net --set widht=3", 2, "E0708", "did you mean `width`?"),
    ("check good.net --set width=true", 2, "E0708", "takes an int, found `true`"),
    ("verify good.net --set width=2.5", 2, "E0708", "line 2 declares `width: int = 2`"),
    ("show good.net --set width=[3]", 2, "E0708", "takes an int, found `[3]`"),
    ("build good.net -o a.onnx --set width=", 2, "E0708", "a value is a number"),
    ("show good.net Lien", 2, "E0708", "did you mean `Line`?"),
    ("show good.net --size Q=3", 2, "E0708", "its free dimensions are B"),
    ("build two.net -o a.onnx", 2, "E0708", "name one of First, Second with `-n`"),
    ("build good.net", 2, "E0708", "nothing is to be written"),
    ("build good.net -o a.onnx --seed -1", 2, "E0708", "`--seed` takes an int from 0 to 9223372036854775807, found `-1`"),
    ("build good.net -o a.onnx --seed one", 2, "E0708", "found `one`"),
    ("build good.net -o a.onnx --opset 17", 2, "E0708", "`--opset` takes an int from 18 to 23, found `17`"),
    ("build good.net -o nowhere/a.onnx", 2, "E0704", "create the folder `nowhere` first"),
    ("build good.net -o folder", 2, "E0702", "name a file in it: `folder/NAME`"),
    ("build good.net -o /proc/a.onnx", 2, "E0701", "name another folder"),
    ("build good.net -o good.net", 2, "E0708", "`good.net` would be replaced"),
    ("build good.net -o a.onnx --weights w.safetensors", 2, "E0701", "`w.safetensors` cannot be read"),
    ("build good.net -o a.onnx --rename m.toml", 2, "E0708", "add `--weights W.safetensors`"),
    ("build good.net -o a.onnx --tap haed", 2, "E0380", "did you mean `head`?"),
    ("run good.net", 2, "E0708", "build it first"),
    ("run good.onnx --provider tpu", 2, "E0708", "takes one of `cpu`, `cuda`, `tensorrt`, found `tpu`"),
    ("run good.onnx -i x", 2, "E0708", "`--input x` is not NAME=X.npy"),
    ("run good.onnx -i x=f23.npy", 2, "E0701", "did you mean `f32.npy`?"),
    ("run good.onnx -i x=good.net", 2, "E0706", "write it with `numpy.save(path, array)`"),
    ("run good.onnx -i x=f64.npy", 1, "E0812", 'convert it: `x.astype("float32")`'),
    ("run good.onnx -i x=wide.npy", 1, "E0812", "axis 1 is 3, found 4"),
    ("run good.onnx -i image=f32.npy", 1, "E0811", "missing: `x`; unknown: `image`"),
    ("run good.onnx -i x=random --size Q=1", 1, "E0403", "its free dimensions are B"),
    ("run good.onnx -i x=f32.npy --output-dir nowhere", 2, "E0704", "create the folder `nowhere` first"),
    ("fmt - good.net", 2, "E0708", "`-` stands alone"),
    ("explain E9999", 2, "E0708", "`netdsl explain` lists all"),
    ("doctor now", 2, "E0708", "takes no further argument: `now`"),
    ("new good", 2, "E0707", "choose another name"),
    ("new nowhere/a", 2, "E0704", "create the folder `nowhere` first"),
    ("new a --template gan", 2, "E0708", "takes one of `mlp`, `cnn`"),
]  # fmt: skip


@pytest.mark.parametrize(("call", "exit_code", "code", "text"), CALLS, ids=[call for call, *_ in CALLS])
def test_a_wrong_call_is_explained(run: Run, net: Net, call: str, exit_code: int, code: str, text: str) -> None:
    net(GOOD, "good.net"), net(TWO, "two.net")
    Path("folder").mkdir()
    np.save("f32.npy", np.zeros((2, 3), np.float32))
    np.save("f64.npy", np.zeros((2, 3)))
    np.save("wide.npy", np.zeros((2, 4), np.float32))
    if "good.onnx" in call:
        run("build", "good.net", "-o", "good.onnx", "--no-validate", code=0)
    before = sorted(Path().rglob("*"))
    ran = run(*call.split(), code=exit_code)
    assert f"error[{code}]: " in ran.out + ran.err and text in ran.out + ran.err
    assert "Usage" not in ran.err and "nvalid" not in ran.err
    json = run(*call.split(), "--json", code=exit_code)
    if call == "check good.net --set":  # which takes `--json` for its value
        return
    document = json.document
    name = call.split()[0] if call.split()[0] in COMMANDS else "netdsl"
    assert (f"netdsl.{name}/1", False, exit_code) == (document["schema"], document["ok"], document["exit_code"])
    (found,) = document["diagnostics"]
    assert code == found["code"] and code in all_codes()
    assert found["help"] or code in ("E0811", "E0812"), "where one edit repairs it, it is named"
    assert before == sorted(Path().rglob("*")), "nothing was written"


def test_a_call_without_a_command_shows_the_help(run: Run) -> None:
    assert "Exit codes:" in run(code=2).err
