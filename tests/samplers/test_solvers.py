"""Solvers on Gaussians, whose posterior mean is known: order of convergence, ends of the walk, marginals, guidance."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor

from makar.core.errors import MakarError
from makar.core.model import Denoises, Posterior, Schedule
from makar.core.noise import Noise, Replay
from makar.core.sampler import Sampler
from makar.nets.schedules import StraightPath, VarianceExploding, ancestral, renoise
from makar.samplers import ddim, dpm_solver, euler, heun, midpoint, stochastic
from makar.samplers._guidance import Guided

MU = torch.tensor([0.5, -1.0, 0.2], dtype=torch.float64)
STD = torch.tensor([1.0, 0.4, 0.7], dtype=torch.float64)
SCHEDULES = {"exploding": VarianceExploding(1e-3, 80.0), "straight": StraightPath()}
SOLVERS: dict[str, tuple[type[Sampler], Any]] = {
    "euler": (euler.Euler, euler.Config),
    "heun": (heun.Heun, heun.Config),
    "midpoint": (midpoint.Midpoint, midpoint.Config),
    "ddim": (ddim.DDIM, ddim.Config),
    "dpm_solver": (dpm_solver.DPMSolver, dpm_solver.Config),
    "stochastic": (stochastic.Stochastic, stochastic.Config),
}


class EvenInLambda(StraightPath):
    """The straight path in equal steps of lambda = log((1 - t) / t), but for the two at its ends.

    DPM-Solver++ has its order in lambda. Equal steps in t are large in lambda at both ends however many there are, and
    there its error falls a little slower, by a logarithm (measured: 1.7 for 96 to 768 steps).
    """

    def grid(self, steps: int) -> Tensor:
        inner = torch.sigmoid(torch.linspace(9.0, -9.0, steps - 1, dtype=torch.float64))
        return torch.cat([inner.new_ones(1), inner, inner.new_zeros(1)])


class Gaussian(Denoises):
    """x ~ N(mu + shift of its label, diag(std^2)), in float64, and a record of the times it was asked about."""

    default_sampler = "euler"

    def __init__(self, schedule: Schedule) -> None:
        self._schedule = schedule
        self.times: list[float] = []

    @property
    def schedule(self) -> Schedule:
        return self._schedule

    @property
    def latent_shape(self) -> tuple[int, ...]:
        return (3,)

    def mu(self, condition: Tensor | None) -> Tensor:
        return MU if condition is None else MU + 0.3 * (condition + 1).double().unsqueeze(1)

    def denoise(self, x: Tensor, t: Tensor, condition: Tensor | None = None) -> Posterior:
        self.times.append(float(t[0]))
        t = t.double().unsqueeze(1)
        alpha, sigma = self._schedule.alpha(t), self._schedule.sigma(t)
        gain = alpha * STD.square() / (alpha.square() * STD.square() + sigma.square())
        mu = self.mu(condition)
        return Posterior((mu + gain * (x - alpha * mu)).to(x.dtype))

    def finish(self, x: Tensor, noise: Noise) -> Tensor:
        return x


class Mixture(Gaussian):
    """A mixture of two normals on the line. The midpoint method gains an order on a single Gaussian; not here."""

    weights = torch.tensor([0.4, 0.6], dtype=torch.float64)
    means = torch.tensor([-1.0, 0.8], dtype=torch.float64)
    stds = torch.tensor([0.5, 0.3], dtype=torch.float64)

    @property
    def latent_shape(self) -> tuple[int, ...]:
        return (1,)

    def denoise(self, x: Tensor, t: Tensor, condition: Tensor | None = None) -> Posterior:
        alpha, sigma = self._schedule.alpha(t).unsqueeze(1), self._schedule.sigma(t).unsqueeze(1)
        variance = (alpha * self.stds).square() + sigma.square()
        away = x - alpha * self.means
        share = (self.weights.log() - 0.5 * away.square() / variance - 0.5 * variance.log()).softmax(1)
        means = self.means + alpha * self.stds.square() / variance * away
        return Posterior((share * means).sum(1, keepdim=True))

    def below(self, x: Tensor, t: float) -> Tensor:
        """The marginal's distribution function at time t."""
        time = torch.tensor(t, dtype=torch.float64)
        alpha, sigma = self._schedule.alpha(time), self._schedule.sigma(time)
        score = (x - alpha * self.means) / ((alpha * self.stds).square() + sigma.square()).sqrt()
        found: Tensor = (self.weights * torch.special.ndtr(score)).sum(1, keepdim=True)
        return found

    def solution(self, x: Tensor) -> Tensor:
        """The end of the flow from x at the start: on the line it keeps order, so quantiles go to quantiles."""
        wanted = self.below(x, self._schedule.start)
        low, high = torch.full_like(x, -8.0), torch.full_like(x, 8.0)
        for _ in range(60):
            middle = (low + high) / 2
            under = self.below(middle, 0.0) < wanted
            low, high = torch.where(under, middle, low), torch.where(under, high, middle)
        return (low + high) / 2


