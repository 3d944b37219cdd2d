"""Merkle trees: the reference vectors of Certificate Transparency, every size up to 64, and wrong proofs planted."""

from __future__ import annotations

from hashlib import sha256

import pytest
from hypothesis import given
from hypothesis import strategies as st

from makar.core.errors import MakarError
from makar.provenance import merkle
from makar.provenance.merkle import Frontier

# The eight leaves of the reference implementation (certificate-transparency, merkle_tree_test), and what it publishes.
DATA = ["", "00", "10", "2021", "3031", "40414243", "5051525354555657", "606162636465666768696a6b6c6d6e6f"]
ROOTS = [
    "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
    "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
    "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
    "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
    "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
    "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
    "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
    "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
]
INCLUSION = {
    (0, 8): [
        "96a296d224f285c67bee93c30f8a309157f0daa35dc5b87e410b78630a09cfc7",
        "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e",
        "6b47aaf29ee3c2af9af889bc1fb9254dabd31177f16232dd6aab035ca39bf6e4",
    ],
    (5, 8): [
        "bc1a0643b12e4d2d7c77918f44e0f4f79a838b6cf9ec5b5c283e1f4d88599e6b",
        "ca854ea128ed050b41b35ffc1b87b8eb2bde461e9e3b5596ece6b9d5975a0ae0",
        "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    ],
}
CONSISTENCY = {
    (1, 8): INCLUSION[0, 8],
    (6, 8): [
        "0ebc5d3437fbe2db158b9f126a1d118e308181031d0a949f8dededebc558ef6a",
        "ca854ea128ed050b41b35ffc1b87b8eb2bde461e9e3b5596ece6b9d5975a0ae0",
        "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    ],
    (2, 5): [
        "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e",
        "bc1a0643b12e4d2d7c77918f44e0f4f79a838b6cf9ec5b5c283e1f4d88599e6b",
    ],
}
LEAVES = [merkle.leaf(bytes.fromhex(text)) for text in DATA]
MANY = [merkle.leaf(bytes([i])) for i in range(64)]


def by_definition(leaves: list[bytes]) -> bytes:
    """The root as section 2.1.1 defines it, with nothing of ours."""
    if not leaves:
        return sha256(b"").digest()
    if len(leaves) == 1:
        return leaves[0]
    k = 1
    while 2 * k < len(leaves):
        k *= 2
    return sha256(b"\x01" + by_definition(leaves[:k]) + by_definition(leaves[k:])).digest()


@pytest.mark.parametrize("size", range(9))
def test_the_reference_roots(size: int) -> None:
    assert merkle.root(LEAVES[:size]).hex() == ROOTS[size]


def test_the_reference_proofs() -> None:
    for (n, size), proof in INCLUSION.items():
        assert [d.hex() for d in merkle.inclusion(LEAVES[:size], n)] == proof
    for (old, size), proof in CONSISTENCY.items():
        assert [d.hex() for d in merkle.consistency(LEAVES[:size], old)] == proof


def test_every_root_up_to_64_and_the_frontier_on_the_way() -> None:
    tree = Frontier()
    for size in range(65):
        assert tree.root() == merkle.root(MANY[:size]) == by_definition(MANY[:size])
        assert tree.size == size
        tree = Frontier.read(size, tree.to_json())  # goes on from what was written down
        if size < 64:
            tree.append(MANY[size])


def test_every_inclusion_up_to_64() -> None:
    for size in range(1, 65):
        root = by_definition(MANY[:size])
        for n in range(size):
            proof = merkle.inclusion(MANY[:size], n)
            assert merkle.check_inclusion(MANY[n], n, size, proof, root)
            assert len(proof) <= (size - 1).bit_length()
            for wrong in {(n + 1) % size, size - 1 - n, n ^ 1} - {n}:
                assert not merkle.check_inclusion(MANY[n], wrong, size, proof, root)


def test_every_consistency_up_to_64() -> None:
    roots = [by_definition(MANY[:size]) for size in range(65)]
    for size in range(65):
        for old in range(size + 1):
            proof = merkle.consistency(MANY[:size], old)
            assert merkle.check_consistency(old, size, roots[old], roots[size], proof)
            if old:
                assert not merkle.check_consistency(old, size, roots[old - 1], roots[size], proof)
            if old < size:
                assert old == 0 or not merkle.check_consistency(old, size, roots[old], roots[size - 1], proof)


@given(st.integers(1, 64), st.data())
def test_a_planted_wrong_inclusion_is_refused(size: int, data: st.DataObject) -> None:
    n = data.draw(st.integers(0, size - 1))
    root, proof = by_definition(MANY[:size]), merkle.inclusion(MANY[:size], n)
    kind = data.draw(st.sampled_from(["leaf", "root", "longer", "shorter", "bit", "swap", "index"]))
    digest, where, expected, wrong = MANY[n], n, root, list(proof)
    if kind == "leaf":
        digest = merkle.leaf(b"stranger")
    elif kind == "root":
        expected = data.draw(st.binary(min_size=32, max_size=32))
    elif kind == "longer":
        wrong.insert(data.draw(st.integers(0, len(wrong))), data.draw(st.sampled_from([root, digest, b"\0" * 32])))
    elif kind == "index":
        where = data.draw(st.integers(-3, 200).filter(lambda i: i != n))
    elif not wrong:
        return
    elif kind == "shorter":
        wrong.pop(data.draw(st.integers(0, len(wrong) - 1)))
    elif kind == "bit":
        place = data.draw(st.integers(0, len(wrong) - 1))
        wrong[place] = bytes([wrong[place][0] ^ 1]) + wrong[place][1:]
    elif len(wrong) > 1:
        wrong[0], wrong[1] = wrong[1], wrong[0]
    else:
        return
    assert not merkle.check_inclusion(digest, where, size, wrong, expected)


@given(st.integers(2, 64), st.data())
def test_a_planted_wrong_consistency_is_refused(size: int, data: st.DataObject) -> None:
    old = data.draw(st.integers(1, size - 1))
    proof = merkle.consistency(MANY[:size], old)
    kind = data.draw(st.sampled_from(["bit", "longer", "shorter", "other tree"]))
    old_root, wrong = by_definition(MANY[:old]), list(proof)
    if kind == "other tree":
        old_root = by_definition([*MANY[: old - 1], merkle.leaf(b"stranger")])
    elif kind == "longer":
        wrong.insert(data.draw(st.integers(0, len(wrong))), data.draw(st.sampled_from([old_root, b"\0" * 32])))
    elif kind == "shorter":
        wrong.pop(data.draw(st.integers(0, len(wrong) - 1)))
    else:
        place = data.draw(st.integers(0, len(wrong) - 1))
        wrong[place] = bytes([wrong[place][0] ^ 1]) + wrong[place][1:]
    assert not merkle.check_consistency(old, size, old_root, by_definition(MANY[:size]), wrong)


def test_leaves_and_nodes_do_not_share_digests() -> None:
    """Without the prefixes, an inner node could be passed off as a leaf."""
    left, right = MANY[:2]
    assert merkle.leaf(left + right) != merkle.node(left, right)


def test_what_is_not_there_is_refused_in_a_sentence() -> None:
    for n in (-1, 3):
        with pytest.raises(MakarError, match="no leaf"):
            merkle.inclusion(MANY[:3], n)
        assert not merkle.check_inclusion(MANY[0], n, 3, [], MANY[0])
    for old in (-1, 4):
        with pytest.raises(MakarError, match="not grown"):
            merkle.consistency(MANY[:3], old)
        assert not merkle.check_consistency(old, 3, merkle.EMPTY, merkle.EMPTY, [])


@pytest.mark.parametrize("plain", [["x"], ["A" * 64], ["0" * 63], [None], ["0" * 64] * 2, [], ["0" * 64] * 99])
def test_a_strange_frontier_is_refused(plain: list[str]) -> None:
    with pytest.raises(MakarError, match="frontier"):
        Frontier.read(4, plain)
    with pytest.raises(MakarError, match="frontier"):
        Frontier.read(2**13_000, ["0" * 64])
