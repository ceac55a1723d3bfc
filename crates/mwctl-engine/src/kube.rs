//! The Kubernetes API, as far as `mwctl` speaks it: one client for an explicitly chosen context.
//!
//! Everything is written by server-side apply with the field manager [`FIELD_MANAGER`]; nothing here
//! decides what to write.

pub mod apply;
mod client;
pub mod exec;
pub mod forward;
pub mod host_access;
pub mod lease;
pub mod logs;
pub mod observe;
pub mod pods;
pub mod trouble;
pub mod wait;

use std::error::Error;
use std::fmt;
use std::time::Duration;

use ::kube::config::{KubeConfigOptions, Kubeconfig};
use ::kube::{Client, Config};

/// Who owns the fields that `mwctl` sets.
pub const FIELD_MANAGER: &str = "mwctl";

/// How long a single request may take; streams and watches are not requests.
pub const REQUEST_TIMEOUT: Duration = Duration::from_secs(30);

/// No connection to the cluster could be prepared.
#[derive(Debug, thiserror::Error)]
pub enum Connect {
    /// The kubeconfig's context can't be used.
    #[error("context `{context}` of the kubeconfig can't be used")]
    Context {
        /// The context.
        context: String,
        /// What is wrong with it.
        #[source]
        source: Box<::kube::config::KubeconfigError>,
    },
    /// The client refuses the configuration.
    #[error("no client can be made for context `{context}`")]
    Client {
        /// The context.
        context: String,
        /// Why.
        #[source]
        source: Box<::kube::Error>,
    },
}

/// A cluster and the namespace that a stack lives in.
#[derive(Clone)]
pub struct Cluster {
    /// The client.
    pub client: Client,
    /// The context it was made from.
    pub context: String,
    /// The stack's namespace.
    pub namespace: String,
}

impl std::fmt::Debug for Cluster {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "Cluster({}/{})", self.context, self.namespace)
    }
}

impl Cluster {
    /// Prepares a client for exactly this context; sends nothing yet.
    pub async fn connect(
        kubeconfig: Kubeconfig,
        context: &str,
        namespace: &str,
    ) -> Result<Self, Connect> {
        crate::tls::install_provider();
        let options = KubeConfigOptions {
            context: Some(context.to_owned()),
            ..KubeConfigOptions::default()
        };
        let mut config = Config::from_custom_kubeconfig(kubeconfig, &options)
            .await
            .map_err(|source| Connect::Context {
                context: context.to_owned(),
                source: Box::new(source),
            })?;
        // A watch may be silent for minutes; requests have their own limit.
        config.read_timeout = None;
        let client = client::client(config).map_err(|source| Connect::Client {
            context: context.to_owned(),
            source: Box::new(source),
        })?;
        Ok(Self {
            client,
            context: context.to_owned(),
            namespace: namespace.to_owned(),
        })
    }
}

/// A request to the cluster failed.
#[derive(Debug, thiserror::Error)]
pub enum Request {
    /// The cluster answered with an error, or not at all.
    #[error("cannot {what}")]
    Failed {
        /// What was tried, as in `apply Deployment mathoid-local`.
        what: String,
        /// What came back.
        #[source]
        source: Box<ApiError>,
    },
    /// No answer within [`REQUEST_TIMEOUT`].
    #[error("cannot {what}: the cluster did not answer within {} s", REQUEST_TIMEOUT.as_secs())]
    Silent {
        /// What was tried.
        what: String,
    },
}

impl Request {
    /// Whether the object that was asked for isn't there.
    pub fn is_not_found(&self) -> bool {
        self.has_code(404)
    }

    /// Whether the object is there already, or isn't the one that was meant any more.
    pub fn is_conflict(&self) -> bool {
        self.has_code(409)
    }

    fn has_code(&self, code: u16) -> bool {
        matches!(self, Self::Failed { source, .. }
            if matches!(&source.0, ::kube::Error::Api(status) if status.code == code))
    }
}

/// Whether the account that asks may not do what was asked, and what to type then.
pub fn forbidden(error: &(dyn Error + 'static)) -> Option<String> {
    let mut next = Some(error);
    while let Some(error) = next {
        if let Some(request) = error.downcast_ref::<Request>()
            && request.has_code(403)
        {
            return Some(
                "the account of this context may not do that; what it may: `kubectl auth can-i --list`"
                    .to_owned(),
            );
        }
        next = error.source();
    }
    None
}

/// What came back instead of an answer, in the words that are meant for people.
#[derive(Debug)]
pub struct ApiError(pub ::kube::Error);

impl fmt::Display for ApiError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            // The library shows the whole status as a value of its own language.
            ::kube::Error::Api(status) if !status.message.is_empty() => {
                formatter.write_str(&status.message)
            }
            error => error.fmt(formatter),
        }
    }
}

impl Error for ApiError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match &self.0 {
            ::kube::Error::Api(_) => None,
            error => error.source(),
        }
    }
}

/// Waits for a request, and says what it was for when it fails.
pub(crate) async fn request<T>(
    what: impl Fn() -> String,
    future: impl Future<Output = ::kube::Result<T>>,
) -> Result<T, Request> {
    match tokio::time::timeout(REQUEST_TIMEOUT, future).await {
        Ok(Ok(answer)) => Ok(answer),
        Ok(Err(source)) => Err(Request::Failed {
            what: what(),
            source: Box::new(ApiError(source)),
        }),
        Err(_) => Err(Request::Silent { what: what() }),
    }
}
