"""Legal bytes in Python: masks, runs, and the logits processor inside ``transformers``."""

from __future__ import annotations

import copy
import re
import sys
import types
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

import pgfrs
from material import REPOSITORY, SAMPLES
from pgfrs.llm import BYTES, EVABYTE, Ids, legal, to_ids


@pytest.fixture(scope="module")
def image() -> NDArray[np.uint8]:
    with Image.open(SAMPLES / "chelsea.png") as picture:
        return np.asarray(picture)[100:196, 100:228]


@pytest.fixture(scope="module", params=["packed", "tokens"])
def stream(request: pytest.FixtureRequest, image: NDArray[np.uint8]) -> bytes:
    return pgfrs.encode(image, format="pgfr", payload=request.param, max_bytes=1500)


def sound(stream: bytes) -> bool:
    _, report = pgfrs.decode_with_report(stream)
    return not report.damaged and report.segments["doubted"] == report.segments["lost"] == 0


@pytest.mark.parametrize("rules", ["framing", "addresses", "payload"])
def test_a_stream_is_legal(stream: bytes, rules: str) -> None:
    state = legal.start(rules=rules)
    assert not state.begun and state.allowed() == b"\xff" and not state.may_end
    assert state.legal_prefix(stream) == len(stream)
    for byte in stream:
        assert byte in state.allowed() and state.is_allowed(byte)
        assert state.advance_byte(byte)
    assert state.begun and state.may_end and not state.lost


def test_wrong_bytes_are_counted(stream: bytes) -> None:
    state = legal.start()
    damaged = bytearray(stream)
    damaged[4] ^= 1
    legal_bytes = state.advance(damaged)
    assert 0 < legal_bytes < len(stream)
    with pytest.raises(ValueError, match="framing"):
        legal.start(rules="none")
    small = legal.start(limits=pgfrs.Limits(max_pixels=100))
    assert small.legal_prefix(stream) < 10, "a picture over the limits is not legal"


def test_masks_of_a_batch(stream: bytes) -> None:
    for ids in (BYTES, EVABYTE, Ids(3, bos=1, eos=2)):
        states = [legal.start(stream[:cut]) for cut in (0, 30, 500, len(stream))]
        rows = legal.mask(states, ids)
        assert rows.shape == (4, ids.size) and rows.dtype == bool
        for state, row in zip(states, rows, strict=True):
            assert bytes(np.flatnonzero(row[ids.offset : ids.offset + 256]).astype(np.uint8)) == state.allowed()
            assert not row[: ids.offset][[i for i in range(ids.offset) if i != ids.eos]].any()
            if ids.eos is not None:
                assert row[ids.eos] == state.may_end
        assert ids.eos is None or rows[:, ids.eos].tolist()[-1]
    out = np.zeros((1, 300), bool)
    pgfrs._pgfrs.legal_masks([states[0]], out=out, offset=44)
    assert out.sum() == 1 and out[0, 44 + 255]
    with pytest.raises(ValueError, match="at least"):
        pgfrs._pgfrs.legal_masks([states[0]], out=out, offset=45)


def test_states_of_a_batch_move(stream: bytes) -> None:
    states = [legal.start(), legal.start(stream)]
    assert legal.advance(states, [255 + 64, 1], EVABYTE).tolist() == [True, True], "an id of no byte moves nothing"
    assert states[0].allowed() == b"\x01" and states[1].may_end
    assert legal.advance(states, [64, 64], EVABYTE).tolist() == [False, False]
    fresh = [legal.start(), legal.start()]
    with pytest.raises(ValueError, match="1 ids for 2 states"):
        legal.advance(fresh, [255])
    assert fresh[0].allowed() == b"\xff", "no state has moved"
    assert legal.advance(fresh, np.array([[255], [255]])).tolist() == [True, True]
    with pytest.raises(ValueError, match="offset=9223372036854775808"):
        pgfrs._pgfrs.legal_masks(fresh, offset=2**63)


def test_copies_are_independent(stream: bytes) -> None:
    state = legal.start(stream[:700])
    before = state.allowed()
    other = state.copy()
    other.advance(stream[700:])
    assert state.allowed() == before and other.may_end
    assert state.legal_prefix(stream[700:]) == len(stream) - 700
    for other in (copy.copy(state), copy.deepcopy(state)):
        other.advance(stream[700:800])
        assert state.allowed() == before and other.legal_prefix(stream[800:]) == len(stream) - 800
    positions = pgfrs.llm.positions.Positions()
    copy.deepcopy(positions).advance(stream)
    assert np.array_equal(positions.advance(stream), pgfrs.llm.positions.Positions().advance(stream))
    assert copy.deepcopy(legal.LegalLogits(EVABYTE)).ids == EVABYTE


