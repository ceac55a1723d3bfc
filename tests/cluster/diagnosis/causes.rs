//! Services that can't run, each for one reason: how they are written, how the cluster shows the reason, and what the program
//! has to say about it.
//!
//! An image in a registry that has it for other architectures only isn't among them: there is no registry. A program of another
//! architecture in an image is.

use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use serde_json::Value;

/// One service and what is wrong with it.
pub(super) struct Case {
    /// Its name.
    pub(super) service: &'static str,
    /// Its keys.
    pub(super) keys: &'static str,
    /// What stands in a pod or an event when the cluster shows the reason.
    shown: &'static str,
    /// How often an event must have happened before it means anything.
    times: u64,
    /// What is said.
    said: &'static [&'static str],
    /// What is to be typed or changed.
    pub(super) hint: &'static str,
}

impl Case {
    /// Whether a pod or an event of the service shows the reason.
    pub(super) fn is_shown_in(&self, object: &Value) -> bool {
        let about = object.get("involvedObject");
        let name = about.unwrap_or(&object["metadata"])["name"].as_str();
        let ours = name.is_some_and(|name| name.starts_with(&format!("{}-local", self.service)));
        let often = self.times <= object["count"].as_u64().unwrap_or(1);
        ours && often && object.to_string().contains(self.shown)
    }

    /// Whether a text says all that there is to say.
    pub(super) fn is_said_in(&self, text: &str) -> bool {
        self.said.iter().all(|words| text.contains(words))
    }
}

