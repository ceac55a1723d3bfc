//! Transcripts of the program without a cluster: the words, the streams, the exit codes.
//!
//! The rules behind the words are tested where they are; `INSTA_UPDATE=always` writes new transcripts.

#![allow(clippy::unwrap_used, reason = "a test fails where it can't go on")]

mod archive;
mod bases;
mod deploying;
mod described;
mod disposable;
mod embedded;
mod folder;
mod images;
mod killed;
mod kills;
mod node;
mod place;
mod pushes;
mod quickstart;

use std::io::Read;

use folder::Folder;
use insta::assert_snapshot;

/// A service that needs no file of ours.
const SERVICE_RUNNER: &str = r#"{
  "name": "teller",
  "version": "1.2.3",
  "dependencies": {"service-runner": "^3.0.0"},
  "scripts": {"test": "mocha"}
}
"#;

fn service() -> Folder {
    Folder::new().file("package.json", SERVICE_RUNNER)
}

/// A kubeconfig of one context, at a server that nobody listens on.
fn kubeconfig(context: &str, server: &str) -> String {
    format!(
        "apiVersion: v1\nkind: Config\ncurrent-context: {context}\n\
         contexts:\n- name: {context}\n  context: {{cluster: {context}, user: me}}\n\
         clusters:\n- name: {context}\n  cluster: {{server: '{server}'}}\n\
         users:\n- name: me\n  user: {{token: secret}}\n"
    )
}

#[test]
fn help_is_an_answer() {
    assert_snapshot!(Folder::new().mwctl(["--help"]));
}

#[test]
fn without_a_command_the_help_is_an_error() {
    let transcript = Folder::new().mwctl([]);
    assert!(transcript.ends_with("[exit status: 2]\n"), "{transcript}");
}

#[test]
fn an_unknown_option_is_named_with_the_nearest_one() {
    assert_snapshot!(Folder::new().mwctl(["up", "--time-out", "1m"]));
}

#[test]
fn a_service_is_recognised_and_the_evidence_is_shown() {
    assert_snapshot!(service().mwctl(["lint"]));
}

#[test]
fn the_doctor_tells_each_topic_with_a_cure_where_something_is_amiss() {
    let transcript = Folder::new().mwctl(["doctor", "--output", "json"]);
    let (document, end) = transcript.rsplit_once("[exit status: ").unwrap();
    let answer: serde_json::Value = serde_json::from_str(document).unwrap();
    let findings = answer["items"].as_array().unwrap();
    assert!(findings.len() >= 8, "{transcript}");
    for finding in findings {
        let cured = !finding["cures"].as_array().unwrap().is_empty();
        assert_eq!(cured, finding["state"] != "good", "{finding}");
    }
    let missing = findings.iter().any(|it| it["state"] == "missing");
    assert_eq!(end, if missing { "4]\n" } else { "0]\n" });
}

#[test]
fn all_problems_are_shown_with_place_line_and_cure() {
    let folder = service().file(
        "mwctl.yaml",
        "apiVersion: mwctl/v1\nkind: Service\nname: teller\nconvention: service-runer\n\
         contaner:\n  command: [node]\n",
    );
    assert_snapshot!(folder.mwctl(["lint"]));
}

#[test]
fn problems_are_given_to_programs_too() {
    let folder = service().file(
        "mwctl.yaml",
        "apiVersion: mwctl/v1\nkind: Service\nname: Teller\n",
    );
    assert_snapshot!(folder.mwctl(["lint", "--output", "json"]));
}

#[test]
fn nothing_is_deployed_while_a_problem_is_open() {
    let folder = service().file("mwctl.yaml", "apiVersion: mwctl/v2\nkind: Service\n");
    let transcript = folder.mwctl(["up"]);
    assert!(transcript.ends_with("[exit status: 3]\n"), "{transcript}");
}

#[test]
fn an_empty_folder_is_told_apart() {
    assert_snapshot!(Folder::new().mwctl(["render"]));
}

#[test]
fn the_objects_are_printed_as_yaml() {
    assert_snapshot!(service().mwctl(["render"]));
}

#[test]
fn every_value_is_explained_with_its_line() {
    assert_snapshot!(service().mwctl(["explain"]));
}

#[test]
fn a_field_is_explained_to_people_and_to_programs() {
    let folder = service().file(
        "mwctl.yaml",
        "apiVersion: mwctl/v1\nkind: Service\nname: teller\ncontainer:\n  probes:\n    liveness:\n\
         \x20   readiness: {http: {path: /ready}}\n",
    );
    assert_snapshot!(folder.mwctl(["explain", "teller", "container.probes"]));
    assert_snapshot!(folder.mwctl(["explain", "teller", "container.probes", "--output", "json"]));
    assert_snapshot!(folder.mwctl(["explain", "teller", "container.prob"]));
    assert_snapshot!(folder.mwctl(["explain", "tellr"]));
}

#[test]
fn an_unknown_service_is_a_mistake_of_the_command_line() {
    assert_snapshot!(service().mwctl(["render", "tellr"]));
}

#[test]
fn without_a_cluster_it_says_what_to_type() {
    assert_snapshot!(service().mwctl(["status"]));
}

#[test]
fn a_remote_cluster_is_refused() {
    let folder = service().file(
        ".kube/config",
        &kubeconfig("production", "https://k8s.example.org:6443"),
    );
    assert_snapshot!(folder.mwctl(["status"]));
}

#[test]
fn a_remote_cluster_is_refused_also_when_it_is_named() {
    let folder = service().file(
        ".kube/config",
        &kubeconfig("production", "https://k8s.example.org:6443"),
    );
    assert_snapshot!(folder.mwctl(["down", "--cluster", "production"]));
}

#[test]
fn clusters_are_listed_with_what_may_be_used() {
    let folder = Folder::new().file(
        ".kube/config",
        &kubeconfig("production", "https://k8s.example.org:6443"),
    );
    assert_snapshot!(folder.mwctl(["cluster", "list"]));
    assert_snapshot!(folder.mwctl(["cluster", "list", "--output", "json"]));
}

#[test]
fn the_schema_is_the_shipped_one() {
    let shipped = include_str!("../../conventions/schema/mwctl-v1.json");
    let transcript = Folder::new().mwctl(["schema"]);
    assert_eq!(transcript, format!("{shipped}[exit status: 0]\n"));
}

#[test]
fn every_shell_gets_its_completion() {
    for shell in ["bash", "elvish", "fish", "powershell", "zsh"] {
        let transcript = Folder::new().mwctl(["completion", shell]);
        assert!(
            transcript.contains("MWCTL_COMPLETE"),
            "{shell}: {transcript}"
        );
        assert!(transcript.ends_with("[exit status: 0]\n"), "{shell}");
    }
}

#[test]
fn a_reader_who_has_enough_is_no_error() {
    let folder = Folder::new();
    let mut child = folder.spawn(["schema"]);
    // Closed before anything is read: the program's next write meets a broken pipe.
    drop(child.stdout.take());
    let mut stderr = String::new();
    child
        .stderr
        .take()
        .unwrap()
        .read_to_string(&mut stderr)
        .unwrap();
    let status = child.wait().unwrap();
    assert_eq!((status.code(), stderr.as_str()), (Some(0), ""));
}
