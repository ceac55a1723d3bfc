//! Random operations on a store beside a model that remembers everything.

use super::*;
use proptest::prelude::*;
use serde_json::json;
use std::collections::BTreeMap;

#[derive(Debug, Clone)]
enum Step {
    Create(u8, u8),
    Replace(u8, u8),
    Remove(u8),
    /// A page of this size at this many revisions before the present.
    Page(u8, u8),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        (0..6u8, 0..3u8).prop_map(|(key, value)| Step::Create(key, value)),
        (0..6u8, 0..3u8).prop_map(|(key, value)| Step::Replace(key, value)),
        (0..6u8).prop_map(Step::Remove),
        (1..4u8, 0..12u8).prop_map(|(size, age)| Step::Page(size, age)),
    ]
}

/// The values at every revision: what the store must seem to be.
type History = BTreeMap<u64, BTreeMap<Key, u8>>;

const KEPT: usize = 8;

fn key(number: u8) -> Key {
    Key::new(["a", "b"][usize::from(number % 2)], format!("o{number}"))
}

fn object(number: u8, value: u8) -> Value {
    let key = key(number);
    json!({"kind": "Thing", "metadata": {"namespace": key.namespace, "name": key.name}, "value": value})
}

fn values<'a>(objects: impl IntoIterator<Item = &'a Arc<Object>>) -> BTreeMap<Key, u8> {
    let one = |object: &Arc<Object>| {
        let value = object.value()["value"].as_u64().unwrap() as u8;
        (Key::new(object.namespace(), object.name()), value)
    };
    objects.into_iter().map(one).collect()
}

/// Reads a list page by page.
fn paged(
    store: &Store,
    things: &GroupResource,
    revision: u64,
    size: usize,
) -> Result<Vec<Arc<Object>>, Compacted> {
    let mut query = Query {
        revision: Some(revision),
        limit: Some(size),
        ..Query::all()
    };
    let mut all = Vec::new();
    loop {
        let page = store.list(things, &query)?;
        assert!(page.objects.len() <= size);
        all.extend(page.objects);
        match page.next {
            Some(place) => query.after = Some(place.after),
            None => return Ok(all),
        }
    }
}

proptest! {
    #[test]
    fn lists_pages_and_watches_agree_with_a_model_that_forgets_nothing(steps in prop::collection::vec(step(), 1..60)) {
        let things = GroupResource::new("", "things");
        let store = Store::keeping(Retention { events: KEPT, bytes: usize::MAX, fresh: 2 });
        let mut now = BTreeMap::new();
        let mut history = History::from([(0, now.clone())]);
        let mut watcher = store.watch(&things, 0);
        let mut watched = BTreeMap::new();
        for step in steps {
            let revision = store.revision();
            match step {
                Step::Create(number, value) => {
                    let created = store.create(&things, key(number), object(number, value));
                    prop_assert_eq!(created.is_ok(), !now.contains_key(&key(number)));
                    now.entry(key(number)).or_insert(value);
                }
                Step::Replace(number, value) => {
                    let Some(read) = store.get(&things, &key(number)) else { continue };
                    let unchanged = now.insert(key(number), value) == Some(value);
                    store.replace(&things, &key(number), &read, object(number, value)).unwrap();
                    prop_assert_eq!(store.revision() == revision, unchanged);
                    let again = store.replace(&things, &key(number), &read, object(number, 9));
                    prop_assert_eq!(again.is_err(), !unchanged);
                    if again.is_ok() {
                        now.insert(key(number), 9);
                    }
                }
                Step::Remove(number) => {
                    let Some(read) = store.get(&things, &key(number)) else { continue };
                    let last = store.remove(&things, &key(number), &read).unwrap();
                    prop_assert_eq!(last.revision(), revision + 1);
                    prop_assert_eq!(store.remove(&things, &key(number), &read).unwrap_err(), Refused::Missing);
                    now.remove(&key(number));
                }
                Step::Page(size, age) => {
                    let asked = revision.saturating_sub(u64::from(age));
                    match paged(&store, &things, asked, usize::from(size)) {
                        Ok(objects) => prop_assert_eq!(values(&objects), history[&asked].clone()),
                        Err(compacted) => prop_assert!(compacted.oldest > asked && usize::from(age) > KEPT),
                    }
                }
            }
            history.insert(store.revision(), now.clone());
            for event in watcher.poll().unwrap().events {
                let (change, object) = event.seen_by(|object| object.namespace() == "a").unzip();
                let (Some(change), Some(object)) = (change, object) else { continue };
                let key = Key::new(object.namespace(), object.name());
                let known = watched.insert(key.clone(), object.value()["value"].as_u64().unwrap() as u8);
                prop_assert_eq!(known.is_none(), change == Change::Added);
                if change == Change::Deleted {
                    watched.remove(&key);
                }
            }
            let in_a = now.iter().filter(|(key, _)| key.namespace == "a");
            prop_assert_eq!(&watched, &in_a.map(|(key, value)| (key.clone(), *value)).collect());
        }
    }

    #[test]
    fn a_watcher_of_some_values_sees_them_come_and_go(values in prop::collection::vec(0..3u8, 1..20)) {
        let things = GroupResource::new("", "things");
        let store = Store::default();
        let mut watcher = store.watch(&things, 0);
        let mut read = store.create(&things, key(0), object(0, 0)).unwrap();
        for value in values {
            read = store.replace(&things, &key(0), &read, object(0, value)).unwrap();
        }
        let mut there = false;
        for event in watcher.poll().unwrap().events {
            match event.seen_by(|object| object.value()["value"] == 1) {
                None => prop_assert!(!there),
                Some((Change::Added, _)) => { prop_assert!(!there); there = true; }
                Some((Change::Modified, _)) => prop_assert!(there),
                Some((Change::Deleted, last)) => {
                    prop_assert!(there);
                    prop_assert_eq!(&last.value()["value"], 1);
                    prop_assert_eq!(last.revision(), event.revision());
                    there = false;
                }
            }
        }
        prop_assert_eq!(there, read.value()["value"] == 1);
    }
}

#[test]
fn a_watcher_that_lags_behind_the_log_is_told_so() {
    let things = GroupResource::new("", "things");
    let store = Store::keeping(Retention {
        events: 2,
        bytes: usize::MAX,
        fresh: 2,
    });
    let mut watcher = store.watch(&things, 0);
    for number in 0..4 {
        store
            .create(&things, key(number), object(number, 0))
            .unwrap();
    }
    let compacted = watcher.poll().unwrap_err();
    assert_eq!(
        compacted,
        Compacted {
            asked: 0,
            oldest: 2
        }
    );
    assert_eq!(store.watch(&things, 2).poll().unwrap().events.len(), 2);
}

#[test]
fn large_objects_are_forgotten_sooner() {
    let things = GroupResource::new("", "things");
    let store = Store::keeping(Retention {
        events: 100,
        bytes: 10,
        fresh: 2,
    });
    store.create(&things, key(0), object(0, 0)).unwrap();
    assert!(store.watch(&things, 0).poll().is_err());
    assert!(store.watch(&things, 1).poll().unwrap().events.is_empty());
}
