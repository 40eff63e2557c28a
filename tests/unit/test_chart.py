"""The Helm chart: what it renders is valid and safe, and what it is made from has one source."""

import json
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.support.deployed import CHART, DEPLOY, container, documents, one, rendered
from tests.support.needs import needs

DIGEST = "sha256:" + "0" * 64
ONE_NODE = ["--set", "redis.secretName=,autoscaling.enabled=false,replicas=1,envoy.enabled=false"]
ALL = [
    *("--set", f"image.digest={DIGEST},image.repository=registry.example.com/dyad"),
    *("--set", "keys.kind=public,settings.jwt_audience=calls,settings.max_streams=1000000"),
    *("--set", "settings.drain_timeout=30.5,settings.reflection=true"),
    *("--set", "env[0].name=OTEL_EXPORTER_OTLP_ENDPOINT,env[0].value=http://collector:4318"),
    *("--set", "serviceMonitor.enabled=true,serviceMonitor.labels.release=prometheus"),
    *("--set", "envoy.tls.secretName=tls,envoy.trustedHops=1,envoy.service.type=LoadBalancer"),
    *("--set", "envoy.origins={https://app.example.com},imagePullSecrets[0].name=registry"),
    *("--set", "nodeSelector.disk=ssd,tolerations[0].operator=Exists"),
    *("--set", "networkPolicy.from[0].podSelector.matchLabels.app=ingress"),
    *("--set", "networkPolicy.envoyFrom[0].ipBlock.cidr=192.0.2.0/24"),
]
WITHOUT_ENVOY = ["--set", "envoy.enabled=false,tls.secretName=tls,networkPolicy.metricsFrom=null"]
WAYS = pytest.mark.parametrize(
    "arguments", [[], ONE_NODE, ALL, WITHOUT_ENVOY], ids=["default", "one", "all", "no-envoy"]
)
# kube-score wants these, and they are not wanted here: an image's name has its version or its
# digest; who may be called (egress) depends on your Redis and issuer; pods are spread by
# topologySpreadConstraints.
NOT_WANTED = "container-image-pull-policy,pod-networkpolicy,deployment-has-host-podantiaffinity"


def run(*command: str | Path, stdin: str = "") -> tuple[int, str]:
    done = subprocess.run(
        command,
        input=stdin,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
        timeout=120,
    )
    return done.returncode, done.stdout


def test_helm_finds_no_fault_in_the_chart() -> None:
    needs("helm")
    status, said = run("helm", "lint", "--strict", CHART)
    assert status == 0, said


@WAYS
def test_kubernetes_knows_every_field(arguments: list[str], tmp_path: Path) -> None:
    needs("helm", "kubernetes-validate")
    file = tmp_path / "manifests.yaml"
    # The ServiceMonitor's schema is not Kubernetes' own.
    known = [
        each
        for each in yaml.safe_load_all(rendered(*arguments))
        if each["apiVersion"] != "monitoring.coreos.com/v1"
    ]
    file.write_text(yaml.safe_dump_all(known))
    status, said = run("kubernetes-validate", "--strict", file)
    assert status == 0, said
    assert said.count(" passed ") == len(known)


@WAYS
def test_kube_score_finds_nothing_to_mend(arguments: list[str]) -> None:
    needs("helm", "kube-score")
    ignored = NOT_WANTED + (",deployment-replicas" if arguments == ONE_NODE else "")
    options = ("--ignore-container-cpu-limit", "--ignore-test", ignored, "--exit-one-on-warning")
    status, said = run("kube-score", "score", *options, "-", stdin=rendered(*arguments))
    assert status == 0, said


def test_the_manifests_without_helm_are_what_the_chart_renders() -> None:
    needs("helm")
    text = (DEPLOY / "kubernetes.yaml").read_text()
    assert text.partition("---\n")[2] == rendered().partition("---\n")[2], "run `make kubernetes`"


