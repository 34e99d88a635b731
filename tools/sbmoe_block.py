"""The block in plain PyTorch, as functions of a dictionary of parameters: the experts of SB-MoE (formulas: arXiv
2510.15683), and the linear adapter.

`x` is [batch, hidden]. Parameter names and shapes, [out, in] as everywhere in PyTorch:

    experts.{i}.down.weight [width, hidden]     experts.{i}.down.bias [width]
    experts.{i}.up.weight   [hidden, width]     experts.{i}.up.bias   [hidden]
    gate.hidden.weight      [hidden/2, hidden]  gate.hidden.bias      [hidden/2]
    gate.output.weight      [n, hidden/2]       gate.output.bias      [n]
    noise.weight            [n, hidden]         noise.bias            [n]

    linear.weight           [hidden, hidden]    linear.bias           [hidden]     or, with a rank,
    linear.down.weight      [rank, hidden]      linear.down.bias      [rank]
    linear.up.weight        [hidden, rank]      linear.up.bias        [hidden]

Everything is written in the slow, obvious way: every expert is computed, whatever the gate chooses.
"""

import torch
from torch.nn.functional import linear, normalize, one_hot, relu, softmax, softplus

Parameters = dict[str, torch.Tensor]

COMBINATIONS = ("normalize-mixture", "normalize-experts", "sum")
NORM_FLOOR = 1e-6


def block_shapes(hidden: int, experts: int, width: int) -> dict[str, tuple[int, ...]]:
    """Names and shapes of the parameters, weight before bias."""
    layers = {}
    for i in range(experts):
        layers[f"experts.{i}.down"] = (width, hidden)
        layers[f"experts.{i}.up"] = (hidden, width)
    layers["gate.hidden"] = (hidden // 2, hidden)
    layers["gate.output"] = (experts, hidden // 2)
    layers["noise"] = (experts, hidden)
    return layer_shapes(layers)


def linear_shapes(hidden: int, rank: int | None) -> dict[str, tuple[int, ...]]:
    """Names and shapes of the linear adapter's parameters."""
    if rank is None:
        return layer_shapes({"linear": (hidden, hidden)})
    return layer_shapes({"linear.down": (rank, hidden), "linear.up": (hidden, rank)})


def layer_shapes(layers: dict[str, tuple[int, int]]) -> dict[str, tuple[int, ...]]:
    shapes = {}
    for name, (outputs, inputs) in layers.items():
        shapes[f"{name}.weight"] = (outputs, inputs)
        shapes[f"{name}.bias"] = (outputs,)
    return shapes


def layer(x: torch.Tensor, parameters: Parameters, name: str) -> torch.Tensor:
    return linear(x, parameters[f"{name}.weight"], parameters[f"{name}.bias"])


def gate_probabilities(x: torch.Tensor, parameters: Parameters, noise_scale: float, noise: torch.Tensor | None) -> torch.Tensor:
    """p = softmax(z + S·ε ⊙ softplus(noise(x))), [batch, n]; without noise when S is 0."""
    logits = layer(relu(layer(x, parameters, "gate.hidden")), parameters, "gate.output")
    if noise_scale != 0.0:
        logits = logits + noise_scale * noise * softplus(layer(x, parameters, "noise"))
    return softmax(logits, dim=-1)


def training_weights(mode: str, probabilities: torch.Tensor, draws: torch.Tensor | None = None) -> torch.Tensor:
    """g of a training mode, [batch, n]; `draws` is r of the `random` mode."""
    if mode == "noisy-top1":
        return keep_largest(probabilities)
    if mode == "straight-through":
        chosen = one_hot(probabilities.argmax(-1), probabilities.shape[-1]).to(probabilities.dtype)
        # In this order the difference is exactly zero, and g exactly one or zero.
        return chosen + (probabilities - probabilities.detach())
    if mode == "soft":
        return probabilities
    if mode == "random":
        return keep_largest(draws)
    if mode == "uniform":
        return torch.full_like(probabilities, 1.0 / probabilities.shape[-1])
    raise ValueError(f"unknown training mode `{mode}`")


def inference_weights(gate: str, probabilities: torch.Tensor, draws: torch.Tensor | None = None) -> torch.Tensor:
    """g of a gate in use, [batch, n]; without noise."""
    return training_weights({"top1": "noisy-top1", "all": "soft"}.get(gate, gate), probabilities, draws)


def keep_largest(values: torch.Tensor) -> torch.Tensor:
    """The largest value of each row in its place, zero elsewhere."""
    return values * one_hot(values.argmax(-1), values.shape[-1]).to(values.dtype)


def expert_outputs(x: torch.Tensor, parameters: Parameters) -> torch.Tensor:
    """E_i(x) of every expert, [batch, n, hidden]."""
    experts = parameters["gate.output.bias"].shape[0]
    hidden = (relu(layer(x, parameters, f"experts.{i}.down")) for i in range(experts))
    return torch.stack([layer(value, parameters, f"experts.{i}.up") for i, value in enumerate(hidden)], dim=1)


def combine(x: torch.Tensor, weights: torch.Tensor, outputs: torch.Tensor, combination: str) -> torch.Tensor:
    """y from x, g [batch, n] and E [batch, n, hidden]."""
    return x + correction(weights, outputs, combination)


def correction(weights: torch.Tensor, outputs: torch.Tensor, combination: str) -> torch.Tensor:
    """c = y − x, [batch, hidden]."""
    if combination == "normalize-mixture":
        return normalize(mixture(weights, outputs), dim=-1, eps=NORM_FLOOR)
    if combination == "normalize-experts":
        return mixture(weights, normalize(outputs, dim=-1, eps=NORM_FLOOR))
    if combination == "sum":
        return mixture(weights, outputs)
    raise ValueError(f"unknown combination `{combination}`")


def mixture(weights: torch.Tensor, outputs: torch.Tensor) -> torch.Tensor:
    return (weights.unsqueeze(-1) * outputs).sum(1)


def linear_correction(x: torch.Tensor, parameters: Parameters) -> torch.Tensor:
    """c of the linear adapter: W x + b, or U (D x + d) + u where the parameters are those of two layers."""
    if "linear.weight" in parameters:
        return layer(x, parameters, "linear")
    return layer(layer(x, parameters, "linear.down"), parameters, "linear.up")


def use(x: torch.Tensor, parameters: Parameters, config: dict, side: str) -> torch.Tensor:
    """What a saved block gives for texts of a side (`query` or `document`); `config` is its `config.json`."""
    if config.get("sides", "both") not in ("both", side):
        return x
    scaled = config.get("input_scale", 1.0) * x
    if config.get("kind", "experts") == "linear":
        added = linear_correction(scaled, parameters)
    else:
        weights = inference_weights(config["gate"], gate_probabilities(scaled, parameters, 0.0, None))
        added = correction(weights, expert_outputs(scaled, parameters), config["combine"])
    return scaled + config.get("residual", 1.0) * added


def load_balance(probabilities: torch.Tensor) -> torch.Tensor:
    """n · Σ_i f_i P_i (Switch Transformers, arXiv 2101.03961, eq. 4): f_i the share of texts whose arg max is i
    (no gradient), P_i the mean of p_i. It is 1 when both are even."""
    experts = probabilities.shape[-1]
    shares = one_hot(probabilities.argmax(-1), experts).to(probabilities.dtype).mean(0)
    return experts * (shares * probabilities.mean(0)).sum()
