"""Expected numbers of what steers training: the losses, learning-rate schedules, and clipping."""

import torch
from torch.nn.functional import cross_entropy, kl_div, log_softmax, mse_loss, normalize, softmax
from transformers import (
    get_constant_schedule_with_warmup,
    get_cosine_schedule_with_warmup,
    get_linear_schedule_with_warmup,
)

from golden_file import Draw, Golden, require_margin, top_two_gap

SEED = 41
HIDDEN = 6
STEPS = 10

# Masked are (query, document) pairs: known positives of a query that stand in another row or among the negatives.
LOSS_CASES = {
    "square": {"queries": 4, "documents": 4, "temperature": 1.0, "masked": []},
    "sharp": {"queries": 4, "documents": 4, "temperature": 0.05, "masked": []},
    "negatives": {"queries": 4, "documents": 9, "temperature": 0.5, "masked": []},
    "masked": {"queries": 4, "documents": 4, "temperature": 1.0, "masked": [[0, 2], [2, 0], [3, 1]]},
    "masked-negatives": {"queries": 5, "documents": 8, "temperature": 0.2, "masked": [[0, 6], [1, 0], [1, 7], [4, 5]]},
    # Only the diagonal is left of the first row: it contributes neither loss nor gradient.
    "masked-row": {"queries": 3, "documents": 3, "temperature": 1.0, "masked": [[0, 1], [0, 2]]},
    "alone": {"queries": 1, "documents": 1, "temperature": 1.0, "masked": []},
    # Logits of thousands overflow an exponential that is not shifted by the largest one.
    "huge": {"queries": 4, "documents": 6, "temperature": 0.0009765625, "masked": []},
}

# The mean of both directions; a masked pair takes no part in either. `cosine`: vectors are normalised before the loss.
SYMMETRIC_CASES = {
    "both": {"queries": 4, "documents": 4, "temperature": 1.0, "masked": []},
    "both-negatives": {"queries": 4, "documents": 9, "temperature": 0.5, "masked": []},
    "both-masked": {"queries": 4, "documents": 4, "temperature": 0.3, "masked": [[0, 2], [2, 0], [3, 1]]},
    "both-masked-negatives": {"queries": 5, "documents": 8, "temperature": 0.2, "masked": [[0, 6], [1, 0], [1, 7], [4, 2]]},
    "both-alone": {"queries": 1, "documents": 3, "temperature": 1.0, "masked": []},
}
COSINE_CASES = {
    "cosine": {"queries": 5, "documents": 8, "temperature": 0.05, "masked": [[1, 0]], "directions": "one-way"},
    "cosine-both": {"queries": 5, "documents": 8, "temperature": 0.05, "masked": [[1, 0]], "directions": "both"},
}

# What a teacher did not score is NaN among the targets: all but `listed`, which names each row's columns (all where it is
# absent). A divergence needs two of them, margins the row's own.
DISTILL_CASES = {
    "kl": {"queries": 4, "documents": 7, "temperature": 1.0, "loss": {"kl": {"temperature": 1.0}}},
    "kl-sharp": {"queries": 4, "documents": 7, "temperature": 0.05, "loss": {"kl": {"temperature": 0.2}}},
    "kl-partial": {
        "queries": 5,
        "documents": 6,
        "temperature": 0.5,
        "loss": {"kl": {"temperature": 2.0}},
        "listed": [[0, 3, 5], [1, 2], [2], [], [0, 1, 2, 3, 4, 5]],
    },
    "margin-mse": {"queries": 4, "documents": 7, "temperature": 1.0, "loss": "margin-mse"},
    "margin-mse-partial": {
        "queries": 5,
        "documents": 6,
        "temperature": 0.5,
        "loss": "margin-mse",
        "listed": [[0, 3, 5], [1], [0, 3], [], [0, 1, 2, 3, 4, 5]],
    },
}
DISTILL_WEIGHT = 0.75

SCHEDULES = {
    "constant": lambda optimizer, warmup: get_constant_schedule_with_warmup(optimizer, warmup),
    "linear": lambda optimizer, warmup: get_linear_schedule_with_warmup(optimizer, warmup, STEPS),
    "cosine": lambda optimizer, warmup: get_cosine_schedule_with_warmup(optimizer, warmup, STEPS),
}


def contrastive(queries: torch.Tensor, documents: torch.Tensor, name: str, case: dict) -> tuple[torch.Tensor, torch.Tensor]:
    """The loss, and the share of queries whose best document is their own."""
    scores = queries @ documents.T / case["temperature"]
    for row, column in case["masked"]:
        scores = scores.index_put((torch.tensor(row), torch.tensor(column)), torch.tensor(-torch.inf, dtype=scores.dtype))
    require_margin(f"the best document of `{name}`", top_two_gap(scores))
    labels = torch.arange(case["queries"])
    loss = cross_entropy(scores, labels)
    if case.get("directions") == "both":
        loss = (loss + cross_entropy(scores[:, : case["queries"]].T, labels)) / 2
    return loss, (scores.argmax(1) == labels).double().mean()


