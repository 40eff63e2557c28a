"""The files of deploy/ fit the server and each other, and keep what a reviewer looks for."""

import re
import shlex
import stat
import subprocess
import tomllib
from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest
import yaml
from dyad_server.cli.environment import load
from dyad_server.config import Config
from dyad_server.setting import variable
from google.protobuf.descriptor_pool import Default
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from tests.support.deployed import (
    CHART,
    DEPLOY,
    compose_secrets,
    container,
    copied,
    documents,
    elsewhere,
    one,
)
from tests.support.needs import PAGE, ROOT, needs
from tests.support.redis import RIGHTS

FILES = ["compose.yaml", "kubernetes.yaml", "Containerfile"]
SETTINGS = {variable(setting.name) for setting in fields(Config)}
KUBERNETES = (DEPLOY / "kubernetes.yaml").read_text()
DEPLOYMENTS = ["dyad", "dyad-envoy"]
LOCKED = re.compile(
    r"^([\w.-]+)==(\S+)(?: ; .+?)?(?: \\\n    --hash=sha256:[0-9a-f]{64})+$", re.MULTILINE
)


def services() -> dict[str, Any]:
    (compose,) = documents("compose.yaml")
    found: dict[str, Any] = compose["services"]
    return found


@pytest.mark.parametrize("name", FILES)
def test_every_variable_is_a_setting(name: str) -> None:
    said = set(re.findall(r"\bDYAD_[A-Z_]+\b", (DEPLOY / name).read_text()))
    assert said
    assert said <= SETTINGS, f"deploy/{name} sets a variable that the server does not know"


def test_the_linters_find_nothing() -> None:
    needs("hadolint", "yamllint")
    # The rest of yamllint's defaults are about taste, or about comments, which are sentences.
    rules = {
        "extends": "default",
        "rules": {
            "braces": {"max-spaces-inside": 1},
            **dict.fromkeys(("comments", "document-start", "line-length", "truthy"), "disable"),
        },
    }
    files = [*DEPLOY.glob("*.yaml"), CHART / "Chart.yaml", CHART / "values.yaml"]
    lints: tuple[list[str | Path], ...] = (
        ["hadolint", DEPLOY / "Containerfile"],
        ["yamllint", "--strict", "-d", yaml.safe_dump(rules), *files],
    )
    for lint in lints:
        done = subprocess.run(lint, check=False, capture_output=True, text=True, timeout=60)
        assert done.returncode == 0, done.stdout


# The image


def test_the_image_runs_any_command_of_dyad_as_nobody_and_serves_by_default() -> None:
    last = (DEPLOY / "Containerfile").read_text().rpartition("\nFROM ")[2]
    assert '\nENTRYPOINT ["dyad"]\nCMD ["serve"]\n' in last
    assert "\nUSER 65534:65534\n" in last


def test_all_that_the_image_copies_is_in_the_context() -> None:
    lines = (ROOT / ".dockerignore").read_text().splitlines()
    admitted = {line[1:] for line in lines if line.startswith("!")}
    assert "*" in lines
    assert copied() == admitted
    assert all((ROOT / source).exists() for source in copied())


def locked(name: str) -> dict[str, str]:
    """The versions in a lock, in which nothing but versions with hashes may stand."""
    text = "\n".join(
        line for line in (DEPLOY / name).read_text().splitlines() if not line.startswith("#")
    )
    assert not LOCKED.sub("", text).strip(), f"deploy/{name} has lines that are no locked version"
    return {canonicalize_name(found[1]): found[2] for found in LOCKED.finditer(text)}


def wanted() -> list[str]:
    server = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    client = tomllib.loads((ROOT / "clients" / "python" / "pyproject.toml").read_text())["project"]
    assert f"{client['name']}=={client['version']}" in server["dependencies"]
    extras = server["optional-dependencies"]
    lists = [server["dependencies"], client["dependencies"], extras["redis"], extras["doctor"]]
    lists.append(extras["otel"])
    every = [text for each in lists for text in each]
    return [text for text in every if Requirement(text).name != client["name"]]


@pytest.mark.parametrize("requirement", wanted())
def test_the_image_locks_what_the_server_asks_for(requirement: str) -> None:
    asked = Requirement(requirement)
    versions = locked("requirements.txt")
    assert versions[canonicalize_name(asked.name)] in asked.specifier, "run `make locked`"


def test_the_image_locks_what_builds_the_packages() -> None:
    builds = tomllib.loads((ROOT / "pyproject.toml").read_text())["build-system"]["requires"]
    client = (ROOT / "clients" / "python" / "pyproject.toml").read_text()
    assert tomllib.loads(client)["build-system"]["requires"] == builds
    versions = locked("requirements-build.txt")
    for asked in map(Requirement, builds):
        assert versions[canonicalize_name(asked.name)] in asked.specifier, "run `make locked`"


# Compose


