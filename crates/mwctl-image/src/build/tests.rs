//! Builds that run no program; those that do are tested with the real program.

use std::fs;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::Path;
use std::sync::Mutex;

use tempfile::TempDir;

use super::*;
use crate::digest::Digest;
use crate::image::Root;
use crate::import::ImportOptions;
use crate::owners::Owners;

mod told;

/// A store with a base, and a folder to be built.
struct Bench {
    folder: TempDir,
    store: Store,
    told: Mutex<Vec<Told>>,
}

impl Bench {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(&folder.path().join("store"), Owners::of_process()).unwrap();
        fs::create_dir(folder.path().join("context")).unwrap();
        let bench = Self {
            folder,
            store,
            told: Mutex::default(),
        };
        let mut archive = tar::Builder::new(Vec::new());
        for (name, content) in [
            (
                "etc/passwd",
                "root:x:0:0::/root:/bin/sh\nweb:x:33:33::/:/x\n",
            ),
            ("etc/group", "root:x:0:\nweb:x:33:\n"),
            ("usr/lib/x", "x"),
        ] {
            let mut header = tar::Header::new_ustar();
            header.set_size(content.len() as u64);
            header.set_mode(0o644);
            header.set_uid(0);
            header.set_gid(0);
            archive
                .append_data(&mut header, name, content.as_bytes())
                .unwrap();
        }
        let path = bench.folder.path().join("base.tar");
        fs::write(&path, archive.into_inner().unwrap()).unwrap();
        let options = ImportOptions {
            name: Some(Reference::parse("base").unwrap()),
            architecture: architecture().to_owned(),
        };
        bench.store.import(&path, &options).unwrap();
        bench
    }

    fn context(&self) -> Context {
        let folder = self.folder.path().join("context");
        Context {
            file: folder.join("Dockerfile"),
            folder,
        }
    }

    fn file(&self, path: &str, content: &str) {
        let path = self.folder.path().join("context").join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, content).unwrap();
    }

    fn with<T>(&self, text: &str, use_it: impl FnOnce(&Build<'_>) -> T) -> T {
        let arguments = BTreeMap::from([("GIVEN".to_owned(), "given".to_owned())]);
        let plan = crate::dockerfile::plan(text, None, &arguments).unwrap();
        let context = self.context();
        let build = Build {
            store: &self.store,
            plan: &plan,
            context: &context,
            arguments: &arguments,
            containers: None,
            cancel: &CancellationToken::new(),
            report: &|told| self.told.lock().unwrap().push(told),
        };
        use_it(&build)
    }

    fn make(&self, text: &str) -> Result<Digest, BuildError> {
        let name = Reference::parse("mwctl.local/made:1").unwrap();
        self.with(text, |build| {
            build.make(&name).map(|record| record.manifest)
        })
    }

    /// The layers, the topmost first.
    fn layers(&self) -> Vec<PathBuf> {
        let name = Reference::parse("mwctl.local/made:1").unwrap();
        match self.store.resolve(&name).unwrap().root {
            Root::Layers(mut layers) => {
                layers.reverse();
                layers
            }
            Root::Host(_) => panic!("not the host"),
        }
    }

    fn read(&self, path: &str) -> Option<String> {
        crate::view::View::new(self.layers()).read(path)
    }

    fn config(&self) -> Config {
        let name = Reference::parse("mwctl.local/made:1").unwrap();
        self.store.resolve(&name).unwrap().config
    }

    /// How many layers were made and not known.
    fn made(&self) -> usize {
        let told = std::mem::take(&mut *self.told.lock().unwrap());
        let made = told
            .iter()
            .filter(|it| matches!(it, Told::Done { cached: false, .. }));
        made.count()
    }
}

#[test]
fn settings_mean_what_they_mean_to_buildkit() {
    let bench = Bench::new();
    let text = "FROM base AS below\nENV A=1\nENTRYPOINT [\"/e\"]\nCMD [\"below\"]\n\
                FROM below\nENV A=2 B=$A C='$A'\nEXPOSE 7000-7002/UDP\nSHELL [\"/x\"]\n";
    bench.make(text).unwrap();
    let config = bench.config();
    let of = |name: &str| config.environment.iter().find(|(known, _)| known == name);
    assert_eq!(of("B").unwrap().1, "1");
    assert_eq!(of("C").unwrap().1, "$A");
    assert_eq!(config.command, ["below"]);
    let ports: Vec<u16> = config.ports.iter().map(|port| port.number).collect();
    assert_eq!(ports, [7000, 7001, 7002]);
    // The stage's own arguments stay, those of what is below it go.
    bench
        .make(&format!("{text}ENTRYPOINT [\"/other\"]\n"))
        .unwrap();
    assert!(bench.config().command.is_empty());
    let own = format!("{text}CMD [\"own\"]\nENTRYPOINT [\"/other\"]\n");
    bench.make(&own).unwrap();
    assert_eq!(bench.config().command, ["own"]);
}

