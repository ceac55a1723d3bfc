//! The verbs on real kinds.

use super::*;
use crate::kinds;
use crate::patch::PatchKind;
use crate::storage::Change as Seen;
use serde_json::json;

fn registry() -> Registry {
    Registry::new(kinds::builtin()).unwrap()
}

fn map(registry: &Registry, name: &str) -> Target {
    registry.core("configmaps", "default", name).unwrap()
}

fn write() -> WriteOptions {
    WriteOptions {
        manager: "test".to_owned(),
        ..WriteOptions::default()
    }
}

fn create(registry: &Registry, target: &Target, metadata: &Value) -> Result<Answer, Status> {
    let body =
        json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": {"k": "v"}});
    let collection = Target {
        name: String::new(),
        ..target.clone()
    };
    registry.create(&collection, body, &write())
}

fn merge(body: Value) -> Change {
    Change::Patch(PatchKind::Merge, body)
}

#[test]
fn a_new_object_is_named_and_stamped() {
    let registry = registry();
    let answer = create(
        &registry,
        &map(&registry, ""),
        &json!({"generateName": "a-", "uid": "mine"}),
    )
    .unwrap();
    let object = answer.object;
    assert!(
        object.name().starts_with("a-")
            && object.uid() != "mine"
            && object.namespace() == "default"
    );
    assert_eq!(
        object.value()["metadata"]["managedFields"][0]["manager"],
        "test"
    );
    assert_eq!(
        registry
            .get(&map(&registry, object.name()))
            .unwrap()
            .revision(),
        object.revision()
    );
}

#[test]
fn a_name_is_taken_once_and_must_be_one() {
    let registry = registry();
    let target = map(&registry, "a");
    create(&registry, &target, &json!({"name": "a"})).unwrap();
    let told = |metadata: Value| create(&registry, &target, &metadata).unwrap_err().message;
    assert_eq!(
        told(json!({"name": "a"})),
        "configmaps \"a\" already exists"
    );
    assert_eq!(
        told(json!({})),
        "ConfigMap \"\" is invalid: metadata.name: Required value: name or generateName is required"
    );
    assert!(told(json!({"name": "A_"})).starts_with(
        "ConfigMap \"A_\" is invalid: metadata.name: Invalid value: \"A_\": a lowercase"
    ));
    assert_eq!(
        told(json!({"name": "b", "resourceVersion": "5"})),
        "resourceVersion should not be set on objects to be created"
    );
}

#[test]
fn an_object_needs_a_namespace_that_lasts() {
    let registry = registry();
    let mut target = map(&registry, "a");
    target.namespace = "n".to_owned();
    let told = create(&registry, &target, &json!({"name": "a"})).unwrap_err();
    assert_eq!(
        (told.code, told.message.as_str()),
        (404, "namespaces \"n\" not found")
    );
    let namespace = registry.core("namespaces", "", "n").unwrap();
    let body = json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "n"}});
    registry.create(&namespace, body, &write()).unwrap();
    registry
        .delete(&namespace, &DeleteOptions::default())
        .unwrap();
    let told = create(&registry, &target, &json!({"name": "a"})).unwrap_err();
    assert_eq!(
        told.message,
        "configmaps \"a\" is forbidden: unable to create new content in namespace n because it is being terminated"
    );
    registry
        .finalize(&namespace, &json!({"spec": {"finalizers": []}}), &write())
        .unwrap();
    assert_eq!(registry.get(&namespace).unwrap_err().code, 404);
}

#[test]
fn a_change_that_changes_nothing_takes_no_revision() {
    let registry = registry();
    let target = map(&registry, "a");
    let before = create(&registry, &target, &json!({"name": "a"}))
        .unwrap()
        .object;
    let same = registry
        .change(&target, &merge(json!({"data": {"k": "v"}})), &write())
        .unwrap();
    assert_eq!(same.object.revision(), before.revision());
    let other = registry
        .change(&target, &merge(json!({"data": {"k": "w"}})), &write())
        .unwrap();
    assert!(other.object.revision() > before.revision());
    let stale = Change::Replace(before.value().clone());
    let told = registry.change(&target, &stale, &write()).unwrap_err();
    assert_eq!(
        told.message,
        "Operation cannot be fulfilled on configmaps \"a\": the object has been modified; please apply your changes to the latest version and try again"
    );
}

