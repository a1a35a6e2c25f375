"""The environment of containers is what the services read, on compose and on Kubernetes."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
import yaml

from apps.marquee.embedded import SERVICES
from kit.settings import names
from tests.stacks.base import REPOSITORY

BASE = REPOSITORY / "deploy" / "k8s" / "base"
SCHEMA = "1.31"
Manifest = dict[str, Any]


class ComposeLoader(yaml.SafeLoader):
    """Reads `!reset`, by which an overlay removes what another file has."""


ComposeLoader.add_constructor("!reset", lambda _loader, _node: None)


def overlay_services(name: str) -> Manifest:
    text = (REPOSITORY / "deploy" / "compose" / name).read_text()
    return dict(yaml.load(text, ComposeLoader)["services"])  # noqa: S506 - a safe loader's subclass


def manifests() -> Iterator[Manifest]:
    listed = yaml.safe_load((BASE / "kustomization.yaml").read_text())["resources"]
    assert {path.name for path in BASE.glob("*.yaml")} == {*listed, "kustomization.yaml"}
    for name in listed:
        yield from yaml.safe_load_all((BASE / name).read_text())


MANIFESTS = {f"{one['kind']}-{one['metadata']['name']}": one for one in manifests()}
DEPLOYMENTS = {key: one for key, one in MANIFESTS.items() if one["kind"] == "Deployment"}


def pod(deployment: Manifest) -> Manifest:
    return dict(deployment["spec"]["template"]["spec"])


@pytest.mark.parametrize("name", MANIFESTS)
def test_manifest_is_valid_for_the_kubernetes_api(name: str) -> None:
    kubernetes_validate.validate(MANIFESTS[name], SCHEMA, strict=True)


@pytest.mark.parametrize("name", DEPLOYMENTS)
def test_pods_are_confined_and_probed(name: str) -> None:
    spec = pod(DEPLOYMENTS[name])
    assert spec["securityContext"]["runAsNonRoot"] is True
    assert spec["automountServiceAccountToken"] is False
    for container in [*spec.get("initContainers", []), *spec["containers"]]:
        confined = container["securityContext"]
        assert confined["readOnlyRootFilesystem"]
        assert confined["allowPrivilegeEscalation"] is False
        assert confined["capabilities"] == {"drop": ["ALL"]}
        assert container["resources"]["limits"]["memory"]
        mounted = {mount["name"] for mount in container["volumeMounts"]}
        assert mounted <= {volume["name"] for volume in spec["volumes"]}
    for container in spec["containers"]:
        assert {"startupProbe", "livenessProbe", "readinessProbe"} <= container.keys()


@pytest.mark.parametrize("service", SERVICES)
def test_pod_has_required_settings_of_its_service(service: str) -> None:
    """Every setting without a default is there, and none that no service reads."""
    container = pod(MANIFESTS[f"Deployment-{service}"])["containers"][0]
    common = MANIFESTS["ConfigMap-marquee-settings"]["data"].keys()
    given = {entry["name"] for entry in container.get("env", [])} | set(common)
    cls = SERVICES[service][1]
    required = {f"MARQUEE_{field.upper()}" for field, info in cls.model_fields.items() if info.is_required()}
    assert required <= given
    assert given <= names(cls for _, cls in SERVICES.values())


def test_every_container_is_confined_and_limited() -> None:
    services = yaml.safe_load((REPOSITORY / "docker-compose.yml").read_text())["services"]
    services |= {"caddy": overlay_services("tls.yml")["caddy"]}
    for name, service in services.items():
        assert service["read_only"] is True, name
        assert service["cap_drop"] == ["ALL"], name
        assert service["security_opt"] == ["no-new-privileges:true"], name
        assert service["mem_limit"], name
        assert service["pids_limit"] <= 1024, name
        assert service["logging"]["options"] == {"max-size": "10m", "max-file": "5"}, name
    assert {name for name, service in services.items() if "cap_add" in service} == {"redis", "caddy"}


def test_each_image_is_built_once_and_has_a_version() -> None:
    """Two builds of one name end in two images: each start would replace the containers of the other one."""
    services = yaml.safe_load((REPOSITORY / "docker-compose.yml").read_text())["services"]
    built = [service["image"] for service in services.values() if "build" in service]
    ours = {service["image"] for service in services.values() if service["image"].startswith("marquee/")}
    assert sorted(built) == sorted(ours)
    assert all(image.endswith(":${MARQUEE_VERSION:-latest}") for image in ours)


@pytest.mark.parametrize("service", SERVICES)
def test_container_has_required_settings_of_its_service(service: str) -> None:
    compose = yaml.safe_load((REPOSITORY / "docker-compose.yml").read_text())["services"]
    cls = SERVICES[service][1]
    given = set(compose[service]["environment"])
    required = {f"MARQUEE_{field.upper()}" for field, info in cls.model_fields.items() if info.is_required()}
    assert required <= given <= names([cls])


def test_gateway_has_same_proxies_and_limits_as_services() -> None:
    shared = {"MARQUEE_TRUSTED_PROXIES", "MARQUEE_RATE_LIMIT_PER_MIN", "MARQUEE_USER_RATE_LIMIT_PER_MIN"}
    compose = yaml.safe_load((REPOSITORY / "docker-compose.yml").read_text())["services"]
    for service in ("gateway", "auth", "catalog", "stream", "progress"):
        for name in shared:
            assert f"${{{name}:-" in compose[service]["environment"][name], f"{service} reads {name} of .env"
    settings = MANIFESTS["ConfigMap-marquee-settings"]["data"]
    container = pod(MANIFESTS["Deployment-gateway"])["containers"][0]
    for entry in container["env"]:
        if entry["name"] in shared:
            assert entry["valueFrom"]["configMapKeyRef"] == {"name": "marquee-settings", "key": entry["name"]}
            shared.remove(entry["name"])
            assert settings[entry["name"]]
    assert not shared


def test_gateway_knows_what_bounds_the_requests_of_a_replica() -> None:
    compose = yaml.safe_load((REPOSITORY / "docker-compose.yml").read_text())["services"]
    assert compose["gateway"]["environment"]["MARQUEE_MAX_STREAMS"] == "${MARQUEE_MAX_STREAMS:-100}"
    deployment = MANIFESTS["Deployment-gateway"]
    given = {entry["name"]: entry for entry in pod(deployment)["containers"][0]["env"]}
    assert given["MARQUEE_MAX_STREAMS"]["valueFrom"]["configMapKeyRef"]["key"] == "MARQUEE_MAX_STREAMS"
    assert given["GATEWAY_REPLICAS"]["value"] == str(deployment["spec"]["replicas"])
    # Only a headless service has the addresses of its pods under its name.
    assert given["UPSTREAM_STREAM"]["value"].startswith("stream.")
    assert MANIFESTS["Service-stream"]["spec"]["clusterIP"] == "None"


@pytest.mark.parametrize("overlay", ["origins.yml", "s3.yml"])
def test_overlays_for_other_machines_have_only_known_settings(overlay: str) -> None:
    for service, changed in overlay_services(overlay).items():
        assert set(changed["environment"]) <= names([SERVICES[service][1]])
        assert "outside" in changed["networks"]


@pytest.mark.parametrize(
    ("overlay", "let_out"),
    [
        (None, set()),
        ("origins.yml", {"catalog", "stream", "thumbnailer"}),
        ("s3.yml", {"catalog", "stream", "thumbnailer"}),
        ("alerts.yml", {"auth"}),
        ("tls.yml", {"caddy"}),
    ],
)
def test_only_required_services_are_on_outside_network(overlay: str | None, let_out: set[str]) -> None:
    compose = yaml.safe_load((REPOSITORY / "docker-compose.yml").read_text())
    assert compose["networks"]["inside"] == {"internal": True}
    places = {name: set(service["networks"]) for name, service in compose["services"].items()}
    if overlay:
        for name, service in overlay_services(overlay).items():
            # Compose adds the networks of both files.
            places[name] = places.get(name, set()) | set(service.get("networks", ()))
    assert {name for name, networks in places.items() if "outside" in networks} == {"gateway"} | let_out
    assert {name for name, networks in places.items() if "inside" not in networks} <= {"caddy"}


def test_every_compose_overlay_is_documented() -> None:
    example = (REPOSITORY / ".env.example").read_text()
    overlays = {path.name for path in (REPOSITORY / "deploy" / "compose").glob("*.yml")}
    assert overlays == set(
        re.findall(r"^#COMPOSE_FILE=docker-compose\.yml:deploy/compose/(\S+)$", example, re.MULTILINE)
    )


FIXED = {
    "MARQUEE_HTTP_HOST",
    "MARQUEE_HTTP_PORT",
    "MARQUEE_HTTP_WORKERS",
    "MARQUEE_GRPC_BIND",
    "MARQUEE_LSV_MASTER_KEY",
}
"""Settings that the images set, or that another setting of compose stands for."""


@pytest.mark.parametrize("service", SERVICES)
def test_every_setting_of_a_service_is_reachable(service: str) -> None:
    given = set(yaml.safe_load((REPOSITORY / "docker-compose.yml").read_text())["services"][service]["environment"])
    for overlay in (REPOSITORY / "deploy" / "compose").glob("*.yml"):
        given |= set(overlay_services(overlay.name).get(service, {}).get("environment", {}))
    assert names([SERVICES[service][1]]) - given - FIXED == set()


def test_env_example_lists_every_variable_of_compose() -> None:
    used = set()
    for file in (REPOSITORY / "docker-compose.yml", *(REPOSITORY / "deploy" / "compose").glob("*.yml")):
        text = re.sub(r"^ *#.*$", "", file.read_text(), flags=re.MULTILINE)
        used |= set(re.findall(r"(?<!\$)\$\{([A-Z][A-Z0-9_]*)", text))
        # Without a value: passed on as it is.
        used |= set(re.findall(r"^ +([A-Z][A-Z0-9_]*):$", text, re.MULTILINE))
    listed = re.findall(r"^#?([A-Z][A-Z0-9_]*)=", (REPOSITORY / ".env.example").read_text(), re.MULTILINE)
    assert used - set(listed) == set()
    assert set(listed) - used == {"COMPOSE_FILE", "MARQUEE_PREVIOUS_VERSION"}
    assert {name for name in listed if listed.count(name) > 1} == {"COMPOSE_FILE"}


def test_env_example_has_every_secret_of_compose() -> None:
    text = (REPOSITORY / "docker-compose.yml").read_text()
    # `:?` where it must be set, `:+` where something is off without it.
    wanted = set(re.findall(r"\$\{([A-Z_]+):[?+]", text))
    example = Path(REPOSITORY / ".env.example").read_text()
    offered = set(re.findall(r"^([A-Z_]+)=$", example, re.MULTILINE))
    assert wanted == offered
