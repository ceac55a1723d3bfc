//! Pod Security: the same pods are refused as by a real server, in the same words.

use mwctl_apiserver::access::{Resource, pod_security};
use serde::Deserialize;
use serde_json::{Value, json};

#[derive(Deserialize)]
struct Case {
    #[serde(default)]
    annotations: Value,
    spec: Value,
    baseline: Option<String>,
    restricted: Option<String>,
}

#[test]
fn every_recorded_pod_is_judged_as_by_the_real_server() {
    let cases: Vec<Case> =
        serde_json::from_str(include_str!("../vectors/pod-security.json")).unwrap();
    assert_eq!(cases.len(), 94);
    let resource = Resource {
        resource: "pods",
        namespace: "ns",
        name: "p",
        ..Resource::default()
    };
    for case in cases {
        let pod =
            json!({"metadata": {"name": "p", "annotations": case.annotations}, "spec": case.spec});
        for (level, expected) in [
            ("baseline", &case.baseline),
            ("restricted", &case.restricted),
        ] {
            let enforce = json!({"pod-security.kubernetes.io/enforce": level});
            let refusal = pod_security::admit_pod(&enforce, &resource, &pod).err();
            let ours = refusal.as_ref().map(|refusal| refusal.message.clone());
            assert_eq!(&ours, expected, "{level}: {pod}");
            let warn = json!({"pod-security.kubernetes.io/warn": level});
            let warnings = pod_security::admit_pod(&warn, &resource, &pod).unwrap();
            let told = expected
                .as_ref()
                .map(|told| told.replace("pods \"p\" is forbidden: violates", "would violate"));
            assert_eq!(warnings, Vec::from_iter(told));
        }
    }
}
