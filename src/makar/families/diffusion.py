"""Denoising diffusion with EDM preconditioning (Karras et al. 2022, "Elucidating the design space of diffusion-based
generative models").

Noise of standard deviation sigma is added to a datum y, and a net learns to take it away again:

    D(x; sigma) = c_skip x + c_out F(c_in x; c_noise)   ->   E[y | x = y + sigma eps]

with c_skip = 1 / (sigma^2 + 1), c_out = sigma / sqrt(sigma^2 + 1), c_in = 1 / sqrt(sigma^2 + 1) and
c_noise = ln(sigma) / 4 (their table 1; data are brought to unit scale, so sigma_data = 1). The loss lambda |D - y|^2
with lambda = 1 / c_out^2 is then |F - (y - c_skip x) / c_out|^2, of unit size at every noise level; ln(sigma) is drawn
from N(p_mean, p_std^2). A sampler walks sigma from `most` down to 0.

The likelihood is bounded as in Kingma et al. 2021, "Variational diffusion models", eq. 14 and 15:

    -log p(x) <= KL(q(x_most | y) || prior) + E[-log p(x | x_least)]
                 + E int_least^most |y - D(x_sigma; sigma)|^2 / sigma^2 dln(sigma)
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import Tensor

from makar.core.learner import Batch, Descent, Learner, Optimiser
from makar.core.model import Completes, Denoises, HasLogProb, LogProb, Model, Posterior, Schedule, Tiny
from makar.core.noise import Noise
from makar.core.spaces import Categorical, Classes, Columns, Levels, Reals, Space
from makar.families._inpaint import inpaint
from makar.nets.pictures import large_picture
from makar.nets.relax import Scaled
from makar.nets.schedules import VarianceExploding
from makar.nets.standardise import Standardise
from makar.nets.unet import backbone, backbone_flops
from makar.nets.wiener import Wiener


@dataclass(frozen=True)
class Config:
    net: Literal["auto", "mlp", "unet"] = "auto"
    width: int = 192
    depth: int = 3  # residual blocks of the MLP
    p_mean: float | None = None  # of ln(sigma) in training, in units of the data; None: -0.3, of large pictures 0.2
    p_std: float = 1.2  # its standard deviation
    least: float = 0.02  # range of sigma, in the same units
    most: float = 28.0
    drop: float = 0.1  # share of training rows whose class is withheld, for guidance
    draws: int | None = None  # noise levels at which an item's bound is evaluated; None: 64, of large pictures 12
    steps: int = 25  # of inpainting
    passes: int = 4  # times that inpainting takes every step
    optimiser: Optimiser | None = None  # None: strong weight decay for pictures, of which there are few, else little


def _primes(count: int) -> Tensor:
    """The first `count` primes, by the sieve of Eratosthenes; the n-th is below n (ln n + ln ln n) for n > 5."""
    most = int(count * (math.log(count + 2) + math.log(math.log(count + 2) + 1.0))) + 12
    sieve = torch.ones(most, dtype=torch.bool)
    sieve[:2] = False
    for n in range(2, math.isqrt(most) + 1):
        sieve[n * n :: n] = False
    return sieve.nonzero()[:count, 0]


def default_optimiser(space: Space) -> Optimiser:
    """Pictures are many numbers an item and few items: decay 1.0 made samples and bounds better on 1,297 digits.

    Large ones go in small batches, so that a short budget has hundreds of steps.
    """
    if large_picture(space):
        return Optimiser(rate=4e-3, batch=32, decay=0.1, average=0.99)
    return Optimiser(decay=1.0) if isinstance(space, Levels) else Optimiser()


class Diffusion(Model, Denoises, HasLogProb, Completes):
    """A preconditioned denoiser on standardised latents: levels on a line, categories as one-hot vectors."""

    Config = Config
    spaces = (Reals, Levels, Columns)
    default_sampler = "dpm_solver"

    def __init__(self, space: Space, condition: Classes | None, config: Any) -> None:
        super().__init__(space, condition, config)
        self.scaled = Scaled(space)
        self.units = Standardise(self.scaled.shape, each=True)
        self.wiener = Wiener(self.scaled.shape)
        rank = self.wiener.rank
        self.net = backbone(self.scaled.shape, self.classes, config.net, config.width, config.depth, rank)
        self._draws: int = config.draws or (12 if large_picture(space) else 64)
        # Pixels that agree show what they are of through more noise than one pixel alone.
        usual = 0.2 if large_picture(space) else -0.3
        self._p_mean: float = usual if config.p_mean is None else config.p_mean
        self._path = VarianceExploding(config.least, config.most)

    @property
    def sampler_settings(self) -> dict[str, float]:
        """Of pictures of a class, guidance 1.3 at half the steps: as quick, and on 8 x 8 digits after 600 steps fd 0.34
        at recall 0.81; at 1.5 it is 0.28 at 0.74. More trades variety for agreement with the class; 1 is the model.
        """
        if self.classes and isinstance(self.space, Levels):
            return {"steps": 10, "guidance": 1.3}
        return {"steps": 12} if large_picture(self.space) else {}

    @property
    def schedule(self) -> Schedule:
        return self._path

    @property
    def latent_shape(self) -> tuple[int, ...]:
        return self.scaled.shape

    def learner(self) -> Learner:
        return Descent(
            self,
            self.loss,
            self.config.optimiser or default_optimiser(self.space),
            self._look,
        )

    def _look(self, x: Tensor) -> None:
        y = self.scaled.relax(x)
        self.units.fit(y, least=0.2 if isinstance(self.space, Levels) else 1e-3)
        if isinstance(self.space, Levels):  # of few numbers the nonlinear part is all that matters
            self.wiener.fit(self.units(y))

    def loss(self, batch: Batch, noise: Noise) -> Tensor:
        """Weighted squared error a dimension, (B,); noise levels are stratified over the rows of the batch."""
        y = self.units(self.scaled.relax(batch.x))
        labels = self.labels(batch.condition, len(y))
        if self.classes:
            labels = labels.masked_fill(noise.uniform() < self.config.drop, -1)
        rank = (torch.arange(len(y), device=y.device) + noise.uniform().double()) / len(y)
        log_sigma = self._p_mean + self.config.p_std * torch.special.ndtri(rank.clamp(1e-7, 1 - 1e-7))
        sigma = log_sigma.exp().clamp(self.config.least, self.config.most).float()
        s = self._spread(sigma)
        x = y + s * noise.normal(*self.latent_shape)
        target = (y - self._linear(x, sigma)) * (s.square() + 1.0).sqrt() / s
        loss: Tensor = (self._inner(x, sigma, labels) - target).square().flatten(1).mean(1)
        return loss

    def _spread(self, values: Tensor) -> Tensor:
        """Numbers (B,) in the shape (B, 1, ..., 1) of a latent."""
        return values.reshape(-1, *[1] * len(self.latent_shape))

    def _linear(self, x: Tensor, sigma: Tensor) -> Tensor:
        """The best linear guess of y given x."""
        square = sigma.square()[:, None]
        out: Tensor = self.wiener(x, lambda v: v / (v + square))
        return out

    def _inner(self, x: Tensor, sigma: Tensor, labels: Tensor) -> Tensor:
        """F(c_in x; c_noise)."""
        total = (sigma.square() + 1.0)[:, None]
        square = sigma.square()[:, None]
        seen = self.wiener.seen(x, lambda v: (v + square).rsqrt(), lambda v: (v * total / (v + square)).sqrt())
        out: Tensor = self.net(x / self._spread(total.sqrt()), sigma.log() / 4.0, labels, seen)
        return out

    def denoise(self, x: Tensor, t: Tensor, condition: Tensor | None = None) -> Posterior:
        s = self._spread(t)
        inner = self._inner(x, t, self.labels(condition, len(x)))
        return Posterior(self._linear(x, t) + s / (s.square() + 1.0).sqrt() * inner)

    def finish(self, x: Tensor, noise: Noise) -> Tensor:
        return self.scaled.snap(self.units.inverse(x))

    @torch.no_grad()
    def complete(self, x: Tensor, mask: Tensor, noise: Noise, condition: Tensor | None = None) -> Tensor:
        """Inpainting by replacement with resampling; what is known is returned as it was."""
        known, wide = self.units(self.scaled.relax(x)), mask
        if isinstance(self.space, Columns):
            wide = mask.repeat_interleave(torch.tensor(self.scaled.widths, device=mask.device), 1)
        y = inpaint(self, known, wide, noise, condition, self.config.steps, self.config.passes)
        return torch.where(mask, x, self.finish(y, noise))

    @torch.no_grad()
    def log_prob(self, x: Tensor, noise: Noise, condition: Tensor | None = None) -> LogProb:
        """Variational bound at `draws` points of (ln sigma, noise), nats an item; its expectation is a lower bound."""
        y = self.units(self.scaled.relax(x))
        low, high = math.log(self.config.least), math.log(self.config.most)
        loss = torch.zeros(len(y), dtype=torch.float64, device=y.device)
        for level, eps in self._points(noise):
            sigma = (low + (high - low) * level).exp().float()
            seen = y + self._spread(sigma) * eps
            error = (self.denoise(seen, sigma, condition).mean - y).flatten(1).double().square().sum(1)
            loss += (high - low) / self._draws * error / sigma.double().square()
        # q(x_most | y) = N(y, most^2) against the prior N(0, most^2 + 1)
        ratio = self.config.most**2 / (self.config.most**2 + 1.0)
        square = y.flatten(1).double().square() / (self.config.most**2 + 1.0)
        prior = 0.5 * (ratio - 1.0 - math.log(ratio) + square).sum(1)
        noisy = y + self.config.least * noise.normal(*self.latent_shape)
        return LogProb((self._read(x, noisy) - prior - loss).float(), kind="lower")

    def _points(self, noise: Noise) -> Iterator[tuple[Tensor, Tensor]]:
        """Evenly spread points u_k in [0, 1) (B,), each with a normal e_k (B, *latent_shape), `draws` in all.

        Point k is (k / K, k sqrt(2), k sqrt(3), k sqrt(5), ...) modulo 1 (Richtmyer's sequence), shifted by one uniform
        vector a row (Cranley & Patterson 1976): every point is uniform, so that no expectation moves, and together
        they vary far less than independent draws.
        """
        count, size = self._draws, math.prod(self.latent_shape)
        first, shift = noise.uniform().double(), noise.uniform(size).double()
        stride = _primes(size).to(shift.device).double().sqrt()
        for k in range(count):
            u = (shift + k * stride).frac().clamp(1e-9, 1 - 1e-9)
            yield (k + first) / count, torch.special.ndtri(u).float().reshape(-1, *self.latent_shape)

    def _read(self, x: Tensor, noisy: Tensor) -> Tensor:
        """E log p(x | x_least), (B,): a normal density, its mean known, or a share among the levels, at one draw."""
        seen, std = self.units.inverse(noisy), self.config.least * self.units.std
        normal = (-0.5 * math.log(2 * math.pi * math.e) - std.double().log()).expand(len(x), *self.latent_shape)
        if isinstance(self.space, Reals):
            density: Tensor = normal.flatten(1).sum(1)
            return density
        if isinstance(self.space, Levels):
            # Level by level: all levels of all pixels at once would take gigabytes of a large picture.
            places = torch.linspace(-1.0, 1.0, self.space.levels, device=x.device)
            chosen = -0.5 * ((places[x] - seen) / std).double().square()
            total = torch.full_like(chosen, -math.inf)
            for place in places:
                total = torch.logaddexp(total, -0.5 * ((place - seen) / std).double().square())
            shares: Tensor = (chosen - total).flatten(1).sum(1)
            return shares
        assert isinstance(self.space, Columns)
        total = torch.zeros(len(x), dtype=torch.float64, device=x.device)
        start = 0
        for i, (column, width) in enumerate(zip(self.space.columns, self.scaled.widths, strict=True)):
            part = slice(start, start + width)
            start += width
            if not isinstance(column, Categorical):
                total += normal[:, part].sum(1)
                continue
            away = (torch.eye(width, device=x.device) - seen[:, part].unsqueeze(1)) / std[part]
            logits = -0.5 * away.double().square().sum(-1)
            total += logits.log_softmax(1).gather(1, x[:, i].long().unsqueeze(1)).squeeze(1)
        return total

    def flops(self) -> float:
        return 3.0 * backbone_flops(self.net, self.latent_shape) + self.wiener.flops()

    @classmethod
    def tiny(cls, space: Space) -> Tiny:
        optimiser = Optimiser(rate=4e-3, average=0.99)
        return Tiny(Config(width=64, depth=2, net="mlp", optimiser=optimiser), steps=300, bar=0.04)
