//! What upstream's validation (`pkg/apis/batch/validation`, v1.34) says of jobs with limits and policies, in its words.

use serde_json::{Value, json};

use super::job;
use crate::validation::report::Report;

/// The complaints about a job with such a spec, as `field: message`.
fn complaints(spec: &Value) -> Vec<String> {
    let labels = json!({"batch.kubernetes.io/controller-uid": "u"});
    let mut all = json!({
        "metadata": {"name": "work"},
        "spec": {
            "parallelism": 1, "completions": 3, "completionMode": "Indexed",
            "selector": {"matchLabels": labels},
            "template": {"metadata": {"labels": labels}, "spec": {
                "restartPolicy": "Never", "dnsPolicy": "ClusterFirst",
                "containers": [{"name": "c", "image": "i", "imagePullPolicy": "Always",
                    "terminationMessagePolicy": "File"}],
            }},
        },
    });
    for (name, value) in spec.as_object().unwrap() {
        if name == "restartPolicy" {
            all["spec"]["template"]["spec"][name] = value.clone();
        } else {
            all["spec"][name] = value.clone();
        }
    }
    let mut report = Report::default();
    job(&all, &mut report);
    (report.causes.into_iter())
        .map(|cause| format!("{}: {}", cause.field, cause.message))
        .collect()
}

fn rule(rule: &Value) -> Vec<String> {
    complaints(&json!({"podFailurePolicy": {"rules": [rule]}}))
}

#[test]
fn a_job_without_fault_is_none() {
    let policy = json!({"rules": [
        {"action": "FailIndex", "onExitCodes": {"operator": "In", "values": [1, 42], "containerName": "c"}},
        {"action": "Ignore", "onPodConditions": [{"type": "DisruptionTarget", "status": "True"}]},
    ]});
    let spec = json!({"backoffLimitPerIndex": 1, "maxFailedIndexes": 3, "podFailurePolicy": policy,
        "podReplacementPolicy": "Failed", "managedBy": "acme.io/foo",
        "successPolicy": {"rules": [{"succeededIndexes": "0,2", "succeededCount": 1}]}});
    assert_eq!(complaints(&spec), [""; 0]);
}

#[test]
fn limits_of_indexes_want_indexes() {
    let spec =
        json!({"completionMode": "NonIndexed", "backoffLimitPerIndex": 1, "maxFailedIndexes": 1});
    let detail = "Invalid value: 1: requires indexed completion mode";
    assert_eq!(
        complaints(&spec),
        [
            format!("spec.backoffLimitPerIndex: {detail}"),
            format!("spec.maxFailedIndexes: {detail}")
        ]
    );
    assert_eq!(
        complaints(&json!({"maxFailedIndexes": 4})),
        [
            "spec.backoffLimitPerIndex: Required value: when maxFailedIndexes is specified",
            "spec.maxFailedIndexes: Invalid value: 4: must be less than or equal to completions",
        ]
    );
    assert_eq!(
        complaints(&json!({"backoffLimitPerIndex": -1})),
        ["spec.backoffLimitPerIndex: Invalid value: -1: must be greater than or equal to 0"]
    );
    assert_eq!(
        complaints(&json!({"completions": null})),
        ["spec.completions: Required value: when completion mode is Indexed"]
    );
}

#[test]
fn very_many_indexes_have_limits_of_their_own() {
    let spec = json!({"completions": 100_001, "parallelism": 10_001, "backoffLimitPerIndex": 1});
    assert_eq!(
        complaints(&spec),
        [
            "spec.maxFailedIndexes: Required value: must be specified when completions is above 100000",
            "spec.parallelism: Invalid value: 10001: must be less than or equal to 10000 when completions are above 100000 and used with backoff limit per index",
        ]
    );
    let spec = json!({"completions": 200_000, "parallelism": 100_001});
    assert_eq!(
        complaints(&spec),
        [
            "spec.parallelism: Invalid value: 100001: must be less than or equal to 100000 when completion mode is Indexed"
        ]
    );
}

#[test]
fn an_index_must_fit_into_a_hostname() {
    let mut report = Report::default();
    let name = "w".repeat(62);
    let all = json!({"metadata": {"name": name}, "spec": {"completionMode": "Indexed", "completions": 11}});
    super::hostnames(&all, &mut report);
    let message = &report.causes[0].message;
    assert!(message.ends_with(&format!(
        "will not able to create pod with invalid DNS label: {name}-10"
    )));
}

#[test]
fn a_policy_for_failures_wants_pods_that_are_never_restarted_and_replaced_late() {
    let policy =
        json!({"rules": [{"action": "Count", "onExitCodes": {"operator": "In", "values": [1]}}]});
    let spec = json!({"podFailurePolicy": policy, "restartPolicy": "OnFailure",
        "podReplacementPolicy": "TerminatingOrFailed"});
    assert_eq!(
        complaints(&spec),
        [
            "spec.podReplacementPolicy: Unsupported value: \"TerminatingOrFailed\": supported values: \"Failed\"",
            "spec.template.spec.restartPolicy: Invalid value: \"OnFailure\": only \"Never\" is supported when podFailurePolicy is specified",
        ]
    );
}