def test_a_node_starts_with_its_configuration_from_compose(tmp_path: Path) -> None:
    needs("openssl")
    secrets = compose_secrets(tmp_path)
    node = services()["dyad-1"]
    given = elsewhere(node["environment"], {"/run/secrets": secrets})
    config = load({}, given | {"DYAD_HOST": "0.0.0.0"})
    assert re.fullmatch(r"redis://dyad:[0-9a-f]{64}@redis:6379", config.redis_urls())
    assert set(node["secrets"]) == {"jwt-secret", "redis"}
    seconds = int(node["stop_grace_period"].removesuffix("s"))
    assert seconds > config.drain_timeout
    assert services()["dyad-1"] == services()["dyad-2"]


def test_the_redis_of_compose_has_one_user_with_exactly_the_rights_that_dyad_needs(
    tmp_path: Path,
) -> None:
    needs("openssl")
    off, user = (compose_secrets(tmp_path) / "redis-users").read_text().splitlines()
    assert off == "user default off"
    assert re.fullmatch(r"user dyad on >[0-9a-f]{64} " + re.escape(RIGHTS), user)


def test_only_their_owner_reaches_the_secrets_of_compose(tmp_path: Path) -> None:
    needs("openssl")
    secrets = compose_secrets(tmp_path)
    assert stat.S_IMODE(secrets.stat().st_mode) == 0o700
    # The user of a container reads each file, which is mounted by itself.
    assert {stat.S_IMODE(file.stat().st_mode) for file in secrets.iterdir()} == {0o644}
    again = subprocess.run(
        ["/bin/sh", tmp_path / "compose-secrets.sh"], check=False, capture_output=True
    )
    assert again.returncode != 0, "secrets in use must not be replaced"
    ignored = (ROOT / ".gitignore").read_text().splitlines()
    assert "/deploy/secrets/" in ignored


def test_every_secret_of_compose_is_a_file_that_the_script_makes(tmp_path: Path) -> None:
    needs("openssl")
    (compose,) = documents("compose.yaml")
    made = {f"secrets/{file.name}" for file in compose_secrets(tmp_path).iterdir()}
    assert {secret["file"] for secret in compose["secrets"].values()} == made
    used = [name for service in services().values() for name in service.get("secrets", [])]
    assert set(used) == set(compose["secrets"])


@pytest.mark.parametrize("name", services())
def test_every_service_of_compose_is_confined_and_checked(name: str) -> None:
    service = services()[name]
    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert service["healthcheck"]["test"]
    assert service["mem_limit"]
    image = re.sub(r"^\$\{\w+:-(.+)\}$", r"\1", service["image"])
    assert re.search(r":v?\d+\.\d+[\w.-]*$", image), "an image has a version"
    assert "user" in service or "build" in service, "no image here runs as root"


def test_the_readme_pins_exactly_the_images_of_compose() -> None:
    used = re.findall(r"\$\{(\w+_IMAGE):-(.+?)\}", (DEPLOY / "compose.yaml").read_text())
    pins = re.findall(r"^  pinned (\w+) (\S+)$", (DEPLOY / "README.md").read_text(), re.MULTILINE)
    assert dict(pins) == dict(used)


def test_envoy_accepts_the_file_that_compose_generates(tmp_path: Path) -> None:
    needs("envoy", PAGE)
    (command,) = services()["envoy"]["command"]
    sed = shlex.split(command.partition(" /etc/envoy")[0])
    text = subprocess.run(
        [*sed, DEPLOY / "envoy.yaml"], check=True, capture_output=True, text=True
    ).stdout
    assert "address: 0.0.0.0, port_value: 8080" in text
    assert "address: dyad, port_value: 50051" in text
    assert "type: STRICT_DNS" in text
    made = tmp_path / "envoy.yaml"
    made.write_text(text.replace("build/web/index.html", str(PAGE)))
    check = ["envoy", "--mode", "validate", "--disable-hot-restart", "-c", str(made)]
    subprocess.run(check, check=True, capture_output=True, timeout=30)


def test_envoy_with_tls_differs_in_tls_and_origins_only() -> None:
    (plain,), (tls,) = documents("envoy.yaml"), documents("envoy-tls.yaml")
    (chain,) = tls["static_resources"]["listeners"][0]["filter_chains"]
    assert chain.pop("transport_socket")
    assert chain.pop("transport_socket_connect_timeout")
    text = yaml.safe_dump(plain).replace("exact: http:", "exact: https:")
    assert tls == yaml.safe_load(text)


# Kubernetes


def pod_config(tmp_path: Path) -> Config:
    """The configuration with which a pod starts, its Secrets in files."""
    _, dyad = container(KUBERNETES)
    folders = {}
    files = {"keys": {"2026-11": "s" * 32, "2026-12": "t" * 32}, "redis": {"url": "redis://redis"}}
    for mount in dyad["volumeMounts"]:
        folder = tmp_path / mount["name"]
        folder.mkdir()
        for name, text in files.pop(mount["name"]).items():
            (folder / name).write_text(text + "\n")
        folders[mount["mountPath"]] = folder
    assert not files
    env = {entry["name"]: entry["value"] for entry in dyad["env"]}
    return load({}, elsewhere(env, folders) | {"DYAD_HOST": "0.0.0.0"})