def test_scores_that_leave_nothing(stream: bytes) -> None:
    """Of legal ids that all have minus infinity the lowest is taken, never one that is not legal."""
    state = legal.start(stream[:200])
    for ids in (BYTES, EVABYTE):
        for scores in (np.full((3, ids.size or 0), -np.inf), np.full((3, ids.size or 0), np.nan)):
            run = legal.constrain(state, scores, ids)
            assert len(run) == 3 and legal.longest_prefix(state, run, ids) == 3
    assert legal.constrain(state, np.zeros((3, 2)), EVABYTE).tolist() == []


def test_proposed_runs(stream: bytes) -> None:
    """A model with several heads proposes bytes; what is legal of them is kept."""
    ids = EVABYTE
    numbers = to_ids(stream, ids=Ids(64))
    state = legal.start(stream[:200])
    assert legal.longest_prefix(state, numbers[200:216], ids) == 16
    wrong = numbers[200:216].copy()
    wrong[5] = 1
    assert legal.longest_prefix(state, wrong, ids) == 5
    done = legal.start(stream)
    assert legal.longest_prefix(done, [2, 2], ids) == 1, "the end is legal behind a whole stream"
    assert legal.longest_prefix(legal.start(stream[:201]), [2], ids) == 0
    assert legal.longest_prefix(state, np.zeros(0, int), ids) == 0

    rng = np.random.default_rng(1)
    written = list(numbers[:200])
    state = legal.start(stream[:200])
    while len(written) < 1500:
        run = legal.constrain(state, rng.normal(size=(8, 320)), ids)
        assert 1 <= len(run) <= 8 and legal.longest_prefix(state, run, ids) == len(run)
        assert legal.advance([state] * len(run), run, ids).all()
        written.extend(run)
        if run[-1] == ids.eos:
            break
    assert sound(pgfrs.llm.from_ids(written, 64))


def test_rows_padded_with_the_end_mark() -> None:
    """Before the first byte it is padding, behind one it is the end."""
    ids = Ids(64, bos=1, eos=2)
    byte = 64 + 255
    found = legal.LegalLogits(ids)._follow(
        np.array([[2, 2, 1, byte], [2, 1, byte, 65], [1, byte, 65, 2], [2, 2, 2, 1]])
    )
    assert [state.allowed() if state else None for state in found] == [
        legal.start(b"\xff").allowed(),
        legal.start(b"\xff\x01").allowed(),
        None,
        legal.start().allowed(),
    ]
    with pytest.raises(ValueError, match="skip=-1"):
        legal.LegalLogits(ids, skip=-1)


def test_following_rows_of_a_batch(stream: bytes) -> None:
    """What the processor knows of a row is what its ids say, whatever order rows come in."""
    ids = EVABYTE
    processor = legal.LegalLogits(ids, behind=7)
    rng = np.random.default_rng(3)
    rows = np.array([[0, 0, 1, 7], [1, 9, 9, 7], [1, 9, 7, 64 + 255]])
    for step in range(300):
        states = processor._follow(rows)
        for row, state in zip(rows, states, strict=True):
            begin = np.flatnonzero(row == 7)[-1] + 1
            fresh = legal.start(pgfrs.llm.from_ids(row[begin:], 64))
            assert state is not None and state.allowed() == fresh.allowed()
        order = rng.permutation(3) if step % 3 else rng.integers(0, 3, 3)
        rows = rows[order]
        chosen = [rng.choice(np.flatnonzero(row[64:])) + 64 for row in legal.mask([states[i] for i in order], ids)]
        rows = np.column_stack([rows, chosen])
    with pytest.raises(ValueError, match="skip and behind"):
        legal.LegalLogits(skip=1, behind=7)


# --- inside transformers ----------------------------------------------------------------------------


@pytest.fixture(scope="module")
def model() -> Any:
    """A small model with random weights over EvaByte's ids: whatever it writes is noise."""
    torch = pytest.importorskip("torch", reason="no PyTorch: pip install 'pgfrs[torch]'")
    transformers = pytest.importorskip("transformers", reason="no transformers: pip install 'pgfrs[transformers]'")
    torch.manual_seed(0)
    settings = transformers.GPT2Config(
        vocab_size=320, n_positions=1024, n_embd=16, n_layer=1, n_head=2, bos_token_id=1, eos_token_id=2, pad_token_id=0
    )
    return transformers.GPT2LMHeadModel(settings).eval()


def written(row: Any) -> bytes:
    numbers = row.tolist()
    return bytes(n - 64 for n in numbers if n >= 64)


