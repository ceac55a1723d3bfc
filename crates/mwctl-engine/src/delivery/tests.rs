//! Delivery to scripted nodes: what is asked, what is sent, what is believed.

use std::sync::Arc;

use mwctl_core::cluster::Kind;
use mwctl_core::delivery::{Facts, choose};
use mwctl_core::minikube::{Machine, Profile, profile};

use super::*;
use crate::command::Input;
use crate::command::fake::ScriptedRunner;
use crate::image::chain;
use crate::image::tests::Bench;
use crate::progress::silent;

const HEAD: &str = "REF TYPE DIGEST SIZE PLATFORMS LABELS\n";

fn listed(built: &Built) -> String {
    let (reference, digest) = (built.reference(), &built.image.digest);
    format!("{HEAD}{reference} type {digest} 1 MiB linux/amd64 -\n")
}

fn base_known(built: &Built) -> String {
    format!(
        "KEY PARENT KIND\n{}  Committed\n",
        chain(&built.image.diff_ids)[0]
    )
}

/// The way into a cluster that says nothing of a registry.
async fn way(
    kind: &Kind,
    profile: Option<&Profile>,
    runner: Arc<ScriptedRunner>,
) -> Result<Delivery, DeliveryError> {
    let facts = Facts {
        kind,
        profile,
        advertised: None,
        asked: None,
    };
    by(choose(facts).choice, runner, &Credentials::default()).await
}

fn node(runner: &Arc<ScriptedRunner>) -> Delivery {
    let node = Containerd::new("node", ["ctr", "-a", "/s"], runner.clone());
    Delivery::new(vec![Arc::new(node)])
}

/// The entries of each archive that was imported.
fn keep_archives(
    runner: ScriptedRunner,
    mark: &str,
) -> (ScriptedRunner, Arc<std::sync::Mutex<Vec<usize>>>) {
    let sizes = Arc::new(std::sync::Mutex::new(Vec::new()));
    let kept = sizes.clone();
    let runner = runner.doing(mark, move |command| {
        let Input::File(path) = &command.input else {
            panic!("nothing is sent: {command:?}");
        };
        let mut archive = tar::Archive::new(std::fs::File::open(path).unwrap());
        kept.lock()
            .unwrap()
            .push(archive.entries().unwrap().count());
    });
    (runner, sizes)
}

#[tokio::test]
async fn an_image_that_is_there_is_not_sent() {
    let bench = Bench::new();
    let built = bench.built().await;
    let runner = ScriptedRunner::new()
        .on("images ls", 0, &listed(&built))
        .on("snapshots", 0, "");
    let runner = Arc::new(runner);
    let delivered = node(&runner)
        .deliver(&bench.builder(), &built, &silent)
        .await;
    assert_eq!(delivered.unwrap()[0].how, How::Present);
    assert!(!runner.asked().iter().any(|asked| asked.contains("import")));
}

#[tokio::test]
async fn another_content_under_the_same_name_is_not_the_image() {
    let built = Bench::new().built().await;
    let other = listed(&built).replace(&built.image.digest, "sha256:other");
    let runner = Arc::new(ScriptedRunner::new().on("images ls", 0, &other));
    assert!(!node(&runner).has(&built).await.unwrap());
}

#[tokio::test]
async fn only_what_the_node_lacks_is_sent_and_the_node_is_asked_afterwards() {
    let bench = Bench::new();
    let built = bench.built().await;
    let runner = ScriptedRunner::new()
        .on("images ls", 0, HEAD)
        .on("images ls", 0, &listed(&built))
        .on("snapshots", 0, &base_known(&built));
    let (runner, sizes) = keep_archives(runner, "import");
    let runner = Arc::new(runner);
    let delivered = node(&runner)
        .deliver(&bench.builder(), &built, &silent)
        .await;
    let delivered = delivered.unwrap();
    assert_eq!((delivered[0].how, delivered[0].layers), (How::Delta, 2));
    assert_eq!(*sizes.lock().unwrap(), [5 + 2]);
    let reference = built.reference();
    assert_eq!(
        runner.asked(),
        [
            format!("ctr -a /s -n k8s.io images ls name=={reference}"),
            "ctr -a /s -n k8s.io snapshots --snapshotter overlayfs ls".to_owned(),
            "ctr -a /s -n k8s.io images import -".to_owned(),
            format!("ctr -a /s -n k8s.io images ls name=={reference}"),
        ]
    );
}

