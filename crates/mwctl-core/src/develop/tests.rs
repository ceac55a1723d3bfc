//! The edit loop against a simulated checkout, container and clock.

use proptest::prelude::*;

use super::*;
use crate::model::{Dependencies, Develop, OnChange};
use crate::tree;

fn rules() -> Rules {
    let dependencies = Dependencies {
        command: vec!["npm".into(), "install".into()],
        environment: BTreeMap::new(),
        inputs: vec!["package.json".into(), "**/*.c".into()],
        directories: vec!["node_modules".into()],
        lock_files: vec!["package-lock.json".into()],
    };
    let develop = Develop {
        directory: "/srv/service".into(),
        exclude: vec!["*.swp".into()],
        dependencies: Some(dependencies),
        restart: vec!["*.js".into()],
        rebuild: vec!["Dockerfile".into()],
        command: vec![],
        environment: BTreeMap::new(),
        in_place: false,
        mount: false,
        on_change: vec![OnChange {
            files: vec!["*.ts".into()],
            command: vec!["tsc".into()],
            environment: BTreeMap::new(),
        }],
        stop_timeout_ms: 1000,
    };
    Rules::new(&develop, &["tmp/".into()]).expect("the patterns are valid")
}

fn file(byte: u8) -> Node {
    Node::File {
        hash: [byte; 32],
        size: u64::from(byte),
        executable: false,
    }
}

fn set(paths: &[&str]) -> BTreeSet<String> {
    paths.iter().map(|path| (*path).to_owned()).collect()
}

/// A checkout and a container with the loop between them; time passes only when told.
struct World {
    state: State,
    now: Duration,
    checkout: Tree,
    container: Tree,
    wake: Option<Duration>,
    connected: bool,
    log: Vec<String>,
}

impl World {
    fn new(checkout: &[(&str, u8)]) -> Self {
        let checkout: Tree = checkout
            .iter()
            .map(|(path, byte)| ((*path).to_owned(), file(*byte)))
            .collect();
        Self {
            state: State::new(rules(), checkout.clone()),
            now: Duration::from_secs(10),
            container: Tree::new(),
            checkout,
            wake: None,
            connected: false,
            log: Vec::new(),
        }
    }

    fn event(&mut self, event: Event) {
        let effects = self.state.handle(event, self.now);
        for effect in effects {
            self.carry_out(effect);
        }
    }

    fn carry_out(&mut self, effect: Effect) {
        match effect {
            Effect::Read(paths) => {
                let found = paths
                    .into_iter()
                    .map(|path| {
                        let node = self.checkout.get(&path).cloned();
                        (path, node)
                    })
                    .collect();
                self.event(Event::Found(found));
            }
            Effect::Want { update } => {
                let difference = tree::difference(&self.container, self.state.desired());
                for path in &difference.delete {
                    self.container.remove(path);
                }
                self.log.push(format!("want {}", difference.put.len()));
                self.event(Event::Needed {
                    update,
                    paths: difference.put,
                });
            }
            Effect::Copy { put, delete, .. } => {
                self.log
                    .push(format!("copy {} {}", put.len(), delete.len()));
                self.container.extend(put);
                for path in delete {
                    self.container.remove(&path);
                }
            }
            Effect::Commit {
                dependencies,
                restart,
                ..
            } => self.log.push(format!(
                "commit{}{}",
                if dependencies { " dependencies" } else { "" },
                if restart { " restart" } else { "" },
            )),
            Effect::Rebuild(_) => self.log.push("rebuild".into()),
            Effect::Run(command) => self.log.push(format!("run {command}")),
            Effect::Wake(at) => self.wake = Some(at),
        }
    }

    fn connect(&mut self, started: bool) {
        self.connected = true;
        self.event(Event::Connected { started });
    }

    fn save(&mut self, path: &str, byte: u8) {
        self.checkout.insert(path.into(), file(byte));
        self.event(Event::Changed(set(&[path])));
    }

    fn remove(&mut self, path: &str) {
        self.checkout.remove(path);
        self.event(Event::Changed(set(&[path])));
    }

