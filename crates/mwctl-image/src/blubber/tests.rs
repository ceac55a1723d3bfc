//! Blubber's rules, one by one.

use serde_json::{Value, json};

use super::*;
use crate::plan::{Action, Base, Mounted, Origin};

fn read(text: &str) -> Blubber {
    Blubber::read(&format!("version: v4\n{text}")).unwrap_or_else(|it| panic!("{it:?}"))
}

fn problems(text: &str) -> Vec<String> {
    let read = Blubber::read(&format!("version: v4\n{text}"));
    let problems = read.err().unwrap_or_default().into_iter();
    problems
        .map(|problem| format!("{}: {}", problem.line, problem.message))
        .collect()
}

/// The steps of a variant, one line each.
fn steps(text: &str, variant: &str) -> Vec<String> {
    let plan = read(text).plan(variant).unwrap();
    let stage = plan.stages.last().unwrap();
    stage
        .steps
        .iter()
        .map(|step| step.action.to_string())
        .collect()
}

fn runs(text: &str, variant: &str) -> Vec<String> {
    let all = steps(text, variant).into_iter();
    all.filter(|step| step.starts_with("RUN")).collect()
}

#[test]
fn all_phases_come_in_their_order() {
    let text = "
base: debian:bookworm
arguments: {BB: '2', AA: '1'}
apt: {packages: [curl]}
lives: {in: /srv/service}
runs: {environment: {APP: x}}
node: {requirements: [package.json], env: production}
variants:
  build: {copies: [local]}
  prod: {includes: [build], entrypoint: [node, server.js]}
";
    assert_eq!(
        steps(text, "prod"),
        [
            "USER 0",
            "ENV HOME=/root",
            "ARG AA=1",
            "ARG BB=2",
            "ENV DEBIAN_FRONTEND=noninteractive",
            "RUN apt-get update && apt-get install -y \"curl\" && rm -rf /var/lib/apt/lists/*",
            "ARG LIVES_AS=somebody",
            "ARG LIVES_UID=65533",
            "ARG LIVES_GID=65533",
            "account ${LIVES_AS} (${LIVES_UID}:${LIVES_GID})",
            "folder /srv/service",
            "folder /opt/lib",
            "ARG RUNS_AS=runuser",
            "ARG RUNS_UID=900",
            "ARG RUNS_GID=900",
            "account ${RUNS_AS} (${RUNS_UID}:${RUNS_GID})",
            "USER ${LIVES_UID}",
            "ENV HOME=/home/${LIVES_AS}",
            "WORKDIR /srv/service",
            "ENV APP=x",
            "COPY package.json package.json",
            "RUN npm install --only=production && npm dedupe",
            "COPY . .",
            "USER ${RUNS_UID}",
            "ENV HOME=/home/${RUNS_AS}",
            "ENV NODE_ENV=production",
            "WORKDIR /srv/service",
            "ENTRYPOINT [\"node\", \"server.js\"]",
            "CMD []",
            "LABEL blubber.variant=prod",
            &format!("LABEL blubber.version={}+mwctl", env!("CARGO_PKG_VERSION")),
        ]
    );
}

#[test]
fn scratch_has_no_accounts_and_no_builders() {
    let text = "
variants:
  build: {base: golang}
  prod: {copies: [{from: build, source: /a, destination: /b}], entrypoint: [/b], node: {requirements: [x]}}
";
    let steps = steps(text, "prod");
    assert_eq!(steps[0], "COPY --from=build /a /b");
    assert_eq!(steps[1], "ENTRYPOINT [\"/b\"]");
    assert_eq!(steps.len(), 5);
    let plan = read(text).plan("prod").unwrap();
    assert_eq!(plan.stages[0].name, "build");
    assert_eq!(plan.stages[1].base, Base::Scratch);
}

#[test]
fn an_artifact_of_a_variant_without_source_is_all_of_it() {
    let text = "
base: b
lives: {in: /srv/x}
variants: {prep: {}, prod: {copies: [prep]}}
";
    let copies: Vec<String> = steps(text, "prod")
        .into_iter()
        .filter(|step| step.starts_with("COPY"))
        .collect();
    assert_eq!(
        copies,
        [
            "COPY --from=prep /srv/x /srv/x",
            "COPY --from=prep /opt/lib /opt/lib"
        ]
    );
}

