"""The files of deploy/: each passes its linter, and they fit each other, the code and a server."""

from __future__ import annotations

import copy
import dataclasses
import fnmatch
import json
import os
import re
import runpy
import shutil
import socket
import subprocess
import sys
import time
import tomllib
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
from ruamel.yaml import YAML

from detector.errors import LibraryError
from detector.library.database import database_url
from detector.library.store import Library
from detector.limits import Limits, variable_of
from detector.service.tokens import Tokens
from tests.helpers.processes import ROOT
from tests.helpers.served import free_port

DEPLOY = ROOT / "deploy"
KUBERNETES = DEPLOY / "kubernetes"
DOCKERFILES = ("Dockerfile", "Dockerfile.cuda")
MANIFESTS = sorted(path for path in KUBERNETES.glob("*.yaml") if path.stem != "kustomization")
VERSION = "1.37"
PROGRAMS = Path(sys.executable).parent
PATIENCE = 120.0  # seconds


def documents(path: Path) -> list[dict[str, Any]]:
    """What a YAML file holds; a key that stands twice is refused."""
    return list(YAML(typ="safe", pure=True).load_all(path.read_text(encoding="utf-8")))


def manifest(stem: str, number: int = 0) -> dict[str, Any]:
    return documents(KUBERNETES / f"{stem}.yaml")[number]


def lint(program: str, *arguments: str | Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [PROGRAMS / program, *arguments], capture_output=True, text=True, check=False, timeout=60
    )


# ---------------------------------------------------------------- linters


def hadolint(path: Path) -> subprocess.CompletedProcess[str]:
    return lint("hadolint", "--no-color", "--failure-threshold", "style", path)


@pytest.mark.parametrize("name", DOCKERFILES)
def test_dockerfile_passes_its_linter(name: str, tmp_path: Path) -> None:
    done = hadolint(DEPLOY / name)
    assert (done.returncode, done.stdout) == (0, "")
    text = (DEPLOY / name).read_text(encoding="utf-8")
    # Debian's mirrors drop old versions, so that pinning them breaks every later build.
    assert re.findall(r"hadolint +ignore=(.*)", text) == ["DL3008"]
    for good, bad, rule in (
        (":3.11-slim-bookworm", ":latest", "DL3007"),
        ("WORKDIR /app", "WORKDIR app", "DL3000"),
        ("--no-install-recommends ", "", "DL3015"),
    ):
        broken = tmp_path / name
        broken.write_text(text.replace(good, bad), encoding="utf-8")
        done = hadolint(broken)
        assert done.returncode == 1
        assert rule in done.stdout


def compose_schema(path: Path) -> subprocess.CompletedProcess[str]:
    return lint("check-jsonschema", "--builtin-schema", "vendor.compose-spec", path)


def test_compose_file_passes_its_linter(tmp_path: Path) -> None:
    done = compose_schema(DEPLOY / "compose.yaml")
    assert done.returncode == 0, done.stdout
    broken = tmp_path / "compose.yaml"
    text = (DEPLOY / "compose.yaml").read_text(encoding="utf-8")
    broken.write_text(text.replace("    healthcheck:", "    healthchek:"), encoding="utf-8")
    done = compose_schema(broken)
    assert done.returncode == 1
    assert "healthchek" in done.stdout


@pytest.mark.parametrize("path", MANIFESTS, ids=lambda path: path.stem)
def test_manifest_passes_its_linter(path: Path) -> None:
    found = documents(path)
    assert found
    for one in found:
        assert kubernetes_validate.validate(one, VERSION, strict=True) == VERSION
        assert one["metadata"]["namespace" if one["kind"] != "Namespace" else "name"] == "veriframe"


@pytest.mark.parametrize("path", MANIFESTS, ids=lambda path: path.stem)
def test_linter_of_manifests_refuses_what_is_broken(path: Path) -> None:
    for one in documents(path):
        for broken in ({**one, "specs": {}}, {**one, "metadata": {"name": ["a"]}}):
            with pytest.raises(kubernetes_validate.ValidationError):
                kubernetes_validate.validate(broken, VERSION, strict=True)


