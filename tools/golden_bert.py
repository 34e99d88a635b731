"""Expected numbers of a tiny BERT: last hidden states, pooled vectors, and gradients of every parameter.

The reference is transformers' `BertModel` in f64 with padding and a mask, so that a ragged implementation is compared
with a padded one. Token type ids are all zero, position ids count from zero in each text.
"""

import torch
from transformers import BertConfig, BertModel

from golden_file import Draw, Golden, require_margin, top_two_gap

SEED = 11
LENGTHS = (5, 1, 9, 3)
ACTIVATIONS = ("gelu", "gelu_new", "relu")
POOLINGS = ("mean", "cls", "max")
WORDS = "embeddings.word_embeddings.weight"


def tiny_config(activation: str = "gelu") -> dict:
    """The fields of `config.json` that give the shapes and the arithmetic; dropout is off."""
    return {
        "model_type": "bert",
        "vocab_size": 40,
        "hidden_size": 12,
        "num_hidden_layers": 2,
        "num_attention_heads": 3,
        "intermediate_size": 20,
        "max_position_embeddings": 16,
        "type_vocab_size": 2,
        "layer_norm_eps": 1e-12,
        "hidden_act": activation,
        "hidden_dropout_prob": 0.0,
        "attention_probs_dropout_prob": 0.0,
    }


def draw_parameters(draw: Draw, output_scale: float = 1.0) -> dict[str, torch.Tensor]:
    """Parameters by Hugging Face name, none of them at its customary start: biases are not 0, scales are not 1.

    `output_scale` multiplies the last layer norm, hence the size of the encoder's output.
    """
    last = f"encoder.layer.{tiny_config()['num_hidden_layers'] - 1}.output.LayerNorm"
    parameters = {}
    for name, parameter in empty_bert().named_parameters():
        if "LayerNorm" in name:
            scale = output_scale if name.startswith(last) else 1.0
            mean = scale if name.endswith("weight") else 0.0
            parameters[name] = draw.normal(*parameter.shape, scale=0.2 * scale, mean=mean)
        elif name.endswith("bias"):
            parameters[name] = draw.normal(*parameter.shape, scale=0.2)
        else:
            parameters[name] = draw.normal(*parameter.shape, scale=0.5)
    return parameters


def empty_bert(activation: str = "gelu", dtype: torch.dtype = torch.float64) -> BertModel:
    config = BertConfig(**tiny_config(activation), attn_implementation="eager")
    return BertModel(config, add_pooling_layer=False).to(dtype).eval()


def load_bert(parameters: dict[str, torch.Tensor], activation: str = "gelu", dtype: torch.dtype = torch.float64) -> BertModel:
    model = empty_bert(activation, dtype)
    model.load_state_dict(parameters, strict=True)
    return model


def draw_texts(draw: Draw, lengths: tuple[int, ...]) -> list[list[int]]:
    """Token ids from 1 up: id 0 is padding, whose embedding PyTorch keeps out of the gradient."""
    return [draw.integers(1, tiny_config()["vocab_size"], length) for length in lengths]


def hidden_states(model: BertModel, texts: list[list[int]]) -> tuple[torch.Tensor, torch.Tensor]:
    """Last hidden states [texts, longest, hidden] of the padded batch, and its mask of real tokens [texts, longest]."""
    longest = max(map(len, texts))
    ids = torch.tensor([text + [0] * (longest - len(text)) for text in texts])
    mask = torch.tensor([[1] * len(text) + [0] * (longest - len(text)) for text in texts])
    return model(input_ids=ids, attention_mask=mask).last_hidden_state, mask.bool()


def pool(hidden: torch.Tensor, mask: torch.Tensor, pooling: str) -> torch.Tensor:
    """[texts, longest, hidden] → [texts, hidden] over the real tokens."""
    if pooling == "cls":
        return hidden[:, 0]
    real = mask.unsqueeze(-1)
    if pooling == "max":
        return hidden.masked_fill(~real, -torch.inf).amax(1)
    return (hidden * real).sum(1) / real.sum(1)


def gradients(model: torch.nn.Module) -> dict[str, torch.Tensor]:
    """Gradients by name. The key's bias moves every score of a row alike and softmax ignores that: it has no gradient,
    and what is computed there is rounding, stored as zero."""
    result = {}
    for name, parameter in model.named_parameters():
        result[name] = parameter.grad.clone()
        if name.endswith("attention.self.key.bias"):
            if parameter.grad.abs().max() > 1e-12:
                raise SystemExit(f"`{name}` has a gradient of {parameter.grad.abs().max():.2e}")
            result[name].zero_()
    return result


def require_relu_margin(model: BertModel, texts: list[list[int]]) -> None:
    gaps = []
    hooks = [
        block.intermediate.dense.register_forward_hook(lambda _module, _inputs, output: gaps.append(output.detach()))
        for block in model.encoder.layer
    ]
    _, mask = hidden_states(model, texts)
    for hook in hooks:
        hook.remove()
    for gap in gaps:
        require_margin("relu of the tiny BERT", gap[mask])


def make_bert() -> Golden:
    draw = Draw(SEED)
    parameters = draw_parameters(draw)
    texts = draw_texts(draw, LENGTHS)
    if len({token for text in texts for token in text}) == sum(LENGTHS):
        raise SystemExit("no token occurs twice; take another seed")
    weights = draw.normal(len(texts), tiny_config()["hidden_size"])

    golden = Golden({"config": tiny_config(), "activations": list(ACTIVATIONS), "texts": texts})
    for name, values in parameters.items():
        golden.given(name, values)
    golden.given("c", weights)

    for activation in ACTIVATIONS:
        for pooling in POOLINGS if activation == "gelu" else ("mean",):
            model = load_bert(parameters, activation)
            if activation == "relu":
                require_relu_margin(model, texts)
            hidden, mask = hidden_states(model, texts)
            pooled = pool(hidden, mask, pooling)
            (weights * pooled).sum().backward()
            if pooling == "mean":
                golden.expected(f"{activation}.hidden", hidden[mask])
            if pooling == "max":
                require_margin("max pooling", top_two_gap(hidden.masked_fill(~mask.unsqueeze(-1), -1e9), dim=1))
            golden.expected(f"{activation}.pooled.{pooling}", pooled)
            for name, gradient in gradients(model).items():
                if pooling == "mean" or name == WORDS:
                    golden.expected(f"{activation}.grad.{pooling}.{name}", gradient)
    return golden
