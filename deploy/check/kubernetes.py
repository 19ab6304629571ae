#!/usr/bin/env python3
"""Checks of deploy/kubernetes, on what kustomize makes of it, which is read from standard input.

    check kustomize deploy/kubernetes/demo | deploy/check/kubernetes.py demo
    check kustomize deploy/kubernetes/production | deploy/check/kubernetes.py production
    check kustomize deploy/kubernetes/standby | deploy/check/kubernetes.py standby

Schemas are checked strictly; then what no schema knows: that selectors meet pods, that named ports exist, that a budget blocks
no drain, and of the demo that ports and sizes are those that were promised.
"""

import sys

import kubernetes_validate
import yaml

VERSION = "1.34"
WORKLOADS = {"Deployment", "StatefulSet", "Job"}
# MiB and thousandths of a core that each is allotted in the demo; requests are 80% of it, and limits 120%.
ALLOTTED = {
    "engine": (1024, 1000),
    "segment-api": (160, 300),
    "ingest-api": (160, 300),
    "kafka": (1024, 600),
    "postgres": (256, 300),
    "aerospike": (768, 400),
    "prometheus": (384, 200),
    "grafana": (256, 200),
    "kafka-ui": (512, 200),
    "alertmanager": (64, 50),
}
NODE_PORTS = {
    "segment-api": 30081,
    "ingest-api": 30082,
    "engine": 30881,
    "postgres": 30432,
    "aerospike": 30300,
    "kafka": 30092,
    "prometheus": 30090,
    "grafana": 30001,
    "kafka-ui": 30080,
}
NODE_MIB = 7200  # what a node of 8 GB has left for pods


def name_of(document):
    return f"{document['kind']} {document['metadata']['name']}"


def pod_of(workload):
    return workload["spec"]["template"]


def schemas(documents):
    for document in documents:
        try:
            kubernetes_validate.validate(document, VERSION, strict=True)
        except kubernetes_validate.ValidationError as fault:
            yield f"{name_of(document)}: {'.'.join(map(str, fault.path))}: {fault.message}"


def meets(selector, labels):
    """Whether a selector meets labels."""
    wanted = selector.get("matchLabels", {}).items()
    if any(labels.get(key) != value for key, value in wanted):
        return False
    tests = {
        "In": lambda one: labels.get(one["key"]) in one["values"],
        "NotIn": lambda one: labels.get(one["key"]) not in one["values"],
        "Exists": lambda one: one["key"] in labels,
    }
    return all(tests[one["operator"]](one) for one in selector.get("matchExpressions", []))


def ports_of(pods):
    return {port["name"] for pod in pods for container in pod["spec"]["containers"] for port in container.get("ports", [])}


def references(documents, workloads):
    """Selectors meet pods, and ports that are named exist there."""
    pods = [pod_of(one) for one in workloads]

    def met(selector):
        return [pod for pod in pods if meets(selector, pod["metadata"]["labels"])]

    for document in documents:
        kind, spec = document["kind"], document.get("spec", {})
        if kind == "Service":
            found = met({"matchLabels": spec["selector"]})
            missing = {port["targetPort"] for port in spec["ports"]} - ports_of(found)
            if not found or missing:
                yield f"{name_of(document)}: meets {len(found)} workloads, and finds no port {missing or ''}"
        if kind == "PodDisruptionBudget":
            if not met(spec["selector"]):
                yield f"{name_of(document)}: meets nothing"
            if spec.get("maxUnavailable") != 1 or "minAvailable" in spec:
                yield f"{name_of(document)}: may block a drain"
        if kind == "NetworkPolicy":
            found = met(spec["podSelector"])
            rules = spec.get("ingress", [])
            named = {port["port"] for rule in rules for port in rule.get("ports", []) if isinstance(port["port"], str)}
            if not found or named - ports_of(found):
                yield f"{name_of(document)}: meets {len(found)} workloads, of which none has {named - ports_of(found)}"
            peers = [peer for rule in rules + spec.get("egress", []) for peer in rule.get("from", []) + rule.get("to", [])]
            for peer in peers:
                if "podSelector" in peer and "namespaceSelector" not in peer and not met(peer["podSelector"]):
                    yield f"{name_of(document)}: names peers that are not there"
        if kind == "HorizontalPodAutoscaler":
            target = [one for one in workloads if one["metadata"]["name"] == spec["scaleTargetRef"]["name"]]
            if not target or "replicas" in target[0]["spec"]:
                yield f"{name_of(document)}: its target is not there, or says a number of replicas itself"


def hardening(workloads):
    for workload in workloads:
        pod = pod_of(workload)["spec"]
        for container in pod["containers"]:
            security = container.get("securityContext", {})
            if not (pod["securityContext"].get("runAsNonRoot") and security.get("readOnlyRootFilesystem")):
                yield f"{name_of(workload)}: may run as root, or write its root"
            if "limits" not in container.get("resources", {}):
                yield f"{name_of(workload)}: has no limits"
            if workload["kind"] != "Job" and not {"livenessProbe", "readinessProbe"} <= set(container):
                yield f"{name_of(workload)}: has not both probes"


