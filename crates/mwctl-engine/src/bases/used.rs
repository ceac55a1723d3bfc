//! Which bases the services of a stack are built upon, as their own files and the conventions say.

use std::collections::{BTreeMap, BTreeSet};

use mwctl_core::model::{Image, Service, Stack};
use mwctl_core::name::ServiceName;
use mwctl_image::HOST;

use crate::image::file;
use crate::image::{BuildError, whole};
use crate::workshop::of_file;

/// Each base by its whole name, and the services that are built upon it.
pub type Used = BTreeMap<String, BTreeSet<ServiceName>>;

/// Reads the services' own files. The machine itself is left out: it is another thing on every machine.
pub fn used(stack: &Stack) -> Result<Used, BuildError> {
    let mut used = Used::new();
    for service in stack.services.values() {
        let mut names = BTreeSet::new();
        // Tests may run in an image of their own, upon another base.
        for form in [service, &service.tested()] {
            names.extend(of(form)?);
        }
        for name in names {
            let name = whole(&name).map_err(|source| BuildError::Base {
                service: service.name.to_string(),
                source,
            })?;
            if name != HOST {
                used.entry(name).or_default().insert(service.name.clone());
            }
        }
    }
    Ok(used)
}

fn of(service: &Service) -> Result<Vec<String>, BuildError> {
    let (Image::Build(build), Some(source)) = (&service.image, service.source.directory()) else {
        return Ok(Vec::new());
    };
    let Some(file) = &build.file else {
        return Ok(vec![build.base.clone()]);
    };
    if file.engine.is_some() {
        // Much of it may be understood by its engine alone; the names of images can be seen.
        let images = file::images(source, file);
        return images.map_err(|source| of_file(service, source));
    }
    let plan = file::read(source, file).map_err(|source| of_file(service, source))?;
    Ok(plan.images().into_iter().map(str::to_owned).collect())
}