#[tokio::test]
async fn when_the_difference_fails_what_it_left_is_removed_and_all_is_sent() {
    let bench = Bench::new();
    let built = bench.built().await;
    let runner = ScriptedRunner::new()
        .on("images ls", 0, HEAD)
        .on("images ls", 0, &listed(&built))
        .on("snapshots", 0, &base_known(&built))
        .on("images rm", 0, "")
        .on(
            "import",
            1,
            "parent snapshot sha256:x does not exist: not found",
        )
        .on("import", 0, "");
    let runner = Arc::new(runner);
    let delivered = node(&runner)
        .deliver(&bench.builder(), &built, &silent)
        .await;
    let delivered = delivered.unwrap();
    assert_eq!((delivered[0].how, delivered[0].layers), (How::Full, 3));
    let asked = runner.asked().join("\n");
    let removed = asked.find("images rm").expect("the name was kept");
    assert!(removed < asked.rfind("import").unwrap(), "{asked}");
}

#[tokio::test]
async fn an_importer_that_lies_is_found_out() {
    let bench = Bench::new();
    let built = bench.built().await;
    let runner = ScriptedRunner::new()
        .on("image ls", 0, "[]")
        .on("image load", 0, "");
    let runner = Arc::new(runner);
    let load = MinikubeLoad::new("work", runner.clone());
    let delivery = Delivery::new(vec![Arc::new(load)]);
    let error = delivery.deliver(&bench.builder(), &built, &silent).await;
    let error = error.unwrap_err();
    assert!(
        matches!(error, DeliveryError::NotArrived { .. }),
        "{error:?}"
    );
    // Two archives of one name would be taken for one, so the name has the content's digest.
    let digest = built.image.digest.trim_start_matches("sha256:");
    let load = runner
        .asked()
        .into_iter()
        .find(|asked| asked.contains("image load"));
    assert!(load.unwrap().contains(digest));
}

#[tokio::test]
async fn a_docker_daemon_gets_a_difference_too() {
    let bench = Bench::new();
    let built = bench.built().await;
    let layers = serde_json::to_string(&built.base.diff_ids).unwrap();
    let runner = ScriptedRunner::new()
        .on("{{.Id}}", 1, "Error: No such image")
        .on("{{.Id}}", 0, &built.config.digest)
        .on("image ls", 0, "sha256:aa\nsha256:aa\n")
        .on("RootFS", 0, &format!("null\n{layers}\n"));
    let (runner, sizes) = keep_archives(runner, "docker load");
    let delivery = way(&Kind::DockerDesktop, None, Arc::new(runner))
        .await
        .unwrap();
    let delivered = delivery
        .deliver(&bench.builder(), &built, &silent)
        .await
        .unwrap();
    assert_eq!(delivered[0].how, How::Delta);
    assert_eq!(*sizes.lock().unwrap(), [5 + 2]);
}

