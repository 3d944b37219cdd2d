"""Train the digits probe on the training split of scikit-learn's digits and write it into the package.

    python benchmarks/probe_digits.py [--write]

Prints the held-out accuracy and the Frechet distances of known generators ("anchors") in the probe's features. The
same machine and thread count make the same weights; without --write nothing is changed.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import time

import numpy as np
import torch
from safetensors.torch import save
from torch import Tensor
from torch.nn import functional as F

from makar.metrics._probe import FOLDER, ProbeNet

HELD_OUT = 500


def digits() -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Train and held-out levels (n, 1, 8, 8) and labels: the first 500 by content hash are held out."""
    from sklearn.datasets import load_digits

    data = load_digits()
    images = data.images.astype(np.uint8)
    order = np.array(sorted(range(len(images)), key=lambda i: hashlib.sha256(images[i].tobytes()).hexdigest()))
    x = torch.from_numpy(images[order].astype(np.int64)).unsqueeze(1)
    y = torch.from_numpy(data.target[order].astype(np.int64))
    return x[HELD_OUT:], y[HELD_OUT:], x[:HELD_OUT], y[:HELD_OUT]


def shifted(x: Tensor, generator: torch.Generator) -> Tensor:
    """Every picture moved by at most one pixel each way, half of the time."""
    padded = F.pad(x, (1, 1, 1, 1))
    move = torch.randint(0, 3, (len(x), 2), generator=generator)
    stay = torch.rand(len(x), generator=generator) < 0.5
    move[stay] = 1
    rows = (move[:, :1] + torch.arange(8)).view(-1, 1, 8, 1)
    columns = (move[:, 1:] + torch.arange(8)).view(-1, 1, 1, 8)
    return padded[torch.arange(len(x)).view(-1, 1, 1, 1), 0, rows, columns]


def train(x: Tensor, y: Tensor, args: argparse.Namespace) -> ProbeNet:
    """AdamW with a cosine and label smoothing, batches of 64."""
    generator = torch.Generator().manual_seed(args.seed)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(args.seed)
        net = ProbeNet(args.width)
    steps = args.epochs * (len(x) // 64)
    optimiser = torch.optim.AdamW(net.parameters(), lr=2e-3, weight_decay=0.05)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, 2e-3, total_steps=steps)
    step = 0
    while step < steps:
        for rows in torch.randperm(len(x), generator=generator).split(64):
            if len(rows) < 64 or step == steps:
                continue
            batch = shifted(x[rows], generator) if args.shift else x[rows]
            batch = batch + args.noise * torch.randn(batch.shape, generator=generator)
            loss = F.cross_entropy(net(batch), y[rows], label_smoothing=args.smooth)
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
            schedule.step()
            step += 1
    return net.eval()


def balanced(y: Tensor, count: int, generator: torch.Generator) -> Tensor:
    """Rows of `count` items of every class."""
    parts = []
    for c in range(10):
        rows = torch.nonzero(y == c).squeeze(1)
        parts.append(rows[torch.randperm(len(rows), generator=generator)[:count]])
    return torch.cat(parts)


def frechet(a: np.ndarray, b: np.ndarray) -> float:
    """Squared Frechet distance between the Gaussians fitted to two sets of features."""
    ca, cb = np.cov(a, rowvar=False), np.cov(b, rowvar=False)
    roots = np.sqrt(np.clip(np.linalg.eigvals(ca @ cb).real, 0, None)).sum()
    return float(((a.mean(0) - b.mean(0)) ** 2).sum() + np.trace(ca) + np.trace(cb) - 2 * roots)


def anchors(net: ProbeNet, x: Tensor, y: Tensor, held: Tensor) -> dict[str, float]:
    """Frechet distance to the held-out digits of 1,000 class-balanced items from known generators."""
    from sklearn.covariance import LedoitWolf
    from sklearn.mixture import GaussianMixture

    def features(levels: Tensor) -> np.ndarray:
        with torch.no_grad():
            return net.features(levels).double().numpy()

    def levels(pixels: np.ndarray) -> Tensor:
        return torch.from_numpy(pixels).round().clamp(0, 16).long().view(-1, 1, 8, 8)

    generator = torch.Generator().manual_seed(1)
    chance = np.random.default_rng(1)
    flat = x.view(len(x), -1).double().numpy()
    found: dict[str, list[np.ndarray]] = {"kde": [], "gmm": [], "gauss": []}
    for c in range(10):
        of = flat[(y == c).numpy()]
        found["kde"].append(of[chance.integers(0, len(of), 100)] + 1.6 * chance.standard_normal((100, 64)))
        mixture = GaussianMixture(4, covariance_type="tied", reg_covar=0.1, random_state=0).fit(of)
        found["gmm"].append(mixture.sample(100)[0])
        one = LedoitWolf().fit(of)
        found["gauss"].append(chance.multivariate_normal(one.location_, one.covariance_, 100))
    target = features(held)
    scores = {"train": frechet(features(x[balanced(y, 100, generator)]), target)}
    for name, parts in found.items():
        scores[name] = frechet(features(levels(np.concatenate(parts))), target)
    return scores


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--width", type=int, default=32)
    parser.add_argument("--epochs", type=int, default=50)
    parser.add_argument("--smooth", type=float, default=0.1)
    parser.add_argument("--noise", type=float, default=0.5, help="standard deviation of the pixel noise, in levels")
    parser.add_argument("--shift", action=argparse.BooleanOptionalAction, default=True)
    parser.add_argument("--write", action="store_true", help="put the weights into the package")
    args = parser.parse_args()
    torch.set_num_threads(1)
    x, y, held, held_labels = digits()
    began = time.process_time()
    net = train(x, y, args)
    seconds = time.process_time() - began
    with torch.no_grad():
        accuracy = float((net(held).argmax(1) == held_labels).double().mean())
    scores = anchors(net, x, y, held)
    print(f"held-out accuracy {accuracy:.4f} after {seconds:.1f} CPU-s;", {k: round(v, 3) for k, v in scores.items()})
    if args.write:
        weights = save({k: v.contiguous() for k, v in net.state_dict().items()})
        config = {
            "width": args.width,
            "features": 64,
            "classes": 10,
            "trained_on": f"{len(x)} of scikit-learn's digits; the first {HELD_OUT} by sha256 of their bytes held out",
            "held_out_accuracy": accuracy,
            "frechet_anchors": {k: round(v, 3) for k, v in scores.items()},
            "settings": {k: v for k, v in vars(args).items() if k != "write"},
            "sha256": hashlib.sha256(weights).hexdigest(),
        }
        FOLDER.mkdir(exist_ok=True)
        (FOLDER / "model.safetensors").write_bytes(weights)
        (FOLDER / "config.json").write_text(json.dumps(config, indent=2) + "\n", encoding="utf-8")
        print(f"wrote {FOLDER}")


if __name__ == "__main__":
    main()
