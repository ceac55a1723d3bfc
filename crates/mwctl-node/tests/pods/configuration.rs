//! What a pod's containers find: variables, volumes, each other.

use k8s_openapi::api::core::v1::{ConfigMap, PersistentVolume, PersistentVolumeClaim, Secret};
use kube::Api;
use kube::api::{DeleteParams, Patch, PatchParams, PostParams};
use mwctl_node::log::Query;
use serde_json::{Value, json};

use crate::stage::{Stage, ready, shell};

async fn config_map(stage: &Stage, data: Value) {
    let api: Api<ConfigMap> = Api::namespaced(stage.client.clone(), &stage.namespace);
    let map = json!({"metadata": {"name": "m"}, "data": data});
    api.create(
        &PostParams::default(),
        &serde_json::from_value(map).unwrap(),
    )
    .await
    .unwrap();
}

/// A container that mounts the volume `m` at `/m`, and is ready once its script says so.
fn shows(script: &str) -> Value {
    let mut container = shell("main", script);
    container["volumeMounts"] = json!([{"name": "m", "mountPath": "/m"}]);
    container["readinessProbe"] =
        json!({"exec": {"command": ["test", "-e", "/tmp/up"]}, "periodSeconds": 1});
    container
}

#[tokio::test]
async fn variables_come_from_everywhere() {
    let stage = Stage::new().await;
    config_map(&stage, json!({"key": "value"})).await;
    let api: Api<Secret> = Api::namespaced(stage.client.clone(), &stage.namespace);
    let secret = json!({"metadata": {"name": "s"}, "data": {"word": "aGlkZGVu"}});
    api.create(
        &PostParams::default(),
        &serde_json::from_value(secret).unwrap(),
    )
    .await
    .unwrap();
    let mut container = shell(
        "main",
        "echo $A $P_key $WORD $NAME $CPU $KUBERNETES_SERVICE_PORT; hostname; pwd",
    );
    container["workingDir"] = json!("/srv/work");
    container["resources"] = json!({"limits": {"cpu": "250m"}});
    container["envFrom"] = json!([{"prefix": "P_", "configMapRef": {"name": "m"}}]);
    container["env"] = json!([
        {"name": "B", "value": "b"}, {"name": "A", "value": "a-$(B)"},
        {"name": "WORD", "valueFrom": {"secretKeyRef": {"name": "s", "key": "word"}}},
        {"name": "NAME", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}},
        {"name": "CPU", "valueFrom": {"resourceFieldRef": {"resource": "limits.cpu", "divisor": "1m"}}}]);
    stage
        .create(
            "variables",
            json!({"restartPolicy": "Never", "containers": [container]}),
        )
        .await;
    let pod = stage.phase("variables", "Succeeded").await;
    assert_eq!(
        stage.log(&pod).await,
        "a-b value hidden variables 250 443\nvariables\n/srv/work\n"
    );
}

#[tokio::test]
async fn a_mounted_config_map_changes_under_the_container() {
    let stage = Stage::new().await;
    config_map(&stage, json!({"file": "old"})).await;
    let script = "cat /m/file; echo; touch /tmp/up; until grep -q new /m/file; do sleep 0.01; done; cat /m/file; ls /m; echo x > /m/file";
    let container = shows(script);
    let spec = json!({"restartPolicy": "Never", "containers": [container],
        "volumes": [{"name": "m", "configMap": {"name": "m"}}]});
    stage.create("mounted", spec).await;
    stage.wait("mounted", |pod: Option<&_>| ready(pod)).await;
    let api: Api<ConfigMap> = Api::namespaced(stage.client.clone(), &stage.namespace);
    let patch = json!({"data": {"file": "new", "more": "x"}});
    api.patch("m", &PatchParams::default(), &Patch::Merge(patch))
        .await
        .unwrap();
    let pod = stage.phase("mounted", "Failed").await;
    let log = stage.log(&pod).await;
    assert!(
        log.starts_with("old\nnewfile\nmore\n") && log.contains("Read-only"),
        "{log}"
    );
}

#[tokio::test]
async fn an_optional_config_map_is_shown_as_soon_as_it_is_there_and_no_longer() {
    let stage = Stage::new().await;
    let script = "until test -e /m/file; do sleep 0.01; done; cat /m/file; echo; touch /tmp/up; \
        while test -e /m/file; do sleep 0.01; done; echo gone";
    let container = shows(script);
    let spec = json!({"restartPolicy": "Never", "containers": [container],
        "volumes": [{"name": "m", "configMap": {"name": "m", "optional": true}}]});
    stage.create("optional", spec).await;
    stage.phase("optional", "Running").await;
    config_map(&stage, json!({"file": "here"})).await;
    stage.wait("optional", |pod: Option<&_>| ready(pod)).await;
    let api: Api<ConfigMap> = Api::namespaced(stage.client.clone(), &stage.namespace);
    api.delete("m", &DeleteParams::default()).await.unwrap();
    let pod = stage.phase("optional", "Succeeded").await;
    assert_eq!(stage.log(&pod).await, "here\ngone\n");
}

