//! What makes a service's pods, and what is rendered for a namespace: one promise per test.

use serde_json::{Value, json};

use super::super::fixture::{container, service, stack};
use super::{find, rendered};
use crate::manifest::frontends;
use crate::model::{
    Address, Concurrency, Limits, Manifest, Mount, PodSecurity, Reach, Run, Service, Stack, Volume,
    VolumeKind, Workload,
};

/// The fixture's stack with one more service.
fn with(service: Service) -> Stack {
    let mut stack = stack();
    stack.services.insert(service.name.clone(), service);
    stack
}

fn of_kind(workload: Workload) -> Stack {
    let mut it = service("it", 8000);
    it.workload = workload;
    it.volumes = vec![Volume {
        name: "data".to_owned(),
        kind: VolumeKind::Persistent {
            size: "1Gi".to_owned(),
        },
    }];
    it.main.mounts = vec![Mount {
        volume: "data".to_owned(),
        path: "/data".to_owned(),
        read_only: false,
    }];
    it.helpers = vec![container("beside", 9000)];
    with(it)
}

const ONCE: Run = Run {
    retries: 1,
    deadline_seconds: Some(600),
};

#[test]
fn a_stateful_set_makes_the_claims_of_its_pods_itself() {
    let objects = rendered(&of_kind(Workload::StatefulSet));
    let set = find(&objects, "statefulset/it-main");
    let claims = &set["spec"]["volumeClaimTemplates"];
    assert_eq!(claims[0]["metadata"]["name"], "data");
    assert_eq!(claims[0]["spec"]["resources"]["requests"]["storage"], "1Gi");
    assert_eq!(set["spec"]["template"]["spec"]["volumes"], Value::Null);
    let shown: Vec<String> = objects
        .iter()
        .map(|object| object.id().to_string())
        .collect();
    assert!(!shown.contains(&"persistentvolumeclaim/it-main-data".to_owned()));
}

#[test]
fn a_daemon_set_has_neither_a_number_nor_a_budget() {
    let mut stack = of_kind(Workload::DaemonSet);
    stack.services.get_mut("it").unwrap().replicas = 3;
    let objects = rendered(&stack);
    let set = find(&objects, "daemonset/it-main");
    assert!(set["spec"].get("replicas").is_none());
    let budget = |object: &super::Object| object.id().kind == "PodDisruptionBudget";
    assert!(!objects.iter().any(budget));
}

#[test]
fn a_job_runs_to_its_end_though_its_helpers_would_run_on() {
    let objects = rendered(&of_kind(Workload::Job(ONCE)));
    let job = find(&objects, "job/it-main");
    assert_eq!(job["spec"]["backoffLimit"], 1);
    assert_eq!(job["spec"]["activeDeadlineSeconds"], 600);
    let pod = &job["spec"]["template"]["spec"];
    assert_eq!(pod["restartPolicy"], "Never");
    assert_eq!(pod["containers"].as_array().unwrap().len(), 1);
    assert_eq!(pod["initContainers"][0]["name"], "it-main-beside");
    assert_eq!(pod["initContainers"][0]["restartPolicy"], "Always");
}

#[test]
fn a_cron_job_says_when_and_what_if_the_last_run_goes_on() {
    let objects = rendered(&of_kind(Workload::CronJob {
        schedule: "@daily".to_owned(),
        concurrency: Concurrency::Forbid,
        run: ONCE,
    }));
    let job = find(&objects, "cronjob/it-main");
    assert_eq!(job["spec"]["schedule"], "@daily");
    assert_eq!(job["spec"]["concurrencyPolicy"], "Forbid");
    let labels = &job["spec"]["jobTemplate"]["metadata"]["labels"];
    assert_eq!(labels["app.kubernetes.io/name"], "it");
}

#[test]
fn several_pods_get_a_budget_that_lets_one_go() {
    let mut stack = of_kind(Workload::Deployment);
    stack.services.get_mut("it").unwrap().replicas = 2;
    let budget = find(&rendered(&stack), "poddisruptionbudget/it-main");
    assert_eq!(budget["spec"]["maxUnavailable"], 1);
    assert_eq!(budget["spec"]["selector"]["matchLabels"]["app"], "it");
}

#[test]
fn a_service_is_reached_by_an_address_by_a_nodes_port_or_by_its_pods() {
    let mut it = service("it", 8000);
    let spec = |it: &Service| find(&rendered(&with(it.clone())), "service/it-main")["spec"].clone();
    assert_eq!(spec(&it)["type"], "ClusterIP");
    it.network.address = Address::NodePort { port: Some(30123) };
    assert_eq!(spec(&it)["type"], "NodePort");
    assert_eq!(spec(&it)["ports"][0]["nodePort"], 30123);
    it.network.address = Address::Headless;
    assert_eq!(spec(&it)["clusterIP"], "None");
}

#[test]
fn an_account_is_made_for_whoever_speaks_to_the_api_alone() {
    let mut it = service("it", 8000);
    it.account = true;
    let objects = rendered(&with(it));
    find(&objects, "serviceaccount/it-main");
    let pod = |shown: &str| find(&objects, shown)["spec"]["template"]["spec"].clone();
    assert_eq!(pod("deployment/it-main")["serviceAccountName"], "it-main");
    assert_eq!(
        pod("deployment/it-main")["automountServiceAccountToken"],
        true
    );
    assert_eq!(
        pod("deployment/redis-main")["automountServiceAccountToken"],
        false
    );
}