#[test]
fn a_dry_run_leaves_nothing() {
    let registry = registry();
    let target = map(&registry, "a");
    let revision = registry.store().revision();
    let dry = WriteOptions {
        dry_run: true,
        ..write()
    };
    let body = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "a"}});
    registry.create(&target, body, &dry).unwrap();
    assert_eq!(
        (
            registry.get(&target).unwrap_err().code,
            registry.store().revision()
        ),
        (404, revision)
    );
}

#[test]
fn finalizers_keep_a_deleted_object_until_the_last_is_gone() {
    let registry = registry();
    let target = map(&registry, "a");
    create(
        &registry,
        &target,
        &json!({"name": "a", "finalizers": ["x/y"]}),
    )
    .unwrap();
    assert!(matches!(
        registry.delete(&target, &DeleteOptions::default()).unwrap(),
        Deleted::Object(_)
    ));
    let more = merge(json!({"metadata": {"finalizers": ["x/y", "z/w"]}}));
    let told = registry
        .change(&target, &more, &write())
        .unwrap_err()
        .message;
    assert!(
        told.ends_with("found new finalizers []string{\"z/w\"}"),
        "{told}"
    );
    let told = create(&registry, &target, &json!({"name": "a"}))
        .unwrap_err()
        .message;
    assert_eq!(
        told,
        "object is being deleted: configmaps \"a\" already exists"
    );
    registry
        .change(
            &target,
            &merge(json!({"metadata": {"finalizers": null}})),
            &write(),
        )
        .unwrap();
    assert_eq!(registry.get(&target).unwrap_err().code, 404);
}

#[test]
fn propagation_leaves_its_finalizer() {
    let registry = registry();
    let target = map(&registry, "a");
    create(&registry, &target, &json!({"name": "a"})).unwrap();
    let orphan = DeleteOptions::parse(&json!({"propagationPolicy": "Orphan"})).unwrap();
    let Deleted::Object(object) = registry.delete(&target, &orphan).unwrap() else {
        panic!("it must wait for the collector")
    };
    assert_eq!(object.value()["metadata"]["finalizers"], json!(["orphan"]));
}

#[test]
fn a_pod_on_a_node_ends_in_its_own_time() {
    let registry = registry();
    let target = registry.core("pods", "default", "p").unwrap();
    let pod = json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "p"}, "spec": {"containers": [{"name": "c", "image": "i"}]}});
    registry.create(&target, pod, &write()).unwrap();
    let binding = Target {
        subresource: "binding".to_owned(),
        ..target.clone()
    };
    registry
        .bind(&binding, &json!({"target": {"name": "n"}}), &write())
        .unwrap();
    let bound = registry.get(&target).unwrap();
    assert_eq!(bound.value()["metadata"]["generation"], 1);
    registry.delete(&target, &DeleteOptions::default()).unwrap();
    assert_eq!(
        registry.get(&target).unwrap().value()["metadata"]["deletionGracePeriodSeconds"],
        30
    );
    let now = DeleteOptions::parse(&json!({"gracePeriodSeconds": 0})).unwrap();
    registry.delete(&target, &now).unwrap();
    assert_eq!(registry.get(&target).unwrap_err().code, 404);
}

