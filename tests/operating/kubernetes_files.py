"""The manifest and the chart of packaging/: by Kubernetes' own schemas, and by the hub's checks.

No cluster is started. What a cluster would do with the files is described by the schemas; what the
hub does with the configuration in them is tried.
"""

import importlib.util
import os
import pathlib
import shutil
import subprocess

from world import PATIENCE, ROOT, TIDINGS, Folder, Skipped, need, test

MANIFEST = ROOT / "packaging/kubernetes/tidings.yaml"
CHART = ROOT / "packaging/helm/tidings"

# The oldest version that the files are for (preStop.sleep), and a newer one.
VERSIONS = ["1.30.0", "1.34.0"]

# What people set: nothing, a name of their own for everything, and each switch the other way.
VALUES = {
    "defaults": "",
    "another secret": "existingSecret: mine\nimage: {repository: registry.example/hub, tag: x}\n",
    "an ingress": "ingress: {enabled: true, className: nginx, host: hub.example, tlsSecret: cert}\n"
                  "storage: {size: 20Gi, className: fast}\n"
                  "service: {type: LoadBalancer, port: 80, annotations: {a: b}}\n",
    "settings": "settings:\n  cors-origin: ['https://app.example', 'https://b.example']\n"
                "  retention-bytes: 10GiB\n  max-topics: 5000000\n  mercure: false\n"
                "podAnnotations: {a: b}\nnodeSelector: {disk: ssd}\n"
                "imagePullSecrets: [{name: pull}]\n"
                "tolerations: [{key: a, operator: Exists}]\n",
}

# What the schema of the values must reject: a typing error is no setting.
REFUSED = [
    "settings: {listen: '0.0.0.0:80'}\n",
    "replicas: 3\n",
    "ingress: {enabled: true, hosts: [a]}\n",
    "storage: {size: lots}\n",
]


def validator():
    for package in ["kubernetes_validate", "yaml"]:
        if importlib.util.find_spec(package) is None:
            raise Skipped(f"the Python package {package} is not here")
    import kubernetes_validate
    import yaml
    return kubernetes_validate, yaml


def documents(text):
    kubernetes_validate, yaml = validator()
    found = [document for document in yaml.safe_load_all(text) if document]
    for document in found:
        for version in VERSIONS:
            kubernetes_validate.validate(document, version, strict=True)
    return {(document["kind"], document["metadata"]["name"]): document for document in found}


def of_kind(found, kind):
    (one,) = [document for (its_kind, _), document in found.items() if its_kind == kind]
    return one


def check_configuration(found):
    """The hub understands the file that it would be given."""
    text = of_kind(found, "ConfigMap")["data"]["hub.toml"]
    folder = Folder()
    try:
        secret = folder.file("jwt-secret", "a secret of at least thirty-two bytes")
        mounted = "/run/secrets/tidings/jwt-secret"
        assert mounted in text
        text = text.replace(mounted, str(secret)).replace('"/data"', f'"{folder.path}/data"')
        config = folder.file("hub.toml", text)
        done = subprocess.run([TIDINGS, "check", config], capture_output=True, text=True,
                              timeout=PATIENCE)
        assert done.returncode == 0, done.stderr
        return done.stdout
    finally:
        folder.remove()


def check_pod(found):
    """The parts of the pod that name each other fit, and it goes slowly."""
    hub = of_kind(found, "StatefulSet")
    assert hub["spec"]["replicas"] == 1, "the log has one writer"
    assert hub["spec"]["minReadySeconds"] >= 1
    labels = hub["spec"]["template"]["metadata"]["labels"]
    service = of_kind(found, "Service")
    for selector in [hub["spec"]["selector"]["matchLabels"], service["spec"]["selector"]]:
        assert selector.items() <= labels.items(), (selector, labels)
    assert hub["spec"]["serviceName"] == service["metadata"]["name"]
    pod = hub["spec"]["template"]["spec"]
    (container,) = pod["containers"]
    volumes = {volume["name"] for volume in pod["volumes"]}
    volumes |= {claim["metadata"]["name"] for claim in hub["spec"]["volumeClaimTemplates"]}
    assert {mount["name"] for mount in container["volumeMounts"]} == volumes
    ports = {port["name"] for port in container["ports"]}
    probes = ["startupProbe", "readinessProbe", "livenessProbe"]
    assert {container[probe]["httpGet"]["port"] for probe in probes} <= ports
    assert [container[probe]["httpGet"]["path"] for probe in probes] == [
        "/readyz", "/readyz", "/healthz"]
    (port,) = service["spec"]["ports"]
    assert port["targetPort"] in ports
    waits = container["lifecycle"]["preStop"]["sleep"]["seconds"]
    # `max-drain` is 15 s.
    assert waits + 15 < pod["terminationGracePeriodSeconds"]
    config = next(volume for volume in pod["volumes"] if volume["name"] == "config")
    assert config["configMap"]["name"] == of_kind(found, "ConfigMap")["metadata"]["name"]
    return pod


