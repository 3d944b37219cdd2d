"""Generative adversarial network (Goodfellow et al. 2014), in two modern forms.

A generator G makes items from z ~ N(0, I); a discriminator D learns to tell them from real ones, G to prevent it.

relativistic  Both are judged in pairs, one real x and one made, of the same class:

                  L_D = E f(D(G(z)) - D(x)),     L_G = E f(D(x) - D(G(z))),     f(t) = log(1 + e^t)

              with zero-centred penalties gamma/2 E|grad D|^2 on real items (R1) and on made ones (R2): Huang et al.
              2024, "The GAN is dead; long live the GAN!", eq. 2 and 4. They prove local convergence.
hinge         L_D = E max(0, 1 - D(x)) + E max(0, 1 + D(G(z))),     L_G = -E D(G(z))     (Lim & Ye 2017)
              with R1 (Mescheder et al. 2018, "Which training methods for GANs do actually converge?", eq. 9).

D sees only items of the space. Where these are discrete, what is made is snapped to them, a category after Gumbel noise
(Jang et al. 2017, eq. 1), and the gradient passes straight through, so that being on the grid betrays nothing. Numeric
columns are made and judged as asinh x, which tames heavy tails and can be undone.

There is no likelihood. A class is told to both; where none is asked for, one is drawn as often as training had it.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from makar.core.errors import NonFinite
from makar.core.learner import Average, Batch, Learner, Optimiser, adamw, annealed, take_step
from makar.core.model import Draws, Model, Tiny
from makar.core.noise import Noise
from makar.core.spaces import Categorical, Classes, Columns, Levels, Reals, Space
from makar.nets.mlp import ClassEmbedding, linear_flops
from makar.nets.pictures import Reader, Writer, large_picture
from makar.nets.relax import Scaled


@dataclass(frozen=True)
class Config:
    loss: Literal["relativistic", "hinge"] = "relativistic"
    latent: int = 32
    width: int = 256
    depth: int = 2  # hidden layers of either player
    gamma: float = 10.0  # weight of the gradient penalties at the start ...
    settled: float = 0.1  # ... and its share of that at the end
    noise: float = 0.05  # standard deviation of the noise on all that D sees at the start; 0 at the end
    rate: float | None = None  # None: 2e-3, of large pictures 1e-3
    batch: int | None = None  # None: 128, of large pictures 32
    clip: float = 10.0
    average: float = 0.999  # decay of the moving average of G's weights


class Player(nn.Module):
    """Vectors (B, inputs) and labels (B,) to vectors (B, outputs).

    Leaky rectifiers have no second derivative, which makes the gradient penalty's double backward cheap.
    """

    def __init__(self, inputs: int, outputs: int, classes: int, width: int, depth: int) -> None:
        super().__init__()
        self.enter = nn.Linear(inputs, width)
        self.label = ClassEmbedding(classes, width) if classes else None
        layers: list[nn.Module] = [nn.LeakyReLU(0.2)]
        for _ in range(depth - 1):
            layers += [nn.Linear(width, width), nn.LeakyReLU(0.2)]
        self.body = nn.Sequential(*layers, nn.Linear(width, outputs))

    def forward(self, x: Tensor, labels: Tensor) -> Tensor:
        h = self.enter(x)
        if self.label is not None:
            h = h + self.label(labels)
        out: Tensor = self.body(h)
        return out

    def flops(self) -> float:
        """Floating-point operations of one forward pass for one item."""
        return linear_flops(self)


class GAN(Model, Draws):
    """Two multi-layer perceptrons, for large pictures convolutional nets; conditional on a class where there is one."""

    Config: TypeAlias = Config
    config: Config
    spaces = (Reals, Levels, Columns)

    def __init__(self, space: Space, condition: Classes | None, config: Config) -> None:
        super().__init__(space, condition, config)
        self.scaled = Scaled(space)
        kinds = space.columns if isinstance(space, Columns) else ()
        widths = [c.levels if isinstance(c, Categorical) else 1 for c in kinds]
        category = [isinstance(c, Categorical) for c in kinds]
        spread = torch.tensor(category).repeat_interleave(torch.tensor(widths, dtype=torch.int64))
        self.register_buffer("_categorical", spread if kinds else torch.tensor(False), persistent=False)
        self.register_buffer("_numeric", ~spread if kinds else torch.tensor(False), persistent=False)
        self._categorical: Tensor
        self._numeric: Tensor
        self.register_buffer("seen", torch.zeros(self.classes + 1, dtype=torch.int64))
        self.seen: Tensor  # how often training had no class, class 0, class 1 ...
        heads = self.classes + 2 if self.classes else 1  # one for all, one for each label from -1 on
        self.generator: Player | Writer
        self.discriminator: Player | Reader
        if large_picture(space):
            shape, channels, hidden = self.scaled.shape, max(8, config.width // 16), config.width // 2
            self.generator = Writer(config.latent, shape, self.classes, channels, hidden)
            self.discriminator = Reader(shape, heads, self.classes, channels, hidden)
        else:
            inner = (self.classes, config.width, config.depth)
            self.generator = Player(config.latent, self.scaled.dimensions, *inner)
            self.discriminator = Player(self.scaled.dimensions, heads, *inner)

    def view(self, x: Tensor) -> Tensor:
        """Items of the space as D sees them, (B, dimensions)."""
        y = self.scaled.relax(x).flatten(1)
        return torch.where(self._numeric, y.asinh(), y)

    def make(self, noise: Noise, labels: Tensor) -> Tensor:
        """Made items as D sees them, (B, dimensions), with a gradient."""
        raw = self.generator(noise.normal(self.config.latent), labels)
        if isinstance(self.space, Columns):
            u = noise.uniform(self.scaled.dimensions).clamp(2.0**-25, 1.0 - 2.0**-24)
            raw = torch.where(self._categorical, raw - torch.log(-torch.log(u)), raw)
        soft = self.scaled.squash(raw.reshape(-1, *self.scaled.shape))
        hard = self.scaled.relax(self.scaled.snap(soft))
        return (soft + (hard - soft).detach()).flatten(1)

    def judge(self, y: Tensor, labels: Tensor) -> Tensor:
        """D's scores (B,), high for what it takes to be real: a linear head for all and one for the label.

        The label's is the projection of Miyato & Koyama 2018, "cGANs with projection discriminator", eq. 4.
        """
        scores: Tensor = self.discriminator(y, labels)
        if not self.classes:
            return scores.squeeze(1)
        return scores[:, 0] + scores.gather(1, labels.unsqueeze(1) + 2).squeeze(1)

    @torch.no_grad()
    def draw(self, noise: Noise, condition: Tensor | None = None) -> Tensor:
        labels = self.labels(condition, noise.batch)
        if self.classes:
            share = (self.seen + int(self.seen.sum() == 0)).log()
            labels = torch.where(labels >= 0, labels, noise.choice(share.expand(noise.batch, -1)) - 1)
        y = self.make(noise, labels)
        y = torch.where(self._numeric, y.clamp(-20.0, 20.0).sinh(), y)  # clamped: sinh of 89 is no longer finite
        return self.scaled.snap(y.reshape(-1, *self.scaled.shape))

    def learner(self) -> Learner:
        return Adversaries(self, self.config)

    def flops(self) -> float:
        # The same batch is made once, judged once beside a real one, and that differentiated twice.
        return 3.0 * self.generator.flops() + 2 * 6.0 * self.discriminator.flops()

    @classmethod
    def tiny(cls, space: Space) -> Tiny:
        return Tiny(Config(latent=8, width=64, gamma=1.0, average=0.99), steps=1000, bar=0.1)


def discriminator_loss(kind: Literal["relativistic", "hinge"], real: Tensor, made: Tensor) -> Tensor:
    """L_D of the module's docstring from the scores of both, without penalties; (B,)."""
    if kind == "relativistic":
        return F.softplus(made - real)
    return F.relu(1.0 - real) + F.relu(1.0 + made)


