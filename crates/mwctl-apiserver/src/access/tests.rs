//! Roles and bindings: who may do what, and in which words the others are refused.

use super::*;
use serde_json::{Value, json};

fn role(kind: &str, namespace: &str, name: &str, rules: &Value) -> Value {
    let mut role = json!({"kind": kind, "metadata": {"name": name}, "rules": rules});
    if !namespace.is_empty() {
        role["metadata"]["namespace"] = json!(namespace);
    }
    role
}

fn binding(namespace: &str, name: &str, role: (&str, &str), subject: &Value) -> Value {
    let kind = if namespace.is_empty() {
        "ClusterRoleBinding"
    } else {
        "RoleBinding"
    };
    json!({"kind": kind, "metadata": {"name": name, "namespace": namespace},
        "roleRef": {"kind": role.0, "name": role.1}, "subjects": [subject]})
}

fn named(name: &str) -> User {
    User {
        groups: vec![AUTHENTICATED.to_owned()],
        ..User::with_groups(name, &[])
    }
}

fn pods(name: &'static str) -> Resource<'static> {
    Resource {
        resource: "pods",
        namespace: "ns",
        name,
        ..Resource::default()
    }
}

fn may(policy: &Policy, user: &User, verb: &str, resource: Resource<'_>) -> bool {
    let target = Target::Resource(resource);
    authorize(policy, user, &Attributes { verb, target }).is_allowed()
}

fn may_see(policy: &Policy, user: &User, path: &str) -> bool {
    let target = Target::Path(path);
    authorize(
        policy,
        user,
        &Attributes {
            verb: "get",
            target,
        },
    )
    .is_allowed()
}

/// The cluster's own roles, and what `x` is granted in the namespace `ns`.
fn policy(rules: &Value) -> Policy {
    let mut objects = bootstrap_objects();
    objects.push(role("Role", "ns", "r", rules));
    objects.push(binding(
        "ns",
        "b",
        ("Role", "r"),
        &json!({"kind": "User", "name": "x"}),
    ));
    Policy::new(&objects)
}

#[test]
fn a_role_grants_what_it_lists_in_its_namespace() {
    let policy = policy(&json!([
        {"apiGroups": [""], "resources": ["pods"], "verbs": ["get", "list"]},
        {"apiGroups": [""], "resources": ["secrets"], "resourceNames": ["s"], "verbs": ["get"]},
        {"apiGroups": ["apps"], "resources": ["*/scale"], "verbs": ["*"]},
    ]));
    let x = named("x");
    let resource = |group, resource, subresource, name| Resource {
        group,
        resource,
        subresource,
        name,
        ..pods("")
    };
    for (verb, resource, expected) in [
        ("list", pods(""), true),
        ("delete", pods("p"), false),
        (
            "get",
            Resource {
                namespace: "other",
                ..pods("p")
            },
            false,
        ),
        (
            "get",
            Resource {
                namespace: "",
                ..pods("p")
            },
            false,
        ),
        ("get", resource("", "pods", "log", "p"), false),
        ("get", resource("apps", "pods", "", "p"), false),
        ("get", resource("", "secrets", "", "s"), true),
        ("get", resource("", "secrets", "", "t"), false),
        ("list", resource("", "secrets", "", ""), false),
        ("patch", resource("apps", "deployments", "scale", "d"), true),
        ("patch", resource("apps", "deployments", "", "d"), false),
    ] {
        assert_eq!(
            may(&policy, &x, verb, resource),
            expected,
            "{verb} {resource:?}"
        );
    }
    assert!(!may(&policy, &named("y"), "list", pods("")));
}

#[test]
fn subjects_are_users_groups_and_service_accounts() {
    let everything = json!([{"apiGroups": ["*"], "resources": ["*"], "verbs": ["*"]}]);
    let sa = User::service_account("ns", "builder");
    let group = |name: &str| json!({"kind": "Group", "name": name});
    for (subject, expected) in [
        (
            json!({"kind": "ServiceAccount", "name": "builder", "namespace": "ns"}),
            true,
        ),
        (json!({"kind": "ServiceAccount", "name": "builder"}), true),
        (
            json!({"kind": "ServiceAccount", "name": "builder", "namespace": "other"}),
            false,
        ),
        (group("system:serviceaccounts"), true),
        (group("system:serviceaccounts:ns"), true),
        (group("system:serviceaccounts:other"), false),
        (group(AUTHENTICATED), true),
        (
            json!({"kind": "User", "name": "system:serviceaccount:ns:builder"}),
            true,
        ),
        (json!({"kind": "User", "name": "builder"}), false),
    ] {
        let objects = [
            role("ClusterRole", "", "all", &everything),
            binding("ns", "b", ("ClusterRole", "all"), &subject),
        ];
        let policy = Policy::new(&objects);
        assert_eq!(may(&policy, &sa, "list", pods("")), expected, "{subject}");
        // A cluster role that is bound in a namespace grants nothing elsewhere.
        assert!(!may(
            &policy,
            &sa,
            "list",
            Resource {
                namespace: "",
                ..pods("")
            }
        ));
    }
}

#[test]
fn a_cluster_begins_with_an_admin_and_with_little_for_others() {
    let objects = bootstrap_objects();
    let policy = Policy::new(&objects);
    let x = named("x");
    assert!(may(&Policy::default(), &User::admin(), "delete", pods("p")));
    assert!(!may(&policy, &x, "list", pods("")));
    for path in ["/version", "/api/v1", "/openapi/v3/api/v1"] {
        assert!(may_see(&policy, &x, path), "{path}");
    }
    assert!(!may_see(&policy, &x, "/metrics"));
    assert!(may_see(&policy, &User::anonymous(), "/healthz"));
    assert!(!may_see(&policy, &User::anonymous(), "/api"));
    let review = Resource {
        group: "authorization.k8s.io",
        resource: "selfsubjectaccessreviews",
        ..Resource::default()
    };
    assert!(may(&policy, &x, "create", review));
    for role in [
        "cluster-admin",
        "admin",
        "edit",
        "view",
        "system:node",
        "system:controller:deployment-controller",
    ] {
        let found = objects
            .iter()
            .find(|object| object["kind"] == "ClusterRole" && object["metadata"]["name"] == role);
        assert!(
            found.is_some_and(|role| !role["rules"].as_array().unwrap().is_empty()),
            "{role}"
        );
    }
    let controller = User::service_account("kube-system", "deployment-controller");
    let replica_sets = Resource {
        group: "apps",
        resource: "replicasets",
        namespace: "ns",
        ..Resource::default()
    };
    assert!(may(&policy, &controller, "create", replica_sets));
}

#[test]
fn who_is_refused_is_told_in_upstreams_words() {
    let x = named("x");
    let told = |verb, resource| {
        forbidden(
            &x,
            &Attributes {
                verb,
                target: Target::Resource(resource),
            },
            "",
        )
        .message
    };
    assert_eq!(
        told("list", pods("")),
        "pods is forbidden: User \"x\" cannot list resource \"pods\" in API group \"\" in the namespace \"ns\""
    );
    assert_eq!(
        told(
            "get",
            Resource {
                subresource: "log",
                ..pods("p")
            }
        ),
        "pods \"p\" is forbidden: User \"x\" cannot get resource \"pods/log\" in API group \"\" in the namespace \"ns\""
    );
    let deployments = Resource {
        group: "apps",
        resource: "deployments",
        ..Resource::default()
    };
    assert_eq!(
        told("list", deployments),
        "deployments.apps is forbidden: User \"x\" cannot list resource \"deployments\" in API group \"apps\" at the cluster scope"
    );
    let path = Attributes {
        verb: "get",
        target: Target::Path("/metrics"),
    };
    assert_eq!(
        forbidden(&x, &path, "").message,
        "forbidden: User \"x\" cannot get path \"/metrics\""
    );
}

#[test]
fn what_allowed_a_request_can_be_told() {
    let policy = policy(&json!([{"apiGroups": [""], "resources": ["pods"], "verbs": ["get"]}]));
    let target = Target::Resource(pods("p"));
    assert_eq!(
        authorize(
            &policy,
            &named("x"),
            &Attributes {
                verb: "get",
                target
            }
        ),
        Decision::Allowed(
            "RBAC: allowed by RoleBinding \"b/ns\" of Role \"r\" to User \"x\"".to_owned()
        )
    );
}

fn writer() -> Policy {
    policy(&json!([
        {"apiGroups": ["rbac.authorization.k8s.io"], "resources": ["roles", "rolebindings"], "verbs": ["create", "update"]},
        {"apiGroups": [""], "resources": ["pods"], "verbs": ["get", "list"]},
        {"apiGroups": [""], "resources": ["secrets"], "resourceNames": ["n"], "verbs": ["get"]},
    ]))
}

const ATTEMPT: &str = "user \"x\" (groups=[\"system:authenticated\"]) is attempting to grant RBAC permissions not currently held:\n";

#[test]
fn nobody_grants_by_a_role_what_they_do_not_have() {
    let check = |rules: Value| {
        escalation::check_role(&writer(), &named("x"), &role("Role", "ns", "b", &rules))
    };
    let refused = |rules: Value| check(rules).unwrap_err().message;
    assert_eq!(
        check(json!([{"apiGroups": [""], "resources": ["pods"], "verbs": ["get"]}])),
        Ok(())
    );
    assert_eq!(
        refused(json!([
            {"apiGroups": [""], "resources": ["pods", "secrets"], "verbs": ["get", "create"]},
            {"apiGroups": ["apps"], "resources": ["deployments", "pods/log"], "verbs": ["*"], "resourceNames": ["n", "m"]},
        ])),
        format!(
            "roles.rbac.authorization.k8s.io \"b\" is forbidden: {ATTEMPT}{}",
            [
                r#"{APIGroups:[""], Resources:["pods"], Verbs:["create"]}"#,
                r#"{APIGroups:[""], Resources:["secrets"], Verbs:["get" "create"]}"#,
                r#"{APIGroups:["apps"], Resources:["deployments"], ResourceNames:["m"], Verbs:["*"]}"#,
                r#"{APIGroups:["apps"], Resources:["deployments"], ResourceNames:["n"], Verbs:["*"]}"#,
                r#"{APIGroups:["apps"], Resources:["pods/log"], ResourceNames:["m"], Verbs:["*"]}"#,
                r#"{APIGroups:["apps"], Resources:["pods/log"], ResourceNames:["n"], Verbs:["*"]}"#,
            ]
            .join("\n")
        )
    );
    assert_eq!(
        refused(json!([
            {"apiGroups": [""], "resources": ["pods/log", "*"], "verbs": ["get"]},
            {"apiGroups": ["*"], "resources": ["*"], "verbs": ["*"]},
            {"apiGroups": [""], "resources": ["secrets"], "resourceNames": ["n", "q"], "verbs": ["get", "delete"]},
        ])),
        format!(
            "roles.rbac.authorization.k8s.io \"b\" is forbidden: {ATTEMPT}{}",
            [
                r#"{APIGroups:[""], Resources:["*"], Verbs:["get"]}"#,
                r#"{APIGroups:[""], Resources:["pods/log"], Verbs:["get"]}"#,
                r#"{APIGroups:[""], Resources:["secrets"], ResourceNames:["n"], Verbs:["delete"]}"#,
                r#"{APIGroups:[""], Resources:["secrets"], ResourceNames:["q"], Verbs:["get" "delete"]}"#,
                r#"{APIGroups:["*"], Resources:["*"], Verbs:["*"]}"#,
            ]
            .join("\n")
        )
    );
}

#[test]
fn nobody_binds_a_role_that_has_more_than_they_have() {
    let x = json!({"kind": "User", "name": "x"});
    let check = |kind, name| {
        escalation::check_binding(
            &writer(),
            &named("x"),
            &binding("ns", "b5", (kind, name), &x),
        )
        .map_err(|refusal| (refusal.code, refusal.message))
    };
    assert_eq!(check("Role", "r"), Ok(()));
    assert_eq!(check("ClusterRole", "system:discovery"), Ok(()));
    assert_eq!(
        check("Role", "nope"),
        Err((
            404,
            "rolebindings.rbac.authorization.k8s.io \"nope\" not found".to_owned()
        ))
    );
    assert_eq!(
        check("ClusterRole", "cluster-admin"),
        Err((
            403,
            format!(
                "rolebindings.rbac.authorization.k8s.io \"b5\" is forbidden: {ATTEMPT}{{APIGroups:[\"*\"], Resources:[\"*\"], Verbs:[\"*\"]}}\n{{NonResourceURLs:[\"*\"], Verbs:[\"*\"]}}"
            )
        ))
    );
}

#[test]
fn who_may_escalate_or_bind_grants_anything() {
    let policy = policy(&json!([
        {"apiGroups": ["rbac.authorization.k8s.io"], "resources": ["roles"], "verbs": ["escalate"]},
        {"apiGroups": ["rbac.authorization.k8s.io"], "resources": ["clusterroles"], "verbs": ["bind"], "resourceNames": ["cluster-admin"]},
    ]));
    let all = json!([{"apiGroups": ["*"], "resources": ["*"], "verbs": ["*"]}]);
    let x = named("x");
    let user = json!({"kind": "User", "name": "x"});
    assert_eq!(
        escalation::check_role(&policy, &x, &role("Role", "ns", "b", &all)),
        Ok(())
    );
    assert!(escalation::check_role(&policy, &x, &role("ClusterRole", "", "b", &all)).is_err());
    let bind = |role| {
        escalation::check_binding(
            &policy,
            &x,
            &binding("ns", "b", ("ClusterRole", role), &user),
        )
    };
    assert_eq!(bind("cluster-admin"), Ok(()));
    assert!(bind("admin").is_err());
}

#[test]
fn a_review_lists_what_somebody_may() {
    let review = rules_review(&writer(), &named("x"), "ns");
    let resources = review["resourceRules"].as_array().unwrap();
    assert!(resources.contains(&json!({"verbs": ["get"], "apiGroups": [""], "resources": ["secrets"], "resourceNames": ["n"]})));
    assert!(
        resources
            .iter()
            .any(|rule| rule["resources"] == json!(["selfsubjectreviews"]))
    );
    assert!(
        review["nonResourceRules"][0]["nonResourceURLs"]
            .as_array()
            .unwrap()
            .contains(&json!("/healthz"))
    );
    let elsewhere = rules_review(&writer(), &named("x"), "other");
    assert!(!elsewhere.to_string().contains("secrets"));
}

#[test]
fn senseless_objects_grant_nothing() {
    let objects = [
        json!(null),
        json!({"kind": "Role"}),
        json!({"kind": "RoleBinding", "roleRef": {"kind": "Zap"}, "subjects": 3}),
        json!({"kind": "ClusterRoleBinding", "metadata": {"name": "b"}, "roleRef": {"kind": "ClusterRole", "name": "nope"},
            "subjects": [{"kind": "Zap", "name": "x"}, {"kind": "User", "name": "x"}]}),
    ];
    assert!(!may(&Policy::new(&objects), &named("x"), "get", pods("p")));
}