#[test]
fn insecurely_stays_the_user_that_lives() {
    let text =
        "base: b\nruns: {insecurely: true}\nvariants: {dev: {}, off: {runs: {insecurely: false}}}";
    let users = |variant| {
        let users = steps(text, variant).into_iter();
        users.filter(|step| step.starts_with("USER")).count()
    };
    assert_eq!((users("dev"), users("off")), (2, 3));
}

#[test]
fn what_is_included_is_merged_by_blubbers_own_rules() {
    let text = "
base: one
apt: {packages: [aa]}
arguments: {AA: '1'}
runs: {environment: {A: '1', B: ''}}
node: {requirements: [a, b], env: test}
variants:
  low: {apt: {packages: {default: [bb], sid: [cc]}}, copies: [local], entrypoint: [x], lives: {uid: 7}}
  mid: {includes: [low], base: '', entrypoint: [], lives: {uid: 0}}
  top: {includes: [mid, low], node: {requirements: [z]}, copies: [local, mid], runs: {environment: {A: '2'}}}
";
    let variant = Value::Object(read(text).variant("top").unwrap());
    assert_eq!(variant["base"], "one");
    assert_eq!(
        variant["apt"]["packages"],
        json!({"default": ["aa", "bb"], "sid": ["cc"]})
    );
    assert_eq!(
        variant["node"],
        json!({"requirements": ["z"], "env": "test"})
    );
    assert_eq!(variant["copies"], json!(["local", "mid"]));
    assert_eq!(variant["entrypoint"], json!([]));
    assert_eq!(variant["lives"]["uid"], 7);
    assert_eq!(variant["runs"]["environment"], json!({"A": "2", "B": ""}));
    assert_eq!(variant["runs"]["uid"], 900);
    assert!(variant.get("includes").is_none());
}

#[test]
fn builders_of_an_included_variant_come_first_and_predefined_ones_are_merged() {
    let text = "
base: b
variants:
  low: {builders: [{custom: {command: one}}, {node: {requirements: [a], env: x}}]}
  top: {includes: [low], builders: [{custom: {command: two}}, {node: {env: y}}]}
";
    let variant = Value::Object(read(text).variant("top").unwrap());
    assert_eq!(
        variant["builders"],
        json!([
            {"custom": {"command": "one"}},
            {"custom": {"command": "two"}},
            {"node": {"requirements": ["a"], "env": "y"}},
        ])
    );
}

#[test]
fn every_builder_runs_what_its_language_needs() {
    let of = |builder: &str| runs(&format!("base: b\nvariants: {{dev: {{{builder}}}}}"), "dev");
    assert_eq!(of("node: {env: test}"), [""; 0]);
    assert_eq!(
        of("node: {requirements: [p], use-npm-ci: true}"),
        ["RUN npm ci"]
    );
    let dedupe = "node: {requirements: [p], env: production, allow-dedupe-failure: true}";
    assert_eq!(
        of(dedupe),
        ["RUN npm install --only=production && npm dedupe || echo \"WARNING: npm dedupe failed\""]
    );
    assert_eq!(
        of("php: {requirements: [c], production: true}"),
        ["RUN composer install --no-scripts --no-dev"]
    );
    assert_eq!(
        of("builder: {command: [make, all things]}"),
        ["RUN make \"all things\""]
    );
    assert_eq!(of("builder: {script: 'echo x'}"), ["RUN #!/bin/sh; echo x"]);
    assert_eq!(of("python: {version: python3}"), [""; 0]);
    let plain =
        "python: {version: python3, requirements: [r.txt], no-deps: true, pip-version: '20.1'}";
    assert_eq!(
        of(plain),
        [
            "RUN python3 -m venv /opt/lib/venv",
            "RUN python -m pip install -U setuptools!=60.9.0",
            "RUN python -m pip install -U wheel tox pip==20.1",
            "RUN python -m pip install --no-deps -r r.txt",
            "RUN python -m pip check",
        ]
    );
    let poetry = "python: {version: python2.7, requirements: [p], use-system-site-packages: true, \
                  poetry: {version: '==1.5.1', only: main}}";
    assert_eq!(
        of(poetry)[..4],
        [
            "RUN python2.7 -m venv /opt/lib/venv --system-site-packages",
            "RUN python -m pip install -U setuptools!=60.9.0",
            "RUN python -m pip install -U wheel tox pip<21",
            "RUN python -m pip install -U poetry==1.5.1",
        ]
    );
    assert_eq!(
        of(poetry)[5],
        "RUN poetry install --no-root --only main --no-dev"
    );
}