#[tokio::test]
async fn what_two_pods_show_changes_under_the_one_that_stays() {
    let stage = Stage::new().await;
    config_map(&stage, json!({"file": "old"})).await;
    let script = "touch /tmp/up; until grep -q new /m/file; do sleep 0.01; done; cat /m/file";
    let container = shows(script);
    let spec = json!({"restartPolicy": "Never", "containers": [container],
        "volumes": [{"name": "m", "configMap": {"name": "m"}}]});
    for name in ["goes", "stays"] {
        stage.create(name, spec.clone()).await;
        stage.wait(name, |pod: Option<&_>| ready(pod)).await;
    }
    stage.delete("goes", 0).await;
    stage.gone("goes").await;
    let api: Api<ConfigMap> = Api::namespaced(stage.client.clone(), &stage.namespace);
    let patch = Patch::Merge(json!({"data": {"file": "new"}}));
    let patched = api.patch("m", &PatchParams::default(), &patch).await;
    patched.unwrap();
    let pod = stage.phase("stays", "Succeeded").await;
    assert_eq!(stage.log(&pod).await, "new");
}

#[tokio::test]
async fn a_pods_own_labels_change_under_the_container() {
    let stage = Stage::new().await;
    let script = "touch /tmp/up; until grep -q new /m/labels; do sleep 0.01; done; cat /m/labels";
    let container = shows(script);
    let labels = json!({"path": "labels", "fieldRef": {"fieldPath": "metadata.labels"}});
    let spec = json!({"restartPolicy": "Never", "containers": [container],
        "volumes": [{"name": "m", "downwardAPI": {"items": [labels]}}]});
    stage.create("labelled", spec).await;
    stage.wait("labelled", |pod: Option<&_>| ready(pod)).await;
    let patch = json!({"metadata": {"labels": {"a": "new"}}});
    let patch = Patch::Merge(patch);
    let (pods, parameters) = (stage.pods(), PatchParams::default());
    pods.patch("labelled", &parameters, &patch).await.unwrap();
    let pod = stage.phase("labelled", "Succeeded").await;
    let log = stage.log(&pod).await;
    assert!(log.contains("a=\"new\""), "{log}");
}

#[tokio::test]
async fn containers_share_what_a_pod_shares() {
    let stage = Stage::new().await;
    let listen = "python3 -c 'import socket; s = socket.create_server((\"127.0.0.1\", 80)); s.accept()[0].send(b\"hi\\n\")'";
    let read = "until test -e /dev/shm/x; do sleep 0.01; done; \
        until exec 3<>/dev/tcp/127.0.0.1/80; do sleep 0.01; done 2>/dev/null; cat <&3; hostname";
    let mut reader = shell("main", read);
    reader["command"][0] = json!("bash");
    let writer = shell("other", &format!("touch /dev/shm/x; {listen}"));
    let spec =
        json!({"hostname": "both", "restartPolicy": "Never", "containers": [reader, writer]});
    stage.create("shared", spec).await;
    let pod = stage.phase("shared", "Succeeded").await;
    assert_eq!(stage.log(&pod).await, "hi\nboth\n");
}

#[tokio::test]
async fn allowed_folders_of_the_machine_are_mounted() {
    let stage = Stage::new().await;
    let path = stage.folder.path().join("mountable/code");
    std::fs::create_dir(&path).unwrap();
    std::fs::write(path.join("file"), "text").unwrap();
    let mut container = shell("main", "cat /code/file; echo new > /code/file");
    container["volumeMounts"] = json!([{"name": "c", "mountPath": "/code"}]);
    let volumes = json!([{"name": "c", "hostPath": {"path": path, "type": "Directory"}}]);
    stage
        .create(
            "code",
            json!({"restartPolicy": "Never", "containers": [container], "volumes": volumes}),
        )
        .await;
    let pod = stage.phase("code", "Succeeded").await;
    assert_eq!(stage.log_of(&pod, "main", Query::default()).await, "text");
    assert_eq!(std::fs::read_to_string(path.join("file")).unwrap(), "new\n");
}

