"""The probe of the machine."""

from __future__ import annotations

import torch

from makar.verbs.probe import choose, probe


def test_it_measures_and_leaves_the_threads_as_they_were() -> None:
    before = torch.get_num_threads()
    machine = probe(seconds=0.2)
    assert torch.get_num_threads() == before
    assert machine.threads == 1
    assert machine.cores >= 1
    assert machine.cpu
    assert min(machine.fp32_gflops, machine.bf16_gflops, machine.copy_gbs, machine.read_gbs) > 0
    assert machine.precision == choose(machine.fp32_gflops, machine.bf16_gflops)


def test_bfloat16_is_chosen_only_where_it_pays() -> None:
    assert choose(63.0, 1.0) == "float32"
    assert choose(100.0, 149.0) == "float32"
    assert choose(100.0, 150.0) == "bfloat16"
