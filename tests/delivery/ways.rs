//! The program itself, on its ways into kind, k3d and minikube, to a real containerd or docker: `docker`, `ssh` and `minikube` are
//! scripts, which run the node's own program and count what they hand on.
//!
//! What the scripts know is what mwctl may type: they refuse all else, and `ssh` gives its words to a shell, as the real one does. That
//! one is asked once, too, since only it knows what its options do.

use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt as _;
use std::path::PathBuf;
use std::process::Stdio;

use k8s_openapi::api::apps::v1::Deployment;
use kube::Api;
use kube::api::ListParams;
use mwctl_testing::{Options, TestCluster};
use rand::RngCore as _;
use serde_json::{Value, json};

use crate::{Kind, Stage, judge};

/// What never changes, and would be seen if it were sent.
const LARGE: usize = 1 << 20;
/// A layer of one small file, with what an archive has around it.
const SMALL: usize = 64 << 10;

const SERVICE: &str = "apiVersion: mwctl/v1
kind: Service
name: teller
container:
  command: [/app]
  build: {file: Dockerfile, user: 1000}
";
const DOCKERFILE: &str = "FROM scratch\nCOPY large /large\nCOPY app /app\nENTRYPOINT [\"/app\"]\n";

/// Where sshd reads whom to let in, on port 2222 of this machine, and the words that call ssh, as the script says it.
fn sshd() -> (PathBuf, String) {
    #[expect(
        clippy::disallowed_methods,
        reason = "the script says where the judge is"
    )]
    let said = std::env::var("MWCTL_TEST_SSH").expect("tests/compat/delivery/run starts sshd");
    let (folder, words) = said.split_once(' ').unwrap();
    (folder.into(), words.to_owned())
}

/// One way into one cluster.
struct Way<'a> {
    /// What its context is called.
    context: &'a str,
    /// What the containers of its nodes are called, and how docker is asked for them.
    node: &'a str,
    label: &'a str,
    role: &'a str,
    /// minikube's driver, where it is minikube.
    driver: Option<&'a str>,
    ssh: Ssh,
}

/// What `ssh` does.
#[derive(Clone, Copy, Eq, PartialEq)]
enum Ssh {
    /// It is a script that runs what it is given.
    Script,
    /// It is a script that lets nobody in.
    Closed,
    /// It is the real one, and a real sshd answers.
    Real,
}

impl<'a> Way<'a> {
    fn containers(context: &'a str, node: &'a str, label: &'a str, role: &'a str) -> Self {
        Self {
            context,
            node,
            label,
            role,
            driver: None,
            ssh: Ssh::Script,
        }
    }

    fn minikube(driver: &'a str) -> Self {
        Self {
            driver: Some(driver),
            ..Self::containers("work", "work", "none", "none")
        }
    }
}

/// A home with the scripts, a service and a kubeconfig.
struct Home {
    folder: tempfile::TempDir,
    cluster: TestCluster,
}

