"""Does a byte model learn it? Train small transformers on the same pictures in several encodings and measure.

    python examples/bytelm/run.py                 # the quick version: 2 CPU cores, at most 30 minutes
    python examples/bytelm/run.py --large         # with a GPU: more pictures, a larger model, a longer training

Every run is kept in OUT/runs as it ends; the same command goes on where a stopped one was. OUT/results.json has all
figures, OUT/*.png the plots. Needs torch, scikit-image, scikit-learn, Pillow and matplotlib.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import pickle
import time
from concurrent.futures import ProcessPoolExecutor, as_completed
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

import codings
import data
import digits
import infilling
import measure
from codings import CHANGES, ENCODINGS
from model import ByteModel, Settings, beginning, sample, sequence, train
from where import coding, follower

QUICK = Settings()
LARGE = Settings(width=384, layers=8, heads=6, steps=12000, batch=32, rate=6e-4)
HELD_OUT = 128
#: Before the encoding of runs on digits alone, and their settings.
DIGITS = "digits-"
QUICK_INFILL = Settings(steps=200, muon=0.02, given=0.1)
QUICK_DIGITS = Settings(steps=1000, batch=16, muon=0.02)
LARGE_INFILL = Settings(**LARGE.record() | {"given": 0.1})
LARGE_DIGITS = Settings(width=256, layers=6, heads=8, steps=8000, batch=32, rate=1e-3, muon=0.02)

#: What the command line may say instead of a setting's own.
SAID = ("steps", "batch", "width", "layers", "heads", "muon", "given")


def prepare(out: Path, crops: int, jobs: int) -> dict[str, Any]:
    """All pictures in all encodings, from OUT/streams.pickle if they are there."""
    path = out / f"streams-{crops}.pickle"
    if not path.exists():
        start = time.time()
        training_digits, held_out_digits = data.digits()
        parts = {
            "train": data.crops(data.TRAINING, crops, seed=1) + training_digits[:crops],
            "held_out": data.crops(data.HELD_OUT, min(HELD_OUT, crops), seed=2)
            + held_out_digits[: min(HELD_OUT, crops)],
        }
        found: dict[str, Any] = {}
        with multiprocessing.get_context("fork").Pool(jobs) as pool:
            for name, pictures in parts.items():
                encoded = pool.map(codings.encode, [picture.pixels for picture in pictures], chunksize=8)
                found[name] = list(zip(pictures, encoded, strict=True))
        path.write_bytes(pickle.dumps(found))
        print(
            f"{crops} crops and {min(crops, len(training_digits))} digits encoded in {time.time() - start:.0f} s",
            flush=True,
        )
    loaded: dict[str, Any] = pickle.loads(path.read_bytes())
    return loaded


def one_run(out: Path, crops: int, encoding: str, seed: int, settings: Settings, device: str) -> str:
    """Train, judge and sample one model; leaves OUT/runs/NAME.json and NAME.pt."""
    torch.set_num_threads(1)
    name, stem = f"{encoding}-{seed}", out / "runs" / f"{encoding}-{seed}"
    if stem.with_suffix(".json").exists():
        return f"{name}: there already"
    start = time.process_time()
    if encoding.startswith(DIGITS):
        result = digits.run(out, crops, encoding.removeprefix(DIGITS), seed, settings, device)
        finish(stem, {"encoding": encoding, "seed": seed, "settings": settings.record()} | result, start)
        return f"{name}: {time.process_time() - start:.0f} s of CPU"
    if coding(encoding) in infilling.TASKS:
        result = infilling.run(out, crops, encoding, seed, settings, device)
        finish(stem, {"encoding": encoding, "seed": seed, "settings": settings.record()} | result, start)
        return f"{name}: {time.process_time() - start:.0f} s of CPU"
    pictures = prepare(out, crops, 1)
    kinds = [[], []]  # digits, photographs
    for picture, streams in pictures["train"]:
        kinds[picture.label == data.PHOTOGRAPH].append((picture.label, streams[coding(encoding)]))

    def draw(rng: np.random.Generator) -> NDArray[np.int64]:
        kind = kinds[rng.random() < 0.6]  # three photographs to two digits
        label, stream = kind[rng.integers(len(kind))]
        return sequence(label, stream, follower(encoding))

    held_out = [(picture.label, streams[coding(encoding)]) for picture, streams in pictures["held_out"]]
    probes = [(label, stream) for label, stream in held_out if label == data.PHOTOGRAPH][:24]

    def probe(model: ByteModel) -> dict[str, float]:
        return {"bits": float(np.mean(measure.total_bits(model, encoding, probes)))}

    model, curve = train(draw, settings, seed, probe, device)
    result = {"encoding": encoding, "seed": seed, "settings": settings.record(), "curve": curve}
    result |= measure.held_out(model, encoding, held_out)
    result["samples"] = written(model, encoding, held_out, seed)
    complete(model, result, held_out)
    finish(stem, result | {"model": model}, start)
    return f"{name}: {time.process_time() - start:.0f} s of CPU"


def finish(stem: Path, result: dict[str, Any], start: float) -> None:
    """Keep a model and the record of its run."""
    model = result.pop("model")
    result["seconds"] = round(time.process_time() - start, 1)
    result["parameters"] = sum(weights.numel() for weights in model.parameters())
    torch.save(model.state_dict(), stem.with_suffix(".pt"))
    keep(stem, result)


def written(
    model: ByteModel,
    encoding: str,
    held_out: measure.Labelled,
    seed: int,
    *,
    masked: bool = False,
    header: bool = False,
) -> list[list[Any]]:
    """Label and hexadecimal stream: six of every digit, twelve photographs.

    ``masked`` keeps to legal bytes. With ``header`` that of a held-out stream of the kind is given.
    """
    found: list[list[Any]] = []
    for labels in ([label for label in range(10) for _ in range(6)], [data.PHOTOGRAPH] * 12):
        others = [stream for label, stream in held_out if label in labels]
        mask = measure.Mask(len(labels)) if masked else None
        first = measure.header(encoding, others[0]) if header else b""
        told = [follower(encoding) for _ in labels]
        given = [beginning(label, first, one) for label, one in zip(labels, told, strict=True)]
        most = int(1.25 * max(map(len, others))) - len(first)
        streams = sample(model, given, most, seed, mask, followers=[one for one in told if one])
        found += [[label, (first + stream).hex()] for label, stream in zip(labels, streams, strict=True)]
    return found


def keep(stem: Path, result: dict[str, Any]) -> None:
    """Write the record of a run, which says that it is done."""
    temporary = stem.with_suffix(".tmp")
    temporary.write_text(json.dumps(result))
    temporary.rename(stem.with_suffix(".json"))


def complete(model: ByteModel, result: dict[str, Any], held_out: measure.Labelled) -> bool:
    """Add streams that begin with a given header, and those under the mask, where a record has none; whether it had."""
    name, seed = result["encoding"], result["seed"]
    if had := "given" not in result:
        result["given"] = written(model, name, held_out, seed, header=True)
    if name in measure.MASKED and "masked" not in result:
        result["masked"], had = written(model, name, held_out, seed, masked=True), True
    return not had


def go_on(out: Path, crops: int, path: Path, device: str) -> str:
    """Complete the record of a run that an older version made."""
    torch.set_num_threads(1)
    result = json.loads(path.read_text())
    name = result["encoding"].removeprefix(DIGITS)
    judged = result["encoding"].startswith(DIGITS) and ("parts" if name in measure.PGFR else "bits") in result
    if coding(result["encoding"]) in infilling.TASKS or judged:
        return f"{path.stem}: there already"
    model = ByteModel(Settings(**result["settings"])).to(device)
    model.load_state_dict(torch.load(path.with_suffix(".pt"), map_location=device))
    if result["encoding"].startswith(DIGITS):
        keep(path.with_suffix(""), result | digits.judged(model, out, name))
        return f"{path.stem}: complete"
    pictures = prepare(out, crops, 1)["held_out"]
    held_out = [(picture.label, streams[coding(result["encoding"])]) for picture, streams in pictures]
    if not complete(model, result, held_out):
        keep(path.with_suffix(""), result)
    return f"{path.stem}: complete"


def settings_of(name: str, options: argparse.Namespace) -> Settings:
    """Model and training of a run, with what the command line says otherwise."""
    small, large = QUICK, LARGE
    if coding(name) in infilling.TASKS:
        small, large = QUICK_INFILL, LARGE_INFILL
    elif name.startswith(DIGITS):
        small, large = QUICK_DIGITS, LARGE_DIGITS
    said = {key: value for key in SAID if (value := getattr(options, key)) is not None}
    said["told"] = name.endswith(codings.TOLD)
    return Settings(**((large if options.large else small).record() | said))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=Path("target/bytelm"))
    parser.add_argument("--jobs", type=int, default=2, help="models trained at a time, one thread each")
    parser.add_argument("--seeds", type=int, default=3, help="runs of each of the five encodings")
    parser.add_argument("--more-seeds", type=int, default=1, help="runs of everything else")
    parser.add_argument("--steps", type=int, help="as the following, instead of the setting's own")
    parser.add_argument("--batch", type=int, help="pictures a step")
    parser.add_argument("--width", type=int, help="a multiple of twice the heads")
    parser.add_argument("--layers", type=int)
    parser.add_argument("--heads", type=int)
    parser.add_argument("--muon", type=float, help="rate of Muon for the matrices of the blocks; 0: AdamW")
    parser.add_argument("--given", type=float, help="what the loss counts of ids before a middle to fill in, 0 to 1")
    parser.add_argument("--crops", type=int, help="crops of photographs to train on")
    parser.add_argument("--only", default="", help="names of runs, comma-separated; default: all but chunks")
    parser.add_argument("--large", action="store_true")
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    options = parser.parse_args()
    crops = options.crops or (40000 if options.large else 1600)
    out, began = options.out, time.time()
    (out / "runs").mkdir(parents=True, exist_ok=True)
    on_digits = [DIGITS + name for name in digits.ENCODINGS]
    wanted = options.only.split(",") if options.only else [*ENCODINGS, *on_digits, "infill", "levels", "flat"]
    if any(coding(name) in (*ENCODINGS, *CHANGES) for name in wanted):
        prepare(out, crops, options.jobs)
    if any(name in on_digits for name in wanted):
        digits.prepare(out, crops)
    for name in wanted:
        if coding(name) in infilling.TASKS:
            infilling.prepare(out, crops, name, options.jobs)
    seeds = {name: options.seeds if name in ENCODINGS else options.more_seeds for name in wanted}
    # In the order of their worth, so that a run that was stopped has told most.
    jobs = [(seed, name) for name in wanted for seed in range(seeds[name])]
    jobs.sort(key=lambda job: job[0] + (0 if job[1] in (*ENCODINGS, *on_digits) else 1.5))
    with ProcessPoolExecutor(options.jobs, multiprocessing.get_context("spawn")) as pool:
        runs = [
            pool.submit(one_run, out, crops, name, seed, settings_of(name, options), options.device)
            for seed, name in jobs
        ]
        for run in as_completed(runs):
            print(run.result(), flush=True)
        older = [pool.submit(go_on, out, crops, p, options.device) for p in sorted((out / "runs").glob("*.json"))]
        for run in as_completed(older):
            print(run.result(), flush=True)
    from figures import load, report

    if any(coding(name) in ENCODINGS for name in load(out)):
        report(out, prepare(out, crops, 1)["held_out"])
    if any(name in load(out) for name in on_digits):
        digits.report(out)
    if infills := {name: runs for name, runs in load(out).items() if coding(name) in infilling.TASKS}:
        text = infilling.table_of(infills)
        (out / "infill.md").write_text(text + "\n")
        print(text)
    spent = sum(run["seconds"] for runs in load(out).values() for run in runs)
    print(
        f"{spent / 60:.1f} minutes of a core in all runs that are there; this command took {time.time() - began:.0f} s"
    )


if __name__ == "__main__":
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    main()
