//! A store on disk, as its user's machine treats it: its process is killed wherever it is, and what it acknowledged is there afterwards.

#![expect(clippy::unwrap_used, reason = "what fails here fails the test")]

use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader, Write as _};
use std::path::Path;
use std::process::{Command, Stdio};

use mwctl_apiserver::server::{OpenServer, Server};
use mwctl_apiserver::storage::{GroupResource, Key, OpenStore, Query, Store};
use serde_json::{Value, json};

/// Where the writer writes; the test runs itself once more with this set.
const FOLDER: &str = "MWCTL_TEST_WRITER";

/// A snapshot is due after so many bytes, so that every round sees some.
const SHORT: u64 = 20_000;

fn maps() -> GroupResource {
    GroupResource::new("", "configmaps")
}

/// Numbers that look like chance and are the same each time.
struct Chance(u64);

impl Chance {
    fn below(&mut self, most: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % most
    }
}

/// The number that an object holds says all about it.
fn value(key: &str, number: u64) -> Value {
    let size = (number * 37 % 3000) as usize;
    json!({"metadata": {"namespace": "n", "name": key}, "number": number, "filler": "x".repeat(size)})
}

fn numbers(store: &Store) -> BTreeMap<String, u64> {
    let page = store.list(&maps(), &Query::all()).unwrap();
    let mut numbers = BTreeMap::new();
    for object in page.objects {
        let number = object.value()["number"].as_u64().unwrap();
        let mut whole = value(object.name(), number);
        whole["metadata"]["resourceVersion"] = json!(object.revision().to_string());
        assert_eq!(object.value(), &whole, "an object is torn");
        numbers.insert(object.name().to_owned(), number);
    }
    numbers
}

/// The program that is killed: says what it is about to do, does it, says that it is done.
#[test]
#[ignore = "is a part of the test below, which starts it"]
#[expect(
    clippy::disallowed_methods,
    reason = "whoever starts it says where to write"
)]
fn writer() {
    let folder = std::env::var_os(FOLDER).unwrap();
    let store = Store::open_with(Path::new(&folder), Some(SHORT)).unwrap();
    let mut chance = Chance(store.revision() * 2 + 1);
    let mut stdout = std::io::stdout().lock();
    loop {
        let name = format!("k{}", chance.below(20));
        let key = Key::new("n", name.as_str());
        let live = store.get(&maps(), &key);
        let number = store.revision() + 1;
        let deletes = chance.below(4) == 0;
        let told = if deletes && live.is_some() { 0 } else { number };
        writeln!(stdout, "begin {name} {told}").unwrap();
        stdout.flush().unwrap();
        match live {
            Some(live) if deletes => drop(store.remove(&maps(), &key, &live).unwrap()),
            Some(live) => drop(
                store
                    .replace(&maps(), &key, &live, value(&name, number))
                    .unwrap(),
            ),
            None => drop(store.create(&maps(), key, value(&name, number)).unwrap()),
        }
        writeln!(stdout, "done").unwrap();
        stdout.flush().unwrap();
    }
}

#[test]
#[expect(
    clippy::disallowed_methods,
    reason = "the program that is killed is this one"
)]
fn a_killed_writer_loses_nothing_that_it_acknowledged() {
    let folder = tempfile::tempdir().unwrap();
    let mut expected: BTreeMap<String, u64> = BTreeMap::new();
    let mut chance = Chance(u64::from(std::process::id()) + 1);
    for round in 0..25 {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["writer", "--exact", "--ignored", "--nocapture"])
            .env(FOLDER, folder.path())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap())
            .lines()
            .map_while(Result::ok);
        let mut begun = None;
        let mut hear = |line: String| {
            let mut words = line.split(' ');
            match words.next() {
                Some("begin") => {
                    let name = words.next().unwrap().to_owned();
                    begun = Some((name, words.next().unwrap().parse::<u64>().unwrap()));
                }
                Some("done") => {
                    if let Some((name, number)) = begun.take() {
                        match number {
                            0 => drop(expected.remove(&name)),
                            number => drop(expected.insert(name, number)),
                        }
                    }
                }
                // What the test harness says.
                _ => {}
            }
        };
        // Some lines of which it is told, and then wherever it happens to be.
        for _ in 0..10 + chance.below(300) {
            hear(lines.next().expect("the writer goes on"));
        }
        child.kill().unwrap();
        child.wait().unwrap();
        lines.for_each(&mut hear);

        let store = Store::open_with(folder.path(), Some(SHORT)).unwrap();
        let found = numbers(&store);
        // What was begun may be there or not.
        if let Some((name, number)) = begun {
            let before = expected.get(&name).copied();
            let now = found.get(&name).copied();
            let after = Some(number).filter(|number| *number != 0);
            assert!(
                now == before || now == after,
                "round {round}: {name} {before:?} {after:?} {now:?}"
            );
            match now {
                Some(now) => drop(expected.insert(name, now)),
                None => drop(expected.remove(&name)),
            }
        }
        assert_eq!(found, expected, "round {round}");
    }
    let snapshots = std::fs::read_dir(folder.path()).unwrap().flatten();
    let snapshots =
        snapshots.filter(|file| file.file_name().to_string_lossy().starts_with("snapshot-"));
    assert_eq!(
        snapshots.count(),
        1,
        "snapshots were made, and the older ones removed"
    );
}

