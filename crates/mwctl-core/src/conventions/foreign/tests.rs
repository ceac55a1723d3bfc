//! What each kind of file says, in our keys and facts, and what of it is left out.

use std::collections::BTreeMap;
use std::path::Path;

use proptest::prelude::*;
use serde_json::{Value, json};

use super::super::repository::Repository;
use super::*;

/// What the files say, the weakest first.
fn all(files: &[(&str, &str)]) -> Vec<Said> {
    taken_for(Use::Base, files)
}

fn taken_for(taken_for: Use, files: &[(&str, &str)]) -> Vec<Said> {
    let repository = Repository {
        directory: "/home/me/stack".into(),
        files: files
            .iter()
            .map(|(file, text)| (file.into(), (*text).to_owned()))
            .collect(),
    };
    let files = Files::new(Some(&repository));
    let said = Foreign::read(&files, Some("teller")).said(taken_for);
    assert_eq!(files.take_problems(), []);
    said
}

fn one(file: &str, text: &str) -> Said {
    let mut said = all(&[(file, text)]);
    assert_eq!(said.len(), 1);
    said.remove(0)
}

fn keys(said: &Said) -> Value {
    said.keys.value(true)
}

fn facts(said: &Said) -> BTreeMap<&str, Value> {
    let pair = |(name, node): &'_ (String, Node)| (name.clone(), node.value(true));
    let mut all = BTreeMap::new();
    for fact in &said.facts {
        all.insert(fact.0.as_str(), pair(fact).1);
    }
    all
}

fn notes(said: &Said) -> Vec<String> {
    said.notes
        .iter()
        .map(|note| format!("{}: {}", note.line, note.text))
        .collect()
}

#[test]
fn where_nobody_else_makes_the_image_it_is_built_as_its_file_says() {
    let docker = "FROM golang AS made\nCOPY . .\nRUN make\nFROM scratch\nWORKDIR /app\n\
                  COPY --from=made /x /app/x\nENV A=1\nEXPOSE 80\nCMD [\"/app/x\"]\n";
    let said = taken_for(Use::Image, &[("Dockerfile", docker)]);
    assert_eq!(
        keys(&said[0]),
        json!({ "container": {
            "build": { "file": "Dockerfile", "directory": "/app" },
            "workingDirectory": "/app",
            "command": ["/app/x"],
            "environment": { "A": "1" },
        } })
    );
    assert_eq!(notes(&said[0]), Vec::<String>::new());

    let blubber = "version: v4\nlives: {in: /srv/x}\nvariants:\n  build: {base: golang, builder: {command: [make]}}\n  \
                   production: {copies: [{from: build, source: /x, destination: /x}], entrypoint: [/x], runs: {environment: {A: 1}}}\n";
    let said = taken_for(Use::Image, &[(".pipeline/blubber.yaml", blubber)]);
    let keys = keys(&said[0]);
    assert_eq!(
        keys["container"]["build"],
        json!({ "file": ".pipeline/blubber.yaml", "variant": "production", "directory": "/srv/x", "owner": 65533, "user": 900 })
    );
    assert_eq!(keys["container"]["command"], json!(["/x"]));
    assert_eq!(notes(&said[0]), Vec::<String>::new());
}

#[test]
fn tests_run_in_blubbers_variant_for_them() {
    let of = |variant: &str, taken_as| {
        let blubber = format!(
            "version: v4\nvariants:\n  production: {{base: a, copies: [local], entrypoint: [/x]}}\n  test: {variant}\n"
        );
        taken_for(taken_as, &[(".pipeline/blubber.yaml", &blubber)]).remove(0)
    };
    let test = |said: &Said| keys(said)["test"].clone();
    let runs = "{includes: [production], entrypoint: [make, test]}";
    let whole = json!({"command": ["make", "test"], "variant": "test"});
    assert_eq!(test(&of(runs, Use::Image)), whole);
    let base = json!({"command": ["make", "test"]});
    assert_eq!(test(&of(runs, Use::Base)), base);
    let kept = |tested, built_from| {
        let mut said = of("{base: a}", Use::Image);
        said.keep_variant(tested, built_from);
        keys(&said)["test"]["variant"].clone()
    };
    // Somebody else says what the tests are.
    assert_eq!(kept(true, None), json!("test"));
    assert_eq!(kept(true, Some(".pipeline/blubber.yaml")), json!("test"));
    assert_eq!(kept(true, Some("Dockerfile")), json!(null));
    assert_eq!(kept(false, None), json!(null));
}

