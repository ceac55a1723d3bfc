//! A node's limits, in the words recorded from a real server.

use super::*;
use crate::access::bootstrap_objects;
use serde_json::json;

fn ask(verb: &str, resource: Resource<'_>) -> Decision {
    let pod = json!({"metadata": {"name": "pa", "namespace": "ns"},
        "spec": {"nodeName": "na", "containers": [{"envFrom": [{"configMapRef": {"name": "cfg"}}]}]}});
    let other = json!({"metadata": {"name": "pb", "namespace": "ns"}, "spec": {"nodeName": "nb", "imagePullSecrets": [{"name": "s"}]}});
    let target = Target::Resource(resource);
    let policy = Policy::new(&bootstrap_objects());
    authorize(
        &policy,
        &User::node("na"),
        "na",
        &Attributes { verb, target },
        |asked| related("na", [&pod, &other], asked),
    )
}

fn core<'a>(resource: &'a str, name: &'a str) -> Resource<'a> {
    Resource {
        resource,
        name,
        namespace: "ns",
        ..Resource::default()
    }
}

#[test]
fn a_node_reads_what_its_pods_refer_to() {
    let refused = |why: &str| Decision::Refused(why.to_owned());
    let unrelated = "no relationship found between node 'na' and this object";
    let cluster = |resource, name| Resource {
        namespace: "",
        ..core(resource, name)
    };
    let lease = |namespace, name| Resource {
        group: "coordination.k8s.io",
        namespace,
        ..core("leases", name)
    };
    for (verb, resource, expected) in [
        (
            "get",
            core("configmaps", "cfg"),
            Decision::Allowed(String::new()),
        ),
        ("get", core("configmaps", "other"), refused(unrelated)),
        ("get", core("secrets", "s"), refused(unrelated)),
        ("list", core("secrets", ""), refused("No Object name found")),
        (
            "update",
            core("secrets", "s"),
            refused("can only read resources of this type"),
        ),
        ("get", core("pods", "pa"), Decision::Allowed(String::new())),
        ("get", core("pods", "pb"), refused(unrelated)),
        (
            "list",
            core("pods", ""),
            refused("can only list/watch pods with spec.nodeName field selector"),
        ),
        (
            "list",
            Resource {
                node: "na",
                ..cluster("pods", "")
            },
            Decision::Allowed(String::new()),
        ),
        (
            "get",
            cluster("nodes", "na"),
            Decision::Allowed(String::new()),
        ),
        (
            "get",
            cluster("nodes", "nb"),
            refused("node 'na' cannot read 'nb', only its own Node object"),
        ),
        (
            "list",
            cluster("nodes", ""),
            refused("node 'na' cannot read all nodes, only its own Node object"),
        ),
        (
            "get",
            lease("ns", "na"),
            refused("can only access leases in the \"kube-node-lease\" system namespace"),
        ),
        (
            "get",
            lease("kube-node-lease", "nb"),
            refused("can only access node lease with the same name as the requesting node"),
        ),
        (
            "get",
            lease("kube-node-lease", "na"),
            Decision::Allowed(String::new()),
        ),
        (
            "list",
            cluster("services", ""),
            Decision::Allowed(String::new()),
        ),
        ("delete", cluster("nodes", "na"), refused("")),
        (
            "list",
            Resource {
                group: "apps",
                ..core("deployments", "")
            },
            refused(""),
        ),
    ] {
        assert_eq!(ask(verb, resource), expected, "{verb} {resource:?}");
    }
}

