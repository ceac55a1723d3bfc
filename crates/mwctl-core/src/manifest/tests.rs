//! Objects as they are applied: whole ones as snapshots, and one promise per test.

use std::collections::BTreeMap;

use k8s_openapi::api::apps::v1::Deployment;
use serde_json::Value;

use super::fixture::{container, images, name, service, stack};
use super::*;

mod kinds;
mod production;
use crate::model::{Condition, ConfigFile, Egress, Need, Stack};

const AGENT: AgentBundle<'static> = AgentBundle {
    loader: b"loader",
    packed: b"packed",
    digest: "0123456789abcdef",
};

fn rendered(stack: &Stack) -> Vec<Object> {
    render(stack, &images(), "checkout")
}

fn find(objects: &[Object], shown: &str) -> Value {
    let found = objects
        .iter()
        .find(|object| object.id().to_string() == shown);
    found.unwrap_or_else(|| panic!("no {shown}")).to_value()
}

fn deployment(objects: &[Object]) -> Deployment {
    let found = objects.iter().find(|object| object.is::<Deployment>());
    let found = found.expect("there is a Deployment").to_value();
    serde_json::from_value(found).expect("it is one")
}

#[test]
fn a_stack_of_a_service_and_its_database_in_full() {
    let yaml = to_yaml(&rendered(&stack()), Secrets::Hidden).unwrap();
    insta::assert_snapshot!(yaml);
}

#[test]
fn configuration_precedes_what_uses_it() {
    let kinds: Vec<String> = rendered(&stack()).iter().map(|o| o.id().kind).collect();
    let place = |kind: &str| kinds.iter().position(|k| k == kind).unwrap();
    assert_eq!(place("Namespace"), 0);
    for config in ["ConfigMap", "Secret", "PersistentVolumeClaim", "Service"] {
        assert!(place(config) < place("Deployment"), "{config}");
    }
}

#[test]
fn a_secret_is_shown_nowhere_but_in_its_value() {
    let objects = rendered(&stack());
    let secret = find(&objects, "secret/mathoid-main-secret-config");
    assert_eq!(secret["data"]["API_KEY"], "aHVudGVyMg==");
    let shown = format!(
        "{objects:?}{}{}",
        serde_json::to_string(&objects).unwrap(),
        to_yaml(&objects, Secrets::Hidden).unwrap()
    );
    assert!(!shown.contains("aHVudGVyMg==") && !shown.contains("hunter2"));
    let revealed = to_yaml(&objects, Secrets::Revealed).unwrap();
    assert!(revealed.contains("aHVudGVyMg=="));
}

#[test]
fn every_container_is_restricted() {
    let objects = rendered(&stack());
    for object in &objects {
        let value = object.to_value();
        let containers = value.pointer("/spec/template/spec/containers");
        for container in containers.and_then(Value::as_array).into_iter().flatten() {
            let security = &container["securityContext"];
            assert_eq!(security["allowPrivilegeEscalation"], false);
            assert_eq!(security["capabilities"]["drop"][0], "ALL");
            assert_eq!(security["runAsNonRoot"], true);
            assert_eq!(security["seccompProfile"]["type"], "RuntimeDefault");
        }
    }
}

#[test]
fn a_variable_that_is_set_twice_has_the_later_value_once() {
    let mut stack = stack();
    let mathoid = stack.services.get_mut("mathoid").unwrap();
    let environment = &mut mathoid.main.environment;
    environment.push(("NODE_ENV".to_owned(), "development".to_owned()));
    environment.push(("API_KEY".to_owned(), "public".to_owned()));
    let objects = rendered(&stack);
    let value = find(&objects, "deployment/mathoid-main");
    let env = &value["spec"]["template"]["spec"]["containers"][0]["env"];
    let all = |name: &str| -> Vec<&Value> {
        let variables = env.as_array().unwrap().iter();
        variables
            .filter(|variable| variable["name"] == name)
            .collect()
    };
    assert_eq!(env[0]["name"], "SERVICE_IDENTIFIER");
    assert_eq!(all("NODE_ENV")[0]["value"], "development");
    assert!(all("API_KEY")[0]["valueFrom"]["secretKeyRef"].is_object());
    assert_eq!((all("NODE_ENV").len(), all("API_KEY").len()), (1, 1));
}

#[test]
fn a_change_of_configuration_changes_the_pods_and_one_of_the_version_does_not() {
    let template = |stack: &Stack| {
        find(&rendered(stack), "deployment/mathoid-main")["spec"]["template"].clone()
    };
    let planned = template(&stack());
    let mut changed = stack();
    changed.services.get_mut("mathoid").unwrap().version = Some("0.8.0+git".to_owned());
    assert_eq!(template(&changed), planned);
    changed.services.get_mut("mathoid").unwrap().files[0].text = "num_workers: 1\n".to_owned();
    assert_ne!(template(&changed), planned);
}