    fn pass(&mut self, milliseconds: u64) {
        let end = self.now + Duration::from_millis(milliseconds);
        while let Some(at) = self.wake.filter(|at| *at <= end) {
            self.wake = None;
            self.now = self.now.max(at);
            self.event(Event::Tick);
        }
        self.now = end;
    }

    fn take_log(&mut self) -> Vec<String> {
        std::mem::take(&mut self.log)
    }
}

#[test]
fn a_connection_brings_the_whole_tree_and_starts_the_process() {
    let mut world = World::new(&[("app.js", 1), ("package.json", 1)]);
    world.connect(false);
    assert_eq!(
        world.take_log(),
        ["want 2", "copy 2 0", "commit dependencies restart"]
    );
    assert_eq!(world.container, world.checkout);
}

#[test]
fn a_running_container_with_the_same_tree_is_left_alone() {
    let mut world = World::new(&[("app.js", 1)]);
    world.container = world.checkout.clone();
    world.connect(true);
    assert_eq!(world.take_log(), ["want 0", "commit"]);
}

#[test]
fn a_save_is_copied_at_once_and_restarts_when_the_batch_closes() {
    let mut world = World::new(&[("app.js", 1)]);
    world.connect(true);
    world.take_log();
    world.save("app.js", 2);
    assert_eq!(world.take_log(), ["copy 1 0"]);
    world.pass(8);
    assert_eq!(world.take_log(), ["commit restart"]);
}

#[test]
fn two_files_in_one_save_restart_once() {
    let mut world = World::new(&[("app.js", 1), ("lib.js", 1)]);
    world.connect(true);
    world.take_log();
    world.save("app.js", 2);
    world.pass(5);
    world.save("lib.js", 2);
    world.pass(40);
    assert_eq!(world.take_log(), ["copy 1 0", "copy 1 0", "commit restart"]);
}

#[test]
fn a_file_saved_with_the_same_content_does_nothing() {
    let mut world = World::new(&[("app.js", 1)]);
    world.connect(true);
    world.take_log();
    world.save("app.js", 1);
    world.pass(100);
    assert_eq!(world.take_log(), Vec::<String>::new());
}

#[test]
fn a_file_that_the_rules_do_not_name_is_copied_without_a_restart() {
    let mut world = World::new(&[("static/logo.svg", 1)]);
    world.connect(true);
    world.take_log();
    world.save("static/logo.svg", 2);
    world.pass(100);
    assert_eq!(world.take_log(), ["copy 1 0", "commit"]);
}

#[test]
fn a_pattern_of_inputs_means_files_at_any_depth_and_a_name_that_of_the_folder() {
    let rules = rules();
    for (path, expected) in [
        ("main.c", true),
        ("deep/er/main.c", true),
        ("package.json", true),
        ("deep/package.json", false),
    ] {
        assert_eq!(rules.is_dependency_input(path), expected, "{path}");
    }
}

#[test]
fn a_dependency_input_runs_the_dependency_step() {
    let mut world = World::new(&[("package.json", 1)]);
    world.connect(true);
    world.take_log();
    world.save("package.json", 2);
    world.pass(100);
    assert_eq!(
        world.take_log(),
        ["copy 1 0", "commit dependencies restart"]
    );
}

#[test]
fn a_command_of_this_machine_runs_once_for_a_batch_and_again_for_what_came_meanwhile() {
    let mut world = World::new(&[("a.ts", 1), ("b.ts", 1)]);
    world.connect(true);
    world.take_log();
    world.save("a.ts", 2);
    world.save("b.ts", 2);
    world.pass(100);
    assert_eq!(
        world.take_log(),
        ["copy 1 0", "copy 1 0", "run 0", "commit"]
    );
    world.save("a.ts", 3);
    world.pass(100);
    world.save("b.ts", 3);
    world.pass(100);
    assert!(!world.take_log().contains(&"run 0".to_owned()));
    world.event(Event::Ran(0));
    assert_eq!(world.take_log(), ["run 0"]);
    world.event(Event::Ran(0));
    assert_eq!(world.take_log(), Vec::<String>::new());
}