#[test]
fn a_dockerfile_says_what_its_last_stage_is() {
    let said = one(
        "Dockerfile",
        "ARG NODE=20\nFROM node:${NODE}-slim AS base\nENV A=1 \\\n    B=\"two words\"\nWORKDIR /srv\n\
         FROM base\nWORKDIR app\nRUN apt-get update && apt-get install -y git\nRUN npm ci --omit=dev\n\
         COPY package.json ./\nENV PORT=8081 PATH=/x:$PATH C=$A\nEXPOSE 8080/tcp 9090\nUSER 1000:1000\n\
         HEALTHCHECK --interval=5s --timeout=500ms CMD curl -f http://localhost:8080/health || exit 1\n\
         ENTRYPOINT [\"node\"]\nCMD [\"server.js\"]\n",
    );
    assert_eq!(
        keys(&said),
        json!({ "container": {
            "build": { "base": "node:20-slim", "directory": "/srv/app", "user": 1000 },
            "workingDirectory": "/srv/app",
            "command": ["node", "server.js"],
            "environment": { "A": "1", "B": "two words", "C": "1" },
            "probes": { "readiness": { "http": { "path": "/health", "port": 8080 }, "period": "5s", "timeout": "1s" } }
        } })
    );
    assert_eq!(
        facts(&said),
        BTreeMap::from([("directory", json!("/srv/app")), ("port", json!(8080))])
    );
    assert_eq!(
        notes(&said),
        ["8: `RUN apt-get update && apt-get install -y git` isn't carried out",]
    );
    assert_eq!(
        said.keys
            .pointer("/container/environment/B")
            .unwrap()
            .at
            .line,
        4
    );
}

#[test]
fn a_binary_from_an_earlier_stage_is_not_taken_for_the_sources() {
    let said = one(
        "Dockerfile",
        "FROM golang:1.22 AS build\nWORKDIR /src\nCOPY . .\nRUN go build -o /app\n\
         FROM scratch\nCOPY --from=build /app /app\nEXPOSE 7000\nENTRYPOINT [\"/app\"]\n",
    );
    assert_eq!(
        keys(&said),
        json!({ "container": { "build": { "base": "golang:1.22" } } })
    );
    assert_eq!(facts(&said)["port"], json!(7000));
    assert_eq!(
        notes(&said),
        ["8: the command isn't taken: what it runs is made while the image is"]
    );
}

#[test]
fn a_binary_that_its_own_stage_compiles_is_not_taken_for_the_sources() {
    let said = one(
        "Dockerfile",
        "FROM golang:1.22\nWORKDIR /src\nCOPY . .\nRUN go build -o /src/app .\nCMD [\"/src/app\"]\n",
    );
    assert_eq!(
        keys(&said),
        json!({ "container": { "build": { "base": "golang:1.22" } } })
    );
    assert_eq!(notes(&said).len(), 1);
}

#[test]
fn programs_of_python_packages_are_run_by_python() {
    let mut said = one(
        "Dockerfile",
        "FROM python:3\nCOPY . .\nCMD [\"gunicorn\", \"-b\", \":80\", \"app:app\"]\n",
    );
    said.run_by_python();
    assert_eq!(
        keys(&said)["container"]["command"],
        json!(["python3", "-m", "gunicorn", "-b", ":80", "app:app"])
    );
    let mut said = one("Dockerfile", "FROM python:3\nCOPY . .\nCMD python x.py\n");
    said.run_by_python();
    assert_eq!(
        keys(&said)["container"]["command"],
        json!(["python", "x.py"])
    );
}

#[test]
fn a_dockerfile_in_shell_form_runs_a_shell_only_where_it_must() {
    let said = one(
        "Dockerfile",
        "FROM x\nCOPY . /a\nUSER node\nCMD npm start\n",
    );
    assert_eq!(keys(&said)["container"]["command"], json!(["npm", "start"]));
    assert_eq!(
        notes(&said),
        ["3: the user `node` has a number only inside the image"]
    );
    let said = one(
        "Containerfile",
        "FROM x\nADD . /a\nCMD echo $HOME && npm start\n",
    );
    assert_eq!(
        keys(&said)["container"]["command"],
        json!(["/bin/sh", "-c", "echo $HOME && npm start"])
    );
}

