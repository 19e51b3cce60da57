"""The chart: what it renders with the values that it asks for, and what it refuses."""

import copy
import json
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from deploy_files import CHART, loaded, rendered, tool, variables

from gateway.settings import NO_SETTINGS, Settings

HELM = tool("helm")
needs_helm = pytest.mark.skipif(HELM is None, reason="helm is not here")
GIVEN: dict[str, Any] = {
    "publicUrl": "https://consent.example.org",
    "operator": {"name": "Example", "contact": "+33 1"},
    "trustedProxies": ["10.42.0.0/16"],
    "keys": {"existingSecret": "the-keys"},
    "database": {
        "url": "postgresql://aval@db1,db2/aval?sslmode=verify-full&sslrootcert=/run/secrets/aval-database-ca/ca.crt",
        "password": {"existingSecret": "the-password"},
        "ca": {"existingSecret": "the-ca"},
    },
    "mark": {"persistentVolumeClaim": "the-mark"},
    "networkPolicy": {"from": [{"podSelector": {"matchLabels": {"app": "ingress"}}}]},
}
Kinds = dict[str, dict[str, Any]]


def given(**more: Any) -> dict[str, Any]:
    return {**copy.deepcopy(GIVEN), **more}


def kinds(values: dict[str, Any], folder: Path, *knows: str) -> Kinds:
    """By their kind; the service of metrics as MetricsService."""
    assert HELM
    done = rendered(HELM, values, folder, *knows)
    assert done.returncode == 0, done.stderr
    every = [found for part in done.stdout.split("\n---") if (found := loaded(part))]
    named = [("Metrics" * found["metadata"]["name"].endswith("-metrics") + found["kind"], found) for found in every]
    assert len(dict(named)) == len(every)
    return dict(named)