#[test]
fn a_command_of_this_machine_runs_for_edits_only_and_without_a_connection_too() {
    let mut world = World::new(&[("a.ts", 1)]);
    world.save("a.ts", 2);
    world.pass(100);
    assert_eq!(world.take_log(), ["run 0"]);
    world.event(Event::Ran(0));
    // The container lacks the file, but nobody has edited it since.
    world.connect(false);
    world.pass(100);
    assert_eq!(world.take_log(), ["want 1", "copy 1 0", "commit restart"]);
}

#[test]
fn what_the_container_generates_and_what_is_ignored_is_never_sent() {
    let mut world = World::new(&[("app.js", 1)]);
    world.connect(true);
    world.take_log();
    for path in [
        "node_modules/a/index.js",
        "app.js.swp",
        "tmp/cache",
        ".git/HEAD",
    ] {
        world.save(path, 9);
    }
    world.pass(100);
    assert_eq!(world.take_log(), Vec::<String>::new());
}

#[test]
fn a_removed_folder_removes_what_was_in_it() {
    let mut world = World::new(&[("lib/a.js", 1), ("lib/b.js", 1), ("library.js", 1)]);
    world.connect(true);
    world.take_log();
    world.checkout.retain(|path, _| !path.starts_with("lib/"));
    world.event(Event::Changed(set(&["lib"])));
    world.pass(100);
    assert_eq!(world.take_log(), ["copy 0 2", "commit restart"]);
    assert_eq!(world.container, world.checkout);
}

#[test]
fn a_save_that_truncates_first_is_shipped_once_and_whole() {
    let mut world = World::new(&[("app.js", 1)]);
    world.connect(true);
    world.take_log();
    world.save("app.js", 0);
    assert_eq!(world.take_log(), Vec::<String>::new());
    world.pass(3);
    world.save("app.js", 2);
    world.pass(100);
    assert_eq!(world.take_log(), ["copy 1 0", "commit restart"]);
}

#[test]
fn a_file_that_stays_empty_is_shipped_empty() {
    let mut world = World::new(&[("app.js", 1)]);
    world.connect(true);
    world.take_log();
    world.save("app.js", 0);
    world.pass(100);
    assert_eq!(world.take_log(), ["copy 1 0", "commit restart"]);
    assert_eq!(world.container, world.checkout);
}

#[test]
fn a_branch_switch_settles_and_becomes_one_update() {
    let names: Vec<String> = (0..200).map(|index| format!("lib/{index}.js")).collect();
    let mut world = World::new(&[]);
    for name in &names {
        world.checkout.insert(name.clone(), file(1));
    }
    world.state = State::new(rules(), world.checkout.clone());
    world.connect(true);
    world.take_log();
    for chunk in names.chunks(50) {
        for name in chunk {
            world.checkout.insert(name.clone(), file(2));
        }
        world.event(Event::Changed(chunk.iter().cloned().collect()));
        world.pass(10);
    }
    world.pass(200);
    assert_eq!(world.take_log(), ["copy 200 0", "commit restart"]);
}

#[test]
fn a_steady_writer_does_not_hold_a_batch_open_for_ever() {
    let mut world = World::new(&[("app.js", 1)]);
    world.connect(true);
    world.take_log();
    for step in 0..200_u8 {
        world.save("app.js", 2 + step % 100);
        world.pass(10);
    }
    let commits = world
        .log
        .iter()
        .filter(|line| line.starts_with("commit"))
        .count();
    assert!(commits >= 1, "nothing was committed in two seconds");
}

#[test]
fn edits_while_disconnected_arrive_at_the_next_connection() {
    let mut world = World::new(&[("app.js", 1), ("old.js", 1)]);
    world.connect(true);
    world.event(Event::Lost);
    world.take_log();
    world.save("app.js", 7);
    world.remove("old.js");
    world.pass(100);
    assert_eq!(world.take_log(), Vec::<String>::new());
    world.connect(true);
    assert_eq!(world.container, world.checkout);
    assert_eq!(world.take_log(), ["want 1", "copy 1 0", "commit restart"]);
}

