//! Builds whose steps run programs, from a base of this machine's own programs.

use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use crate::archive;
use crate::program::{Home, files};

fn home() -> Home {
    let home = Home::new();
    archive::write_system(&home.path("system.tar"));
    home.answer(["image", "import", "--name", "system:1", "system.tar"]);
    home
}

/// The folder of the layer that a file is in, the topmost first.
fn find(home: &Home, image: &str, file: &str) -> Option<PathBuf> {
    let details = home.answer(["image", "inspect", image]);
    let layers = details["layers"].as_array().unwrap().iter().rev();
    let mut places = layers.map(|layer| Path::new(layer["folder"].as_str().unwrap()).join(file));
    places.find(|place| std::fs::symlink_metadata(place).is_ok())
}

fn read(home: &Home, image: &str, file: &str) -> String {
    let place = find(home, image, file).unwrap_or_else(|| panic!("no {file}"));
    std::fs::read_to_string(place).unwrap()
}

#[test]
fn a_dockerfiles_programs_write_layers_and_leave_no_trace_of_mounts() {
    let home = home();
    home.write("service/given/file", "given");
    home.write(
        "service/Dockerfile",
        "FROM system:1 AS tools\nRUN echo made by $WHO > /made && chmod 4755 /made\n\
         FROM system:1\nARG WHO=nobody\nENV WHO=$WHO\nWORKDIR /srv\nCOPY --from=tools /made ./\n\
         RUN --mount=type=cache,target=/cache echo once >> /cache/count && cat /cache/count > count\n\
         RUN --mount=type=bind,source=given,target=/given cat /given/file > seen && rm /given/file\n\
         RUN --mount=type=bind,source=given/file,target=/alone cat /alone > alone\n\
         RUN --mount=type=bind,from=tools,source=/made,target=/made cat /made > copied\n\
         RUN id > id; rm -r /etc/group; echo $SOURCE_DATE_EPOCH > epoch; ls / > root\n",
    );
    let build = ["build", "service", "--arg", "WHO=me"];
    let first = home.answer(build)["items"][0]["manifest"].clone();
    let image = "mwctl.local/service:image";
    assert_eq!(read(&home, image, "srv/made"), "made by\n");
    let made = find(&home, image, "srv/made").unwrap();
    assert_eq!(std::fs::metadata(made).unwrap().mode() & 0o7777, 0o4755);
    assert_eq!(read(&home, image, "srv/count"), "once\n");
    assert_eq!(read(&home, image, "srv/seen"), "given");
    assert_eq!(read(&home, image, "srv/alone"), "given");
    assert_eq!(read(&home, image, "srv/copied"), "made by\n");
    assert_eq!(read(&home, image, "srv/epoch"), "0\n");
    assert!(read(&home, image, "srv/id").starts_with("uid=0(root) gid=0(root)"));
    let deleted = find(&home, image, "etc/group").unwrap();
    assert_eq!(std::fs::symlink_metadata(deleted).unwrap().rdev(), 0);
    for trace in [
        "cache",
        "given",
        "alone",
        "made",
        "proc",
        "dev",
        "run",
        "etc/resolv.conf",
        "etc/hosts",
    ] {
        assert_eq!(find(&home, image, trace), None, "{trace}");
    }
    let given = home.path("service/given/file");
    assert_eq!(std::fs::read_to_string(given).unwrap(), "given");

    // Known, the second time; without what is known, the same.
    assert_eq!(home.answer(build)["items"][0]["manifest"], first);
    assert_eq!(read(&home, image, "srv/count"), "once\n");
    home.answer(["image", "remove", image]);
    home.answer(["image", "prune", "--all"]);
    assert_eq!(home.answer(build)["items"][0]["manifest"], first);
    let left = files(&home.store().join("work"));
    assert!(left.is_empty(), "{left:?}");
}

#[test]
fn what_files_for_other_engines_take_for_granted_is_so() {
    let home = home();
    home.write("service/noext", "");
    std::fs::copy(home.path("system.tar"), home.path("service/noext")).unwrap();
    home.write(
        "service/Dockerfile",
        "FROM --platform=$BUILDPLATFORM system:1 AS Tools\nARG TARGETARCH\n\
         RUN mkdir -p /x/d && echo 1 > /x/one && echo $((1<<1)) > /x/d/two && echo $TARGETARCH > /x/arch\n\
         FROM system:1\nCOPY --from=tools /x/* /y/\nCOPY --from=TOOLS /x/*/two /x/none* /inner/\n",
    );
    let warned = home.told(["build", "service", "--arg", "NOPE=1"]);
    for words in [
        "warning: the file doesn't ask for the argument `NOPE`; it asks for TARGETARCH",
        "warning: line 6: `/x/none*` matches nothing",
    ] {
        assert!(warned.contains(words), "{warned}");
    }
    let image = "mwctl.local/service:image";
    assert_eq!(read(&home, image, "y/one"), "1\n");
    assert_eq!(read(&home, image, "y/two"), "2\n");
    assert_eq!(read(&home, image, "inner/two"), "2\n");
    assert_eq!(find(&home, image, "y/d"), None);
    let machine = if cfg!(target_arch = "aarch64") {
        "arm64"
    } else {
        "amd64"
    };
    assert_eq!(read(&home, image, "y/arch"), format!("{machine}\n"));

    for (text, told) in [
        ("ADD noext /", "`ADD noext` (an archive) isn't built here"),
        ("RUN <<EOF\necho\nEOF", "`RUN <<` (a text within the file)"),
        (
            "USER nobody-here\nRUN x",
            "the image has no account `nobody-here`",
        ),
    ] {
        home.write("service/Dockerfile", &format!("FROM system:1\n{text}\n"));
        let failed = home.failure(["build", "service"]);
        assert!(failed.contains(told), "{failed}");
    }
}

