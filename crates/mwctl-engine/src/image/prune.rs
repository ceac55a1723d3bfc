//! Keeps the cache from growing for ever: the newest images of each service stay, with all they
//! are made of.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use super::built::Built;
use super::cache::Cache;

/// How many images of a service stay: enough to go back and forth between a few branches.
const KEPT: usize = 12;
/// What is younger may belong to a build that is just going on.
const YOUNG: Duration = Duration::from_hours(1);

/// Removes old images, once a service has twice as many as are kept. What can't be removed is
/// tried again next time.
pub(super) fn prune(cache: &Cache, service: &str) {
    let mine = by_age(&cache.folder("records").join(service));
    if mine.len() < 2 * KEPT {
        return;
    }
    for (note, _) in mine.iter().skip(KEPT) {
        drop(std::fs::remove_file(note));
    }
    let mut live = BTreeSet::new();
    for (service, _) in by_age(&cache.folder("records")) {
        for (note, _) in by_age(&service) {
            let built = std::fs::read(&note).ok();
            let built = built.and_then(|bytes| serde_json::from_slice::<Built>(&bytes).ok());
            if let Some(built) = built {
                live.extend(built.parts(cache));
            }
        }
    }
    let now = SystemTime::now();
    let dead = |(path, time): &(PathBuf, SystemTime)| {
        let age = now.duration_since(*time).unwrap_or_default();
        !live.contains(path) && age > YOUNG
    };
    let blobs = by_age(&cache.folder("blobs").join("sha256"));
    for (blob, _) in blobs.into_iter().filter(dead) {
        drop(std::fs::remove_file(blob));
    }
    let folders = by_age(&cache.folder("dependencies"));
    for (folder, _) in folders.into_iter().filter(dead) {
        drop(std::fs::remove_dir_all(folder));
    }
}

/// The entries of a folder, the newest first.
fn by_age(folder: &Path) -> Vec<(PathBuf, SystemTime)> {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    let mut found: Vec<_> = entries
        .filter_map(|entry| Some((entry.path(), entry.metadata().ok()?.modified().ok()?)))
        .collect();
    found.sort_by_key(|(_, time)| std::cmp::Reverse(*time));
    found
}

#[cfg(test)]
mod tests {
    use super::super::tests::Bench;
    use super::*;

    #[tokio::test]
    async fn old_images_go_with_what_no_other_needs_and_the_newest_stay_whole() {
        let bench = Bench::new();
        let cache = bench.builder().cache().clone();
        let age = |path: PathBuf, hours: u64| {
            let time = SystemTime::now() - Duration::from_hours(hours);
            let file = std::fs::File::open(path).unwrap();
            file.set_modified(time).unwrap();
        };
        let mut all = Vec::new();
        for number in 0..2 * KEPT as u64 {
            bench.write("server.js", &format!("run({number})"));
            let built = bench.built().await;
            let tag = built.reference().rsplit(':').next().unwrap().to_owned();
            age(cache.folder("records/service").join(tag), 100 - number);
            for blob in cache.folder("blobs/sha256").read_dir().unwrap() {
                age(blob.unwrap().path(), 50);
            }
            all.push(built);
        }
        // One more, so that the service has more than twice what is kept.
        bench.write("server.js", "run()");
        let newest = bench.built().await;
        let whole = |built: &Built| built.parts(&cache).iter().all(|part| part.exists());
        assert!(whole(&newest));
        assert!(whole(all.last().unwrap()));
        let own = |built: &Built| cache.blob(&built.own_layers()[1].digest);
        assert!(!own(&all[0]).exists());
    }
}
