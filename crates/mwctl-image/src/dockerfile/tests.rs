//! Dockerfiles: what is understood, and what is refused.

use std::collections::BTreeMap;

use super::*;
use crate::plan::{Action, Mounted, Network, Origin};

fn plan_of(text: &str) -> Plan {
    plan(text, None, &BTreeMap::new()).unwrap_or_else(|it| panic!("{it:?}"))
}

fn steps(text: &str) -> Vec<String> {
    let plan = plan_of(&format!("FROM base\n{text}"));
    plan.stages[0]
        .steps
        .iter()
        .map(|step| step.action.to_string())
        .collect()
}

fn problem(text: &str) -> (usize, String) {
    let problems = plan(text, None, &BTreeMap::new()).unwrap_err();
    assert_eq!(problems.len(), 1, "{problems:?}");
    (problems[0].line, problems[0].message.clone())
}

#[test]
fn instructions_mean_what_they_mean_everywhere() {
    assert_eq!(
        steps(
            "ENV A=1 B=\"two words\" C=it\\'s\nenv OLD way of it\nARG x=1\nLABEL a=b\n\
             WORKDIR /srv\nUSER app:web\nEXPOSE 80 53/udp\nCMD [\"a\", \"b c\"]\n\
             ENTRYPOINT exec it $A\nRUN make  all\nCOPY --chown=1:2 a b /c/\nADD a /a\n\
             VOLUME /data\nSTOPSIGNAL SIGINT"
        ),
        [
            "ENV A=1 B=two words C=it's",
            "ENV OLD=way of it",
            "ARG x=1",
            "LABEL a=b",
            "WORKDIR /srv",
            "USER app:web",
            "EXPOSE 80",
            "EXPOSE 53/udp",
            "CMD [\"a\", \"b c\"]",
            "ENTRYPOINT [\"/bin/sh\", \"-c\", \"exec it $A\"]",
            "RUN make  all",
            "COPY a b /c/",
            "ADD a /a",
            "VOLUME /data",
            "STOPSIGNAL SIGINT",
        ]
    );
}

#[test]
fn what_single_quotes_hold_is_no_variable() {
    assert_eq!(
        steps("ENV A='$x' B=\"$x\" C='a\\b'"),
        ["ENV A=\\$x B=$x C=a\\b"]
    );
}

#[test]
fn a_stage_upon_another_goes_on_with_its_shell() {
    let plan =
        plan_of("FROM x AS a\nSHELL [\"/bin/bash\", \"-c\"]\nFROM a\nRUN one\nFROM x\nRUN two\n");
    let of = |stage: &Stage| match &stage.steps.last().unwrap().action {
        Action::Run(run) => run.words[0].clone(),
        other => panic!("{other}"),
    };
    assert_eq!(of(plan.stages.last().unwrap()), "/bin/sh");
    let upon = "FROM x AS a\nSHELL [\"/bin/bash\", \"-c\"]\nFROM a\nRUN one\n";
    assert_eq!(of(plan_of(upon).stages.last().unwrap()), "/bin/bash");
}

#[test]
fn lines_go_on_and_comments_within_them_dont_count() {
    assert_eq!(
        steps("RUN one && \\\n# a comment\n\n  two \\\n  three\n  # another\nRUN four"),
        ["RUN one &&   two   three", "RUN four"]
    );
    let windows = "# escape=`\nFROM base\nRUN one `\n two";
    assert_eq!(plan_of(windows).stages[0].steps.len(), 1);
}

#[test]
fn a_shell_is_for_what_comes_after_it() {
    let plan = plan_of("FROM a\nRUN x\nSHELL [\"/bin/bash\", \"-ec\"]\nRUN y\nFROM a\nRUN z");
    let words = |step: &crate::plan::Step| match &step.action {
        Action::Run(run) => run.words.clone(),
        _ => Vec::new(),
    };
    assert_eq!(words(&plan.stages[0].steps[0]), ["/bin/sh", "-c", "z"]);
    let text = "FROM a\nSHELL [\"/bin/bash\", \"-ec\"]\nRUN y";
    assert_eq!(
        words(&plan_of(text).stages[0].steps[1]),
        ["/bin/bash", "-ec", "y"]
    );
}

#[test]
fn stages_are_named_or_numbered_and_only_those_that_are_needed_are_built() {
    let text = "FROM a AS one\nFROM b\nRUN x\nFROM scratch\nCOPY --from=One /x /x\nCOPY --from=1 /y /y\n\
                COPY --from=nginx /z /z\nRUN --mount=type=bind,from=one,source=/q,target=/q x";
    let plan = plan_of(text);
    let names: Vec<&str> = plan
        .stages
        .iter()
        .map(|stage| stage.name.as_str())
        .collect();
    assert_eq!(names, ["1", "one", "2"]);
    assert_eq!(
        plan.images().into_iter().collect::<Vec<_>>(),
        ["a", "b", "nginx"]
    );
    let only = super::plan(text, Some("one"), &BTreeMap::new()).unwrap();
    assert_eq!(only.stages.len(), 1);
    let unknown = super::plan(text, Some("three"), &BTreeMap::new()).unwrap_err();
    assert_eq!(
        unknown[0].hint.as_deref(),
        Some("its stages are: one, 1, 2")
    );
}

