"""Judges rendered manifests: says on standard output what is wrong with them, one fault a line, and ends with 1 if any is.

    check.py --kubernetes 1.30,1.37 FOLDER…

Each folder holds what a kustomization rendered, `rendered.yaml`, and the `Dockerfile` of its image. Beside the schemas of those
versions: the *restricted* profile, references, settings, and who may talk to whom. Needs kubernetes-validate (which brings
PyYAML). Called by .ci/manifests, which also shows that planted mistakes are found.
"""

import argparse
import functools
import ipaddress
import json
import re
import sys
import tomllib
from pathlib import Path

import kubernetes_validate
import yaml

ROOT = Path(__file__).resolve().parent.parent
WORKLOADS = ("Deployment", "StatefulSet", "DaemonSet", "Job")
# Settings that the cluster's files have, or may have, although the example files, made for one machine, lack them.
TLS_SETTINGS = {
    "process.tls": ("cert_file", "key_file"),
    "process.internal_tls": ("cert_file", "key_file", "client_ca_file"),
    "registry": ("ca_file", "cert_file", "key_file"),
    "dispatcher": ("ca_file", "cert_file", "key_file"),
}
LISTENERS = ("listen", "internal_listen", "probe_listen")


class Manifests:
    """The documents of one rendering."""

    def __init__(self, path):
        documents = yaml.load_all(path.read_text(), Loader=yaml.CSafeLoader)
        self.documents = [document for document in documents if document]

    def of(self, *kinds):
        return [document for document in self.documents if document["kind"] in kinds]

    def pods(self):
        """Name, labels and specification of each workload's pod."""
        for workload in self.of(*WORKLOADS):
            template = workload["spec"]["template"]
            yield workload["metadata"]["name"], template["metadata"].get("labels", {}), template["spec"]

    def settings_of(self, spec):
        """The text of the sluice.toml that a pod mounts, or None."""
        maps = {map["metadata"]["name"]: map.get("data", {}) for map in self.of("ConfigMap")}
        for volume in spec.get("volumes", []):
            name = volume.get("configMap", {}).get("name")
            if "sluice.toml" in maps.get(name, {}):
                return maps[name]["sluice.toml"]
        return None


def title(document):
    return f'{document["kind"]} {document["metadata"]["name"]}'


def containers_of(spec):
    return spec.get("initContainers", []) + spec["containers"]


def schemas(manifests, versions):
    seen = set()
    for document in manifests.documents:
        key = (document["kind"], document["metadata"]["name"])
        if key in seen:
            yield f"{title(document)}: stands there twice"
        seen.add(key)
        for version in versions:
            if fault := schema_fault(json.dumps(document), version):
                yield f"{title(document)}: {fault}"


# Remembered, since the folders of one call have most documents in common.
@functools.cache
def schema_fault(document, version):
    try:
        kubernetes_validate.validate(json.loads(document), version, strict=True)
    except kubernetes_validate.ValidationError as error:
        place = ".".join(str(step) for step in error.path)
        return f"{place}: {error.message[:200]} (schema of {version})"
    except kubernetes_validate.SchemaNotFoundError as error:
        return error.message
    return None


def no_namespace(manifests):
    for document in manifests.documents:
        if document["kind"] == "Namespace" or "namespace" in document["metadata"]:
            yield f"{title(document)}: a base must leave the namespace to overlays"


def restricted_pods(manifests):
    """The restricted profile of the Pod Security Standards, and what the house asks beyond it."""
    for name, _, spec in manifests.pods():
        context = spec.get("securityContext", {})
        user = context.get("runAsUser")
        rules = {
            "runAsNonRoot": context.get("runAsNonRoot") is True,
            "a numeric runAsUser above 0": isinstance(user, int) and user > 0,
            "seccompProfile RuntimeDefault": context.get("seccompProfile", {}).get("type") == "RuntimeDefault",
            "automountServiceAccountToken: false": spec.get("automountServiceAccountToken") is False,
            "enableServiceLinks: false": spec.get("enableServiceLinks") is False,
            "no namespace of the host": not any(spec.get(key) for key in ("hostNetwork", "hostPID", "hostIPC")),
        }
        yield from (f"pod {name}: needs {rule}" for rule, kept in rules.items() if not kept)
        for volume in spec.get("volumes", []):
            if not set(volume) - {"name"} <= {"configMap", "emptyDir", "persistentVolumeClaim", "projected", "secret"}:
                yield f'pod {name}: volume {volume["name"]} is of a kind that the restricted profile forbids'
        for container in containers_of(spec):
            yield from (f'pod {name}, container {container["name"]}: {fault}' for fault in container_faults(container))


