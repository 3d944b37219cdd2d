"""Merkle trees of Certificate Transparency (RFC 9162, section 2.1), over SHA-256.

    leaf(d) = SHA256(0x00 || d)        node(l, r) = SHA256(0x01 || l || r)        root of no leaves = SHA256("")

The root of n > 1 leaves is node(root of the first k, root of the others), k the largest power of two below n. Leaves,
nodes, roots and proofs are digests of 32 bytes; a tree is given as the sequence of its leaves' digests. Checking takes
whatever a stranger sends and answers with a bool.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from hashlib import sha256
from typing import Self

from makar.core.errors import MakarError

EMPTY = sha256(b"").digest()
"""The root of a tree without leaves."""


def leaf(data: bytes) -> bytes:
    """The digest of a leaf that holds `data`."""
    return sha256(b"\x00" + data).digest()


def node(left: bytes, right: bytes) -> bytes:
    """The digest of an inner node."""
    return sha256(b"\x01" + left + right).digest()


class Frontier:
    """The right edge of a growing tree: roots of its perfect subtrees, one for each bit set in `size`, largest first.

    It is all that is needed to go on: a leaf is added in O(1) amortised, the root read in O(log n).
    """

    def __init__(self, size: int = 0, nodes: Sequence[bytes] = ()) -> None:
        self.size = size
        self.nodes = list(nodes)

    def append(self, digest: bytes) -> None:
        """Add the digest of the next leaf: it merges with every perfect subtree of its own size, as a carry does."""
        size = self.size
        while size & 1:
            digest = sha256(b"\x01" + self.nodes.pop() + digest).digest()
            size >>= 1
        self.nodes.append(digest)
        self.size += 1

    def root(self) -> bytes:
        """The root of the tree as it is."""
        if not self.nodes:
            return EMPTY
        digest = self.nodes[-1]
        for left in reversed(self.nodes[:-1]):
            digest = node(left, digest)
        return digest

    def to_json(self) -> list[str]:
        """Its nodes in hexadecimal."""
        return [digest.hex() for digest in self.nodes]

    @classmethod
    def read(cls, size: int, plain: Sequence[str]) -> Self:
        """The frontier of a tree of `size` leaves from its nodes in hexadecimal. Raises MakarError where it is none."""
        nodes = digests(plain)
        if not 0 <= size < 2**63 or nodes is None or len(nodes) != size.bit_count():
            raise MakarError("the frontier of a tree must have a digest for each bit set in its size; it does not")
        return cls(size, nodes)


_DIGEST = re.compile(r"[0-9a-f]{64}")


def digests(plain: object) -> list[bytes] | None:
    """A list of at most 64 digests from lower-case hexadecimal (no tree is higher); None where it is none."""
    if not isinstance(plain, list | tuple) or len(plain) > 64:
        return None
    found = []
    for text in plain:
        if not isinstance(text, str) or not _DIGEST.fullmatch(text):
            return None
        found.append(bytes.fromhex(text))
    return found


def root(leaves: Sequence[bytes]) -> bytes:
    """The root over the digests of leaves."""
    tree = Frontier()
    for digest in leaves:
        tree.append(digest)
    return tree.root()


def _split(size: int) -> int:
    """The largest power of two below `size`, which is at least 2."""
    return 1 << ((size - 1).bit_length() - 1)


def inclusion(leaves: Sequence[bytes], n: int) -> list[bytes]:
    """The proof that leaf n is in the tree (section 2.1.3.1): the siblings on its way up, lowest first."""
    if not 0 <= n < len(leaves):
        raise MakarError(f"there is no leaf {n} in a tree of {len(leaves)}")
    if len(leaves) == 1:
        return []
    k = _split(len(leaves))
    if n < k:
        return [*inclusion(leaves[:k], n), root(leaves[k:])]
    return [*inclusion(leaves[k:], n - k), root(leaves[:k])]


def check_inclusion(digest: bytes, n: int, size: int, proof: Sequence[bytes], expected: bytes) -> bool:
    """Whether the proof shows that the leaf of this digest is number n of the tree of that root (section 2.1.3.2)."""
    if not 0 <= n < size:
        return False
    here, last = n, size - 1
    for sibling in proof:
        if last == 0:
            return False
        if here & 1 or here == last:
            digest = node(sibling, digest)
            while not here & 1 and here:  # a right edge without siblings on these levels
                here, last = here >> 1, last >> 1
        else:
            digest = node(digest, sibling)
        here, last = here >> 1, last >> 1
    return last == 0 and digest == expected


def consistency(leaves: Sequence[bytes], old: int) -> list[bytes]:
    """The proof that the tree of the first `old` leaves is a beginning of this one (section 2.1.4.1)."""
    if not 0 <= old <= len(leaves):
        raise MakarError(f"a tree of {len(leaves)} leaves has not grown from one of {old}")
    return _subproof(leaves, old, True) if 0 < old < len(leaves) else []


def _subproof(leaves: Sequence[bytes], old: int, known: bool) -> list[bytes]:
    """SUBPROOF of section 2.1.4.1; `known`: whether the old tree's root is the root of these leaves."""
    if old == len(leaves):
        return [] if known else [root(leaves)]
    k = _split(len(leaves))
    if old <= k:
        return [*_subproof(leaves[:k], old, known), root(leaves[k:])]
    return [*_subproof(leaves[k:], old - k, False), root(leaves[:k])]


def check_consistency(old: int, size: int, old_root: bytes, new_root: bytes, proof: Sequence[bytes]) -> bool:
    """Whether the proof shows that the tree of `size` leaves begins with that of `old` leaves (section 2.1.4.2)."""
    if not 0 <= old <= size:
        return False
    if old in (0, size):  # nothing was there, or nothing was added: there is nothing to prove
        return not proof and old_root == (EMPTY if old == 0 else new_root)
    path = list(proof)
    if old & (old - 1) == 0:
        path.insert(0, old_root)
    if not path:
        return False
    here, last = old - 1, size - 1
    while here & 1:
        here, last = here >> 1, last >> 1
    before = after = path[0]
    for digest in path[1:]:
        if last == 0:
            return False
        if here & 1 or here == last:
            before, after = node(digest, before), node(digest, after)
            while not here & 1 and here:
                here, last = here >> 1, last >> 1
        else:
            after = node(after, digest)
        here, last = here >> 1, last >> 1
    return last == 0 and before == old_root and after == new_root
