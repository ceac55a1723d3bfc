//! A small stack for the tests of manifests and plans: mathoid with a redis beside it.

use std::collections::BTreeMap;
use std::path::PathBuf;

use crate::model::{
    Admission, Build, Check, Condition, ConfigFile, Container, Dependencies, Develop, Image, Mount,
    Need, Network, Port, Probe, Protocol, Reach, Resources, Secret, SecretSource, Service, Source,
    Stack, Test, Volume, VolumeKind, Workload,
};
use crate::name::{ServiceName, StackName};

/// A service's name.
pub(crate) fn name(text: &str) -> ServiceName {
    ServiceName::new(text).expect("a fixture's name is legal")
}

/// Mathoid, developed from a folder, with a redis that keeps its data.
pub(crate) fn stack() -> Stack {
    Stack {
        name: StackName::new("math").expect("a fixture's name is legal"),
        namespace: "math".to_owned(),
        release: "main".to_owned(),
        admission: Admission::default(),
        manifests: Vec::new(),
        services: [mathoid(), redis()]
            .into_iter()
            .map(|service| (service.name.clone(), service))
            .collect(),
    }
}

/// The image references that go with it.
pub(crate) fn images() -> BTreeMap<ServiceName, String> {
    [(
        name("mathoid"),
        "mwctl.local/mathoid:0123456789ab".to_owned(),
    )]
    .into()
}

/// A service of one container that listens on `port`, without anything else.
pub(crate) fn service(service: &str, port: u16) -> Service {
    Service {
        name: name(service),
        convention: "node".to_owned(),
        version: None,
        source: Source::None,
        image: Image::Reference(format!("registry.example/{service}:1")),
        main: container("main", port),
        helpers: Vec::new(),
        workload: Workload::Deployment,
        replicas: 1,
        account: false,
        annotations: BTreeMap::new(),
        patches: Vec::new(),
        files: Vec::new(),
        secrets: BTreeMap::new(),
        certificates: BTreeMap::new(),
        volumes: Vec::new(),
        network: Network::default(),
        needs: Vec::new(),
        develop: None,
        test: None,
        evidence: Vec::new(),
    }
}

/// A container that listens on `port`.
pub(crate) fn container(name: &str, port: u16) -> Container {
    Container {
        name: name.to_owned(),
        plain_name: false,
        image: None,
        command: Vec::new(),
        working_directory: None,
        ports: vec![Port {
            name: "http".to_owned(),
            number: port,
            protocol: Protocol::Tcp,
            reach: Reach::Service,
        }],
        environment: Vec::new(),
        readiness: None,
        liveness: None,
        startup: None,
        resources: Resources::default(),
        mounts: Vec::new(),
        user: None,
        read_only: false,
    }
}

fn probe(check: Check) -> Probe {
    Probe {
        check,
        period_seconds: 2,
        timeout_seconds: 1,
        initial_delay_seconds: 0,
        failure_threshold: 3,
    }
}

fn words(words: &[&str]) -> Vec<String> {
    words.iter().map(|&word| word.to_owned()).collect()
}

fn mathoid() -> Service {
    let mut mathoid = service("mathoid", 10044);
    mathoid.convention = "service-runner".to_owned();
    mathoid.version = Some("0.7.6".to_owned());
    mathoid.source = Source::Path(PathBuf::from("mathoid"));
    mathoid.image = Image::Build(Build {
        file: None,
        base: "mwctl.local/base:1".to_owned(),
        directory: "/srv/service".to_owned(),
        user: 900,
        owner: 65533,
        entrypoint: words(&["node", "server.js", "-c", "/etc/mathoid/config.yaml"]),
        environment: BTreeMap::new(),
        exclude: Vec::new(),
        dependencies: Some(dependencies()),
    });
    mathoid.main.environment = vec![("NODE_ENV".to_owned(), "production".to_owned())];
    mathoid.main.readiness = Some(probe(Check::Http {
        path: "/_info".to_owned(),
        port: 10044,
    }));
    mathoid.main.liveness = Some(probe(Check::Tcp { port: 10044 }));
    mathoid.main.resources = Resources {
        requests: [("cpu", "1m"), ("memory", "200Mi")].map(owned).into(),
        limits: [("cpu", "1"), ("memory", "400Mi")].map(owned).into(),
    };
    mathoid.files = vec![ConfigFile {
        path: "/etc/mathoid/config.yaml".to_owned(),
        text: "num_workers: 0\n".to_owned(),
        container: "main".to_owned(),
        map: "config".to_owned(),
    }];
    mathoid.secrets = [(
        "API_KEY".to_owned(),
        SecretSource::Given(Secret::new("hunter2")),
    )]
    .into();
    mathoid.needs = vec![Need {
        service: name("redis"),
        condition: Condition::Ready,
    }];
    mathoid.develop = Some(Develop {
        directory: "/srv/service".to_owned(),
        exclude: Vec::new(),
        dependencies: Some(dependencies()),
        restart: words(&["**/*.js"]),
        rebuild: Vec::new(),
        command: Vec::new(),
        environment: [("DEBUG".to_owned(), "1".to_owned())].into(),
        in_place: false,
        mount: false,
        on_change: Vec::new(),
        stop_timeout_ms: 2500,
    });
    mathoid.test = Some(Test {
        command: words(&["npm", "test"]),
        variant: None,
        environment: [("NODE_ENV".to_owned(), "test".to_owned())].into(),
        dependencies: None,
    });
    mathoid
}

fn dependencies() -> Dependencies {
    Dependencies {
        command: words(&["npm", "ci"]),
        environment: BTreeMap::new(),
        inputs: words(&["package.json"]),
        directories: words(&["node_modules"]),
        lock_files: words(&["package-lock.json"]),
    }
}

fn owned((key, value): (&str, &str)) -> (String, String) {
    (key.to_owned(), value.to_owned())
}

fn redis() -> Service {
    let mut redis = service("redis", 6379);
    redis.convention = "redis".to_owned();
    redis.main.ports[0].name = "redis".to_owned();
    redis.main.readiness = Some(probe(Check::Tcp { port: 6379 }));
    redis.main.user = Some(999);
    redis.main.read_only = true;
    redis.volumes = vec![Volume {
        name: "data".to_owned(),
        kind: VolumeKind::Persistent {
            size: "1Gi".to_owned(),
        },
    }];
    redis.main.mounts = vec![Mount {
        volume: "data".to_owned(),
        path: "/data".to_owned(),
        read_only: false,
    }];
    redis
}
