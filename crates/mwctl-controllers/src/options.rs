//! What a caller chooses.

use std::collections::BTreeSet;
use std::path::PathBuf;

use crate::controller::Controller;

/// Which controllers run, and how.
#[derive(Clone, Debug)]
pub struct Options {
    /// The names of the controllers that run, as in [`crate::CONTROLLERS`].
    pub which: BTreeSet<&'static str>,
    /// What they are told.
    pub settings: Settings,
}

/// What controllers are told.
#[derive(Clone, Debug, Default)]
pub struct Settings {
    /// Where the volumes of claims lie, a folder for each; with nothing, none is made.
    pub volumes: Option<PathBuf>,
    /// The certificate of the cluster's authority, for `kube-root-ca.crt`; nothing leaves that ConfigMap alone.
    pub root_certificate: Option<String>,
}

impl Default for Options {
    /// All controllers but `simulate`, which would lie where pods really run.
    fn default() -> Self {
        let names = crate::CONTROLLERS.iter().map(|controller| controller.name);
        Self {
            which: names
                .filter(|name| *name != crate::simulate::NAME)
                .collect(),
            settings: Settings::default(),
        }
    }
}

impl Options {
    /// Lets pods become running and ready without any node's doing.
    #[must_use]
    pub fn simulate_pods(mut self, simulate: bool) -> Self {
        if simulate {
            self.which.insert(crate::simulate::NAME);
        } else {
            self.which.remove(crate::simulate::NAME);
        }
        self
    }

    pub(crate) fn controllers(&self) -> Vec<&'static Controller> {
        (crate::CONTROLLERS.iter().copied())
            .filter(|controller| self.which.contains(controller.name))
            .collect()
    }
}