#[test]
fn a_broken_dockerfile_is_a_problem_with_its_line() {
    let problem = docker::read(Path::new("Dockerfile"), "FROM x\nFORM y\n").unwrap_err();
    assert!(
        problem
            .to_string()
            .starts_with("Dockerfile:2:1: not a valid Dockerfile: "),
        "{problem}"
    );
    let problem = docker::read(Path::new("Dockerfile"), "# nothing\n").unwrap_err();
    assert!(
        problem.to_string().contains("not a valid Dockerfile"),
        "{problem}"
    );
}

#[test]
fn compose_says_how_the_service_of_this_folder_is_run() {
    let mut said = one(
        "compose.yaml",
        "services:\n  web:\n    build: .\n    command: npm run dev\n    ports: ['8000:3000']\n\
         \x20   volumes: ['.:/app', 'data:/data', '/etc/x:/x']\n\
         \x20   environment:\n      CACHE: redis://cache:6379/0\n      DB: ${DB:-postgres://u@db/x}\n      KEY: ${KEY}\n\
         \x20   depends_on: {cache: {condition: service_healthy}, db: {}, other: {}}\n\
         \x20   healthcheck: {test: [CMD, wget, -q, 'http://localhost:3000/up'], interval: 1m30s, retries: 5}\n\
         \x20   mem_limit: 512m\n    privileged: true\n\
         \x20 cache: {image: 'docker.io/library/redis:7'}\n  db: {image: 'postgres:16'}\n  other: {build: ./other}\n",
    );
    said.keep_needs(&|name| name == "redis");
    assert_eq!(
        keys(&said),
        json!({
            "container": {
                "command": ["npm", "run", "dev"],
                "environment": {
                    "CACHE": "redis://{{ services['redis'].host }}:6379/0",
                    "DB": "postgres://u@db/x",
                    "KEY": "${KEY}"
                },
                "resources": { "limits": { "memory": "512Mi" } },
                "probes": { "readiness": { "http": { "path": "/up", "port": 3000 }, "period": "90s", "failureThreshold": 5 } }
            },
            "develop": { "directory": "/app" },
            "needs": [{ "service": "redis", "condition": "ready" }]
        })
    );
    assert_eq!(facts(&said)["port"], json!(3000));
    assert_eq!(
        notes(&said),
        [
            "10: the variable `KEY` of your environment isn't taken over",
            "14: `privileged` has no key here",
            "6: the volume isn't taken over",
            "6: the folder `/etc/x` of this machine isn't mounted",
            "11: `other` is built from its own folder: describe both in a Stack, as `mwctl init --from compose` does",
            "11: no convention is called `postgres`: describe it in a Stack",
        ]
    );
}

#[test]
fn compose_says_nothing_where_no_service_is_this_folder() {
    let files = [(
        "docker-compose.yml",
        "services: {a: {build: a}, db: {image: x}}\n",
    )];
    assert_eq!(all(&files).len(), 0);
}

const BLUBBER: &str = "version: v4
base: docker-registry.wikimedia.org/nodejs20-slim
lives: {in: /srv/service}
runs: {environment: {APP_BASE_PATH: /srv/service}}
variants:
  build:
    base: docker-registry.wikimedia.org/nodejs20-devel
    apt: {packages: [librsvg2-dev]}
    copies: [local]
    node: {requirements: [package.json]}
  development:
    includes: [build]
    entrypoint: [node, server.js]
    runs: {environment: {APP_CONFIG_PATH: ./config.dev.yaml}}
  test:
    includes: [build]
    entrypoint: [npm, test]
  prep:
    includes: [build]
    node: {env: production}
  production:
    copies: [prep]
    node: {env: production}
    entrypoint: [node, server.js]
";