#[test]
fn apt_has_sources_keys_and_proxies() {
    let text = "
base: b
apt:
  packages: {default: [aa], bookworm-backports: [bb=1.2-3]}
  proxies: ['http://proxy:8080', {url: 'http://other:1', source: 'https://x.org'}]
  sources: [{url: 'https://x.org/apt', distribution: stable, components: [main, extra], signed-by: KEY}]
variants: {dev: {}}
";
    let plan = read(text).plan("dev").unwrap();
    let files: Vec<(&str, &str)> = plan.stages[0]
        .steps
        .iter()
        .filter_map(|step| match &step.action {
            Action::File { path, text } => Some((path.as_str(), text.as_str())),
            _ => None,
        })
        .collect();
    assert_eq!(
        files[0].1,
        "Acquire::http::Proxy \"http://proxy:8080\";\nAcquire::https::Proxy::x.org \"http://other:1\";\n"
    );
    let keyring = files[1].0;
    assert!(keyring.starts_with("/etc/apt/keyrings/") && keyring.contains(".asc"));
    assert_eq!(
        files[2].1,
        format!("deb [signed-by={keyring}] https://x.org/apt stable main extra\n")
    );
    let runs = runs(text, "dev");
    assert_eq!(
        runs[0],
        "RUN apt-get update && apt-get install -y ca-certificates"
    );
    assert_eq!(
        runs[1],
        "RUN apt-get update && apt-get install -y \"-t\" \"bookworm-backports\" \"bb=1.2-3\" \
         && apt-get install -y \"aa\" && rm -rf /var/lib/apt/lists/* \
         && rm -f /etc/apt/apt.conf.d/99blubber-proxies"
    );
}

#[test]
fn caches_and_mounts_are_the_custom_builders() {
    let text = "
base: b
variants:
  other: {}
  dev:
    builder:
      command: make
      caches: [/var/cache/x, {destination: /y, id: shared, access: locked}]
      mounts: [local, {from: other, source: /s, destination: /d}, {from: 'busybox:1'}]
";
    let plan = read(text).plan("dev").unwrap();
    let stage = plan.stages.last().unwrap();
    let run = stage.steps.iter().find_map(|step| match &step.action {
        Action::Run(run) => Some(run),
        _ => None,
    });
    let mounts = &run.unwrap().mounts;
    let cache = |id: Option<&str>, exclusive| Mounted::Cache {
        id: id.map(str::to_owned),
        exclusive,
    };
    assert_eq!(mounts[0].what, cache(None, false));
    assert_eq!(mounts[1].what, cache(Some("shared"), true));
    let files = |origin, source: &str| Mounted::Files {
        origin,
        source: source.to_owned(),
    };
    assert_eq!(mounts[2].what, files(Origin::Local, "."));
    assert_eq!(mounts[3].what, files(Origin::Stage("other".into()), "/s"));
    assert_eq!(
        mounts[4].what,
        files(Origin::Image("busybox:1".into()), "/")
    );
    assert_eq!((&*mounts[2].target, &*mounts[3].target), (".", "/d"));
    assert_eq!(
        plan.images().into_iter().collect::<Vec<_>>(),
        ["b", "busybox:1"]
    );
}