#[test]
fn files_of_one_directory_share_a_volume_and_files_beside_others_hide_nothing() {
    let mut stack = stack();
    let file = |path: &str, container: &str| ConfigFile {
        path: path.to_owned(),
        text: path.to_owned(),
        container: container.to_owned(),
        map: "config".to_owned(),
    };
    let mathoid = stack.services.get_mut("mathoid").unwrap();
    mathoid.helpers.push(container("exporter", 9102));
    mathoid.files = vec![
        file("/etc/mathoid/a.yaml", "main"),
        file("/etc/mathoid/b.yaml", "main"),
        file("/etc/mathoid/a.yaml", "exporter"),
        file("/srv/service/config.yaml", "main"),
        file("/srv/service/config/d.yaml", "main"),
        file("/etc/my.cnf", "main"),
    ];
    let objects = rendered(&stack);
    let config = find(&objects, "configmap/mathoid-main-config");
    assert_eq!(config["data"].as_object().unwrap().len(), 6);
    let pod = find(&objects, "deployment/mathoid-main")["spec"]["template"]["spec"].clone();
    assert_eq!(pod["volumes"].as_array().unwrap().len(), 5);
    let mounts: Vec<(&str, Option<&str>)> = pod["containers"][0]["volumeMounts"]
        .as_array()
        .unwrap()
        .iter()
        .map(|m| (m["mountPath"].as_str().unwrap(), m["subPath"].as_str()))
        .collect();
    assert_eq!(
        mounts,
        [
            ("/etc/my.cnf", Some("my.cnf")),
            ("/etc/mathoid", None),
            ("/srv/service/config.yaml", Some("config.yaml")),
            ("/srv/service/config", None),
        ]
    );
    let helper = &pod["containers"][1];
    assert_eq!(helper["name"], "mathoid-main-exporter");
    assert_eq!(helper["volumeMounts"].as_array().unwrap().len(), 1);
}

#[test]
fn an_egress_rule_never_has_an_empty_to() {
    let mut stack = stack();
    let mut silent = service("silent", 1);
    silent.main.ports.clear();
    stack.services.insert(name("silent"), silent);
    let mathoid = stack.services.get_mut("mathoid").unwrap();
    mathoid.network.restrict_egress = true;
    mathoid.network.egress = vec![
        Egress::Service(name("redis")),
        Egress::Service(name("silent")),
        Egress::Service(name("absent")),
        Egress::Cidr {
            cidr: String::new(),
            ports: vec![443],
        },
        Egress::Cidr {
            cidr: "10.64.0.0/12".to_owned(),
            ports: Vec::new(),
        },
    ];
    let policy = find(&rendered(&stack), "networkpolicy/mathoid-main");
    let rules = policy["spec"]["egress"].as_array().unwrap();
    assert_eq!(rules.len(), 3, "{rules:#?}");
    assert_eq!(rules[0]["ports"][0]["port"], 53);
    for rule in &rules[1..] {
        assert_eq!(rule["to"].as_array().unwrap().len(), 1);
    }
    let closed = find(&rendered(&stack), "networkpolicy/silent-main");
    assert_eq!(closed["spec"]["ingress"], Value::Array(Vec::new()));
    assert!(
        !rendered(&stack)
            .iter()
            .any(|o| o.id().to_string() == "service/silent-main")
    );
}

#[test]
fn images_made_here_are_never_pulled() {
    let objects = rendered(&stack());
    let policy = |shown: &str| {
        let value = find(&objects, shown);
        value["spec"]["template"]["spec"]["containers"][0]["imagePullPolicy"].clone()
    };
    assert_eq!(policy("deployment/mathoid-main"), "Never");
    assert_eq!(policy("deployment/redis-main"), "IfNotPresent");
}

#[test]
fn a_fingerprint_does_not_depend_on_the_stamp() {
    for object in rendered(&stack()) {
        let stamped = object.clone().stamped();
        assert_eq!(stamped.fingerprint(), object.fingerprint());
        assert_ne!(stamped, object);
    }
}

fn developed(stack: &Stack, service: &crate::model::Service) -> Vec<Object> {
    let image = "mwctl.local/mathoid:1";
    develop_form(stack, service, image, None, &AGENT, "checkout").unwrap()
}

#[test]
fn the_develop_form_in_full() {
    let stack = stack();
    let mathoid = &stack.services["mathoid"];
    let objects = developed(&stack, mathoid);
    insta::assert_snapshot!(to_yaml(&objects, Secrets::Hidden).unwrap());
}