#[test]
fn a_variant_of_a_blubber_file_is_built_as_its_users() {
    let home = home();
    home.write("service/package.json", "{}");
    home.write("service/src/a", "A");
    home.write(
        "service/.pipeline/blubber.yaml",
        "version: v4\nbase: system:1\nlives: {in: /srv/service}\nruns: {environment: {GREETING: hello}}\n\
         variants:\n  build:\n    builders:\n      - custom: {requirements: [package.json], command: 'echo $GREETING $unknown > built; id >> built'}\n\
         \x20     - custom: {script: 'for i in 1 2; do echo $i; done > script', caches: [/var/cache/x]}\n\
         \x20   copies: [{from: local, source: src}]\n\
         \x20 production: {copies: [build], entrypoint: [/bin/cat, built]}\n",
    );
    home.answer(["build", "service"]);
    let image = "mwctl.local/service:production";
    let built = read(&home, image, "srv/service/built");
    assert!(
        built.starts_with("hello\nuid=65533(somebody) gid=65533(somebody)"),
        "{built}"
    );
    assert_eq!(read(&home, image, "srv/service/script"), "1\n2\n");
    assert_eq!(read(&home, image, "srv/service/src/a"), "A");
    let details = home.answer(["image", "inspect", image]);
    assert_eq!(details["config"]["user"], "900");
    assert_eq!(details["config"]["directory"], "/srv/service");
    assert_eq!(details["config"]["labels"]["blubber.variant"], "production");
}

#[test]
fn a_step_that_fails_is_shown_with_its_last_lines_and_makes_nothing() {
    let home = home();
    home.write(
        "service/Dockerfile",
        "FROM system:1\n\nRUN echo first; echo last >&2; exit 7\n",
    );
    let text = home.failure(["build", "service"]);
    assert!(text.contains("cannot build `0`: RUN echo first"), "{text}");
    assert!(
        text.contains("it ended with exit code 7, after it wrote:"),
        "{text}"
    );
    assert!(text.contains("first\nlast"), "{text}");
    let [log] = files(&home.store().join("logs")).try_into().unwrap();
    assert!(text.contains(&format!("less {}", log.display())), "{text}");
    let kept =
        "# 0: RUN echo first; echo last >&2; exit 7\nfirst\nlast\n# it ended with exit code 7\n";
    assert_eq!(std::fs::read_to_string(log).unwrap(), kept);
    let images = home.answer(["image", "list"]);
    assert_eq!(images["items"].as_array().unwrap().len(), 1);
    let steps = std::fs::read_dir(home.store().join("steps")).unwrap();
    assert_eq!(steps.count(), 0);
}

#[test]
fn what_a_program_wrote_is_kept_without_secrets_also_when_the_build_is_killed() {
    let home = home();
    home.write(
        "service/Dockerfile",
        "FROM system:1\nARG NPM_TOKEN\nRUN echo known $NPM_TOKEN $http_proxy; printf half; exec sleep 1000\n",
    );
    let kept = || {
        let logs = files(&home.store().join("logs"));
        let texts = logs.iter().map(std::fs::read_to_string);
        texts.map(Result::unwrap).collect::<String>()
    };
    let proxy = "http_proxy=http://me:word%21@proxy:1";
    let given = ["--arg", "NPM_TOKEN=abcdef", "--arg", proxy];
    let mut build = home.spawn(["build", "service"].into_iter().chain(given));
    while !kept().ends_with("half") {
        assert!(build.try_wait().unwrap().is_none(), "it ended: {}", kept());
        std::thread::yield_now();
    }
    build.kill().unwrap();
    build.wait().unwrap();
    let kept = kept();
    assert!(
        kept.ends_with("\nknown … http://me:…@proxy:1\nhalf"),
        "{kept}"
    );
    home.answer(["image", "prune", "--all"]);
    assert!(files(&home.store().join("logs")).is_empty());
}

