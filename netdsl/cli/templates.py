"""The files that `netdsl new` writes. `NAME` stands for the network's name."""

TEMPLATES = {
    "mlp": """\
## A multilayer perceptron: rows of features in, class scores out.

network NAME[hidden: list = [128, 64], classes: int = 10](x: f32[B, 32]) -> scores: f32[B, classes] {
    x |> Mlp[hidden, classes] as mlp
}

claim NAME: param_count == 13_130
claim NAME: batch_independent[within=1e-5]
""",
    "cnn": """\
## A small convolutional network on grey images of any size from 8 × 8 up.

block Stage[out: int](x: float[B, C, H, W]) -> float[B, out, H // 2, W // 2] {
    x |> Conv2d[out, kernel=3, padding=1] as conv |> relu |> MaxPool2d[2]
}

network NAME[classes: int = 10](image: f32[B, 1, H, W]) -> scores: f32[B, classes] where H >= 8, W >= 8 {
    image |> Stage[16] as first |> Stage[32] as second |> global_avg_pool |> Linear[classes] as head
}

claim NAME: param_count == 5_130
""",
    "transformer": """\
## A small transformer encoder over tokens, with learned positions; one row of scores per token.

import std.attention: SelfAttention

block Layer[heads: int](x: float[B, T, D]) -> float[B, T, D] where D % heads == 0 {
    x = x + (x |> LayerNorm as norm1 |> SelfAttention[heads] as attention)
    x + (x |> LayerNorm as norm2 |> FeedForward[4 * D] as mlp)
}

network NAME[vocab: int = 256, D: int = 64, depth: int = 2, heads: int = 4, longest: int = 128](
    ids: idx[vocab][B, T]
) -> scores: f32[B, T, vocab]
    where T in 1..longest {
    param positions: f32[longest, D] ~ normal[std=0.02]

    x = (ids |> Embedding[vocab, D] as words) + positions[:T]
    repeat depth as layers {
        x = Layer[heads](x)
    }
    x |> LayerNorm as norm |> Linear[vocab] as head
}

claim NAME: all(finite(scores))
""",
    "rnn": """\
## A recurrent network that reads a sequence and scores its end; rows may have different lengths.

network NAME[hidden: int = 64, classes: int = 10](x: f32[B, T, 8], length: i64[B]) -> scores: f32[B, classes] {
    h = x |> BiLstm[hidden](length) as reader  # zeros past the length of a row
    mean = sum[axis=1](h) / cast[f32](max(length, 1))[:, none]
    mean |> Linear[classes] as head
}

claim NAME: all(finite(scores))
""",
}