METRICS = {
    "enabled": True,
    "port": 9410,
    "from": [{"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "monitoring"}}}],
    "serviceMonitor": {"enabled": True, "interval": "15s", "labels": {"release": "prometheus"}},
}
OPERATOR = "monitoring.coreos.com/v1"


@pytest.fixture(scope="module")
def all_kinds(tmp_path_factory: pytest.TempPathFactory) -> Kinds:
    values = given(autoscaling={"enabled": True}, organisationsCa={"existingSecret": "theirs"}, metrics=METRICS)
    return kinds(values, tmp_path_factory.mktemp("chart"), OPERATOR)


def pods(found: Kinds) -> Iterator[tuple[str, dict[str, Any]]]:
    for kind in ("Deployment", "Job"):
        yield kind, found[kind]["spec"]["template"]["spec"]


def containers(pod: dict[str, Any]) -> list[dict[str, Any]]:
    return [*pod.get("initContainers", []), *pod["containers"]]


def environment(container: dict[str, Any]) -> dict[str, str]:
    names = [pair["name"] for pair in container["env"]]
    assert len(names) == len(set(names)), "one of two would be lost"
    return {pair["name"]: pair.get("value", "") for pair in container["env"]}


def test_the_values_and_their_schema_are_of_one_form() -> None:
    schema = json.loads((CHART / "values.schema.json").read_text())
    jsonschema.Draft7Validator.check_schema(schema)
    values = loaded((CHART / "values.yaml").read_text())
    jsonschema.validate(values, schema)
    jsonschema.validate(given(), schema)
    assert set(values) | {"global"} == set(schema["properties"])


@needs_helm
def test_helm_finds_nothing_wrong(tmp_path: Path) -> None:
    (tmp_path / "values.yaml").write_text(json.dumps(given()))
    command = [str(HELM), "lint", "--strict", str(CHART), "--values", str(tmp_path / "values.yaml")]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout


@needs_helm
def test_everything_is_there(all_kinds: Kinds) -> None:
    assert set(all_kinds) == {
        "Deployment", "HorizontalPodAutoscaler", "Job", "MetricsService", "NetworkPolicy", "PodDisruptionBudget",
        "Service", "ServiceAccount", "ServiceMonitor",
    }  # fmt: skip
    assert all_kinds["Job"]["metadata"]["annotations"]["helm.sh/hook"] == "pre-install,pre-upgrade"


@needs_helm
def test_pods_are_of_the_restricted_kind(all_kinds: Kinds) -> None:
    for _, pod in pods(all_kinds):
        assert pod["automountServiceAccountToken"] is False
        assert pod["securityContext"]["runAsUser"] == 10001 and pod["securityContext"]["runAsNonRoot"] is True
        assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
        assert not {"hostNetwork", "hostPID", "hostIPC"} & pod.keys()
        assert not [volume for volume in pod["volumes"] if "hostPath" in volume]
        for container in containers(pod):
            assert container["securityContext"] == {
                "allowPrivilegeEscalation": False, "readOnlyRootFilesystem": True, "runAsNonRoot": True,
                "capabilities": {"drop": ["ALL"]},
            }  # fmt: skip
            assert container["resources"]["limits"]["memory"] and container["resources"]["requests"]["cpu"]


@needs_helm
def test_every_folder_that_is_mounted_is_a_volume_and_every_path_in_a_setting_is_mounted(all_kinds: Kinds) -> None:
    for kind, pod in pods(all_kinds):
        volumes = {volume["name"] for volume in pod["volumes"]}
        mounted = [mount for container in containers(pod) for mount in container["volumeMounts"]]
        assert {mount["name"] for mount in mounted} == volumes, kind
        container = pod["containers"][0]
        folders = [mount["mountPath"] for mount in container["volumeMounts"]]
        for name, value in environment(container).items():
            paths = [value] if value.startswith("/") else value.split("sslrootcert=")[1:]
            for path in paths:
                assert any(path == folder or path.startswith(f"{folder}/") for folder in folders), (kind, name)


@needs_helm
def test_settings_are_settings_and_safe_for_production(all_kinds: Kinds, monkeypatch: pytest.MonkeyPatch) -> None:
    from gateway.settings import unsafe

    for _, pod in pods(all_kinds):
        found = environment(pod["containers"][0])
        known = {f"AVAL_{name.upper()}" for name in Settings.model_fields}
        assert {name for name in found if name.startswith("AVAL_")} - known == set()
    for name, value in environment(all_kinds["Deployment"]["spec"]["template"]["spec"]["containers"][0]).items():
        monkeypatch.setenv(name, value)
    using = Settings()
    assert using.mode == "production" and list(unsafe(using)) == []
    assert using.trusted_proxies == ("10.42.0.0/16",)
    text = "".join(path.read_text() for path in CHART.rglob("*") if path.is_file())
    assert variables(text) - {f"AVAL_{name.upper()}" for name in Settings.model_fields} - NO_SETTINGS == set()


@needs_helm
def test_probes_ask_under_the_gateways_own_name_and_a_frozen_log_takes_nobody_out(all_kinds: Kinds) -> None:
    [container] = all_kinds["Deployment"]["spec"]["template"]["spec"]["containers"]
    for probe in ("startupProbe", "livenessProbe"):
        asked = container[probe]["httpGet"]
        assert asked["path"] == "/healthz"
        assert asked["httpHeaders"] == [{"name": "Host", "value": Settings(public_url=GIVEN["publicUrl"]).host_header}]
    assert container["readinessProbe"]["exec"]["command"][-3:] == ["readyz", "--although", "log"]
    assert container["readinessProbe"]["timeoutSeconds"] > 5.5


@needs_helm
def test_a_pod_that_leaves_has_time_for_its_requests(all_kinds: Kinds) -> None:
    pod = all_kinds["Deployment"]["spec"]["template"]["spec"]
    [command] = [pod["containers"][0]["lifecycle"]["preStop"]["exec"]["command"]]
    [seconds] = re.findall(r"time\.sleep\((\d+)\)", command[-1])
    assert pod["terminationGracePeriodSeconds"] >= int(seconds) + 10 + 10
    assert all_kinds["Deployment"]["spec"]["strategy"]["rollingUpdate"]["maxUnavailable"] == 0


@needs_helm
def test_selectors_find_the_gateways_and_not_the_job(all_kinds: Kinds) -> None:
    labels = all_kinds["Deployment"]["spec"]["template"]["metadata"]["labels"].items()
    job = all_kinds["Job"]["spec"]["template"]["metadata"]["labels"].items()
    selectors = [
        all_kinds["Deployment"]["spec"]["selector"]["matchLabels"],
        all_kinds["Service"]["spec"]["selector"],
        all_kinds["MetricsService"]["spec"]["selector"],
        all_kinds["PodDisruptionBudget"]["spec"]["selector"]["matchLabels"],
    ]
    for selector in selectors:
        assert selector.items() <= labels and not selector.items() <= job
    policy = all_kinds["NetworkPolicy"]["spec"]["podSelector"]["matchLabels"].items()
    assert policy <= labels and policy <= job
    assert (
        all_kinds["HorizontalPodAutoscaler"]["spec"]["scaleTargetRef"]["name"]
        == (all_kinds["Deployment"]["metadata"]["name"])
    )
    assert "replicas" not in all_kinds["Deployment"]["spec"], "it would undo what was scaled"


@needs_helm
@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"publicUrl": ""}, "publicUrl"),
        ({"publicUrl": "http://consent.example.org"}, "publicUrl"),
        ({"trustedProxies": []}, "trustedProxies"),
        ({"networkPolicy": {"from": []}}, "networkPolicy.from"),
        ({"mark": {}}, "mark.persistentVolumeClaim"),
        ({"mark": {"persistentVolumeClaim": "m", "emptyDir": True}}, "not both"),
        ({"replicaCount": 9}, "152 connections"),
        ({"settings": {"AVAL_MARK_FILE": "/x"}}, "the chart sets it"),
        ({"settings": {"ZONE": "x"}}, "ZONE"),
        ({"settings": {"AVAL_METRICS_ADDRESS": "0.0.0.0:1"}}, "the chart sets it"),
        ({"metrics": {"enabled": True}}, "metrics.from"),
        ({"metrics": {**METRICS, "enabled": False}}, "nothing to scrape"),
        ({"metrics": METRICS}, "knows no ServiceMonitor"),
        ({"metrics": {**METRICS, "port": 8400}}, "port"),
        ({"replicas": 3}, "replicas"),
        ({"database": {**GIVEN["database"], "url": "postgresql://aval:secret@db/aval"}}, "url"),
    ],
)
def test_values_that_would_do_harm_are_refused(change: dict[str, Any], why: str, tmp_path: Path) -> None:
    assert HELM
    done = rendered(HELM, given(**change), tmp_path)
    assert done.returncode != 0 and why in done.stderr, done.stderr


