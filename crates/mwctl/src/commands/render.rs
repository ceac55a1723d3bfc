//! `mwctl render`: the objects as YAML, without a cluster.

use mwctl_core::manifest::{self, Secrets};

use crate::args::Render;
use crate::error::CommandError;
use crate::exit::Exit;
use crate::invocation::{Invocation, select};

pub(super) fn run(run: &Invocation, arguments: &Render) -> Result<Exit, CommandError> {
    let workspace = run.workspace()?;
    let services = select(&workspace.stack, &arguments.services)?;
    // Without a cluster nobody knows the base's digest, which is part of an image's name: images
    // made here stand there without it.
    let images = std::collections::BTreeMap::new();
    let mut objects = manifest::render(&workspace.stack, &images, &workspace.worktree);
    objects.retain(|object| {
        object
            .service()
            .is_none_or(|service| services.contains(&service))
    });
    let secrets = if arguments.secrets {
        Secrets::Revealed
    } else {
        Secrets::Hidden
    };
    if run.ui.is_json() {
        let values: Vec<_> = objects
            .iter()
            .map(|object| {
                if arguments.secrets {
                    object.to_value()
                } else {
                    object.to_shown()
                }
            })
            .collect();
        run.ui.answer(&values, String::new);
        return Ok(Exit::Success);
    }
    let yaml = manifest::to_yaml(&objects, secrets).map_err(CommandError::internal)?;
    run.ui.print(&yaml);
    Ok(Exit::Success)
}
