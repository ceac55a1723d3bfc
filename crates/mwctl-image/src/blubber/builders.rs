//! Builders: what installs a language's dependencies, or is a command of the service's own.

use serde_json::Value;

use super::phases::{Variant, is_set, list, lives_owner, text};
use crate::plan::{Action, Mount, Mounted, Origin, Run};

/// All builders of a variant, in the order in which they are run.
fn all(variant: &Variant<'_>) -> Vec<(String, Value)> {
    let mut all = Vec::new();
    for builder in list(variant.keys.get("builders")) {
        let pairs = builder.as_object().into_iter().flatten();
        all.extend(pairs.map(|(kind, value)| (kind.clone(), value.clone())));
    }
    for kind in ["node", "php", "python", "builder"] {
        if let Some(builder) = variant.keys.get(kind) {
            let kind = if kind == "builder" { "custom" } else { kind };
            all.push((kind.to_owned(), builder.clone()));
        }
    }
    all
}

/// Copies what each needs, and runs it.
pub(super) fn install(variant: &mut Variant<'_>) {
    for (kind, builder) in all(variant) {
        let requirements = list(builder.get("requirements"));
        let lives = lives_owner();
        for requirement in requirements {
            let owner = Some(&lives);
            match requirement {
                // A text is a file here, and not an origin.
                Value::String(path) => {
                    let artifact = serde_json::json!({"from": "local", "source": path});
                    variant.artifact(&artifact, owner);
                }
                other => variant.artifact(other, owner),
            }
        }
        match kind.as_str() {
            "custom" => custom(variant, &builder),
            "node" if !requirements.is_empty() => node(variant, &builder),
            "php" if !requirements.is_empty() => {
                let production = is_set(builder.get("production"));
                let flag = if production { " --no-dev" } else { "" };
                variant.shell(format!("composer install --no-scripts{flag}"));
            }
            "python" if is_python(&builder) => python(variant, &builder),
            _ => {}
        }
    }
}

/// What they leave for when all is installed.
pub(super) fn after(variant: &mut Variant<'_>) {
    for (kind, builder) in all(variant) {
        match kind.as_str() {
            "node" => {
                let env = text(builder.get("env"));
                if !env.is_empty() || !list(builder.get("requirements")).is_empty() {
                    variant.environment("NODE_ENV", env);
                }
            }
            // What Poetry installs is complete by its lock.
            "python"
                if is_python(&builder)
                    && is_set(builder.get("no-deps"))
                    && poetry(&builder).is_none() =>
            {
                run(variant, &["python", "-m", "pip", "check"]);
            }
            _ => {}
        }
    }
}

fn is_python(builder: &Value) -> bool {
    !text(builder.get("version")).is_empty() && !list(builder.get("requirements")).is_empty()
}

/// Poetry is asked for by its version, as Blubber sees it.
fn poetry(builder: &Value) -> Option<&Value> {
    let poetry = builder.get("poetry");
    poetry.filter(|poetry| !text(poetry.get("version")).is_empty())
}

fn run(variant: &mut Variant<'_>, words: &[&str]) {
    variant.add(Action::Run(Run {
        words: words.iter().map(|word| (*word).to_owned()).collect(),
        ..Run::default()
    }));
}

fn custom(variant: &mut Variant<'_>, builder: &Value) {
    let mut mounts = Vec::new();
    for cache in list(builder.get("caches")) {
        let (target, id, access) = match cache {
            Value::String(target) => (target.clone(), None, String::new()),
            other => (
                text(other.get("destination")),
                other.get("id").map(|id| text(Some(id))),
                text(other.get("access")),
            ),
        };
        let exclusive = matches!(access.as_str(), "locked" | "private");
        let what = Mounted::Cache { id, exclusive };
        mounts.push(Mount { target, what });
    }
    for mount in list(builder.get("mounts")) {
        let from = match mount {
            Value::String(from) => from.clone(),
            other => text(other.get("from")),
        };
        let or_here = |key: &str| {
            let given = text(mount.get(key));
            if given.is_empty() {
                ".".to_owned()
            } else {
                given
            }
        };
        let origin = variant.origin(&from);
        let source = match (&origin, text(mount.get("source"))) {
            (_, source) if !source.is_empty() => source,
            (Origin::Image(_), _) => "/".to_owned(),
            _ => ".".to_owned(),
        };
        mounts.push(Mount {
            target: or_here("destination"),
            what: Mounted::Files { origin, source },
        });
    }
    let command = builder.get("command");
    let run = match (command, builder.get("script")) {
        (Some(Value::Array(words)), _) => {
            let mut words = words.iter().map(|word| text(Some(word)));
            // The first word is a command that a shell finds; the others are given to it as they are.
            let first = words.next().unwrap_or_default();
            let rest = words.map(|word| format!(" \"{word}\""));
            let command = first + &rest.collect::<String>();
            Run {
                words: vec!["/bin/sh".to_owned(), "-c".to_owned(), command],
                expand: true,
                ..Run::default()
            }
        }
        (Some(Value::String(command)), _) if !command.is_empty() => Run {
            words: vec!["/bin/sh".to_owned(), "-c".to_owned(), command.clone()],
            expand: true,
            ..Run::default()
        },
        (_, Some(Value::String(script))) if !script.is_empty() => Run {
            script: Some(if script.starts_with("#!") {
                script.clone()
            } else {
                format!("#!/bin/sh\n{script}")
            }),
            ..Run::default()
        },
        _ => return,
    };
    variant.add(Action::Run(Run { mounts, ..run }));
}

