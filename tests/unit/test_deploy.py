"""The files in deploy/ contain only settings that the server and Envoy understand."""

import re
import shlex
import subprocess
from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest
import yaml
from dyad_server.cli.environment import load
from dyad_server.config import Config
from dyad_server.setting import variable
from google.protobuf.descriptor_pool import Default

from tests.support.needs import PAGE, needs

DEPLOY = Path(__file__).parents[2] / "deploy"
FILES = ["compose.yaml", "kubernetes.yaml", "Containerfile"]
SETTINGS = {variable(setting.name) for setting in fields(Config)}


def documents(name: str) -> list[Any]:
    return list(yaml.safe_load_all((DEPLOY / name).read_text()))


def kubernetes(kind: str) -> Any:
    (found,) = [document for document in documents("kubernetes.yaml") if document["kind"] == kind]
    return found


@pytest.mark.parametrize("name", FILES)
def test_every_variable_is_a_setting(name: str) -> None:
    said = set(re.findall(r"\bDYAD_[A-Z_]+\b", (DEPLOY / name).read_text()))
    assert said
    assert said <= SETTINGS, f"deploy/{name} sets a variable that the server does not know"


def mounted(environment: dict[str, Any], folder: str, at: Path, **secrets: str) -> dict[str, str]:
    """The environment of a container, with its secrets in `at` instead of `folder`."""
    for name, text in secrets.items():
        (at / name.replace("_", "-")).write_text(text + "\n")
    return {name: str(text).replace(folder, str(at)) for name, text in environment.items()}


def test_a_node_starts_with_its_configuration_from_compose(tmp_path: Path) -> None:
    (compose,) = documents("compose.yaml")
    node = compose["services"]["dyad-1"]
    assert node["secrets"] == list(compose["secrets"])
    given = mounted(node["environment"], "/run/secrets", tmp_path, jwt_secret="s" * 32)
    config = load(
        {}, {name: str(value) for name, value in given.items()} | {"DYAD_HOST": "0.0.0.0"}
    )
    assert config.redis == "redis://redis:6379"
    assert compose["services"]["dyad-1"] == compose["services"]["dyad-2"]


def test_a_pod_starts_with_its_configuration_and_is_probed_on_its_port(tmp_path: Path) -> None:
    pod = kubernetes("Deployment")["spec"]["template"]["spec"]
    (container,) = pod["containers"]
    (mount,) = container["volumeMounts"]
    env = {entry["name"]: entry["value"] for entry in container["env"]}
    secret = {"jwt_secret": "s" * 32, "redis": "redis://redis"}
    given = mounted(env, mount["mountPath"], tmp_path, **secret)
    config = load({}, given | {"DYAD_HOST": "0.0.0.0"})
    assert config.key_texts() == {"": secret["jwt_secret"]}
    assert config.redis_url() == secret["redis"]
    assert container["readinessProbe"]["grpc"]["port"] == config.port
    service = container["readinessProbe"]["grpc"]["service"]
    assert Default().FindServiceByName(service).full_name == service
    ports = {port["name"]: port["containerPort"] for port in container["ports"]}
    assert ports == {"grpc": config.port, "metrics": config.metrics_port}
    sleep = int(container["lifecycle"]["preStop"]["exec"]["command"][1])
    assert pod["terminationGracePeriodSeconds"] > sleep + config.drain_timeout


def test_envoy_with_tls_differs_in_tls_and_origins_only() -> None:
    (plain,), (tls,) = documents("envoy.yaml"), documents("envoy-tls.yaml")
    (chain,) = tls["static_resources"]["listeners"][0]["filter_chains"]
    assert chain.pop("transport_socket")
    assert chain.pop("transport_socket_connect_timeout")
    text = yaml.safe_dump(plain).replace("exact: http:", "exact: https:")
    assert tls == yaml.safe_load(text)


def test_no_example_trusts_a_wide_network() -> None:
    (compose,) = documents("compose.yaml")
    trusted = compose["services"]["dyad-1"]["environment"]["DYAD_TRUSTED_PROXIES"]
    (network,) = compose["services"]["envoy"]["networks"].values()
    assert trusted == f"{network['ipv4_address']}/32"
    # Only an operator knows where the proxies are.
    (pod,) = kubernetes("Deployment")["spec"]["template"]["spec"]["containers"]
    assert "DYAD_TRUSTED_PROXIES" not in {entry["name"] for entry in pod["env"]}


def test_envoy_accepts_the_file_that_compose_generates(tmp_path: Path) -> None:
    needs("envoy", PAGE)
    (compose,) = documents("compose.yaml")
    (command,) = compose["services"]["envoy"]["command"]
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
