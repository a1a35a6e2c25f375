"""Settings that can't be meant stop the start, and name what is wrong."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from kit.origins import OriginSettings


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("import_dir", "films"),
        ("remote_allow", "10.0.0.0/99"),
        ("remote_ports", "http"),
        ("remote_timeout_sec", 0),
        ("remote_timeout_sec", 121),
        ("s3_endpoint_url", "minio:9000"),
        ("s3_endpoint_url", "http://key:secret@minio:9000"),
        ("s3_region", "eu west"),
        ("s3_secret_access_key", "without an id"),
    ],
)
def test_refuses_malformed_values(field: str, value: Any) -> None:
    with pytest.raises(ValidationError) as refused:
        OriginSettings.model_validate({field: value})
    (error,) = refused.value.errors()
    assert error["loc"] == (field,)


def test_an_id_without_its_secret() -> None:
    with pytest.raises(ValidationError) as refused:
        OriginSettings.model_validate({"s3_access_key_id": "marquee"})
    (error,) = refused.value.errors()
    assert error["loc"] == ("s3_secret_access_key",)


def test_defaults_permit_public_machines_without_credentials() -> None:
    settings = OriginSettings.model_validate({})
    assert (settings.import_dir, settings.remote_allow, settings.remote_ports) == (None, "", "80,443")
    assert settings.s3_endpoint().credentials is None


def test_repr_hides_secrets() -> None:
    settings = OriginSettings.model_validate({"s3_access_key_id": "marquee", "s3_secret_access_key": "hidden"})
    assert "hidden" not in repr(settings)