#[test]
fn a_node_writes_itself_and_its_pods() {
    let nobody = Resource::default();
    let why = |verb, resource, object: Option<&Value>, old: Option<&Value>| {
        let refusal = admit(
            "na",
            &Write {
                verb,
                resource,
                object,
                old,
            },
        )
        .err()?;
        assert_eq!(refusal.code, 403);
        refusal
            .message
            .split_once(" is forbidden: ")
            .map(|(_, why)| why.to_owned())
    };
    let node = |name| Resource {
        resource: "nodes",
        name,
        ..nobody
    };
    let labelled =
        |labels: Value| json!({"metadata": {"labels": labels}, "spec": {"taints": [{"key": "t"}]}});
    let old = labelled(json!({}));
    let relabel = |labels: Value| why("patch", node("na"), Some(&labelled(labels)), Some(&old));
    assert_eq!(
        why("patch", node("nb"), Some(&old), None).unwrap(),
        "node \"na\" is not allowed to modify node \"nb\""
    );
    assert_eq!(
        relabel(
            json!({"mine/x": "1", "kubelet.kubernetes.io/z": "1", "topology.kubernetes.io/zone": "q"})
        ),
        None
    );
    assert_eq!(
        relabel(json!({"x.kubernetes.io/x": "1", "foo.k8s.io/a": "b"})).unwrap(),
        "is not allowed to modify labels: foo.k8s.io/a, x.kubernetes.io/x"
    );
    assert_eq!(
        relabel(json!({"node-restriction.kubernetes.io/x": "1"})).unwrap(),
        "is not allowed to modify labels: node-restriction.kubernetes.io/x"
    );
    let untainted = json!({"metadata": {"labels": {}}});
    assert_eq!(
        why("patch", node("na"), Some(&untainted), Some(&old)).unwrap(),
        "node \"na\" is not allowed to modify taints"
    );
    let owned = json!({"metadata": {"ownerReferences": [{"name": "x"}]}, "spec": {"taints": [{"key": "t"}]}});
    assert_eq!(
        why("patch", node("na"), Some(&owned), Some(&old)).unwrap(),
        "node \"na\" is not allowed to modify ownerReferences"
    );

    let pod = |subresource| Resource {
        subresource,
        ..core("pods", "p")
    };
    let on = |node: &str| json!({"metadata": {"name": "p"}, "spec": {"nodeName": node}});
    let (mine, foreign) = (on("na"), on("nb"));
    assert_eq!(why("delete", pod(""), None, Some(&mine)), None);
    assert_eq!(
        why("delete", pod(""), None, Some(&foreign)).unwrap(),
        "node \"na\" can only delete pods with spec.nodeName set to itself"
    );
    assert_eq!(
        why("patch", pod("status"), Some(&foreign), Some(&foreign)).unwrap(),
        "node \"na\" can only update pod status for pods with spec.nodeName set to itself"
    );
    let mut labelled = mine.clone();
    labelled["metadata"]["labels"] = json!({"a": "b"});
    assert_eq!(
        why("patch", pod("status"), Some(&labelled), Some(&mine)).unwrap(),
        "node \"na\" cannot update labels through pod status"
    );
    assert_eq!(why("patch", pod("status"), Some(&mine), Some(&mine)), None);
    assert_eq!(
        why("create", pod("eviction"), None, Some(&foreign)).unwrap(),
        "node na can only evict pods with spec.nodeName set to itself"
    );
}

#[test]
fn a_node_creates_only_what_mirrors_its_own_pods() {
    let why = |pod: &Value| {
        let write = Write {
            verb: "create",
            resource: core("pods", "new"),
            object: Some(pod),
            old: None,
        };
        let refusal = admit("na", &write).err()?;
        refusal
            .message
            .strip_prefix("pods \"new\" is forbidden: ")
            .map(str::to_owned)
    };
    let mut pod =
        json!({"metadata": {"name": "new", "annotations": {}}, "spec": {"nodeName": "nb"}});
    assert_eq!(
        why(&pod).unwrap(),
        "pod does not have \"kubernetes.io/config.mirror\" annotation, node \"na\" can only create mirror pods"
    );
    pod["metadata"]["annotations"][MIRROR] = json!("x");
    assert_eq!(
        why(&pod).unwrap(),
        "node \"na\" can only create pods with spec.nodeName set to itself"
    );
    pod["spec"]["nodeName"] = json!("na");
    assert_eq!(
        why(&pod).unwrap(),
        "node \"na\" can only create pods with an owner reference set to itself"
    );
    pod["metadata"]["ownerReferences"] =
        json!([{"apiVersion": "v1", "kind": "Node", "name": "na", "controller": true}]);
    assert_eq!(why(&pod), None);
    pod["spec"]["volumes"] = json!([{"name": "v", "secret": {"secretName": "s"}}]);
    assert_eq!(
        why(&pod).unwrap(),
        "node \"na\" can not create pods that reference secrets"
    );
}

#[test]
fn a_node_asks_for_tokens_of_its_pods() {
    let account = Resource {
        subresource: "token",
        ..core("serviceaccounts", "default")
    };
    let why = |object: Value, pod: Option<&Value>| {
        let write = Write {
            verb: "create",
            resource: account,
            object: Some(&object),
            old: pod,
        };
        admit("na", &write).err().map(|refusal| refusal.message)
    };
    let on = |node: &str| json!({"spec": {"nodeName": node}});
    let bound = json!({"spec": {"boundObjectRef": {"kind": "Pod", "name": "p"}}});
    assert_eq!(
        why(json!({"spec": {}}), None).unwrap(),
        "serviceaccounts \"default\" is forbidden: node requested token not bound to a pod"
    );
    assert_eq!(why(bound.clone(), Some(&on("na"))), None);
    assert!(why(bound, Some(&on("nb"))).is_some());
}

#[test]
fn only_members_of_the_nodes_group_are_nodes() {
    assert_eq!(node_of(&User::node("na")), Some("na"));
    let pretender = User {
        groups: Vec::new(),
        ..User::node("na")
    };
    assert_eq!(node_of(&pretender), None);
}
