//! What containers say of their own end.

use serde_json::json;

use crate::stage::{Stage, shell};

#[tokio::test]
async fn a_container_says_why_it_ended() {
    let stage = Stage::new().await;
    let mut own = shell("own", "printf said > /tmp/end; exit 3");
    own["terminationMessagePath"] = json!("/tmp/end");
    own["securityContext"] = json!({"runAsUser": 900});
    let usual = shell("usual", "echo logged; printf fine > /dev/termination-log");
    let mut log = shell("log", "echo why; exit 1");
    let mut well = shell("well", "echo nothing");
    for container in [&mut log, &mut well] {
        container["terminationMessagePolicy"] = json!("FallbackToLogsOnError");
    }
    let silent = shell("silent", "echo nothing; exit 1");
    let containers = json!([own, usual, log, well, silent]);
    let spec = json!({"restartPolicy": "Never", "containers": containers});
    stage.create("sayers", spec).await;
    let pod = stage.phase("sayers", "Failed").await;
    let statuses = pod.status.unwrap().container_statuses.unwrap();
    let said = |name: &str| {
        let status = statuses.iter().find(|status| status.name == name);
        let ended = status.unwrap().state.clone().unwrap().terminated;
        ended.unwrap().message
    };
    let names = ["own", "usual", "log", "well", "silent"];
    let expected = [Some("said"), Some("fine"), Some("why\n"), None, None];
    assert_eq!(names.map(said).each_ref().map(Option::as_deref), expected);
    // The files were the starts' own.
    let mut left = vec![stage.folder.path().join("logs")];
    while let Some(path) = left.pop() {
        assert_ne!(path.extension().and_then(|it| it.to_str()), Some("message"));
        if path.is_dir() {
            let entries = std::fs::read_dir(path).unwrap();
            left.extend(entries.map(|entry| entry.unwrap().path()));
        }
    }
}