#[test]
fn arguments_before_the_first_stage_choose_the_base() {
    let text = "ARG VERSION=12\nARG BASE=debian:$VERSION\nFROM ${BASE}\nARG VERSION";
    assert_eq!(
        plan_of(text).stages[0].base,
        Base::Image("debian:12".into())
    );
    let given = BTreeMap::from([("VERSION".to_owned(), "13".to_owned())]);
    let plan = super::plan(text, None, &given).unwrap();
    assert_eq!(plan.stages[0].base, Base::Image("debian:13".into()));
    let step = &plan.stages[0].steps[0].action;
    assert_eq!(step.to_string(), "ARG VERSION=13");
    assert_eq!(problem("ARG X\nFROM $X").1, "the name of the base is empty");
}

#[test]
fn mounts_of_run() {
    let plan = plan_of(
        "FROM a\nRUN --mount=type=cache,target=/c,sharing=locked --mount=target=/b,src=x --mount=type=tmpfs,dst=/t x",
    );
    let Action::Run(run) = &plan.stages[0].steps[0].action else {
        panic!("no RUN");
    };
    let cache = Mounted::Cache {
        id: None,
        exclusive: true,
    };
    let files = Mounted::Files {
        origin: Origin::Local,
        source: "x".to_owned(),
    };
    let what: Vec<&Mounted> = run.mounts.iter().map(|mount| &mount.what).collect();
    assert_eq!(what, [&cache, &files, &Mounted::Memory]);
}

#[test]
fn health_is_checked_as_oci_writes_it() {
    let of = |text: &str| match &plan_of(&format!("FROM a\nHEALTHCHECK {text}")).stages[0].steps[0]
        .action
    {
        Action::Healthcheck(check) => check.clone(),
        other => panic!("{other}"),
    };
    assert_eq!(of("NONE"), serde_json::json!({"Test": ["NONE"]}));
    assert_eq!(
        of("--interval=1m30s --retries=3 CMD curl -f localhost"),
        serde_json::json!({
            "Test": ["CMD-SHELL", "curl -f localhost"], "Interval": 90_000_000_000_u64, "Retries": 3,
        })
    );
}

#[test]
fn what_isnt_built_here_is_refused_by_name_and_line() {
    for (text, line, message) in [
        (
            "FROM a\nRUN <<EOF\nx\nEOF",
            2,
            "`RUN <<` (a text within the file) isn't built here",
        ),
        (
            "FROM a\n\nADD https://x.org/a /a",
            3,
            "`ADD https://x.org/a` (a download) isn't built here",
        ),
        (
            "FROM a\nADD a.tar.gz /",
            2,
            "`ADD a.tar.gz` (an archive) isn't built here",
        ),
        (
            "FROM a\nRUN --mount=type=secret,target=/x y",
            2,
            "`RUN --mount=type=secret` isn't built here",
        ),
        (
            "FROM a\nRUN --security=insecure x",
            2,
            "`RUN --security=insecure` isn't built here",
        ),
        ("FROM a\nONBUILD RUN x", 2, "`ONBUILD` isn't built here"),
        (
            "FROM --platform=linux/s390x a",
            1,
            "`FROM --platform=linux/s390x` isn't built here",
        ),
        (
            "FROM a\nCOPY --parents a b",
            2,
            "`COPY --parents` isn't built here",
        ),
        ("FROM a\nFETCH x", 2, "`FETCH` is no instruction"),
        ("RUN x\n", 1, "RUN stands before the first `FROM`"),
        ("FROM a\nENV A=\"x", 2, "the quote \" isn't closed"),
        (
            "FROM a\nCOPY x",
            2,
            "`COPY` takes what is copied and where to",
        ),
    ] {
        let problems = plan(text, None, &BTreeMap::new()).unwrap_err();
        assert_eq!((problems[0].line, &*problems[0].message), (line, message));
    }
    let hint = plan("FROM a\nONBUILD RUN x", None, &BTreeMap::new()).unwrap_err();
    assert!(hint[0].hint.as_ref().unwrap().contains("BuildKit"));
    assert_eq!(problem("# nothing").1, "the file has no `FROM`");
}

#[test]
fn a_shift_and_a_here_string_are_no_texts_within_the_file() {
    for text in [
        "RUN echo $((1 << 2)) && cat <<< x",
        "RUN echo $((1<<A))",
        "RUN echo 'a <<EOF' \"<<EOF\"",
    ] {
        assert_eq!(steps(text).len(), 1, "{text}");
    }
}

#[test]
fn the_lines_of_a_text_within_the_file_are_no_instructions() {
    for text in [
        "RUN <<EOF\necho x\n EOF\nEOF\nRUN y",
        "RUN 3<<-\"EOF\" cat\n\\\n# x\n\tEOF\nRUN y",
        "COPY <<one <<two /x/\necho\none\necho\ntwo\nRUN y",
        "RUN <<EOF\nnever ends",
    ] {
        let problems = plan(&format!("FROM a\n{text}"), None, &BTreeMap::new()).unwrap_err();
        assert_eq!(problems.len(), 1, "{problems:?}");
        assert!(problems[0].message.contains("a text within the file"));
    }
}