def test_linter_of_manifests_looks_deep() -> None:
    pods = manifest("statefulset")
    for broken in (copy.deepcopy(pods), copy.deepcopy(pods)):
        kubernetes_validate.validate(broken, VERSION, strict=True)
        container = broken["spec"]["template"]["spec"]["containers"][0]
        container["securityContext"]["readOnlyRootFileSystem"] = True  # the S is a small one
        with pytest.raises(kubernetes_validate.ValidationError):
            kubernetes_validate.validate(broken, VERSION, strict=True)
    with pytest.raises(kubernetes_validate.SchemaNotFoundError):
        kubernetes_validate.validate({**pods, "kind": "StatefulSets"}, VERSION, strict=True)


def test_keys_that_stand_twice_are_refused(tmp_path: Path) -> None:
    twice = tmp_path / "twice.yaml"
    twice.write_text("replicas: 1\nreplicas: 2\n")
    with pytest.raises(Exception, match="duplicate key"):
        documents(twice)


# cloud.google.com/run/docs/reference/yaml/v1, and what each may be.
OF_THE_SERVICE = {
    "run.googleapis.com/ingress": "all|internal|internal-and-cloud-load-balancing",
    "run.googleapis.com/description": ".*",
    "run.googleapis.com/launch-stage": "ALPHA|BETA|GA",
    "run.googleapis.com/minScale": r"\d+",
    "run.googleapis.com/maxScale": r"\d+",
    "run.googleapis.com/invoker-iam-disabled": "true|false",
    "run.googleapis.com/iap-enabled": "true|false",
}
OF_A_REVISION = {
    "autoscaling.knative.dev/minScale": r"\d+",
    "autoscaling.knative.dev/maxScale": r"\d+",
    "run.googleapis.com/cpu-throttling": "true|false",
    "run.googleapis.com/startup-cpu-boost": "true|false",
    "run.googleapis.com/sessionAffinity": "true|false",
    "run.googleapis.com/cloudsql-instances": ".+",
    "run.googleapis.com/execution-environment": "gen1|gen2",
    "run.googleapis.com/vpc-access-connector": ".+",
    "run.googleapis.com/vpc-access-egress": "all-traffic|private-ranges-only",
    "run.googleapis.com/network-interfaces": r"\[.+\]",
    "run.googleapis.com/encryption-key": ".+",
    "run.googleapis.com/container-dependencies": r"\{.+\}",
}


def check_cloud_run(service: dict[str, Any]) -> None:
    """Raise where Cloud Run would refuse it, as far as its documentation says."""
    template = service["spec"]["template"]
    for place, known in ((service, OF_THE_SERVICE), (template, OF_A_REVISION)):
        for name, value in place["metadata"]["annotations"].items():
            if name not in known or not re.fullmatch(known[name], value):
                raise ValueError(f"{name}: {value}")
    json.loads(template["metadata"]["annotations"]["run.googleapis.com/network-interfaces"])
    spec = dict(template["spec"])
    assert 1 <= spec.pop("containerConcurrency") <= 1000
    assert 1 <= spec.pop("timeoutSeconds") <= 3600
    pod = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "pod"}, "spec": spec}
    kubernetes_validate.validate(pod, VERSION, strict=True)
    startup = spec["containers"][0]["startupProbe"]
    assert startup["periodSeconds"] * startup["failureThreshold"] <= 240


def test_cloud_run_service_is_what_cloud_run_documents() -> None:
    [service] = documents(DEPLOY / "cloud-run.yaml")
    assert (service["apiVersion"], service["kind"]) == ("serving.knative.dev/v1", "Service")
    check_cloud_run(service)
    revision = service["spec"]["template"]["metadata"]["annotations"]
    assert revision["run.googleapis.com/sessionAffinity"] == "true"
    assert revision["run.googleapis.com/cpu-throttling"] == "false"
    assert revision["run.googleapis.com/vpc-access-egress"] == "all-traffic"
    broken = copy.deepcopy(service)
    broken["spec"]["template"]["metadata"]["annotations"]["run.googleapis.com/session"] = "true"
    with pytest.raises(ValueError, match=r"run\.googleapis\.com/session"):
        check_cloud_run(broken)
    broken = copy.deepcopy(service)
    broken["spec"]["template"]["spec"]["containers"][0]["startupProbe"]["httpGet"]["port"] = None
    with pytest.raises(kubernetes_validate.ValidationError):
        check_cloud_run(broken)


