"""The official Python client as a judge: create, read, change, delete, watch, server-side apply, dynamic kinds."""

import threading

from kubernetes import client, config, dynamic, watch
from kubernetes.client.rest import ApiException

config.load_kube_config()
core, apps = client.CoreV1Api(), client.AppsV1Api()
done = []


def step(name):
    done.append(name)
    print(f"python: {name}", flush=True)


def refused(code, call, *arguments, **named):
    try:
        call(*arguments, **named)
    except (ApiException, dynamic.exceptions.DynamicApiError) as error:
        assert error.status == code, error
        return
    raise AssertionError(f"was not refused with {code}")


core.create_namespace({"metadata": {"name": "judged"}})

made = core.create_namespaced_config_map("judged", {"metadata": {"name": "a", "labels": {"app": "x"}}, "data": {"k": "1"}})
assert core.read_namespaced_config_map("a", "judged").metadata.uid == made.metadata.uid
made.data["k"] = "2"
replaced = core.replace_namespaced_config_map("a", "judged", made)
refused(409, core.replace_namespaced_config_map, "a", "judged", made)
assert core.patch_namespaced_config_map("a", "judged", {"data": {"l": "3"}}).data == {"k": "2", "l": "3"}
refused(409, core.create_namespaced_config_map, "judged", {"metadata": {"name": "a"}})
refused(404, core.read_namespaced_config_map, "nothing", "judged")
refused(422, core.create_namespaced_config_map, "judged", {"metadata": {"name": "A_"}})
assert len(core.list_namespaced_config_map("judged", label_selector="app=x").items) == 1
step("objects are made, read, changed and refused")

for number in range(5):
    core.create_namespaced_config_map("judged", {"metadata": {"name": f"page-{number}"}})
names, token = [], None
while token != "":
    page = core.list_namespaced_config_map("judged", limit=2, _continue=token)
    names += [item.metadata.name for item in page.items]
    token = page.metadata._continue or ""
assert {f"page-{number}" for number in range(5)} <= set(names), names
step("a list comes in pages")

seen, ready = [], threading.Event()


def follow(version):
    ready.set()
    for event in watch.Watch().stream(core.list_namespaced_secret, "judged", resource_version=version, timeout_seconds=20):
        seen.append((event["type"], event["object"].metadata.name))
        if event["type"] == "DELETED":
            return


thread = threading.Thread(target=follow, args=(core.list_namespaced_secret("judged").metadata.resource_version,))
thread.start()
ready.wait()
core.create_namespaced_secret("judged", {"metadata": {"name": "s"}, "stringData": {"k": "v"}})
core.patch_namespaced_secret("s", "judged", {"metadata": {"labels": {"changed": "yes"}}})
core.delete_namespaced_secret("s", "judged")
thread.join(timeout=30)
assert seen == [("ADDED", "s"), ("MODIFIED", "s"), ("DELETED", "s")], seen
step("a watch tells of every change")

labels = {"app": "web"}
apps.create_namespaced_deployment("judged", {
    "metadata": {"name": "web"},
    "spec": {"replicas": 2, "selector": {"matchLabels": labels},
             "template": {"metadata": {"labels": labels}, "spec": {"containers": [{"name": "web", "image": "web:1"}]}}},
})
for event in watch.Watch().stream(apps.list_namespaced_deployment, "judged", timeout_seconds=60):
    if event["object"].status.ready_replicas == 2:
        break
assert len(core.list_namespaced_pod("judged", label_selector="app=web").items) == 2
assert apps.read_namespaced_deployment_scale("web", "judged").spec.replicas == 2
apps.patch_namespaced_deployment_scale("web", "judged", {"spec": {"replicas": 1}})
assert apps.read_namespaced_deployment("web", "judged").spec.replicas == 1
step("a Deployment becomes ready and is scaled")

kinds = dynamic.DynamicClient(client.ApiClient())
maps = kinds.resources.get(api_version="v1", kind="ConfigMap")
wanted = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "applied", "namespace": "judged"}, "data": {"k": "1"}}
kinds.server_side_apply(maps, wanted, name="applied", namespace="judged", field_manager="one")
wanted["data"]["k"] = "2"
refused(409, kinds.server_side_apply, maps, wanted, name="applied", namespace="judged", field_manager="two")
forced = kinds.server_side_apply(maps, wanted, name="applied", namespace="judged", field_manager="two", force_conflicts=True)
assert forced.data.k == "2"
managers = [entry.manager for entry in forced.metadata.managedFields]
assert managers == ["two"], managers
step("server-side apply knows who owns what")

client.ApiextensionsV1Api().create_custom_resource_definition({
    "metadata": {"name": "widgets.judged.example.org"},
    "spec": {"group": "judged.example.org", "scope": "Namespaced", "names": {"plural": "widgets", "kind": "Widget"},
             "versions": [{"name": "v1", "served": True, "storage": True, "schema": {"openAPIV3Schema": {
                 "type": "object", "properties": {"spec": {"type": "object", "properties": {
                     "size": {"type": "integer", "minimum": 1, "default": 3}}, "default": {}}}}}}]},
})
widgets = dynamic.DynamicClient(client.ApiClient()).resources.get(api_version="judged.example.org/v1", kind="Widget")
widget = {"apiVersion": "judged.example.org/v1", "kind": "Widget", "metadata": {"name": "w"}}
assert widgets.create(body=widget, namespace="judged").spec.size == 3
refused(422, widgets.create, body={**widget, "metadata": {"name": "v"}, "spec": {"size": 0}}, namespace="judged")
step("a kind of one's own has defaults and rules")

core.delete_namespace("judged")
for event in watch.Watch().stream(core.list_namespace, field_selector="metadata.name=judged", timeout_seconds=60):
    if event["type"] == "DELETED":
        break
refused(404, core.read_namespace, "judged")
step("a namespace goes with all that is in it")

print(f"python: passed: {len(done)} of {len(done)}")
