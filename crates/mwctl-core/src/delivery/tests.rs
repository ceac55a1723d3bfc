//! Which way is chosen for which cluster, what a cluster's word for its registry means, and names on both sides.

use proptest::prelude::*;

use super::*;
use crate::manifest::LOCAL_IMAGES;
use crate::minikube::{Machine, profile};

const KIND_GUIDE: &str =
    "host: \"localhost:5001\"\nhelp: \"https://kind.sigs.k8s.io/docs/user/local-registry/\"\n";
const WHOLE: &str = "host: localhost:5000\nhostFromContainerRuntime: registry:5000\n\
                     hostFromClusterNetwork: kind-registry:5000\nhelp: https://example.org\n";

fn kinds() -> Vec<Kind> {
    let name = || "dev".to_owned();
    vec![
        Kind::Minikube { profile: name() },
        Kind::Kind { name: name() },
        Kind::K3d { name: name() },
        Kind::Containerd {
            socket: "/s".to_owned(),
            ctr: "ctr".to_owned(),
        },
        Kind::Embedded {
            images: Some("/images".to_owned()),
        },
        Kind::Embedded { images: None },
        Kind::DockerDesktop,
        Kind::Colima { profile: name() },
        Kind::Orbstack,
        Kind::RancherDesktop,
        Kind::K3s,
        Kind::Microk8s,
        Kind::Crc,
        Kind::Remote { why: name() },
        Kind::Unknown,
    ]
}

fn chosen(kind: &Kind, advertised: Option<&str>, asked: Option<&Asked>) -> Result<Choice, NoWay> {
    decided(kind, advertised, asked).choice
}

fn decided(kind: &Kind, advertised: Option<&str>, asked: Option<&Asked>) -> Decision {
    choose(Facts {
        kind,
        profile: None,
        advertised,
        asked,
    })
}

fn asked(text: &str) -> Asked {
    text.parse().unwrap()
}

#[test]
fn what_the_cluster_says_is_read_as_the_enhancement_describes_it() {
    let registry = |host: &str, on_nodes: &str, help: &str| {
        Registry::new(host, Some(on_nodes), Some(help.to_owned())).ok()
    };
    let whole = read(WHOLE).unwrap();
    let expected = registry("localhost:5000", "registry:5000", "https://example.org");
    assert_eq!(whole.registry, expected);
    let guide = read(KIND_GUIDE).unwrap();
    let help = "https://kind.sigs.k8s.io/docs/user/local-registry/";
    assert_eq!(
        guide.registry,
        registry("localhost:5001", "localhost:5001", help)
    );
    // Whoever is outside can't push to it, but is told how to have one.
    let inside = read("hostFromClusterNetwork: r:5000\nhelp: https://example.org\n").unwrap();
    assert_eq!(inside.registry, None);
    assert_eq!(inside.help.as_deref(), Some("https://example.org"));
    for empty in ["", "{}", "host: ''\nhostFromContainerRuntime: r:5000\n"] {
        assert_eq!(read(empty), Ok(Advertised::default()), "{empty:?}");
    }
}

#[test]
fn what_is_no_place_is_told_with_what_to_write() {
    for (text, part) in [
        ("host: [1]", "can't be read"),
        ("host: 'a: b: c", "can't be read"),
        (
            "host: http://localhost:5000",
            "its `host` is no registry: `http://localhost:5000` has a scheme",
        ),
        ("host: registry", "as in `registry:5000`"),
        ("host: registry/team", "as in `registry:5000`"),
        ("host: 'registry:port'", "isn't a host with a port"),
        ("host: 'registry:0'", "isn't a host with a port"),
        ("host: 'a b.c'", "isn't a host with a port"),
        ("host: 'a.b/Team'", "isn't a host with a port"),
        ("host: 'a.b//c'", "isn't a host with a port"),
        (
            "host: localhost:1\nhostFromContainerRuntime: r",
            "its `hostFromContainerRuntime` is no registry",
        ),
    ] {
        let told = read(text).unwrap_err().to_string();
        assert!(told.contains(part), "{text}: {told}");
    }
}