#[test]
fn a_port_is_reached_from_where_it_says_and_from_nowhere_else() {
    let mut it = service("it", 8000);
    it.helpers = vec![
        container("a", 9001),
        container("b", 9002),
        container("c", 9003),
    ];
    it.helpers[0].ports[0].reach = Reach::Cluster;
    it.helpers[1].ports[0].reach = Reach::Pod;
    it.helpers[2].ports[0].reach = Reach::Named("tls-service".to_owned());
    let stack = with(it);
    let addresses = |stack: &Stack| -> Vec<(String, u16, String)> {
        let found = frontends(stack, &stack.services["it"]).into_iter();
        found.map(|it| (it.object, it.port, it.scheme)).collect()
    };
    let at = |object: &str, port| (object.to_owned(), port, "http".to_owned());
    let secured = at("it-main-tls-service", 9003);
    assert_eq!(addresses(&stack), [at("it-main", 8000), secured.clone()]);
    let mut headless = stack.clone();
    let it = headless.services.get_mut("it").unwrap();
    it.network.address = Address::Headless;
    assert_eq!(addresses(&headless), [secured]);
    let objects = rendered(&stack);
    let numbers = |list: &Value| -> Vec<Value> {
        let ports = list.as_array().unwrap().iter();
        ports.map(|port| port["port"].clone()).collect()
    };
    let own = find(&objects, "service/it-main");
    assert_eq!(numbers(&own["spec"]["ports"]), [8000]);
    let named = find(&objects, "service/it-main-tls-service");
    assert_eq!(numbers(&named["spec"]["ports"]), [9003]);
    let policy = find(&objects, "networkpolicy/it-main");
    assert_eq!(
        numbers(&policy["spec"]["ingress"][0]["ports"]),
        [8000, 9001, 9003]
    );
}

#[test]
fn a_strict_service_reaches_what_it_needs() {
    let mut stack = stack();
    let mathoid = stack.services.get_mut("mathoid").unwrap();
    mathoid.network.restrict_egress = true;
    let policy = find(&rendered(&stack), "networkpolicy/mathoid-main");
    let egress = &policy["spec"]["egress"];
    assert_eq!(
        egress[1]["to"][0]["podSelector"]["matchLabels"]["app"],
        "redis"
    );
    assert_eq!(egress[1]["ports"][0]["port"], 6379);
    assert_eq!(egress.as_array().unwrap().len(), 2);
}

#[test]
fn a_namespace_has_a_quota_and_limits_where_the_stack_says_so() {
    let mut stack = stack();
    let amounts = |pairs: [(&str, &str); 2]| {
        pairs
            .map(|(key, value)| (key.to_owned(), value.to_owned()))
            .into()
    };
    stack.admission.quota = amounts([("cpu", "90"), ("memory", "100Gi")]);
    stack.admission.limits = Some(Limits {
        min: amounts([("cpu", "1m"), ("memory", "1Mi")]),
        pod_max: amounts([("cpu", "10"), ("memory", "5Gi")]),
        ..Limits::default()
    });
    stack.admission.pod_security = PodSecurity::Baseline;
    let objects = rendered(&stack);
    let quota = find(&objects, "resourcequota/quota-compute-resources");
    assert_eq!(
        quota["spec"]["hard"],
        json!({ "limits.cpu": "90", "limits.memory": "100Gi", "requests.cpu": "90", "requests.memory": "100Gi" })
    );
    let limits = find(&objects, "limitrange/general-limits");
    assert_eq!(limits["spec"]["limits"][0]["min"]["cpu"], "1m");
    assert_eq!(limits["spec"]["limits"][1]["type"], "Pod");
    let namespace = find(&objects, "namespace/math");
    let labels = &namespace["metadata"]["labels"];
    assert_eq!(labels["pod-security.kubernetes.io/enforce"], "baseline");
}

#[test]
fn an_object_from_elsewhere_is_found_again_and_belongs_to_no_service() {
    let mut stack = stack();
    stack.manifests = vec![
        Manifest(json!({
            "apiVersion": "v1", "kind": "ConfigMap",
            "metadata": { "name": "raw", "labels": { "app.kubernetes.io/name": "redis" } },
        })),
        Manifest(json!({
            "apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRole",
            "metadata": { "name": "wide" },
        })),
    ];
    let objects = rendered(&stack);
    let of = |shown: &str| {
        let found = objects
            .iter()
            .find(|object| object.id().to_string() == shown);
        found.unwrap_or_else(|| panic!("no {shown}"))
    };
    let raw = of("configmap/raw");
    assert_eq!(raw.id().namespace.as_deref(), Some("math"));
    assert_eq!(raw.label("app.kubernetes.io/managed-by"), Some("mwctl"));
    assert_eq!(raw.label("app.kubernetes.io/name"), Some("redis"));
    assert_eq!(raw.service(), None);
    assert_eq!(of("clusterrole/wide").id().namespace, None);
}

#[test]
fn what_is_needed_is_known_by_the_names_that_kubernetes_gives() {
    let objects = rendered(&stack());
    let pod = &find(&objects, "deployment/mathoid-main")["spec"]["template"]["spec"];
    let value = |variable: &str| {
        let variables = pod["containers"][0]["env"].as_array().unwrap().iter();
        let mut found = variables.filter(|it| it["name"] == variable);
        found.next().map(|it| it["value"].clone())
    };
    assert_eq!(value("REDIS_MAIN_SERVICE_HOST"), Some(json!("redis-main")));
    assert_eq!(value("REDIS_MAIN_SERVICE_PORT"), Some(json!("6379")));
    assert_eq!(value("MATHOID_MAIN_SERVICE_HOST"), None);
}