fn node(variant: &mut Variant<'_>, builder: &Value) {
    let mut command = if is_set(builder.get("use-npm-ci")) {
        "npm ci".to_owned()
    } else {
        "npm install".to_owned()
    };
    if text(builder.get("env")) == "production" {
        command += " --only=production && npm dedupe";
        if is_set(builder.get("allow-dedupe-failure")) {
            command += " || echo \"WARNING: npm dedupe failed\"";
        }
    }
    variant.shell(command);
}

/// `name` with a version: a bare one means exactly that.
fn pinned(name: &str, version: &str) -> String {
    if version.starts_with(|c: char| c.is_ascii_digit()) {
        format!("{name}=={version}")
    } else {
        format!("{name}{version}")
    }
}

fn python(variant: &mut Variant<'_>, builder: &Value) {
    let python = text(builder.get("version"));
    let or = |key: &str, default: &str| {
        let given = text(builder.get(key));
        if given.is_empty() {
            default.to_owned()
        } else {
            given
        }
    };
    let venv = or("venv", "/opt/lib/venv");
    let mut make = vec![python.as_str(), "-m", "venv", venv.as_str()];
    if is_set(builder.get("use-system-site-packages")) {
        make.push("--system-site-packages");
    }
    run(variant, &make);
    variant.environment("VIRTUAL_ENV", venv.clone());
    variant.environment("PATH", format!("{venv}/bin:${{PATH}}"));
    // The last that knew Python 2.
    let old_pip = if python.starts_with("python2") {
        "<21"
    } else {
        ""
    };
    let setuptools = pinned("setuptools", &or("setuptools-version", "!=60.9.0"));
    let wheel = pinned("wheel", &or("wheel-version", ""));
    let tox = pinned("tox", &or("tox-version", ""));
    let pip = pinned("pip", &or("pip-version", old_pip));
    let install = ["python", "-m", "pip", "install"];
    run(variant, &[&install[..], &["-U", &setuptools]].concat());
    run(
        variant,
        &[&install[..], &["-U", &wheel, &tox, &pip]].concat(),
    );
    if let Some(poetry) = poetry(builder) {
        with_poetry(variant, poetry);
        return;
    }
    let files: Vec<String> = list(builder.get("requirements"))
        .iter()
        .map(|requirement| match requirement {
            Value::String(path) => path.clone(),
            other => {
                let destination = text(other.get("destination"));
                if destination.is_empty() {
                    text(other.get("source"))
                } else {
                    destination
                }
            }
        })
        .collect();
    let mut words = install.to_vec();
    if is_set(builder.get("no-deps")) {
        words.push("--no-deps");
    }
    for file in &files {
        words.extend(["-r", file]);
    }
    run(variant, &words);
}

fn with_poetry(variant: &mut Variant<'_>, poetry: &Value) {
    let place = "/opt/lib/poetry";
    variant.environment("POETRY_VIRTUALENVS_PATH", place);
    let version = text(poetry.get("version"));
    let package = pinned("poetry", &version);
    run(variant, &["python", "-m", "pip", "install", "-U", &package]);
    run(variant, &["mkdir", "-p", place]);
    let (only, without) = (text(poetry.get("only")), text(poetry.get("without")));
    let mut words = vec!["poetry", "install", "--no-root"];
    if !only.is_empty() {
        words.extend(["--only", &only]);
    }
    if !without.is_empty() {
        words.extend(["--without", &without]);
    }
    let digits = version.trim_start_matches(|c: char| !c.is_ascii_digit());
    if digits.starts_with("1.") && !is_set(poetry.get("devel")) {
        words.push("--no-dev");
    }
    run(variant, &words);
}
