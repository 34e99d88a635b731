"""Expected numbers of what a block may be besides the paper's: a linear adapter, a scaled input, a scaled correction,
experts that begin at zero, and a block for one side between two normalisations.

L = Σ c ⊙ y, or Σ c ⊙ z where y is normalised to z.
"""

import torch
from torch.nn.functional import normalize

from golden_block import choices, draw_block, store_gradients, with_gradients
from golden_file import Draw, Golden, require_margin, top_two_gap
from sbmoe_block import (
    COMBINATIONS,
    Parameters,
    correction,
    expert_outputs,
    gate_probabilities,
    inference_weights,
    layer,
    linear_correction,
    linear_shapes,
    use,
)

SEED = 1
HIDDEN = 8
INPUTS = 5
QUERIES, DOCUMENTS = [0, 1], [2, 3, 4]
# Inputs of length about 1, as a normalised encoder gives, are drawn out by this.
INPUT_SCALE = 4.0
RESIDUAL = 0.5

BLOCKS = {
    "full": {"kind": "linear", "rank": None},
    "low-rank": {"kind": "linear", "rank": 2},
    "n3": {"kind": "experts", "experts": 3, "width": 4},
    # The experts' upper layers are zero, so that y = x.
    "zero": {"kind": "experts", "experts": 3, "width": 4},
}
OPTIMIZER = {"lr": 0.01, "betas": [0.9, 0.999], "eps": 1e-8, "weight_decay": 0.01}

# id: block, combination, input scale, side
CHAINS = {
    "full.chain-query": ("full", "sum", 1.0, "query"),
    "full.chain-document": ("full", "sum", 1.0, "document"),
    "n3.chain-query": ("n3", "normalize-mixture", INPUT_SCALE, "query"),
}


def draw_parameters(draw: Draw, block: str) -> Parameters:
    size = BLOCKS[block]
    if size["kind"] == "linear":
        shapes = linear_shapes(HIDDEN, size["rank"])
        return {name: draw.normal(*shape, scale=0.3 if name.endswith("bias") else 0.6) for name, shape in shapes.items()}
    return draw_block(draw, HIDDEN, size["experts"], size["width"], output_scale=0.0 if block == "zero" else 1.0)


def apply(x: torch.Tensor, parameters: Parameters, block: str, combination: str, input_scale: float) -> torch.Tensor:
    """y = x' + c in training, x' = input_scale · x; experts are weighed by the soft gate without noise."""
    scaled = input_scale * x
    if BLOCKS[block]["kind"] == "linear":
        return scaled + linear_correction(scaled, parameters)
    weights = gate_probabilities(scaled, parameters, 0.0, None)
    return scaled + correction(weights, expert_outputs(scaled, parameters), combination)


def make_adapter() -> Golden:
    torch.manual_seed(SEED)
    training, inference, zero_start, chain = [], [], [], []
    facts = {"hidden": HIDDEN, "inputs": INPUTS, "blocks": BLOCKS}
    golden = Golden(facts | {"training": training, "inference": inference, "zero_start": zero_start, "chain": chain})
    given = {}
    for block, size in BLOCKS.items():
        draw = Draw(SEED)
        parameters = draw_parameters(draw, block)
        x = draw.normal(INPUTS, HIDDEN, scale=1.5 if block == "zero" else 0.4)
        given[block] = {"x": x, "c": draw.normal(INPUTS, HIDDEN)} | parameters
        for name, values in given[block].items():
            golden.given(f"{block}.{name}", values)
        if block == "zero":
            zero_start.append(start_at_zero(golden, given[block]))
            continue
        for input_scale in (INPUT_SCALE,) if block == "n3" else (1.0, INPUT_SCALE):
            require_clear_choices(block, given[block], input_scale * x)
            for combination in COMBINATIONS if block == "n3" else ("sum",):
                training.append(train(golden, given[block], block, combination, input_scale))
                inference.extend(infer(golden, given[block], block, combination, input_scale))
    for case in CHAINS:
        chain.append(chained(golden, given[CHAINS[case][0]], case))
    return golden


def parameters_of(tensors: Parameters) -> Parameters:
    return {name: values for name, values in tensors.items() if name not in ("x", "c")}


def variant(input_scale: float) -> str:
    return "plain" if input_scale == 1.0 else "scaled"


def settings(block: str, combination: str, input_scale: float) -> dict:
    mode = "uniform" if BLOCKS[block]["kind"] == "linear" else "soft"
    return {"block": block, "mode": mode, "combination": combination, "input_scale": input_scale}


def train(golden: Golden, given: Parameters, block: str, combination: str, input_scale: float) -> dict:
    case = f"{block}.{variant(input_scale)}.{combination}"
    tensors = with_gradients({name: values for name, values in given.items() if name != "c"})
    y = apply(tensors["x"], tensors, block, combination, input_scale)
    (given["c"] * y).sum().backward()
    golden.expected(f"{case}.y", y)
    store_gradients(golden, case, tensors)
    return {"id": case} | settings(block, combination, input_scale)