#[tokio::test]
async fn checkouts_that_are_allowed_later_are_mounted_and_nothing_beside_them() {
    let stage = Stage::new().await;
    let root = stage.folder.path();
    let path = root.join("checkout");
    std::fs::create_dir_all(path.join("modules")).unwrap();
    std::fs::write(path.join("file"), "text").unwrap();
    let mut container = shell(
        "main",
        "cat /code/file; touch /code/new || touch /code/modules/new",
    );
    container["volumeMounts"] = json!([{"name": "c", "mountPath": "/code"},
        {"name": "e", "mountPath": "/code/modules"}]);
    let spec = |path: &std::path::Path| {
        let checkout =
            json!({"driver": "checkout.mwctl.local", "volumeAttributes": {"path": path}});
        let volumes = json!([{"name": "c", "csi": checkout}, {"name": "e", "emptyDir": {}}]);
        json!({"restartPolicy": "Never", "containers": [container], "volumes": volumes})
    };
    stage.create("before", spec(&path)).await;
    stage.told("before", "FailedMount").await;
    std::fs::create_dir(root.join("links")).unwrap();
    std::os::unix::fs::symlink(&path, root.join("links/one")).unwrap();
    stage.create("after", spec(&path)).await;
    let pod = stage.phase("after", "Succeeded").await;
    let log = stage.log_of(&pod, "main", Query::default()).await;
    assert!(log.starts_with("text"), "{log}");
    assert!(log.contains("Read-only file system"), "{log}");
    assert!(!path.join("new").exists());
    stage.create("beside", spec(root)).await;
    stage.told("beside", "FailedMount").await;
}

/// A claim `c` that is bound to a folder of this machine.
async fn claim(stage: &Stage) {
    let folder = stage.folder.path().join("mountable/claimed");
    let volumes: Api<PersistentVolume> = Api::all(stage.client.clone());
    let volume = json!({"metadata": {"name": "v"}, "spec": {"capacity": {"storage": "1Gi"},
        "accessModes": ["ReadWriteOnce"], "storageClassName": "none", "hostPath": {"path": folder}}});
    let volume = serde_json::from_value(volume).unwrap();
    volumes
        .create(&PostParams::default(), &volume)
        .await
        .unwrap();
    let claims: Api<PersistentVolumeClaim> =
        Api::namespaced(stage.client.clone(), &stage.namespace);
    let claim = json!({"metadata": {"name": "c"}, "spec": {"accessModes": ["ReadWriteOnce"],
        "storageClassName": "none", "resources": {"requests": {"storage": "1Gi"}}}});
    let claim = serde_json::from_value(claim).unwrap();
    claims.create(&PostParams::default(), &claim).await.unwrap();
}

/// A pod that runs a script where the claim is.
async fn with_claim(stage: &Stage, name: &str, script: &str, security: Value) -> String {
    let mut container = shell("main", script);
    container["volumeMounts"] = json!([{"name": "d", "mountPath": "/data"}]);
    let volumes = json!([{"name": "d", "persistentVolumeClaim": {"claimName": "c"}}]);
    let spec = json!({"restartPolicy": "Never", "containers": [container], "volumes": volumes,
        "securityContext": security});
    stage.create(name, spec).await;
    let pod = stage.phase(name, "Succeeded").await;
    stage.log(&pod).await
}

#[tokio::test]
async fn a_claim_keeps_what_one_pod_wrote_for_the_next() {
    let stage = Stage::new().await;
    claim(&stage).await;
    with_claim(&stage, "writer", "echo kept > /data/file", json!({})).await;
    let read = with_claim(&stage, "reader", "cat /data/file", json!({})).await;
    assert_eq!(read, "kept\n");
}

#[tokio::test]
async fn what_a_claim_holds_is_given_to_the_group_of_the_pod() {
    let stage = Stage::new().await;
    claim(&stage).await;
    let script = "umask 077; mkdir /data/below; echo kept | tee /data/file > /data/below/file";
    with_claim(&stage, "writer", script, json!({})).await;
    let script = "echo more >> /data/file; cat /data/file /data/below/file";
    let somebody = json!({"runAsUser": 900, "runAsGroup": 901, "fsGroup": 902});
    let read = with_claim(&stage, "reader", script, somebody).await;
    assert_eq!(read, "kept\nmore\nkept\n");
}

#[tokio::test]
async fn a_token_of_the_service_account_is_projected() {
    let stage = Stage::new().await;
    let mut container = shell("main", "cut -c1-2 < /t/token; cat /t/namespace");
    container["volumeMounts"] = json!([{"name": "t", "mountPath": "/t"}]);
    let sources = json!([{"serviceAccountToken": {"path": "token"}},
        {"downwardAPI": {"items": [{"path": "namespace", "fieldRef": {"fieldPath": "metadata.namespace"}}]}}]);
    let volumes = json!([{"name": "t", "projected": {"sources": sources}}]);
    stage
        .create(
            "token",
            json!({"restartPolicy": "Never", "containers": [container], "volumes": volumes}),
        )
        .await;
    let pod = stage.phase("token", "Succeeded").await;
    assert_eq!(stage.log(&pod).await, format!("ey\n{}", stage.namespace));
}
