"""What must hold of the files of the deployments, told line by line where it does not. Used by deploy/checks/static:

    rules.py images FILE…        Dockerfiles
    rules.py compose FILE…       what `docker-compose config` printed
    rules.py kubernetes FILE…    manifests, also by Kubernetes' own schemas
    rules.py yaml FILE…          can be read at all
    rules.py commands README FOLDER…   every command of the document is in the README, and tried by a file of a folder

The exit code is 1 when a rule is broken. It needs PyYAML, and for kubernetes the package kubernetes-validate.
"""

import pathlib
import re
import sys

import yaml

KUBERNETES_VERSION = "1.34"
# What may be looked at from outside the machine; everything else is published for the machine itself.
PUBLIC_PORT = 8080
SECRET = re.compile(r"(SECRET|PASSWORD|TOKEN|COOKIE|_KEY)$")

broken = []


def rule(holds, where, what):
    if not holds:
        broken.append(f"{where}: {what}")


def has_fixed_tag(image):
    name, _, tag = image.rpartition("/")[2].partition("@")[0].partition(":")
    # Our own images are made from this tree, whatever their tag.
    return "@sha256:" in image or name.startswith("nakku") or tag not in ("", "latest")


def images(files):
    for file in files:
        where, text = file, pathlib.Path(file).read_text()
        lines = re.sub(r"\\\n(\s*#.*\n)*", " ", text).splitlines()
        steps = [line.strip().split(None, 1) for line in lines if re.match(r"\s*[A-Z]+\s", line)]
        arguments = dict(rest.partition("=")[::2] for name, rest in steps if name == "ARG")
        stages, user = {"scratch": None}, None
        for name, rest in steps:
            if name == "FROM":
                image, _, stage = rest.partition(" AS ")
                image = re.sub(r"\$\{?(\w+)\}?", lambda found: arguments.get(found[1], ""), image.strip())
                rule(image in stages or has_fixed_tag(image), where, f"FROM {rest}: name a tag other than latest")
                user = stages.get(image)
                if stage:
                    current = stage.strip()
                    stages[current] = user
                else:
                    current = None
            elif name == "USER":
                user = rest.strip()
                if current:
                    stages[current] = user
            elif name == "ADD":
                rule(False, where, f"ADD {rest}: COPY shows what comes from where; nothing is fetched by ADD")
            elif name == "RUN" and re.search(r"apt-get .*install", rest):
                rule("--no-install-recommends" in rest, where, "apt-get install without --no-install-recommends")
                rule("rm -rf /var/lib/apt/lists" in rest, where, "the lists of apt stay in the layer")
                rule(re.search(r"install\b.*-y|-y.*install", rest), where, "apt-get install without -y waits for an answer")
            elif name in ("ENV", "ARG"):
                for setting in re.findall(r"(\w+)=(?!\s|$)", rest):
                    rule(not SECRET.search(setting), where, f"{name} {setting}: a secret stays in the image's history")
            if name == "RUN":
                rule(not re.search(r"(curl|wget)[^|&;]*\|\s*(ba)?sh", rest), where, "runs what it has just fetched")
                rule(not re.search(r"\bsudo\b", rest), where, "sudo")
            if name in ("CMD", "ENTRYPOINT"):
                rule(rest.startswith("["), where, f"{name} {rest}: without brackets a shell stands between signals and program")
        rule(user is not None, where, "no USER: it would run as root")
        rule(user is None or re.match(r"[1-9]\d*(:[1-9]\d*)?$", user), where, f"USER {user}: Kubernetes can tell a number from root, not a name")


