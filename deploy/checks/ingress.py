#!/usr/bin/env python3
"""What an ingress controller would do, for a cluster that has none: NGINX in a pod that follows an Ingress object.

  kubectl get ingress NAME -n NAMESPACE -o json | python3 deploy/checks/ingress.py CERTIFICATE KEY | kubectl apply -f -

CERTIFICATE and KEY are files with what the object's TLS secret holds. Prints a namespace, a config map, a secret, a pod
and a service, all named ingress-nginx. Hosts, paths, path types, backends, TLS and the annotations that the object has
are read from it; what this script does not know of it, it refuses.
"""

import base64
import json
import sys

NAME = "ingress-nginx"
PREFIX = "nginx.ingress.kubernetes.io/"
# Annotation and what it is in NGINX; times are seconds.
DIRECTIVES = {"proxy-read-timeout": "proxy_read_timeout {}s;", "proxy-send-timeout": "proxy_send_timeout {}s;",
              "proxy-body-size": "client_max_body_size {};", "proxy-next-upstream": "proxy_next_upstream {};",
              "proxy-next-upstream-tries": "proxy_next_upstream_tries {};"}
# Where a service's named port leads: NGINX asks for numbers.
NAMED_PORTS = {("api-gateway", "http"): 8080}

SERVER = """
events { worker_connections 2048; }
pid /tmp/nginx.pid;
error_log stderr warn;
http {
  access_log off;
  client_body_temp_path /tmp/body;
  proxy_temp_path /tmp/proxy;
  fastcgi_temp_path /tmp/fastcgi;
  uwsgi_temp_path /tmp/uwsgi;
  scgi_temp_path /tmp/scgi;
  map $http_upgrade $connection_upgrade { default upgrade; '' ''; }
%s
}
"""


def location(path, namespace, directives):
    service, port = path["backend"]["service"]["name"], path["backend"]["service"]["port"]
    number = port.get("number") or NAMED_PORTS[(service, port["name"])]
    place = path["path"].rstrip("/")
    # Prefix means whole elements of the path: /api is /api and what is below, not /apis.
    places = {"Exact": [f"= {path['path']}"], "Prefix": [f"= {place}", f"{place}/"]}[path["pathType"]]
    for one in places:
        yield f"""    location {one} {{
      proxy_pass http://{service}.{namespace}.svc.cluster.local:{number};
      proxy_http_version 1.1;
      proxy_set_header Host $host;
      proxy_set_header X-Forwarded-For $remote_addr;
      proxy_set_header X-Forwarded-Proto https;
      proxy_set_header Upgrade $http_upgrade;
      proxy_set_header Connection $connection_upgrade;
      proxy_buffering off;
{directives}
    }}"""


def configuration(ingress):
    spec, namespace = ingress["spec"], ingress["metadata"]["namespace"]
    lines, redirects = [], False
    for name, value in sorted(ingress["metadata"].get("annotations", {}).items()):
        short = name.removeprefix(PREFIX)
        if short == "ssl-redirect":
            redirects = value == "true"
        elif name.startswith(PREFIX):
            lines.append("      " + DIRECTIVES[short].format(value))
    secure = {host for one in spec["tls"] for host in one["hosts"]}
    servers = []
    for rule in spec["rules"]:
        places = [text for path in rule["http"]["paths"] for text in location(path, namespace, "\n".join(lines))]
        if rule["host"] not in secure:
            raise SystemExit(f"{rule['host']} has no certificate")
        servers.append(f"""  server {{
    listen 443 ssl http2;
    server_name {rule['host']};
    ssl_certificate /etc/tls/tls.crt;
    ssl_certificate_key /etc/tls/tls.key;
""" + "\n".join(places) + "\n    location / { return 404; }\n  }")
        if redirects:
            servers.append(f"  server {{\n    listen 80;\n    server_name {rule['host']};\n"
                           f"    return 308 https://$host$request_uri;\n  }}")
    return SERVER % "\n".join(servers)


def main():
    ingress = json.load(sys.stdin)
    if ingress["kind"] != "Ingress" or "defaultBackend" in ingress["spec"]:
        raise SystemExit("this is no Ingress of the kind that this script knows")
    with open(sys.argv[1], "rb") as certificate, open(sys.argv[2], "rb") as key:
        tls = {"tls.crt": certificate.read(), "tls.key": key.read()}
    metadata = {"name": NAME, "namespace": NAME, "labels": {"app": NAME}}
    objects = [
        {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAME}},
        {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata,
         "data": {"nginx.conf": configuration(ingress)}},
        {"apiVersion": "v1", "kind": "Secret", "metadata": metadata,
         "data": {name: base64.b64encode(value).decode() for name, value in tls.items()}},
        {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": {
            "automountServiceAccountToken": False, "terminationGracePeriodSeconds": 2,
            "containers": [{
                "name": "nginx", "image": "nginx:1.22", "imagePullPolicy": "IfNotPresent",
                "command": ["nginx", "-c", "/etc/ingress/nginx.conf", "-g", "daemon off; worker_processes 1;"],
                "readinessProbe": {"tcpSocket": {"port": 443}, "periodSeconds": 1},
                "volumeMounts": [{"name": "config", "mountPath": "/etc/ingress"},
                                 {"name": "tls", "mountPath": "/etc/tls"}]}],
            "volumes": [{"name": "config", "configMap": {"name": NAME}},
                        {"name": "tls", "secret": {"secretName": NAME}}]}},
        {"apiVersion": "v1", "kind": "Service", "metadata": metadata, "spec": {
            "selector": {"app": NAME},
            "ports": [{"name": "https", "port": 443}, {"name": "http", "port": 80}]}},
    ]
    json.dump({"apiVersion": "v1", "kind": "List", "items": objects}, sys.stdout)


if __name__ == "__main__":
    main()
