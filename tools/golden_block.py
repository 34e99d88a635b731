"""Expected numbers of the mixture-of-experts block: each training mode and each gate in use with each combination.

L = Σ c ⊙ y; noise ε and the draws r of the `random` mode are given, so that nothing is left to chance.
"""

import torch

from golden_file import Draw, Golden, require_margin, top_two_gap
from sbmoe_block import (
    COMBINATIONS,
    Parameters,
    block_shapes,
    combine,
    expert_outputs,
    gate_probabilities,
    inference_weights,
    layer,
    load_balance,
    training_weights,
)

SEED = 25
HIDDEN = 8
INPUTS = 5

# name: experts, width, what multiplies the experts' outputs. With `floor` every ‖E‖ and ‖m‖ lies below 1e-6, where
# y = x + m / 1e-6 and the norm has no part in the gradient.
BLOCKS = {"n4": (4, 4, 1.0), "n1": (1, 12, 1.0), "floor": (2, 3, 2.0**-28)}

# name: mode, noise scale S
VARIANTS = {
    "noisy-top1": ("noisy-top1", 1.0),
    "noisy-top1-quiet": ("noisy-top1", 0.0),
    "straight-through": ("straight-through", 0.0),
    "straight-through-noise": ("straight-through", 0.5),
    "soft": ("soft", 0.0),
    "soft-noise": ("soft", 0.5),
    "random": ("random", 0.0),
    "uniform": ("uniform", 0.0),
}
VARIANTS_OF = {"n4": tuple(VARIANTS), "n1": ("noisy-top1", "straight-through", "soft"), "floor": ("soft", "uniform")}
GATES = ("top1", "all", "random", "uniform")
GATES_OF = {"n4": GATES, "n1": GATES, "floor": ("top1", "all")}
BALANCE_SCALES = {"balance": 0.0, "balance-noise": 1.0}


def draw_block(draw: Draw, hidden: int, experts: int, width: int, output_scale: float = 1.0) -> Parameters:
    """Parameters by name; `output_scale` multiplies the experts' outputs."""
    parameters = {}
    for name, shape in block_shapes(hidden, experts, width).items():
        scale = output_scale if ".up." in name else 1.0
        parameters[name] = draw.normal(*shape, scale=scale * (0.3 if name.endswith("bias") else 0.6))
    return parameters


def is_gate(name: str) -> bool:
    """Whether the parameter belongs to the gate or its noise head."""
    return name.startswith(("gate.", "noise."))


def choices(weights: torch.Tensor) -> list[list[int]]:
    """The experts with a weight, for each input."""
    return [row.nonzero().flatten().tolist() for row in weights.detach()]


def with_gradients(tensors: Parameters) -> Parameters:
    return {name: values.clone().requires_grad_() for name, values in tensors.items()}


def store_gradients(golden: Golden, case: str, tensors: Parameters) -> None:
    """One gradient for each tensor; zeros for what L does not depend on."""
    for name, values in tensors.items():
        gradient = values.grad if values.grad is not None else torch.zeros_like(values)
        golden.expected(f"{case}.grad.{name}", gradient)


def make_block() -> Golden:
    torch.manual_seed(SEED)
    blocks, training, inference, balance = {}, [], [], []
    golden = Golden({"hidden": HIDDEN, "blocks": blocks, "training": training, "inference": inference, "balance": balance})
    for block, (experts, width, output_scale) in BLOCKS.items():
        draw = Draw(SEED)
        blocks[block] = {"experts": experts, "width": width, "inputs": INPUTS}
        parameters = draw_block(draw, HIDDEN, experts, width, output_scale)
        given = {
            "x": draw.normal(INPUTS, HIDDEN, scale=1.5),
            "c": draw.normal(INPUTS, HIDDEN),
            "noise": draw.normal(INPUTS, experts),
            "draws": draw.uniform(INPUTS, experts),
        }
        require_clear_choices(block, parameters, given)
        for name, values in (parameters | given).items():
            golden.given(f"{block}.{name}", values)
        for combination in COMBINATIONS:
            for variant in VARIANTS_OF[block]:
                training.append(train(golden, block, variant, combination, parameters, given))
            for gate in GATES_OF[block]:
                inference.append(infer(golden, block, gate, combination, parameters, given))
    for term, noise_scale in BALANCE_SCALES.items():
        balance.append(balanced(golden, f"n4.{term}", noise_scale))
    return golden


