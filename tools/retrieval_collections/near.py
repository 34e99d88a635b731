"""Finds documents that are nearly the same, by the five-word sequences that they share."""

import re
from collections import Counter, defaultdict
from collections.abc import Iterator

WORDS = 5
COMMON = 40  # sequences in more documents than this are boilerplate and show nothing


def sequences(text: str) -> frozenset[tuple[str, ...]]:
    """Numbers are left out: versions of a thing differ in them."""
    words = re.findall(r"[^\W\d_]+", text.lower())
    return frozenset(tuple(words[i : i + WORDS]) for i in range(max(1, len(words) - WORDS + 1)))


def near_pairs(texts: list[str], least: float) -> Iterator[tuple[int, int, float]]:
    """Pairs `i < j` whose sequences overlap by at least `least` (Jaccard, of the sequences that are not common)."""
    sets = [sequences(text) for text in texts]
    count = Counter(sequence for one in sets for sequence in one)
    sets = [frozenset(s for s in one if count[s] <= COMMON) or one for one in sets]
    holders: dict[tuple[str, ...], list[int]] = defaultdict(list)
    for j, one in enumerate(sets):
        shared: Counter[int] = Counter()
        for sequence in one:
            shared.update(holders[sequence])
            holders[sequence].append(j)
        for i, number in sorted(shared.items()):
            overlap = number / (len(sets[i]) + len(one) - number)
            if overlap >= least:
                yield i, j, overlap


def components(size: int, pairs: list[tuple[int, int]]) -> list[int]:
    """For each of `size` things the smallest number of those that pairs join it with."""
    root = list(range(size))

    def find(i: int) -> int:
        while root[i] != i:
            root[i] = root[root[i]]
            i = root[i]
        return i

    for i, j in pairs:
        i, j = sorted((find(i), find(j)))
        root[j] = i
    return [find(i) for i in range(size)]