@test
def the_kubernetes_manifest_is_valid_and_the_hub_understands_its_configuration():
    found = documents(MANIFEST.read_text())
    check_pod(found)
    check_configuration(found)


def helm(*arguments):
    return subprocess.run(["helm", *map(str, arguments)], capture_output=True, text=True,
                          timeout=4 * PATIENCE)


def template(release, *arguments):
    """The chart's files for the oldest Kubernetes that it is for."""
    return helm("template", release, CHART, "--kube-version", VERSIONS[0], *arguments)


@test
def the_helm_chart_is_valid_with_every_kind_of_values():
    need("helm")
    validator()
    folder = Folder()
    try:
        for name, values in VALUES.items():
            file = folder.file("values.yaml", values)
            done = helm("lint", "--strict", CHART, "--values", file)
            assert done.returncode == 0, f"{name}: {done.stdout}{done.stderr}"
            done = template("hub", "--values", file)
            assert done.returncode == 0, f"{name}: {done.stderr}"
            found = documents(done.stdout)
            pod = check_pod(found)
            meaning = check_configuration(found)
            secret = next(volume for volume in pod["volumes"] if volume["name"] == "secret")
            secret = secret["secret"]["secretName"]
            made = [name for kind, name in found if kind == "Secret"]
            assert made == ([] if name == "another secret" else [secret]), (name, made)
            assert (("Ingress", "hub-tidings") in found) == (name == "an ingress"), name
            if name == "settings":
                for line in ["max-topics = 5000000", "mercure = false", '"https://b.example"']:
                    assert line in meaning, meaning
        for values in REFUSED:
            file = folder.file("values.yaml", values)
            done = template("hub", "--values", file)
            refused = "values don't meet the specifications of the schema" in done.stderr
            assert done.returncode != 0 and refused, f"{values}: {done.stderr}"
    finally:
        folder.remove()


@test
def chart_and_manifest_describe_the_same_pod():
    need("helm")
    done = template("tidings")
    assert done.returncode == 0, done.stderr
    pods = [check_pod(documents(text)) for text in [MANIFEST.read_text(), done.stdout]]
    plain, charted = [dict(pod["containers"][0], imagePullPolicy="") for pod in pods]
    assert plain == charted
    for pod in pods:
        del pod["containers"]
    assert pods[0] == pods[1]


@test
def the_compose_file_names_what_is_there():
    _, yaml = validator()
    path = ROOT / "packaging/docker/compose.yaml"
    compose = yaml.safe_load(path.read_text())
    (hub,) = compose["services"].values()
    context = path.parent / hub["build"]["context"]
    assert (context / hub["build"]["dockerfile"]).exists()
    assert set(hub["secrets"]) == set(compose["secrets"])
    secret = hub["environment"]["TIDINGS_JWT_SECRET_FILE"]
    assert secret == f"/run/secrets/{hub['secrets'][0]}"
    assert {volume.split(":")[0] for volume in hub["volumes"]} == set(compose["volumes"])
    # `max-drain` is 15 s.
    assert int(hub["stop_grace_period"].rstrip("s")) > 15
    done = subprocess.run(["docker", "compose", "-f", path, "config", "--quiet"],
                          capture_output=True, text=True, timeout=PATIENCE) \
        if shutil.which("docker") else None
    # A docker without compose does not know the word.
    if done and "unknown" not in done.stderr:
        assert done.returncode == 0, done.stderr


def tools():
    """Where `scripts/test` puts what it builds."""
    target = os.environ.get("CARGO_TARGET_DIR") or ROOT / "target"
    return pathlib.Path(target) / "tools"


if shutil.which("helm") is None and (tools() / "helm").exists():
    os.environ["PATH"] += os.pathsep + str(tools())
