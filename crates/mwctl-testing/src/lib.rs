//! A Kubernetes API of one's own for a test: there in milliseconds, gone with the test, nothing to install.
//!
//! ```
//! use k8s_openapi::api::core::v1::ConfigMap;
//! use kube::{Api, api::PostParams};
//! use mwctl_testing::TestCluster;
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let cluster = TestCluster::start().await?;
//! let namespace = cluster.namespace().await?;
//! let maps: Api<ConfigMap> = Api::namespaced(cluster.client(), &namespace);
//! let map = serde_json::from_value(serde_json::json!({"metadata": {"name": "greeting"}, "data": {"text": "hello"}}))?;
//! maps.create(&PostParams::default(), &map).await?;
//! assert_eq!(maps.get("greeting").await?.data.unwrap()["text"], "hello");
//! # Ok(())
//! # }
//! ```
//!
//! The server answers as Kubernetes v1.34 does; Kubernetes' usual controllers run beside it, but no containers: pods stay `Pending`, or
//! become `Running` with [`Options::simulate_pods`]. Other programs reach it through [`TestCluster::kubeconfig`].

mod apply;
mod background;
mod cluster;
mod evidence;
mod name;
#[cfg(feature = "node")]
mod node;

pub use apply::ApplyError;
pub use cluster::{Options, StartError, TestCluster};
#[cfg(feature = "node")]
pub use node::NodeError;
