//! The minikube driver against a scripted `minikube` that replays the shapes of its answers, read
//! in its source. No real minikube is involved: what only a real one can show is not shown here.

#![expect(
    clippy::unwrap_used,
    reason = "a test that cannot be set up has failed, wherever in it"
)]

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use mwctl_core::cluster::{Choice, Kind};
use mwctl_core::minikube::{Condition, Event, Report, StartOptions, profile};
use mwctl_engine::cluster::minikube::{Minikube, MinikubeError, profiles};
use mwctl_engine::cluster::{Places, find};
use mwctl_engine::command::ProcessRunner;
use serde_json::{Value, json};

mod images;

/// A home directory with a scenario, and the program first on PATH.
struct Stage {
    folder: tempfile::TempDir,
}

const CONFIG: &str = r#"{"Name":"work","Driver":"docker","KubernetesConfig":{"KubernetesVersion":"v1.34.0","ContainerRuntime":"containerd"},"Nodes":[{"Name":"","ControlPlane":true,"Worker":true}]}"#;

impl Stage {
    fn new(scenario: &Value) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let bin = folder.path().join("bin");
        std::fs::create_dir(&bin).unwrap();
        std::os::unix::fs::symlink(env!("CARGO_BIN_EXE_fake-minikube"), bin.join("minikube"))
            .unwrap();
        std::fs::write(folder.path().join("scenario.json"), scenario.to_string()).unwrap();
        Self { folder }
    }

    fn home(&self) -> &Path {
        self.folder.path()
    }

    fn runner(&self) -> Arc<ProcessRunner> {
        let runner = ProcessRunner::new()
            .variable("PATH", self.home().join("bin").to_string_lossy())
            .variable("MINIKUBE_HOME", self.home().to_string_lossy());
        Arc::new(runner)
    }

    fn minikube(&self) -> Minikube {
        Minikube::new(self.runner(), self.home())
    }

    fn calls(&self) -> Vec<String> {
        let text = std::fs::read_to_string(self.home().join("calls")).unwrap_or_default();
        text.lines().map(str::to_owned).collect()
    }

    fn write_profile(&self, name: &str, text: &str) -> PathBuf {
        let folder = self.home().join("profiles").join(name);
        std::fs::create_dir_all(&folder).unwrap();
        let file = folder.join("config.json");
        std::fs::write(&file, text).unwrap();
        file
    }
}

fn event(kind: &str, data: &Value) -> Value {
    json!({
        "specversion": "1.0",
        "id": "5a9b1c1e-0000-4000-8000-000000000000",
        "source": "https://minikube.sigs.k8s.io/",
        "type": format!("io.k8s.sigs.minikube.{kind}"),
        "datacontenttype": "application/json",
        "data": data,
    })
}

fn step(name: &str) -> Value {
    let data = json!({"currentstep": "1", "message": "...", "name": name, "totalsteps": "19"});
    event("step", &data)
}

fn node(host: &str, api: &str, kubeconfig: &str) -> Value {
    json!({"Name": "work", "Host": host, "Kubelet": api, "APIServer": api,
        "Kubeconfig": kubeconfig, "Worker": false})
}

fn quiet(_: &Event) {}

#[tokio::test]
async fn a_start_tells_its_steps_and_keeps_the_users_context() {
    let out = [
        step("Selecting Driver"),
        step("Creating Container"),
        step("Done"),
    ];
    let stage = Stage::new(&json!({"start": {"out": out}}));
    let steps = Mutex::new(Vec::new());
    let minikube = stage.minikube();
    minikube
        .start("work", &StartOptions::default(), &|event| {
            if let Event::Step { name, .. } = event {
                steps.lock().unwrap().push(name.clone());
            }
        })
        .await
        .unwrap();
    let steps = steps.into_inner().unwrap();
    assert_eq!(steps, ["Selecting Driver", "Creating Container", "Done"]);
    assert_eq!(
        stage.calls(),
        [
            "start -p work -o json --interactive=false --keep-context --wait=all --skip-audit \
          --driver=docker --container-runtime=containerd"
        ]
    );
}