def container_faults(container):
    context = container.get("securityContext", {})
    capabilities = context.get("capabilities", {})
    resources = container.get("resources", {})
    image = container.get("image", "")
    tag = re.search(r"(?:^|/)[^/:@]+:([\w][\w.-]*)(@sha256:[0-9a-f]{64})?$", image)
    rules = {
        "needs allowPrivilegeEscalation: false": context.get("allowPrivilegeEscalation") is False,
        "must not be privileged": not context.get("privileged"),
        "needs readOnlyRootFilesystem": context.get("readOnlyRootFilesystem") is True,
        "must drop ALL capabilities": capabilities.get("drop") == ["ALL"],
        "must add no capability": not capabilities.get("add"),
        "must not weaken its pod's user": context.get("runAsNonRoot") in (None, True) and context.get("runAsUser") != 0,
        "must not weaken its pod's seccompProfile": context.get("seccompProfile", {"type": "RuntimeDefault"})["type"] == "RuntimeDefault",
        f"image {image} needs a tag": tag is not None,
        f"image {image} must not be latest": tag is None or tag[1] != "latest",
        "needs requests of cpu and memory": {"cpu", "memory"} <= set(resources.get("requests", {})),
        "needs limits of cpu and memory": {"cpu", "memory"} <= set(resources.get("limits", {})),
    }
    yield from (rule for rule, kept in rules.items() if not kept)
    for mount in container.get("volumeMounts", []):
        if "subPath" in mount:
            yield f'{mount["mountPath"]}: a subPath is never renewed'


def probes(manifests):
    for name, _, spec in manifests.pods():
        settings = manifests.settings_of(spec)
        for container in spec["containers"]:
            ports = {port["containerPort"] for port in container.get("ports", [])}
            for kind in ("startupProbe", "livenessProbe", "readinessProbe"):
                probe = container.get(kind)
                if probe is None:
                    yield f"pod {name}: needs a {kind}"
                elif settings and kind == "livenessProbe" and "grpc" in probe:
                    yield f"pod {name}: livenessProbe must not ask for health, which follows the database"
                elif settings and kind != "livenessProbe" and "grpc" not in probe:
                    yield f"pod {name}: {kind} must ask over gRPC"
                elif settings and kind == "startupProbe" and probe["grpc"].get("service") != "database":
                    yield f"pod {name}: startupProbe must ask for database: a service that waits for another one must not be restarted"
                elif settings and "grpc" in probe and (fault := speaks_tls(settings, probe["grpc"]["port"])):
                    yield f"pod {name}: {kind} asks a port that {fault}"
                elif "grpc" in probe and probe["grpc"]["port"] not in ports:
                    yield f"pod {name}: {kind} asks a port that the container does not name"


def speaks_tls(settings, port):
    """Why a kubelet, which speaks no TLS, can't ask the port for health; None if it can."""
    try:
        process = tomllib.loads(settings).get("process", {})
    except tomllib.TOMLDecodeError:
        return None
    for listener, tls in (("listen", "tls"), ("internal_listen", "internal_tls")):
        if tls in process and process.get(listener, "").endswith(f":{port}"):
            return f"speaks TLS (process.{listener}); kubelets do not, see process.probe_listen"
    return None


def in_clear(found):
    """Tokens and credentials leave a pod over mutual TLS only, or the service does not start."""
    process = found.get("process", {})
    if "internal_listen" in process and set(process.get("internal_tls", {})) != set(TLS_SETTINGS["process.internal_tls"]):
        yield "process.internal_listen needs process.internal_tls with " + ", ".join(TLS_SETTINGS["process.internal_tls"])
    for upstream in ("registry", "dispatcher"):
        if "address" in found.get(upstream, {}):
            if not found[upstream]["address"].startswith("https://"):
                yield f"{upstream}.address must be https"
            missing = [key for key in TLS_SETTINGS[upstream] if key not in found[upstream]]
            yield from (f"{upstream}.{key} is needed" for key in missing)


