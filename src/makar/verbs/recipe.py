"""Recipes as TOML: any recipe prints as TOML, and any such TOML runs."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any, get_args

import tomli_w

from makar.core import config, registry
from makar.core.errors import MakarError, did_you_mean
from makar.core.recipe import Recipe, Size


def named(name: str, size: str = "laptop") -> Recipe:
    """The recipe of this name. Raises MakarError for a name or a size that is not there."""
    if size not in get_args(Size):
        raise MakarError(f"there is no size '{size}'{did_you_mean(size, get_args(Size))}")
    made: Recipe = registry.load("recipes", name)(size)
    return made


def describe(name: str, size: str = "laptop") -> dict[str, Any]:
    """The recipe as plain data, the family's defaults filled in so that nothing is left unsaid."""
    recipe = named(name, size)
    kind = registry.load("families", recipe.family)
    whole = config.to_plain(config.build(kind.Config, recipe.settings, f"the recipe '{name}'"))
    plain: dict[str, Any] = _pruned(config.to_plain(recipe) | {"settings": whole})
    return plain


def _pruned(value: Any) -> Any:
    """Without None, which TOML cannot say and which is what an absent key means."""
    if isinstance(value, dict):
        return {key: _pruned(item) for key, item in value.items() if item is not None}
    if isinstance(value, list | tuple):
        return [_pruned(item) for item in value]
    return value


def to_toml(name: str, size: str = "laptop") -> str:
    """The recipe as TOML."""
    return tomli_w.dumps(describe(name, size))


def resolve(family_or_recipe: str) -> Recipe:
    """A family's name, a recipe's name, or the path of a TOML file, as a recipe."""
    if family_or_recipe.endswith(".toml"):
        return from_toml(Path(family_or_recipe))
    if family_or_recipe in registry.modules("recipes") and family_or_recipe not in registry.modules("families"):
        return named(family_or_recipe)
    return Recipe(family=family_or_recipe)


def from_toml(path: Path) -> Recipe:
    """The recipe in a TOML file. Raises MakarError for a key that is unknown, with the nearest known one."""
    try:
        given = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise MakarError(f"the recipe {path} cannot be read ({error.strerror})") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise MakarError(f"the recipe {path} is not TOML: {error}") from None
    return config.build(Recipe, given, f"the recipe {path}")
