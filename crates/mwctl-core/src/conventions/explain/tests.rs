//! What is told of a value: its line, its template, what it won over.

use std::collections::BTreeMap;
use std::path::Path;

use super::super::repository::Repository;
use super::super::resolve::{Input, explain};
use super::super::{parse, shipped};
use super::*;

fn explained(own: &str, files: &[(&str, &str)]) -> Explanation {
    let own = parse(Path::new("mwctl.yaml"), own);
    assert_eq!(own.problems, []);
    let directory = Path::new("/home/me/stack");
    let repositories = [Repository {
        directory: directory.to_owned(),
        files: files
            .iter()
            .map(|(file, text)| (file.into(), (*text).to_owned()))
            .collect(),
    }];
    let input = Input {
        shipped: shipped(),
        own: &own.documents,
        directory,
        repositories: &repositories,
        environment: &BTreeMap::new(),
        profiles: &std::collections::BTreeSet::new(),
        manifests: &BTreeMap::new(),
        suffix: None,
    };
    explain(&input).unwrap().remove(0)
}

const PACKAGE: &str = "{\n \"name\": \"x\",\n \"main\": \"x.js\",\n \"config\": {\"port\": 81}\n}";

fn value<'a>(explanation: &'a Explanation, field: &str) -> &'a Explained {
    let values = explanation.at(field);
    assert_eq!(values.len(), 1, "{field}: {values:?}");
    values[0]
}

fn place(origin: &Origin) -> String {
    let file = origin.file.as_deref().unwrap_or(Path::new("-"));
    format!("{} {}:{}", origin.speaker, file.display(), origin.line)
}

#[test]
fn a_fact_names_its_line_and_what_the_places_after_it_say() {
    let explanation = explained("", &[("package.json", PACKAGE)]);
    let port = value(&explanation, "facts.port");
    assert_eq!(port.value, Some(json!(81)));
    assert_eq!(
        place(&port.origin),
        "convention node /home/me/stack/package.json:4"
    );
    assert_eq!(port.instead_of.len(), 1);
    assert_eq!(port.instead_of[0].value, json!(3000));
    assert!(
        port.reason
            .as_ref()
            .unwrap()
            .contains("first place of convention node")
    );
}

#[test]
fn a_template_keeps_its_text_and_names_what_it_uses() {
    let explanation = explained("", &[("package.json", PACKAGE)]);
    let port = value(&explanation, "container.environment.PORT");
    assert_eq!(port.value, Some(json!(81)));
    assert_eq!(port.template, Some(json!("{{ facts.port }}")));
    assert_eq!(port.uses, ["facts.port"]);
}

#[test]
fn the_upper_layer_wins_and_what_it_wins_over_is_told() {
    let own = "apiVersion: mwctl/v1\nkind: Service\nconvention: node\nreplicas: 2\n\
               container:\n  workingDirectory: /a\n";
    let explanation = explained(own, &[("package.json", PACKAGE)]);
    let directory = value(&explanation, "container.workingDirectory");
    assert_eq!(place(&directory.origin), "the service mwctl.yaml:6");
    assert_eq!(
        directory.instead_of[0].value,
        json!("{{ facts.directory }}")
    );
    assert_eq!(
        directory.instead_of[0].origin.speaker,
        Speaker::Convention("node".into())
    );
    assert_eq!(
        directory.reason.as_deref(),
        Some("the service is laid over what is below")
    );
    let named = explanation.named.as_ref().unwrap();
    assert_eq!(place(named), "the service mwctl.yaml:3");
    assert_eq!(value(&explanation, "/replicas").origin.line, 4);
}

#[test]
fn what_is_taken_away_or_excluded_is_told_with_who_did_it() {
    let own = "apiVersion: mwctl/v1\nkind: Service\nconvention: node\ncontainer:\n\
               \x20 image: example.org/x\n  environment:\n    PORT:\n\
               develop: {directory: /srv/service}\n";
    let explanation = explained(own, &[("package.json", PACKAGE)]);
    let port = value(&explanation, "container.environment.PORT");
    assert_eq!(port.value, None);
    assert_eq!(place(&port.origin), "the service mwctl.yaml:7");
    assert_eq!(
        port.reason.as_deref(),
        Some("a key without a value takes it away")
    );
    let base = value(&explanation, "container.build.base");
    assert_eq!(base.value, None);
    assert_eq!(base.reason.as_deref(), Some("`image` excludes it"));
    assert_eq!(base.origin.line, 5);
}

#[test]
fn a_default_of_mwctl_is_told_as_one() {
    let explanation = explained("", &[("package.json", PACKAGE)]);
    let replicas = value(&explanation, "replicas");
    assert_eq!(replicas.value, Some(json!(1)));
    assert_eq!(replicas.origin.speaker, Speaker::Default);
    let threshold = value(&explanation, "container.probes.readiness.failureThreshold");
    assert_eq!(threshold.value, Some(json!(3)));
}

#[test]
fn a_secret_stays_one() {
    let own = "apiVersion: mwctl/v1\nkind: Service\nconvention: node\n\
               secrets: {KEY: {value: hunter2}}\n";
    let explanation = explained(own, &[("package.json", PACKAGE)]);
    let text = serde_json::to_string(&explanation).unwrap();
    assert!(!text.contains("hunter2"), "{text}");
    assert_eq!(
        value(&explanation, "secrets.KEY.value").value,
        Some(json!("…"))
    );
}

#[test]
fn a_field_is_found_however_it_is_written() {
    let own = "apiVersion: mwctl/v1\nkind: Service\nconvention: node\nfiles: {/etc/a.b: x}\n";
    let explanation = explained(own, &[("package.json", PACKAGE)]);
    for field in [r#"files["/etc/a.b"]"#, "/files/~1etc~1a.b", "files"] {
        assert_eq!(
            value(&explanation, field).value,
            Some(json!("x")),
            "{field}"
        );
    }
    for field in [
        "container.ports",
        "container.ports[0].port",
        "container.ports.0",
    ] {
        assert_eq!(value(&explanation, field).field, "container.ports");
    }
    assert!(explanation.at("container.command.extra").len() == 1);
    assert!(explanation.at("container.prots").is_empty());
    assert_eq!(
        explanation.nearest("container.prots"),
        Some("container.ports")
    );
}

#[test]
fn every_key_that_is_shown_can_be_written() {
    let explanation = explained("", &[("package.json", PACKAGE)]);
    for explained in &explanation.values {
        assert_eq!(
            explanation.at(&explained.field).first().map(|it| &it.field),
            Some(&explained.field)
        );
        assert!(!explained.field.is_empty());
    }
}