def compose(files):
    for file in files:
        config = yaml.safe_load(pathlib.Path(file).read_text())
        name = pathlib.Path(file).stem
        for service, of in config.get("services", {}).items():
            where = f"{name}: {service}"
            image = of.get("image", "")
            rule(has_fixed_tag(image), where, f"image {image!r}: name a tag other than latest")
            is_node = image.startswith("nakku:") or "/nakku:" in image
            is_client = image.startswith("nakku-tools")
            user = str(of.get("user", ""))
            rule(is_client or re.match(r"[1-9]\d*(:\d+)?$", user), where, f"user {user!r}: not root, by its number")
            rule(not of.get("privileged"), where, "privileged")
            rule("ALL" in of.get("cap_drop", []), where, "capabilities stay")
            rule(any("no-new-privileges" in option for option in of.get("security_opt", [])), where, "may gain privileges")
            rule(of.get("network_mode") != "host" and of.get("pid") != "host", where, "shares the machine's network or processes")
            rule(of.get("restart") in ("unless-stopped", "always", "on-failure", "no"), where, "says nothing of restarts")
            ends = of.get("restart") in ("on-failure", "no")
            # Whoever stands in front of everything is asked from outside.
            is_outermost = image.split(":")[0] in ("haproxy", "nginx")
            has_check = of.get("healthcheck", {}).get("test")
            rule(is_client or is_outermost or ends or has_check, where, "no health check")
            if is_node:
                rule(of.get("read_only"), where, "its root file system can be written")
                settings = of.get("environment") or {}
                settings = settings if isinstance(settings, dict) else dict(one.split("=", 1) for one in settings)
                for setting, value in settings.items():
                    is_secret = SECRET.search(setting) and not setting.startswith("NAKKU_LINKS_TLS")
                    rule(not is_secret or len(str(value)) >= 32, where, f"{setting} is shorter than 32 signs")
            for port in of.get("ports", []):
                address, target = published(port)
                loopback = address.startswith("127.")
                rule(loopback or target == PUBLIC_PORT or name != "docker-compose", where,
                     f"port {target} is published on {address or 'every address'}")
            for volume in of.get("volumes", []):
                source = volume.get("source", "") if isinstance(volume, dict) else str(volume).split(":")[0]
                rule("docker.sock" not in source, where, "holds Docker's socket, which is root on the machine")


def published(port):
    if isinstance(port, dict):
        return port.get("host_ip", ""), int(port["target"])
    parts = str(port).split("/")[0].split(":")
    return (parts[0] if len(parts) == 3 else ""), int(parts[-1])


def kubernetes(files):
    import kubernetes_validate

    for file in files:
        for number, document in enumerate(yaml.safe_load_all(pathlib.Path(file).read_text()), 1):
            if document is None:
                continue
            kind, name = document.get("kind"), document.get("metadata", {}).get("name")
            where = f"{file}: {kind} {name}"
            # Kustomize's own files are no objects of the API.
            if str(document.get("apiVersion", "")).startswith("kustomize."):
                continue
            rule(kind and document.get("apiVersion"), f"{file}, document {number}", "neither kind nor apiVersion")
            try:
                kubernetes_validate.validate(document, KUBERNETES_VERSION, strict=True)
            except kubernetes_validate.ValidationError as error:
                rule(False, where, f"{'.'.join(map(str, error.path))}: {error.message}")
            except (kubernetes_validate.SchemaNotFoundError, kubernetes_validate.InvalidSchemaError) as error:
                # Of an extension such as metrics.k8s.io; the API server judges it.
                rule("." in str(document["apiVersion"]).split("/")[0], where, f"no schema: {error}")
            if kind == "Secret":
                continue
            template = document.get("spec", {}).get("template") if kind != "Pod" else document
            if isinstance(template, dict) and "containers" in template.get("spec", {}):
                pod(where, template["spec"])