def make(name: str, **settings: Any) -> Sampler:
    kind, config = SOLVERS[name]
    return kind(config(**settings))


def run(name: str, model: Gaussian, eps: Tensor, **settings: Any) -> Tensor:
    return make(name, **settings).sample(model, Replay(eps))


def start_points(width: int = 3) -> Tensor:
    draw = torch.Generator().manual_seed(0)
    return torch.randn(64, width, generator=draw, dtype=torch.float64).clamp(-2.5, 2.5)


def measured_order(name: str, schedule: Schedule) -> float:
    """Slope of log(error) against log(step): states are float64 here, so that the floor of float32 is out of sight."""
    eps = start_points(1)
    exact = Mixture(schedule).solution(eps * schedule.prior_std)
    counts = torch.tensor([48, 96, 192, 384])
    errors = [(run(name, Mixture(schedule), eps, steps=int(n)) - exact).square().mean().sqrt() for n in counts]
    x, y = counts.double().log(), torch.stack(errors).log()
    return -float(((x - x.mean()) * (y - y.mean())).sum() / (x - x.mean()).square().sum())


@pytest.mark.parametrize("schedule", SCHEDULES)
@pytest.mark.parametrize("name", ["euler", "heun", "midpoint", "ddim", "dpm_solver"])
def test_measured_order_is_the_declared_one(name: str, schedule: str) -> None:
    declared = SOLVERS[name][0].order
    assert declared is not None
    path = EvenInLambda() if (name, schedule) == ("dpm_solver", "straight") else SCHEDULES[schedule]
    assert measured_order(name, path) == pytest.approx(declared, abs=0.25)


@pytest.mark.parametrize("schedule", SCHEDULES)
@pytest.mark.parametrize("name", SOLVERS)
def test_the_walk_begins_at_pure_noise_and_ends_at_clean_data(name: str, schedule: str) -> None:
    path = SCHEDULES[schedule]
    model = Gaussian(path)
    times = path.grid(10)
    assert times.dtype == torch.float64
    assert len(times) == 11
    assert bool((times.diff() < 0).all())
    assert float(path.sigma(times[-1])) == 0.0
    assert float(path.alpha(times[-1])) == 1.0
    noise = Noise.rows(3, range(4))
    partials = list(make(name, steps=10).partials(model, noise))
    assert model.times[0] == path.start == float(times[0])
    assert min(model.times) > 0.0
    assert len(partials) == 11
    assert all(p.shape == (4, 3) and p.dtype == torch.float32 for p in partials)


@pytest.mark.parametrize("schedule", SCHEDULES)
@pytest.mark.parametrize(
    ("name", "settings"),
    [(n, {}) for n in SOLVERS] + [("ddim", {"eta": 1.0}), ("ddim", {"eta": 0.5}), ("stochastic", {"churn": 40.0})],
)
def test_what_is_drawn_has_the_mean_and_scale_of_the_data(name: str, settings: dict[str, float], schedule: str) -> None:
    n = 8000
    x = make(name, steps=200, **settings).sample(Gaussian(SCHEDULES[schedule]), Noise.step(0, 1, n)).double()
    z = (x - MU) / STD
    # five standard errors, and 0.01 for what a finite number of steps leaves
    assert float(z.mean(0).abs().max()) < 5 * n**-0.5 + 0.01
    assert float((z.std(0) - 1.0).abs().max()) < 5 * (2 * n) ** -0.5 + 0.01
    correlation = torch.corrcoef(z.T) - torch.eye(3, dtype=torch.float64)
    assert float(correlation.abs().max()) < 5 * n**-0.5 + 0.01


@pytest.mark.parametrize("schedule", SCHEDULES)
def test_deterministic_ddim_is_euler_where_the_path_is_linear(schedule: str) -> None:
    eps = start_points()
    path = SCHEDULES[schedule]
    torch.testing.assert_close(run("ddim", Gaussian(path), eps, steps=7), run("euler", Gaussian(path), eps, steps=7))


