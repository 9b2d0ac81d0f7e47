#!/usr/bin/env python3
"""What can be known of the Kubernetes manifests without a cluster: python3 deploy/checks/manifests.py

Prints what is wrong, a line each, and ends with 1; or how much was looked at. With `--flows` it prints who may connect to
whom, as the NetworkPolicies have it. With `--allowed` it reads lines "FROM TO PORT" (names of workloads, or
namespace/NAMESPACE) from standard input and prints those that no policy allows. Needs PyYAML.
"""

import copy
import pathlib
import re
import sys

import yaml

DEPLOY = pathlib.Path(__file__).resolve().parent.parent
K8S = DEPLOY / "k8s"
SERVICES = ["user", "product", "inventory", "order", "cart", "payment", "delivery", "notification", "location",
            "analytics"]
# Name of the workload, its role and its port.
NODES = [("api-gateway", "gateway", 8080)] + [
    (f"{service}-service", service, 8081 + number) for number, service in enumerate(SERVICES)]
SERVERS = {"mysql-server": 3306, "kafka-server": 9092, "redis-server": 6379}
LINKS = 7946
# As the deployment document scales them.
LEAST = {"api-gateway": 3, "user-service": 2, "product-service": 2}
CPU_REQUESTS_MAX_MILLICORES = 1200
NAME, COMPONENT = "app.kubernetes.io/name", "app.kubernetes.io/component"
# Which namespaces there are beside our own, and what of them has a part in a flow: labels of a pod there.
OTHERS = {"kube-system": {"k8s-app": "kube-dns"}, "ingress-nginx": {}, "monitoring": {}, "default": {}}
# Any port that no policy names.
OTHER_PORT = 22


def documents(folder):
    """Kind, name and object of every document in the files that git knows or may know."""
    for path in sorted(folder.rglob("*.yml")):
        if path.name in ("secrets.yml", "kustomization.yml"):
            continue
        for found in yaml.safe_load_all(path.read_text(encoding="utf-8")):
            yield path, found


def by_kind(kind):
    return {found["metadata"]["name"]: found for _, found in documents(K8S) if found["kind"] == kind}


def wanted_flows():
    """Every flow that is needed, and no other: from, to, port. Everybody asks for names."""
    flows = set()
    names = [name for name, _, _ in NODES]
    for one in names:
        flows.update((one, other, LINKS) for other in names)
        flows.add((one, "mysql-server", 3306))
        flows.add((one, "kafka-server", 9092))
    flows.add(("api-gateway", "redis-server", 6379))
    flows.add(("namespace/ingress-nginx", "api-gateway", 8080))
    flows.update(("kafka-server", "kafka-server", port) for port in (9092, 9093))
    flows.update(("namespace/monitoring", name, port) for name in names for port in range(8080, 8091))
    flows.update((one, "namespace/kube-system", 53) for one in names + list(SERVERS))
    return flows


class Policies:
    """NetworkPolicies as the API defines them: what no policy selects is open, what one selects needs a rule."""

    def __init__(self):
        self.policies = list(by_kind("NetworkPolicy").values())
        self.pods = {}
        for kind in ("Deployment", "StatefulSet"):
            for name, found in by_kind(kind).items():
                self.pods[name] = found["spec"]["template"]["metadata"]["labels"]

    def labels(self, who):
        """Namespace and labels of a pod."""
        if who.startswith("namespace/"):
            namespace = who.split("/", 1)[1]
            return namespace, OTHERS[namespace]
        return "nakku", self.pods[who]

    @staticmethod
    def selects(selector, labels):
        if set(selector) - {"matchLabels"}:
            raise ValueError(f"this check knows no selector such as {selector}")
        return all(labels.get(key) == value for key, value in selector.get("matchLabels", {}).items())

    def peer_matches(self, peer, who):
        namespace, labels = self.labels(who)
        if "ipBlock" in peer:
            return False
        if "namespaceSelector" in peer:
            if not self.selects(peer["namespaceSelector"], {"kubernetes.io/metadata.name": namespace}):
                return False
        elif namespace != "nakku":
            return False
        return self.selects(peer.get("podSelector", {}), labels)

    def direction_allows(self, direction, own, other, port):
        namespace, labels = self.labels(own)
        if namespace != "nakku":
            return True
        rules_name, peers_name = ("ingress", "from") if direction == "Ingress" else ("egress", "to")
        selecting = [policy["spec"] for policy in self.policies
                     if direction in policy["spec"]["policyTypes"] and self.selects(policy["spec"]["podSelector"], labels)]
        if not selecting:
            return True
        for spec in selecting:
            for rule in spec.get(rules_name, []):
                ports = rule.get("ports")
                if ports and not any(one["port"] <= port <= one.get("endPort", one["port"]) for one in ports):
                    continue
                peers = rule.get(peers_name)
                if not peers or any(self.peer_matches(peer, other) for peer in peers):
                    return True
        return False

    def allows(self, source, target, port):
        return (self.direction_allows("Egress", source, target, port)
                and self.direction_allows("Ingress", target, source, port))

    def all_flows(self):
        everybody = list(self.pods) + [f"namespace/{name}" for name in OTHERS]
        ports = [OTHER_PORT, 53, LINKS, 9093, *SERVERS.values(), *range(8080, 8091)]
        return {(source, target, port) for source in everybody for target in everybody for port in ports
                if not (source.startswith("namespace/") and target.startswith("namespace/"))
                and self.allows(source, target, port)}