#[test]
fn folders_are_copied_also_where_they_are_empty_and_with_the_mode_that_is_asked_for() {
    let bench = Bench::new();
    fs::create_dir(bench.folder.path().join("context/empty")).unwrap();
    bench.file("full/deep/a", "A");
    bench
        .make("FROM base\nCOPY empty /srv/new\nCOPY --chmod=710 full /srv/full\n")
        .unwrap();
    let view = crate::view::View::new(bench.layers());
    let mode = |path: &str| match view.find(Path::new(path)).1 {
        crate::view::Found::Folder(folders) => fs::metadata(&folders[0]).unwrap().mode() & 0o7777,
        _ => panic!("no folder {path}"),
    };
    assert_eq!(mode("/srv/new"), 0o755);
    assert_eq!(mode("/srv/full"), 0o710);
    assert_eq!(mode("/srv/full/deep"), 0o710);
}

#[test]
fn files_and_settings_get_into_the_image() {
    let bench = Bench::new();
    bench.file("a", "A");
    bench.file("src/b", "B");
    bench.file("src/skip.log", "no");
    bench.file(".dockerignore", "**/*.log\n");
    bench.make(
        "FROM base\nARG GIVEN=no\nENV X=$GIVEN PATH=/x:$PATH\nWORKDIR /srv/app\nCOPY a ./\nCOPY src lib/\n\
         COPY a /other/name\nCOPY s*/b /pattern/\nUSER web\nEXPOSE 80\nCMD [\"run\"]\nLABEL a=$X",
    )
    .unwrap();
    assert_eq!(bench.read("/srv/app/a").as_deref(), Some("A"));
    assert_eq!(bench.read("/srv/app/lib/b").as_deref(), Some("B"));
    assert_eq!(bench.read("/srv/app/lib/skip.log"), None);
    assert_eq!(bench.read("/other/name").as_deref(), Some("A"));
    assert_eq!(bench.read("/pattern/b").as_deref(), Some("B"));
    assert_eq!(bench.read("/usr/lib/x").as_deref(), Some("x"));
    let config = bench.config();
    assert!(config.environment.contains(&("X".into(), "given".into())));
    assert!(config.environment[0].1.starts_with("/x:/usr/local/sbin"));
    assert_eq!((&*config.directory, &*config.user), ("/srv/app", "web"));
    assert_eq!(config.command, ["run"]);
    assert_eq!(config.labels["a"], "given");
    assert_eq!(config.ports[0].number, 80);
}

#[test]
fn nothing_changed_makes_nothing_and_one_file_makes_one_layer_with_the_rest_linked() {
    let bench = Bench::new();
    for number in 0..20 {
        bench.file(&format!("src/{number}"), &number.to_string());
    }
    let text = "FROM base\nCOPY src /src/\nCOPY src/1 /one";
    let first = bench.make(text).unwrap();
    assert_eq!(bench.made(), 2);
    assert_eq!(bench.make(text).unwrap(), first);
    assert_eq!(bench.made(), 0);

    let before = fs::metadata(bench.layers()[1].join("src/7")).unwrap().ino();
    bench.file("src/3", "changed");
    let why = bench.with(text, |build| build.explain().unwrap());
    let why: Vec<_> = why.iter().filter_map(|it| it.why.as_deref()).collect();
    assert_eq!(why, ["changed: /src/3", "what comes before it isn't made"]);
    assert_ne!(bench.make(text).unwrap(), first);
    assert_eq!(bench.read("/src/3").as_deref(), Some("changed"));
    let after = fs::metadata(bench.layers()[1].join("src/7")).unwrap();
    assert_eq!(after.ino(), before, "an unchanged file was copied");
    bench.file("src/3", "3");
    assert_eq!(bench.make(text).unwrap(), first);
    assert_eq!(bench.made(), 2, "of the build before");
}

#[test]
fn two_machines_make_the_same_image() {
    let text = "FROM base\nCOPY . /srv/\nWORKDIR /new/folder";
    let make = |names: [&str; 3]| {
        let bench = Bench::new();
        for name in names {
            bench.file(name, name);
        }
        let program = bench.folder.path().join("context").join("b");
        fs::set_permissions(program, fs::Permissions::from_mode(0o755)).unwrap();
        bench.make(text).unwrap()
    };
    assert_eq!(make(["a", "b", "c/d"]), make(["c/d", "b", "a"]));
}