def doors(workloads):
    """Whoever serves APIs asks callers who they are, and knows the key of Prometheus."""
    for workload in workloads:
        for container in pod_of(workload)["spec"]["containers"]:
            if container["args"][:1] not in (["serve"], ["segment-api"], ["ingest-api"]) and "--process" not in container["args"]:
                continue
            said = {one["name"]: one.get("value") for one in container["env"]}
            mounts = [one["mountPath"] for one in container["volumeMounts"]]
            if said.get("AUDIENCE_AUTH") != "required":
                yield f"{name_of(workload)}: nobody is asked who they are"
            if not any(said.get("AUDIENCE_METRICS_KEY_FILE", "").startswith(f"{path}/") for path in mounts):
                yield f"{name_of(workload)}: Prometheus cannot read figures"


def demo(documents, workloads):
    asked = 0
    for workload in workloads:
        name = workload["metadata"]["name"]
        (container,) = pod_of(workload)["spec"]["containers"]
        memory, cpu = ALLOTTED[name]
        for part, percent in (("requests", 80), ("limits", 120)):
            wanted = {"memory": f"{memory * percent // 100}Mi", "cpu": f"{cpu * percent // 100}m"}
            if container["resources"][part] != wanted:
                yield f"{name}: {part} are {container['resources'][part]}, not {wanted}"
        asked += memory * 80 // 100
    if asked > NODE_MIB:
        yield f"requests are {asked} MiB, and a node of 8 GB has {NODE_MIB}"
    services = [one for one in documents if one["kind"] == "Service"]
    ports = {one["metadata"]["name"]: port["nodePort"] for one in services for port in one["spec"]["ports"] if "nodePort" in port}
    if ports != NODE_PORTS:
        yield f"node ports are {ports}, not {NODE_PORTS}"


def production(documents, workloads):
    for workload in workloads:
        for container in pod_of(workload)["spec"]["containers"]:
            if container["image"].endswith(":latest") or ":" not in container["image"]:
                yield f"{name_of(workload)}: the image has a name that moves"
    yield from (f"{name_of(one)}: a secret in the manifests" for one in documents if one["kind"] == "Secret")
    (hosts,) = [one["data"]["hosts"].split() for one in documents if one["kind"] == "ConfigMap" and "hosts" in one["data"]]
    worker = next(one for one in workloads if one["metadata"]["name"] == "worker")
    expected = ["engine-0.engine-peers:7201"] + [
        f"worker-{number}.engine-peers:7201" for number in range(1, worker["spec"]["replicas"] + 1)
    ]
    if hosts != expected:
        yield f"hosts are {hosts}, and the processes {expected}"


def standby(documents, workloads):
    """Both of the pair have one lease, one follows the other, and no budget counts the one that is never ready."""
    engines = {one["metadata"]["name"]: one for one in workloads if one["kind"] == "StatefulSet"}
    if set(engines) != {"engine", "standby"}:
        yield f"the pair is {sorted(engines)}"
    for name, engine in engines.items():
        pod = pod_of(engine)["spec"]
        (container,) = pod["containers"]
        said = {one["name"]: one.get("value") for one in container["env"]}
        claims = {one["name"]: one["persistentVolumeClaim"]["claimName"] for one in pod["volumes"] if "persistentVolumeClaim" in one}
        places = {claims[one["name"]]: one["mountPath"] for one in container["volumeMounts"] if one["name"] in claims}
        if said.get("AUDIENCE_LEASE") != f"file://{places.get('lease')}":
            yield f"{name}: its lease is not on the shared volume"
        if ("AUDIENCE_STANDBY_OF" in said) != (name == "standby"):
            yield f"{name}: the standby follows, and the engine does not"
    labels = [pod_of(one)["metadata"]["labels"] for one in engines.values()]
    budgets = [one for one in documents if one["kind"] == "PodDisruptionBudget"]
    if any(meets(one["spec"]["selector"], label) for one in budgets for label in labels):
        yield "a budget counts the one of the pair that is never ready, and blocks a drain"


def main():
    overlay = sys.argv[1]
    documents = [one for one in yaml.safe_load_all(sys.stdin) if one]
    workloads = [one for one in documents if one["kind"] in WORKLOADS]
    own = {"demo": demo, "production": production, "standby": standby}[overlay]
    faults = [
        *schemas(documents),
        *references(documents, workloads),
        *hardening(workloads),
        *doors([one for one in workloads if one["metadata"]["labels"].get("app.kubernetes.io/name") == "audience"]),
        *own(documents, workloads),
    ]
    for fault in faults:
        print(f"{overlay}: {fault}", file=sys.stderr)
    print(f"{overlay}: {len(documents)} objects of {len(workloads)} workloads, {len(faults)} faults")
    sys.exit(bool(faults))


if __name__ == "__main__":
    main()
