"""The codes of passes and weights: E06, E072. No `.net` text alone shows them, so they have no example."""

from netdsl.codes import Code

CODES: dict[str, Code] = {
    "E0601": Code(
        "a pass changed the network",
        "Each pass is run before and after on sampled inputs in float64, and this one "
        "differs by more than it promises. Nothing was written. This is a bug of the pass.",
        "",
        "",
    ),
    "E0602": Code(
        "a bound input that does not fit",
        "`--bind NAME=X.npy` fixes an input of the network, so the array has its element type and its shape.",
        "",
        "",
    ),
    "E0603": Code(
        "binding an input fixes nothing",
        "What depends on bound inputs and parameters alone is computed when building. Weights that are made from the "
        "data itself, or an output that needs no free input, cannot be.",
        "",
        "",
    ),
    "E0604": Code(
        "an open choice",
        "A network with `choose` is trained as it is; before it is built one option of each choice is committed: "
        "`net.commit(weights)` in Python, `netdsl build --commit`.",
        "",
        "",
    ),
    "E0605": Code(
        "no such layer of edges",
        "`netdsl.kan` works on layers that `edges` made outside of loops and of `each`. `update_grid` needs splines on "
        "knots of their own, as `std.edges: AdaptiveBSpline`, also outside of loops.",
        "",
        "",
    ),
    "E0606": Code(
        "functions that cannot be refined",
        "`refine(net, finer, weights)` takes the same network with other statics: parameters of edges may have another "
        "size if the edge is linear in them, and all others stay as they are.",
        "",
        "",
    ),
    "E0607": Code(
        "nodes that cannot be pruned",
        "`prune` drops outputs of a layer of edges whose width is a static of the network, of this layer alone, and "
        "that nothing but layers of edges reads. What is left computes the same as before without these nodes. "
        "`prune_edges` needs functions that are 0 where their own parameters are.",
        "",
        "",
    ),
    "E0720": Code(
        "weights that do not fit",
        "Every parameter needs one tensor of its shape, and none may be left over. The notes list each "
        "difference. Names of other libraries are mapped by a rename map.",
        "",
        "",
    ),
    "E0721": Code(
        "weights in a pickle",
        "Pickles run code when they are read, so they are never read. Convert them to safetensors.",
        "",
        "",
    ),
    "E0722": Code("not a safetensors file", "The file is cut off, damaged or of another format.", "", ""),
    "E0723": Code(
        "a rename map that is not understood",
        "A map is TOML: `[[rule]]` tables with `from` and `to`, or `ignore`.",
        "",
        "",
    ),
}