def millicores(text):
    return int(text[:-1]) if text.endswith("m") else int(float(text) * 1000)


def check_deployments(deployments):
    if sorted(deployments) != sorted(name for name, _, _ in NODES):
        yield f"there are deployments {sorted(deployments)}"
        return
    model = None
    for name, role, port in NODES:
        text = (K8S / "deployments" / f"{name}.yml").read_text(encoding="utf-8")
        found = copy.deepcopy(deployments[name])
        container = found["spec"]["template"]["spec"]["containers"][0]
        env = {one["name"]: one.get("value") for one in container["env"]}
        if env["NAKKU_NODE_ROLES"] != role:
            yield f"{name} has the role {env['NAKKU_NODE_ROLES']}"
        if container["ports"][0]["containerPort"] != port:
            yield f"{name} has the port {container['ports'][0]['containerPort']}"
        if "replicas" in found["spec"]:
            yield f"{name} says how many replicas there are, which is the autoscaler's"
        body = text.split("\n", 1)[1].replace(name, "NAME").replace(f"value: {role}}}", "value: ROLE}")
        body = re.sub(rf"\b{port}\b", "PORT", body)
        body = re.sub(r"(requests|limits): \{.*\}", r"\1: RESOURCES", body)
        model = model or body
        if body != model:
            ours, theirs = model.splitlines(), body.splitlines()
            where = next((pair for pair in zip(ours, theirs) if pair[0] != pair[1]), ("", "its length"))
            yield f"deployments/{name}.yml differs from the others where it should not: {where[1].strip()!r}"


def check_pods(workloads):
    total = 0
    for name, found in workloads.items():
        pod = found["spec"]["template"]["spec"]
        if pod.get("automountServiceAccountToken") is not False:
            yield f"{name} is given a token of its service account"
        if pod.get("enableServiceLinks") is not False:
            yield f"{name} has variables named after services"
        account = pod["securityContext"]
        if not account.get("runAsNonRoot") or not account.get("runAsUser"):
            yield f"{name} may run as root"
        if account.get("seccompProfile", {}).get("type") != "RuntimeDefault":
            yield f"{name} has no seccomp profile"
        for container in pod.get("initContainers", []) + pod["containers"]:
            context = container.get("securityContext", {})
            if (context.get("allowPrivilegeEscalation") is not False or not context.get("readOnlyRootFilesystem")
                    or context.get("capabilities", {}).get("drop") != ["ALL"]):
                yield f"container {container['name']} of {name} is not locked down"
            for kind in ("requests", "limits"):
                if set(container.get("resources", {}).get(kind, {})) != {"cpu", "memory"}:
                    yield f"container {container['name']} of {name} lacks {kind} of processor or memory"
            if not re.search(r":[^:]+$", container["image"]):
                yield f"container {container['name']} of {name} has an image without a tag"
        main = pod["containers"][0]
        wanted = {"readinessProbe", "livenessProbe"} | ({"startupProbe"} if name != "redis-server" else set())
        if not wanted <= set(main):
            yield f"{name} lacks {sorted(wanted - set(main))}"
        grace = pod["terminationGracePeriodSeconds"]
        pause = main.get("lifecycle", {}).get("preStop", {}).get("sleep", {}).get("seconds", 0)
        if found["kind"] == "Deployment" and (not pause or pause + 30 >= grace):
            yield f"{name} has {grace} s to stop, which is not enough for its pause of {pause} s and a drain of 30 s"
        count = found["spec"].get("replicas", LEAST.get(name, 1))
        total += count * millicores(main["resources"]["requests"]["cpu"])
    if total > CPU_REQUESTS_MAX_MILLICORES:
        yield f"all pods together request {total} millicores, more than {CPU_REQUESTS_MAX_MILLICORES}"