def generator_loss(kind: Literal["relativistic", "hinge"], real: Tensor, made: Tensor) -> Tensor:
    """L_G of the module's docstring from the scores of both; (B,)."""
    return F.softplus(real - made) if kind == "relativistic" else -made


def finite_norm(parameters: Iterable[nn.Parameter], whose: str) -> None:
    """Raises NonFinite if the gradients are not finite."""
    norm = float(torch.nn.utils.get_total_norm([p.grad for p in parameters if p.grad is not None]))
    if not math.isfinite(norm):
        raise NonFinite(f"the {whose}'s gradient has norm {norm}; the step was not taken; lower the learning rate")


class Adversaries(Learner):
    """Both players step at once, from the same scores.

    The penalty needs the gradient of D at every made item anyway; times the slope of L_G it is the generator's own
    gradient, so G costs one backward pass and D is run once. Both gradients are known to be finite before either moves.
    """

    def __init__(self, model: GAN, config: Config) -> None:
        self.batch = config.batch or (32 if large_picture(model.space) else 128)
        self._model = model
        self._config = config
        self._rate = config.rate or (1e-3 if large_picture(model.space) else 2e-3)
        self.settings = settings = Optimiser(rate=self._rate, beta1=0.0, beta2=0.99, decay=0.0)
        self._players = [adamw(p.parameters(), settings) for p in (model.generator, model.discriminator)]
        self._average = Average(model.generator, config.average)

    def gradients(self, batch: Batch, noise: Noise) -> dict[str, float]:
        """Adds both players' gradients to their parameters'.

        Returns both losses, the penalties |grad D|^2 (r1 on real items, r2 on made ones), the margin E[D(x) - D(G(z))].
        """
        model, config, n = self._model, self._config, len(batch.x)
        labels = model.labels(batch.condition, n)
        left = annealed(batch.progress, 0.0)
        made = model.make(noise, labels)
        seen = torch.cat([model.view(batch.x), made.detach()])
        blur = torch.cat([noise.normal(seen.shape[1]), noise.normal(seen.shape[1])])
        seen = (seen + config.noise * left * blur).requires_grad_()
        scores = model.judge(seen, labels.repeat(2))
        real, fake = scores.chunk(2)
        (slope,) = torch.autograd.grad(scores.sum(), seen, create_graph=True)
        r1, r2 = (part.square().sum(1).mean() for part in slope.chunk(2))
        loss = discriminator_loss(config.loss, real, fake).mean()
        gamma = config.gamma * (config.settled + (1.0 - config.settled) * left)
        (loss + 0.5 * gamma * (r1 + r2 if config.loss == "relativistic" else r1)).backward()

        judged = fake.detach().requires_grad_()
        other = generator_loss(config.loss, real.detach(), judged).mean()
        (push,) = torch.autograd.grad(other, judged)
        made.backward(push.unsqueeze(1) * slope.detach()[n:])
        named = {"loss": other, "discriminator_loss": loss, "r1": r1, "r2": r2, "margin": (real - fake).mean()}
        return {name: value.item() for name, value in named.items()}

    def step(self, batch: Batch, noise: Noise) -> dict[str, float]:
        """One step of both; what `gradients` returns, and the norms of G's and D's gradient."""
        model = self._model
        model.train()
        numbers = self.gradients(batch, noise)
        norms = self._move(self._rate * annealed(batch.progress, 0.03))
        self._average.update()
        model.seen += torch.bincount(model.labels(batch.condition, len(batch.x)) + 1, minlength=model.classes + 1)
        return {**numbers, "gradient_norm": norms[0], "discriminator_gradient_norm": norms[1]}

    def _move(self, rate: float) -> list[float]:
        """One step of either player, or of neither; the norms of their gradients."""
        players = (self._model.generator, self._model.discriminator)
        try:
            for player, whose in zip(players, ("generator", "discriminator"), strict=True):
                finite_norm(player.parameters(), whose)
        except NonFinite:
            self._model.zero_grad(set_to_none=True)
            raise
        return [take_step(optimiser, rate, self._config.clip) for optimiser in self._players]

    def state_dict(self) -> dict[str, Any]:
        return {"players": [p.state_dict() for p in self._players], "average": self._average.state_dict()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        for player, saved in zip(self._players, state["players"], strict=True):
            player.load_state_dict(saved)
        self._average.load_state_dict(state["average"])

    def finish(self) -> None:
        self._average.put()
        self._model.eval()
