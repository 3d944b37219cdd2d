"""Densities on the plane that are known exactly: what a model learnt can be held against the truth.

    ring8         eight Gaussians of standard deviation 0.2 on a circle of radius 2
    grid25        25 Gaussians of standard deviation 0.05 on the integer grid -2..2
    moons         two half circles of radius 1, a uniform point of one plus Gaussian noise 0.1
    rings         circles of radius 1, 2 and 3, likewise, noise 0.08
    two_spirals   two arms, a uniform point of one plus Gaussian noise 0.1
    pinwheel      five Gaussians, each point then turned about the origin by an angle that grows with its radius
    checkerboard  uniform on the black squares of an 8 x 8 area cut into 4 x 4: log density -log 32 on them

A rotation by an angle that depends only on the radius preserves area, so the pinwheel's density is that of the point
turned back. A curve plus noise has density E_t[N(x; c(t), s^2 I)]: for circles by the trapezoid rule, whose error
falls exponentially for periodic integrands, for arcs by Gauss-Legendre quadrature; both are exact here to 1e-9.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from dataclasses import dataclass
from functools import cache

import numpy as np

from makar.core.errors import MakarError, did_you_mean
from makar.data.loaded import Loaded


@dataclass(frozen=True)
class Options:
    """How many points, from which seed, and whether each carries the number of its component as its class."""

    n: int = 10_000
    seed: int = 0
    labelled: bool = False


class Density(ABC):
    """A density on the plane made of `components` of equal weight."""

    components: int

    @abstractmethod
    def draw(self, component: np.ndarray, random: np.random.Generator) -> np.ndarray:
        """One point, float64 (n, 2), from each of the given components, int64 (n,)."""

    @abstractmethod
    def log_density(self, points: np.ndarray) -> np.ndarray:
        """Exact log p, shape (n,), nats, of points (n, 2)."""


def _log_mean_normal(points: np.ndarray, centres: np.ndarray, std: float, weights: np.ndarray) -> np.ndarray:
    """log sum_k w_k N(x; c_k, std^2 I), block by block so that memory stays small."""
    found = np.empty(len(points))
    for start in range(0, len(points), 1024):
        x = points[start : start + 1024]
        square = (x**2).sum(1)[:, None] - 2.0 * x @ centres.T + (centres**2).sum(1)
        exponent = -0.5 * square / std**2
        top = exponent.max(1, keepdims=True)
        found[start : start + 1024] = top[:, 0] + np.log(np.exp(exponent - top) @ weights)
    return found - math.log(2.0 * math.pi * std**2)


class Gaussians(Density):
    """A mixture of round Gaussians of one width."""

    def __init__(self, centres: np.ndarray, std: float) -> None:
        self.components = len(centres)
        self._centres = centres
        self._std = std

    def draw(self, component: np.ndarray, random: np.random.Generator) -> np.ndarray:
        points: np.ndarray = self._centres[component] + self._std * random.standard_normal((len(component), 2))
        return points

    def log_density(self, points: np.ndarray) -> np.ndarray:
        weights = np.full(self.components, 1.0 / self.components)
        return _log_mean_normal(points, self._centres, self._std, weights)


class Curves(Density):
    """A uniform parameter's place on one of several curves, plus Gaussian noise."""

    def __init__(self, components: int, std: float, closed: bool) -> None:
        self.components = components
        self._std = std
        if closed:
            t, weights = np.arange(512) / 512.0, np.full(512, 1.0 / 512.0)
        else:
            t, weights = np.polynomial.legendre.leggauss(512)
            t, weights = (t + 1.0) / 2.0, weights / 2.0
        self._nodes, self._weights = t, weights

    @abstractmethod
    def place(self, component: np.ndarray, t: np.ndarray) -> np.ndarray:
        """Points (n, 2) of the curves at t in [0, 1]."""

    def draw(self, component: np.ndarray, random: np.random.Generator) -> np.ndarray:
        t = random.uniform(size=len(component))
        return self.place(component, t) + self._std * random.standard_normal((len(component), 2))

    def log_density(self, points: np.ndarray) -> np.ndarray:
        component = np.repeat(np.arange(self.components), len(self._nodes))
        centres = self.place(component, np.tile(self._nodes, self.components))
        weights = np.tile(self._weights, self.components) / self.components
        return _log_mean_normal(points, centres, self._std, weights)


class Moons(Curves):
    """Two interleaved half circles."""

    def __init__(self) -> None:
        super().__init__(2, 0.1, closed=False)

    def place(self, component: np.ndarray, t: np.ndarray) -> np.ndarray:
        upper = np.stack([np.cos(math.pi * t) - 0.5, np.sin(math.pi * t) - 0.25], 1)
        return np.where(component[:, None] == 0, upper, -upper)


class Rings(Curves):
    """Circles about the origin."""

    def __init__(self) -> None:
        super().__init__(3, 0.08, closed=True)

    def place(self, component: np.ndarray, t: np.ndarray) -> np.ndarray:
        angle = 2.0 * math.pi * t
        points: np.ndarray = (component[:, None] + 1.0) * np.stack([np.cos(angle), np.sin(angle)], 1)
        return points