#[test]
fn the_status_and_the_rest_are_written_apart_and_only_the_rest_is_counted() {
    let registry = registry();
    let mut target = map(&registry, "d");
    target.resource = registry.resource("apps", "v1", "deployments").unwrap();
    let body = json!({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "d"}, "spec": {
        "replicas": 1, "selector": {"matchLabels": {"a": "b"}},
        "template": {"metadata": {"labels": {"a": "b"}}, "spec": {"containers": [{"name": "c", "image": "i"}]}}}});
    registry.create(&target, body, &write()).unwrap();
    let both = merge(json!({"spec": {"replicas": 2}, "status": {"replicas": 7}}));
    let object = registry.change(&target, &both, &write()).unwrap().object;
    assert_eq!(
        (
            &object.value()["metadata"]["generation"],
            &object.value()["status"]["replicas"]
        ),
        (&json!(2), &Value::Null)
    );
    target.subresource = "status".to_owned();
    let both = merge(json!({"spec": {"replicas": 3}, "status": {"replicas": 7}}));
    let object = registry.change(&target, &both, &write()).unwrap().object;
    assert_eq!(
        (
            &object.value()["metadata"]["generation"],
            &object.value()["spec"]["replicas"]
        ),
        (&json!(2), &json!(2))
    );
    assert_eq!(object.value()["status"]["replicas"], 7);
    target.subresource = "scale".to_owned();
    let scale = registry
        .change_scale(&target, &merge(json!({"spec": {"replicas": 5}})), &write())
        .unwrap()
        .object;
    assert_eq!(scale.value()["spec"]["replicas"], 5);
    assert_eq!(
        scale.value()["status"],
        json!({"replicas": 7, "selector": "a=b"})
    );
}

/// The generations of an object that is made and then changed so, one change after the other.
fn generations(place: (&str, &str, &str), body: Value, changes: &[Value]) -> Vec<Option<i64>> {
    let registry = registry();
    let resource = registry.resource(place.0, place.1, place.2).unwrap();
    let mut target = map(&registry, "a");
    if !resource.namespaced {
        target.namespace.clear();
    }
    target.resource = resource;
    let number = |answer: Answer| answer.object.value()["metadata"]["generation"].as_i64();
    let made = registry.create(&target, body, &write()).unwrap();
    let mut numbers = vec![number(made)];
    for change in changes {
        let answer = registry.change(&target, &merge(change.clone()), &write());
        numbers.push(number(answer.unwrap()));
    }
    numbers
}

#[test]
fn a_default_that_is_left_out_again_is_no_change() {
    let registry = registry();
    let mut target = map(&registry, "d");
    target.resource = registry.resource("apps", "v1", "deployments").unwrap();
    let body = json!({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "d"}, "spec": {
        "selector": {"matchLabels": {"a": "b"}},
        "template": {"metadata": {"labels": {"a": "b"}}, "spec": {"containers": [{"name": "c", "image": "i"}]}}}});
    registry.create(&target, body.clone(), &write()).unwrap();
    let again = registry.change(&target, &Change::Replace(body), &write());
    let object = again.unwrap().object;
    assert_eq!(object.value()["metadata"]["generation"], 1);
}

#[test]
fn changes_are_counted_as_each_kind_counts_them() {
    let labels = json!({"metadata": {"labels": {"l": "1"}}});
    let noted = json!({"metadata": {"annotations": {"l": "1"}}});
    let slice = json!({"apiVersion": "discovery.k8s.io/v1", "kind": "EndpointSlice", "metadata": {"name": "a"},
        "addressType": "IPv4", "endpoints": [{"addresses": ["192.0.2.1"]}]});
    let moved = json!({"endpoints": [{"addresses": ["192.0.2.2"]}]});
    let place = ("discovery.k8s.io", "v1", "endpointslices");
    assert_eq!(
        generations(place, slice, &[moved, noted.clone(), labels.clone()]),
        [Some(1), Some(2), Some(2), Some(3)]
    );
    let deployment = json!({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "a"}, "spec": {
        "selector": {"matchLabels": {"a": "b"}},
        "template": {"metadata": {"labels": {"a": "b"}}, "spec": {"containers": [{"name": "c", "image": "i"}]}}}});
    assert_eq!(
        generations(
            ("apps", "v1", "deployments"),
            deployment,
            &[noted, labels.clone()]
        ),
        [Some(1), Some(2), Some(2)]
    );
    let template = json!({"apiVersion": "v1", "kind": "PodTemplate", "metadata": {"name": "a"},
        "template": {"spec": {"containers": [{"name": "c", "image": "i"}]}}});
    let changed = json!({"template": {"spec": {"terminationGracePeriodSeconds": 3}}});
    assert_eq!(
        generations(
            ("", "v1", "podtemplates"),
            template,
            &[labels.clone(), changed]
        ),
        [Some(1), Some(1), Some(2)]
    );
    let class = json!({"apiVersion": "scheduling.k8s.io/v1", "kind": "PriorityClass", "metadata": {"name": "a"}, "value": 7});
    let told = json!({"description": "for one"});
    assert_eq!(
        generations(
            ("scheduling.k8s.io", "v1", "priorityclasses"),
            class,
            &[told]
        ),
        [Some(1), Some(1)]
    );
    let driver = json!({"apiVersion": "storage.k8s.io/v1", "kind": "CSIDriver", "metadata": {"name": "a"}, "spec": {}});
    let changed = json!({"spec": {"requiresRepublish": true}});
    assert_eq!(
        generations(
            ("storage.k8s.io", "v1", "csidrivers"),
            driver,
            &[labels, changed]
        ),
        [None, None, Some(1)]
    );
}