def add_contrastive(golden: Golden, draw: Draw, name: str, case: dict, is_cosine: bool) -> None:
    queries = draw.normal(case["queries"], HIDDEN).requires_grad_()
    documents = draw.normal(case["documents"], HIDDEN).requires_grad_()
    seen = (normalize(queries), normalize(documents)) if is_cosine else (queries, documents)
    loss, accuracy = contrastive(*seen, name, case)
    loss.backward()
    golden.given(f"{name}.queries", queries)
    golden.given(f"{name}.documents", documents)
    golden.expected(f"{name}.loss", loss.reshape(1))
    golden.expected(f"{name}.accuracy", accuracy.reshape(1))
    golden.expected(f"{name}.grad.queries", queries.grad)
    golden.expected(f"{name}.grad.documents", documents.grad)


def distillation(scores: torch.Tensor, targets: torch.Tensor, case: dict) -> torch.Tensor:
    """The loss, from the student's and the teacher's scores."""
    terms = []
    for row, columns in enumerate(case["listed"]):
        s, t = scores[row, columns], targets[row, columns]
        if case["loss"] == "margin-mse":
            if row in columns:
                own = columns.index(row)
                others = [place for place in range(len(columns)) if place != own]
                terms += [mse_loss(s[own] - s[other], t[own] - t[other]) for other in others]
        elif len(columns) > 1:
            q = log_softmax(s / case["temperature"], 0)
            p = softmax(t / case["loss"]["kl"]["temperature"], 0)
            terms.append(kl_div(q, p, reduction="sum"))
    return torch.stack(terms).mean()


def add_distillation(golden: Golden, draw: Draw, name: str, case: dict) -> None:
    queries = draw.normal(case["queries"], HIDDEN).requires_grad_()
    documents = draw.normal(case["documents"], HIDDEN).requires_grad_()
    targets = draw.normal(case["queries"], case["documents"], scale=2.0)
    everything = [list(range(case["documents"]))] * case["queries"]
    loss = distillation(queries @ documents.T, targets, {"listed": everything, **case})
    (DISTILL_WEIGHT * loss).backward()
    golden.given(f"{name}.queries", queries)
    golden.given(f"{name}.documents", documents)
    golden.given(f"{name}.targets", targets)
    golden.expected(f"{name}.loss", loss.reshape(1))
    golden.expected(f"{name}.grad.queries", queries.grad)
    golden.expected(f"{name}.grad.documents", documents.grad)


def make_loss() -> Golden:
    draw = Draw(SEED)
    symmetric = {name: {**case, "directions": "both"} for name, case in SYMMETRIC_CASES.items()}
    cases = {"cases": LOSS_CASES, "symmetric": symmetric, "cosine": COSINE_CASES, "distillation": DISTILL_CASES}
    lists = {kind: [{"id": name, **case} for name, case in named.items()] for kind, named in cases.items()}
    golden = Golden({"hidden": HIDDEN, "distill_weight": DISTILL_WEIGHT, **lists})
    for kind in ("cases", "symmetric", "cosine"):
        for name, case in cases[kind].items():
            add_contrastive(golden, draw, name, case, is_cosine=kind == "cosine")
    for name, case in DISTILL_CASES.items():
        add_distillation(golden, draw, name, case)
    return golden


def multipliers(schedule: str, warmup: int) -> list[float]:
    """What multiplies the learning rate in each of the first ten steps; the first step is number 0."""
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=1.0)
    scheduler = SCHEDULES[schedule](optimizer, warmup)
    values = []
    for _ in range(STEPS):
        values.append(scheduler.get_last_lr()[0])
        optimizer.step()
        scheduler.step()
    return values


def clipped(gradients: list[torch.Tensor], max_norm: float) -> dict:
    """`clip_grad_norm_` over all tensors together; the norm is the one before clipping."""
    parameters = [torch.nn.Parameter(torch.zeros_like(gradient)) for gradient in gradients]
    for parameter, gradient in zip(parameters, gradients):
        parameter.grad = gradient.clone()
    norm = torch.nn.utils.clip_grad_norm_(parameters, max_norm)
    return {
        "max_norm": max_norm,
        "gradients": [gradient.tolist() for gradient in gradients],
        "norm": norm.item(),
        "clipped": [parameter.grad.tolist() for parameter in parameters],
    }


def make_optimizer() -> Golden:
    draw = Draw(SEED + 1)
    gradients = [draw.normal(5), draw.normal(3, scale=2.0)]
    schedules = [
        {"schedule": schedule, "warmup_steps": warmup, "total_steps": STEPS, "multipliers": multipliers(schedule, warmup)}
        for schedule in SCHEDULES
        for warmup in (0, 3)
    ]
    return Golden({"schedules": schedules, "clipping": [clipped(gradients, 1.0), clipped(gradients, 1000.0)]})
