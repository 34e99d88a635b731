"""Expected numbers of what steers training: the contrastive loss, learning-rate schedules, and clipping."""

import torch
from torch.nn.functional import cross_entropy
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

SCHEDULES = {
    "constant": lambda optimizer, warmup: get_constant_schedule_with_warmup(optimizer, warmup),
    "linear": lambda optimizer, warmup: get_linear_schedule_with_warmup(optimizer, warmup, STEPS),
    "cosine": lambda optimizer, warmup: get_cosine_schedule_with_warmup(optimizer, warmup, STEPS),
}


def make_loss() -> Golden:
    draw = Draw(SEED)
    golden = Golden({"hidden": HIDDEN, "cases": [{"id": name, **case} for name, case in LOSS_CASES.items()]})
    for name, case in LOSS_CASES.items():
        queries = draw.normal(case["queries"], HIDDEN).requires_grad_()
        documents = draw.normal(case["documents"], HIDDEN).requires_grad_()
        scores = queries @ documents.T / case["temperature"]
        for row, column in case["masked"]:
            scores = scores.index_put((torch.tensor(row), torch.tensor(column)), torch.tensor(-torch.inf, dtype=scores.dtype))
        require_margin(f"the best document of `{name}`", top_two_gap(scores))
        labels = torch.arange(case["queries"])
        loss = cross_entropy(scores, labels)
        loss.backward()
        golden.given(f"{name}.queries", queries)
        golden.given(f"{name}.documents", documents)
        golden.expected(f"{name}.loss", loss.reshape(1))
        golden.expected(f"{name}.accuracy", (scores.argmax(1) == labels).double().mean().reshape(1))
        golden.expected(f"{name}.grad.queries", queries.grad)
        golden.expected(f"{name}.grad.documents", documents.grad)
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