#[tokio::test]
async fn a_profile_that_exists_is_started_with_its_own_driver() {
    let stage = Stage::new(&json!({"start": {}}));
    stage.write_profile("work", &CONFIG.replace("docker", "kvm2"));
    let options = StartOptions {
        driver: Some("docker".to_owned()),
        ..StartOptions::default()
    };
    stage
        .minikube()
        .start("work", &options, &quiet)
        .await
        .unwrap();
    let call = stage.calls().remove(0);
    assert!(call.ends_with("--driver=kvm2"), "{call}");
}

#[tokio::test]
async fn a_start_that_fails_has_the_reason_and_the_cure() {
    let fatal = json!({"advice": "Start the Docker service", "exitcode": "63", "issues": "",
        "message": "provider docker not running", "name": "PROVIDER_DOCKER_NOT_RUNNING", "url": ""});
    let out = [step("Selecting Driver"), event("error", &fatal)];
    let stage = Stage::new(&json!({"start": {"exit": 63, "out": out}}));
    let minikube = stage.minikube();
    let error = minikube
        .start("work", &StartOptions::default(), &quiet)
        .await
        .unwrap_err();
    assert_eq!(
        error.to_string(),
        "minikube failed (PROVIDER_DOCKER_NOT_RUNNING): provider docker not running"
    );
    assert_eq!(error.hints(), ["start docker", "Start the Docker service"]);
}

#[tokio::test]
async fn a_crash_without_events_shows_its_last_line() {
    let out = [
        "goroutine 1 [running]:",
        "panic: runtime error: index out of range",
    ];
    let stage = Stage::new(&json!({"stop": {"exit": 2, "out": out}}));
    let error = stage.minikube().stop("work", &quiet).await.unwrap_err();
    assert!(
        error.to_string().contains("panic: runtime error"),
        "{error}"
    );
}

#[tokio::test]
async fn a_name_that_minikube_refuses_is_refused_before_it_is_asked() {
    let stage = Stage::new(&json!({}));
    let error = stage.minikube().delete("--all", &quiet).await.unwrap_err();
    assert!(matches!(error, MinikubeError::Name(_)));
    assert!(stage.calls().is_empty());
}

#[tokio::test]
async fn a_stop_keeps_the_context() {
    let stage = Stage::new(&json!({"stop": {"out": [step("Stopping"), step("Done")]}}));
    stage.minikube().stop("work", &quiet).await.unwrap();
    assert!(stage.calls()[0].contains("--keep-context-active"));
}

#[tokio::test]
async fn a_missing_profile_answers_with_info_lines_and_85() {
    let message = "Profile \"work\" not found. Run \"minikube profile list\" to view all profiles.";
    let out = [
        event("info", &json!({"message": message})),
        event(
            "info",
            &json!({"message": "To start a cluster, run: \"minikube start -p work\""}),
        ),
    ];
    let stage = Stage::new(&json!({"status": {"exit": 85, "out": out}}));
    let report = stage.minikube().status("work").await.unwrap();
    let Report::NoProfile(words) = report else {
        panic!("{report:?}");
    };
    assert!(words.starts_with("Profile \"work\" not found"));
}

#[tokio::test]
async fn every_form_of_a_status_is_understood() {
    let worker = json!({"Name": "work-m02", "Host": "Running", "Kubelet": "Running",
        "APIServer": "Irrelevant", "Kubeconfig": "Irrelevant", "Worker": true});
    for (answer, exit, condition) in [
        (
            node("Running", "Running", "Configured"),
            0,
            Condition::Ready,
        ),
        (node("OK", "OK", "Configured"), 0, Condition::Ready),
        (
            json!([node("Running", "Running", "Configured"), worker]),
            0,
            Condition::Ready,
        ),
        (
            node("Running", "Running", "Misconfigured"),
            4,
            Condition::StaleKubeconfig,
        ),
        (node("Stopped", "Stopped", "Stopped"), 7, Condition::Stopped),
        (
            node("Running", "Paused", "Configured"),
            2,
            Condition::Paused,
        ),
        (Value::Null, 7, Condition::Gone),
    ] {
        let stage = Stage::new(&json!({"status": {"exit": exit, "out": [answer.clone()]}}));
        let report = stage.minikube().status("work").await.unwrap();
        assert_eq!(report.condition(), Some(condition), "{answer}");
    }
}

