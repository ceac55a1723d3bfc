//! As whom processes run.

use mwctl_container::{Ids, Lack, Source, Step, Upper};

use crate::stage::{as_everybody, enter, exited};

/// What root gives where `/etc/subuid` names nothing else.
const ROOTS: Ids = Ids::Range {
    first: 1_895_825_408,
    count: 65_536,
};

#[test]
fn another_user_runs_where_there_is_one() {
    as_everybody(
        "identity::another_user_runs_where_there_is_one",
        async |stage| {
            let mut container = stage.shell("id -u; id -g; id -G; touch /tmp/mine && stat -c %u /tmp/mine; grep CapEff /proc/self/status");
            let identity = &mut container.process.as_mut().unwrap().identity;
            identity.user = "1000:1001".to_owned();
            identity.groups = vec![7];
            let alone = stage
                .runtime
                .lacks()
                .iter()
                .any(|lack| matches!(lack, Lack::Users { .. }));
            // An ordinary user may have one id alone, which must be told; root never has.
            assert!(!alone || stage.runtime.ids() != ROOTS);
            let groups = if alone { "1001" } else { "1001 7" };
            let expected = format!("1000\n1001\n{groups}\n1000\nCapEff:\t0000000000000000\n");
            assert_eq!(stage.outcome(container).await, exited(&expected, 0));
        },
    );
}

#[test]
fn what_a_program_makes_only_its_user_may_change() {
    as_everybody(
        "identity::what_a_program_makes_only_its_user_may_change",
        async |stage| {
            let made =
                "umask; echo > /tmp/made; mkdir /tmp/folder; stat -c %a /tmp/made /tmp/folder";
            let container = stage.shell(made);
            assert_eq!(
                stage.outcome(container).await,
                exited("0022\n644\n755\n", 0)
            );
            let (running, _) = stage.start(stage.shell("exec sleep 1000")).await;
            assert_eq!(enter(&running, "umask").await, exited("0022\n", 0));
        },
    );
}

#[test]
fn only_root_may_write_to_the_root_and_to_a_working_directory_that_was_not_there() {
    as_everybody(
        "identity::only_root_may_write_to_the_root_and_to_a_working_directory_that_was_not_there",
        async |stage| {
            let folder = tempfile::tempdir().unwrap();
            let written = Upper::Directory(Source::Path(folder.path().to_owned()));
            for upper in [Upper::Memory, written] {
                let mut container = stage.shell("stat -c %a / /made /made/here .");
                container.root.upper = upper;
                "/made/here".clone_into(&mut container.process.as_mut().unwrap().directory);
                let outcome = stage.outcome(container).await;
                assert_eq!(outcome, exited("755\n755\n755\n755\n", 0));
            }
        },
    );
}

#[test]
fn a_user_that_the_image_does_not_know_is_an_error() {
    as_everybody(
        "identity::a_user_that_the_image_does_not_know_is_an_error",
        async |stage| {
            let mut container = stage.shell("");
            container.process.as_mut().unwrap().identity.user = "nosuchuser".to_owned();
            let error = stage.runtime.run(container).await.unwrap_err();
            assert_eq!(error.failure().unwrap().step, Step::User);
            assert!(error.to_string().contains("nosuchuser"), "{error}");
        },
    );
}

#[test]
fn an_id_beyond_those_of_containers_is_an_error_that_says_so() {
    let name = "identity::an_id_beyond_those_of_containers_is_an_error_that_says_so";
    as_everybody(name, async |stage| {
        let mut container = stage.shell("exit 3");
        container.process.as_mut().unwrap().identity.user = "4000000000:0".to_owned();
        if matches!(stage.runtime.ids(), Ids::Single { .. }) {
            // The one id there is may be called anything.
            assert_eq!(stage.outcome(container).await, exited("", 3));
            return;
        }
        let error = stage.runtime.run(container).await.unwrap_err();
        assert_eq!(error.failure().unwrap().step, Step::User);
        let told = "cannot become the user `4000000000:0`: these ids aren't among those";
        assert!(error.to_string().contains(told), "{error}");
    });
}

#[test]
fn privileges_may_be_gained_where_that_is_asked_for() {
    as_everybody(
        "identity::privileges_may_be_gained_where_that_is_asked_for",
        async |stage| {
            let mut container = stage
                .shell("grep -E '^(NoNewPrivs|Seccomp):' /proc/self/status | tr '\\t\\n' '  '");
            container.process.as_mut().unwrap().no_new_privileges = false;
            assert_eq!(
                stage.outcome(container).await,
                exited("NoNewPrivs: 0 Seccomp: 2 ", 0)
            );
            let mut container = stage.shell("grep CapEff /proc/self/status");
            container.process.as_mut().unwrap().capabilities = 1 << 10;
            assert_eq!(
                stage.outcome(container).await,
                exited("CapEff:\t0000000000000400\n", 0)
            );
        },
    );
}
