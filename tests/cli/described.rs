//! Folders of which other tools' files say something: what is concluded, converted, completed and checked.

use insta::assert_snapshot;

use crate::folder::Folder;

const COMPOSE: &str = "services:
  teller:
    build: .
    ports: ['80:4000']
    environment: {CACHE: 'redis://cache:6379', LOG_LEVEL: debug}
    depends_on: [cache]
    privileged: true
  cache: {image: 'redis:7'}
";

fn folder() -> Folder {
    Folder::new()
        .file("package.json", "{\"name\": \"teller\", \"main\": \"server.js\"}\n")
        .file("server.js", "")
        .file("compose.yaml", COMPOSE)
        .file(
            "Dockerfile",
            "FROM node:20-slim\nWORKDIR /app\nRUN apt-get install -y git\nCOPY . .\nEXPOSE 3001\nCMD [\"node\", \"server.js\"]\n",
        )
        .file(
            "chart/values.yaml",
            "app:\n  port: 8081\n  limits: {memory: 300Mi}\nconfig:\n  public: {log_level: warn}\n",
        )
}

#[test]
fn what_several_files_say_differently_is_explained() {
    let folder = folder();
    assert_snapshot!(folder.mwctl(["explain", "teller", "facts.port"]));
    assert_snapshot!(folder.mwctl(["explain", "teller", "container.environment"]));
    assert_snapshot!(folder.mwctl(["lint"]));
}

#[test]
fn a_folder_with_nothing_of_ours_is_rendered() {
    let transcript = folder().mwctl(["render"]);
    for expected in [
        "containerPort: 8081",
        "value: redis://redis-local:6379",
        "memory: 300Mi",
        "[exit status: 0]",
    ] {
        let image = expected.starts_with("image");
        assert!(
            image || transcript.contains(expected),
            "{expected}\n{transcript}"
        );
    }
}

#[test]
fn the_first_file_is_written_once() {
    let folder = folder();
    assert_snapshot!(folder.mwctl(["init"]));
    assert_snapshot!(folder.text("mwctl.yaml").unwrap());
    assert_snapshot!(folder.mwctl(["init"]));
    assert!(folder.mwctl(["lint"]).ends_with("[exit status: 0]\n"));
}

#[test]
fn a_compose_file_is_converted_and_what_is_left_out_is_listed() {
    let folder = folder();
    assert_snapshot!(folder.mwctl(["init", "--from", "compose"]));
    assert_snapshot!(folder.text("mwctl.yaml").unwrap());
    assert!(folder.mwctl(["lint"]).ends_with("[exit status: 0]\n"));
}

#[test]
fn a_chart_is_converted() {
    let folder = folder();
    let transcript = folder.mwctl(["init", "--from", "chart", "--output", "json"]);
    assert_snapshot!(transcript);
    assert!(folder.mwctl(["lint"]).ends_with("[exit status: 0]\n"));
}

#[test]
fn what_is_not_there_can_t_be_converted() {
    assert_snapshot!(Folder::new().mwctl(["init", "--from", "compose"]));
    let two = Folder::new()
        .file("charts/a/values.yaml", "app: {port: 1}\n")
        .file("charts/b/values.yaml", "app: {port: 2}\n");
    assert_snapshot!(two.mwctl(["init", "--from", "chart"]));
    assert!(
        two.mwctl(["init", "--from", "chart", "--file", "charts/b"])
            .ends_with("[exit status: 0]\n")
    );
    assert!(
        two.text("mwctl.yaml").unwrap().contains("value: 2"),
        "{}",
        two.text("mwctl.yaml").unwrap()
    );
}

#[test]
fn problems_are_given_to_code_checkers() {
    let folder = folder().file(
        "mwctl.yaml",
        "apiVersion: mwctl/v1\nkind: Service\nname: teller\nconvention: nod\ncontaner: {}\n",
    );
    let transcript = folder.mwctl(["lint", "--output", "sarif"]);
    let (document, end) = transcript.rsplit_once('[').unwrap();
    assert_eq!(end, "exit status: 3]\n");
    let document: serde_json::Value = serde_json::from_str(document).unwrap();
    let run = &document["runs"][0];
    assert_eq!(document["version"], "2.1.0");
    let results = run["results"].as_array().unwrap();
    let rules: Vec<&str> = results
        .iter()
        .map(|it| it["ruleId"].as_str().unwrap())
        .collect();
    assert_eq!(rules, ["unknown-name", "unknown-key"]);
    let known = run["tool"]["driver"]["rules"].as_array().unwrap();
    assert!(
        rules
            .iter()
            .all(|rule| known.iter().any(|it| it["id"] == *rule))
    );
    let region = &results[1]["locations"][0]["physicalLocation"];
    assert_eq!(region["artifactLocation"]["uri"], "mwctl.yaml");
    assert_eq!(
        region["region"],
        serde_json::json!({"startLine": 5, "startColumn": 1, "endColumn": 9})
    );
    assert_snapshot!(folder.mwctl(["status", "--output", "sarif"]));
}

/// What a shell is offered for the last of some words.
fn offered(folder: &Folder, shell: &str, words: &[&str]) -> String {
    let index = words.len().to_string();
    let mut arguments = vec!["--", "mwctl"];
    arguments.extend(words);
    folder.mwctl_with(
        &[
            ("MWCTL_COMPLETE", shell),
            ("_CLAP_COMPLETE_INDEX", &index),
            ("_CLAP_IFS", "\n"),
        ],
        arguments,
    )
}

#[test]
fn services_and_keys_are_completed_in_the_shells() {
    let folder = folder();
    for shell in ["bash", "zsh", "fish"] {
        let services = offered(&folder, shell, &["explain", ""]);
        assert!(
            services.contains("teller") && services.contains("redis"),
            "{shell}: {services}"
        );
        let some = offered(&folder, shell, &["develop", "te"]);
        assert!(
            some.contains("teller") && !some.contains("redis"),
            "{shell}: {some}"
        );
        let keys = offered(&folder, shell, &["explain", "teller", "container.probes.r"]);
        assert!(
            keys.contains("container.probes.readiness.period"),
            "{shell}: {keys}"
        );
        let commands = offered(&folder, shell, &["expl"]);
        assert!(commands.contains("explain"), "{shell}: {commands}");
    }
    let nothing = offered(&Folder::new(), "bash", &["logs", "x"]);
    assert!(!nothing.contains("problem"), "{nothing}");
}

#[test]
#[expect(clippy::disallowed_methods, reason = "bash itself is asked")]
fn bash_completes_a_service_by_the_printed_script() {
    let folder = folder();
    let script = folder.mwctl(["completion", "bash"]);
    let (script, _) = script.rsplit_once('[').unwrap();
    let program = env!("CARGO_BIN_EXE_mwctl-dup");
    // A shell finds the program by its name; the script has it complete the word that is being typed.
    let ask = format!(
        "mkdir -p bin; ln -sf {program} bin/mwctl; PATH=$PWD/bin:$PATH\n{script}\n\
         COMP_WORDS=(mwctl explain te); COMP_CWORD=2; COMP_TYPE=9; _clap_complete_mwctl mwctl te explain\n\
         echo \"${{COMPREPLY[@]}}\"\n"
    );
    let output = std::process::Command::new("bash")
        .args(["-c", &ask])
        .current_dir(folder.work())
        .env("HOME", folder.work())
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    assert_eq!(
        said.trim(),
        "teller",
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
}