#[tokio::test]
async fn a_profile_that_is_being_written_is_waited_for() {
    let stage = Stage::new(&json!({}));
    let file = stage.write_profile("work", &CONFIG[..40]);
    let (found, ()) = tokio::join!(profiles(stage.home()), async {
        std::fs::write(file, CONFIG).unwrap();
    });
    assert_eq!(found, [profile(CONFIG).unwrap()]);
}

#[tokio::test]
async fn a_profile_that_stays_half_written_is_left_out_and_diagnosed() {
    let version = json!({"minikubeVersion": "v1.38.1", "commit": "x"});
    let stage = Stage::new(&json!({"version": {"out": [version]}}));
    stage.write_profile("work", &CONFIG[..40]);
    assert_eq!(profiles(stage.home()).await, []);
    let findings = stage.minikube().diagnose("work", None).await;
    let last = findings.last().unwrap();
    assert!(
        last.what.contains("being made, or it is damaged"),
        "{last:?}"
    );
}

#[tokio::test]
async fn machines_are_reached_by_ssh_where_all_of_a_profile_are() {
    let stage = Stage::new(&json!({}));
    let two = CONFIG
        .replace("docker", "kvm2")
        .replace("}]}", "},{\"Name\":\"m02\"}]}");
    stage.write_profile("work", &two);
    let write = |name: &str, address: &str| {
        let folder = stage.home().join("machines").join(name);
        std::fs::create_dir_all(&folder).unwrap();
        let driver =
            json!({"MachineName": name, "IPAddress": address, "SSHUser": "docker", "SSHPort": 22});
        let machine = json!({"Driver": driver, "DriverName": "kvm2"});
        std::fs::write(folder.join("config.json"), machine.to_string()).unwrap();
    };
    write("work", "192.0.2.7");
    assert_eq!(profiles(stage.home()).await[0].by_ssh, []);
    write("work-m02", "192.0.2.8");
    let by_ssh = profiles(stage.home()).await.remove(0).by_ssh;
    let hosts: Vec<&str> = by_ssh.iter().map(|it| it.host.as_str()).collect();
    assert_eq!(hosts, ["192.0.2.7", "192.0.2.8"]);
    let key = stage.home().join("machines/work-m02/id_rsa");
    assert_eq!(by_ssh[1].key.as_deref(), key.to_str());

    // Containers are reached by docker, whatever lies there.
    stage.write_profile("work", CONFIG);
    assert_eq!(profiles(stage.home()).await[0].by_ssh, []);
}

#[tokio::test]
async fn a_diagnosis_names_the_command_that_helps() {
    let version = json!({"minikubeVersion": "v1.38.1", "commit": "x"});
    let status = node("Running", "Running", "Misconfigured");
    let stage = Stage::new(&json!({
        "version": {"out": [version]},
        "status": {"exit": 4, "out": [status]},
    }));
    stage.write_profile("work", CONFIG);
    let findings = stage.minikube().diagnose("work", None).await;
    let cures: Vec<_> = findings.iter().filter_map(|f| f.cure.as_deref()).collect();
    // There is no docker on this PATH, and the profile needs one.
    assert_eq!(
        cures,
        ["install docker", "`minikube update-context -p work`"]
    );
}

#[tokio::test]
async fn a_stopped_profile_is_found_and_started_although_the_kubeconfig_lost_it() {
    let stage = Stage::new(&json!({}));
    stage.write_profile("work", CONFIG);
    let places = Places {
        kubeconfig: vec![stage.home().join("no-kubeconfig")],
        minikube_home: Some(stage.home().to_path_buf()),
        path: stage.home().join("bin").into_os_string(),
        embedded: false,
    };
    let found = find(&places).await.unwrap();
    let choice = found.choose(None, None, &[]).unwrap();
    assert!(matches!(choice, Choice::StartMinikube { profile, .. } if profile == "work"));
    let kind = Kind::Minikube {
        profile: "work".to_owned(),
    };
    assert!(found.profile(&kind).is_some());
}