#[tokio::test]
async fn all_nodes_of_kind_and_k3d_are_found_and_nothing_else() {
    let kind = Kind::Kind {
        name: "dev".to_owned(),
    };
    let answer =
        "dev-control-plane control-plane\ndev-worker worker\ndev-lb external-load-balancer\n";
    let runner = ScriptedRunner::new().on("io.x-k8s.kind.cluster=dev", 0, answer);
    let delivery = way(&kind, None, Arc::new(runner)).await.unwrap();
    let names: Vec<_> = delivery.targets().iter().map(|t| t.describe()).collect();
    assert_eq!(names, ["dev-control-plane", "dev-worker"]);

    let k3d = Kind::K3d {
        name: "dev".to_owned(),
    };
    let answer = "k3d-dev-server-0 server\nk3d-dev-serverlb loadbalancer\n";
    let runner = ScriptedRunner::new().on("k3d.cluster=dev", 0, answer);
    let delivery = way(&k3d, None, Arc::new(runner)).await.unwrap();
    assert_eq!(delivery.targets().len(), 1);

    let nothing = Arc::new(ScriptedRunner::new().on("docker ps", 0, ""));
    let error = way(&kind, None, nothing).await.unwrap_err();
    assert!(matches!(error, DeliveryError::NoNodes { .. }));
}

#[tokio::test]
async fn minikube_is_reached_through_docker_where_it_runs_there() {
    let text = |driver: &str, runtime: &str| {
        format!(
            r#"{{"Name":"w","Driver":"{driver}","KubernetesConfig":{{"ContainerRuntime":"{runtime}"}},"Nodes":[{{"Name":"","ControlPlane":true}},{{"Name":"m02"}}]}}"#
        )
    };
    let kind = Kind::Minikube {
        profile: "w".to_owned(),
    };
    let asked = async |driver: &str, runtime: &str| {
        let runner = Arc::new(ScriptedRunner::new().on("", 0, "[]"));
        let profile = profile(&text(driver, runtime)).unwrap();
        let delivery = way(&kind, Some(&profile), runner.clone()).await.unwrap();
        let built = Bench::new().built().await;
        delivery.has(&built).await.unwrap();
        runner.asked()
    };
    let containerd = asked("docker", "containerd").await;
    assert!(
        containerd[0].starts_with("docker exec -i w ctr -n k8s.io"),
        "{containerd:?}"
    );
    assert!(
        containerd[1].starts_with("docker exec -i w-m02 ctr"),
        "{containerd:?}"
    );
    let docker = asked("docker", "docker").await;
    assert!(
        docker[0].starts_with("docker exec -i w docker image inspect"),
        "{docker:?}"
    );
    let other = asked("kvm2", "containerd").await;
    assert_eq!(other, ["minikube -p w image ls --format json"]);
}

/// A profile of one machine that is reached by ssh.
fn virtual_machine(runtime: &str) -> Profile {
    let text = format!(
        r#"{{"Name":"w","Driver":"kvm2","KubernetesConfig":{{"ContainerRuntime":"{runtime}"}},"Nodes":[{{"Name":"","ControlPlane":true}}]}}"#
    );
    let machine = Machine {
        name: "w".to_owned(),
        host: "192.0.2.7".to_owned(),
        port: 22,
        user: "docker".to_owned(),
        key: Some("/k".to_owned()),
    };
    Profile {
        by_ssh: vec![machine],
        ..profile(&text).unwrap()
    }
}

#[tokio::test]
async fn a_virtual_machine_gets_a_difference_by_ssh() {
    let bench = Bench::new();
    let built = bench.built().await;
    let runner = ScriptedRunner::new()
        .on("sudo -n ctr version", 0, "Server:\n")
        .on("images ls", 0, HEAD)
        .on("images ls", 0, &listed(&built))
        .on("snapshots", 0, &base_known(&built));
    let (runner, sizes) = keep_archives(runner, "import");
    let runner = Arc::new(runner);
    let kind = Kind::Minikube {
        profile: "w".to_owned(),
    };
    let profile = virtual_machine("containerd");
    let delivery = way(&kind, Some(&profile), runner.clone()).await.unwrap();
    assert_eq!(delivery.warning(), None);
    let delivered = delivery.deliver(&bench.builder(), &built, &silent).await;
    let delivered = delivered.unwrap();
    assert_eq!((delivered[0].how, delivered[0].layers), (How::Delta, 2));
    assert_eq!(*sizes.lock().unwrap(), [5 + 2]);
    let asked = runner.commands();
    assert!(asked.iter().all(|it| it.argv[0] == "ssh"), "{asked:?}");
}