def train(golden: Golden, block: str, variant: str, combination: str, parameters: Parameters, given: Parameters) -> dict:
    case = f"{block}.{variant}.{combination}"
    mode, noise_scale = VARIANTS[variant]
    tensors = with_gradients({"x": given["x"]} | parameters)
    x = tensors["x"]
    probabilities = gate_probabilities(x, tensors, noise_scale, given["noise"])
    weights = training_weights(mode, probabilities, given["draws"])
    y = combine(x, weights, expert_outputs(x, tensors), combination)
    (given["c"] * y).sum().backward()
    # p·E/‖p·E‖ = E/‖E‖: the paper's gate is out of the loss, and what is computed for it is rounding.
    gate_learns = not (mode in ("random", "uniform") or (mode == "noisy-top1" and combination == "normalize-mixture"))
    gate_learns = gate_learns and parameters["gate.output.bias"].shape[0] > 1
    for name, values in tensors.items():
        if is_gate(name) and not gate_learns and values.grad is not None:
            if values.grad.abs().max() > 1e-12:
                raise SystemExit(f"{case}: `{name}` has a gradient of {values.grad.abs().max():.2e}")
            values.grad.zero_()
    if gate_learns and not tensors["gate.output.weight"].grad.abs().max() > (0.0 if block == "floor" else 1e-3):
        raise SystemExit(f"{case}: the gate has no gradient")
    golden.expected(f"{case}.y", y)
    store_gradients(golden, case, tensors)
    return {
        "id": case,
        "block": block,
        "mode": mode,
        "noise_scale": noise_scale,
        "combination": combination,
        "gate_learns": gate_learns,
        "chosen": choices(weights),
    }


def infer(golden: Golden, block: str, gate: str, combination: str, parameters: Parameters, given: Parameters) -> dict:
    case = f"{block}.use-{gate}.{combination}"
    x = given["x"]
    weights = inference_weights(gate, gate_probabilities(x, parameters, 0.0, None), given["draws"])
    golden.expected(f"{case}.y", combine(x, weights, expert_outputs(x, parameters), combination))
    return {"id": case, "block": block, "gate": gate, "combination": combination, "chosen": choices(weights)}


def balanced(golden: Golden, case: str, noise_scale: float) -> dict:
    block = case.split(".")[0]
    names = ["x", *(name for name in block_shapes(HIDDEN, *BLOCKS[block][:2]) if is_gate(name))]
    tensors = with_gradients({name: golden.tensors[f"{block}.{name}"].double() for name in names})
    probabilities = gate_probabilities(tensors["x"], tensors, noise_scale, golden.tensors[f"{block}.noise"].double())
    value = load_balance(probabilities)
    value.backward()
    golden.expected(f"{case}.value", value.reshape(1))
    store_gradients(golden, case, tensors)
    return {"id": case, "block": block, "noise_scale": noise_scale}


def require_clear_choices(block: str, parameters: Parameters, given: Parameters) -> None:
    """No arg max and no relu may hang on rounding, and in `n4` the choice must depend on the input and on the noise."""
    x, chosen = given["x"], []
    for noise_scale in (0.0, 0.5, 1.0):
        probabilities = gate_probabilities(x, parameters, noise_scale, given["noise"])
        require_margin(f"the gate of `{block}`", top_two_gap(probabilities), margin=1e-2)
        chosen.append(probabilities.argmax(-1).tolist())
    require_margin(f"the draws of `{block}`", top_two_gap(given["draws"]))
    for name in ("gate.hidden", *(f"experts.{i}.down" for i in range(BLOCKS[block][0]))):
        require_margin(f"relu of `{block}`, `{name}`", layer(x, parameters, name), margin=1e-3)
    if block == "n4" and (len(set(chosen[0])) < 3 or chosen[0] == chosen[2]):
        raise SystemExit(f"the gate chooses {chosen}; take another seed")
    norms = expert_outputs(x, parameters).norm(dim=-1)
    if (norms.max() >= 1e-6) if block == "floor" else (norms.min() < 1e-2):
        raise SystemExit(f"the experts of `{block}` have norms {norms.min():.2e} to {norms.max():.2e}")
