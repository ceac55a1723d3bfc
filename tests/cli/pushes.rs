//! Deploying to a cluster that names a registry: images are pushed there, pods name it as the nodes do, and where it
//! doesn't take them, nothing is deployed.

use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::core::v1::ConfigMap;
use kube::Api;
use kube::api::{ListParams, PostParams};
use mwctl_engine::images::oci::architecture;
use mwctl_testing::{Options, TestCluster};
use mwctl_tests::registry::Registry;
use serde_json::json;

use crate::archive::layer;
use crate::folder::Folder;

const SERVICE: &str = "apiVersion: mwctl/v1
kind: Service
name: teller
container:
  command: [/app]
  build: {file: Dockerfile, user: 1000}
";

/// A cluster whose pods are simulated, a registry, and a service of one file.
struct Stage {
    cluster: TestCluster,
    registry: Registry,
    folder: Folder,
}

impl Stage {
    async fn new() -> Self {
        let options = Options::default().simulate_pods();
        Self {
            cluster: options.start().await.unwrap(),
            registry: Registry::start().unwrap(),
            folder: Folder::new()
                .file("mwctl.yaml", SERVICE)
                .file("Dockerfile", "FROM scratch\nCOPY app /app\n")
                .file("app", "one"),
        }
    }

    /// Lets the cluster say this of its registry.
    async fn advertise(&self, said: &str) {
        let maps: Api<ConfigMap> = Api::namespaced(self.cluster.client(), "kube-public");
        let map = json!({"metadata": {"name": "local-registry-hosting"}, "data": {"localRegistryHosting.v1": said}});
        let map = serde_json::from_value(map).unwrap();
        maps.create(&PostParams::default(), &map).await.unwrap();
    }

    async fn mwctl(&self, arguments: &[&str]) -> String {
        let kubeconfig = self.cluster.kubeconfig().await.unwrap();
        let variables = [("KUBECONFIG", kubeconfig.to_str().unwrap())];
        self.folder
            .mwctl_with(&variables, arguments.iter().copied())
    }

    /// The images of all deployments.
    async fn images(&self) -> Vec<String> {
        let all: Api<Deployment> = Api::all(self.cluster.client());
        let all = all.list(&ListParams::default()).await.unwrap();
        let specs = all
            .items
            .into_iter()
            .filter_map(|it| it.spec?.template.spec);
        let containers = specs.flat_map(|spec| spec.containers);
        containers.filter_map(|it| it.image).collect()
    }
}

#[tokio::test]
async fn a_cluster_that_names_its_registry_gets_images_by_it() {
    let stage = Stage::new().await;
    let host = stage.registry.host();
    stage
        .advertise(&format!(
            "host: {host}\nhostFromContainerRuntime: registry:5000\n"
        ))
        .await;
    let told = stage.mwctl(&["up"]).await;
    assert!(told.ends_with("[exit status: 0]\n"), "{told}");
    let images = stage.images().await;
    let [image] = images.as_slice() else {
        panic!("{images:?}");
    };
    let name = image.strip_prefix("registry:5000/").unwrap();
    assert!(name.starts_with("mwctl/teller:"), "{name}");
    assert_eq!(stage.registry.names(), [name]);
    let first = stage.registry.received();
    assert_eq!(first.len(), 2, "one layer, and the configuration");

    // The plan knows the name that pods have: nothing is to be done.
    let told = stage.mwctl(&["up"]).await;
    assert!(told.contains("nothing to do"), "{told}");
    assert_eq!(stage.registry.received(), Vec::<String>::new());

    // Another file is another image, also in the registry, and is rolled out.
    std::fs::write(stage.folder.work().join("app"), "two").unwrap();
    let told = stage.mwctl(&["up", "--verbose"]).await;
    assert!(told.ends_with("[exit status: 0]\n"), "{told}");
    assert!(
        told.contains(&format!(
            "images go to registry `{host}`: the cluster's ConfigMap"
        )),
        "{told}"
    );
    assert_ne!(stage.images().await, images);
    assert_eq!(stage.registry.names().len(), 2);
}

