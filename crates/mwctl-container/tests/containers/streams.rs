//! Standard streams and terminals.

use std::fs::File;
use std::io::Write;

use mwctl_container::{Process, Size, Streams, Terminal};

use crate::stage::{all, as_everybody, exited, line, pipe};

#[test]
fn standard_input_arrives_and_ends() {
    as_everybody("streams::standard_input_arrives_and_ends", async |stage| {
        let (read, write) = std::io::pipe().unwrap();
        let mut container = stage.shell("cat; echo end");
        container.streams.stdin = Some(read.into());
        let (running, out) = stage.start(container).await;
        let mut write = write;
        write.write_all(b"some text\n").unwrap();
        assert_eq!(line(&out).await, "some text");
        drop(write);
        assert_eq!(line(&out).await, "end");
        running.ended().await;
    });
}

#[test]
fn without_input_there_is_nothing_to_read() {
    as_everybody(
        "streams::without_input_there_is_nothing_to_read",
        async |stage| {
            assert_eq!(
                stage
                    .run("cat; readlink /proc/self/fd/0; ls /proc/self/fd | wc -l")
                    .await,
                exited("/dev/null\n4\n", 0)
            );
        },
    );
}

#[test]
fn a_terminal_has_a_size_that_changes_and_is_the_console() {
    as_everybody(
        "streams::a_terminal_has_a_size_that_changes_and_is_the_console",
        async |stage| {
            let mut container =
                stage.shell("trap 'stty size' WINCH; tty; stty size; while :; do sleep 0.01; done");
            container.streams.terminal = Some(Terminal {
                size: Some(Size {
                    rows: 24,
                    columns: 80,
                }),
            });
            let running = stage.runtime.run(container).await.unwrap();
            let terminal = File::from(running.terminal().unwrap().try_clone().unwrap());
            assert_eq!(line(&terminal).await.trim(), "/dev/pts/0");
            assert_eq!(line(&terminal).await.trim(), "24 80");
            running
                .resize(Size {
                    rows: 50,
                    columns: 132,
                })
                .unwrap();
            assert_eq!(line(&terminal).await.trim(), "50 132");
            let streams = Streams {
                terminal: Some(Terminal { size: None }),
                ..Streams::default()
            };
            let further = running
                .enter(
                    Process::new(["/bin/sh", "-c", "tty; test -t 0 && test -c /dev/console"]),
                    streams,
                )
                .await
                .unwrap();
            let terminal = File::from(further.terminal().unwrap().try_clone().unwrap());
            assert_eq!(line(&terminal).await.trim(), "/dev/pts/1");
            assert_eq!(further.ended().await, mwctl_container::End::Code(0));
        },
    );
}

#[test]
fn errors_can_go_elsewhere() {
    as_everybody("streams::errors_can_go_elsewhere", async |stage| {
        let (out, out_write) = pipe();
        let (err, err_write) = pipe();
        let mut container = stage.shell("echo out; echo err >&2");
        container.streams = Streams {
            stdout: Some(out_write),
            stderr: Some(err_write),
            ..Streams::default()
        };
        let running = stage.runtime.run(container).await.unwrap();
        assert_eq!(
            (all(out).await, all(err).await),
            ("out\n".to_owned(), "err\n".to_owned())
        );
        running.ended().await;
    });
}

#[test]
fn streams_can_be_opened_again() {
    as_everybody("streams::streams_can_be_opened_again", async |stage| {
        let again = "echo again > /dev/stdout; echo bad > /dev/stderr";
        assert_eq!(stage.run(again).await, exited("again\nbad\n", 0));
        let mut container = stage.shell(again);
        container.process.as_mut().unwrap().identity.user = "1000".to_owned();
        assert_eq!(stage.outcome(container).await, exited("again\nbad\n", 0));
    });
}
