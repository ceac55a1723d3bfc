//! What is newer than the bases that a stack is built upon.

use std::collections::BTreeSet;

use mwctl_core::lock::Lock;
use mwctl_core::name::ServiceName;
use mwctl_image::Reference;
use mwctl_image::debian::Update;
use mwctl_image::oci::architecture;
use serde::Serialize;

use super::look::{Finder, LookError};
use super::used::Used;
use crate::image::pinned;

/// What there is to say of one base.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct News {
    /// Its whole name.
    #[serde(rename = "ref")]
    pub reference: String,
    /// The services that are built upon it.
    pub services: BTreeSet<ServiceName>,
    /// Whether `mwctl.lock` records it.
    pub recorded: bool,
    /// The digest that builds take; `null` where the name will be looked up.
    pub digest: Option<String>,
    /// The digest that the name means now, where that is another one.
    pub newest: Option<String>,
    /// Packages of it that are newer in their archives.
    pub packages: Vec<Update>,
    /// Why less is known of it than could be.
    pub note: Option<String>,
}

impl News {
    /// Whether anything is newer.
    pub fn is_outdated(&self) -> bool {
        self.newest.is_some() || !self.packages.is_empty()
    }
}

/// Asks for all bases, one after the other. With `security`, only for packages, and of those only for what is
/// newer for security's sake.
pub async fn news(
    finder: &Finder,
    lock: &Lock,
    used: &Used,
    security: bool,
) -> Result<Vec<News>, LookError> {
    let mut all = Vec::new();
    for (name, services) in used {
        let mut news = News {
            reference: name.clone(),
            services: services.clone(),
            recorded: false,
            digest: None,
            newest: None,
            packages: Vec::new(),
            note: None,
        };
        let recorded = lock.get(name, &format!("linux/{}", architecture()));
        // A name that means a file has nothing in the store.
        let image = match recorded {
            Some(recorded) => pinned(recorded).and_then(|exact| Reference::parse(&exact).ok()),
            None => Reference::parse(name).ok(),
        };
        let stored = match &image {
            Some(image) => finder.stored(image).await?,
            None => None,
        };
        if let Some(recorded) = recorded {
            news.recorded = true;
            news.digest = Some(recorded.digest.clone());
            if !security {
                let moved = finder.moved(recorded).await?;
                news.newest = moved.map(|meaning| meaning.digest);
            }
        } else if let Some(digest) = &stored {
            news.digest = Some(digest.clone());
            if !security {
                let meaning = finder.meaning(name, None).await?;
                news.newest = Some(meaning.digest).filter(|newest| newest != digest);
            }
        }
        match image {
            Some(image) if stored.is_some() => news.packages = finder.updates(&image).await?,
            _ => news.note = Some("it isn't in this machine's image store".to_owned()),
        }
        news.packages.retain(|update| update.security || !security);
        all.push(news);
    }
    Ok(all)
}
