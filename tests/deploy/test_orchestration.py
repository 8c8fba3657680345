"""The files for Compose, Kubernetes, Prometheus and Grafana are valid and agree with the app."""

import json
import re
from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
import yaml
from flask import Flask
from flask.testing import FlaskClient
from prometheus_client.parser import text_string_to_metric_families

from config import OFF, Settings, setting_names
from testing.handwriting import DIGITS

DEPLOY = Path(__file__).parents[2] / "deploy"
IMAGE_USER = 10001
KUBERNETES = "1.34"
OBJECTS: dict[str, Any] = {
    item["kind"]: item for item in yaml.safe_load_all((DEPLOY / "kubernetes.yaml").read_text(encoding="utf-8"))
}
COMPOSE = yaml.safe_load((DEPLOY / "compose.yaml").read_text(encoding="utf-8"))
DASHBOARD = json.loads((DEPLOY / "grafana-dashboard.json").read_text(encoding="utf-8"))


# ---- Kubernetes ----


@pytest.mark.parametrize("kind", sorted(OBJECTS))
def test_object_is_valid(kind: str) -> None:
    kubernetes_validate.validate(OBJECTS[kind], KUBERNETES, strict=True)


def test_objects_select_the_same_pods() -> None:
    deployment = OBJECTS["Deployment"]
    labels = deployment["spec"]["template"]["metadata"]["labels"]
    assert deployment["spec"]["selector"]["matchLabels"] == labels
    assert OBJECTS["Service"]["spec"]["selector"] == labels
    assert OBJECTS["PodDisruptionBudget"]["spec"]["selector"]["matchLabels"] == labels
    assert OBJECTS["NetworkPolicy"]["spec"]["podSelector"]["matchLabels"] == labels
    target = OBJECTS["HorizontalPodAutoscaler"]["spec"]["scaleTargetRef"]
    assert (target["kind"], target["name"]) == ("Deployment", deployment["metadata"]["name"])
    # A node can always be drained.
    budget = OBJECTS["PodDisruptionBudget"]["spec"]["minAvailable"]
    assert budget < OBJECTS["HorizontalPodAutoscaler"]["spec"]["minReplicas"]


def container() -> dict[str, Any]:
    (only,) = OBJECTS["Deployment"]["spec"]["template"]["spec"]["containers"]
    return dict(only)


def test_container_has_least_privileges() -> None:
    pod = OBJECTS["Deployment"]["spec"]["template"]["spec"]
    assert pod["securityContext"]["runAsNonRoot"]
    assert pod["securityContext"]["runAsUser"] == IMAGE_USER
    assert pod["automountServiceAccountToken"] is False
    context = container()["securityContext"]
    assert context["readOnlyRootFilesystem"]
    assert context["allowPrivilegeEscalation"] is False
    assert context["capabilities"] == {"drop": ["ALL"]}
    assert {"cpu", "memory"} == set(container()["resources"]["limits"])


@pytest.mark.parametrize("probe", ["startupProbe", "readinessProbe", "livenessProbe"])
def test_probes_use_routes_of_the_app(client: FlaskClient, probe: str) -> None:
    ask = container()[probe]["httpGet"]
    assert client.get(ask["path"]).status_code == 200
    assert ask["port"] in [port["name"] for port in container()["ports"]]


def test_grace_period_exceeds_graceful_timeout() -> None:
    conf = (DEPLOY.parent / "gunicorn.conf.py").read_text(encoding="utf-8")
    (graceful,) = re.findall(r"^graceful_timeout = (\d+)", conf, re.MULTILINE)
    pause = container()["lifecycle"]["preStop"]["sleep"]["seconds"]
    assert OBJECTS["Deployment"]["spec"]["template"]["spec"]["terminationGracePeriodSeconds"] > pause + int(graceful)
    assert int(COMPOSE["services"]["app"]["stop_grace_period"].removesuffix("s")) > int(graceful)


def test_metrics_are_reachable_for_prometheus_only() -> None:
    environment = {variable["name"]: variable["value"] for variable in container()["env"]}
    ports = {port["name"]: port["containerPort"] for port in container()["ports"]}
    assert environment["DIGITS_METRICS_PORT"] == str(ports["metrics"])
    annotations = OBJECTS["Deployment"]["spec"]["template"]["metadata"]["annotations"]
    assert annotations["prometheus.io/port"] == str(ports["metrics"])
    assert [port["targetPort"] for port in OBJECTS["Service"]["spec"]["ports"]] == ["http"]
    rules = OBJECTS["NetworkPolicy"]["spec"]["ingress"]
    peers = {rule["ports"][0]["port"]: rule["from"][0]["namespaceSelector"]["matchLabels"] for rule in rules}
    assert peers == {
        "http": {"kubernetes.io/metadata.name": "ingress-nginx"},
        "metrics": {"kubernetes.io/metadata.name": "monitoring"},
    }