#[tokio::test]
async fn where_the_registry_refuses_nothing_is_deployed_and_it_is_told_what_to_do() {
    let stage = Stage::new().await;
    let host = stage.registry.host();
    stage
        .advertise(&format!(
            "host: {host}\nhelp: https://example.org/registry\n"
        ))
        .await;
    stage
        .registry
        .refuse("PUT /v2/mwctl/teller/manifests/", 403, usize::MAX);
    let told = stage.mwctl(&["up"]).await;
    assert!(told.ends_with("[exit status: 1]\n"), "{told}");
    for part in [
        "cannot use the registry",
        "doesn't let us push",
        &format!("docker login {host}"),
        "https://example.org/registry",
        "--registry none",
    ] {
        assert!(told.contains(part), "{part}: {told}");
    }
    assert_eq!(stage.images().await, Vec::<String>::new());

    // Closed as a whole, it is known before anything is done.
    stage.registry.close("me:secret");
    let told = stage.mwctl(&["up"]).await;
    assert!(told.ends_with("[exit status: 4]\n"), "{told}");
    assert!(told.contains(&format!("docker login {host}")), "{told}");

    // The way around it leads back to what is known of such a cluster.
    let told = stage.mwctl(&["up", "--registry", "none"]).await;
    assert!(told.contains("has no node that runs containers"), "{told}");
    let told = stage.mwctl(&["up", "--registry", "registry"]).await;
    assert!(
        told.contains("write its port, as in `registry:5000`"),
        "{told}"
    );
    assert!(told.ends_with("[exit status: 2]\n"), "{told}");
}

#[tokio::test]
async fn what_a_cluster_says_of_no_registry_is_told_and_passed_over() {
    let stage = Stage::new().await;
    stage.advertise("host: http://localhost:1\n").await;
    let told = stage.mwctl(&["plan"]).await;
    assert!(
        told.contains("`kube-public/local-registry-hosting` is passed over"),
        "{told}"
    );
    assert!(told.contains("deliver  mwctl.local/teller:"), "{told}");
}

#[tokio::test]
async fn a_roll_out_that_fails_takes_the_old_lock_back() {
    let mut stage = Stage::new().await;
    let host = stage.registry.host();
    stage.advertise(&format!("host: {host}\n")).await;
    let dockerfile = format!("FROM {host}/base:1\nCOPY app /app\n");
    stage.folder = stage.folder.file("Dockerfile", &dockerfile);
    let put = |content: &[u8]| {
        let layers = [layer(&[("etc/base", content)])];
        stage
            .registry
            .put("base:1", architecture(), &json!({}), &layers)
    };
    let refuse = || {
        let manifests = "PUT /v2/mwctl/teller/manifests/";
        stage.registry.refuse(manifests, 403, usize::MAX);
    };
    let update = ["images", "update", "--deploy", "--plain-http", &host];
    let lock = || stage.folder.text("mwctl.lock");
    put(b"one");
    refuse();
    let failed = stage.mwctl(&update).await;
    assert!(failed.ends_with("[exit status: 1]\n"), "{failed}");
    assert!(failed.contains("`mwctl.lock` is as it was"), "{failed}");
    // There was none.
    assert_eq!(lock(), None);
    assert_eq!(stage.images().await, Vec::<String>::new());

    stage.registry.forgive();
    let deployed = stage.mwctl(&update).await;
    assert!(deployed.ends_with("[exit status: 0]\n"), "{deployed}");
    let (recorded, images) = (lock(), stage.images().await);
    assert!(recorded.is_some() && images.len() == 1, "{deployed}");

    put(b"two");
    refuse();
    let failed = stage.mwctl(&update).await;
    assert!(failed.ends_with("[exit status: 1]\n"), "{failed}");
    assert!(failed.contains("wrote mwctl.lock"), "{failed}");
    assert!(failed.contains("`mwctl.lock` is as it was"), "{failed}");
    assert_eq!(lock(), recorded);
    assert_eq!(stage.images().await, images);
    // So that the next deployment is of what runs.
    stage.registry.forgive();
    let told = stage.mwctl(&["up"]).await;
    assert!(told.contains("nothing to do"), "{told}");
}
