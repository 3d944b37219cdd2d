"""Signals by which a maker says that machines may not learn from their work, each read from what was already fetched.

Every function takes what a server or a file said and returns a `Found`: "no", "yes" or "silent" with a sentence. Where
a signal has conditions (a policy, a price, a constraint) it counts as "no": nobody has met them here.
"""

from __future__ import annotations

import io
import json
import re
from collections.abc import Iterable, Iterator
from functools import lru_cache
from html.parser import HTMLParser
from typing import Any, Literal, NamedTuple
from urllib.parse import urlsplit
from xml.etree import ElementTree

from makar.core.errors import MakarError, MissingExtra

AGENT = "makar"
AGENTS = (
    AGENT,
    "GPTBot",
    "CCBot",
    "Google-Extended",
    "Applebot-Extended",
    "ClaudeBot",
    "anthropic-ai",
    "Amazonbot",
    "Bytespider",
    "cohere-ai",
    "cohere-training-data-crawler",
    "Diffbot",
    "FacebookBot",
    "img2dataset",
    "ImagesiftBot",
    "meta-externalagent",
    "omgili",
    "webzio-extended",
)
"""Our own token, and crawlers that say they collect for training: who shuts one of them out means training."""


class Found(NamedTuple):
    """What a signal says, and a sentence on it."""

    verdict: Literal["no", "yes", "silent", "not looked at"]
    why: str


def robots(text: str, url: str) -> Found:
    """Whether robots.txt (RFC 9309) shuts out our own token or a crawler for training. Raises MissingExtra."""
    rules = _rules(text)
    shut = [agent for agent in AGENTS if not rules.can_fetch(url, agent)]
    if shut:
        return Found("no", f"it shuts out {', '.join(shut[:3])}{', …' if shut[3:] else ''}")
    return Found("silent", "it shuts out no crawler for training")


@lru_cache(maxsize=64)  # one site has many files
def _rules(text: str) -> Any:
    try:
        from protego import Protego
    except ImportError:
        raise MissingExtra("protego", "provenance") from None
    return Protego.parse(text)


_TRAINING = ("train-genai", "genai", "train-ai", "ai-train", "ai", "tdm", "bots")
"""Categories that hold generative training, the narrowest first: of AIPREF (draft-ietf-aipref-vocab, several
revisions) and of Content Signals (draft-romm-aipref-contentsignals)."""


def usage(preference: str) -> Found:
    """An AIPREF preference such as `train-ai=n, search=y`, from the header Content-Usage or a line of robots.txt."""
    stated: dict[str, str] = {}
    for part in preference.lower().split(","):
        key, equals, value = part.partition(";")[0].partition("=")
        if equals and value.strip() in ("y", "n", "yes", "no"):
            stated[key.strip()] = value.strip()[0]
    for key in _TRAINING:
        if key in stated:
            return Found("no" if stated[key] == "n" else "yes", f"it says {key}={stated[key]}")
    return Found("silent", "it says nothing of training")


def usage_in_robots(text: str, url: str) -> Found:
    """The lines Content-Usage and Content-Signal of robots.txt whose group and path fit; the longest path counts."""
    heard = {agent.lower() for agent in AGENTS} | {"*"}
    fitting: list[tuple[int, Found]] = []
    for agents, key, value in _grouped(text):
        if key not in ("content-usage", "content-signal") or not heard & agents:
            continue
        pattern, _, rest = value.partition(" ") if value.startswith(("/", "*")) else ("/", "", value)
        if fits(pattern, _path(url)):
            fitting.append((len(pattern), usage(rest)))
    said = [(length, found) for length, found in fitting if found.verdict != "silent"]
    if not said:
        return Found("silent", "no line of it speaks of training")
    longest = max(length for length, _ in said)
    return min((found for length, found in said if length == longest), key=lambda found: found.verdict)  # "no" first


def _grouped(text: str) -> Iterator[tuple[set[str], str, str]]:
    """The lines of a robots.txt: the agents of their group, key in small letters, value."""
    agents: set[str] = set()
    naming = False
    for line in text.splitlines():
        key, colon, value = line.partition("#")[0].partition(":")
        key, value = key.strip().lower(), value.strip()
        if not colon:
            continue
        if key == "user-agent":
            agents = {*(agents if naming else ()), value.lower()}
            naming = True
        else:
            naming = False
            yield agents, key, value


def _path(url: str) -> str:
    try:
        parts = urlsplit(url)
    except ValueError:
        return "/"
    return (parts.path or "/") + (f"?{parts.query}" if parts.query else "")


