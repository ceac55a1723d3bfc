//! Real processes, one promise per test.

use std::sync::Mutex;

use super::*;

fn shell(script: &str) -> Command {
    Command::new(["sh", "-c", script])
}

#[tokio::test]
async fn a_program_gets_its_input_its_directory_and_its_variables() {
    let folder = tempfile::tempdir().unwrap();
    let output = shell("cat; pwd; printf %s \"$WORD\"")
        .input(Input::Bytes(b"in\n".to_vec()))
        .directory(folder.path())
        .variable("WORD", "value")
        .succeed(&ProcessRunner::new(), &ignore_lines)
        .await
        .unwrap();
    let expected = format!("in\n{}\nvalue", folder.path().display());
    assert_eq!(output.text(), expected);
}

#[tokio::test]
async fn lines_arrive_from_both_streams() {
    let lines = Mutex::new(Vec::new());
    shell("echo one; echo two >&2")
        .succeed(&ProcessRunner::new(), &|line| {
            lines.lock().unwrap().push(line.text().to_owned());
        })
        .await
        .unwrap();
    let mut lines = lines.into_inner().unwrap();
    lines.sort();
    assert_eq!(lines, ["one", "two"]);
}

#[tokio::test]
async fn a_failure_shows_a_command_to_paste_its_code_and_its_last_lines() {
    let error = shell("echo 'it broke' >&2; exit 3")
        .succeed(&ProcessRunner::new(), &ignore_lines)
        .await
        .unwrap_err();
    assert_eq!(
        error.to_string(),
        "`sh -c 'echo '\\''it broke'\\'' >&2; exit 3'` failed with exit code 3:\nit broke"
    );
}

#[tokio::test]
async fn a_missing_program_is_told_from_a_missing_directory() {
    let runner = ProcessRunner::new();
    let missing = Command::new(["mwctl-no-such-program"]);
    let error = runner.run(&missing, &ignore_lines).await.unwrap_err();
    assert!(matches!(error, CommandError::Missing { .. }), "{error:?}");
    let nowhere = shell("true").directory("/no/such/folder");
    let error = runner.run(&nowhere, &ignore_lines).await.unwrap_err();
    assert!(matches!(error, CommandError::Run { .. }), "{error:?}");
}

#[tokio::test]
async fn time_being_up_kills_the_program_and_what_it_started() {
    let folder = tempfile::tempdir().unwrap();
    let pids = folder.path().join("pids");
    // The grandchild writes its own number, so that it can be looked for afterwards.
    let script = "sh -c 'echo $$ > pids; exec sleep 1000' & wait";
    let command = shell(script)
        .directory(folder.path())
        .timeout(Duration::from_millis(300));
    let error = ProcessRunner::new()
        .run(&command, &ignore_lines)
        .await
        .unwrap_err();
    assert!(matches!(error, CommandError::TimedOut { .. }), "{error:?}");
    is_gone(&std::fs::read_to_string(pids).unwrap()).await;
}

/// Waits until a process has ended.
async fn is_gone(pid: &str) {
    let stat = format!("/proc/{}/stat", pid.trim());
    let gone = || match std::fs::read_to_string(&stat) {
        Err(_) => true,
        // A zombie that its new parent has yet to reap doesn't run any more.
        Ok(text) => text.rsplit(')').next().is_some_and(|t| t.starts_with(" Z")),
    };
    tokio::time::timeout(Duration::from_secs(5), async {
        while !gone() {
            tokio::task::yield_now().await;
        }
    })
    .await
    .expect("the process lives on");
}

#[tokio::test]
async fn output_can_go_to_a_file_and_input_can_come_from_one() {
    let folder = tempfile::tempdir().unwrap();
    let (from, to) = (folder.path().join("from"), folder.path().join("to"));
    std::fs::write(&from, "bytes").unwrap();
    Command::new(["cat"])
        .input(Input::File(from))
        .output_file(&to)
        .succeed(&ProcessRunner::new(), &ignore_lines)
        .await
        .unwrap();
    assert_eq!(std::fs::read_to_string(to).unwrap(), "bytes");
}

#[test]
fn only_an_executable_file_on_the_path_is_a_program() {
    let path = OsStr::new("/no/such:/bin:/usr/bin");
    assert!(find_program(path, "sh").is_some());
    assert!(find_program(path, "mwctl-no-such-program").is_none());
    assert!(find_program(OsStr::new("/etc"), "passwd").is_none());
}