def check_beside(workloads):
    services, budgets = by_kind("Service"), by_kind("PodDisruptionBudget")
    scalers = by_kind("HorizontalPodAutoscaler")
    for name, found in workloads.items():
        labels = found["spec"]["template"]["metadata"]["labels"]
        port = {node: port for node, _, port in NODES}.get(name) or SERVERS[name]
        service = services.get(name)
        if service is None or service["spec"]["selector"].items() > labels.items() or service["spec"]["ports"][0]["port"] != port:
            yield f"there is no service {name} with port {port}"
        budget = budgets.get(name)
        if budget is None or not Policies.selects(budget["spec"]["selector"], labels):
            yield f"{name} has no disruption budget"
        if found["kind"] != "Deployment":
            continue
        scaler = scalers.get(name)
        if scaler is None or scaler["spec"]["scaleTargetRef"]["name"] != name:
            yield f"{name} has no autoscaler"
        elif scaler["spec"]["minReplicas"] != LEAST.get(name, 1):
            yield f"the autoscaler of {name} keeps {scaler['spec']['minReplicas']}"
        elif not (K8S / "hpa" / f"{name}-hpa.yml").exists():
            yield f"there is no hpa/{name}-hpa.yml"
    headless = services.get("nakku-nodes", {}).get("spec", {})
    if headless.get("clusterIP") != "None" or headless.get("selector") != {COMPONENT: "node"}:
        yield "nakku-nodes is not the headless service of all nodes"
    for kind in ("Role", "RoleBinding", "ClusterRole", "ClusterRoleBinding"):
        if by_kind(kind):
            yield f"there is a {kind}: nobody here needs rights"


def check_rest():
    namespace = by_kind("Namespace")["nakku"]
    if namespace["metadata"]["labels"].get("pod-security.kubernetes.io/enforce") != "restricted":
        yield "the namespace does not enforce restricted pods"
    for path, found in documents(K8S):
        if found["kind"] != "Namespace" and found["metadata"].get("namespace") != "nakku":
            yield f"{path.name}: {found['kind']} {found['metadata']['name']} is in no namespace of ours"
        if found["kind"] == "Secret":
            yield f"{path.name} holds a secret, and git knows it"
    paths = [(one["path"], one["pathType"]) for rule in by_kind("Ingress")["nakku"]["spec"]["rules"]
             for one in rule["http"]["paths"]]
    if paths != [("/api", "Prefix"), ("/openapi.json", "Exact"), ("/docs", "Prefix")]:
        yield f"the ingress routes {paths}"
    if not by_kind("Ingress")["nakku"]["spec"].get("tls"):
        yield "the ingress ends no TLS"
    base = yaml.safe_load((K8S / "kustomization.yml").read_text(encoding="utf-8"))["resources"]
    here = {str(path.relative_to(K8S)) for path in K8S.rglob("*.yml")} - {"kustomization.yml"} | {"secrets.yml"}
    if set(base) != here:
        yield f"kustomization.yml and the folder differ in {sorted(set(base) ^ here)}"
    version = re.search(r'^version = "(.*)"', (DEPLOY.parent / "Cargo.toml").read_text(encoding="utf-8"), re.M).group(1)
    for path in [*K8S.rglob("*.yml"), *(DEPLOY / "overlays").rglob("*.yml")]:
        for tag in re.findall(r"image: nakku:(\S+)|newTag: (\S+?)\}", path.read_text(encoding="utf-8")):
            if "".join(tag) != version:
                yield f"{path.relative_to(DEPLOY)} has the image nakku:{''.join(tag)}, and this is {version}"
    known = (DEPLOY.parent / "docs" / "metrics.md").read_text(encoding="utf-8")
    readme = K8S / "README.md"
    for metric in set(re.findall(r"\bnakku_[a-z_]+\b", readme.read_text(encoding="utf-8"))) if readme.exists() else ():
        base_name = re.sub(r"_(bucket|sum|count)$", "", metric)
        if f"`{metric}`" not in known and f"`{base_name}`" not in known and "_per_second" not in metric:
            yield f"k8s/README.md names the metric {metric}, which there is not"


def check_flows():
    have, want = Policies().all_flows(), wanted_flows()
    for flow in sorted(want - have):
        yield "needed, and refused by the policies: {} to {}:{}".format(*flow)
    for flow in sorted(have - want):
        yield "allowed by the policies, and not needed: {} to {}:{}".format(*flow)


def main():
    if "--flows" in sys.argv:
        for flow in sorted(Policies().all_flows()):
            print("{} {} {}".format(*flow))
        return 0
    if "--allowed" in sys.argv:
        policies, refused, count = Policies(), set(), 0
        for line in sys.stdin:
            source, target, port = line.split()
            count += 1
            if not policies.allows(source, target, int(port)):
                refused.add(line.strip())
        print(f"{len(refused)} of {count} flows are allowed by no policy" + "".join(f"; {one}" for one in sorted(refused)))
        return 1 if refused or not count else 0
    deployments = by_kind("Deployment")
    workloads = {**deployments, **by_kind("StatefulSet")}
    wrong = [*check_deployments(deployments), *check_pods(workloads), *check_beside(workloads), *check_rest(),
             *check_flows()]
    for line in wrong:
        print(line)
    if not wrong:
        print(f"{len(deployments)} deployments, {len(workloads) - len(deployments)} stateful sets, "
              f"{len(wanted_flows())} flows: as they should be")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