def secrets(manifests):
    """Nothing secret stands in a manifest, and each reference to a Secret is in the README's table."""
    readme = (ROOT / "k8s/README.md").read_text()
    told = {name: set(re.findall(r"`([^`]+)`", keys)) for name, keys in re.findall(r"^\| `([\w-]+)` \|([^|]*)\|", readme, re.M)}
    maps = {map["metadata"]["name"] for map in manifests.of("ConfigMap")}
    yield from (f"{title(secret)}: Secrets are made apart from manifests" for secret in manifests.of("Secret"))
    for document in manifests.of("ConfigMap", *WORKLOADS):
        if re.search(r"PRIVATE KEY|://[^\s/:@]+:[^\s/@]+@", str(document)):
            yield f"{title(document)}: holds a secret"
    for name, _, spec in manifests.pods():
        wanted = []
        for volume in spec.get("volumes", []):
            if "secret" in volume:
                items = volume["secret"].get("items", [{"key": "(no items named)"}])
                wanted += [(volume["secret"]["secretName"], item["key"]) for item in items]
            if "configMap" in volume and volume["configMap"]["name"] not in maps:
                yield f'pod {name}: there is no ConfigMap {volume["configMap"]["name"]}'
        for container in containers_of(spec):
            mounted = {mount["name"] for mount in container.get("volumeMounts", [])}
            there = {volume["name"] for volume in spec.get("volumes", [])}
            claims = {"data"} if name == "sluice-postgres" else set()
            if mounted != there | claims:
                yield f"pod {name}: volumes and mounts differ: {sorted(mounted ^ (there | claims))}"
            for variable in container.get("env", []):
                if re.search(r"PASSWORD$|SECRET|TOKEN|KEY|__DATABASE$", variable["name"]) and "value" in variable:
                    yield f'pod {name}: {variable["name"]} must come out of a Secret'
                if reference := variable.get("valueFrom", {}).get("secretKeyRef"):
                    wanted.append((reference["name"], reference["key"]))
        for secret, key in wanted:
            if key not in told.get(secret, set()):
                yield f"pod {name}: Secret {secret}, key {key}, is not in the table of k8s/README.md"


def keys_of(table, path=""):
    """The dotted keys of all values and tables."""
    for key, value in table.items():
        yield path + key
        if isinstance(value, dict):
            yield from keys_of(value, f"{path}{key}.")


def settings(manifests):
    """Each sluice.toml parses, has only settings that exist, and fits its pod."""
    for name, _, spec in manifests.pods():
        text = manifests.settings_of(spec)
        if text is None:
            continue
        service = name.removeprefix("sluice-")
        try:
            found = tomllib.loads(text)
        except tomllib.TOMLDecodeError as error:
            yield f"settings of {name}: {error}"
            continue
        example = tomllib.loads((ROOT / f"services/{service}/{service}.example.toml").read_text())
        known = set(keys_of(example))
        for group, keys in TLS_SETTINGS.items():
            if group.startswith("process.") or f"{group}.address" in known:
                known |= {group, *(f"{group}.{key}" for key in keys)}
        known |= {f"process.{listener}" for listener in LISTENERS}
        yield from (f"settings of {name}: {key} is unknown" for key in keys_of(found) if key not in known)
        yield from (f"settings of {name}: {fault}" for fault in in_clear(found))
        process = found.get("process", {})
        container = spec["containers"][0]
        ports = {str(port["containerPort"]) for port in container["ports"]}
        listening = {process[key].rpartition(":")[2] for key in LISTENERS if key in process}
        if ports != listening:
            yield f"settings of {name}: listens on {sorted(listening)}, the container names {sorted(ports)}"
        drain = int(process.get("drain_within", "30s").removesuffix("s"))
        sleep = container.get("lifecycle", {}).get("preStop", {}).get("sleep", {}).get("seconds", 0)
        if sleep < 1:
            yield f"pod {name}: needs a preStop sleep"
        if spec.get("terminationGracePeriodSeconds", 30) < sleep + drain + 5:
            yield f"pod {name}: terminationGracePeriodSeconds is too short for preStop, drain_within and 5 s to spare"
        mounts = [mount["mountPath"] for mount in container["volumeMounts"]]
        for path in re.findall(r'"(/[^"]+)"', text):
            if not any(path.startswith(mount + "/") for mount in mounts):
                yield f"settings of {name}: nothing is mounted at {path}"


