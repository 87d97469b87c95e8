"""The codes of statements, loops, externs and claims: E034 and after."""

from netdsl.codes import Code


def _net(*lines: str, header: str = "(x: f32[B, 4]) -> f32[B, 4]", before: str = "") -> str:
    body = "\n".join(f"    {line}" for line in lines)
    return f"{before}network A{header} {{\n{body}\n}}\n"


_SCAN = "(x: f32[B, T, 4]) -> f32[B, T, 4]"

CODES: dict[str, Code] = {
    "E0340": Code(
        "a `where` clause that compares no sizes",
        "`where` holds comparisons of sizes and of statics, and bounds such as `N in 1..64`. It is about what is known "
        "before a network runs, so tensors have no place in it, but for the range of a network's input, `x in 0..1`.",
        _net("x", header="(x: f32[B, 4]) -> f32[B, 4] where zeros[2] == ones[2]"),
        _net("x", header="(x: f32[B, 4]) -> f32[B, 4] where B <= 64"),
    ),
    "E0341": Code(
        "a block without a result",
        "The result is the last line, or every named output is assigned.",
        _net("y = relu(x)"),
        _net("relu(x)"),
    ),
    "E0344": Code(
        "a value is lost",
        "Only the last line of a block is its result.",
        _net("relu(x)", "x"),
        _net("x = relu(x)", "x"),
    ),
    "E0345": Code(
        "a name that cannot be assigned",
        "Parameters, states, lets, statics and dimensions keep what they stand for.",
        _net("param w: f32[4] ~ zeros", "w = w + 1", "x + w"),
        _net("param w: f32[4] ~ zeros", "v = w + 1", "x + v"),
    ),
    "E0346": Code(
        "a loop body assigns a name from outside",
        "Only carried names change from step to step.",
        _net(
            "s = zeros[B, 4]",
            "y, _ = scan x[axis=1] from (h=zeros[B, 4]) {",
            "    s = s + x",
            "    h = h + s",
            "    yield h",
            "}",
            "y",
            header=_SCAN,
        ),
        _net("y, _ = scan x[axis=1] from (h=zeros[B, 4]) {", "    h = h + x", "    yield h", "}", "y", header=_SCAN),
    ),
    "E0347": Code(
        "another number of names than values",
        "A tuple is taken apart into as many names as it has values.",
        _net("a, b = split[4, axis=1](x)", "a", header="(x: f32[B, 4]) -> f32[B, 1]"),
        _net("a, b, c, d = split[4, axis=1](x)", "a", header="(x: f32[B, 4]) -> f32[B, 1]"),
    ),
    "E0348": Code(
        "a block is assigned",
        "A block gets a name by `let`, which makes one shared instance.",
        _net("f = Linear[4]", "x"),
        _net("let f = Linear[4]", "f(x)"),
    ),
    "E0349": Code(
        "a declaration inside a loop body",
        "One set of parameters serves all steps, so it is declared before the loop.",
        _net(
            "y, _ = scan x[axis=1] from (h=zeros[B, 4]) {",
            "    param w: f32[4] ~ zeros",
            "    h = h + x * w",
            "    yield h",
            "}",
            "y",
            header=_SCAN,
        ),
        _net(
            "param w: f32[4] ~ zeros",
            "y, _ = scan x[axis=1] from (h=zeros[B, 4]) {",
            "    h = h + x * w",
            "    yield h",
            "}",
            "y",
            header=_SCAN,
        ),
    ),
    "E0350": Code(
        "no such initialiser",
        "A parameter starts from zeros, ones, constant, normal, uniform, trunc_normal, xavier_uniform, "
        "xavier_normal, kaiming_uniform, kaiming_normal, orthogonal or identity_matrix.",
        _net("param w: f32[4] ~ gauss", "x + w"),
        _net("param w: f32[4] ~ normal", "x + w"),
    ),
    "E0351": Code(
        "`update` of something that is no state",
        "`update` writes what `state` declared.",
        _net("update s = x", "x"),
        _net("state s: f32[4] ~ zeros", "update s = mean[axis=0](x)", "x + s"),
    ),
    "E0352": Code(
        "a negative count",
        "`repeat` takes a count of at least 0.",
        _net("repeat -1 {", "    x = -x", "}", "x"),
        _net("repeat 1 {", "    x = -x", "}", "x"),
    ),
    "E0353": Code(
        "a static list is needed",
        "`for` runs over static lists and ranges, unrolled; `scan` runs over an axis of a tensor.",
        _net("for i in x {", "    x = -x", "}", "x"),
        _net("for i in 0..3 {", "    x = -x", "}", "x"),
    ),
    "E0354": Code(
        "`if` on something that is no static bool",
        "`if` is decided when building; by element chooses `select(mask, a, b)`.",
        _net("if x > 0 {", "    x = -x", "}", "x"),
        _net("select(x > 0, -x, x)"),
    ),
    "E0355": Code(
        "an `if` without a value",
        "Used as a value, both sides end with an expression.",
        _net("y = if true { z = x } else { x }", "y"),
        _net("y = if true { x } else { -x }", "y"),
    ),
    "E0356": Code("`yield` out of place", "A loop body yields once a step.", _net("yield x", "x"), _net("x")),
    "E0357": Code(
        "a scan without an axis",
        "`scan x[axis=1] ..` says which axis is time.",
        _net("y, _ = scan x from (h=zeros[B, 4]) {", "    h = h + x", "    yield h", "}", "y", header=_SCAN),
        _net("y, _ = scan x[axis=1] from (h=zeros[B, 4]) {", "    h = h + x", "    yield h", "}", "y", header=_SCAN),
    ),
    "E0358": Code(
        "carried values in another form",
        "A loop body names what it carries: `from (h=.., c=..)`.",
        _net("y, _ = scan x[axis=1] from (zeros[B, 4]) {", "    yield x", "}", "y", header=_SCAN),
        _net("y, _ = scan x[axis=1] from (h=zeros[B, 4]) {", "    h = h + x", "    yield h", "}", "y", header=_SCAN),
    ),
    "E0359": Code(
        "a cell in another form",
        "A cell takes a step and the carried values, and returns the carried values, or an output and them.",
        _net(
            "y, _, _ = scan RnnCell[4] over x[axis=1] from (zeros[B, 4], zeros[B, 4])",
            "y",
            header=_SCAN,
        )
        .replace("RnnCell[4]", "Cell")
        .replace(
            "network",
            "block Cell(x: float[.., D], a: float[.., D], b: float[.., D]) -> float[.., D] {\n    x + a + b\n}\n"
            "network",
            1,
        ),
        _net("y, _ = scan RnnCell[4] over x[axis=1] from (zeros[B, 4])", "y", header=_SCAN),
    ),
    "E0360": Code(
        "a carried value changes its type",
        "A carried value has one type through the loop.",
        _net("y, _ = scan x[axis=1] from (h=zeros[B, 1]) {", "    h = h + x", "    yield x", "}", "y", header=_SCAN),
        _net("y, _ = scan x[axis=1] from (h=zeros[B, 4]) {", "    h = h + x", "    yield x", "}", "y", header=_SCAN),
    ),
    "E0361": Code(
        "lengths or conditions of another form",
        "`length` holds one i64 and `until` is one bool for each row of the carried values and of the yields. "
        "What differs among the sequences of a `beam` begins with the rows of the decision.",
        _net(
            "y, _ = scan x[axis=1, length=n] from (h=zeros[B, 4]) {",
            "    h = h + x",
            "    yield h",
            "}",
            "y",
            header="(x: f32[B, T, 4], n: f32[B]) -> f32[B, T, 4]",
        ),
        _net(
            "y, _ = scan x[axis=1, length=n] from (h=zeros[B, 4]) {",
            "    h = h + x",
            "    yield h",
            "}",
            "y",
            header="(x: f32[B, T, 4], n: i64[B]) -> f32[B, T, 4]",
        ),
    ),
    "E0362": Code(
        "a clause that does not fit its loop",
        "`fixed_point` needs `until` and yields nothing; `until` is a bool for each row; `given` has one target for "
        "each `decide`; `decide` stands in a loop's body; a loop with `beam` decides once a step and is given no "
        "target.",
        _net("h = fixed_point 4 from (h=x) {", "    h = h / 2", "}", "h"),
        _net("h = fixed_point 4 from (h=x) until sum[axis=1](abs(h)) < 1 {", "    h = h / 2", "}", "h"),
    ),
    "E0363": Code(
        "training and evaluation differ in type",
        "Both modes have the same outputs and the same parameters.",
        _net("if training {", "    param w: f32[4] ~ zeros", "    x = x + w", "}", "x"),
        _net("param w: f32[4] ~ zeros", "if training {", "    x = x + w", "}", "x"),
    ),
    "E0364": Code(
        "a plug-in name in another form",
        "`extern` names a function as `plugin:function`.",
        'extern F(x: float[..]) -> float[..] = "os.system"\n' + _net("F(x)"),
        'extern F(x: float[..]) -> float[..] = "my_plugin:f"\n' + _net("F(x)"),
    ),
    "E0365": Code(
        "a plug-in that is not there",
        "`extern` functions run only when the caller allowed their plug-in by name and it is installed: a "
        "file alone never makes Python "
        "code run.",
        "",
        "",
    ),
    "E0370": Code(
        "a claim in another form",
        "A claim is true or false: it compares measures, outputs and numbers, or names a property, such as "
        "`permutation_equivariant[N, within=1e-5]`.",
        _net("relu(x)") + "claim A: param_count\n",
        _net("relu(x)") + "claim A: param_count == 0\n",
    ),
    "E0380": Code(
        "a tap that matches no label",
        "`as name` labels a call, and its value can be asked for under its path. `*` in a pattern stands for any text.",
        "",
        "",
    ),
}
