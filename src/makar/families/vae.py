"""Variational autoencoder (Kingma & Welling 2013, "Auto-encoding variational Bayes").

A latent z ~ N(0, I) is decoded to p(x | z). An encoder q(z | x) = N(mu, sigma^2) makes the evidence lower bound

    log p(x) >= E_q[log p(x | z)] - KL(q(z | x) || p(z))                        (their eq. 3)

tractable, and z = mu + sigma * eps lets the gradient through the draw. With K draws the bound is tighter
(Burda et al. 2015, "Importance weighted autoencoders", eq. 8):

    log p(x) >= E[log 1/K sum_k p(x | z_k) p(z_k) / q(z_k | x)],                z_k ~ q(z | x)

A class, where there is one, is told to encoder and decoder; it is withheld from some training rows, so that asking for
no class in particular is a question the model has heard.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal, TypeAlias

import torch
from torch import Tensor, nn

from makar.core.learner import Batch, Descent, Learner, Optimiser
from makar.core.model import Draws, Encodes, HasLogProb, LogProb, Model, Tiny
from makar.core.noise import Noise
from makar.core.spaces import Classes, Columns, Levels, Reals, Space
from makar.nets.likelihood import DiscretisedLogistic, likelihood
from makar.nets.mlp import ClassEmbedding, linear_flops
from makar.nets.pictures import Reader, Writer, large_picture
from makar.nets.relax import Scaled

_TOGETHER = 16  # draws of z weighed at a time; fixed, so that neither memory nor a row's result depends on the batch


@dataclass(frozen=True)
class Config:
    latent: int = 16
    width: int = 256
    depth: int = 2  # residual blocks in the encoder, and in the decoder
    beta: float = 1.0  # weight of the KL term: 1 is the bound itself, more is Higgins et al. 2017
    rise: float = 0.2  # share of the budget over which that weight rises from 0, so that z is put to use first
    weights: int | None = None  # draws K of the importance-weighted bound; None: 64, of large pictures 8
    output: Literal["draw", "centre"] | None = None  # what `draw` returns: a draw of p(x | z), or its centre;
    # None: the centre of pictures of more than 32 levels, where each pixel's own chance is snow, else a draw
    drop: float = 0.1  # share of training rows whose class is withheld
    optimiser: Optimiser | None = None  # None: strong weight decay for pictures, of which there are few, else little


def default_optimiser(space: Space) -> Optimiser:
    """Pictures are many numbers an item and few items: decay 0.5 made samples and bounds better on 1,297 digits.

    Large ones go in small batches, so that a short budget has hundreds of steps.
    """
    if large_picture(space):
        return Optimiser(batch=32, decay=0.1, average=0.99)
    return Optimiser(decay=0.5) if isinstance(space, Levels) else Optimiser()


@dataclass(frozen=True)
class Gaussian:
    """q(z | x): independent normals with mean and std (B, latent)."""

    mean: Tensor
    std: Tensor

    def draw(self, eps: Tensor) -> Tensor:
        """mu + sigma * eps, with the gradient of both (Kingma & Welling, section 2.4)."""
        return self.mean + self.std * eps

    def kl(self) -> Tensor:
        """KL(q || N(0, I)) in nats, (B,) (Kingma & Welling, appendix B)."""
        return 0.5 * (self.mean.square() + self.std.square() - 1.0 - 2.0 * self.std.log()).sum(1)


class Block(nn.Module):
    """x + mlp(norm(x))."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.inner = nn.Sequential(nn.LayerNorm(width), nn.Linear(width, width), nn.SiLU(), nn.Linear(width, width))

    def forward(self, h: Tensor) -> Tensor:
        out: Tensor = h + self.inner(h)
        return out


class Trunk(nn.Module):
    """Vectors (B, inputs) and labels (B,) to vectors (B, outputs), by residual blocks."""

    def __init__(self, inputs: int, outputs: int, classes: int, width: int, depth: int) -> None:
        super().__init__()
        self.enter = nn.Linear(inputs, width)
        self.label = ClassEmbedding(classes, width) if classes else None
        self.blocks = nn.Sequential(*(Block(width) for _ in range(depth)))
        self.leave = nn.Sequential(nn.LayerNorm(width), nn.SiLU(), nn.Linear(width, outputs))

    def forward(self, x: Tensor, labels: Tensor) -> Tensor:
        h = self.enter(x)
        if self.label is not None:
            h = h + self.label(labels)
        out: Tensor = self.leave(self.blocks(h))
        return out

    def flops(self) -> float:
        """Floating-point operations of one forward pass for one item."""
        return linear_flops(self)