def fits(pattern: str, path: str) -> bool:
    """Whether a path begins with a pattern in which * stands for anything and a last $ for the end (RFC 9309, 2.2.3).

    Each piece is taken where it first occurs, so that the time grows with the lengths and not with their powers.
    """
    ended = pattern.endswith("$")
    pieces = pattern.removesuffix("$").split("*")
    if not path.startswith(pieces[0]):
        return False
    place = len(pieces[0])
    for piece in pieces[1:-1] if len(pieces) > 1 else []:
        found = path.find(piece, place)
        if found < 0:
            return False
        place = found + len(piece)
    if len(pieces) == 1:
        return not ended or place == len(path)
    if ended:
        return path.endswith(pieces[-1]) and len(path) - len(pieces[-1]) >= place
    return path.find(pieces[-1], place) >= 0


def _longest(rules: Iterable[tuple[str, bool]], path: str) -> bool | None:
    """Whether the longest pattern that fits a path forbids; None where none fits; of two as long, the one that does."""
    fitting = [(len(pattern), forbids) for pattern, forbids in rules if fits(pattern, path)]
    return max(fitting)[1] if fitting else None


def ai_txt(text: str, url: str) -> Found:
    """Spawning's ai.txt: robots.txt's lines Allow and Disallow, on use for training."""
    rules = [(value, key == "disallow") for _, key, value in _grouped(text) if key in ("allow", "disallow") and value]
    forbids = _longest(rules, _path(url))
    if forbids is None:
        return Found("silent", "no rule of it fits")
    return Found("no", "it disallows this file") if forbids else Found("yes", "it allows this file")


def tdm_reservation(value: Any) -> Found:
    """The value of TDMRep's tdm-reservation (W3C Community Group report, 2024): 1 reserves, 0 does not."""
    if str(value).strip() == "1":
        return Found("no", "it reserves the rights of text and data mining")
    if str(value).strip() == "0":
        return Found("yes", "it reserves no rights of text and data mining")
    return Found("silent", "its value is neither 0 nor 1")


def tdmrep(text: str, url: str) -> Found:
    """TDMRep's /.well-known/tdmrep.json: of its rules that with the longest location which fits."""
    try:
        plain = json.loads(text)
    except (ValueError, RecursionError):
        return Found("no", "it cannot be read as JSON, so what it reserves is not known")
    rules = [
        (str(rule["location"]), str(rule.get("tdm-reservation")).strip() != "0")
        for rule in (plain if isinstance(plain, list) else [plain])
        if isinstance(rule, dict) and "location" in rule
    ]
    forbids = _longest(rules, _path(url))
    if forbids is None:
        return Found("silent", "no rule of it fits")
    return tdm_reservation(int(forbids))


_TRAIN_USES = {"all", "ai-all", "ai-train", "train-ai", "train-genai"}


def rsl(text: str, url: str) -> Found:
    """A licence in RSL 1.0 (Really Simple Licensing, 2025): what it prohibits, does not permit, or sells."""
    if "<!doctype" in text.lower() or "<!entity" in text.lower():
        return Found("no", "it declares entities and is not read")
    try:
        root = ElementTree.fromstring(text)
    except (ElementTree.ParseError, RecursionError, ValueError):
        return Found("no", "it cannot be read as XML, so what it prohibits is not known")
    contents = [node for node in root.iter() if _local(node) == "content" and fits(node.get("url", "/"), _path(url))]
    for licence in (node for content in contents for node in content.iter() if _local(node) == "license"):
        prohibited, permitted = _uses(licence, "prohibits"), _uses(licence, "permits")
        if prohibited & _TRAIN_USES or (permitted and not permitted & _TRAIN_USES):
            return Found("no", "it does not permit training")
        kinds = {node.get("type", "free") for node in licence if _local(node) == "payment"}
        if kinds - {"free", "attribution"}:
            return Found("no", f"it permits training against payment ({', '.join(sorted(kinds))[:80]})")
    return Found("yes", "it permits training") if contents else Found("silent", "no content of it fits")


def _local(node: ElementTree.Element) -> str:
    return node.tag.rpartition("}")[2]


def _uses(licence: ElementTree.Element, name: str) -> set[str]:
    nodes = [node for node in licence if _local(node) == name and node.get("type") == "usage"]
    return {word.strip() for node in nodes for word in re.split(r"[,\s]+", node.text or "") if word.strip()}