#[test]
fn the_develop_form_with_a_mounted_checkout_in_full() {
    let mut stack = stack();
    let name = crate::name::ServiceName::new("mathoid").unwrap();
    let mathoid = stack.services.get_mut(&name).unwrap();
    mathoid.develop.as_mut().unwrap().mount = true;
    let mathoid = &stack.services[&name];
    let objects = developed(&stack, mathoid);
    insta::assert_snapshot!(to_yaml(&objects, Secrets::Hidden).unwrap());
    let places = inside(&stack, mathoid, mathoid.develop.as_ref().unwrap());
    let places: Vec<_> = places
        .iter()
        .map(|place| (place.path.as_str(), place.is_directory))
        .collect();
    assert_eq!(places, [("node_modules", true)]);
}

#[test]
fn the_pod_of_a_test_in_full() {
    let stack = stack();
    let test = TestPod {
        name: "mathoid-main-test-1",
        image: "mwctl.local/mathoid:1",
        command: &[],
    };
    let mathoid = &stack.services["mathoid"];
    let objects = test_pod(&stack, mathoid, &test, &AGENT, "checkout").unwrap();
    insta::assert_snapshot!(to_yaml(&objects, Secrets::Hidden).unwrap());
}

#[test]
fn nothing_finds_the_pod_of_a_test_but_the_test() {
    let stack = stack();
    let test = TestPod {
        name: "mathoid-main-test-1",
        image: "mwctl.local/mathoid:1",
        command: &[],
    };
    let mathoid = &stack.services["mathoid"];
    let objects = test_pod(&stack, mathoid, &test, &AGENT, "checkout").unwrap();
    let labels = find(&objects, "pod/mathoid-main-test-1")["metadata"]["labels"].clone();
    for selector in [
        label::selector(&stack, mathoid),
        label::route(&stack, mathoid),
    ] {
        assert!(selector.iter().any(|(key, value)| labels[key] != **value));
    }
}

#[test]
fn the_develop_form_keeps_what_can_not_be_changed_in_place() {
    let stack = stack();
    let mathoid = &stack.services["mathoid"];
    let planned = rendered(&stack);
    let developed = develop_form(&stack, mathoid, "i", None, &AGENT, "checkout").unwrap();
    let (planned, developed) = (deployment(&planned), deployment(&developed));
    assert_eq!(planned.metadata.name, developed.metadata.name);
    let immutable = |deployment: &Deployment| {
        let spec = deployment.spec.clone().unwrap();
        (spec.selector, spec.strategy.unwrap().type_)
    };
    assert_eq!(immutable(&planned), immutable(&developed));
}

#[test]
fn the_command_is_the_one_for_developing_then_the_planned_one_then_the_images_own() {
    let mut mathoid = stack().services["mathoid"].clone();
    mathoid.image = crate::model::Image::Reference("x".to_owned());
    let own = vec!["from-image".to_owned()];
    assert_eq!(command_of(&mathoid, Some(&own)).unwrap(), own);
    let problem = command_of(&mathoid, None).unwrap_err();
    assert!(problem.hint.unwrap().contains("develop"));
    mathoid.main.command = vec!["planned".to_owned()];
    assert_eq!(command_of(&mathoid, Some(&own)).unwrap(), ["planned"]);
    mathoid.develop.as_mut().unwrap().command = vec!["developing".to_owned()];
    assert_eq!(command_of(&mathoid, Some(&own)).unwrap(), ["developing"]);
}

#[test]
fn a_service_without_a_source_can_not_be_developed() {
    let stack = stack();
    let problem = develop_form(
        &stack,
        &stack.services["redis"],
        "i",
        None,
        &AGENT,
        "checkout",
    )
    .unwrap_err();
    assert!(problem.message.contains("redis"));
}

#[test]
fn the_agents_port_is_one_that_nobody_uses() {
    let mut service = service("busy", 7299);
    service.helpers.push(container("helper", 7300));
    assert_eq!(health_port(&service), 7301);
}

#[test]
fn what_yaml_1_1_reads_as_something_else_is_quoted() {
    let mut stack = stack();
    let mathoid = stack.services.get_mut("mathoid").unwrap();
    let odd = [
        "on", "y", "0777", "1_000", "1e3", "~", "null", "1:30", "=", "0x1f", ".5", "<<",
    ];
    mathoid.main.environment = odd
        .iter()
        .enumerate()
        .map(|(index, text)| (format!("ODD_{index}"), (*text).to_owned()))
        .collect();
    mathoid.needs = vec![Need {
        service: name("redis"),
        condition: Condition::Eventually,
    }];
    let yaml = to_yaml(&rendered(&stack), Secrets::Hidden).unwrap();
    for text in odd {
        let quoted = [format!("value: \"{text}\""), format!("value: '{text}'")];
        assert!(
            quoted.iter().any(|quoted| yaml.contains(quoted)),
            "{text} stands bare"
        );
    }
    let read: Vec<BTreeMap<String, Value>> = serde_yaml::from_multiple(&yaml).unwrap();
    assert_eq!(read.len(), rendered(&stack).len());
}
