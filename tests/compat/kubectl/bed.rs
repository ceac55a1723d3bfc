//! A cluster that scenarios are run on: each in a namespace, a home and a kubeconfig of its own.

use std::path::{Path, PathBuf};
use std::process::{Output, Stdio};
use std::time::Duration;

use serde_json::Value;
use tempfile::TempDir;
use tokio::process::Command;
use tokio::time::timeout;

use crate::clients::Client;
use crate::normal::normal;
use crate::scenario::{Purpose, Scenario};

/// The longest that a command may take: a real cluster starts pods meanwhile.
const PATIENCE: Duration = Duration::from_secs(90);

/// The contexts of the test bed, which may be written to.
const CONTEXTS: &str = "mwctl-test-";

/// A cluster.
pub(crate) struct Bed {
    name: &'static str,
    kubeconfig: PathBuf,
}

/// A command and what it printed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Step {
    pub(crate) command: String,
    pub(crate) printed: String,
}

/// Where the commands of a scenario run.
struct Place {
    folder: TempDir,
    namespace: String,
}

impl Bed {
    pub(crate) fn new(name: &'static str, kubeconfig: &Path) -> Self {
        Self {
            name,
            kubeconfig: kubeconfig.to_owned(),
        }
    }

    /// Whoever sets the environment variable to the wrong file loses nothing.
    pub(crate) fn refuse_what_is_no_test_bed(&self) {
        let text = std::fs::read_to_string(&self.kubeconfig).unwrap();
        let kubeconfig: Value = serde_yaml::from_str(&text).unwrap();
        let name = kubeconfig["current-context"].as_str().unwrap_or_default();
        assert!(
            name.starts_with(CONTEXTS),
            "`{name}` is not the test bed's context"
        );
    }

    /// Runs a scenario to its end, and returns what is to be compared.
    pub(crate) async fn run(&self, client: &Client, scenario: &Scenario) -> Vec<Step> {
        let place = self.place(client, &scenario.name);
        let namespace = place.namespace.clone();
        let made = self
            .shell(&place, &format!("kubectl create namespace {namespace}"))
            .await;
        assert!(made.status.success(), "{}: {made:?}", self.name);
        let context = format!("kubectl config set-context --current --namespace={namespace}");
        self.shell(&place, &context).await;
        let nodes = self.shell(&place, "kubectl get nodes -o name").await;
        let nodes = String::from_utf8_lossy(&nodes.stdout).replace("node/", "");
        let folder = place.folder.path().to_string_lossy().into_owned();
        let mut known = vec![
            (namespace.as_str(), "NAMESPACE"),
            (folder.as_str(), "FOLDER"),
        ];
        known.extend(nodes.lines().map(|node| (node, "NODE")));
        let mut steps = Vec::new();
        for line in &scenario.lines {
            if line.purpose == Purpose::CleanUp {
                continue;
            }
            let output = self.shell(&place, &line.command).await;
            let silent = line.purpose == Purpose::Settle && output.status.success();
            let printed = if silent {
                String::new()
            } else {
                printed(&output)
            };
            steps.push(Step {
                command: line.command.clone(),
                printed: normal(&printed, &known),
            });
        }
        for line in &scenario.lines {
            if line.purpose == Purpose::CleanUp {
                self.shell(&place, &line.command).await;
            }
        }
        let delete = format!("kubectl delete namespace {namespace} --wait=false");
        self.shell(&place, &delete).await;
        steps
    }

    fn place(&self, client: &Client, scenario: &str) -> Place {
        let folder = TempDir::with_prefix("mwctl-kubectl-").unwrap();
        let bin = folder.path().join("bin");
        std::fs::create_dir(&bin).unwrap();
        std::os::unix::fs::symlink(&client.path, bin.join("kubectl")).unwrap();
        std::fs::copy(&self.kubeconfig, folder.path().join("kubeconfig")).unwrap();
        // Runs side by side on one cluster don't meet.
        let version = client.version.replace('.', "");
        Place {
            folder,
            namespace: format!("kubectl{version}-{}-{scenario}", std::process::id()),
        }
    }

    /// Runs a line in a shell, with an environment that has nothing of the user's.
    async fn shell(&self, place: &Place, line: &str) -> Output {
        let folder = place.folder.path();
        let path = std::env::var("PATH").unwrap_or_default();
        let mut command = Command::new("/bin/sh");
        command
            .args(["-c", line])
            .current_dir(crate::folder().join("manifests"))
            .env_clear()
            .env("PATH", format!("{}/bin:{path}", folder.display()))
            .env("HOME", folder)
            .env("TMPDIR", folder)
            .env("KUBECONFIG", folder.join("kubeconfig"))
            .env("NAMESPACE", &place.namespace)
            .stdin(Stdio::null())
            .kill_on_drop(true);
        let ended = timeout(PATIENCE, command.output()).await;
        let in_time =
            ended.unwrap_or_else(|_| panic!("{}: no end after {PATIENCE:?}: {line}", self.name));
        in_time.unwrap()
    }
}

/// Both streams and the exit code of a command.
fn printed(output: &Output) -> String {
    let mut text = String::from_utf8_lossy(&output.stdout).into_owned();
    let errors = String::from_utf8_lossy(&output.stderr);
    for line in errors.lines().filter(|line| !is_about_the_client(line)) {
        text.push_str("! ");
        text.push_str(line);
        text.push('\n');
    }
    match output.status.code() {
        Some(0) => {}
        Some(code) => {
            text.push_str("[exit status: ");
            text.push_str(&code.to_string());
            text.push_str("]\n");
        }
        None => text.push_str("[killed]\n"),
    }
    text
}

/// Old clients warn about new servers; that is between the two of them.
fn is_about_the_client(line: &str) -> bool {
    line.starts_with("WARNING: version difference between client")
}

/// Steps as a text for people.
pub(crate) fn transcript(steps: &[Step]) -> String {
    let texts: Vec<String> = steps
        .iter()
        .map(|step| format!("$ {}\n{}\n", step.command, step.printed))
        .collect();
    format!("{}\n", texts.join("\n").trim_end())
}