class VAE(Model, Draws, Encodes, HasLogProb):
    """Gaussian latent, residual networks, and the observation model of its space.

    `draw` ends with a draw from p(x | z), so that what is drawn has the law that `log_prob` bounds; `output="centre"`
    leaves that last chance out: smoother pictures, of another law, and wrong for a table. Of pictures with many levels
    the centre is the default: the chance of each pixel on its own is snow, which no such picture has.
    """

    Config: TypeAlias = Config
    config: Config
    spaces = (Reals, Levels, Columns)

    def __init__(self, space: Space, condition: Classes | None, config: Config) -> None:
        super().__init__(space, condition, config)
        self.scaled = Scaled(space)
        self.likelihood = likelihood(space)
        size = self.scaled.dimensions
        self._weights: int = config.weights or (8 if large_picture(space) else 64)
        self._usual = "centre" if isinstance(self.likelihood, DiscretisedLogistic) else "draw"
        self.encoder: Trunk | Reader
        self.decoder: Trunk | Writer
        if large_picture(space):
            shape, channels, maps = self.scaled.shape, max(8, config.width // 8), self.likelihood.width // size
            self.encoder = Reader(shape, 2 * config.latent, self.classes, channels, config.width)
            self.decoder = Writer(config.latent, shape, self.classes, channels, config.width, maps)
        else:
            inner = (self.classes, config.width, config.depth)
            self.encoder = Trunk(size, 2 * config.latent, *inner)
            self.decoder = Trunk(config.latent, self.likelihood.width, *inner)

    def posterior(self, x: Tensor, labels: Tensor) -> Gaussian:
        """q(z | x) for items of the space."""
        mean, raw = self.encoder(self.scaled.relax(x).flatten(1), labels).chunk(2, 1)
        return Gaussian(mean, torch.exp(5.0 * torch.tanh(raw / 5.0)))  # within e^-5..e^5: the bound stays finite

    def loss(self, batch: Batch, noise: Noise) -> Tensor:
        """Negative bound in nats an item, (B,), with the KL term weighted by beta.

        The weight rises from 0 (Bowman et al. 2016, section 3.1): from the start at 1, z may never come to be used.
        """
        labels = self.labels(batch.condition, len(batch.x))
        if self.classes:
            labels = labels.masked_fill(noise.uniform() < self.config.drop, -1)
        q = self.posterior(batch.x, labels)
        z = q.draw(noise.normal(self.config.latent))
        beta = self.config.beta * min(1.0, batch.progress / self.config.rise) if self.config.rise else self.config.beta
        return beta * q.kl() - self.likelihood.log_prob(self.decoder(z, labels), batch.x)

    def learner(self) -> Learner:
        return Descent(self, self.loss, self.config.optimiser or default_optimiser(self.space))

    @torch.no_grad()
    def draw(self, noise: Noise, condition: Tensor | None = None) -> Tensor:
        z = noise.normal(self.config.latent)
        parameters = self.decoder(z, self.labels(condition, noise.batch))
        if (self.config.output or self._usual) == "centre":
            return self.likelihood.centre(parameters)
        return self.likelihood.draw(parameters, noise)

    @torch.no_grad()
    def encode(self, x: Tensor, condition: Tensor | None = None) -> Tensor:
        """Means of q(z | x), (B, latent)."""
        return self.posterior(x, self.labels(condition, len(x))).mean

    @torch.no_grad()
    def decode(self, z: Tensor, condition: Tensor | None = None) -> Tensor:
        """Centres of p(x | z)."""
        return self.likelihood.centre(self.decoder(z, self.labels(condition, len(z))))

    @torch.no_grad()
    def log_prob(self, x: Tensor, noise: Noise, condition: Tensor | None = None) -> LogProb:
        """Importance-weighted bound with K = `weights` draws (Burda et al. 2015, eq. 8), nats an item."""
        labels = self.labels(condition, len(x))
        q = self.posterior(x, labels)
        left, ratios = self._weights, []
        while left > 0:
            k = min(left, _TOGETHER)
            ratios.append(self._ratios(x, labels, q, noise.normal(k, self.config.latent)))
            left -= k
        nats = torch.cat(ratios, 1).logsumexp(1) - math.log(self._weights)
        return LogProb(nats, kind="lower")

    def _ratios(self, x: Tensor, labels: Tensor, q: Gaussian, eps: Tensor) -> Tensor:
        """log p(x | z) p(z) / q(z | x), (B, k), of the draws z that `eps` (B, k, latent) stands for."""
        k = eps.shape[1]
        z = q.mean.unsqueeze(1) + q.std.unsqueeze(1) * eps
        parameters = self.decoder(z.flatten(0, 1), labels.repeat_interleave(k))
        reconstruction = self.likelihood.log_prob(parameters, x.repeat_interleave(k, 0)).reshape(-1, k)
        # The normal densities' constants cancel.
        return reconstruction - 0.5 * (z.square() - eps.square()).sum(2) + q.std.log().sum(1, keepdim=True)

    def active_units(self, x: Tensor, condition: Tensor | None = None, least: float = 0.01) -> int:
        """Latent dimensions in use: those whose posterior mean varies over `x` by more than `least`.

        Burda et al. 2015, section 5.1: Var_x(E_q[z]) > 0.01. None in use is posterior collapse: the decoder ignores z.
        """
        return int((self.encode(x, condition).var(0) > least).sum())

    def flops(self) -> float:
        return 3.0 * (self.encoder.flops() + self.decoder.flops())

    @classmethod
    def tiny(cls, space: Space) -> Tiny:
        optimiser = Optimiser(rate=4e-3, average=0.99)
        return Tiny(Config(latent=4, width=64, depth=1, weights=16, optimiser=optimiser), steps=600, bar=0.1)
