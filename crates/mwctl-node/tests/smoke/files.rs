//! An image's files under what is written, and what is mounted into them.

use k8s_openapi::api::core::v1::{ConfigMap, Pod};
use serde_json::json;

use crate::space::{Space, shell};

/// Each step needs something else of the overlay: a whiteout, a directory that hides the one below, a copy, a rename of what is below.
const CHANGES: &str = "set -e
rm /data/old; [ ! -e /data/old ]
rm -r /data/folder; mkdir /data/folder; [ -z \"$(ls -A /data/folder)\" ]
echo more >> /data/text; [ \"$(cat /data/text)\" = \"text
more\" ]
chmod 600 /data/mode; mv /data/mode /data/moved; [ \"$(stat -c %a /data/moved)\" = 600 ]
echo changed";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_images_files_can_be_changed_and_stay_as_they_are() {
    let space = Space::new("files").await;
    // The second meets what the first left, if that left anything.
    for pod in ["first", "second"] {
        space.pod(pod, shell(CHANGES, json!({}))).await;
        assert_eq!(space.output(pod).await, "changed\n");
    }
    space.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn volumes_are_there_and_belong_to_whom_they_should() {
    let space = Space::new("volumes").await;
    space
        .create::<ConfigMap>("told", json!({"data": {"word": "hello"}}))
        .await;
    let volumes = json!([{"name": "told", "configMap": {"name": "told"}},
        {"name": "kept", "emptyDir": {}}, {"name": "quick", "emptyDir": {"medium": "Memory", "sizeLimit": "1Mi"}}]);
    let mounts = json!([{"name": "told", "mountPath": "/told"}, {"name": "kept", "mountPath": "/kept"},
        {"name": "quick", "mountPath": "/quick"}]);
    let mut before = shell("echo before > /kept/first", json!({"volumeMounts": mounts}));
    before["name"] = json!("before");
    let script = "cat /told/word; echo; cat /kept/first; id -u; id -g; stat -c %g /kept; \
        dd if=/dev/zero of=/quick/much bs=1M count=2 2> /dev/null || echo full; touch /no 2> /dev/null || echo read-only; \
        touch /kept/second && cat /var/run/secrets/kubernetes.io/serviceaccount/namespace";
    let main = shell(
        script,
        json!({"volumeMounts": mounts, "securityContext": {"readOnlyRootFilesystem": true}}),
    );
    let security = json!({"runAsUser": 1234, "runAsGroup": 2345, "fsGroup": 3456});
    let spec = json!({"restartPolicy": "Never", "securityContext": security, "volumes": volumes,
        "initContainers": [before], "containers": [main]});
    space.create::<Pod>("mounts", json!({"spec": spec})).await;
    let expected = "hello\nbefore\n1234\n2345\n3456\nfull\nread-only\nvolumes";
    assert_eq!(space.output("mounts").await, expected);
    space.end().await;
}