def test_a_pod_starts_with_a_folder_of_keys_and_a_redis(tmp_path: Path) -> None:
    config = pod_config(tmp_path)
    assert config.key_texts() == {"2026-11": "s" * 32, "2026-12": "t" * 32}
    assert config.redis_urls() == "redis://redis"
    _, dyad = container(KUBERNETES)
    ports = {port["name"]: port["containerPort"] for port in dyad["ports"]}
    assert ports == {"grpc": config.port, "metrics": config.metrics_port}


def test_a_pod_is_probed_where_there_is_no_tls_and_has_time_to_drain(tmp_path: Path) -> None:
    pod, dyad = container(KUBERNETES)
    probes = {
        name: dyad[f"{name}Probe"]["httpGet"] for name in ("startup", "liveness", "readiness")
    }
    assert probes == {
        "startup": {"path": "/livez", "port": "metrics"},
        "liveness": {"path": "/livez", "port": "metrics"},
        "readiness": {"path": "/readyz", "port": "metrics"},
    }
    sleep = int(dyad["lifecycle"]["preStop"]["exec"]["command"][1])
    assert pod["terminationGracePeriodSeconds"] > sleep + pod_config(tmp_path).drain_timeout


@pytest.mark.parametrize("name", DEPLOYMENTS)
def test_a_pod_is_confined(name: str) -> None:
    pod, inside = container(KUBERNETES, name)
    assert pod["automountServiceAccountToken"] is False
    assert pod["enableServiceLinks"] is False
    assert pod["securityContext"]["runAsNonRoot"] is True
    assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    assert inside["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }
    assert {"cpu", "memory"} <= set(inside["resources"]["requests"])
    assert "memory" in inside["resources"]["limits"]


@pytest.mark.parametrize("name", DEPLOYMENTS)
def test_all_that_belongs_to_a_deployment_selects_its_pods(name: str) -> None:
    deployment = one("Deployment", KUBERNETES, name)["spec"]
    labels = deployment["template"]["metadata"]["labels"]
    selectors = [
        deployment["selector"]["matchLabels"],
        one("Service", KUBERNETES, name)["spec"]["selector"],
        one("PodDisruptionBudget", KUBERNETES, name)["spec"]["selector"]["matchLabels"],
        one("NetworkPolicy", KUBERNETES, name)["spec"]["podSelector"]["matchLabels"],
        *(
            spread["labelSelector"]["matchLabels"]
            for spread in deployment["template"]["spec"]["topologySpreadConstraints"]
        ),
    ]
    assert all(selector == labels for selector in selectors)


def test_the_autoscaler_alone_says_how_many_nodes_there_are() -> None:
    assert "replicas" not in one("Deployment", KUBERNETES)["spec"]
    scaler = one("HorizontalPodAutoscaler", KUBERNETES)["spec"]
    (metric,) = scaler["metrics"]
    assert f"`{metric['pods']['metric']['name']}`" in (ROOT / "docs" / "metrics.md").read_text()


def test_only_envoy_and_prometheus_reach_the_nodes() -> None:
    calls, metrics = one("NetworkPolicy", KUBERNETES)["spec"]["ingress"]
    envoy = one("Deployment", KUBERNETES, "dyad-envoy")["spec"]["template"]["metadata"]["labels"]
    assert calls == {
        "ports": [{"port": "grpc"}],
        "from": [{"podSelector": {"matchLabels": envoy}}],
    }
    monitoring = {"kubernetes.io/metadata.name": "monitoring"}
    assert metrics == {
        "ports": [{"port": "metrics"}],
        "from": [{"namespaceSelector": {"matchLabels": monitoring}}],
    }


def test_no_example_trusts_a_wide_network(tmp_path: Path) -> None:
    trusted = services()["dyad-1"]["environment"]["DYAD_TRUSTED_PROXIES"]
    (network,) = services()["envoy"]["networks"].values()
    assert trusted == f"{network['ipv4_address']}/32"
    # In the cluster a policy admits only Envoy, whose address nobody knows before.
    assert pod_config(tmp_path).trusted_hops == 1
    _, dyad = container(KUBERNETES)
    assert "DYAD_TRUSTED_PROXIES" not in {entry["name"] for entry in dyad["env"]}


def test_envoy_asks_for_the_health_of_the_service_that_the_server_has() -> None:
    config = yaml.safe_load(one("ConfigMap", KUBERNETES, "dyad-envoy")["data"]["envoy.yaml"])
    (cluster,) = config["static_resources"]["clusters"]
    (check,) = cluster["health_checks"]
    service = check["grpc_health_check"]["service_name"]
    assert Default().FindServiceByName(service).full_name == service