# ---------------------------------------------------------------- images


def instructions(name: str) -> list[tuple[str, str]]:
    """The instructions of a Dockerfile: name and words, lines joined."""
    text = (DEPLOY / name).read_text(encoding="utf-8")
    lines = [line for line in text.splitlines() if line and not line.startswith("#")]
    joined = re.sub(r"\\\n\s*", " ", "\n".join(lines))
    return [(kind, words) for kind, _, words in (one.partition(" ") for one in joined.split("\n"))]


def last(name: str, kind: str) -> str:
    """The words of the last instruction of that kind."""
    return [words for found, words in instructions(name) if found == kind][-1]


def variables(name: str) -> dict[str, str]:
    """What the final stage sets in the environment, but for the path."""
    stage = instructions(name)
    stage = stage[max(n for n, (kind, _) in enumerate(stage) if kind == "FROM") :]
    words = " ".join(words for kind, words in stage if kind == "ENV").split()
    return {name: value for name, _, value in (word.partition("=") for word in words)
            if name != "PATH"}  # fmt: skip


def sent(name: str, path: Path) -> bool:
    """True if the build gets this file: the last line of the .dockerignore that fits decides."""
    relative = path.relative_to(ROOT)
    places = [str(place) for place in (relative, *relative.parents)]
    ignored = False
    for line in (DEPLOY / f"{name}.dockerignore").read_text(encoding="utf-8").splitlines():
        pattern = line.removeprefix("!").removeprefix("**/")
        anywhere = pattern if "**/" in line else None
        if line.startswith("#") or not line:
            continue
        if any(fnmatch.fnmatchcase(place, pattern) for place in places) or (
            anywhere and any(part == anywhere for part in relative.parts)
        ):
            ignored = not line.startswith("!")
    return not ignored


def copied(name: str) -> list[tuple[Path, str]]:
    """Each file or folder that a Dockerfile copies from the repository, and where to."""
    found = []
    for kind, words in instructions(name):
        if kind == "COPY" and not words.startswith("--from"):
            *sources, target = words.split()
            found += [(ROOT / source, target) for source in sources]
    return found


@pytest.mark.parametrize("name", DOCKERFILES)
def test_image_gets_what_it_needs_and_nothing_else(name: str) -> None:
    for source, _ in copied(name):
        files = [source] if source.is_file() else [*source.rglob("*.py"), *source.rglob("*.json")]
        assert files, source
        assert all(sent(name, file) for file in files if "__pycache__" not in file.parts), source
    for private in (
        ".git/config", ".venv/bin/python", "tests/conftest.py", "benchmarks/__main__.py",
        ".streamlit/secrets.toml", "deploy/.env", "deploy/kubernetes/secret.yaml", "runs/a.ckpt",
        "README.md", "detector/__pycache__/a.pyc", "assets/screenshots/check.png",
    ):  # fmt: skip
        assert not sent(name, ROOT / private), private


def test_images_differ_in_pytorch_only() -> None:
    cpu, cuda = (instructions(name) for name in DOCKERFILES)
    assert [one for one in cpu if one not in cuda] == [
        ("COPY", "requirements.lock deploy/cpu_lock.py ./"),
        next(one for one in cpu if "cpu_lock.py requirements.lock" in one[1] and one[0] == "RUN"),
        next(one for one in cpu if "VERIFRAME_CACHE" in one[1]),
    ]
    assert variables("Dockerfile.cuda").items() - variables("Dockerfile").items() == {
        ("NVIDIA_VISIBLE_DEVICES", "all"),
        ("NVIDIA_DRIVER_CAPABILITIES", "compute,utility"),
        ("CUDA_CACHE_PATH", "/data/cache/cuda"),
    }
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert project["requires-python"].startswith(">=3.11")
    bases = {words.split()[0] for kind, words in cpu + cuda if kind == "FROM"}
    assert bases == {"python:3.11-slim-bookworm"}