def infer(golden: Golden, given: Parameters, block: str, combination: str, input_scale: float) -> list[dict]:
    """Every gate in use; a linear adapter has none, and is used as if its gate were `uniform`."""
    cases = []
    for gate in ("all", "top1") if block == "n3" else ("uniform",):
        case = f"{block}.{variant(input_scale)}.use-{gate}.{combination}"
        modes = {"gate": gate, "combination": combination, "input_scale": input_scale, "residual": RESIDUAL}
        config = {"kind": BLOCKS[block]["kind"], "combine": combination} | modes
        golden.expected(f"{case}.y", use(given["x"], given, config, "query"))
        chosen = {}
        if block == "n3":
            probabilities = gate_probabilities(input_scale * given["x"], given, 0.0, None)
            chosen = {"chosen": choices(inference_weights(gate, probabilities))}
        cases.append({"id": case, "block": block} | modes | chosen)
    return cases


def start_at_zero(golden: Golden, given: Parameters) -> dict:
    """Two backward passes with an AdamW step between them: what is zero at the start, and that it does not stay so."""
    case, block, combination = "zero.step", "zero", "sum"
    tensors = with_gradients(parameters_of(given))
    optimizer = torch.optim.AdamW(
        tensors.values(),
        lr=OPTIMIZER["lr"],
        betas=tuple(OPTIMIZER["betas"]),
        eps=OPTIMIZER["eps"],
        weight_decay=OPTIMIZER["weight_decay"],
    )
    require_clear_choices(block, given, given["x"])
    for place in ("first", "second"):
        optimizer.zero_grad()
        y = apply(given["x"], tensors, block, combination, 1.0)
        (given["c"] * y).sum().backward()
        for name, values in tensors.items():
            # Without noise its head has no part in L; a zero gradient is a gradient, and decay acts on it.
            if name.startswith("noise."):
                values.grad = torch.zeros_like(values)
            require_start(name, values.grad, place)
        golden.expected(f"{case}.{place}.y", y)
        store_gradients(golden, f"{case}.{place}", tensors)
        if place == "first":
            optimizer.step()
            for name, values in tensors.items():
                golden.expected(f"{case}.after.{name}", values)
            require_clear_choices(block, tensors, given["x"])
    return {"id": case} | settings(block, combination, 1.0) | {"optimizer": OPTIMIZER}


def require_start(name: str, gradient: torch.Tensor, place: str) -> None:
    """At the start only the upper layers have a gradient, and no element of theirs hangs on rounding, which AdamW would
    make as large as any other; after a step all have one, but for the noise head."""
    largest = gradient.abs().max()
    if name.startswith("noise.") or (place == "first" and ".up." not in name):
        if largest != 0.0:
            raise SystemExit(f"`{name}` has a gradient of {largest:.2e} in the {place} pass")
    elif place == "first":
        require_margin(f"the first gradient of `{name}`", gradient[gradient != 0.0])
    elif largest < 1e-4:
        raise SystemExit(f"`{name}` has no gradient in the {place} pass")


def chained(golden: Golden, given: Parameters, case: str) -> dict:
    """Normalise, apply the block to one side's texts, normalise."""
    block, combination, input_scale, side = CHAINS[case]
    rows = QUERIES if side == "query" else DOCUMENTS
    tensors = with_gradients({name: values for name, values in given.items() if name != "c"})
    unit = normalize(tensors["x"], dim=-1)
    if block == "n3":
        require_clear_choices(block, given, input_scale * unit.detach())
    treated = torch.zeros(INPUTS, 1, dtype=torch.bool)
    treated[rows] = True
    # The other side's texts keep x itself, not x'.
    y = torch.where(treated, apply(unit, tensors, block, combination, input_scale), unit)
    z = normalize(y, dim=-1)
    (given["c"] * z).sum().backward()
    golden.expected(f"{case}.y", y)
    golden.expected(f"{case}.z", z)
    store_gradients(golden, case, tensors)
    sides = {"sides": side, "queries": QUERIES, "documents": DOCUMENTS}
    return {"id": case} | settings(block, combination, input_scale) | sides


def require_clear_choices(block: str, parameters: Parameters, scaled: torch.Tensor) -> None:
    """No arg max and no relu may hang on rounding, and not every text may prefer the same expert."""
    size = BLOCKS[block]
    if size["kind"] == "linear":
        return
    with torch.no_grad():
        probabilities = gate_probabilities(scaled, parameters, 0.0, None)
        require_margin(f"the gate of `{block}`", top_two_gap(probabilities), margin=1e-2)
        for name in ("gate.hidden", *(f"experts.{i}.down" for i in range(size["experts"]))):
            require_margin(f"relu of `{block}`, `{name}`", layer(scaled, parameters, name), margin=1e-3)
        if block == "n3" and len(set(probabilities.argmax(-1).tolist())) < 2:
            raise SystemExit(f"the gate of `{block}` chooses one expert for all; take another seed")
        if block == "n3" and expert_outputs(scaled, parameters).norm(dim=-1).min() < 1e-2:
            raise SystemExit(f"an expert of `{block}` gives next to nothing; take another seed")