#[test]
fn mistakes_are_told_all_at_once_with_their_lines() {
    let text = "
basse: x
lives: {in: /, uid: -1, as: 'A B'}
runs: {environment: {A: 1, 'B-C': ''}}
apt: {packages: [Curl], sources: [{url: ftp://x}]}
arguments: {A: x}
entrypoint: x
variants:
  ab: {}
  one: {includes: [foo], copies: [local, local], builder: {command: x, script: y}}
  two: {copies: [local, {from: one}], node: {requirements: [/etc/passwd, {source: x}], env: 'a b'}}
  three: {copies: [{from: local, destination: /x}], python: {version: 3}}
";
    let problems = problems(text);
    for wanted in [
        "3: basse: is an unknown key",
        "4: lives.in: \"/\" is not a valid absolute non-root path",
        "4: lives.uid: must be a whole number from 0 to 4294967295",
        "4: lives.as: \"A B\" is not a valid user name",
        "5: runs.environment.A: must be a text: put it into quotes",
        "5: runs.environment: \"B-C\" is not a valid environment variable name",
        "6: apt.packages[0]: \"Curl\" is not a valid Debian package name",
        "6: apt.sources[0].url: \"ftp://x\" is not a valid HTTP/HTTPS URL",
        "6: apt.sources[0].distribution: is required",
        "7: arguments: \"A\" is not a valid argument name",
        "8: entrypoint: must be a list",
        "10: variants.ab: contains a bad variant name",
        "11: variants.one.includes[0]: references an unknown variant \"foo\"",
        "11: variants.one.copies: cannot contain duplicates",
        "11: variants.one.builder: has either a command or a script",
        "12: variants.two.copies: must have names only, or maps only",
        "12: variants.two.node.requirements[0].source: path must be relative when \"from\" is \"local\"",
        "12: variants.two.node.requirements[1].from: is required",
        "12: variants.two.node.env: \"a b\" is not a valid Node environment name",
        "13: variants.three.copies[0].source: is required if \"destination\" is also set",
        "13: variants.three.python.version: must be a text: put it into quotes",
    ] {
        assert!(
            problems.iter().any(|it| it == wanted),
            "{wanted}\n{problems:#?}"
        );
    }
    assert_eq!(problems.len(), 21, "{problems:#?}");
}

#[test]
fn versions_circles_and_builders_twice_are_refused() {
    let of = |text: &str| {
        let problems = Blubber::read(text).unwrap_err().into_iter();
        problems.map(|it| it.message).collect::<Vec<_>>()
    };
    assert_eq!(
        of("version: v3"),
        ["version: config version \"v3\" is unsupported"]
    );
    assert_eq!(of("variants: {}"), ["version: is required"]);
    assert_eq!(of("[]"), ["a Blubber file is a map of keys"]);
    assert!(of("a: [")[0].starts_with("not valid YAML"));
    let circle = "version: v4\nvariants: {one: {includes: [two]}, two: {includes: [one]}}";
    assert_eq!(of(circle).len(), 2);
    let copies = "version: v4\nbase: b\nvariants: {one: {copies: [two]}, two: {copies: [one]}}";
    assert!(of(copies)[0].contains("is a circle of variants"));
    let both =
        "version: v4\nbase: b\nnode: {env: x}\nvariants: {one: {builders: [{php: {}}, {php: {}}]}}";
    let both = of(both);
    assert!(both[1].contains("declared or included: node"), "{both:?}");
    assert!(both[0].contains("more than one `php`"), "{both:?}");
}

#[test]
fn a_variant_that_isnt_there_is_told_with_those_that_are() {
    let error = read("variants: {one: {}}").plan("two").unwrap_err();
    assert_eq!(error.known, ["one"]);
}

#[test]
fn policies_are_kept_or_told() {
    let policy = Policy::read(
        "enforcements:\n- {path: variants.production.runs.insecurely, rule: isfalse}\n\
         - {path: variants.production.base, rule: 'oneof=a b'}\n- {path: variants.none.base, rule: isset}\n",
    )
    .unwrap();
    let kept = read("base: a\nruns: {insecurely: false}\nvariants: {production: {}}");
    assert_eq!(policy.violations(&kept), []);
    let broken = read("base: c\nvariants: {production: {runs: {insecurely: true}}}");
    let violations = policy.violations(&broken);
    assert_eq!(violations.len(), 2);
    assert_eq!(violations[0].path, "variants.production.runs.insecurely");
    let unknown = Policy::read("enforcements:\n- {path: a, rule: nonsense}").unwrap_err();
    assert_eq!(
        (unknown.line, &*unknown.message),
        (2, "unknown rule `nonsense`")
    );
}

proptest::proptest! {
    #[test]
    fn no_text_makes_it_panic(text in "[a-z\\[\\]{}:,\\- \\n&*!'\"0-9]{0,120}") {
        drop(Blubber::read(&text));
        if let Ok(blubber) = Blubber::read(&format!("version: v4\n{text}")) {
            for variant in blubber.variants() {
                blubber.plan(variant).unwrap();
            }
        }
    }
}