def test_without_churn_the_stochastic_sampler_is_heun() -> None:
    eps = start_points()
    path = SCHEDULES["exploding"]
    calm = run("stochastic", Gaussian(path), eps, steps=9, churn=0.0)
    assert torch.equal(calm, run("heun", Gaussian(path), eps, steps=9))


@pytest.mark.parametrize(("name", "evaluations"), [("euler", 6), ("ddim", 6), ("dpm_solver", 6), ("heun", 11),
                                                   ("stochastic", 11), ("midpoint", 12)])  # fmt: skip
def test_evaluations_are_as_many_as_documented(name: str, evaluations: int) -> None:
    model = Gaussian(SCHEDULES["exploding"])
    make(name, steps=6).sample(model, Noise.rows(0, range(2)))
    assert len(model.times) == evaluations


@pytest.mark.parametrize("schedule", SCHEDULES)
def test_moving_along_the_path_keeps_its_marginals(schedule: str) -> None:
    path = SCHEDULES[schedule]
    draw = torch.Generator().manual_seed(1)
    x, one, two = torch.randn(3, 200_000, 1, generator=draw, dtype=torch.float64)
    s, t = (torch.tensor(v, dtype=torch.float64) for v in (0.3, 0.8))
    x_s = path.alpha(s) * 0.7 * x + path.sigma(s) * one
    x_t = renoise(path, x_s, s, t, two)
    wanted = (path.alpha(t) * 0.7).square() + path.sigma(t).square()
    assert float(x_t.var()) == pytest.approx(float(wanted), rel=0.02)
    # With the true datum in place of its mean, an ancestral step leads from the marginal at t to that at s.
    back = ancestral(path, x_t, 0.7 * x, t, s, 1.0, torch.randn(200_000, 1, generator=draw, dtype=torch.float64))
    wanted = (path.alpha(s) * 0.7).square() + path.sigma(s).square()
    assert float(back.var()) == pytest.approx(float(wanted), rel=0.02)
    # and with the right regression on x_t: cov(x_s, x_t) = fade * var(x_s)
    fade = path.alpha(t) / path.alpha(s)
    assert float((back * x_t).mean()) == pytest.approx(float(fade * wanted), rel=0.03)


def test_guidance_extrapolates_from_no_class_to_the_class() -> None:
    model = Gaussian(SCHEDULES["exploding"])
    x, t = start_points().float()[:4], torch.full((4,), 0.5)
    labels = torch.tensor([0, 1, 2, -1])
    plain, asked = model.denoise(x, t).mean, model.denoise(x, t, labels).mean
    torch.testing.assert_close(Guided(model, 0.0).denoise(x, t, labels).mean, plain)
    torch.testing.assert_close(Guided(model, 3.0).denoise(x, t, labels).mean, plain + 3.0 * (asked - plain))
    assert torch.equal(Guided(model, 3.0).denoise(x, t, None).mean, plain)


@pytest.mark.parametrize("name", SOLVERS)
def test_guidance_of_one_is_the_plain_conditional_model(name: str) -> None:
    labels = torch.tensor([0, 1, 2, -1])
    model = Gaussian(SCHEDULES["exploding"])
    plain = make(name, steps=5).sample(model, Noise.rows(0, range(4)), labels)
    count = len(model.times)
    assert torch.equal(make(name, steps=5, guidance=1.0).sample(model, Noise.rows(0, range(4)), labels), plain)
    assert len(model.times) == 2 * count
    pushed = make(name, steps=5, guidance=2.0).sample(model, Noise.rows(0, range(4)), labels)
    assert bool((pushed - plain)[:3].abs().max(1).values.gt(0.01).all())
    torch.testing.assert_close(pushed[3], plain[3])


@pytest.mark.parametrize("name", SOLVERS)
def test_a_row_depends_on_itself_alone(name: str) -> None:
    model = Gaussian(SCHEDULES["exploding"])
    settings = {"eta": 1.0} if name == "ddim" else {}
    together = make(name, steps=6, **settings).sample(model, Noise.rows(9, range(6)))
    alone = make(name, steps=6, **settings).sample(model, Noise.rows(9, [4]))
    torch.testing.assert_close(together[4:5], alone, rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("name", SOLVERS)
def test_no_steps_is_a_mistake_that_is_named(name: str) -> None:
    with pytest.raises(MakarError, match="steps=0"):
        make(name, steps=0).sample(Gaussian(SCHEDULES["exploding"]), Noise.rows(0, range(2)))


def test_eta_has_bounds() -> None:
    with pytest.raises(MakarError, match="eta"):
        ddim.DDIM(ddim.Config(eta=1.5))
