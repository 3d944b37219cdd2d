"""Mixture: Gaussian components by expectation-maximisation, with a table of its own for every categorical column.

    p(x) = sum_k w_k N(x_num; m_k, S_k) prod_j t_kj(x_j)

a Gaussian mixture where all is numeric, a latent-class model where all is categorical. EM (Dempster, Laird & Rubin
1977) alternates responsibilities r_ik = p(k | x_i) and their weighted averages. With a conjugate prior of `prior`
pseudo-items a component (an inverse Wishart around a share of the class's own variances, symmetric Dirichlets on w
and t; Fraley & Raftery 2007) it climbs the log-posterior, which no iteration lowers; at prior 0, the log-likelihood.

Levels are cells of [-1, 1] filled with uniform noise u of variance v. Responsibilities shared by all of a cell make

    E_u[log p(x + u)] >= sum_k r_k [log w_k + log N(x; m_k, S_k) - tr(S_k^-1 diag v) / 2] - sum_k r_k log r_k

which EM climbs exactly by adding v to the covariances: no chance enters after the seeding.

In more dimensions than a D x D matrix allows the components live in the q leading directions of all items, and beside
those directions a class has spherical noise about its mean (see `_stat_frame.py`): a mixture of Gaussians still, and
exact. There are q = n / 8 directions, so that a covariance is learnt from some items each, at most `_DIRECTIONS`.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

import torch
from torch import Tensor

from makar.core.errors import NonFinite
from makar.core.learner import Batch, Learner
from makar.core.model import LogProb, Tiny
from makar.core.noise import Noise
from makar.core.spaces import Categorical, Classes, Columns, Levels, Reals, Space
from makar.families._stat import Cells, PerClass, correlate, gaussian_nats
from makar.families._stat_frame import DENSE, Frame

_DIRECTIONS = 256
_PIECE = 512  # items turned into coordinates at once


@dataclass(frozen=True)
class Config:
    components: int = 4  # of every class
    covariance: Literal["tied", "full"] = "tied"  # one matrix for a class, or one for each of its components
    prior: float = 2.0  # pseudo-items of the prior on every component
    floor: float = 1e-5  # least variance of a column that the prior is centred on
    tolerance: float = 1e-4  # nats an item: a smaller gain ends the climb


class Mixture(PerClass):
    """Components of every class, with weights, Gaussians of the numeric and tables of the categorical columns."""

    Config: TypeAlias = Config
    config: Config
    spaces = (Reals, Levels, Columns)

    def __init__(self, space: Space, condition: Classes | None, config: Config) -> None:
        super().__init__(space, condition, config)
        columns = space.columns if isinstance(space, Columns) else ()
        self.categorical = [j for j, c in enumerate(columns) if isinstance(c, Categorical)]
        self.numeric = [j for j, c in enumerate(columns) if not isinstance(c, Categorical)]
        self.cells = None if columns else Cells(space)
        self.frame = None if self.cells is None else Frame(self.cells)
        sizes = torch.tensor([c.levels for c in columns if isinstance(c, Categorical)], dtype=torch.int64)
        widest = int(sizes.max()) if len(sizes) else 0
        real = torch.arange(widest) < sizes.unsqueeze(1)  # (J, L)
        self.register_buffer("real", real, persistent=False)
        g, k, d = self.groups, config.components, self.dimensions
        factors = 1 if config.covariance == "tied" else k
        uniform = torch.where(real, -sizes.double().log().unsqueeze(1), -torch.inf)
        self.register_buffer("weights", torch.full((g, k), -math.log(k), dtype=torch.float64))
        self.register_buffer("means", torch.zeros(g, k, d, dtype=torch.float64))
        self.register_buffer("factors", torch.eye(d, dtype=torch.float64).repeat(g, factors, 1, 1))
        self.register_buffer("tables", uniform.repeat(g, k, 1, 1))
        beside = 0 if self.frame is None or self.frame.whole else self.frame.dimensions
        self.register_buffer("centres", torch.zeros(g, beside, dtype=torch.float64))
        self.register_buffer("variance", torch.ones(g, dtype=torch.float64))
        self.real: Tensor
        self.weights: Tensor  # (G, K) log w
        self.means: Tensor  # (G, K, D)
        self.factors: Tensor  # (G, K or 1, D, D), lower triangular: covariance = L L^T
        self.tables: Tensor  # (G, K, J, L) log t, -inf beyond a column's codes
        self.centres: Tensor  # (G, D) of the coordinates, (G, 0) where they are the items' own numbers
        self.variance: Tensor  # (G,) beside the directions of the frame

    def learner(self) -> Learner:
        return ExpectationMaximisation(self)

    @property
    def exact(self) -> bool:
        return self.cells is None or self.cells.exact

    @property
    def volume(self) -> float:
        """What cells add to a log-density."""
        return 0.0 if self.cells is None else self.cells.volume

    @classmethod
    def memory(cls, space: Space, condition: Classes | None, config: Config, items: int) -> int:
        d, groups = space.dimensions, max(1, condition.count if condition else 1)
        whole = d <= DENSE or isinstance(space, Columns)
        q = d if whole else min(_DIRECTIONS, items)
        matrices = groups * (1 if config.covariance == "tied" else config.components) + 4
        return 8 * (q * q * matrices + groups * config.components * q + 3 * items * q + (0 if whole else 2 * q * d))

    @property
    def dimensions(self) -> int:
        """How many numbers the Gaussians are of: numeric columns, or coordinates in the frame."""
        return len(self.numeric) if self.frame is None else self.frame.rank

    @property
    def jitter(self) -> Tensor:
        """Variance of the noise within the cells, (D,)."""
        zeros = self.means.new_zeros(self.dimensions)
        return zeros if self.cells is None else self.cells.variance[: self.dimensions]

    def split(self, x: Tensor, noise: Noise | None = None) -> tuple[Tensor, Tensor]:
        """Numeric part, float64 (B, D), at the centres of cells or drawn within them; codes, int64 (B, J)."""
        if self.cells is None:
            return x[:, self.numeric].double(), x[:, self.categorical].long()
        y = self.cells.centres(x) if noise is None else self.cells.vectors(x, noise)
        return y, x.new_zeros((len(x), 0), dtype=torch.int64)

    def place(self, x: Tensor) -> None:
        """Choose the frame by all items, where the Gaussians are not of the items' own numbers; they begin anew."""
        if self.frame is None or self.frame.whole:
            return
        self.frame.fit(x, min(_DIRECTIONS, max(8, len(x) // 8)))
        g, k, q = self.groups, self.config.components, self.frame.rank
        self.means = self.means.new_zeros((g, k, q))
        self.factors = torch.eye(q, dtype=torch.float64).repeat(g, self.factors.shape[1], 1, 1)

    def settle(self, x: Tensor, group: int) -> None:
        """Set a class's centre and its variance beside the frame by its items."""
        if self.frame is None or self.cells is None or self.frame.whole:
            return
        centre = torch.stack([y.sum(0) for y in self.cells.pieces(x)]).sum(0) / len(x)
        rest = self.frame.beside(x, centre)[1].mean() / (self.frame.dimensions - self.frame.rank)
        self.centres[group] = centre
        self.variance[group] = rest + self.cells.variance[0] + self.config.floor

    def within(self, y: Tensor, group: int) -> tuple[Tensor, Tensor]:
        """Coordinates (B, D) of vectors about the class's centre, and the log-density of what lies beside, (B,)."""
        if self.frame is None or self.frame.whole:
            return y, y.new_zeros(len(y))
        t, rest = self.frame.rest(y, self.centres[group])
        return t, self.frame.nats(rest, self.variance[group])

    def joint(self, y: Tensor, codes: Tensor, group: int) -> Tensor:
        """log p(x, k | class), float64 (B, K), of coordinates y."""
        factors, means = self.factors[group], self.means[group]
        if len(factors) == 1:  # what is tied is whitened once
            both = torch.linalg.solve_triangular(factors[0], torch.cat([y, means]).T, upper=False).T
            white, centres = both[: len(y)], both[len(y) :]
            log_volume = factors[0].diagonal().log().sum() + 0.5 * y.shape[1] * math.log(2 * math.pi)
            distances = torch.stack([(white - m).square().sum(1) for m in centres], 1)
            nats = self.weights[group] - 0.5 * distances - log_volume
        else:
            nats = gaussian_nats(y, means, factors) + self.weights[group]
        for j in range(codes.shape[1]):
            nats = nats + self.tables[group, :, j, codes[:, j]].T
        return nats

    def draw(self, noise: Noise, condition: Tensor | None = None) -> Tensor:
        chosen = self.choose(noise, condition)
        component = noise.choice(self.weights[chosen])
        factors = self.factors.flatten(0, 1)
        which = chosen if self.config.covariance == "tied" else chosen * self.config.components + component
        y = self.means[chosen, component] + correlate(noise.normal(self.dimensions).double(), factors, which)
        if self.cells is not None and self.frame is not None:
            if not self.frame.whole:
                eps = noise.normal(self.frame.dimensions).double()
                y = self.centres[chosen] + self.frame.leave(y, eps, self.variance[chosen].sqrt())
            return self.cells.items(y)
        x = y.new_empty((noise.batch, len(self.numeric) + len(self.categorical)))
        x[:, self.numeric] = y
        if self.categorical:
            x[:, self.categorical] = noise.choice(self.tables[chosen, component]).double()
        return x.float()

    def log_prob(self, x: Tensor, noise: Noise, condition: Tensor | None = None) -> LogProb:
        y, codes = self.split(x, noise)

        def nats(rows: Tensor, group: int) -> Tensor:
            t, beside = self.within(y[rows], group)
            return self.joint(t, codes[rows], group).logsumexp(1) + beside

        found = self.asked(torch.arange(len(x), device=x.device), condition, nats) + self.volume
        return LogProb(found.float(), "exact" if self.exact else "lower")

    def flops(self) -> float:
        """The weighted second moments of every component and its triangular solve: 2 D^2 multiply-adds each."""
        return 4.0 * self.config.components * self.dimensions**2

    @classmethod
    def tiny(cls, space: Space) -> Tiny:
        bars = {Reals: 0.015, Levels: 0.03, Columns: 0.015}
        if isinstance(space, Levels):
            return Tiny(Config(components=4), steps=40, bar=bars[type(space)])
        return Tiny(Config(components=12, covariance="full"), steps=60, bar=bars[type(space)])


class ExpectationMaximisation(Learner):
    """One iteration of EM a step for every class; the first step seeds the components (k-means++) and counts as one."""

    def __init__(self, model: Mixture) -> None:
        self._model = model
        self._last = -math.inf  # log-posterior an item, after the last step's E step
        self._seeded = False
        self._held: list[tuple[Tensor, Tensor, float]] = []

    def _look(self, batch: Batch) -> list[tuple[Tensor, Tensor, float]]:
        """Of every class the coordinates, the codes and the log-density of what lies beside the frame, in all."""
        if not self._held:
            model = self._model
            if not self._seeded:
                model.place(batch.x)
            for g, rows in enumerate(model.members(batch)):
                if not self._seeded:
                    model.settle(batch.x[rows], g)
                pieces = []
                for x in batch.x[rows].split(_PIECE):
                    y, codes = model.split(x)
                    pieces.append((*model.within(y, g), codes))
                t, beside, codes = (torch.cat(part) for part in zip(*pieces, strict=True))
                self._held.append((t, codes, float(beside.sum())))
        return self._held

    @torch.no_grad()
    def step(self, batch: Batch, noise: Noise) -> dict[str, float]:
        model = self._model
        likelihood = posterior = 0.0
        for g, (y, codes, beside) in enumerate(self._look(batch)):
            if not self._seeded:
                self._maximise(y, codes, _nearest(y, codes, model.config.components, noise), g)
            r, nats = self._expect(y, codes, g)
            likelihood += nats + beside
            posterior += nats + beside + self._log_prior(y, g)
            self._maximise(y, codes, r, g)
        self._seeded = True
        n = len(batch.x)
        if not math.isfinite(posterior):
            raise NonFinite(f"the log-posterior is {posterior}; look at the data, or raise `prior`")
        self.done = posterior / n - self._last < model.config.tolerance
        self._last = posterior / n
        return {"loss": -likelihood / n - model.volume, "objective": posterior / n}

    def _expect(self, y: Tensor, codes: Tensor, group: int) -> tuple[Tensor, float]:
        """Responsibilities (n, K) and the total log-likelihood, with the cells' noise integrated as in the header."""
        model = self._model
        eye = torch.eye(model.dimensions, dtype=torch.float64, device=y.device)
        inverse = torch.linalg.solve_triangular(model.factors[group], eye, upper=False)
        spread = 0.5 * (inverse.square().sum(1) * model.jitter).sum(1)  # (K or 1,)
        joint = model.joint(y, codes, group) - spread
        return torch.softmax(joint, 1), joint.logsumexp(1).sum().item()

    def _centre(self, y: Tensor) -> Tensor:
        """What the prior on covariances is centred on: the class's own variances over K^(2/D), (D,).

        K balls of that spread fill the volume of the one that holds all (Fraley & Raftery 2007, section 3.2).
        """
        model = self._model
        share = float(model.config.components ** (-2.0 / max(1, model.dimensions)))
        return _variance(y) * share + model.jitter + model.config.floor

    def _maximise(self, y: Tensor, codes: Tensor, r: Tensor, group: int) -> None:
        model, prior = self._model, self._model.config.prior
        mass = r.sum(0)  # (K,)
        model.weights[group] = ((mass + prior) / (mass + prior).sum()).log()
        means = (r.T @ y) / mass.clamp(min=1e-12).unsqueeze(1)
        if model.config.covariance == "tied":
            mass = mass.sum(0, keepdim=True)
        scatter = self._scatter(y, r, means) + mass[:, None, None] * torch.diag(model.jitter)
        target = prior * torch.diag(self._centre(y))
        model.means[group] = means
        factors, failed = torch.linalg.cholesky_ex((scatter + target) / (mass + prior).clamp(min=1e-12)[:, None, None])
        if bool(failed.any()):
            raise NonFinite("a component has collapsed onto too few items; raise `prior` or lower `components`")
        model.factors[group] = factors
        for j in range(codes.shape[1]):
            real = model.real[j]
            counts = r.new_zeros(r.shape[1], len(real)).index_add_(1, codes[:, j], r.T.contiguous())
            counts = (counts + prior / real.sum()).masked_fill(~real, 0.0)
            model.tables[group, :, j] = (counts / counts.sum(1, keepdim=True)).log()

    def _scatter(self, y: Tensor, r: Tensor, means: Tensor) -> Tensor:
        """Weighted sums of (y - m)(y - m)^T about the means (K, D): (K, D, D), or their sum (1, D, D) where tied."""
        if self._model.config.covariance == "full":
            return torch.stack([((y - m) * w.unsqueeze(1)).T @ (y - m) for m, w in zip(means, r.T, strict=True)])
        # Within = total - between: one product for all components.
        centred, offsets = y - y.mean(0), means - y.mean(0)
        return (centred.T @ centred - (offsets * r.sum(0).unsqueeze(1)).T @ offsets).unsqueeze(0)

    def _log_prior(self, y: Tensor, group: int) -> float:
        """The log-density of the parameters under the prior, up to a constant."""
        model, prior = self._model, self._model.config.prior
        if prior == 0.0:
            return 0.0
        factor = model.factors[group]
        eye = torch.eye(model.dimensions, dtype=torch.float64, device=y.device)
        inverse = torch.linalg.solve_triangular(factor, eye, upper=False)
        log_volume = 2.0 * factor.diagonal(dim1=-2, dim2=-1).log().sum()
        distance = (inverse.square().sum(1) * self._centre(y)).sum()  # tr(S^-1 target)
        total = -0.5 * prior * (log_volume + distance) + prior * model.weights[group].sum()
        sizes = model.real.sum(1)  # (J,)
        logs = model.tables[group].masked_fill(~model.real, 0.0).sum((0, 2))
        return float(total + prior * (logs / sizes).sum())

    def state_dict(self) -> dict[str, Any]:
        return {"last": self._last, "seeded": self._seeded, "done": self.done}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self._last, self._seeded, self.done = float(state["last"]), bool(state["seeded"]), bool(state["done"])


def _variance(y: Tensor) -> Tensor:
    """Variance of every column of y (n, D); torch's own warns where there are no columns."""
    variance: Tensor = (y - y.mean(0)).square().mean(0)
    return variance


def _nearest(y: Tensor, codes: Tensor, components: int, noise: Noise, rounds: int = 10) -> Tensor:
    """First responsibilities, one-hot (n, K): k-means from the seeding of Arthur & Vassilvitskii 2007 (k-means++).

    Columns are put on one scale; a differing code counts as a distance of 1.
    """
    scaled = (y - y.mean(0)) / _variance(y).sqrt().clamp(min=1e-6)
    flags = [torch.nn.functional.one_hot(c).double() * math.sqrt(0.5) for c in codes.unbind(1)]
    points = torch.cat([scaled, *flags], 1)
    u = noise.uniform(components)[: len(points)].double()  # row 0 holds the numbers used
    centres = points[:1].repeat(components, 1)
    distance = points.new_ones(len(points))
    for k in range(components):
        cdf = distance.cumsum(0)
        centres[k] = points[int((cdf <= u[0, k] * cdf[-1]).sum().clamp(max=len(points) - 1))]
        near = (points - centres[k]).square().sum(1)
        distance = near if k == 0 else distance.minimum(near)
    for _ in range(rounds):
        owner = torch.cdist(points, centres).argmin(1)
        one_hot = torch.nn.functional.one_hot(owner, components).double()
        mass = one_hot.sum(0).unsqueeze(1)
        centres = torch.where(mass > 0, one_hot.T @ points / mass.clamp(min=1.0), centres)
    return torch.nn.functional.one_hot(torch.cdist(points, centres).argmin(1), components).double()