#[test]
fn blubbers_variants_are_production_development_and_tests() {
    let said = one(".pipeline/blubber.yaml", BLUBBER);
    assert_eq!(
        keys(&said),
        json!({
            "container": {
                "build": {
                    "base": "docker-registry.wikimedia.org/nodejs20-slim", "directory": "/srv/service",
                    "owner": 65533, "user": 900
                },
                "workingDirectory": "/srv/service",
                "command": ["node", "server.js"],
                "environment": { "APP_BASE_PATH": "/srv/service", "NODE_ENV": "production" }
            },
            "develop": {
                "command": ["node", "server.js"],
                "environment": { "APP_BASE_PATH": "/srv/service", "APP_CONFIG_PATH": "./config.dev.yaml" }
            },
            "test": {
                "command": ["npm", "test"],
                "environment": { "APP_BASE_PATH": "/srv/service" }
            }
        })
    );
    assert_eq!(said.keys.pointer("/test/command").unwrap().at.line, 17);
}

#[test]
fn pipelines_say_which_variants_are_meant() {
    let blubber = BLUBBER
        .replace("\n  test:", "\n  unit:")
        .replace("\n  production:", "\n  release:");
    let pipeline = "pipelines:\n  test:\n    blubberfile: app/blubber.yaml\n    stages:\n\
        \x20     - {name: unit, run: {arguments: [--bail]}, build: '${.stage}'}\n\
        \x20 publish:\n    blubberfile: app/blubber.yaml\n    stages:\n\
        \x20     - {name: make, build: release, publish: {image: true}}\n";
    let said = all(&[
        (".pipeline/app/blubber.yaml", &blubber),
        (".pipeline/config.yaml", pipeline),
    ]);
    assert_eq!(said[0].speaker.to_string(), ".pipeline/app/blubber.yaml");
    assert_eq!(
        keys(&said[0])["test"]["command"],
        json!(["npm", "test", "--bail"])
    );
    assert_eq!(
        keys(&said[0])["container"]["command"],
        json!(["node", "server.js"])
    );
}

#[test]
fn insecurely_means_the_owner_runs_it_and_a_made_file_is_not_the_source() {
    let said = one(
        ".pipeline/blubber.yaml",
        "version: v4\nlives: {uid: 7}\nvariants:\n  build: {base: golang, copies: [local]}\n\
         \x20 production: {runs: {insecurely: true}, copies: [{from: build, source: /srv/app/x, destination: /x}], entrypoint: [/x]}\n",
    );
    assert_eq!(
        keys(&said),
        json!({ "container": { "build": { "base": "golang", "owner": 7, "user": 7 } } })
    );
    assert_eq!(notes(&said).len(), 1);
}

#[test]
fn a_variable_that_the_convention_sets_is_left_to_it() {
    let mut said = one(".pipeline/blubber.yaml", BLUBBER);
    let convention = super::super::text::single(
        Path::new("a.yaml"),
        "container: {environment: {APP_CONFIG_PATH: /etc/x}}",
    );
    said.yield_to(&convention.unwrap());
    assert_eq!(
        keys(&said)["develop"]["environment"],
        json!({ "APP_BASE_PATH": "/srv/service" })
    );
    assert!(notes(&said)[0].contains("isn't taken for `develop`"));
}

#[test]
fn a_chart_says_what_the_pod_is() {
    for generation in ["app", "main_app"] {
        let values = format!(
            "docker: {{registry: x}}\nresources: {{replicas: 4}}\n{generation}:\n  port: 6927\n  command: [node]\n  args: [server.js]\n\
             \x20 requests: {{cpu: 1m, memory: 200Mi}}\n  limits: {{cpu: 1}}\n\
             \x20 liveness_probe: {{tcpSocket: {{port: 6927}}}}\n\
             \x20 readiness_probe: {{httpGet: {{path: /_info, port: 6927}}, periodSeconds: 5, failureThreshold: 2}}\n\
             config:\n  public: {{log_level: info, tricky: '{{{{ x }}}}'}}\n  private: {{api_key: k, other: ''}}\n\
             debug: {{enabled: true, ports: [9229]}}\n\
             networkpolicy:\n  egress:\n    enabled: true\n    dst_nets:\n      - {{cidr: 10.0.0.0/8, ports: [{{protocol: tcp, port: 3306}}]}}\n      - {{ports: []}}\n\
             cronjobs: {{tidy: {{enabled: true, schedule: '@daily'}}, off: {{enabled: false}}}}\n"
        );
        let said = one("chart/values.yaml", &values);
        assert_eq!(
            keys(&said),
            json!({
                "container": {
                    "command": ["node", "server.js"],
                    "resources": { "requests": { "cpu": "1m", "memory": "200Mi" }, "limits": { "cpu": 1 } },
                    "probes": {
                        "readiness": { "http": { "path": "/_info" }, "period": "5s", "failureThreshold": 2 },
                        "liveness": { "tcp": {} }
                    },
                    "environment": { "LOG_LEVEL": "info", "TRICKY": "{{ \"{{ x }}\" }}" },
                    "ports": [{ "name": "http", "port": "{{ facts.port }}" }, { "name": "debug-9229", "port": 9229, "address": "debug" }]
                },
                "secrets": { "API_KEY": { "value": "k" } },
                "network": { "egress": [{ "cidr": "10.0.0.0/8", "ports": [3306] }] }
            })
        );
        assert_eq!(facts(&said)["port"], json!(6927));
        assert_eq!(
            notes(&said),
            [
                "2: production runs 4 pods; here it is one unless `replicas` says more",
                "13: the secret `other` has no value here: add it under `secrets`",
                "20: a range without `cidr` is left out",
                "21: the cron job `tidy` isn't taken over: it names no command",
            ]
        );
    }
}

