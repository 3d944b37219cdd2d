"""Flow matching on straight paths (Lipman et al. 2022, "Flow matching for generative modeling"; Liu et al. 2022, "Flow
straight and fast").

A datum y and noise eps are joined by a straight line, and a net learns the mean velocity at every point of it:

    x_t = (1 - t) y + t eps,     v(x, t) = E[eps - y | x_t = x],     loss |v(x_t, t) - (eps - y)|^2

dx/dt = v carries noise at t = 1 to data at t = 0. The velocity is a denoiser in other words: E[y | x_t] = x_t - t v.
t = sigmoid(t_std n), n ~ N(0, 1), puts most training where the task is neither trivial nor hopeless (Esser et al.
2024, section 3.1).

Discrete cells are filled with uniform noise, so that the model has a density p(y). It obeys the instantaneous change of
variables (Chen et al. 2018, "Neural ordinary differential equations", eq. 8):

    log p_0(x_0) = log N(x_1; 0, I) + int_0^1 div v(x_t, t) dt
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import Tensor

from makar.core.learner import Batch, Descent, Learner, Optimiser
from makar.core.model import Completes, Denoises, HasLogProb, LogProb, Model, Posterior, Schedule, Tiny
from makar.core.noise import Noise, Replay
from makar.core.spaces import Classes, Columns, Levels, Reals, Space
from makar.families._inpaint import inpaint
from makar.nets.pictures import large_picture
from makar.nets.relax import Dequantised
from makar.nets.schedules import StraightPath
from makar.nets.standardise import Standardise
from makar.nets.unet import backbone, backbone_flops
from makar.nets.wiener import Wiener

_EXACT = 8  # dimensions up to which the divergence is summed exactly, one backward pass each


@dataclass(frozen=True)
class Config:
    net: Literal["auto", "mlp", "unet"] = "auto"
    width: int = 192
    depth: int = 3  # residual blocks of the MLP
    t_std: float = 1.2  # of logit(t) in training
    drop: float = 0.1  # share of training rows whose class is withheld, for guidance
    likelihood_steps: int | None = None  # of the ODE that gives the likelihood; None: 32, of large pictures 8
    steps: int = 25  # of inpainting
    passes: int = 4  # times that inpainting takes every step
    optimiser: Optimiser | None = None  # None: strong weight decay for pictures, of which there are few, else little


def default_optimiser(space: Space) -> Optimiser:
    """Pictures are many numbers an item and few items: decay 2.0 made samples and bounds better on 1,297 digits.

    Large ones go in small batches, so that a short budget has hundreds of steps.
    """
    if large_picture(space):
        return Optimiser(rate=4e-3, batch=32, decay=0.1, average=0.99)
    return Optimiser(decay=2.0) if isinstance(space, Levels) else Optimiser()


class FlowMatching(Model, Denoises, HasLogProb, Completes):
    """A velocity on standardised, dequantised latents."""

    Config = Config
    spaces = (Reals, Levels, Columns)
    default_sampler = "midpoint"

    def __init__(self, space: Space, condition: Classes | None, config: Any) -> None:
        super().__init__(space, condition, config)
        self.cells = Dequantised(space)
        self.units = Standardise(self.cells.shape, each=len(self.cells.shape) == 1 or large_picture(space))
        self.linear = large_picture(space)  # of few numbers the nonlinear part is all that matters
        self.wiener = Wiener(self.cells.shape)
        rank = self.wiener.rank
        self.net = backbone(self.cells.shape, self.classes, config.net, config.width, config.depth, rank)
        self._path = StraightPath()

    @property
    def sampler_settings(self) -> dict[str, float]:
        """Of pictures of a class, guidance 1.1: on 8 x 8 digits 1.2 left a recall of 0.75 and 1.5 one of 0.67."""
        return {"guidance": 1.1} if self.classes and isinstance(self.space, Levels) else {}

    @property
    def schedule(self) -> Schedule:
        return self._path

    @property
    def latent_shape(self) -> tuple[int, ...]:
        return self.cells.shape

    def learner(self) -> Learner:
        return Descent(self, self.loss, self.config.optimiser or default_optimiser(self.space), self._look)

    def _look(self, x: Tensor) -> None:
        """Mean and scale of the training set, every item at the middle of its cell."""
        y = self.cells.relax(x, Replay(torch.full((len(x), *self.latent_shape), 0.5, device=x.device)))
        self.units.fit(y, least=0.2 if self.linear else 1e-3)
        if self.linear:
            self.wiener.fit(self.units(y))

    def velocity(self, x: Tensor, t: Tensor, labels: Tensor) -> Tensor:
        """v(x, t): of large pictures that of normal data of the same covariance, and what the net adds to it."""
        if not self.linear:
            plain: Tensor = self.net(x, t, labels)
            return plain
        t_ = t[:, None]
        linear = self.wiener(x, lambda v: (t_ - (1 - t_) * v) / ((1 - t_).square() * v + t_.square()))
        seen = self.wiener.seen(
            x,
            lambda v: ((1 - t_).square() * v + t_.square()).rsqrt(),
            lambda v: (v / ((1 - t_).square() * v + t_.square())).sqrt(),
        )
        out: Tensor = linear + self.net(x, t, labels, seen)
        return out

    def loss(self, batch: Batch, noise: Noise) -> Tensor:
        """Squared error a dimension, (B,); times are stratified over the rows of the batch."""
        y = self.units(self.cells.relax(batch.x, noise))
        labels = self.labels(batch.condition, len(y))
        if self.classes:
            labels = labels.masked_fill(noise.uniform() < self.config.drop, -1)
        rank = (torch.arange(len(y), device=y.device) + noise.uniform().double()) / len(y)
        t = torch.sigmoid(self.config.t_std * torch.special.ndtri(rank.clamp(1e-7, 1 - 1e-7))).float()
        eps = noise.normal(*self.latent_shape)
        error = self.velocity(torch.lerp(y, eps, self._spread(t)), t, labels) - (eps - y)
        loss: Tensor = error.square().flatten(1).mean(1)
        return loss

    def _spread(self, values: Tensor) -> Tensor:
        """Numbers (B,) in the shape (B, 1, ..., 1) of a latent."""
        return values.reshape(-1, *[1] * len(self.latent_shape))

    def denoise(self, x: Tensor, t: Tensor, condition: Tensor | None = None) -> Posterior:
        return Posterior(x - self._spread(t) * self.velocity(x, t, self.labels(condition, len(x))))

    def finish(self, x: Tensor, noise: Noise) -> Tensor:
        return self.cells.snap(self.units.inverse(x))

    @torch.no_grad()
    def complete(self, x: Tensor, mask: Tensor, noise: Noise, condition: Tensor | None = None) -> Tensor:
        """Inpainting by replacement with resampling; what is known is returned as it was."""
        known = self.units(self.cells.relax(x, noise))
        y = inpaint(self, known, mask, noise, condition, self.config.steps, self.config.passes)
        return torch.where(mask, x, self.finish(y, noise))

    def log_prob(self, x: Tensor, noise: Noise, condition: Tensor | None = None) -> LogProb:
        """By the ODE from data to noise, nats an item: of the density at Reals, else of one dequantised draw.

        An estimate: the ODE is solved by the midpoint rule in `likelihood_steps` steps, and above 8 dimensions the
        divergence is estimated with a fresh Rademacher vector a step (Hutchinson; Grathwohl et al. 2018, FFJORD).
        """
        # Outside of inference mode, since the divergence is a derivative.
        with torch.inference_mode(False), torch.no_grad():
            labels = self.labels(condition, len(x)).clone()
            z = self.units(self.cells.relax(x.clone(), noise))
            gained = torch.zeros(len(x), dtype=torch.float64, device=x.device)
            steps = self.config.likelihood_steps or (8 if large_picture(self.space) else 32)
            h = 1.0 / steps
            for k in range(steps):
                t = torch.full((len(x),), k * h, device=x.device)
                half = z + 0.5 * h * self.velocity(z, t, labels)
                velocity, divergence = self._with_divergence(half, t + 0.5 * h, labels, noise)
                z = z + h * velocity
                gained += h * divergence
            base = -0.5 * (z.double().square() + math.log(2 * math.pi)).flatten(1).sum(1)
            nats = base + gained + self.units.volume.double() + self.cells.volume
        return LogProb(nats.float(), kind="estimate")

    def _with_divergence(self, x: Tensor, t: Tensor, labels: Tensor, noise: Noise) -> tuple[Tensor, Tensor]:
        """The velocity, and its divergence (B,) in float64: exact in few dimensions, else an unbiased estimate."""
        size = self.cells.levels.numel()
        with torch.enable_grad():
            x = x.detach().requires_grad_(True)
            velocity = self.velocity(x, t, labels)
            if size <= _EXACT:
                probes = [row.reshape(1, *self.latent_shape).expand_as(x) for row in torch.eye(size, device=x.device)]
            else:
                probes = [torch.where(noise.uniform(*self.latent_shape) < 0.5, -1.0, 1.0)]
            total = torch.zeros(len(x), dtype=torch.float64, device=x.device)
            for probe in probes:
                (gradient,) = torch.autograd.grad(velocity, x, probe, retain_graph=True)
                total += (gradient * probe).double().flatten(1).sum(1)
        return velocity.detach(), total

    def flops(self) -> float:
        return 3.0 * backbone_flops(self.net, self.latent_shape) + self.wiener.flops()

    @classmethod
    def tiny(cls, space: Space) -> Tiny:
        optimiser = Optimiser(rate=4e-3, average=0.99)
        return Tiny(Config(width=64, depth=2, net="mlp", optimiser=optimiser), steps=300, bar=0.025)