@needs_helm
def test_pods_without_a_claim_keep_their_mark_to_themselves_only_when_that_is_asked(tmp_path: Path) -> None:
    found = kinds(given(mark={"emptyDir": True}), tmp_path)
    [mark] = [each for each in found["Deployment"]["spec"]["template"]["spec"]["volumes"] if each["name"] == "mark"]
    assert "emptyDir" in mark


@needs_helm
def test_metrics_have_a_port_of_their_own_that_callers_are_not_led_to(all_kinds: Kinds) -> None:
    [container] = all_kinds["Deployment"]["spec"]["template"]["spec"]["containers"]
    assert environment(container)["AVAL_METRICS_ADDRESS"] == "0.0.0.0:9410"
    ports = {port["name"]: port["containerPort"] for port in container["ports"]}
    assert ports == {"http": 8400, "metrics": 9410}
    assert [port["targetPort"] for port in all_kinds["Service"]["spec"]["ports"]] == ["http"]
    assert [port["targetPort"] for port in all_kinds["MetricsService"]["spec"]["ports"]] == ["metrics"]
    assert all_kinds["MetricsService"]["spec"]["clusterIP"] == "None"
    callers, scrapers = all_kinds["NetworkPolicy"]["spec"]["ingress"]
    assert callers["from"] == GIVEN["networkPolicy"]["from"] and [port["port"] for port in callers["ports"]] == [8400]
    assert scrapers["from"] == METRICS["from"] and [port["port"] for port in scrapers["ports"]] == [9410]


@needs_helm
def test_the_monitor_finds_the_service_of_metrics_and_no_other(all_kinds: Kinds) -> None:
    monitor = all_kinds["ServiceMonitor"]
    wanted = monitor["spec"]["selector"]["matchLabels"].items()
    assert wanted <= all_kinds["MetricsService"]["metadata"]["labels"].items()
    assert not wanted <= all_kinds["Service"]["metadata"]["labels"].items()
    assert monitor["metadata"]["labels"]["release"] == "prometheus"
    [endpoint] = monitor["spec"]["endpoints"]
    [port] = all_kinds["MetricsService"]["spec"]["ports"]
    assert endpoint == {"port": port["name"], "path": "/metrics", "interval": "15s"}


@needs_helm
def test_nothing_is_measured_unless_that_is_asked(tmp_path: Path) -> None:
    found = kinds(given(), tmp_path, OPERATOR)
    assert not {"MetricsService", "ServiceMonitor"} & set(found)
    [container] = found["Deployment"]["spec"]["template"]["spec"]["containers"]
    assert "AVAL_METRICS_ADDRESS" not in environment(container) and len(container["ports"]) == 1
    assert len(found["NetworkPolicy"]["spec"]["ingress"]) == 1


@needs_helm
def test_metrics_without_the_operator_are_a_service_alone(tmp_path: Path) -> None:
    found = kinds(given(metrics={**METRICS, "serviceMonitor": {"enabled": False}}), tmp_path)
    assert "MetricsService" in found and "ServiceMonitor" not in found


def test_the_chart_measures_on_the_address_that_the_setting_takes() -> None:
    """Also where helm is absent."""
    values = loaded((CHART / "values.yaml").read_text())
    helpers = (CHART / "templates" / "_helpers.tpl").read_text()
    assert '"0.0.0.0:{{ .Values.metrics.port }}"' in helpers
    assert Settings(metrics_address=f"0.0.0.0:{values['metrics']['port']}").metrics_address
    assert values["metrics"]["enabled"] is values["metrics"]["serviceMonitor"]["enabled"] is False
    for name in ("service.yaml", "horizontalpodautoscaler.yaml"):
        assert ".Values.metrics" not in (CHART / "templates" / name).read_text()