#[test]
fn stages_give_each_other_files() {
    let bench = Bench::new();
    bench.file("a", "A");
    bench
        .make(
            "FROM base AS one\nWORKDIR /w\nCOPY a made\nFROM base AS two\nCOPY a /two\n\
             FROM scratch\nCOPY --from=one /w /copied\nCOPY --from=two /two /usr/lib/x /all/\nCOPY --from=base /etc/pass* /etc/",
        )
        .unwrap();
    assert_eq!(bench.read("/copied/made").as_deref(), Some("A"));
    assert_eq!(bench.read("/all/x").as_deref(), Some("x"));
    assert!(bench.read("/etc/passwd").unwrap().contains("web"));
    assert_eq!(bench.read("/etc/group"), None);
}

#[test]
fn a_pattern_means_folders_too_and_of_them_what_they_contain() {
    let bench = Bench::new();
    for path in [
        "x/one",
        "x/d/two",
        "x/d/deep/three",
        "x/e/two.txt",
        "x/e/.hid",
    ] {
        bench.file(path, path);
    }
    let context = bench.folder.path().join("context");
    std::os::unix::fs::symlink("d", context.join("x/link")).unwrap();
    // The same of a stage and of the folder that is built.
    for (from, copy) in [
        ("FROM base AS a\nCOPY x /x\nFROM scratch", "COPY --from=a"),
        ("FROM scratch", "COPY"),
    ] {
        let copies = [
            "/x/* /all/",
            "/x/*/two /inner/",
            "/x/[e]*/* /x/none* /e",
            "/x/on? /y",
        ];
        let copies = copies.map(|it| format!("{copy} {it}\n")).concat();
        bench.make(&format!("{from}\nARG GIVEN\n{copies}")).unwrap();
        let there = |path: &str| bench.read(path).is_some();
        for path in [
            "/all/one",
            "/all/two",
            "/all/deep/three",
            "/all/two.txt",
            "/all/.hid",
        ] {
            assert!(there(path), "{copy} {path}");
        }
        assert!(!there("/all/d/two") && !there("/all/link"), "{copy}");
        assert_eq!(bench.read("/inner/two").as_deref(), Some("x/d/two"));
        assert!(
            there("/e/two.txt") && there("/e/.hid") && there("/y"),
            "{copy}"
        );
    }
    // What matches nothing is told, and is no mistake; a folder that isn't there is one.
    let told = std::mem::take(&mut *bench.told.lock().unwrap());
    let warned = told.into_iter().filter_map(|it| match it {
        Told::Warns { what } => Some(what),
        _ => None,
    });
    assert_eq!(
        warned.collect::<Vec<_>>(),
        [
            "line 7: `/x/none*` matches nothing",
            "line 5: `/x/none*` matches nothing"
        ]
    );
    // A link that is matched is followed, and has to lead somewhere.
    std::os::unix::fs::symlink("/nowhere", context.join("x/e/lost")).unwrap();
    let error = bench.make("FROM scratch\nCOPY x/e/* /y/").unwrap_err();
    let cause = std::error::Error::source(&error).unwrap().to_string();
    assert_eq!(cause, "`x/e/lost` isn't in the folder that is built");
    for copy in ["/none/*", "/x/[", "/x/none"] {
        let text = "FROM base AS a\nCOPY x /x\nFROM scratch\nCOPY --from=a";
        assert!(bench.make(&format!("{text} {copy} /y/")).is_err(), "{copy}");
    }
}

#[test]
fn what_is_left_out_as_a_whole_isnt_there() {
    let bench = Bench::new();
    for path in ["a/one", "b/two", "b/keep", "empty/x"] {
        bench.file(path, path);
    }
    std::os::unix::fs::symlink("a", bench.folder.path().join("context/link")).unwrap();
    bench.file(".dockerignore", "a\nb\n!b/keep\nempty/*\n");
    bench
        .make("FROM base\nCOPY b /b\nCOPY empty /empty\n")
        .unwrap();
    assert!(bench.read("/b/keep").is_some() && bench.read("/b/two").is_none());
    for source in ["a", "a/one", "a/*", "link", "./a/"] {
        let error = bench
            .make(&format!("FROM base\nCOPY {source} /r"))
            .unwrap_err();
        let cause = std::error::Error::source(&error).unwrap().to_string();
        assert_eq!(
            cause,
            format!("`{source}` isn't in the folder that is built: `.dockerignore` leaves it out")
        );
    }
}