#[test]
fn a_shell_is_opened_where_a_step_failed() {
    let home = home();
    home.write(
        "service/Dockerfile",
        "FROM system:1\nENV WORD=known\nWORKDIR /srv\nRUN echo half > made && false\n",
    );
    // Whoever has no terminal is told so, and nothing is built.
    let refused = home.failure(["build", "service", "--shell-on-failure"]);
    assert!(refused.contains("needs a terminal"), "{refused}");
    let keys = "echo $WORD in $PWD has $(cat made); test -t 0 && echo at a $TERM\nexit\n";
    let shown = home.at_terminal("build service --shell-on-failure", keys);
    assert!(shown.contains("known in /srv has half"), "{shown}");
    assert!(shown.contains("at a xterm"), "{shown}");
    assert!(shown.contains("ended with exit code 1"), "{shown}");
    let images = home.answer(["image", "list"]);
    assert_eq!(images["items"].as_array().unwrap().len(), 1, "{images}");
}

#[test]
fn programs_see_the_machines_network_or_none_as_is_configured() {
    let home = home();
    let look = "x=$(ls -l /proc/self/ns/net); echo ${x##*> }";
    let up = "case $(cat /proc/net/fib_trie) in *127.0.0.1*) echo up > up;; esac";
    let text = format!(
        "FROM system:1\nRUN {look} > all\nRUN --network=none {look} > none; {up}; test ! -s /etc/resolv.conf\n"
    );
    home.write("service/Dockerfile", &text);
    let image = "mwctl.local/service:image";
    let of_machine = std::fs::read_link("/proc/self/ns/net").unwrap();
    let is_machines = |file: &str| read(&home, image, file).trim() == of_machine.to_str().unwrap();
    home.answer(["build", "service"]);
    assert!(is_machines("all") && !is_machines("none"));
    assert_eq!(read(&home, image, "up"), "up\n");

    // For the whole build, by the command line and by the description; the second time it is known.
    home.answer(["build", "service", "--network", "none"]);
    assert!(!is_machines("all"));
    home.answer(["build", "service"]);
    assert!(is_machines("all"));
    home.write(
        "service/mwctl.yaml",
        "apiVersion: mwctl/v1\nkind: Stack\nname: s\nservices:\n  one: {source: {path: .}, container: {build: {file: Dockerfile, network: none}}}\n",
    );
    let described = ["-C", "service", "build", "one", "--explain"];
    for typed in [&[][..], &["--network", "host"]] {
        let steps = home.answer(described.iter().chain(typed).copied());
        let mut known = steps["items"].as_array().unwrap().iter();
        assert!(
            known.all(|step| step["cached"] != false),
            "{typed:?}: {steps}"
        );
    }
}

#[test]
fn a_way_out_leads_neither_to_this_machine_nor_to_its_network() {
    let home = home();
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let here = listener.local_addr().unwrap();
    // As any client of a proxy asks; the shell knows no other.
    let ask = format!(
        "exec 3<> /dev/tcp/127.0.0.1/3128; printf 'GET http://{here}/ HTTP/1.1\\r\\nHost: {here}\\r\\n\\r\\n' >&3; read -r line <&3; echo \"$line\" > answer; echo $http_proxy > proxy"
    );
    let look = "x=$(ls -l /proc/self/ns/net); echo ${x##*> } > network";
    let text = format!(
        "FROM system:1\nSHELL [\"/bin/bash\", \"-c\"]\nRUN {ask}; {look}\nRUN --network=none echo ${{http_proxy:-none}} > none\n"
    );
    home.write("service/Dockerfile", &text);
    let shown = home.told(["build", "service", "--network", "relay"]);
    assert!(
        shown.contains(&format!("mwctl: {here} isn't reached")),
        "{shown}"
    );
    let read = |file| read(&home, "mwctl.local/service:image", file);
    assert_eq!(read("answer").trim(), "HTTP/1.1 403 Forbidden");
    assert_eq!(read("proxy"), "http://127.0.0.1:3128\n");
    assert_eq!(read("none"), "none\n");
    let of_machine = std::fs::read_link("/proc/self/ns/net").unwrap();
    assert_ne!(read("network").trim(), of_machine.to_str().unwrap());
    listener.set_nonblocking(true).unwrap();
    assert!(listener.accept().is_err(), "nobody came through");
    // Another engine has nothing of that kind.
    let refused = home.failure([
        "build",
        "service",
        "--network",
        "relay",
        "--engine",
        "docker",
    ]);
    assert!(
        refused.contains("docker has no network `relay`"),
        "{refused}"
    );
}

#[test]
fn mistakes_of_a_file_are_shown_with_their_lines() {
    let home = home();
    home.write("service/Dockerfile", "FROM system:1\nRUN <<EOF\nx\nEOF\n");
    let text = home.failure(["build", "service"]);
    assert!(text.contains("service/Dockerfile:2"), "{text}");
    assert!(text.contains("isn't built here"), "{text}");
    home.write(
        "blubber/blubber.yaml",
        "version: v4\nbasse: x\nvariants: {ab: {}}\n",
    );
    let text = home.failure(["build", "blubber"]);
    assert!(text.contains("blubber.yaml:2"), "{text}");
    assert!(text.contains("blubber.yaml:3"), "{text}");
}