def test_pods_cannot_open_connections() -> None:
    policy = OBJECTS["NetworkPolicy"]["spec"]
    assert set(policy["policyTypes"]) == {"Ingress", "Egress"}
    assert policy["egress"] == []


def test_cluster_settings_are_valid_and_limit_strangers(monkeypatch: pytest.MonkeyPatch) -> None:
    for variable in container()["env"]:
        monkeypatch.setenv(variable["name"], variable["value"])
    settings = Settings.load()
    assert OFF not in (settings.trusted_hosts, settings.trusted_proxies, settings.rate_limit)


# ---- Compose ----


def test_services_have_least_privileges() -> None:
    for service in COMPOSE["services"].values():
        assert service["read_only"] is True
        assert service["cap_drop"] == ["ALL"]
        assert service["security_opt"] == ["no-new-privileges:true"]
        assert service["mem_limit"]
    assert "ports" not in COMPOSE["services"]["app"]


def test_images_are_pinned() -> None:
    for service in COMPOSE["services"].values():
        assert "build" in service or re.search(r":\d+\.\d+", service["image"])


def test_app_trusts_the_network_of_the_proxy_only() -> None:
    (network,) = COMPOSE["networks"]["inner"]["ipam"]["config"]
    assert COMPOSE["services"]["app"]["environment"]["DIGITS_TRUSTED_PROXIES"] == network["subnet"]


def test_proxy_listens_where_compose_says() -> None:
    listens = set(re.findall(r"listen (?:\[::\]:)?(\d+)", (DEPLOY / "nginx.conf").read_text(encoding="utf-8")))
    assert {port.split(":")[1] for port in COMPOSE["services"]["proxy"]["ports"]} == listens


def test_files_contain_only_known_settings() -> None:
    for file in ("compose.yaml", "kubernetes.yaml"):
        named = set(re.findall(r"\bDIGITS_[A-Z_]+", (DEPLOY / file).read_text(encoding="utf-8")))
        assert named <= setting_names().keys()
        assert named


# ---- metrics ----


def test_prometheus_scrapes_what_the_app_serves(app: Flask) -> None:
    (job,) = yaml.safe_load((DEPLOY / "prometheus.yml").read_text(encoding="utf-8"))["scrape_configs"]
    assert job["metrics_path"] in {rule.rule for rule in app.url_map.iter_rules()}
    (service,) = job["dns_sd_configs"]
    (name,) = service["names"]
    assert COMPOSE["services"][name]["environment"]["DIGITS_METRICS_PORT"] == str(service["port"])


def test_dashboard_uses_existing_metrics(client: FlaskClient) -> None:
    client.post("/api/v1/predict", json={"strokes": DIGITS[1]})
    client.post("/api/v1/predict", json={"strokes": []})
    samples = [
        sample for family in text_string_to_metric_families(client.get("/metrics").text) for sample in family.samples
    ]
    names = {sample.name for sample in samples}
    labels = {sample.name: set(sample.labels) for sample in samples}
    asked = [target["expr"] for panel in DASHBOARD["panels"] for target in panel["targets"]]
    assert len(asked) >= 12
    for expression in asked:
        found = re.findall(r"\b(digits_\w+)\{([^}]*)\}", expression)
        assert found, expression
        for name, selector in found:
            assert name in names, expression
            # Prometheus adds the label `job`.
            assert set(re.findall(r"(\w+)=~?\"", selector)) - {"job"} <= labels[name], expression
            grouped = {label for group in re.findall(r"by \(([^)]*)\)", expression) for label in group.split(", ")}
            assert grouped <= labels[name], expression


def test_every_metric_is_on_the_dashboard(client: FlaskClient) -> None:
    expressions = " ".join(target["expr"] for panel in DASHBOARD["panels"] for target in panel["targets"])
    families = text_string_to_metric_families(client.get("/metrics").text)
    ours = {family.name for family in families if family.name.startswith("digits_")}
    assert len(ours) > 8
    assert not [name for name in ours if name not in expressions]
