"""A byte-level transformer: pre-norm blocks, rotary positions; how it is trained, judged and sampled."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from pgfrs.llm import Ids
from where import Follower

#: Bytes first, then marks: which digit (0 to 9) or photograph (10) follows, its end, the parts of infilling.
LABELS = [256 + label for label in range(11)]
MARKS = Ids(eos=267, sentinels={"prefix": 268, "suffix": 269, "middle": 270, "pad": 271}, size=272, dtype=np.int64)
EOS, PAD = 267, 271
Sequences = Sequence[NDArray[np.int64]]
#: Where the end mark stands.
NOWHERE = np.full((1, 7), -1, np.int32)


@dataclass(frozen=True)
class Settings:
    """Size of the model and length of the training; the defaults are those of the quick run.

    ``muon`` is the rate of Muon for the matrices of the blocks, 0 to train them with AdamW, as all else is. A model
    that is ``told`` sees where every byte stands beside its id (where.py). In training ``given`` is what the loss of an
    id counts that stands before the middle that is to be filled in; all others count 1.
    """

    width: int = 96
    layers: int = 4
    heads: int = 3
    steps: int = 400
    batch: int = 4
    rate: float = 2e-3
    muon: float = 0.0
    told: bool = False
    given: float = 1.0

    def record(self) -> dict[str, Any]:
        return asdict(self)


class Block(nn.Module):
    """Attention and a two-layer network, each added to what it reads."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.before_attention, self.before_network = nn.LayerNorm(width), nn.LayerNorm(width)
        self.query_key_value = nn.Linear(width, 3 * width, bias=False)
        self.out = nn.Linear(width, width, bias=False)
        self.up, self.down = nn.Linear(width, 4 * width), nn.Linear(4 * width, width)

    def forward(self, x: Tensor, turns: tuple[Tensor, Tensor], past: Tensor | None = None, place: int = 0) -> Tensor:
        """x is (batch, time, width). With ``past``, keys and values before ``place``, time is 1; past is extended."""
        batch, time_, width = x.shape
        shape = (batch, time_, 3, self.heads, width // self.heads)
        query, key, value = self.query_key_value(self.before_attention(x)).view(shape).permute(2, 0, 3, 1, 4)
        query, key = _turn(query, turns), _turn(key, turns)
        if past is not None:
            past[0, :, :, place], past[1, :, :, place] = key[:, :, 0], value[:, :, 0]
            key, value = past[0, :, :, : place + 1], past[1, :, :, : place + 1]
        mixed = functional.scaled_dot_product_attention(query, key, value, is_causal=past is None)
        x = x + self.out(mixed.transpose(1, 2).reshape(batch, time_, width))
        return x + self.down(functional.relu(self.up(self.before_network(x))).square())


def _turn(x: Tensor, turns: tuple[Tensor, Tensor]) -> Tensor:
    """Rotary positions (Su et al. 2021): pairs of numbers turned by an angle that grows with the position."""
    one, other = x.chunk(2, -1)
    cosine, sine = turns
    return torch.cat([one * cosine - other * sine, one * sine + other * cosine], -1)


class Where(nn.Module):
    """Positions of shape (batch, time, 7), as in pgfrs.llm.positions, to what is added to embeddings."""

    #: Values of what is no place in the picture: -1, and 0 to the largest that is told apart.
    VALUES = 66
    #: Pixels of the longest and the shortest wave by which rows and columns are told.
    PERIODS = tuple(320 / 2**n for n in range(7))

    def __init__(self, width: int) -> None:
        super().__init__()
        self.columns = nn.ModuleList(nn.Embedding(self.VALUES, width) for _ in range(5))
        self.place = nn.Linear(4 * len(self.PERIODS), width, bias=False)

    def forward(self, where: Tensor) -> Tensor:
        values, place = (where[..., :5] + 1).clamp(0, self.VALUES - 1), where[..., 5:]
        turns = torch.tensor([2 * math.pi / period for period in self.PERIODS], device=where.device)
        angles = (place[..., None] * turns).flatten(-2)
        waves = torch.cat([angles.sin(), angles.cos()], -1) * (place[..., :1] >= 0)
        found: Tensor = self.place(waves)
        for number, column in enumerate(self.columns):
            found = found + column(values[..., number])
        return found


class ByteModel(nn.Module):
    """Ids of shape (batch, time) to logits of shape (batch, time, 272).

    A model that is told takes shape (batch, time, 8): behind each id where the next one stands.
    """

    def __init__(self, settings: Settings) -> None:
        super().__init__()
        width = settings.width
        self.embedding = nn.Embedding(MARKS.size or 0, width)
        self.where = Where(width) if settings.told else None
        self.blocks = nn.ModuleList(Block(width, settings.heads) for _ in range(settings.layers))
        self.norm, self.head = nn.LayerNorm(width), nn.Linear(width, MARKS.size or 0)
        self.half = width // settings.heads // 2
        for name, weight in self.named_parameters():
            if weight.dim() == 2:
                nn.init.normal_(
                    weight, std=0.02 if "down" not in name and "out" not in name else 0.02 / settings.layers
                )

    def turns(self, start: int, stop: int, where: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Cosine and sine of the angles by which queries and keys of the ids from ``start`` to ``stop`` are turned.

        By the place in the sequence; where the model is told positions (batch, time, 7), five of sixteen pairs by the
        row in the picture and five by the column instead, so that attention can look for what lies near.
        """
        device = self.head.weight.device
        spatial = 0 if where is None else self.half * 5 // 16
        count = self.half - 2 * spatial
        places = torch.arange(start, stop, device=device)[:, None]
        angles = places * 10000.0 ** (-torch.arange(count, device=device) / count)
        if where is not None:
            # Waves of 512 to 8 pixels; what has no place is turned by none.
            rates = 2 * math.pi / 512 * 2 ** torch.linspace(0, 6, spatial, device=device)
            turned = (where[..., 5:, None].clamp(min=0) * rates).flatten(-2)
            angles = torch.cat([angles.expand(*turned.shape[:2], count), turned], -1)[:, None]
        return angles.cos(), angles.sin()

    def embedded(self, ids: Tensor) -> Tensor:
        found: Tensor = self.embedding(values_of(ids))
        return found if self.where is None else found + self.where(ids[..., 1:])

    def forward(self, ids: Tensor) -> Tensor:
        x, turns = self.embedded(ids), self.turns(0, ids.shape[1], None if self.where is None else ids[..., 1:])
        for block in self.blocks:
            x = block(x, turns)
        logits: Tensor = self.head(self.norm(x))
        return logits


def sequence(label: int, stream: bytes, follower: Follower | None = None) -> NDArray[np.int64]:
    """A training sequence: what the picture is, its bytes, the end; for a model that is told, of shape (n, 8)."""
    ids = np.concatenate([[LABELS[label]], MARKS.of_bytes(stream), MARKS.mark("eos")])
    if follower is None:
        return ids
    return beside(ids, np.concatenate([follower.position()[None], follower.advance(stream), NOWHERE]))


def beginning(label: int, stream: bytes, follower: Follower | None = None) -> NDArray[np.int64]:
    """What a model is given to write on from: what the picture is and first bytes, behind which a follower stands."""
    return sequence(label, stream, follower)[:-1]


def beside(ids: NDArray[np.int64], where: NDArray[np.int32]) -> NDArray[np.int64]:
    return np.concatenate([ids[:, None], where], 1)


def values_of(ids: Tensor) -> Tensor:
    """Ids without where they stand."""
    return ids if ids.dim() == 2 else ids[..., 0]


def _padded(sequences: Sequences, device: str) -> Tensor:
    out = np.full((len(sequences), max(map(len, sequences)), *sequences[0].shape[1:]), -1, np.int64)
    (out if out.ndim == 2 else out[..., 0])[:] = PAD
    for row, ids in zip(out, sequences, strict=True):
        row[: len(ids)] = ids
    return torch.from_numpy(out).to(device)


def _batches(draw: Callable[[np.random.Generator], NDArray[np.int64]], batch: int, seed: int) -> Iterator[Sequences]:
    """Batches without end, of sequences of like lengths."""
    rng = np.random.default_rng(seed)
    while True:
        pool = sorted((draw(rng) for _ in range(16 * batch)), key=len)
        for start in rng.permutation(16) * batch:
            yield pool[start : start + batch]


def losses(model: ByteModel, ids: Tensor) -> Tensor:
    """Nats of every id but the first, shape (batch, time - 1); 0 for padding."""
    logits = model(ids[:, :-1])
    return functional.cross_entropy(logits.transpose(1, 2), values_of(ids)[:, 1:], ignore_index=PAD, reduction="none")


def _counts(ids: Tensor, given: float) -> Tensor:
    """What the loss of every id but the first counts, as :func:`losses`."""
    values = values_of(ids)
    middle = (values == MARKS.sentinels["middle"]).cumsum(1)[:, :-1] > 0
    learned = middle | ~middle.any(1, keepdim=True)
    return torch.where(learned, 1.0, given) * (values[:, 1:] != PAD)


@torch.no_grad()
def bits(model: ByteModel, sequences: Sequences, batch: int = 8) -> list[NDArray[np.float64]]:
    """Bits of every id but the first of each sequence."""
    model.eval()
    device = str(model.head.weight.device)
    order = sorted(range(len(sequences)), key=lambda n: len(sequences[n]))
    found: dict[int, NDArray[np.float64]] = {}
    for start in range(0, len(order), batch):
        numbers = order[start : start + batch]
        values = losses(model, _padded([sequences[n] for n in numbers], device)).double().cpu().numpy() / math.log(2)
        found |= {n: row[: len(sequences[n]) - 1] for n, row in zip(numbers, values, strict=True)}
    model.train()
    return [found[n] for n in range(len(sequences))]


def train(
    draw: Callable[[np.random.Generator], NDArray[np.int64]],
    settings: Settings,
    seed: int,
    probe: Callable[[ByteModel], dict[str, float]],
    device: str = "cpu",
) -> tuple[ByteModel, list[dict[str, float]]]:
    """Train on what ``draw`` gives.

    Returns:
        The model, and a curve: five times along the way the steps, pictures and ids so far and what ``probe`` finds.
    """
    torch.manual_seed(seed)
    model = ByteModel(settings).to(device)
    inner = [p for name, p in model.named_parameters() if settings.muon and p.dim() == 2 and "blocks" in name]
    rest = [p for p in model.parameters() if not any(p is other for other in inner)]
    groups = [
        {"params": [p for p in rest if p.dim() == 2], "weight_decay": 0.05},
        {"params": [p for p in rest if p.dim() != 2], "weight_decay": 0.0},
    ]
    optimizers: list[tuple[torch.optim.Optimizer, float]] = [
        (torch.optim.AdamW(groups, lr=settings.rate, betas=(0.9, 0.95), fused=True), settings.rate)
    ]
    if inner:
        optimizers.append((torch.optim.Muon(inner, lr=settings.muon, weight_decay=0.01), settings.muon))
    batches, curve, seen, start = _batches(draw, settings.batch, seed), [], 0, time.process_time()
    for step in range(settings.steps + 1):
        if step % max(1, settings.steps // 5) == 0:
            point = {"step": step, "pictures": step * settings.batch, "ids": seen, **probe(model)}
            curve.append(point | {"seconds": round(time.process_time() - start, 1)})
        if step == settings.steps:
            break
        warm, gone = min(1.0, (step + 1) / (0.05 * settings.steps)), step / settings.steps
        for optimizer, rate in optimizers:
            for group in optimizer.param_groups:
                group["lr"] = rate * warm * (0.05 + 0.95 * 0.5 * (1 + math.cos(math.pi * gone)))
        ids = _padded(next(batches), device)
        seen += int((values_of(ids) != PAD).sum())
        counts = _counts(ids, settings.given)
        loss = (losses(model, ids) * counts).sum() / counts.sum()
        model.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        for optimizer, _ in optimizers:
            optimizer.step()
    return model, curve


@torch.no_grad()
def sample(
    model: ByteModel,
    given: Sequences,
    most: int,
    seed: int,
    allowed: Callable[[int, bytes], NDArray[np.bool_]] | None = None,
    temperature: float = 1.0,
    followers: Sequence[Follower] = (),
) -> list[bytes]:
    """What a model writes behind every row of ids, until the end mark or ``most`` bytes.

    Rows are those of :func:`sequence` without the end; a model that is told needs ``followers`` which stand behind
    them. ``allowed(row, bytes so far)`` may name the bytes that are legal next and, as entry 256, whether the end is.
    """
    model.eval()
    device = str(model.head.weight.device)
    generator = torch.Generator(device).manual_seed(seed)
    written, running = [bytearray() for _ in given], list(range(len(given)))
    length = max(map(len, given)) + most - 1
    shape = (2, len(given), model.blocks[0].heads, length, 2 * model.half)
    past = [torch.zeros(shape, device=device) for _ in model.blocks]
    current = [row[0] for row in given]
    for place in range(length):
        ids = torch.from_numpy(np.stack(current)[:, None]).to(device)
        x, turns = model.embedded(ids), model.turns(place, place + 1, None if model.where is None else ids[..., 1:])
        for block, kept in zip(model.blocks, past, strict=True):
            x = block(x, turns, kept, place)
        logits = model.head(model.norm(x))[:, 0] / temperature
        logits[:, 256:EOS] = logits[:, EOS + 1 :] = -torch.inf
        if allowed is not None:
            legal = np.ones(tuple(logits.shape), bool)
            for row, number in enumerate(running):
                if place + 1 >= len(given[number]):
                    mask = allowed(number, bytes(written[number]))
                    legal[row, :256], legal[row, EOS] = mask[:256], mask[256]
            logits[~torch.from_numpy(legal).to(device)] = -torch.inf
        drawn = torch.multinomial(logits.softmax(-1), 1, generator=generator)[:, 0].tolist()
        going, current = [], []
        for row, (number, value) in enumerate(zip(running, drawn, strict=True)):
            if place + 1 < len(given[number]):
                following = given[number][place + 1]
            elif value < 256 and len(written[number]) < most:
                written[number].append(value)
                following = np.int64(value)
                if followers:
                    following = beside(np.array([value]), followers[number].advance(bytes([value])))[0]
            else:
                continue
            going.append(row)
            current.append(following)
        if not going:
            break
        if len(going) < len(running):
            running, past = [running[row] for row in going], [kept[:, going] for kept in past]
    model.train()
    return [bytes(stream) for stream in written]