@pytest.mark.parametrize(
    ("values", "says"),
    [
        ("repilcas=3", "repilcas"),
        ("envoy.orgins={https://a}", "orgins"),
        ("envoy.origins={https://*}", "origins"),
        ("envoy.origins={https://app.example.com/}", "origins"),
        ("replicas=0", "replicas"),
        ("image.digest=sha256:1", "digest"),
        # As text it would be in the manifest, for all who may read Deployments.
        ("settings.jwt_secret=secret", "jwt_secret"),
        ("settings.redis=redis://:password@redis", "redis"),
        ("settings.max-streams=1", "max-streams"),
        ("env[0].name=DYAD_MAX_STREAMS,env[0].value=1", "/env/0/name"),
        ("tls.secretName=tls", "tls.secretName: the Envoy of this chart speaks plaintext"),
        ("redis.secretName=", "redis.secretName: several nodes need a Redis"),
        ("keys.secretName=", "keys.secretName: the server needs keys"),
    ],
)
def test_a_wrong_value_is_refused_with_its_name(values: str, says: str) -> None:
    needs("helm")
    status, said = run("helm", "template", "dyad", CHART, "--set", values)
    assert status != 0
    assert says in said


def test_a_certificate_for_envoy_and_settings_reach_where_they_are_used() -> None:
    needs("helm")
    pod, dyad = container(rendered(*ALL))
    env = {entry["name"]: entry["value"] for entry in dyad["env"]}
    assert env["DYAD_JWT_PUBLIC_KEY"] == "/run/secrets/keys"
    assert "DYAD_JWT_SECRET_FILE" not in env
    assert (env["DYAD_MAX_STREAMS"], env["DYAD_REFLECTION"]) == ("1000000", "true")
    # Envoy, and the proxy in front of it.
    assert env["DYAD_TRUSTED_HOPS"] == "2"
    assert env["OTEL_EXPORTER_OTLP_ENDPOINT"] == "http://collector:4318"
    assert pod["terminationGracePeriodSeconds"] == 56
    assert dyad["image"] == f"registry.example.com/dyad@{DIGEST}"
    pod, envoy = container(rendered(*ALL), "dyad-envoy")
    (certs,) = [mount for mount in envoy["volumeMounts"] if mount["name"] == "certs"]
    config = yaml.safe_load(one("ConfigMap", rendered(*ALL), "dyad-envoy")["data"]["envoy.yaml"])
    (listener,) = config["static_resources"]["listeners"]
    context = listener["filter_chains"][0]["transport_socket"]["typed_config"]
    (certificate,) = context["common_tls_context"]["tls_certificates"]
    for part in ("certificate_chain", "private_key"):
        path = Path(envoy["workingDir"]) / certificate[part]["filename"]
        assert path.parent == Path(certs["mountPath"])
        (volume,) = [each for each in pod["volumes"] if each["name"] == "certs"]
        assert path.name in {item["path"] for item in volume["secret"]["items"]}


@pytest.mark.parametrize(("arguments", "source"), [([], "envoy.yaml"), (ALL, "envoy-tls.yaml")])
def test_the_charts_envoy_is_the_one_of_deploy_with_few_changes(
    arguments: list[str], source: str
) -> None:
    needs("helm")
    (expected,) = documents(source)
    resources = expected["static_resources"]
    (listener,), (cluster,) = resources["listeners"], resources["clusters"]
    listener["address"]["socket_address"]["address"] = "0.0.0.0"
    manager = listener["filter_chains"][0]["filters"][0]["typed_config"]
    (host,) = manager["route_config"]["virtual_hosts"]
    page = host["routes"].pop()
    assert page["direct_response"], "the last route must be the page"
    cors = host["typed_per_filter_config"]["envoy.filters.http.cors"]
    cors["allow_origin_string_match"] = []
    if arguments:
        manager["xff_num_trusted_hops"] = 1
        cors["allow_origin_string_match"] = [{"exact": "https://app.example.com"}]
    cluster["type"] = "STRICT_DNS"
    address = cluster["load_assignment"]["endpoints"][0]["lb_endpoints"][0]["endpoint"]["address"]
    address["socket_address"]["address"] = "dyad"
    manifests = rendered(*arguments)
    made = yaml.safe_load(one("ConfigMap", manifests, "dyad-envoy")["data"]["envoy.yaml"])
    assert made == expected