/// A store with some changes, closed.
fn written(folder: &Path) -> BTreeMap<String, u64> {
    let store = Store::open(folder).unwrap();
    for number in 1..=5 {
        let name = format!("k{number}");
        store
            .create(&maps(), Key::new("n", name.as_str()), value(&name, number))
            .unwrap();
    }
    numbers(&store)
}

#[test]
fn a_log_that_ends_in_the_middle_is_cut_there_and_goes_on() {
    let folder = tempfile::tempdir().unwrap();
    let mut expected = written(folder.path());
    let log = folder.path().join(format!("log-{:020}", 0));
    let whole = std::fs::read(&log).unwrap();
    for cut in (whole.len() - 300)..whole.len() {
        std::fs::write(&log, &whole[..cut]).unwrap();
        let found = numbers(&Store::open(folder.path()).unwrap());
        assert!(
            found.len() < expected.len()
                && found.iter().all(|(name, number)| expected[name] == *number)
        );
    }
    let store = Store::open(folder.path()).unwrap();
    store
        .create(&maps(), Key::new("n", "more"), value("more", 9))
        .unwrap();
    drop(store);
    expected.remove("k5");
    expected.insert("more".to_owned(), 9);
    assert_eq!(numbers(&Store::open(folder.path()).unwrap()), expected);
}

#[test]
fn damage_is_an_error_and_nothing_is_thrown_away() {
    let folder = tempfile::tempdir().unwrap();
    written(folder.path());
    let log = folder.path().join(format!("log-{:020}", 0));
    let mut bytes = std::fs::read(&log).unwrap();
    bytes[100] ^= 1;
    std::fs::write(&log, &bytes).unwrap();
    let refused = Store::open(folder.path()).unwrap_err();
    assert!(matches!(refused, OpenStore::Damaged { .. }), "{refused}");
    assert_eq!(std::fs::read(&log).unwrap(), bytes);
}

#[test]
fn a_folder_is_one_processes_alone_and_its_owners() {
    use std::os::unix::fs::PermissionsExt as _;
    let folder = tempfile::tempdir().unwrap();
    let place = folder.path().join("data");
    let store = Store::open(&place).unwrap();
    assert!(matches!(Store::open(&place), Err(OpenStore::InUse(_))));
    drop(store);
    assert_eq!(
        place.metadata().unwrap().permissions().mode() & 0o777,
        0o700
    );
    let log = place.join(format!("log-{:020}", 0));
    assert_eq!(log.metadata().unwrap().permissions().mode() & 0o777, 0o600);
    drop(Store::open(&place).unwrap());
}

#[tokio::test]
async fn a_cluster_goes_on_where_it_was() {
    use futures::TryStreamExt as _;
    use k8s_openapi::api::core::v1::ConfigMap;
    use kube::api::{Api, PostParams, WatchParams};
    let folder = tempfile::tempdir().unwrap();
    let map: ConfigMap =
        serde_json::from_value(json!({"metadata": {"name": "a"}, "data": {"k": "v"}})).unwrap();
    let first = {
        let server = Server::open(folder.path()).unwrap();
        let maps: Api<ConfigMap> = Api::default_namespaced(server.client());
        maps.create(&PostParams::default(), &map).await.unwrap()
    };
    // The client's connection ends a moment after the client, and with it the first server.
    let server = loop {
        match Server::open(folder.path()) {
            Err(OpenServer::Store(OpenStore::InUse(_))) => tokio::task::yield_now().await,
            opened => break opened.unwrap(),
        }
    };
    let maps: Api<ConfigMap> = Api::default_namespaced(server.client());
    assert_eq!(
        maps.get("a").await.unwrap(),
        first,
        "all of it is as it was"
    );
    let namespaces: Api<k8s_openapi::api::core::v1::Namespace> = Api::all(server.client());
    assert_eq!(
        namespaces
            .list(&kube::api::ListParams::default())
            .await
            .unwrap()
            .items
            .len(),
        4
    );
    let mut second = map;
    second.metadata.name = Some("b".to_owned());
    let second = maps.create(&PostParams::default(), &second).await.unwrap();
    let revision = |map: &ConfigMap| {
        map.metadata
            .resource_version
            .as_ref()
            .unwrap()
            .parse::<u64>()
            .unwrap()
    };
    assert!(revision(&second) > revision(&first), "revisions go on");
    // Of what was before nobody knows any more, and whoever asks is told to begin again.
    let version = (revision(&first) - 1).to_string();
    let mut events = Box::pin(maps.watch(&WatchParams::default(), &version).await.unwrap());
    let told = events.try_next().await;
    assert!(format!("{told:?}").contains("410"), "{told:?}");
}
