"""Settings for the whole suite: the Hypothesis profiles and a certificate.

`HYPOTHESIS_PROFILE` names the profile: `dev` (default), `smoke` (few examples), `ci` (the
same examples every time) or `nightly` (many). With `MAILPROTO_FREEZE` values are really frozen.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import attrs
import pytest
from hypothesis import HealthCheck, settings

from mailproto._core import frozen

if TYPE_CHECKING:
    from mailproto.cli.certificate import CertificateFiles

if os.environ.get("MAILPROTO_FREEZE"):
    # Values are frozen at run time too, for no class that uses it has been made yet.
    frozen.frozen = attrs.frozen

settings.register_profile("dev", max_examples=60, deadline=None)
settings.register_profile("smoke", max_examples=10, deadline=None, derandomize=True)
settings.register_profile(
    "ci",
    max_examples=150,
    deadline=None,
    derandomize=True,
    print_blob=True,
    suppress_health_check=[HealthCheck.too_slow],
)
settings.register_profile(
    "nightly",
    max_examples=20_000,
    deadline=None,
    print_blob=True,
    suppress_health_check=[HealthCheck.too_slow],
)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "ci" if os.environ.get("CI") else "dev"))


@pytest.fixture(scope="session")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> CertificateFiles:
    """A certificate for localhost that is its own authority."""
    from mailproto.cli.certificate import make_certificate

    return make_certificate(tmp_path_factory.mktemp("tls"))