def selects(selector, labels):
    if any(labels.get(key) != value for key, value in selector.get("matchLabels", {}).items()):
        return False
    return all(
        rule["operator"] == "In" and labels.get(rule["key"]) in rule["values"]
        for rule in selector.get("matchExpressions", [])
    )


def allows(policies, direction, own, other, port, number):
    """Whether the policies let a pod with labels `own` talk with one of the same namespace that has `other`."""
    peers = {"Ingress": "from", "Egress": "to"}[direction]
    for policy in policies:
        spec = policy["spec"]
        if direction not in spec["policyTypes"] or not selects(spec["podSelector"], own):
            continue
        for rule in spec.get(direction.lower(), []):
            if any(entry.get("port") in (port, number) for entry in rule.get("ports", [])) and any(
                "podSelector" in peer and "namespaceSelector" not in peer and selects(peer["podSelector"], other)
                for peer in rule.get(peers, [])
            ):
                return True
    return False


def connections(manifests):
    """Services find their pods, what the settings name is there, and the network lets just that through."""
    policies = manifests.of("NetworkPolicy")
    pods = {name: (labels, spec) for name, labels, spec in manifests.pods()}
    if not any(
        policy["spec"]["podSelector"] == {} and sorted(policy["spec"]["policyTypes"]) == ["Egress", "Ingress"]
        and not policy["spec"].get("ingress") and not policy["spec"].get("egress") for policy in policies
    ):
        yield "NetworkPolicy: nothing denies by default"
    for policy in policies:
        if not any(selects(policy["spec"]["podSelector"], labels) for labels, _ in pods.values()):
            yield f"{title(policy)}: selects no pod"
        for rule in policy["spec"].get("ingress", []) + policy["spec"].get("egress", []):
            if not (rule.get("from") or rule.get("to")) or not rule.get("ports"):
                yield f"{title(policy)}: a rule must name peers and ports"
    behind = {}
    for service in manifests.of("Service"):
        chosen = [name for name, (labels, _) in pods.items() if selects({"matchLabels": service["spec"]["selector"]}, labels)]
        if len(chosen) != 1:
            yield f"{title(service)}: must select the pods of one workload, selects {chosen}"
            continue
        named = {port["name"]: port["containerPort"] for port in pods[chosen[0]][1]["containers"][0].get("ports", [])}
        for port in service["spec"]["ports"]:
            if named.get(port["targetPort"]) != port["port"]:
                yield f'{title(service)}: port {port["port"]} does not lead to a container port'
            behind[f'{service["metadata"]["name"]}:{port["port"]}'] = (chosen[0], port["targetPort"], port["port"])
    for name, (labels, spec) in pods.items():
        text = manifests.settings_of(spec)
        wanted = re.findall(r'address = "https?://([^"]+)"', text or "")
        if text and "sluice-postgres" in pods:
            wanted.append("sluice-postgres:5432")
        for address in wanted:
            if address not in behind:
                yield f"pod {name}: no Service has {address}"
                continue
            callee, port, number = behind[address]
            if not allows(policies, "Egress", labels, pods[callee][0], port, number):
                yield f"pod {name}: the network does not let it reach {address}"
            if not allows(policies, "Ingress", pods[callee][0], labels, port, number):
                yield f"pod {callee}: the network does not let {name} in at {number}"