impl Home {
    async fn new(stage: &Stage, way: &Way<'_>) -> Self {
        let cluster = Options::default().simulate_pods().start().await.unwrap();
        let folder = tempfile::tempdir().unwrap();
        let home = Self { folder, cluster };
        let mut large = vec![0; LARGE];
        rand::rngs::OsRng.fill_bytes(&mut large);
        home.write("service/large", &large);
        home.write("service/app", b"one");
        home.write("service/Dockerfile", DOCKERFILE.as_bytes());
        home.write("service/mwctl.yaml", SERVICE.as_bytes());
        home.write("sent", b"");
        home.write_kubeconfig(way.context).await;
        home.write_node(stage);
        home.write_programs(way);
        if let Some(driver) = way.driver {
            home.write_profile(driver, stage.kind, way.ssh);
        }
        home
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn write(&self, name: &str, content: &[u8]) {
        let path = self.path(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, content).unwrap();
    }

    /// A script, in which `$home` is this home.
    fn script(&self, name: &str, text: &str) {
        let home = self.folder.path().to_str().unwrap();
        let text = format!("#!/bin/sh\nhome='{home}' PATH=/usr/sbin:/usr/bin:/sbin:/bin\n{text}\n");
        self.write(name, text.as_bytes());
        std::fs::set_permissions(self.path(name), PermissionsExt::from_mode(0o755)).unwrap();
    }

    /// The cluster, under the name by which its kind is known.
    async fn write_kubeconfig(&self, context: &str) {
        let path = self.cluster.kubeconfig().await.unwrap();
        let mut document: Value = serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap();
        document["current-context"] = json!(context);
        for list in ["clusters", "contexts", "users"] {
            document[list][0]["name"] = json!(context);
        }
        document["contexts"][0]["context"] = json!({"cluster": context, "user": context});
        // What it really is stands in an extension.
        let cluster = document["clusters"][0]["cluster"].as_object_mut().unwrap();
        cluster.remove("extensions");
        self.write(".kube/config", document.to_string().as_bytes());
    }

    /// What is on the node: its own program, which counts what it is sent, and a `sudo` that asks nothing.
    fn write_node(&self, stage: &Stage) {
        let words: Vec<String> = stage.words.iter().map(|it| format!("'{it}'")).collect();
        let words = words.join(" ");
        let text = format!(
            "case \" $* \" in\n\
             *' images import - '*|' load ') cat > $home/archive; wc -c < $home/archive >> $home/sent; exec {words} \"$@\" < $home/archive ;;\n\
             *) exec {words} \"$@\" ;;\nesac"
        );
        self.script(&format!("node/{}", stage.kind.program()), &text);
        let sudo = "[ \"$1\" = -n ] || exit 1\nshift; PATH=$home/node; export PATH; exec \"$@\"";
        self.script("node/sudo", sudo);
    }

    /// What is on this machine.
    fn write_programs(&self, way: &Way<'_>) {
        let Way {
            node, label, role, ..
        } = way;
        self.script(
            "bin/docker",
            &format!(
                "case \"$1\" in\n\
                 ps) case \"$*\" in *'label={label} '*) echo '{node} {role}' ;; esac ;;\n\
                 exec) [ \"$2 $3\" = '-i {node}' ] || exit 64; shift 3; PATH=$home/node; export PATH; exec \"$@\" ;;\n\
                 *) exit 64 ;;\nesac"
            ),
        );
        self.script(
            "bin/minikube",
            "case \"$*\" in\n\
             '-p work image load '*) exec $home/node/ctr -n k8s.io images import - < \"$5\" ;;\n\
             '-p work image ls --format json') ;;\n\
             *) exit 64 ;;\nesac\n\
             printf '['\n\
             $home/node/ctr -n k8s.io images ls | while read -r name type digest rest; do\n\
             case $digest in sha256:*) ;; *) continue ;; esac\n\
             config=$($home/node/ctr -n k8s.io content get \"$digest\" | tr -d ' \\n' |\n\
             sed 's/.*\"config\":{[^}]*\"digest\":\"sha256:\\([0-9a-f]*\\)\".*/\\1/')\n\
             printf '%s{\"id\":\"%s\",\"repoDigests\":[],\"repoTags\":[\"%s\"],\"size\":\"1\"}' \"$comma\" \"$config\" \"$name\"\n\
             comma=,\ndone\n\
             printf ']\\n'",
        );
        let answer = match way.ssh {
            Ssh::Script => "PATH=$home/node; export PATH; exec /bin/sh -c \"$*\"",
            Ssh::Closed => "echo 'docker@192.0.2.7: Permission denied (publickey).' >&2; exit 255",
            Ssh::Real => return self.write_real(),
        };
        self.script(
            "bin/ssh",
            &format!(
                "options=\n\
                 while :; do case \"$1\" in\n\
                 -o|-F|-p) options=\"$options $2\"; shift 2 ;;\n\
                 -i) [ -f \"$2\" ] || exit 255; shift 2 ;;\n\
                 -T) shift ;;\n\
                 -*) exit 255 ;;\n\
                 *) break ;;\nesac; done\n\
                 for option in BatchMode=yes UserKnownHostsFile=/dev/null 2222; do\n\
                 case \"$options \" in *\" $option \"*) ;; *) exit 255 ;; esac; done\n\
                 [ \"$1\" = docker@192.0.2.7 ] || exit 255\nshift\n{answer}"
            ),
        );
    }

    /// A client that is the real one, and what the server lets its key do: as the user's shell does, with the node's programs.
    fn write_real(&self) {
        let (folder, words) = sshd();
        self.script("bin/ssh", &format!("exec {words} \"$@\""));
        let home = self.folder.path().display();
        let key = std::fs::read_to_string(folder.join("id_rsa.pub")).unwrap();
        let command =
            format!(r#"PATH={home}/node; export PATH; exec /bin/sh -c \"$SSH_ORIGINAL_COMMAND\""#);
        std::fs::write(folder.join("keys"), format!("command=\"{command}\" {key}")).unwrap();
    }

    /// What minikube keeps of a profile.
    fn write_profile(&self, driver: &str, kind: Kind, ssh: Ssh) {
        let (address, user, key) = match ssh {
            Ssh::Real => ("127.0.0.1", "root", sshd().0.join("id_rsa")),
            // It lies beside the machine's file.
            _ => ("192.0.2.7", "docker", PathBuf::new()),
        };
        let profile = json!({
            "Name": "work", "Driver": driver,
            "KubernetesConfig": {"ContainerRuntime": kind.runtime()},
            "Nodes": [{"Name": "", "ControlPlane": true, "Worker": true}],
        });
        let profiles = ".minikube/profiles/work/config.json";
        self.write(profiles, profile.to_string().as_bytes());
        let machine = json!({
            "ConfigVersion": 3, "DriverName": driver, "Name": "work",
            "Driver": {
                "IPAddress": address, "MachineName": "work", "SSHUser": user, "SSHPort": 2222, "SSHKeyPath": key,
            },
        });
        let machines = ".minikube/machines/work";
        self.write(
            &format!("{machines}/config.json"),
            machine.to_string().as_bytes(),
        );
        self.write(&format!("{machines}/id_rsa"), b"a key");
    }

    /// What a run tells people; it must succeed.
    fn mwctl(&self, arguments: &[&str]) -> String {
        #[expect(clippy::disallowed_methods, reason = "the program under test")]
        let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_mwctl-dup"));
        command
            .arg0("mwctl")
            .args(arguments)
            .current_dir(self.path("service"))
            .env_clear()
            .env("HOME", self.folder.path())
            .env("PATH", self.path("bin"))
            .stdin(Stdio::null());
        let output = command.output().unwrap();
        let told = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
        assert!(output.status.success(), "{arguments:?}: {told}");
        told
    }

    /// How much each import was sent so far.
    fn sent(&self) -> Vec<usize> {
        let text = std::fs::read_to_string(self.path("sent")).unwrap();
        text.lines()
            .map(|line| line.trim().parse().unwrap())
            .collect()
    }

    /// The image that the service's pods ask for.
    async fn image(&self) -> String {
        let all: Api<Deployment> = Api::all(self.cluster.client());
        let mut all = all.list(&ListParams::default()).await.unwrap().items;
        let pod = all.remove(0).spec.unwrap().template.spec.unwrap();
        pod.containers[0].image.clone().unwrap()
    }
}

/// Brings an image there, again, and with one file that is another.
async fn goes(stage: &Stage, way: Way<'_>) {
    stage.remove_all().await;
    let home = Home::new(stage, &way).await;
    let arrived = async |content: &str, chains: usize| {
        let image = home.image().await;
        // What is unpacked is asked before it is mounted, which would unpack it.
        let known = stage.node.known().await.unwrap().unwrap();
        assert_eq!(known.len(), chains, "{}: {known:?}", way.context);
        let found = stage.unpacked(&image, "app").await;
        assert_eq!(found.as_deref(), Some(content));
    };

    let told = home.mwctl(&["up"]);
    let [first] = home.sent()[..] else {
        panic!("{:?}: {told}", home.sent());
    };
    assert!(first > LARGE, "{first}");
    arrived("one", 2).await;
    let whole = told.contains("whole images are sent each time");
    assert_eq!(whole, way.ssh == Ssh::Closed, "{told}");

    // It is gone from the cluster, and still on the node.
    home.mwctl(&["down"]);
    home.mwctl(&["up"]);
    assert_eq!(home.sent(), [first]);
    arrived("one", 2).await;

    home.write("service/app", b"two");
    home.mwctl(&["up"]);
    let [_, second] = home.sent()[..] else {
        panic!("{:?}", home.sent());
    };
    if way.ssh == Ssh::Closed {
        assert!(second > LARGE, "{second}");
    } else {
        assert!(second < SMALL, "{second}");
    }
    arrived("two", 3).await;
}

#[tokio::test]
async fn a_real_node_gets_one_layer_for_one_edit_on_each_way() {
    let stage = Stage::new(&judge());
    goes(&stage, Way::minikube("docker")).await;
    goes(&stage, Way::minikube("kvm2")).await;
    let real = Way {
        ssh: Ssh::Real,
        ..Way::minikube("kvm2")
    };
    goes(&stage, real).await;
    if stage.kind == Kind::Docker {
        return;
    }
    let (node, label) = ("dev-control-plane", "io.x-k8s.kind.cluster=dev");
    goes(
        &stage,
        Way::containers("kind-dev", node, label, "control-plane"),
    )
    .await;
    let (node, label) = ("k3d-dev-server-0", "k3d.cluster=dev");
    goes(&stage, Way::containers("k3d-dev", node, label, "server")).await;
    let closed = Way {
        ssh: Ssh::Closed,
        ..Way::minikube("kvm2")
    };
    goes(&stage, closed).await;
}