#[test]
fn a_watch_begins_with_what_is_there_or_after_a_revision() {
    let registry = registry();
    let target = map(&registry, "a");
    let made = create(&registry, &target, &json!({"name": "a"}))
        .unwrap()
        .object;
    let everything = registry.watch(&target, &ListOptions::default()).unwrap();
    assert_eq!(everything.initial.len(), 1);
    let mut later = registry
        .watch(
            &target,
            &ListOptions {
                resource_version: made.revision().to_string(),
                ..ListOptions::default()
            },
        )
        .unwrap();
    registry.delete(&target, &DeleteOptions::default()).unwrap();
    let events = later.watcher.poll().unwrap().events;
    let (change, last) = events[0].seen_by(|_| true).unwrap();
    assert_eq!(
        (later.initial.len(), change, last.revision()),
        (0, Seen::Deleted, made.revision() + 1)
    );
}

#[test]
fn contradictory_lists_are_refused_in_upstreams_words() {
    let registry = registry();
    let told = |version: &str, matching: &str| {
        let options = ListOptions {
            resource_version: version.to_owned(),
            resource_version_match: matching.to_owned(),
            ..ListOptions::default()
        };
        registry
            .list(&map(&registry, ""), &options)
            .unwrap_err()
            .message
    };
    assert!(told("99999", "").starts_with("Timeout: Too large resource version: 99999, current: "));
    assert_eq!(
        told("", "Exact"),
        "ListOptions.meta.k8s.io \"\" is invalid: resourceVersionMatch: Forbidden: resourceVersionMatch is forbidden unless resourceVersion is provided"
    );
    assert_eq!(
        told("abc", ""),
        "invalid resource version: resourceVersion: Invalid value: \"abc\": strconv.ParseUint: parsing \"abc\": invalid syntax"
    );
}

/// Creates an object of the core group in `default`.
fn make(registry: &Registry, plural: &str, object: &Value) -> Result<Value, Status> {
    let name = object["metadata"]["name"].as_str().unwrap();
    let target = registry.core(plural, "default", name)?;
    let made = registry.create(&target, object.clone(), &WriteOptions::default())?;
    Ok(made.object.value().clone())
}

fn look(registry: &Registry, plural: &str, name: &str) -> Value {
    let target = registry.core(plural, "default", name).unwrap();
    registry.get(&target).unwrap().value().clone()
}

fn plain_pod(name: &str) -> Value {
    json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name}, "spec": {"containers": [{"name": "c", "image": "i"}]}})
}

#[test]
fn a_quota_holds_and_says_at_once_what_is_used() {
    let registry = Registry::new(kinds::builtin()).unwrap();
    let quota = json!({"apiVersion": "v1", "kind": "ResourceQuota", "metadata": {"name": "q"}, "spec": {"hard": {"pods": "1", "count/configmaps": "5"}}});
    make(&registry, "resourcequotas", &quota).unwrap();
    let used = || look(&registry, "resourcequotas", "q")["status"]["used"].clone();
    assert_eq!(used(), json!({"pods": "0", "count/configmaps": "0"}));
    make(&registry, "pods", &plain_pod("a")).unwrap();
    assert_eq!(used()["pods"], "1");
    let refused = make(&registry, "pods", &plain_pod("b")).unwrap_err();
    assert_eq!(
        refused.message,
        "pods \"b\" is forbidden: exceeded quota: q, requested: pods=1, used: pods=1, limited: pods=1"
    );
    let target = registry.core("pods", "default", "a").unwrap();
    registry.delete(&target, &DeleteOptions::default()).unwrap();
    assert_eq!(used()["pods"], "0");
    make(&registry, "pods", &plain_pod("b")).unwrap();
}

