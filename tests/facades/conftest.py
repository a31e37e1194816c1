"""What the stories of both facades need."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from facades.world import Facade, World
from mailproto.cli.certificate import CertificateFiles


@pytest.fixture(scope="session", params=["sync", "aio"])
def facade(request: pytest.FixtureRequest) -> Iterator[Facade]:
    made = Facade(request.param)
    yield made
    made.close()


@pytest.fixture
def world(facade: Facade, certificate: CertificateFiles) -> Iterator[World]:
    made = World(facade, certificate)
    yield made
    made.close()