#[test]
fn a_stage_may_be_for_the_platform_that_is_built_for_and_no_other() {
    let own = crate::oci::architecture();
    for text in [
        "FROM --platform=$BUILDPLATFORM a AS b\nFROM b",
        "FROM --platform=${TARGETPLATFORM} a",
        "ARG TARGETARCH\nFROM --platform=linux/$TARGETARCH a",
        "ARG P=linux\nFROM --platform=$P/$BUILDARCH$BUILDVARIANT a",
        &format!("FROM --platform=linux/{own} a"),
    ] {
        let plan = plan_of(text);
        assert_eq!(plan.stages[0].base, Base::Image("a".into()), "{text}");
    }
    // What is refused has no consequences.
    for (text, message) in [
        (
            "FROM --platform=linux/s390x a\nRUN x",
            "`FROM --platform=linux/s390x` isn't built here",
        ),
        (
            "FROM --platform=$NOT a\nRUN x",
            "the platform `$NOT` is empty",
        ),
        ("FROM a b c\nRUN x", "`FROM` takes an image"),
        ("FROM a AS 1\nRUN x", "a stage can't be called `1`"),
    ] {
        assert_eq!(problem(text), (1, message.to_owned()));
    }
}

#[test]
fn a_name_means_the_last_stage_before_it_that_has_it() {
    let text = "FROM one AS Build\nFROM build AS build\nRUN x\nFROM BUILD\nCOPY --from=buILD /a /a\n\
                COPY --from=0 /b /b";
    let plan = plan_of(text);
    let shown: Vec<(&str, &Base)> = plan
        .stages
        .iter()
        .map(|stage| (stage.name.as_str(), &stage.base))
        .collect();
    assert_eq!(
        shown,
        [
            ("Build (line 1)", &Base::Image("one".into())),
            ("build", &Base::Stage("Build (line 1)".into())),
            ("2", &Base::Stage("build".into())),
        ]
    );
    let last: Vec<String> = plan.stages[2]
        .steps
        .iter()
        .map(|it| it.action.to_string())
        .collect();
    assert_eq!(
        last,
        [
            "COPY --from=build /a /a",
            "COPY --from=Build (line 1) /b /b"
        ]
    );
    let of = |target| super::plan(text, Some(target), &BTreeMap::new()).unwrap();
    assert_eq!(of("BUILD").stages.len(), 2);
    assert_eq!(of("0").stages.len(), 1);
}

#[test]
fn what_is_declared_anywhere_in_the_file_is_known() {
    let plan = plan_of("ARG A\nFROM a AS b\nARG B C=1\nFROM c\nARG D");
    let names: Vec<&str> = plan.arguments().into_iter().collect();
    assert_eq!(names, ["A", "B", "C", "D"]);
}

#[test]
fn a_step_may_do_without_a_network() {
    let network = |text: &str| {
        let Action::Run(run) = plan_of(&format!("FROM base\n{text}")).stages[0].steps[0]
            .action
            .clone()
        else {
            panic!("{text}");
        };
        run.network
    };
    assert_eq!(network("RUN make"), None);
    assert_eq!(network("RUN --network=default make"), None);
    assert_eq!(network("RUN --network=host make"), Some(Network::Host));
    assert_eq!(network("RUN --network=none make"), Some(Network::None));
    let (line, message) = problem("FROM base\nRUN --network=relay make\n");
    assert_eq!(
        (line, message.as_str()),
        (2, "`RUN --network=relay` isn't built here")
    );
}

#[test]
fn a_build_without_a_network_has_none_whatever_the_file_says() {
    let text = "FROM base\nRUN a\nRUN --network=host b\nRUN --network=none c\n";
    let networks = |network| {
        let plan = plan_of(text).within(network);
        let steps = plan.stages[0].steps.iter();
        let networks = steps.map(|step| match &step.action {
            Action::Run(run) => run.network,
            _ => None,
        });
        networks.collect::<Vec<_>>()
    };
    let (host, none) = (Some(Network::Host), Some(Network::None));
    let relay = Some(Network::Relay);
    assert_eq!(networks(None), [None, host, none]);
    assert_eq!(networks(host), [None, host, none]);
    assert_eq!(networks(none), [none, none, none]);
    assert_eq!(networks(relay), [relay, relay, none]);
}

proptest::proptest! {
    #[test]
    fn no_text_makes_it_panic(text in "(FROM|RUN|COPY|ENV|ARG|HEALTHCHECK)?[a-zA-Z\\[\\]{}=$:,\\- \\n<'\"0-9\\\\]{0,80}") {
        drop(plan(&text, None, &BTreeMap::new()));
        drop(plan(&format!("FROM a\n{text}"), None, &BTreeMap::new()));
    }
}