def test_lock_without_cuda_holds_all_the_rest() -> None:
    split = runpy.run_path(str(DEPLOY / "cpu_lock.py"))["split"]
    lock = (ROOT / "requirements.lock").read_text(encoding="utf-8")
    hashed, torch = split(lock)

    def pins(text: str) -> set[str]:
        return {line.split()[0] for line in text.splitlines() if re.match(r"[A-Za-z0-9]", line)}

    left_out = pins(lock) - pins(hashed)
    assert pins(torch) == {pin for pin in left_out if pin.startswith("torch")}
    assert {pin.split("==")[0] for pin in pins(torch)} == {"torch", "torchvision"}
    others = {pin.split("==")[0] for pin in left_out - pins(torch)}
    assert {"triton", "nvidia-cublas", "cuda-toolkit"} <= others
    assert all(re.match(r"nvidia-|cuda-|triton$", name) for name in others)
    for package in re.split(r"\n(?=[A-Za-z0-9])", hashed.strip()):
        assert "--hash=sha256:" in package, package
    with pytest.raises(SystemExit, match="must pin torch and torchvision"):
        split(lock.replace("\ntorchvision==", "\ntorchaudio=="))


# ---------------------------------------------------------------- one with another


def pod() -> dict[str, Any]:
    return manifest("statefulset")["spec"]["template"]["spec"]


def test_port_user_and_paths_agree() -> None:
    [compose] = documents(DEPLOY / "compose.yaml")
    [cloud] = documents(DEPLOY / "cloud-run.yaml")
    app, [container] = compose["services"]["app"], pod()["containers"]
    [in_cloud] = cloud["spec"]["template"]["spec"]["containers"]
    for name in DOCKERFILES:
        port = last(name, "EXPOSE")
        command = json.loads(last(name, "CMD"))
        assert command[command.index("--server.port") + 1] == port == "8501"
        user, _, group = last(name, "USER").partition(":")
        assert f":{port}/healthz" in last(name, "HEALTHCHECK")
        assert app["healthcheck"]["test"][1:] == json.loads(
            last(name, "HEALTHCHECK").partition("CMD ")[2]
        )
        assert app["ports"] == [f"127.0.0.1:{port}:{port}"]
        assert app["user"] == f"{user}:{group}"
        context = pod()["securityContext"]
        assert [str(context[key]) for key in ("runAsUser", "runAsGroup", "fsGroup")] == [
            user, group, group,
        ]  # fmt: skip
        assert int(user) > 0
        assert [str(one["containerPort"]) for one in container["ports"]] == [port]
        assert [str(one["containerPort"]) for one in in_cloud["ports"]] == [port]
        assert variables(name)["VERIFRAME_DATA"] == last(name, "VOLUME").strip('[]"') == "/data"
    assert app["build"]["dockerfile"] == "deploy/Dockerfile"
    assert (DEPLOY / app["build"]["context"] / app["build"]["dockerfile"]).is_file()
    assert {mount["mountPath"] for mount in container["volumeMounts"]} == {"/data", "/tmp"}
    assert [probe(container, kind) for kind in ("startup", "liveness", "readiness")] == [
        ("/healthz", "http"), ("/healthz", "http"), ("/readyz", "http"),
    ]  # fmt: skip
    assert [probe(in_cloud, kind) for kind in ("startup", "liveness")] == [
        ("/readyz", 8501), ("/healthz", 8501),
    ]  # fmt: skip


def probe(container: dict[str, Any], kind: str) -> tuple[str, Any]:
    asked = container[f"{kind}Probe"]["httpGet"]
    return asked["path"], asked["port"]


