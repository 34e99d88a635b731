"""Ten AdamW steps of a tiny BERT with a block on given pairs, in two runs: the paper's gate and the soft gate.

One encoder and one block serve queries and documents; dropout is off and there is no gate noise. Parameters carry the
encoder's Hugging Face names and the block's own names, which do not meet.
"""

import torch
from torch.func import functional_call
from torch.nn.functional import cross_entropy

from golden_bert import draw_parameters, draw_texts, empty_bert, hidden_states, pool, tiny_config
from golden_block import draw_block, is_gate
from golden_file import Draw, Golden, require_margin, top_two_gap
from sbmoe_block import combine, expert_outputs, gate_probabilities, layer, training_weights

SEED = 8
STEPS = 10
PAIRS = 4
EXPERTS = 3
WIDTH = 6
COMBINATION = "normalize-mixture"
OPTIMIZER = {"encoder_lr": 1e-3, "block_lr": 1e-2, "betas": [0.9, 0.999], "eps": 1e-8, "weight_decay": 0.01}

RUNS = {
    "faithful": {"mode": "noisy-top1", "temperature": 1.0, "noise_head_is_trained": False},
    "soft": {"mode": "soft", "temperature": 0.05, "noise_head_is_trained": True},
}


def draw_batches(draw: Draw) -> list[dict]:
    """Queries of 2–5 tokens and positives of 4–12, other lengths in every batch."""
    batches = []
    for _ in range(STEPS):
        queries = draw_texts(draw, tuple(draw.integers(2, 6, PAIRS)))
        positives = draw_texts(draw, tuple(draw.integers(4, 13, PAIRS)))
        batches.append({"queries": queries, "positives": positives})
    return batches


def represent(encoder, parameters: dict, texts: list[list[int]], mode: str) -> tuple[torch.Tensor, list[int]]:
    """The block's output y for each text, [texts, hidden], and the expert that its gate prefers."""
    encoder_parameters = {name: values for name, values in parameters.items() if is_encoder(name)}
    bound = lambda **inputs: functional_call(encoder, encoder_parameters, kwargs=inputs)
    x = pool(*hidden_states(bound, texts), "mean")
    probabilities = gate_probabilities(x, parameters, 0.0, None)
    if mode == "noisy-top1":
        require_margin("the gate during the steps", top_two_gap(probabilities))
    for name in ("gate.hidden", *(f"experts.{i}.down" for i in range(EXPERTS))):
        require_margin("relu during the steps", layer(x, parameters, name), margin=1e-6)
    y = combine(x, training_weights(mode, probabilities), expert_outputs(x, parameters), COMBINATION)
    return y, probabilities.argmax(-1).tolist()


def is_encoder(name: str) -> bool:
    return name.startswith(("embeddings.", "encoder."))


def run_steps(initial: dict, batches: list[dict], run: dict, dtype: torch.dtype) -> dict:
    """Losses, in-batch accuracies, the first step's gradients and the last parameters."""
    encoder = empty_bert(dtype=dtype)
    parameters = {name: values.to(dtype).clone().requires_grad_() for name, values in initial.items()}
    block_names = [name for name in parameters if not is_encoder(name)]
    if not run["noise_head_is_trained"]:
        block_names = [name for name in block_names if not name.startswith("noise.")]
    optimizer = torch.optim.AdamW(
        [
            {"params": [values for name, values in parameters.items() if is_encoder(name)], "lr": OPTIMIZER["encoder_lr"]},
            {"params": [parameters[name] for name in block_names], "lr": OPTIMIZER["block_lr"]},
        ],
        betas=tuple(OPTIMIZER["betas"]),
        eps=OPTIMIZER["eps"],
        weight_decay=OPTIMIZER["weight_decay"],
    )
    losses, accuracies, first, preferred = [], [], {}, []
    for batch in batches:
        optimizer.zero_grad()
        queries, by_queries = represent(encoder, parameters, batch["queries"], run["mode"])
        positives, by_positives = represent(encoder, parameters, batch["positives"], run["mode"])
        preferred += by_queries + by_positives
        scores = queries @ positives.T / run["temperature"]
        labels = torch.arange(len(scores))
        loss = cross_entropy(scores, labels)
        loss.backward()
        losses.append(loss.detach())
        accuracies.append((scores.argmax(1) == labels).to(dtype).mean())
        for name, values in parameters.items():
            values.grad = true_gradient(name, values, run["mode"])
        if not first:
            first = {name: values.grad.clone() for name, values in parameters.items()}
        optimizer.step()
    if min(preferred.count(expert) for expert in range(EXPERTS)) < len(preferred) / 20:
        raise SystemExit("an expert is hardly ever preferred; take another seed")
    return {
        "losses": torch.stack(losses),
        "accuracies": torch.stack(accuracies),
        "grad": first,
        "final": {name: values.detach() for name, values in parameters.items()},
    }


def true_gradient(name: str, values: torch.Tensor, mode: str) -> torch.Tensor:
    """The gradient that mathematics gives: exactly zero, and not absent, for the paper's gate, for the noise head
    without noise, and for the key's bias; AdamW then decays them and does nothing else."""
    without = is_gate(name) if mode == "noisy-top1" else name.startswith("noise.")
    if not (without or name.endswith("attention.self.key.bias")):
        return values.grad
    if values.dtype == torch.float64 and values.grad is not None and values.grad.abs().max() > 1e-12:
        raise SystemExit(f"`{name}` has a gradient of {values.grad.abs().max():.2e}")
    return torch.zeros_like(values)


def make_steps() -> Golden:
    draw = Draw(SEED)
    hidden = tiny_config()["hidden_size"]
    initial = draw_parameters(draw, output_scale=0.3) | draw_block(draw, hidden, EXPERTS, WIDTH)
    batches = draw_batches(draw)
    golden = Golden(
        {
            "config": tiny_config(),
            "pooling": "mean",
            "block": {"experts": EXPERTS, "width": WIDTH, "combination": COMBINATION, "noise_scale": 0.0},
            "optimizer": OPTIMIZER,
            "runs": RUNS,
            "batches": batches,
        }
    )
    for name, values in initial.items():
        golden.given(f"initial.{name}", values)
    for run, settings in RUNS.items():
        exact = run_steps(initial, batches, settings, torch.float64)
        golden.expected(f"{run}.losses", exact["losses"])
        golden.expected(f"{run}.accuracies", exact["accuracies"])
        for name in initial:
            golden.expected(f"{run}.grad.{name}", exact["grad"][name])
            golden.expected(f"{run}.final.{name}", exact["final"][name])
        print_rounding(run, exact, run_steps(initial, batches, settings, torch.float32))
    return golden


def print_rounding(run: str, exact: dict, rounded: dict) -> None:
    """Says how far PyTorch's own f32 lies from f64: what a test in f32 may allow."""
    worst = {"losses": (rounded["losses"] - exact["losses"]).abs().max().item()}
    for part in ("grad", "final"):
        worst[part] = max((rounded[part][name] - values).abs().max().item() for name, values in exact[part].items())
    print(f"steps, {run}: losses {[round(loss, 4) for loss in exact['losses'].tolist()]}")
    print(f"steps, {run}: f32 differs by", ", ".join(f"{part} {value:.1e}" for part, value in worst.items()))