#[test]
fn a_file_of_a_stage_goes_into_a_folder_or_becomes_it() {
    let bench = Bench::new();
    let copy = |place: &str| format!("FROM scratch\nCOPY --from=base /usr/lib/x {place}\n");
    bench.make(&copy("/y")).unwrap();
    assert_eq!(bench.read("/y").as_deref(), Some("x"));
    bench.make(&copy("/y/")).unwrap();
    assert_eq!(bench.read("/y/x").as_deref(), Some("x"));
}

#[test]
fn what_is_added_is_judged_by_what_is_in_it() {
    let bench = Bench::new();
    bench.file("plain.gz", "text");
    fs::copy(
        bench.folder.path().join("base.tar"),
        bench.folder.path().join("context/noext"),
    )
    .unwrap();
    bench
        .make("FROM base\nADD plain.gz /a/\nCOPY noext /b\n")
        .unwrap();
    assert_eq!(bench.read("/a/plain.gz").as_deref(), Some("text"));
    for (text, what) in [
        ("ADD noext /b/", "`ADD noext` (an archive) isn't built here"),
        ("ADD * /b/", "`ADD noext` (an archive) isn't built here"),
        (
            "ARG URL=https://x.org/a\nADD $URL /b/",
            "`ADD https://x.org/a` (a download) isn't built here",
        ),
    ] {
        let error = bench.make(&format!("FROM base\n{text}")).unwrap_err();
        let line = text.lines().count() + 1;
        assert!(
            error.to_string().ends_with(&format!("(line {line})")),
            "{error}"
        );
        assert!(error.hints()[0].contains("BuildKit"));
        let cause = std::error::Error::source(&error).unwrap().to_string();
        assert_eq!(cause, what);
    }
}

#[test]
fn an_argument_that_the_file_doesnt_ask_for_is_told() {
    let bench = Bench::new();
    let warned = |text: &str| {
        bench.make(text).unwrap();
        let told = std::mem::take(&mut *bench.told.lock().unwrap());
        told.into_iter().find_map(|it| match it {
            Told::Warns { what } if what.contains("argument") => Some(what),
            _ => None,
        })
    };
    assert_eq!(
        warned("ARG A\nFROM base\nARG B").as_deref(),
        Some("the file doesn't ask for the argument `GIVEN`; it asks for A, B")
    );
    assert_eq!(warned("FROM base AS other\nARG GIVEN\nFROM base"), None);
}

#[test]
fn that_owners_are_lost_is_told_with_what_helps() {
    let bench = Bench::new();
    bench.file("a", "A");
    let single = bench.folder.path().join("single");
    let single = Store::open(&single, Owners::Single).unwrap();
    let warned = Mutex::new(Vec::new());
    let text = "FROM scratch\nCOPY --chown=9 a /a\nCOPY --chown=8 a /b\n";
    bench.with(text, |build| {
        let build = Build {
            store: &single,
            arguments: &BTreeMap::new(),
            report: &|told| {
                if let Told::Warns { what } = told {
                    warned.lock().unwrap().push(what);
                }
            },
            ..*build
        };
        build
            .make(&Reference::parse("mwctl.local/made:1").unwrap())
            .unwrap();
    });
    let warned = warned.into_inner().unwrap();
    assert_eq!(warned.len(), 1, "{warned:?}");
    assert!(warned[0].contains("usermod --add-subuids"), "{warned:?}");
}

#[test]
fn another_step_in_the_place_of_one_is_told_as_such() {
    let bench = Bench::new();
    bench.file("a", "A");
    bench.make("FROM base\nCOPY a /a\n").unwrap();
    let why = |text: &str| {
        let steps = bench.with(text, |build| build.explain().unwrap());
        steps.into_iter().find_map(|step| step.why)
    };
    assert_eq!(
        why("FROM base\nWORKDIR /srv/new\n").as_deref(),
        Some("another step than last time: `COPY a /a`")
    );
    bench.file("a", "B");
    assert_eq!(
        why("FROM base\nCOPY a /a\n").as_deref(),
        Some("changed: /a")
    );
}