def test_every_container_is_held_tight() -> None:
    [compose] = documents(DEPLOY / "compose.yaml")
    for name, service in compose["services"].items():
        assert int(service["user"].partition(":")[0]) > 0, name
        assert service["read_only"] is True, name
        assert service["cap_drop"] == ["ALL"], name
        assert "cap_add" not in service, name
        assert "no-new-privileges:true" in service["security_opt"], name
        assert {"cpus", "memory", "pids"} <= set(service["deploy"]["resources"]["limits"]), name
        assert service["healthcheck"]["test"][0] == "CMD", name
        assert "privileged" not in service, name
        assert all(port.startswith("127.0.0.1:") for port in service.get("ports", [])), name
    assert "ports" not in compose["services"]["database"]
    assert compose["networks"]["back"]["internal"] is True
    assert pod()["securityContext"]["runAsNonRoot"] is True
    assert pod()["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    assert pod()["automountServiceAccountToken"] is False
    for container in pod()["containers"]:
        assert container["securityContext"] == {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        }
        assert {"cpu", "memory"} <= set(container["resources"]["limits"])
        assert {"cpu", "memory"} <= set(container["resources"]["requests"])
    labels = manifest("namespace")["metadata"]["labels"]
    assert labels["pod-security.kubernetes.io/enforce"] == "restricted"


def test_passwords_are_asked_for_and_not_written_down() -> None:
    text = (DEPLOY / "compose.yaml").read_text(encoding="utf-8")
    assert re.findall(r"\$\{(POSTGRES_PASSWORD|COOKIE_SECRET)(?!:\?)", text) == []
    assert text.count("${POSTGRES_PASSWORD:?") == 2
    secret = manifest("secret.example")
    assert all(value.startswith("<REPLACE ME: ") for value in secret["stringData"].values())
    with pytest.raises(LibraryError):
        database_url(secret["stringData"]["DATABASE_URL"])
    ignored = (DEPLOY / ".gitignore").read_text().split()
    assert ignored == [".env", "kubernetes/secret.yaml"]
    [cloud] = documents(DEPLOY / "cloud-run.yaml")
    [container] = cloud["spec"]["template"]["spec"]["containers"]
    given = {one["name"]: one for one in container["env"]}
    assert all("secretKeyRef" in given[name]["valueFrom"] for name in secret["stringData"])


def lets_out_only(policies: list[dict[str, Any]], ports: set[int]) -> bool:
    """True if nothing in the namespace may open a connection but to named places at `ports`."""
    closed = any(
        policy["spec"]["podSelector"] == {}
        and "Egress" in policy["spec"]["policyTypes"]
        and not policy["spec"].get("egress")
        for policy in policies
    )
    rules = [rule for policy in policies for rule in policy["spec"].get("egress", [])]
    named = all(
        rule.get("to") and all(to and {} not in to.values() for to in rule["to"]) for rule in rules
    )
    places = all("ipBlock" not in to for rule in rules for to in rule.get("to", []))
    open_ports = {port["port"] for rule in rules for port in rule.get("ports", [{"port": 0}])}
    return closed and named and places and open_ports <= ports


def test_network_policy_denies_the_way_out() -> None:
    policies = documents(KUBERNETES / "networkpolicy.yaml")
    assert lets_out_only(policies, {53, 5432})
    assert not lets_out_only(policies[1:], {53, 5432})
    assert not lets_out_only(policies, {53})
    rules = policies[1]["spec"]["egress"]
    for rule in (
        {},
        {"to": [{}], "ports": [{"port": 53}]},
        {"to": [{"podSelector": {}}], "ports": [{"port": 53}]},
        {"to": [{"ipBlock": {"cidr": "0.0.0.0/0"}}], "ports": [{"port": 53}]},
        {"to": rules[0]["to"]},
    ):
        worse = copy.deepcopy(policies)
        worse[1]["spec"]["egress"].append(rule)
        assert not lets_out_only(worse, {53, 5432}), rule
    assert policies[1]["spec"]["podSelector"]["matchLabels"].items() <= pod_labels().items()
    assert all(rule["from"] for rule in policies[1]["spec"]["ingress"])
    assert [port["port"] for port in policies[1]["spec"]["ingress"][0]["ports"]] == [8501]


def pod_labels() -> dict[str, str]:
    return manifest("statefulset")["spec"]["template"]["metadata"]["labels"]


def test_manifests_refer_to_what_is_there() -> None:
    kustomization = manifest("kustomization")
    assert kustomization["apiVersion"] == "kustomize.config.k8s.io/v1beta1"
    assert set(kustomization["resources"]) == {
        path.name for path in MANIFESTS if path.name != "secret.example.yaml"
    }
    stateful = manifest("statefulset")
    [image] = kustomization["images"]
    assert pod()["containers"][0]["image"].partition(":")[0] == image["name"]
    for selector in (
        stateful["spec"]["selector"]["matchLabels"],
        manifest("service")["spec"]["selector"],
        manifest("service", 1)["spec"]["selector"],
        manifest("disruption")["spec"]["selector"]["matchLabels"],
    ):
        assert selector.items() <= pod_labels().items()
    assert stateful["spec"]["serviceName"] == manifest("service", 1)["metadata"]["name"]
    assert manifest("service", 1)["spec"]["clusterIP"] == "None"
    assert manifest("service")["spec"]["sessionAffinity"] == "ClientIP"
    assert pod()["serviceAccountName"] == manifest("serviceaccount")["metadata"]["name"]
    secret = manifest("secret.example")["metadata"]["name"]
    assert pod()["containers"][0]["envFrom"] == [{"secretRef": {"name": secret}}]
    claims = {claim["metadata"]["name"] for claim in stateful["spec"]["volumeClaimTemplates"]}
    volumes = {volume["name"] for volume in pod()["volumes"]}
    assert {mount["name"] for mount in pod()["containers"][0]["volumeMounts"]} == claims | volumes
    [rule] = manifest("ingress")["spec"]["rules"]
    backend = rule["http"]["paths"][0]["backend"]["service"]
    assert backend["name"] == manifest("service")["metadata"]["name"]
    assert backend["port"]["name"] in {
        port["name"] for port in manifest("service")["spec"]["ports"]
    }
    hosts = {one["name"]: one for one in pod()["containers"][0]["env"]}
    assert hosts["STREAMLIT_SERVER_ALLOWED_HOSTS"]["value"] == f"{rule['host']} $(POD_IP)"
    target = manifest("autoscaler")["spec"]["scaleTargetRef"]
    assert (target["kind"], target["name"]) == (stateful["kind"], stateful["metadata"]["name"])
    assert target["apiVersion"] == stateful["apiVersion"]
    assert manifest("autoscaler")["spec"]["minReplicas"] == stateful["spec"]["replicas"] == 2


def queue_metric() -> str:
    [metric] = manifest("autoscaler")["spec"]["metrics"]
    return metric["pods"]["metric"]["name"]


def test_queue_is_scaled_by_one_name() -> None:
    [values] = documents(DEPLOY / "prometheus" / "adapter-values.yaml")
    [rule] = values["rules"]["custom"]
    assert rule["name"] == {"matches": f"^{queue_metric()}$", "as": queue_metric()}
    assert rule["seriesQuery"].startswith(queue_metric() + "{")
    [prometheus] = documents(DEPLOY / "prometheus" / "scrape.yaml")
    [scrape] = prometheus["scrape_configs"]
    assert scrape["authorization"]["type"] == "Bearer"
    kept = {one.get("target_label") for one in scrape["relabel_configs"]}
    assert set(rule["resources"]["overrides"]) <= kept


def test_settings_exist_in_the_code() -> None:
    known = {variable_of(field.name) for field in dataclasses.fields(Limits)}
    sources = "\n".join(path.read_text() for path in (ROOT / "detector").rglob("*.py"))
    files = [path for path in DEPLOY.rglob("*") if path.is_file() and path.suffix != ".pyc"]
    named = {
        name
        for path in files
        for name in re.findall(r"VERIFRAME_[A-Z_]*[A-Z]", path.read_text(encoding="utf-8"))
    }
    assert {"VERIFRAME_DATA", "VERIFRAME_CACHE", "VERIFRAME_MAX_ANALYSES"} <= named
    for name in named:
        assert name in known or re.search(rf'"{name}"', sources), name
    [compose] = documents(DEPLOY / "compose.yaml")
    for given in (
        compose["services"]["app"]["environment"],
        {one["name"]: one.get("value", "") for one in pod()["containers"][0]["env"]},
    ):
        limits = Limits.from_environment(given)
        assert (limits.analyses, limits.memory, limits.bytes) == (2, 1 << 30, 512 << 20)


# ---------------------------------------------------------------- a real server


@dataclasses.dataclass(frozen=True)
class Running:
    """The image's command as a process: its port, its folder, where it may write, and a proxy that
    nobody must ask."""

    port: int
    app: Path
    data: Path
    way_out: socket.socket

    def ask(self, path: str, **headers: str) -> tuple[int, str]:
        request = urllib.request.Request(f"http://127.0.0.1:{self.port}{path}", headers=headers)
        try:
            with urllib.request.urlopen(request, timeout=30) as answer:
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as error:
            return error.code, error.read().decode()


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """What the image would run, in a folder with exactly what the image would get."""
    place = tmp_path_factory.mktemp("image")
    app = place / "app"
    app.mkdir()
    for source, target in copied("Dockerfile"):
        if source.name in ("requirements.lock", "cpu_lock.py"):
            continue  # of the other stage
        to = app / target / source.name if target.endswith("/") else app / target
        to.parent.mkdir(parents=True, exist_ok=True)
        if source.name == "assets":
            to.symlink_to(source)  # too large to copy for each run
        elif source.is_dir():
            shutil.copytree(source, to, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copyfile(source, to)
    (place / "data").mkdir()
    (place / "tmp").mkdir()
    inside = {
        name: re.sub(r"^/(data|tmp)\b", rf"{place}/\1", value)
        for name, value in variables("Dockerfile").items()
    }
    [compose] = documents(DEPLOY / "compose.yaml")
    hosts = compose["services"]["app"]["environment"]["STREAMLIT_SERVER_ALLOWED_HOSTS"]
    way_out = socket.create_server(("127.0.0.1", 0))
    proxy = f"http://127.0.0.1:{way_out.getsockname()[1]}"
    environment = {
        "PATH": os.environ["PATH"], **inside, "http_proxy": proxy, "https_proxy": proxy,
        "STREAMLIT_SERVER_ALLOWED_HOSTS": hosts.replace("${ALLOWED_HOSTS:-localhost}", "a.test"),
    }  # fmt: skip
    port = free_port()
    command = json.loads(last("Dockerfile", "CMD"))
    command = [str(port) if word == "8501" else word for word in command]
    log = place / "log"
    with log.open("w") as output:
        process = subprocess.Popen(
            [sys.executable, "-m", *command], cwd=app, env=environment,
            stdout=output, stderr=subprocess.STDOUT,
        )  # fmt: skip
    server = Running(port, app, place / "data", way_out)
    try:
        deadline = time.monotonic() + PATIENCE
        while health(port).returncode != 0:
            assert process.poll() is None, log.read_text()
            assert time.monotonic() < deadline, log.read_text()
            time.sleep(0.2)
        yield server
    finally:
        process.terminate()
        process.wait(30)
        way_out.close()


def health(port: int) -> subprocess.CompletedProcess[str]:
    """The image's health check, asked of that port; a proxy would know nothing of it."""
    [_, program, url] = json.loads(last("Dockerfile", "HEALTHCHECK").partition("CMD ")[2])
    return subprocess.run(
        [sys.executable, ROOT / program, url.replace("8501", str(port))],
        capture_output=True, text=True, check=False, timeout=60,
        env={**os.environ, "http_proxy": "http://127.0.0.1:9"},
    )  # fmt: skip


def test_image_command_serves_what_the_probes_ask(running: Running) -> None:
    before = set(running.app.rglob("*"))
    assert running.ask("/healthz")[0] == 200
    deadline = time.monotonic() + PATIENCE
    while (answer := running.ask("/readyz"))[0] != 200:
        assert answer[0] == 503
        assert time.monotonic() < deadline, answer
        time.sleep(0.2)
    assert running.ask("/")[0] == 200
    assert running.ask("/healthz", Host="a.test")[0] == 200
    assert running.ask("/healthz", Host="b.test")[0] == 400
    # Everything it wrote is where it may write.
    assert set(running.app.rglob("*")) == before
    assert (running.data / "library.sqlite").is_file()
    assert (running.data / "spool").is_dir()


def test_nothing_is_asked_of_other_machines(running: Running) -> None:
    assert running.ask("/")[0] == 200  # the beginning is over
    running.way_out.settimeout(0)
    with pytest.raises(BlockingIOError):
        running.way_out.accept()


def test_metric_of_the_autoscaler_is_served(running: Running) -> None:
    assert running.ask("/metrics")[0] == 401
    with Library.open(running.data / "library.sqlite") as library:
        _, token = Tokens(library).create("prometheus", ["metrics"])
    status, text = running.ask("/metrics", Authorization=f"Bearer {token}")
    assert status == 200
    assert f"# TYPE {queue_metric()} gauge\n{queue_metric()} 0.0\n" in text


def test_health_check_fails_where_nobody_answers() -> None:
    done = health(free_port())
    assert done.returncode == 1
    assert "does not answer as it should" in done.stderr