#[test]
fn a_user_names_a_registry_two_names_of_one_or_none() {
    assert_eq!(asked("none"), Asked::None);
    for (text, host, named) in [
        ("localhost", "localhost", "localhost/mwctl/a:1"),
        (
            "r.example.org/team/",
            "r.example.org",
            "r.example.org/team/mwctl/a:1",
        ),
        (
            "localhost:5001=registry:5000",
            "localhost:5001",
            "registry:5000/mwctl/a:1",
        ),
    ] {
        let Asked::Push(registry) = asked(text) else {
            panic!("{text}");
        };
        assert_eq!(registry.address(), host);
        assert_eq!(registry.named("mwctl.local/a:1"), named);
    }
    assert!("localhost:5001=".parse::<Asked>().is_err());
    assert!("".parse::<Asked>().is_err());
}

#[test]
fn this_machine_is_spoken_to_without_certificates_and_nobody_else() {
    for (address, loopback) in [
        ("localhost", true),
        ("localhost:5000", true),
        ("k3d-registry.localhost:5000", true),
        ("127.0.0.1:5000", true),
        ("127.8.8.8", true),
        ("128.0.0.1:5000", false),
        ("localhost.example.org:5000", false),
        ("mylocalhost:5000", false),
    ] {
        assert_eq!(is_loopback(address), loopback, "{address}");
    }
}

#[test]
fn each_kind_has_its_way_and_the_registry_stands_before_it() {
    let label = |choice: Result<Choice, NoWay>| match choice {
        Ok(choice) => match choice.way {
            Way::Store { folder } => format!("store {folder}"),
            Way::Nodes(nodes) => format!("{:?} {}", nodes[0].runtime, nodes[0].words.join(" ")),
            Way::Containers(found) => format!("containers {}", found.label),
            Way::Machines { profile, .. } => format!("machines {profile}"),
            Way::MinikubeLoad { profile } => format!("load {profile}"),
            Way::Registry(registry) => format!("registry {}", registry.host()),
        },
        Err(NoWay::NoContainers) => "no containers".to_owned(),
        Err(NoWay::Unsupported { cluster, .. }) => format!("unsupported {cluster}"),
    };
    let own: Vec<String> = kinds()
        .iter()
        .map(|kind| label(chosen(kind, None, None)))
        .collect();
    assert_eq!(
        own,
        [
            "load dev",
            "containers io.x-k8s.kind.cluster=dev",
            "containers k3d.cluster=dev",
            "Containerd ctr -a /s",
            "store /images",
            "no containers",
            "Docker docker",
            "Docker docker --context colima-dev",
            "Docker docker --context orbstack",
            "Docker docker --context rancher-desktop",
            "Containerd k3s ctr",
            "unsupported MicroK8s",
            "unsupported OpenShift Local",
            "unsupported this cluster",
            "unsupported this cluster",
        ]
    );
    for (kind, own) in kinds().iter().zip(own) {
        let expected = |registry: &str| match kind {
            Kind::Embedded { images: Some(_) } => own.clone(),
            _ => registry.to_owned(),
        };
        let advertised = label(chosen(kind, Some(WHOLE), None));
        assert_eq!(advertised, expected("registry localhost:5000"));
        let push = asked("r.example.org");
        let said = label(chosen(kind, Some(WHOLE), Some(&push)));
        assert_eq!(said, expected("registry r.example.org"));
        assert_eq!(label(chosen(kind, Some(WHOLE), Some(&Asked::None))), own);
        // A cluster that says nothing usable is as one that says nothing.
        for text in ["host: registry", "help: https://example.org"] {
            assert_eq!(label(chosen(kind, Some(text), None)), own);
        }
    }
}