#[tokio::test]
async fn what_a_shell_over_there_reads_is_quoted() {
    let built = Bench::new().built().await;
    let runner = Arc::new(ScriptedRunner::new().on("", 0, "[]"));
    let kind = Kind::Minikube {
        profile: "w".to_owned(),
    };
    let profile = virtual_machine("docker");
    let delivery = way(&kind, Some(&profile), runner.clone()).await.unwrap();
    delivery.has(&built).await.unwrap();
    let last = runner.commands().pop().unwrap().argv;
    let at = last.iter().position(|word| word == "sudo").unwrap();
    assert_eq!(
        last[at..].join(" "),
        format!(
            "sudo -n docker image inspect --format '{{{{.Id}}}}' {}",
            built.reference()
        )
    );
}

#[tokio::test]
async fn where_ssh_does_not_get_there_minikube_does_and_it_is_told_why() {
    let kind = Kind::Minikube {
        profile: "w".to_owned(),
    };
    let profile = virtual_machine("containerd");
    let refused = "Permission denied (publickey).";
    for (runner, parts) in [
        (
            ScriptedRunner::new().on("ssh", 255, refused),
            ["`minikube start -p w`", refused],
        ),
        (
            ScriptedRunner::new().on("ssh", 1, "sudo: a password is required"),
            ["`minikube ssh -p w`", "a password is required"],
        ),
        (
            ScriptedRunner::new(),
            ["install `ssh`", "`ssh` is not installed"],
        ),
    ] {
        let delivery = way(&kind, Some(&profile), Arc::new(runner)).await.unwrap();
        let [place] = delivery.targets() else {
            panic!("{delivery:?}");
        };
        assert_eq!(place.describe(), "minikube profile `w`");
        let warning = delivery.warning().unwrap();
        for part in parts {
            assert!(warning.contains(part), "{part}: {warning}");
        }
    }
}

#[tokio::test]
async fn a_cluster_without_a_known_way_gets_the_cure() {
    let runner = Arc::new(ScriptedRunner::new());
    let error = way(&Kind::Unknown, None, runner).await.unwrap_err();
    assert!(error.hints()[0].contains("`image: REGISTRY"), "{error}");
}

#[tokio::test]
async fn a_base_that_was_replaced_on_the_node_is_looked_up_anew() {
    let bench = Bench::new();
    bench.built().await;
    // The layout has another image now: the layer that is remembered is nowhere.
    std::fs::remove_dir_all(bench.source().parent().unwrap().join("base")).unwrap();
    bench.write_base("two");
    let sent = std::sync::Mutex::new(Vec::new());
    let runner = ScriptedRunner::new()
        .on("image load", 0, "")
        .on("image ls", 0, "[]");
    let load = MinikubeLoad::new("work", Arc::new(runner));
    let delivery = Delivery::new(vec![Arc::new(load)]);
    let source = bench.source();
    let request = Request {
        service: "service",
        source: &source,
        build: &bench.build,
        rules: None,
    };
    let result = provide(&bench.builder(), &delivery, request, &|progress| {
        if let crate::progress::Progress::Started { what } = progress
            && what.starts_with("deliver")
        {
            sent.lock().unwrap().push(what);
        }
    })
    .await;
    // The scripted node never says that it has the image; what counts is that another one, upon
    // the new base, was sent to it.
    assert!(matches!(
        result,
        Err(ProvideError::Delivery(DeliveryError::NotArrived { .. }))
    ));
    let sent = sent.into_inner().unwrap();
    assert_eq!(sent.len(), 2, "{sent:?}");
    assert_ne!(sent[0], sent[1]);
}