def robots_words(value: str, picture: bool) -> Found:
    """The header X-Robots-Tag or the meta tag robots: `noai`, and for pictures `noimageai` (DeviantArt, 2022)."""
    words = set(re.split(r"[,:;\s]+", value.lower()))
    refused = words & ({"noai", "noimageai"} if picture else {"noai"})
    return Found("no", f"it says {sorted(refused)[0]}") if refused else Found("silent", "it says nothing of training")


class _Meta(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.tags: list[tuple[str, str]] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag == "meta":
            named = {key: value or "" for key, value in attrs}
            self.tags.append((named.get("name", "").lower(), named.get("content", "")))


def page(html: str, picture: bool) -> list[tuple[str, Found]]:
    """The meta tags of a page that speak of training, each with its kind."""
    parser = _Meta()
    parser.feed(html)
    robots_names = {"robots", *(agent.lower() for agent in AGENTS)}
    found = [("meta robots", robots_words(content, picture)) for name, content in parser.tags if name in robots_names]
    found += [("meta tdm", tdm_reservation(content)) for name, content in parser.tags if name == "tdm-reservation"]
    return found


_DATA_MINING = re.compile(rb"DataMining\b[^\0]{0,300}?\b(DMI-[A-Z-]{1,60})")


def xmp(packet: bytes) -> Found | None:
    """The PLUS field Data Mining in a picture's XMP (IPTC Photo Metadata 2023.1); None where there is none."""
    match = _DATA_MINING.search(packet)
    if match is None:
        return None
    value = match[1].decode()
    if value.startswith("DMI-PROHIBITED"):
        return Found("no", f"its data mining field is {value}")
    return Found("yes" if value == "DMI-ALLOWED" else "silent", f"its data mining field is {value}")


def has_c2pa(data: bytes) -> bool:
    """Whether a file seems to hold a C2PA manifest: a JUMBF box of that name."""
    return b"jumb" in data and b"c2pa" in data


_ENTRIES = ("ai_generative_training", "ai_training", "data_mining")
_STRICT = {"notAllowed": 0, "constrained": 1, "allowed": 2}
_OFFLINE = {
    "core": {"decode_identity_assertions": False, "allowed_network_hosts": []},
    "verify": {"ocsp_fetch": False, "remote_manifest_fetch": False},
}


def c2pa(data: bytes, media_type: str) -> Found:
    """The assertion cawg.training-mining (CAWG 1.1), or C2PA's before it, in any manifest of a file.

    A manifest that does not hold can still say no. Without the library it is "not looked at".
    """
    try:
        import c2pa as library
    except ImportError:
        return Found("not looked at", "c2pa is not installed; run: pip install 'makar[provenance]'")
    try:
        with (
            library.Context.from_dict(_OFFLINE) as context,
            library.Reader(media_type, io.BytesIO(data), context=context) as reader,
        ):
            store = json.loads(reader.json())
    except (library.C2paError, ValueError, TypeError, RecursionError) as error:
        return Found("not looked at", f"its credential cannot be read ({' '.join(str(error).split())[:80]})")
    said: dict[str, str] = {}
    for name, use in _mining_entries(store):
        if name in _ENTRIES:
            said[name] = min(use, said.get(name, use), key=lambda word: _STRICT.get(word, 1))
    refused = [name for name in said if said[name] != "allowed"]
    if refused:
        return Found("no", f"it says {refused[0]}: {said[refused[0]][:40]}")
    if said:
        return Found("yes", f"it says {next(iter(said))}: allowed")
    return Found("silent", "its credential says nothing of training")


def _mining_entries(store: Any) -> Iterator[tuple[str, str]]:
    """Each use that an assertion on training speaks of, without its prefix, and what it says; of all manifests."""
    for manifest in _object(_object(store).get("manifests")).values():
        assertions = _object(manifest).get("assertions")
        for assertion in assertions if isinstance(assertions, list) else []:
            label = str(_object(assertion).get("label", ""))
            if label.startswith(("cawg.training-mining", "c2pa.training-mining")):
                for name, entry in _object(_object(assertion.get("data")).get("entries")).items():
                    yield name.rpartition(".")[2], str(_object(entry).get("use", ""))


def _object(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def text_of(data: bytes, what: str) -> str:
    """Bytes as text, whatever they hold. Raises MakarError for more than 4 MB, which no such file has."""
    if len(data) > 4_000_000:
        raise MakarError(f"{what} has {len(data):,} bytes; a file of its kind has at most 4,000,000")
    return data.decode("utf-8", "replace").removeprefix("\ufeff")