#[test]
fn minikube_is_reached_by_what_its_driver_and_runtime_allow() {
    let kind = Kind::Minikube {
        profile: "work".to_owned(),
    };
    let machine = Machine {
        name: "work".to_owned(),
        host: "192.0.2.7".to_owned(),
        port: 22,
        user: "docker".to_owned(),
        key: None,
    };
    let ssh = machine.ssh().join(" ");
    for (driver, runtime, by_ssh, expected) in [
        (
            "docker",
            "containerd",
            false,
            "docker exec -i work ctr".to_owned(),
        ),
        (
            "docker",
            "docker",
            false,
            "docker exec -i work docker".to_owned(),
        ),
        ("kvm2", "containerd", true, format!("{ssh} sudo -n ctr")),
        (
            "virtualbox",
            "docker",
            true,
            format!("{ssh} sudo -n docker"),
        ),
        // Not reached, or by what takes whole images only.
        ("kvm2", "containerd", false, "load work".to_owned()),
        ("kvm2", "crio", true, "load work".to_owned()),
        ("none", "containerd", false, "load work".to_owned()),
    ] {
        let text = format!(
            r#"{{"Name":"work","Driver":"{driver}","KubernetesConfig":{{"ContainerRuntime":"{runtime}"}}}}"#
        );
        let profile = Profile {
            by_ssh: by_ssh.then(|| machine.clone()).into_iter().collect(),
            ..profile(&text).unwrap()
        };
        let facts = Facts {
            kind: &kind,
            profile: Some(&profile),
            advertised: None,
            asked: None,
        };
        let way = match choose(facts).choice.unwrap().way {
            Way::Nodes(nodes) | Way::Machines { nodes, .. } => nodes[0].words.join(" "),
            Way::MinikubeLoad { profile } => format!("load {profile}"),
            other => panic!("{other:?}"),
        };
        assert_eq!(way, expected, "{driver} {runtime}");
    }
}

#[test]
fn why_is_told_and_what_was_passed_over() {
    let kind = Kind::Kind {
        name: "dev".to_owned(),
    };
    let registry = chosen(&kind, Some(WHOLE), None).unwrap();
    assert_eq!(
        registry.why,
        "the cluster's ConfigMap `kube-public/local-registry-hosting` names it"
    );
    let asked = asked("r:5000");
    assert_eq!(
        chosen(&kind, None, Some(&asked)).unwrap().why,
        "`--registry` names it"
    );
    let own = decided(&kind, Some("host: registry"), None);
    assert_eq!(own.choice.unwrap().why, "that is how images get into kind");
    let warning = own.warning.unwrap();
    assert!(warning.contains("is passed over: its `host` is no registry"));
    assert_eq!(decided(&kind, Some("{}"), None).warning, None);
    // Also where there is no other way.
    let none = decided(&Kind::Unknown, Some("host: registry"), None);
    assert_eq!(none.warning, Some(warning));
    let nowhere = chosen(&Kind::Unknown, Some("help: https://example.org"), None);
    let Err(NoWay::Unsupported { help, .. }) = nowhere else {
        panic!("{nowhere:?}");
    };
    assert_eq!(help.as_deref(), Some("https://example.org"));
}

proptest! {
    #[test]
    fn names_lead_there_and_back(
        host in "[a-z]{1,8}\\.[a-z]{2,4}(:[1-9][0-9]{0,3})?(/[a-z0-9]{1,4}){0,2}",
        on_nodes in "[a-z]{1,8}:[1-9][0-9]{0,3}",
        service in "[a-z][a-z0-9-]{0,12}[a-z0-9]",
        key in "[0-9a-f]{12}",
    ) {
        let registry = Registry::new(&host, Some(&on_nodes), None).unwrap();
        let made = format!("{LOCAL_IMAGES}{service}:{key}");
        let named = registry.named(&made);
        let end = format!("/{service}:{key}");
        prop_assert!(named.starts_with(&on_nodes) && named.ends_with(&end), "{}", named);
        prop_assert_eq!(registry.made(&named), Some(made.clone()));
        prop_assert!(registry.pushed(&made).starts_with(&host));
        // What wasn't made here keeps its name, and isn't taken for something that was.
        let other = format!("example.org/{service}:{key}");
        prop_assert_eq!(registry.named(&other), other.clone());
        prop_assert_eq!(registry.made(&other), None);
    }

    #[test]
    fn whatever_a_cluster_says_is_read_or_refused(text in "\\PC{0,80}", kind in 0_usize..15) {
        let kind = &kinds()[kind];
        if let Ok(Choice { way: Way::Registry(registry), .. }) = chosen(kind, Some(&text), None) {
            prop_assert!(!registry.address().is_empty());
        }
    }

    #[test]
    fn a_place_that_is_taken_makes_references(text in "[a-zA-Z0-9:./_-]{1,24}") {
        if let Ok(registry) = Registry::new(&text, None, None) {
            let named = registry.named("mwctl.local/service:0123456789ab");
            prop_assert!(!named.contains("//") && !named.contains(' '), "{}", named);
            let made = registry.made(&named);
            prop_assert_eq!(made.as_deref(), Some("mwctl.local/service:0123456789ab"));
        }
    }
}
