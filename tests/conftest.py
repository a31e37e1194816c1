"""Settings for the whole suite: the Hypothesis profiles, a certificate and a search for secrets.

A test in whose output or log a password of the suite stands has failed, whatever it is about (P16).
`HYPOTHESIS_PROFILE` names the profile: `dev` (default), `smoke` (few examples), `ci` (the
same examples every time) or `nightly` (many). With `MAILPROTO_FREEZE` values are really frozen.
"""

from __future__ import annotations

import base64
import os
from collections.abc import Generator, Iterator
from typing import TYPE_CHECKING, Final

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


_PASSWORDS: Final = (
    "wonderland",
    "looking-glass",
    "under the sea",
    "Canary-7Q4x.Zk9w",
    "Canary-8R5y.Al0x",
    "Wrong-Bird-2M8v?yt",
    "ya29.vF9dft4qmTc2Nvb3RlckBhdHRhdmlzdGEuY29tCg",
)
"""Passwords and tokens of the sessions that the suite has."""


def _disguises(password: str) -> Iterator[str]:
    yield password
    for before in range(3):
        encoded = base64.b64encode(b"\0" * before + password.encode()).decode()
        yield encoded[4:-4]  # the first and the last group depend on the neighbours


_UNSHOWN: Final = [shown for password in _PASSWORDS for shown in _disguises(password)]


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """What a test has printed or logged is searched for the passwords of the suite."""
    report = yield
    shown = "\n".join(text for _, text in report.sections)
    found = [secret for secret in _UNSHOWN if secret in shown]
    if report.passed and found:
        report.outcome = "failed"
        report.longrepr = f"P16: a password is in the output: {found}\n{shown}"
    return report


@pytest.fixture(scope="session")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> CertificateFiles:
    """A certificate for localhost that is its own authority."""
    from mailproto.cli.certificate import make_certificate

    return make_certificate(tmp_path_factory.mktemp("tls"))