@pytest.mark.parametrize("beams", [1, 3])
def test_generate_writes_only_what_decodes(model: Any, stream: bytes, beams: int) -> None:
    import torch

    prefix = torch.tensor(to_ids(stream[:260], ids=Ids(64)).astype(np.int64))
    left = torch.tensor([0, 0, 1, 9, 9, 7])  # padding, a caption, the mark before the picture
    rows = torch.stack([torch.cat([left, prefix]), torch.cat([torch.tensor([1, 9, 9, 9, 9, 7]), prefix])])
    processor = legal.LegalLogits(EVABYTE, behind=7)
    sampled = {"do_sample": True, "top_k": 0} if beams == 1 else {"num_beams": beams}
    torch.manual_seed(4)
    with torch.no_grad():
        found = model.generate(
            rows, attention_mask=(rows != 0).long(), max_new_tokens=300, logits_processor=[processor], **sampled
        )
    assert found.shape[0] == 2
    for row in found:
        data = written(row)
        assert len(data) > 260 and sound(data)
        assert legal.start().legal_prefix(data) == len(data)


def test_without_the_processor_it_writes_what_is_not_legal(model: Any, stream: bytes) -> None:
    import torch

    rows = torch.tensor(to_ids(stream[:260], ids=Ids(64)).astype(np.int64))[None]
    torch.manual_seed(4)
    with torch.no_grad():
        found = model.generate(rows, attention_mask=torch.ones_like(rows), max_new_tokens=300, do_sample=True, top_k=0)
    data = written(found[0])
    assert legal.start().legal_prefix(data) < len(data)


def vllm_recipe() -> str:
    guide = (REPOSITORY / "docs" / "recipes" / "byte-model.md").read_text()
    [recipe] = [b for b in re.findall(r"^```py\n(.*?)^```", guide, re.MULTILINE | re.DOTALL) if "vllm" in b]
    return recipe


def test_the_recipe_for_vllm(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its function for one request with real tensors; vLLM itself is a stand-in."""
    torch = pytest.importorskip("torch", reason="no PyTorch: pip install 'pgfrs[torch]'")
    package = "vllm.v1.sample.logits_processor"
    for end in (4, 7, 14, len(package)):
        monkeypatch.setitem(sys.modules, package[:end], types.ModuleType(package[:end]))
    monkeypatch.setattr(sys.modules[package], "AdapterLogitsProcessor", object, raising=False)
    names: dict[str, Any] = {}
    exec(vllm_recipe(), names)
    adapter = names["LegalBytes"]()
    assert adapter.new_req_logits_processor(types.SimpleNamespace(extra_args=None)) is None
    request = adapter.new_req_logits_processor(types.SimpleNamespace(extra_args={"picture": True}))
    generator = torch.Generator().manual_seed(1)
    output: list[int] = []
    while len(output) < 400 and output[-1:] != [EVABYTE.eos]:
        output.append(int(request(output, torch.randn(330, generator=generator)).argmax()))
    data = pgfrs.llm.from_ids(output, 64)
    assert len(data) > 20 and legal.start().legal_prefix(data) == len(data)


def test_the_recipe_inside_vllms_batches() -> None:
    """vLLM's own adapter calls it for requests that come, swap their places and leave; no engine runs."""
    torch = pytest.importorskip("torch", reason="no PyTorch: pip install 'pgfrs[torch]'")
    interface = pytest.importorskip("vllm.v1.sample.logits_processor", reason="no vLLM: pip install vllm")
    from vllm import SamplingParams

    names: dict[str, Any] = {}
    exec(vllm_recipe(), names)
    processor = names["LegalBytes"](None, torch.device("cpu"), False)
    assert not processor.is_argmax_invariant()
    picture, other = SamplingParams(extra_args={"picture": True}), SamplingParams()
    outputs: dict[str, list[int]] = {"one": [], "text": [], "two": []}
    rows = ["one", "text", "two"]
    added = [(row, other if name == "text" else picture, None, outputs[name]) for row, name in enumerate(rows)]
    processor.update_state(interface.BatchUpdate(batch_size=3, removed=[], added=added, moved=[]))
    generator = torch.Generator().manual_seed(2)
    for step in range(300):
        if step == 100:
            rows[0], rows[2] = rows[2], rows[0]
            moved = [(0, 2, interface.MoveDirectionality.SWAP)]
            processor.update_state(interface.BatchUpdate(batch_size=3, removed=[], added=[], moved=moved))
        elif step == 200:  # the request in row 0 leaves, the last one takes its row
            rows[0] = rows.pop()
            moved = [(2, 0, interface.MoveDirectionality.UNIDIRECTIONAL)]
            processor.update_state(interface.BatchUpdate(batch_size=2, removed=[0], added=[], moved=moved))
        else:
            processor.update_state(None)
        logits = torch.randn(len(rows), 330, generator=generator)
        logits[:, EVABYTE.eos] = -30.0
        found = processor.apply(logits.clone())
        assert torch.equal(found[1], logits[1])  # the request without a picture
        for row, name in enumerate(rows):
            outputs[name].append(int(found[row].argmax()))
    for name, length in (("one", 300), ("two", 200)):
        data = pgfrs.llm.from_ids(outputs[name], 64)
        assert len(data) == len(outputs[name]) == length
        assert legal.start().legal_prefix(data) == len(data)