#[test]
fn an_edit_during_the_comparison_is_part_of_the_update() {
    let mut state = State::new(rules(), Tree::from([("app.js".into(), file(1))]));
    let now = Duration::from_secs(1);
    let effects = state.handle(Event::Connected { started: true }, now);
    let [Effect::Want { update }] = effects[..] else {
        panic!("no comparison: {effects:?}")
    };
    state.handle(Event::Changed(set(&["app.js"])), now);
    state.handle(Event::Found(vec![("app.js".into(), Some(file(2)))]), now);
    let late = now + Duration::from_millis(500);
    state.handle(Event::Tick, late);
    let effects = state.handle(
        Event::Needed {
            update,
            paths: vec![],
        },
        late,
    );
    assert!(
        effects.iter().any(|effect| matches!(effect,
            Effect::Copy { put, .. } if *put == [("app.js".to_owned(), file(2))])),
        "{effects:?}"
    );
}

#[test]
fn a_file_that_changed_while_it_was_copied_is_looked_at_again() {
    let mut world = World::new(&[("app.js", 1)]);
    world.connect(true);
    world.save("app.js", 2);
    world.container.insert("app.js".into(), file(9));
    world.take_log();
    world.event(Event::Missed(vec!["app.js".into()]));
    assert_eq!(world.take_log(), ["copy 1 0"]);
    assert_eq!(world.container, world.checkout);
}

#[test]
fn a_lock_file_that_came_from_the_container_does_not_go_back() {
    let mut world = World::new(&[("app.js", 1)]);
    world.connect(true);
    world.take_log();
    world.container.insert("package.json".into(), file(7));
    world.event(Event::Taken("package.json".into(), file(7)));
    world.save("package.json", 7);
    world.pass(100);
    assert_eq!(world.take_log(), Vec::<String>::new());
}

#[test]
fn a_file_that_sync_cannot_express_asks_for_a_new_image() {
    let mut world = World::new(&[("Dockerfile", 1)]);
    world.connect(true);
    world.take_log();
    world.save("Dockerfile", 2);
    assert!(world.take_log().contains(&"rebuild".to_owned()));
}

#[derive(Clone, Debug)]
enum Deed {
    Save(u8, u8),
    Remove(u8),
    Pass(u8),
    Connect,
    Lose,
    NewContainer,
}

fn deed() -> impl Strategy<Value = Deed> {
    prop_oneof![
        4 => (0..6_u8, 0..5_u8).prop_map(|(path, byte)| Deed::Save(path, byte)),
        1 => (0..6_u8).prop_map(Deed::Remove),
        3 => (0..60_u8).prop_map(Deed::Pass),
        1 => Just(Deed::Connect),
        1 => Just(Deed::Lose),
        1 => Just(Deed::NewContainer),
    ]
}

proptest! {
    #[test]
    fn whatever_happens_the_container_ends_up_with_the_checkouts_files(
        deeds in proptest::collection::vec(deed(), 0..60),
    ) {
        let mut world = World::new(&[("0.js", 1), ("1.js", 1)]);
        for deed in deeds {
            match deed {
                Deed::Save(path, byte) => world.save(&format!("{path}.js"), byte),
                Deed::Remove(path) => world.remove(&format!("{path}.js")),
                Deed::Pass(milliseconds) => world.pass(u64::from(milliseconds)),
                Deed::Connect => world.connect(true),
                Deed::Lose => {
                    world.connected = false;
                    world.event(Event::Lost);
                }
                Deed::NewContainer => {
                    world.event(Event::Lost);
                    world.container = Tree::new();
                    world.connect(false);
                }
            }
        }
        if !world.connected {
            world.connect(true);
        }
        world.pass(3000);
        prop_assert_eq!(&world.container, &world.checkout);
        prop_assert_eq!(world.state.desired(), &world.checkout);
    }
}
