"""Recipes and their overrides."""

import pytest

from training.recipes import RECIPES, Recipe, UsageError, build_network, disable_distortions, override


def test_another_architecture_drops_the_arguments() -> None:
    assert dict(override(RECIPES["fast"], {"architecture": "dense"}).arguments) == {}
    assert dict(override(RECIPES["fast"], {"epochs": 9}).arguments) == {"width": 16}


def test_arguments_that_a_network_does_not_take_are_named() -> None:
    with pytest.raises(UsageError, match="dense cannot be built with"):
        build_network(override(Recipe(), {"architecture": "dense", "arguments": {"width": 3}}))


def test_distortions_are_disabled_by_name() -> None:
    recipe = disable_distortions(Recipe(), ["blur", "noise"])
    assert not recipe.distortions.blur
    assert not recipe.distortions.noise
    assert recipe.distortions.affine
    with pytest.raises(UsageError, match="elastic"):
        disable_distortions(recipe, ["rain"])
