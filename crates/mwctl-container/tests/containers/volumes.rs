//! Directories in memory that containers share.

use mwctl_container::{Bind, Entry, File, Mount, Source, Volume};

use crate::stage::{as_everybody, enter, exited, line};

fn mounted(name: &str, below: Option<&str>, directory: bool) -> Mount {
    let source = Source::Volume(name.to_owned());
    let bind = Bind {
        source,
        directory,
        read_only: false,
        below: below.map(Into::into),
    };
    Mount {
        target: "/data".into(),
        entry: Entry::Bind(bind),
    }
}

fn volume(name: &str) -> Volume {
    Volume {
        name: name.to_owned(),
        limit: None,
        mode: 0o777,
        group: None,
        files: None,
    }
}

fn file(path: &str, content: &str) -> File {
    File {
        path: path.into(),
        content: content.into(),
        mode: 0o644,
        user: None,
    }
}

#[test]
fn what_one_writes_another_reads() {
    as_everybody("volumes::what_one_writes_another_reads", async |stage| {
        stage.runtime.volume(volume("v")).await.unwrap();
        let mut first = stage.shell("echo text > /data/file");
        first.mounts.push(mounted("v", None, true));
        stage.outcome(first).await;
        let mut second = stage.shell("cat /data/file; cat /data/sub/file");
        second.mounts.push(mounted("v", None, true));
        second.mounts.push(Mount {
            target: "/data/sub".into(),
            ..mounted("v", None, true)
        });
        assert_eq!(stage.outcome(second).await, exited("text\ntext\n", 0));
        let mut third = stage.shell("ls -d /data && echo new > /data/x");
        third.mounts.push(mounted("v", Some("made/deep"), true));
        assert_eq!(stage.outcome(third).await, exited("/data\n", 0));
        stage.runtime.remove_volume("v").await.unwrap();
        stage.runtime.remove_volume("v").await.unwrap();
    });
}

#[test]
fn files_change_under_a_running_container() {
    as_everybody(
        "volumes::files_change_under_a_running_container",
        async |stage| {
            let mut wanted = volume("v");
            wanted.files = Some(vec![file("a", "1"), file("b", "2")]);
            stage.runtime.volume(wanted.clone()).await.unwrap();
            let mut container = stage.shell("cat /data/a /data/b; echo; exec sleep 1000");
            container.mounts.push(mounted("v", None, true));
            let (running, read) = stage.start(container).await;
            assert_eq!(line(&read).await, "12");
            wanted.files = Some(vec![file("a", "3")]);
            stage.runtime.volume(wanted).await.unwrap();
            assert_eq!(
                enter(&running, "cat /data/a; ls /data").await,
                exited("3a\n", 0)
            );
        },
    );
}

#[test]
fn a_limited_volume_is_full_at_its_limit() {
    as_everybody(
        "volumes::a_limited_volume_is_full_at_its_limit",
        async |stage| {
            let mut wanted = volume("v");
            wanted.limit = Some(64 << 10);
            stage.runtime.volume(wanted).await.unwrap();
            let mut container =
                stage.shell("head -c 1m /dev/zero > /data/file 2>/dev/null; stat -c %s /data/file");
            container.mounts.push(mounted("v", None, true));
            assert_eq!(stage.outcome(container).await, exited("65536\n", 0));
            stage.runtime.remove_volume("v").await.unwrap();
        },
    );
}