@functools.cache
def special_blocks():
    """The networks that the egress decision in the code refuses."""
    blocks = []
    text = (ROOT / "libs/egress/src/address.rs").read_text()
    for *octets, bits in re.findall(r"^    v4\((\d+), (\d+), (\d+), (\d+), (\d+), \"", text, re.M):
        blocks.append(ipaddress.ip_network(f'{".".join(octets)}/{bits}'))
    for segments, bits in re.findall(r"^    v6\(\[([^\]]+)\], (\d+), \"", text, re.M):
        segments = ":".join(f"{int(segment, 0):x}" for segment in segments.split(", "))
        blocks.append(ipaddress.ip_network(f"{segments}/{bits}"))
    return blocks


def public_only(manifests):
    """Addresses outside the cluster: the dispatcher's receivers alone, and none that the code would refuse."""
    special = special_blocks()
    if len(special) < 40:
        yield "libs/egress/src/address.rs: its blocks are not found any more; mend special_blocks()"
    for policy in manifests.of("NetworkPolicy"):
        peers = [peer for rule in policy["spec"].get("egress", []) for peer in rule.get("to", [])]
        blocks = [peer["ipBlock"] for peer in peers if "ipBlock" in peer]
        if blocks and policy["spec"]["podSelector"] != {"matchLabels": {"app.kubernetes.io/name": "sluice-dispatcher"}}:
            yield f"{title(policy)}: only the dispatcher may leave the cluster"
        for block in blocks:
            open_to = ipaddress.ip_network(block["cidr"])
            shut = [ipaddress.ip_network(text) for text in block.get("except", [])]
            for network in special:
                if network.version != open_to.version or not network.overlaps(open_to):
                    continue
                if not any(network.subnet_of(one) for one in shut):
                    yield f"{title(policy)}: lets out to {network}"


def image(manifests, dockerfile):
    """The Dockerfile: pinned, the house's compiler, no root, and in it what the pods start."""
    text = dockerfile.read_text()
    channel = tomllib.loads((ROOT / "rust-toolchain.toml").read_text())["toolchain"]["channel"]
    stages = re.findall(r"^FROM (\S+)", text, re.M)
    last = text[text.rindex("\nFROM "):]
    user = re.search(r"^USER (\d+):\d+$", last, re.M)
    for base in stages:
        if not re.search(r":[\w][\w.-]*(@sha256:[0-9a-f]{64})?$", base) or ":latest" in base:
            yield f"Dockerfile: {base} is not pinned"
    if not stages[0].startswith(f"rust:{channel}-") or f"RUSTUP_TOOLCHAIN={channel}\n" not in text:
        yield f"Dockerfile: does not build with Rust {channel} of rust-toolchain.toml"
    if user is None or int(user[1]) == 0:
        yield "Dockerfile: needs a numeric USER above 0"
    if re.search(r"^RUN ", last, re.M) or not re.search(r"distroless/(cc|static)", stages[-1]):
        yield "Dockerfile: the final image must have no shell"
    for name, _, spec in manifests.pods():
        if manifests.settings_of(spec) is None:
            continue
        command = spec["containers"][0]["command"][0]
        if not re.search(rf"release/{re.escape(Path(command).name)}(?= )", text):
            yield f"Dockerfile: does not bring {command} of pod {name}"
        if user and int(user[1]) != spec.get("securityContext", {}).get("runAsUser"):
            yield f"Dockerfile: USER {user[1]} is not the runAsUser of pod {name}"


def faults_of(folder, versions):
    manifests = Manifests(folder / "rendered.yaml")
    faults = list(schemas(manifests, versions))
    # What does not have the shape of a manifest can't be asked the rest.
    if not faults:
        for judge in (restricted_pods, probes, secrets, settings, connections, public_only):
            faults += judge(manifests)
        if folder.name.startswith("base"):
            faults += no_namespace(manifests)
        faults += image(manifests, folder / "Dockerfile")
    return faults


def main():
    arguments = argparse.ArgumentParser()
    arguments.add_argument("--kubernetes", required=True, type=lambda text: text.split(","))
    arguments.add_argument("folders", nargs="+", type=Path)
    given = arguments.parse_args()
    faulty = False
    for folder in given.folders:
        faults = faults_of(folder, given.kubernetes)
        faulty |= bool(faults)
        for line in faults or ["in order"]:
            print(f"{folder.name}: {line}")
    return faulty


if __name__ == "__main__":
    sys.exit(main())
