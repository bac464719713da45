"""The composition: one capability more than the product's."""

from functools import partial

from tests.capabilities.third.capability import MEAN

from luna_serving import app

CAPABILITIES = (*app.CAPABILITIES, MEAN)
build = partial(app.application, CAPABILITIES)