def test_envoy_accepts_its_configuration(tmp_path: Path) -> None:
    needs("helm", "envoy")
    file = tmp_path / "envoy.yaml"
    file.write_text(one("ConfigMap", rendered(), "dyad-envoy")["data"]["envoy.yaml"])
    status, said = run("envoy", "--mode", "validate", "--disable-hot-restart", "-c", file)
    assert status == 0, said


def test_a_service_monitor_finds_the_service_and_its_port() -> None:
    needs("helm")
    monitor, service = one("ServiceMonitor", rendered(*ALL)), one("Service", rendered(*ALL))
    selected = monitor["spec"]["selector"]["matchLabels"].items()
    assert selected <= service["metadata"]["labels"].items()
    (endpoint,) = monitor["spec"]["endpoints"]
    assert endpoint["port"] in {port["name"] for port in service["spec"]["ports"]}
    assert monitor["metadata"]["labels"]["release"] == "prometheus"


def test_a_policy_without_peers_admits_nobody() -> None:
    needs("helm")
    policy = one("NetworkPolicy", rendered(*WITHOUT_ENVOY))["spec"]
    # A rule without `from` would admit everybody.
    assert policy["policyTypes"] == ["Ingress"]
    assert not policy["ingress"]


def notes(folder: Path, *arguments: str) -> str:
    """What helm prints after an installation, for which it would need a cluster."""
    chart = Path(shutil.copytree(CHART, folder / "dyad"))
    file = chart / "templates" / "NOTES.txt"
    text = '{{ define "notes" }}' + file.read_text() + "{{ end }}"
    (chart / "templates" / "_notes.tpl").write_text(text)
    file.unlink()
    shown = "templates/notes.yaml"
    (chart / shown).write_text('{ notes: {{ include "notes" . | toJson }} }')
    status, said = run("helm", "template", "dyad", chart, "--show-only", shown, *arguments)
    assert status == 0, said
    printed: str = yaml.safe_load(said)["notes"]
    return printed


def test_the_notes_tell_what_to_do_next(tmp_path: Path) -> None:
    needs("helm")
    said = notes(tmp_path)
    assert "create secret generic dyad-keys" in said
    assert "create secret generic dyad-redis" in said
    assert "name your app's origins in envoy.origins" in said
    assert "put TLS in front of it" in said
    assert "There is no NetworkPolicy" not in said


def test_the_notes_tell_nothing_that_is_done(tmp_path: Path) -> None:
    needs("helm")
    said = notes(tmp_path, *ALL, "--set", "networkPolicy.enabled=false")
    assert "Pages of https://app.example.com may connect." in said
    assert "put TLS in front of it" not in said
    assert "There is no NetworkPolicy" in said


def flat(values: dict[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """The values with their full names; what a user fills in himself has no parts."""
    for name, value in values.items():
        whole = prefix + name
        if isinstance(value, dict) and value and not name.endswith("resources"):
            yield from flat(value, whole + ".")
        else:
            yield whole, value


def test_the_readme_explains_each_value_and_tells_its_default() -> None:
    values = dict(flat(yaml.safe_load((CHART / "values.yaml").read_text())))
    readme = (CHART / "README.md").read_text()
    rows = re.findall(r"^\| `([\w.]+)` \| (.+?) \| .+ \|$", readme, re.MULTILINE)
    assert [name for name, _ in rows] == list(values)
    for name, default in rows:
        if default.startswith("`"):
            said = default.strip("`")
            value = values[name]
            assert said in (value, json.dumps(value)), f"{name} is {value!r} by default"


def test_the_schema_has_each_value() -> None:
    schema = json.loads((CHART / "values.schema.json").read_text())

    def known(part: Any) -> Iterator[str]:
        part = schema["definitions"][part["$ref"].rpartition("/")[2]] if "$ref" in part else part
        yield ""
        for name, below in part.get("properties", {}).items():
            yield from (f"{name}.{rest}" if rest else name for rest in known(below))

    values = {name for name, _ in flat(yaml.safe_load((CHART / "values.yaml").read_text()))}
    assert values <= set(known(schema))