class Spirals(Curves):
    """Two arms of one and a half turns whose radius grows from 0.3 to 3."""

    def __init__(self) -> None:
        super().__init__(2, 0.1, closed=False)

    def place(self, component: np.ndarray, t: np.ndarray) -> np.ndarray:
        angle = 3.0 * math.pi * t
        arm: np.ndarray = (0.3 + 2.7 * t)[:, None] * np.stack([np.cos(angle), np.sin(angle)], 1)
        return np.where(component[:, None] == 0, arm, -arm)


class Pinwheel(Density):
    """Five elongated Gaussians, turned by an angle that grows with the radius."""

    components = 5
    _centre, _radial, _across, _rate = 2.0, 0.5, 0.12, 0.6

    def _turned(self, points: np.ndarray, angle: np.ndarray) -> np.ndarray:
        c, s = np.cos(angle), np.sin(angle)
        return np.stack([c * points[:, 0] - s * points[:, 1], s * points[:, 0] + c * points[:, 1]], 1)

    def _angle(self, component: np.ndarray, radius: np.ndarray) -> np.ndarray:
        turn: np.ndarray = component * (2.0 * math.pi / self.components) + self._rate * radius
        return turn

    def draw(self, component: np.ndarray, random: np.random.Generator) -> np.ndarray:
        blade = random.standard_normal((len(component), 2)) * [self._radial, self._across] + [self._centre, 0.0]
        return self._turned(blade, self._angle(component, np.hypot(*blade.T)))

    def log_density(self, points: np.ndarray) -> np.ndarray:
        radius = np.hypot(*points.T)
        each = []
        for k in range(self.components):
            back = self._turned(points, -self._angle(np.array(k), radius))
            z = (back - [self._centre, 0.0]) / [self._radial, self._across]
            each.append(-0.5 * (z**2).sum(1))
        volume = math.log(2.0 * math.pi * self._radial * self._across * self.components)
        total: np.ndarray = np.logaddexp.reduce(np.stack(each), 0) - volume
        return total


class Checkerboard(Density):
    """Uniform on eight of the sixteen squares of side 2 that make up [-4, 4) x [-4, 4)."""

    components = 8

    def draw(self, component: np.ndarray, random: np.random.Generator) -> np.ndarray:
        row, column = component // 2, 2 * (component % 2) + (component // 2) % 2
        corner = 2.0 * np.stack([column, row], 1) - 4.0
        points: np.ndarray = corner + 2.0 * random.uniform(size=(len(component), 2))
        return points

    def log_density(self, points: np.ndarray) -> np.ndarray:
        cell = np.floor((points + 4.0) / 2.0)
        black = (cell.sum(1) % 2 == 0) & ((points >= -4.0) & (points < 4.0)).all(1)
        return np.where(black, -math.log(32.0), -math.inf)


def _ring(count: int, radius: float) -> np.ndarray:
    angle = 2.0 * math.pi * np.arange(count) / count
    return radius * np.stack([np.cos(angle), np.sin(angle)], 1)


def _grid() -> np.ndarray:
    side = np.arange(-2.0, 3.0)
    return np.stack(np.meshgrid(side, side), -1).reshape(-1, 2)


_DENSITIES = {
    "ring8": lambda: Gaussians(_ring(8, 2.0), 0.2),
    "grid25": lambda: Gaussians(_grid(), 0.05),
    "moons": Moons,
    "rings": Rings,
    "two_spirals": Spirals,
    "pinwheel": Pinwheel,
    "checkerboard": Checkerboard,
}
NAMES = tuple(_DENSITIES)

# Nats a point: -p log p summed over the midpoints of a fine grid on [-5, 5]^2, which tests/data/test_toy.py repeats.
ENTROPY = {
    "ring8": 1.698061,
    "grid25": 0.065288,
    "moons": 1.007585,
    "rings": 2.426222,
    "two_spirals": 2.469514,
    "pinwheel": 1.633524,
    "checkerboard": math.log(32.0),
}


@cache
def density(name: str) -> Density:
    """The density of a name. Raises MakarError for a name that is not one."""
    if name not in _DENSITIES:
        raise MakarError(f"there is no density 'toy:{name}'{did_you_mean(name, NAMES)}")
    made: Density = _DENSITIES[name]()
    return made


def log_density(name: str, points: np.ndarray) -> np.ndarray:
    """Exact log p of points (n, 2), shape (n,), in nats."""
    return density(name).log_density(np.asarray(points, np.float64))


def sample(name: str, n: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Points float32 (n, 2) and the component int64 (n,) that each came from; the same for the same seed."""
    known = density(name)
    random = np.random.Generator(np.random.Philox(seed))
    component = random.integers(known.components, size=n)
    return known.draw(component, random).astype(np.float32), component


def load(argument: str, options: Options) -> Loaded:
    """Points drawn from the density that `argument` names."""
    known = density(argument)
    if options.n < 2:
        raise MakarError(f"n is {options.n}, but at least 2 points are needed")
    points, component = sample(argument, options.n, options.seed)
    entropy = ENTROPY[argument]
    return Loaded(
        name=f"toy:{argument}",
        modality="points",
        source=f"drawn by makar from a known density, seed {options.seed}",
        things=list(points),
        labels=component if options.labelled else None,
        classes=tuple(map(str, range(known.components))) if options.labelled else (),
        licence="CC0-1.0",
        attribution="makar",
        origin="synthetic",
        entropy=entropy / 2.0,
        notes=[f"the density is known: its entropy, the best mean of -log p there is, is {entropy:.4f} nats a point"],
    )