#[test]
fn owners_and_modes_are_those_that_were_asked_for() {
    let bench = Bench::new();
    bench.file("a", "A");
    bench
        .make("FROM base\nCOPY --chown=web:0 --chmod=0600 a /a")
        .unwrap();
    let data = fs::metadata(bench.layers()[0].join("a")).unwrap();
    assert_eq!(data.mode() & 0o777, 0o600);
    if bench.store.owners() != Owners::Single {
        assert_eq!((data.uid(), data.gid()), (33, 0));
    }
    let error = bench
        .make("FROM base\nCOPY --chown=nobody a /a")
        .unwrap_err();
    let cause = std::error::Error::source(&error).unwrap().to_string();
    assert_eq!(cause, "the image has no user `nobody`");
    let error = bench
        .make("FROM base\nARG U\nCOPY --chown=$U:1 a /a")
        .unwrap_err();
    let cause = std::error::Error::source(&error).unwrap().to_string();
    assert_eq!(
        cause,
        "the owner `$U` is empty: its variable isn't set, or says nothing"
    );
    assert!(error.to_string().ends_with("(line 3)"));
}

#[test]
fn blubbers_accounts_and_folders_need_no_program() {
    let bench = Bench::new();
    bench.file("a", "A");
    let text = "version: v4\nbase: base\nvariants: {prod: {copies: [local], entrypoint: [/run]}}";
    let plan = crate::blubber::Blubber::read(text)
        .unwrap()
        .plan("prod")
        .unwrap();
    let context = bench.context();
    let build = Build {
        store: &bench.store,
        plan: &plan,
        context: &context,
        arguments: &BTreeMap::from([("LIVES_UID".to_owned(), "4444".to_owned())]),
        containers: None,
        cancel: &CancellationToken::new(),
        report: &|_| {},
    };
    build
        .make(&Reference::parse("mwctl.local/made:1").unwrap())
        .unwrap();
    let passwd = bench.read("/etc/passwd").unwrap();
    assert!(passwd.contains("somebody:x:4444:65533::/home/somebody:"));
    assert!(passwd.contains("runuser:x:900:900:"));
    assert_eq!(bench.read("/srv/app/a").as_deref(), Some("A"));
    let config = bench.config();
    assert_eq!((&*config.user, &*config.directory), ("900", "/srv/app"));
    assert_eq!(config.entrypoint, ["/run"]);
    assert!(
        config
            .environment
            .contains(&("HOME".into(), "/home/runuser".into()))
    );
}

#[test]
fn nothing_outside_of_the_folder_is_copied() {
    let bench = Bench::new();
    let outside = tempfile::tempdir().unwrap();
    fs::write(outside.path().join("secret"), "x").unwrap();
    let link = bench.folder.path().join("context/out");
    std::os::unix::fs::symlink(outside.path(), link).unwrap();
    for source in ["out/secret", "out", "../base.tar", "missing"] {
        let refused = bench.make(&format!("FROM base\nCOPY {source} /x"));
        assert!(matches!(refused, Err(BuildError::Step { .. })), "{source}");
    }
    // Within a folder a link stays a link.
    bench.make("FROM base\nCOPY . /all/").unwrap();
    let copied = bench.layers()[0].join("all/out");
    assert!(fs::symlink_metadata(copied).unwrap().is_symlink());
}

#[test]
fn links_of_the_base_are_followed() {
    let bench = Bench::new();
    bench.file("link/a", "A");
    let context = bench.folder.path().join("context");
    std::os::unix::fs::symlink("usr/lib", context.join("lib")).unwrap();
    bench
        .make("FROM base AS one\nCOPY . /\nFROM one\nCOPY link/a /lib/new")
        .unwrap();
    assert_eq!(bench.read("/usr/lib/new").as_deref(), Some("A"));
}

#[test]
fn a_base_that_cant_be_had_is_told() {
    let bench = Bench::new();
    let missing = bench.make("FROM nothing:1").unwrap_err();
    assert!(matches!(missing, BuildError::NoBase(_)));
    let host = bench.make("FROM mwctl.local/host").unwrap_err();
    assert!(matches!(host, BuildError::Host));
    let run = bench.make("FROM base\nRUN x").unwrap_err();
    assert!(matches!(run, BuildError::Step { .. }));
}

#[test]
fn what_builds_remember_goes_when_all_is_to_go() {
    let bench = Bench::new();
    bench.file("a", "A");
    bench.make("FROM base\nCOPY a /a").unwrap();
    let name = Reference::parse("mwctl.local/made:1").unwrap();
    bench.store.remove(&name).unwrap();
    assert_eq!(bench.store.collect(false).unwrap().layers, 0);
    assert_eq!(bench.store.collect(true).unwrap().layers, 1);
    bench.make("FROM base\nCOPY a /a").unwrap();
    assert_eq!(bench.read("/a").as_deref(), Some("A"));
}
