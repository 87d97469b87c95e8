"""Words and signs of other languages, and what is written instead: (what is meant, help)."""

FIRST_WORDS = {
    "def": ("a block starts with `block`", "write `block Name(x: float[.., D]) -> float[.., D] { .. }`"),
    "class": ("a network starts with `network`", "write `network Name(x: f32[B, 4]) -> f32[B, 2] { .. }`"),
    "fn": ("a block starts with `block`", "write `block Name(x: float[.., D]) -> float[.., D] { .. }`"),
    "func": ("a block starts with `block`", "write `block Name(x: float[.., D]) -> float[.., D] { .. }`"),
    "function": ("a block starts with `block`", "write `block Name(x: float[.., D]) -> float[.., D] { .. }`"),
    "model": ("a network starts with `network`", "write `network Name(x: f32[B, 4]) -> f32[B, 2] { .. }`"),
    "return": ("the last expression of a body is its result", "leave `return` out"),
    "elif": ("a further choice follows `else`", "write `else if`"),
    "while": ("a loop that stops on a condition has a bound", "write `fixed_point n from (..) until done { .. }`"),
    "var": ("a name is made by its first `=`", "leave `var` out"),
    "from": ("names are imported from a module", "write `import module: Name`"),
    "assert": ("what must be true is a claim", "write `claim Network: condition`"),
}

OPERATOR_WORDS = {
    "and": ("logic is written with signs", "write `a & b`"),
    "or": ("logic is written with signs", "write `a | b`"),
    "not": ("logic is written with signs", "write `~a`"),
    "is": ("values are compared with `==`", "write `a == b`"),
    "elif": ("a further choice follows `else`", "write `else if`"),
    "lambda": ("a function is a `block` or a `const`", "write `const f(a: int): int = ..` above"),
}

SIGN_PAIRS = {
    "&&": ("logic is written with one sign", "write `a & b`"),
    "||": ("logic is written with one sign", "write `a | b`"),
    "+=": ("a name takes a whole value", "write `x = x + y`"),
    "-=": ("a name takes a whole value", "write `x = x - y`"),
    "*=": ("a name takes a whole value", "write `x = x * y`"),
    "/=": ("a name takes a whole value", "write `x = x / y`"),
    "++": ("a name takes a whole value", "write `x = x + 1`"),
    ":=": ("a name takes a value with `=`", "write `x = y`"),
    "===": ("values are compared with `==`", "write `a == b`"),
    "!==": ("values are compared with `!=`", "write `a != b`"),
    "<>": ("values are compared with `!=`", "write `a != b`"),
    "...": ("any number of dimensions is `..`", "write `..`"),
    "/*": ("a comment starts with `#` and ends with its line", "write `# text`"),
    "=>": ("a result's type follows `->`", "write `->`"),
}
