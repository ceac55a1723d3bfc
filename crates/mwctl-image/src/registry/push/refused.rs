//! What a registry's refusals mean: for people, and for another attempt.

use std::sync::Arc;

use oci_client::errors::OciDistributionError;

use crate::digest::Digest;
use crate::reference::Reference;
use crate::registry::PullError;

/// How often the same content is sent.
const ATTEMPTS: u32 = 3;

/// Why an image can't be pushed.
#[derive(Debug, thiserror::Error)]
pub enum PushError {
    /// This machine has nothing to know registries by.
    #[error("cannot push `{reference}`: this machine knows no certificate authorities")]
    NoAuthorities {
        /// The image.
        reference: Reference,
        /// Why.
        source: Arc<OciDistributionError>,
    },
    /// The registry can't be reached.
    #[error("cannot reach the registry at `{registry}`")]
    Unreachable {
        /// The registry.
        registry: String,
        /// Why.
        source: Box<OciDistributionError>,
    },
    /// The registry doesn't let us.
    #[error("the registry at `{registry}` doesn't let us push `{reference}`")]
    Denied {
        /// The registry.
        registry: String,
        /// The image.
        reference: Reference,
        /// Why.
        source: Box<OciDistributionError>,
    },
    /// The registry takes nothing as large, not even in pieces.
    #[error("the registry at `{registry}` takes no layer of {size} bytes: {digest}")]
    TooLarge {
        /// The registry.
        registry: String,
        /// The layer.
        digest: Digest,
        /// Its length.
        size: u64,
        /// Why.
        source: Box<OciDistributionError>,
    },
    /// Something else went wrong.
    #[error("the registry at `{registry}` failed to {what} of `{reference}`")]
    Failed {
        /// The registry.
        registry: String,
        /// The image.
        reference: Reference,
        /// What it was asked for.
        what: &'static str,
        /// Why.
        source: Box<OciDistributionError>,
    },
    /// What it has can't be understood.
    #[error(transparent)]
    Look(PullError),
    /// It took everything, and has something else.
    #[error(
        "`{reference}` was pushed without an error, and {}",
        found.as_ref().map_or_else(|| "isn't there".to_owned(), |found| format!("means {found}"))
    )]
    NotArrived {
        /// The image.
        reference: Reference,
        /// What the name means there.
        found: Option<Digest>,
    },
}

impl PushError {
    pub(super) fn of(
        reference: &Reference,
        registry: &str,
        what: &'static str,
        error: OciDistributionError,
    ) -> Self {
        let registry = registry.to_owned();
        let reference = reference.clone();
        match Trouble::of(&error) {
            Trouble::Unreachable => Self::Unreachable {
                registry,
                source: Box::new(error),
            },
            Trouble::Denied => Self::Denied {
                registry,
                reference,
                source: Box::new(error),
            },
            _ => Self::Failed {
                registry,
                reference,
                what,
                source: Box::new(error),
            },
        }
    }

    /// What to type next.
    pub fn hints(&self) -> Vec<String> {
        match self {
            Self::NoAuthorities { .. } => vec!["install the package `ca-certificates`".to_owned()],
            Self::Denied { registry, .. } => {
                vec![format!("log in to it: `docker login {registry}`")]
            }
            Self::TooLarge { .. } => vec![
                "raise the limit of the registry, or of the proxy before it (nginx: `client_max_body_size`)"
                    .to_owned(),
            ],
            Self::Look(error) => error.hints(),
            Self::Unreachable { .. } | Self::Failed { .. } | Self::NotArrived { .. } => Vec::new(),
        }
    }
}

/// How a content is sent.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum By {
    /// In one request.
    Whole,
    /// In several, one after the other.
    Pieces,
}

/// What kind of failure it is.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Trouble {
    /// Nobody listens.
    Unreachable,
    /// Somebody else may.
    Denied,
    /// It is too much at once.
    TooLarge,
    /// What was asked for isn't there.
    Absent,
    /// It may be over in a moment.
    Passing,
    /// It will be the same again.
    Lasting,
}

impl Trouble {
    pub(super) fn of(error: &OciDistributionError) -> Self {
        match error {
            OciDistributionError::RequestError(request) => match request.status() {
                Some(status) => Self::of_status(status.as_u16()),
                None if request.is_connect() => Self::Unreachable,
                // The connection ended in the middle, or nothing came for too long.
                None => Self::Passing,
            },
            OciDistributionError::ServerError { code, .. } => Self::of_status(*code),
            OciDistributionError::UnauthorizedError { .. }
            | OciDistributionError::AuthenticationFailure(_) => Self::Denied,
            OciDistributionError::ImageManifestNotFoundError(_) => Self::Absent,
            // Another way of sending may be one that the registry understands.
            OciDistributionError::SpecViolationError(_)
            | OciDistributionError::RegistryNoLocationError => Self::Passing,
            _ => Self::Lasting,
        }
    }

    fn of_status(status: u16) -> Self {
        match status {
            401 | 403 => Self::Denied,
            404 => Self::Absent,
            413 => Self::TooLarge,
            408 | 429 | 500..=599 => Self::Passing,
            _ => Self::Lasting,
        }
    }
}

/// How to try once more after an attempt, the first of which is 1; `None` to give up.
pub(super) fn next(attempt: u32, by: By, trouble: Trouble) -> Option<By> {
    if attempt >= ATTEMPTS {
        return None;
    }
    match (trouble, by) {
        (Trouble::Passing | Trouble::TooLarge, By::Whole) => Some(By::Pieces),
        (Trouble::Passing, By::Pieces) => Some(By::Whole),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answered(code: u16) -> Trouble {
        Trouble::of(&OciDistributionError::ServerError {
            code,
            url: String::new(),
            message: String::new(),
        })
    }

    #[test]
    fn only_what_may_pass_is_tried_again_and_what_is_too_large_only_in_pieces() {
        for (code, whole, pieces) in [
            (401, None, None),
            (403, None, None),
            (404, None, None),
            (413, Some(By::Pieces), None),
            (429, Some(By::Pieces), Some(By::Whole)),
            (500, Some(By::Pieces), Some(By::Whole)),
            (503, Some(By::Pieces), Some(By::Whole)),
            (400, None, None),
        ] {
            let trouble = answered(code);
            assert_eq!(next(1, By::Whole, trouble), whole, "{code}");
            assert_eq!(next(2, By::Pieces, trouble), pieces, "{code}");
            assert_eq!(next(ATTEMPTS, By::Whole, trouble), None, "{code}");
        }
    }
}