/// What is wrong with one service alone.
pub(super) const OF_SERVICES: [Case; 13] = [
    Case {
        service: "absent",
        keys: "    container: {image: 'localhost:1/nowhere:1'}\n",
        shown: "ailed to pull",
        times: 1,
        said: &["image localhost:1/nowhere:1", "can't be reached from the node"],
        hint: "`container.image` of `absent`",
    },
    Case {
        service: "crash",
        keys: "    container:
      image: docker.io/library/node:20-bookworm-slim
      user: 1000
      command: [node, -e, \"console.error('no database'); process.exit(3)\"]
",
        shown: "\"exitCode\":3",
        times: 1,
        said: &["exit code 3", "no database"],
        hint: "mwctl logs crash",
    },
    Case {
        service: "signal",
        keys: "    container:
      image: docker.io/library/node:20-bookworm-slim
      user: 1000
      command: [python3, -c, 'import ctypes; print(\"into the void\", flush=True); ctypes.string_at(0)']
",
        shown: "\"exitCode\":139",
        times: 1,
        said: &["signal 11 (SIGSEGV)", "into the void"],
        hint: "mwctl logs signal",
    },
    Case {
        service: "memory",
        keys: "    container:
      image: docker.io/library/node:20-bookworm-slim
      user: 1000
      command: [python3, -c, 'print([b\"x\" * (1 << 20) for _ in range(1000)])']
      resources: {limits: {memory: 32Mi}}
",
        shown: "OOMKilled",
        times: 1,
        said: &["used more memory than 32Mi"],
        hint: "`container.resources.limits.memory` of `memory`",
    },
    Case {
        service: "answer",
        keys: "    container:
      image: docker.io/library/node:20-bookworm-slim
      user: 1000
      command: [node, -e, \"require('http').createServer((q, r) => r.writeHead(503).end()).listen(8080)\"]
      ports: [{port: 8080}]
      probes: {readiness: {http: {path: /healthz}, period: 1s}}
",
        shown: "statuscode: 503",
        // What Kubernetes itself takes for a failure: fewer are a process that starts.
        times: 3,
        said: &["answers 503 to its readiness check `GET /healthz`"],
        hint: "mwctl logs answer",
    },
    Case {
        service: "words",
        keys: "    container:
      image: docker.io/library/node:20-bookworm-slim
      user: 1000
      command: [sleep, infinity]
      probes: {readiness: {exec: {command: [sh, -c, 'echo five migrations behind; exit 1']}, period: 1s}}
",
        shown: "Readiness probe failed: five migrations behind",
        times: 3,
        said: &["its readiness check fails", "five migrations behind"],
        hint: "mwctl logs words",
    },
    Case {
        service: "large",
        keys: "    container:
      image: docker.io/library/node:20-bookworm-slim
      user: 1000
      command: [sleep, infinity]
      resources: {requests: {cpu: 1000}}
",
        shown: "Insufficient cpu",
        times: 1,
        said: &["no node has enough cpu left for `large`"],
        hint: "lower `container.resources.requests` of `large`",
    },
    Case {
        service: "mount",
        keys: "    container:
      image: docker.io/library/node:20-bookworm-slim
      user: 1000
      command: [sleep, infinity]
    patches:
      - kind: Deployment
        merge: {spec: {template: {spec: {
          volumes: [{name: theirs, configMap: {name: nowhere}}],
          containers: [{name: mount-local, volumeMounts: [{name: theirs, mountPath: /theirs}]}]}}}}
",
        shown: "\"FailedMount\"",
        times: 1,
        said: &["a volume of `mount` can't be mounted", "nowhere"],
        hint: "make `nowhere` whole, or correct what refers to it: `mwctl render mount`",
    },
    Case {
        service: "key",
        keys: "    container:
      image: docker.io/library/node:20-bookworm-slim
      user: 1000
      command: [sleep, infinity]
    patches:
      - kind: Deployment
        merge: {spec: {template: {spec: {containers: [{name: key-local, env: [
          {name: KEY, valueFrom: {configMapKeyRef: {name: kube-root-ca.crt, key: nowhere.pem}}}]}]}}}}
",
        shown: "couldn't find key nowhere.pem",
        times: 1,
        said: &["the key `nowhere.pem`, which ConfigMap", "kube-root-ca.crt doesn't have"],
        hint: "`mwctl render key`",
    },
    Case {
        service: "port",
        keys: "    container:
      image: docker.io/library/node:20-bookworm-slim
      user: 1000
      command: [node, -e, \"const net = require('net'); net.createServer().listen(8080, () => net.createServer().listen(8080))\"]
      ports: [{port: 8080}]
",
        shown: "\"exitCode\":1",
        times: 1,
        said: &["`port` finds its port 8080 used already", "EADDRINUSE"],
        hint: "correct the port of `port`",
    },
    Case {
        service: "taken",
        keys: "    needs: [holder]
    container:
      image: docker.io/library/node:20-bookworm-slim
      user: 1000
      command: [sleep, infinity]
      ports: [{port: 8080}]
    patches:
      - kind: Deployment
        merge: {spec: {template: {spec: {containers: [{name: taken-local, ports: [{name: http, containerPort: 8080, hostPort: 30999}]}]}}}}
",
        shown: "have free ports",
        times: 1,
        said: &["a port of the node that `taken` wants is used already"],
        hint: "take `hostPort` out of the `patches` of `taken`",
    },
    Case {
        service: "foreign",
        keys: "    source: {path: foreign}
    container:
      build: {base: 'docker.io/library/node:20-bookworm-slim', directory: /srv/app}
      user: 1000
      command: [/srv/app/program]
",
        // By the runtime or by its first process, which ends with 1, as others do with 128.
        shown: "\"exitCode\":1",
        times: 1,
        said: &["the program of `foreign` is for another architecture than the node's"],
        hint: "choose an image for the node's architecture",
    },
    Case {
        service: "lookup",
        keys: "    container:
      image: docker.io/library/node:20-bookworm-slim
      user: 1000
      command: [node, -e, \"require('dns').lookup('ansver-local', error => { throw error })\"]
",
        shown: "\"exitCode\":1",
        times: 1,
        said: &["`lookup` looks for `ansver-local`, and no service has that name"],
        hint: "did you mean `answer`?",
    },
];

/// What has the port of the node that another wants.
pub(super) const HOLDER: Case = Case {
    service: "holder",
    keys: "    container:
      image: docker.io/library/node:20-bookworm-slim
      user: 1000
      command: [sleep, infinity]
      ports: [{port: 8080}]
      probes: {readiness: }
    patches:
      - kind: Deployment
        merge: {spec: {template: {spec: {containers: [{name: holder-local, ports: [{name: http, containerPort: 8080, hostPort: 30999}]}]}}}}
",
    shown: "",
    times: 1,
    said: &[],
    hint: "",
};

/// What waits for a service that never gets ready.
pub(super) const DEPENDENT: Case = Case {
    service: "dependent",
    keys: "    needs: [answer]
    container: {image: 'docker.io/library/node:20-bookworm-slim', user: 1000, command: [sleep, infinity]}
",
    shown: "",
    times: 1,
    said: &["`dependent` waits for `answer`, which isn't ready", "mwctl status answer"],
    hint: "mwctl status answer",
};

/// The first of all that crash, once it was started twice more.
pub(super) const AGAIN: Case = Case {
    service: "crash",
    keys: "",
    shown: "\"restartCount\":2",
    times: 1,
    said: &["exit code 3", "no database"],
    hint: "mwctl logs crash --previous",
};

/// What a namespace's quota leaves no room for.
pub(super) const QUOTA: Case = Case {
    service: "quota",
    keys: "    container:
      image: docker.io/library/node:20-bookworm-slim
      user: 1000
      command: [sleep, infinity]
      resources: {requests: {memory: 64Mi}, limits: {memory: 64Mi}}
",
    shown: "exceeded quota",
    times: 1,
    said: &[
        "the namespace's quota leaves no room for `quota`",
        "64Mi wanted, 0 of 32Mi in use",
    ],
    hint: "lower `container.resources` of `quota`",
};

/// What a namespace's Pod Security level doesn't admit.
pub(super) const FORBIDDEN: Case = Case {
    service: "forbidden",
    keys: "    container: {image: 'docker.io/library/node:20-bookworm-slim', user: 1000, command: [sleep, infinity]}
    patches: [{kind: Deployment, merge: {spec: {template: {spec: {hostNetwork: true}}}}}]
",
    shown: "violates PodSecurity",
    times: 1,
    said: &["Pod Security level doesn't admit `forbidden`", "hostNetwork"],
    hint: "`podSecurity: baseline` for the stack",
};

/// A whole program that ends well on a machine of another architecture: this one's kernel doesn't know it.
pub(super) fn write_foreign_program(root: &Path) {
    /// ARM's number among architectures, and that of `x86_64`.
    const MACHINES: [u16; 2] = [183, 62];
    /// In the words of the first: `exit(0)`.
    const CODE: [u32; 3] = [0xD280_0000, 0xD280_0BA8, 0xD400_0001];
    const START: u64 = 0x0040_0000;
    const HEAD: u64 = 64 + 56;
    let machine = MACHINES[usize::from(cfg!(target_arch = "aarch64"))];
    let mut program = b"\x7fELF\x02\x01\x01\0\0\0\0\0\0\0\0\0\x02\0".to_vec();
    program.extend(machine.to_le_bytes());
    program.extend(1_u32.to_le_bytes());
    for number in [START + HEAD, 64, 0] {
        program.extend(number.to_le_bytes());
    }
    program.extend(0_u32.to_le_bytes());
    for number in [64_u16, 56, 1, 0, 0, 0] {
        program.extend(number.to_le_bytes());
    }
    for number in [1_u32, 5] {
        program.extend(number.to_le_bytes());
    }
    let size = HEAD + 4 * CODE.len() as u64;
    for number in [0, START, START, size, size, 0x1000] {
        program.extend(number.to_le_bytes());
    }
    program.extend(CODE.iter().flat_map(|word| word.to_le_bytes()));
    let file = root.join("foreign/program");
    std::fs::create_dir_all(root.join("foreign")).expect("a folder");
    std::fs::write(&file, program).expect("a file");
    let runs = std::fs::Permissions::from_mode(0o755);
    std::fs::set_permissions(&file, runs).expect("permissions");
}
