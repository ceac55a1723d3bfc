//! Whose cluster a kubeconfig describes, one sentence per test.

use super::*;
use crate::cluster::Kind;

fn entry(name: &str, server: &str) -> String {
    format!(
        "apiVersion: v1\nkind: Config\nclusters:\n- name: \"{name}\"\n  cluster: {{server: \"{server}\"}}\ncontexts:\n- name: \"{name}\"\n  context: {{cluster: \"{name}\", user: u}}\n"
    )
}

fn kind_at(path: &str, text: &str, detection: &Detection) -> Kind {
    let files = [(PathBuf::from(path), text.to_owned())];
    let mut read = read(&files, detection).unwrap();
    assert_eq!(read.contexts.len(), 1, "{read:?}");
    read.contexts.remove(0).kind
}

fn kind_of(name: &str, server: &str) -> Kind {
    kind_at("config", &entry(name, server), &Detection::default())
}

#[test]
fn minikube_is_known_by_the_extension_it_writes_whatever_the_profile_is_called() {
    let text = r#"
clusters:
- name: foo
  cluster:
    server: https://192.168.49.2:8443
    certificate-authority: /elsewhere/ca.crt
    extensions:
    - name: cluster_info
      extension: {last-update: "Mon, 23 Nov 2026 10:00:00 UTC", provider: minikube.sigs.k8s.io, version: v1.38.1}
contexts:
- name: foo
  context: {cluster: foo, namespace: default, user: foo}
"#;
    let profile = "foo".to_owned();
    assert_eq!(
        kind_at("config", text, &Detection::default()),
        Kind::Minikube { profile }
    );
}

#[test]
fn minikube_is_known_by_its_authority_or_by_its_profile_where_the_extension_is_missing() {
    let text = entry("p", "https://192.168.49.2:8443").replace(
        "{server:",
        "{certificate-authority: /home/u/.minikube/ca.crt, server:",
    );
    let by_home = Detection {
        minikube_home: Some(PathBuf::from("/home/u/.minikube")),
        ..Detection::default()
    };
    let profile = "p".to_owned();
    let minikube = Kind::Minikube { profile };
    assert_eq!(kind_at("config", &text, &by_home), minikube);
    let by_profile = Detection {
        minikube_home: None,
        profiles: BTreeSet::from(["p".to_owned()]),
    };
    assert_eq!(kind_at("config", &text, &by_profile), minikube);
    assert_eq!(
        kind_at("config", &text, &Detection::default()),
        Kind::Unknown
    );
}

#[test]
fn a_node_with_its_own_socket_is_known_by_our_extension() {
    let text = entry("bed", "https://10.99.0.2:6443").replace(
        "{server: \"https://10.99.0.2:6443\"}",
        "{server: \"https://10.99.0.2:6443\", extensions: [{name: mwctl, extension: {provider: containerd, socket: /run/bed/c.sock, ctr: /usr/bin/ctr}}]}",
    );
    assert_eq!(
        kind_at("config", &text, &Detection::default()),
        Kind::Containerd {
            socket: "/run/bed/c.sock".to_owned(),
            ctr: "/usr/bin/ctr".to_owned(),
        }
    );
}

#[test]
fn a_cluster_that_mwctl_serves_is_known_by_our_extension() {
    for (more, images) in [
        ("", None),
        (", images: /home/me/images", Some("/home/me/images")),
    ] {
        let extended = format!(
            "{{server: \"https://127.0.0.1:4711\", extensions: [{{name: mwctl, extension: {{provider: embedded{more}}}}}]}}"
        );
        let text = entry("demo", "https://127.0.0.1:4711")
            .replace("{server: \"https://127.0.0.1:4711\"}", &extended);
        let images = images.map(str::to_owned);
        assert_eq!(
            kind_at("config", &text, &Detection::default()),
            Kind::Embedded { images }
        );
    }
}

#[test]
fn the_tools_that_name_their_clusters_are_known_by_those_names() {
    let here = "https://127.0.0.1:6443";
    let name = "dev".to_owned();
    assert_eq!(kind_of("kind-dev", here), Kind::Kind { name: name.clone() });
    assert_eq!(kind_of("k3d-dev", here), Kind::K3d { name: name.clone() });
    assert_eq!(kind_of("colima-dev", here), Kind::Colima { profile: name });
    assert_eq!(kind_of("docker-desktop", here), Kind::DockerDesktop);
    assert_eq!(kind_of("orbstack", here), Kind::Orbstack);
    assert_eq!(kind_of("rancher-desktop", here), Kind::RancherDesktop);
    assert_eq!(kind_of("microk8s-cluster", here), Kind::Microk8s);
    assert_eq!(
        kind_of("api-crc-testing:6443", "https://api.crc.testing:6443"),
        Kind::Crc
    );
    let k3s = entry("default", here);
    assert_eq!(
        kind_at("/etc/rancher/k3s/k3s.yaml", &k3s, &Detection::default()),
        Kind::K3s
    );
}

#[test]
fn a_name_counts_for_nothing_on_a_public_address() {
    for name in ["kind-dev", "docker-desktop", "orbstack"] {
        let Kind::Remote { why } = kind_of(name, "https://34.1.2.3") else {
            panic!("{name} was taken for local");
        };
        assert!(why.contains("public"), "{why}");
    }
}

#[test]
fn production_is_recognised_by_its_names_and_its_addresses() {
    for (name, server) in [
        ("gke_project_zone_name", "https://10.0.0.2"),
        ("arn:aws:eks:eu-west-1:1:cluster/x", "https://10.0.0.2"),
        ("me@x.eu-west-1.eksctl.io", "https://10.0.0.2"),
        ("shop-prod-1", "https://10.0.0.2"),
        ("anything", "https://api.example.org"),
    ] {
        assert!(
            matches!(kind_of(name, server), Kind::Remote { .. }),
            "{name}"
        );
    }
    assert_eq!(kind_of("product-team", "https://10.0.0.2"), Kind::Unknown);
}

#[test]
fn the_first_file_wins_and_a_context_may_use_a_cluster_of_another_file() {
    let files = [
        (
            PathBuf::from("a"),
            "clusters: null\ncurrent-context: \"\"\ncontexts:\n- name: x\n  context: {cluster: c, namespace: first}\n".to_owned(),
        ),
        (
            PathBuf::from("b"),
            "current-context: x\nclusters:\n- name: c\n  cluster: {server: https://127.0.0.1:1}\ncontexts:\n- name: x\n  context: {cluster: c, namespace: second}\n- name: dangling\n  context: {cluster: nowhere}\n".to_owned(),
        ),
        (PathBuf::from("c"), String::new()),
    ];
    let read = read(&files, &Detection::default()).unwrap();
    assert_eq!(read.current.as_deref(), Some("x"));
    assert_eq!(read.contexts.len(), 1);
    assert_eq!(read.contexts[0].namespace.as_deref(), Some("first"));
}

#[test]
fn a_file_that_is_no_kubeconfig_is_a_problem_that_names_it() {
    let files = [(PathBuf::from("broken"), "contexts: [".to_owned())];
    let problems = read(&files, &Detection::default()).unwrap_err();
    assert!(problems[0].message.contains("`broken`"), "{problems:?}");
}