#[test]
fn of_several_charts_the_one_with_the_services_name_counts() {
    let chart = |port: u16| format!("app: {{port: {port}}}\n");
    let said = all(&[
        ("charts/other/values.yaml", &chart(1)),
        ("charts/teller/values.yaml", &chart(2)),
    ]);
    assert_eq!(facts(&said[0])["port"], json!(2));
    let none = all(&[
        ("charts/a/values.yaml", &chart(1)),
        ("charts/b/values.yaml", &chart(2)),
    ]);
    assert!(none.is_empty());
    assert!(all(&[("chart/values.yaml", "image: {repository: x}\n")]).is_empty());
}

#[test]
fn hosts_are_changed_where_they_are_hosts() {
    let changed = |text: &str| with_host(text, "redis", "HOST");
    assert_eq!(changed("redis"), "HOST");
    assert_eq!(changed("redis:6379"), "HOST:6379");
    assert_eq!(changed("redis://redis:6379/0"), "redis://HOST:6379/0");
    assert_eq!(changed("redis://u:p@redis/0"), "redis://u:p@HOST/0");
    assert_eq!(changed("a:1,redis:2"), "a:1,HOST:2");
    for kept in ["my-redis", "redis-1:80", "http://x/redis", "rediss"] {
        assert_eq!(changed(kept), kept);
    }
}

#[test]
fn the_order_of_files_is_the_documented_one() {
    let said = all(&[
        ("chart/values.yaml", "app: {port: 1}\n"),
        (".pipeline/blubber.yaml", BLUBBER),
        ("Dockerfile", "FROM x\n"),
        ("compose.yml", "services: {a: {build: .}}\n"),
    ]);
    let speakers: Vec<String> = said.iter().map(|it| it.speaker.to_string()).collect();
    assert_eq!(
        speakers,
        [
            "compose.yml",
            "Dockerfile",
            ".pipeline/blubber.yaml",
            "chart/values.yaml"
        ]
    );
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn no_bytes_make_a_reader_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        survives(&String::from_utf8_lossy(&bytes));
    }

    #[test]
    fn no_text_that_looks_like_such_a_file_makes_a_reader_panic(
        text in "(FROM |RUN |COPY --from=|ENV |CMD |\\[|\\]|\\{|\\}|\"|'|:|,|\\$\\{|\\$|#|\n|\n  |\n    |- |a|x=1|é|\\\\|<<EOF|version: v4|variants|includes|copies|services|build|app|port|builders|apt|packages){0,40}"
    ) {
        survives(&text);
    }
}

fn survives(text: &str) {
    for file in FILES {
        let file = file.replace('*', "x");
        let repository = Repository {
            directory: "/home/me/stack".into(),
            files: BTreeMap::from([(file.into(), text.to_owned())]),
        };
        let files = Files::new(Some(&repository));
        let foreign = Foreign::read(&files, None);
        for taken_for in [Use::Base, Use::Image] {
            for mut said in foreign.said(taken_for) {
                said.keep_needs(&|_| false);
                drop(said.layer());
            }
        }
        for problem in files.take_problems() {
            assert!(!problem.message.is_empty());
        }
    }
}