#[test]
fn what_somebody_writes_into_the_status_of_a_quota_does_not_last() {
    let registry = Registry::new(kinds::builtin()).unwrap();
    let quota = json!({"apiVersion": "v1", "kind": "ResourceQuota", "metadata": {"name": "q"}, "spec": {"hard": {"pods": "1"}}});
    make(&registry, "resourcequotas", &quota).unwrap();
    let mut target = registry.core("resourcequotas", "default", "q").unwrap();
    target.subresource = "status".to_owned();
    let options = WriteOptions {
        user: Some(crate::access::User::admin()),
        ..write()
    };
    let change = merge(json!({"status": {"hard": {"pods": "2"}}}));
    let written = registry.change(&target, &change, &options).unwrap();
    assert_eq!(written.object.value()["status"]["hard"]["pods"], "2");
    let now = look(&registry, "resourcequotas", "q");
    assert_eq!(now["status"]["hard"]["pods"], "1");
}

#[test]
fn many_writers_at_once_do_not_exceed_a_quota() {
    let registry = Registry::new(kinds::builtin()).unwrap();
    let quota = json!({"apiVersion": "v1", "kind": "ResourceQuota", "metadata": {"name": "q"}, "spec": {"hard": {"pods": "10"}}});
    make(&registry, "resourcequotas", &quota).unwrap();
    let made = std::thread::scope(|scope| {
        let writers: Vec<_> = (0..4)
            .map(|writer| {
                let registry = &registry;
                scope.spawn(move || {
                    let pods = (0..10).map(|pod| plain_pod(&format!("p-{writer}-{pod}")));
                    pods.filter(|pod| make(registry, "pods", pod).is_ok())
                        .count()
                })
            })
            .collect();
        writers
            .into_iter()
            .map(|writer| writer.join().unwrap())
            .sum::<usize>()
    });
    assert_eq!(made, 10);
    assert_eq!(
        look(&registry, "resourcequotas", "q")["status"]["used"]["pods"],
        "10"
    );
}

#[test]
fn a_pod_gets_what_its_namespace_and_its_account_have_for_it() {
    let registry = Registry::new(kinds::builtin()).unwrap();
    let range = json!({"apiVersion": "v1", "kind": "LimitRange", "metadata": {"name": "l"},
        "spec": {"limits": [{"type": "Container", "default": {"cpu": "1"}, "max": {"cpu": "2"}}]}});
    make(&registry, "limitranges", &range).unwrap();
    let pod = make(&registry, "pods", &plain_pod("p")).unwrap();
    assert_eq!(pod["spec"]["serviceAccountName"], "default");
    let container = &pod["spec"]["containers"][0];
    assert_eq!(
        container["volumeMounts"][0]["mountPath"],
        "/var/run/secrets/kubernetes.io/serviceaccount"
    );
    assert_eq!(
        container["resources"],
        json!({"limits": {"cpu": "1"}, "requests": {"cpu": "1"}})
    );
    assert_eq!(
        pod["status"]["qosClass"], "Burstable",
        "as its containers have it now"
    );
    let owned = pod["metadata"]["managedFields"].to_string();
    assert!(
        !owned.contains("serviceAccountName") && !owned.contains("f:limits"),
        "{owned}"
    );
    let mut large = plain_pod("large");
    large["spec"]["containers"][0]["resources"] = json!({"limits": {"cpu": "3"}});
    let refused = make(&registry, "pods", &large).unwrap_err().message;
    assert_eq!(
        refused,
        "pods \"large\" is forbidden: maximum cpu usage per Container is 2, but limit is 3"
    );
    let mut lost = plain_pod("lost");
    lost["spec"]["serviceAccountName"] = json!("nobody");
    let refused = make(&registry, "pods", &lost).unwrap_err().message;
    assert_eq!(
        refused,
        "pods \"lost\" is forbidden: error looking up service account default/nobody: serviceaccount \"nobody\" not found"
    );
}
