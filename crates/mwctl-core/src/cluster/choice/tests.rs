//! Which cluster is chosen, one sentence per test.

use super::*;

fn context(name: &str, kind: Kind) -> Context {
    Context {
        name: name.to_owned(),
        cluster: name.to_owned(),
        server: "https://127.0.0.1:6443".to_owned(),
        namespace: None,
        kind,
    }
}

fn kind(name: &str) -> Context {
    context(
        &format!("kind-{name}"),
        Kind::Kind {
            name: name.to_owned(),
        },
    )
}

fn minikube(profile: &str) -> Context {
    context(
        profile,
        Kind::Minikube {
            profile: profile.to_owned(),
        },
    )
}

fn production() -> Context {
    context(
        "gke_x",
        Kind::Remote {
            why: "a reason".to_owned(),
        },
    )
}

#[derive(Default)]
struct Case {
    contexts: Vec<Context>,
    current: Option<&'static str>,
    requested: Option<&'static str>,
    setting: Option<&'static str>,
    allowed: Vec<String>,
    running: Vec<&'static str>,
    minikube: MinikubeState,
    embedded: bool,
}

impl Case {
    fn choose(self) -> Result<Choice, Refusal> {
        let kubeconfig = Kubeconfig {
            current: self.current.map(str::to_owned),
            contexts: self.contexts,
        };
        choose(&Question {
            kubeconfig: &kubeconfig,
            requested: self.requested,
            setting: self.setting,
            allowed: &self.allowed,
            running: &self.running.iter().map(|name| (*name).to_owned()).collect(),
            minikube: &self.minikube,
            embedded: self.embedded,
        })
    }

    fn chosen(self) -> (String, Reason) {
        match self.choose().unwrap() {
            Choice::Context(context, reason) => (context.name, reason),
            Choice::StartMinikube { profile, reason } => (format!("start {profile}"), reason),
            Choice::StartEmbedded { reason, .. } => (format!("start {EMBEDDED}"), reason),
        }
    }
}

fn installed(profiles: &[&str]) -> MinikubeState {
    MinikubeState {
        installed: true,
        profiles: profiles.iter().map(|name| (*name).to_owned()).collect(),
    }
}

#[test]
fn what_is_asked_for_comes_before_what_the_stack_names() {
    let case = Case {
        contexts: vec![kind("a"), kind("b")],
        requested: Some("kind-a"),
        setting: Some("kind-b"),
        ..Case::default()
    };
    assert_eq!(case.chosen(), ("kind-a".to_owned(), Reason::Requested));
}

#[test]
fn what_the_stack_names_comes_before_what_runs() {
    let case = Case {
        contexts: vec![kind("a"), kind("b")],
        setting: Some("kind-b"),
        running: vec!["kind-a"],
        ..Case::default()
    };
    assert_eq!(case.chosen(), ("kind-b".to_owned(), Reason::Setting));
}

#[test]
fn the_only_local_cluster_that_runs_is_taken_even_if_production_is_current() {
    let case = Case {
        contexts: vec![production(), kind("a"), kind("b")],
        current: Some("gke_x"),
        running: vec!["kind-b", "gke_x"],
        ..Case::default()
    };
    assert_eq!(case.chosen(), ("kind-b".to_owned(), Reason::OnlyRunning));
}

#[test]
fn among_several_that_run_the_current_one_is_taken_and_otherwise_none() {
    let case = |current| Case {
        contexts: vec![kind("a"), kind("b")],
        current,
        running: vec!["kind-a", "kind-b"],
        ..Case::default()
    };
    assert_eq!(
        case(Some("kind-b")).chosen(),
        ("kind-b".to_owned(), Reason::Current)
    );
    let refusal = case(None).choose().unwrap_err();
    assert_eq!(
        refusal.hints(),
        ["`--cluster kind-a`", "`--cluster kind-b`"]
    );
}

#[test]
fn two_contexts_of_one_cluster_are_one_cluster() {
    let mut other = kind("a");
    other.name = "kind-a-admin".to_owned();
    let case = Case {
        contexts: vec![kind("a"), other],
        running: vec!["kind-a", "kind-a-admin"],
        ..Case::default()
    };
    assert_eq!(case.chosen(), ("kind-a".to_owned(), Reason::OnlyRunning));
}

