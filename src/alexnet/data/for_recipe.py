"""A source packed as a recipe wants it."""

from alexnet.data.cache import packed_in_cache
from alexnet.data.packed import Packed
from alexnet.data.source import Source
from alexnet.data.stored import NATIVE_SIDE
from alexnet.recipe import Recipe


def packed_for(
    source: Source | Packed, recipe: Recipe, published: int = 224, small: int = 67
) -> tuple[Packed, int, int]:
    """Pack a source; give it with the side of the net's input and the shorter side that patches are cut from.

    Args:
        source: what to pack, or a pack.
        recipe: size, margin and how to store.
        published: side in pixels where the recipe has none.
        small: the same for sets of small images (at most 64 pixels).
    """
    few = isinstance(source, Source) and source.arrays is not None and max(source.arrays.shape[1:3]) <= NATIVE_SIDE
    size = recipe.size or (small if few else published)
    if isinstance(source, Source):
        side = side_for(size, recipe)
        # Small images keep their own size, and packed ones theirs, unless a side is asked for by name.
        asked = None if few or source.kind == "packed" or side == round(size * 256 / 224) else side
        if recipe.augmentation.scale and not few and source.kind != "packed":
            asked = max(side, round(size * recipe.augmentation.scale[1]))  # so that none has to be enlarged
        source = packed_in_cache(source, recipe.data.stored or asked, recipe.data.crop, recipe.data.format, size)
    if source.native and recipe.size is None:
        size = small
    return source, size, side_for(size, recipe)


def side_for(size: int, recipe: Recipe) -> int:
    """The shorter side, in pixels, that patches of `size` are cut from."""
    return recipe.data.stored or round(size * recipe.data.margin)