#[test]
fn rules_of_failures_are_read_closely() {
    let at = "spec.podFailurePolicy.rules[0]";
    let cases = [
        (
            json!({"action": "FailIndex", "onExitCodes": {"operator": "In", "values": [1]}}),
            vec![format!(
                "{at}.action: Invalid value: \"FailIndex\": requires the backoffLimitPerIndex to be set"
            )],
        ),
        (
            json!({"action": "", "onExitCodes": {"operator": "", "values": []}}),
            vec![
                format!(
                    "{at}.action: Required value: valid values: [\"Count\" \"FailIndex\" \"FailJob\" \"Ignore\"]"
                ),
                format!(
                    "{at}.onExitCodes.operator: Required value: valid values: [\"In\" \"NotIn\"]"
                ),
                format!(
                    "{at}.onExitCodes.values: Invalid value: []: at least one value is required"
                ),
            ],
        ),
        (
            json!({"action": "X", "onExitCodes": {"operator": "In", "values": [2, 0, 2], "containerName": "d"}}),
            vec![
                format!(
                    "{at}.action: Unsupported value: \"X\": supported values: \"Count\", \"FailIndex\", \"FailJob\", \"Ignore\""
                ),
                format!(
                    "{at}.onExitCodes.containerName: Invalid value: \"d\": must be one of the container or initContainer names in the pod template"
                ),
                format!(
                    "{at}.onExitCodes.values[1]: Invalid value: 0: must not be 0 for the In operator"
                ),
                format!("{at}.onExitCodes.values[2]: Duplicate value: 2"),
                format!("{at}.onExitCodes.values: Invalid value: [2,0,2]: must be ordered"),
            ],
        ),
        (
            json!({"action": "Ignore"}),
            vec![format!(
                "{at}: Invalid value: specifying one of OnExitCodes and OnPodConditions is required"
            )],
        ),
        (
            json!({"action": "Ignore", "onExitCodes": {"operator": "NotIn", "values": [0]},
                "onPodConditions": [{"type": "A", "status": "Maybe"}]}),
            vec![
                format!(
                    "{at}.onPodConditions[0].status: Unsupported value: \"Maybe\": supported values: \"False\", \"True\", \"Unknown\""
                ),
                format!(
                    "{at}: Invalid value: specifying both OnExitCodes and OnPodConditions is not supported"
                ),
            ],
        ),
    ];
    for (written, expected) in cases {
        assert_eq!(rule(&written), expected, "{written}");
    }
    let many = json!({"podFailurePolicy": {"rules": vec![
        json!({"action": "Count", "onExitCodes": {"operator": "In", "values": [1]}}); 21]}});
    assert_eq!(
        complaints(&many),
        ["spec.podFailurePolicy.rules: Too many: 21: must have at most 20 items"]
    );
}

#[test]
fn rules_of_success_are_about_indexes_that_can_be() {
    let at = "spec.successPolicy.rules[0]";
    let cases = [
        (
            json!({}),
            format!(
                "{at}: Required value: at least one of succeededCount or succeededIndexes must be specified"
            ),
        ),
        (
            json!({"succeededIndexes": "0,3"}),
            format!(
                "{at}.succeededIndexes: Invalid value: \"0,3\": error parsing succeededIndexes: too large index: \"3\""
            ),
        ),
        (
            json!({"succeededIndexes": "1,0"}),
            format!(
                "{at}.succeededIndexes: Invalid value: \"1,0\": error parsing succeededIndexes: non-increasing order, previous: 1, current: 0"
            ),
        ),
        (
            json!({"succeededIndexes": "0-1", "succeededCount": 3}),
            format!(
                "{at}.succeededCount: Invalid value: 3: must be less than or equal to 2 (the number of indexes in the specified succeededIndexes field)"
            ),
        ),
        (
            json!({"succeededCount": 4}),
            format!(
                "{at}.succeededCount: Invalid value: 4: must be less than or equal to 3 (the number of specified completions)"
            ),
        ),
    ];
    for (rule, expected) in cases {
        let spec = json!({"successPolicy": {"rules": [rule]}});
        assert_eq!(complaints(&spec), [expected], "{rule}");
    }
}

#[test]
fn another_controller_has_a_domain() {
    let detail = "must be a domain-prefixed path (such as \"acme.io/foo\")";
    assert_eq!(
        complaints(&json!({"managedBy": "other"})),
        [format!(
            "spec.managedBy: Invalid value: \"other\": {detail}"
        )]
    );
}