#[test]
fn minikube_is_started_where_it_is_installed_and_nothing_runs() {
    let case = |profiles: &[&str]| Case {
        minikube: installed(profiles),
        ..Case::default()
    };
    assert_eq!(
        case(&[]).chosen(),
        ("start minikube".to_owned(), Reason::Installed)
    );
    assert_eq!(case(&["work"]).chosen().0, "start work");
    assert_eq!(case(&["work", "other"]).chosen().0, "start minikube");
}

#[test]
fn the_embedded_cluster_is_for_whoever_has_no_other() {
    let alone = Case {
        contexts: vec![production(), kind("stopped")],
        embedded: true,
        ..Case::default()
    };
    let started = "start embedded".to_owned();
    assert_eq!(alone.chosen(), (started.clone(), Reason::NoOther));
    for name in [EMBEDDED, EMBEDDED_CONTEXT] {
        let asked = Case {
            contexts: vec![kind("a")],
            running: vec!["kind-a"],
            requested: Some(name),
            embedded: true,
            ..Case::default()
        };
        assert_eq!(asked.chosen(), (started.clone(), Reason::Requested));
    }
    let running = Case {
        contexts: vec![context(EMBEDDED_CONTEXT, Kind::Embedded { images: None })],
        running: vec![EMBEDDED_CONTEXT],
        requested: Some(EMBEDDED),
        embedded: true,
        ..Case::default()
    };
    let context = EMBEDDED_CONTEXT.to_owned();
    assert_eq!(running.chosen(), (context, Reason::Requested));
}

#[test]
fn minikube_comes_before_the_embedded_cluster() {
    let case = Case {
        minikube: installed(&[]),
        embedded: true,
        ..Case::default()
    };
    assert_eq!(
        case.chosen(),
        ("start minikube".to_owned(), Reason::Installed)
    );
}

#[test]
fn a_stopped_profile_that_is_asked_for_is_started() {
    let without_context = Case {
        requested: Some("work"),
        minikube: installed(&["work"]),
        ..Case::default()
    };
    assert_eq!(without_context.chosen().0, "start work");
    let with_context = Case {
        contexts: vec![minikube("work")],
        requested: Some("work"),
        minikube: installed(&["work"]),
        ..Case::default()
    };
    assert_eq!(with_context.chosen().0, "start work");
}

#[test]
fn production_is_refused_even_when_asked_for_unless_it_is_allowed_by_name() {
    let case = |allowed: &[&str]| Case {
        contexts: vec![production()],
        requested: Some("gke_x"),
        allowed: allowed.iter().map(|name| (*name).to_owned()).collect(),
        ..Case::default()
    };
    let refusal = case(&["other"]).choose().unwrap_err();
    assert!(matches!(refusal, Refusal::Remote { .. }));
    assert!(refusal.hints()[0].contains("--allow-context gke_x"));
    assert_eq!(case(&["gke_x"]).chosen().0, "gke_x");
}

#[test]
fn what_nothing_is_known_of_is_refused_too() {
    let case = Case {
        contexts: vec![context("lab", Kind::Unknown)],
        requested: Some("lab"),
        running: vec!["lab"],
        ..Case::default()
    };
    assert!(matches!(case.choose(), Err(Refusal::Unknown { .. })));
    let unasked = Case {
        contexts: vec![context("lab", Kind::Unknown)],
        current: Some("lab"),
        running: vec!["lab"],
        ..Case::default()
    };
    let refusal = unasked.choose().unwrap_err();
    assert!(matches!(refusal, Refusal::None { .. }));
    assert!(refusal.hints()[0].contains("`--cluster lab --allow-context lab`"));
}

#[test]
fn a_misspelt_name_gets_the_nearest_one() {
    let case = Case {
        contexts: vec![kind("dev")],
        requested: Some("kind-dve"),
        ..Case::default()
    };
    let refusal = case.choose().unwrap_err();
    assert!(refusal.hints()[0].contains("--cluster kind-dev"));
}