def pod(where, spec):
    rule(spec.get("automountServiceAccountToken") is False, where, "its pods get a token of the API server")
    rule(not any(spec.get(one) for one in ("hostNetwork", "hostPID", "hostIPC")), where, "shares what is the machine's")
    rule(not any("hostPath" in volume for volume in spec.get("volumes", [])), where, "has a folder of the machine")
    general = spec.get("securityContext", {})
    rule(general.get("seccompProfile", {}).get("type") in ("RuntimeDefault", "Localhost"), where, "no seccomp profile")
    for container in spec.get("initContainers", []) + spec["containers"]:
        at = f"{where}: {container['name']}"
        own = container.get("securityContext", {})
        rule(own.get("runAsNonRoot", general.get("runAsNonRoot")) is True, at, "may run as root")
        rule(own.get("allowPrivilegeEscalation") is False, at, "may gain privileges")
        rule("ALL" in own.get("capabilities", {}).get("drop", []), at, "capabilities stay")
        rule(not own.get("privileged"), at, "privileged")
        rule(has_fixed_tag(container["image"]), at, f"image {container['image']}: name a tag other than latest")
        resources = container.get("resources", {})
        rule({"cpu", "memory"} <= resources.get("requests", {}).keys(), at, "requests neither processor nor memory")
        rule("memory" in resources.get("limits", {}), at, "no limit of memory")


def read_yaml(files):
    for file in files:
        try:
            list(yaml.safe_load_all(pathlib.Path(file).read_text()))
        except yaml.YAMLError as error:
            rule(False, file, str(error).replace("\n", " "))


def commands(readme, folders):
    """The table of README between <!-- commands --> and <!-- /commands --> has `command` | tried by."""
    text = pathlib.Path(readme).read_text()
    table = text.partition("<!-- commands -->")[2].partition("<!-- /commands -->")[0]
    told = dict(re.findall(r"^\| `(.+?)` \| (.+?) \|", table, re.M))
    wanted = [line for line in pathlib.Path(__file__).with_name("commands.txt").read_text().splitlines()
              if line and not line.startswith("#")]
    files = [file for folder in folders for file in sorted(pathlib.Path(folder).glob("*")) if file.is_file()]
    skipped = {"commands.txt", "rules.py"}
    texts = {file.name: file.read_text(errors="replace") for file in files if file.name not in skipped}
    for command in wanted:
        rule(command in told, readme, f"the document's command `{command}` is not in the table")
    for command, by in told.items():
        rule(command in wanted, readme, f"`{command}` is in the table and is no command of the document")
        for check in re.findall(r"\b(single|servers|balanced|kubernetes)\b", by):
            # As a script has it, perhaps within a text where quotes need a backslash, or as its result has it.
            found = [name for name, content in texts.items()
                     if (name == check or name == f"{check}.txt") and tried(command, content)]
            rule(found, readme, f"`{command}` is neither in deploy/checks/{check} nor in its result")


def tried(command, content):
    content = content.replace('\\"', '"')
    if command in content:
        return True
    # A list of files that a loop goes through: the command up to the name, and the name.
    found = re.match(r"(docker-compose -f docker-compose\.)(\w+)(\.yml up -d)", command)
    found = found or re.match(r"(kubectl apply -f k8s/hpa/)([\w-]+)(-hpa\.yml)", command)
    if found:
        before, name, after = found.groups()
        return bool(re.search(re.escape(before) + r"\$\{?\w+\}?" + re.escape(after), content)) and name in content
    found = re.match(r"curl http://(\w+)-service:(\d+)/health", command)
    return bool(found) and all(re.search(rf"\b{part}\b", content) for part in found.groups()) and "/health" in content


if __name__ == "__main__":
    does = {"images": images, "compose": compose, "kubernetes": kubernetes, "yaml": read_yaml}
    if len(sys.argv) < 3 or sys.argv[1] not in {*does, "commands"}:
        sys.exit(__doc__)
    if sys.argv[1] == "commands":
        commands(sys.argv[2], sys.argv[3:])
    else:
        does[sys.argv[1]](sys.argv[2:])
    print("\n".join(broken) if broken else f"{len(sys.argv) - 2} looked at")
    sys.exit(1 if broken else 0)
