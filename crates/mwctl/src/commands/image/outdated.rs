//! `mwctl image outdated`: what is newer than the bases of the stack.

use std::fmt::Write as _;

use mwctl_core::name::ServiceName;
use mwctl_engine::bases::{Finder, LookError, News, news, used};
use mwctl_engine::image::BuildError;
use mwctl_engine::images::debian::Archives;
use mwctl_engine::images::digest::Digest;
use mwctl_engine::images::{Credentials, Registry};

use super::store;
use crate::commands::up;
use crate::error::CommandError;
use crate::exit::Exit;
use crate::invocation::Invocation;
use crate::ui::style::{bold, dim, warning};

pub(super) async fn run(
    run: &Invocation,
    security: bool,
    exit_code: bool,
    plain: &[String],
) -> Result<Exit, CommandError> {
    up::fetch_for(run, &run.directory(), &|text| run.ui.say(&text)).await?;
    let workspace = run.workspace()?;
    let used = used(&workspace.stack).map_err(unread)?;
    let finder = finder(run, plain, false);
    let news = news(&finder, &workspace.lock, &used, security);
    let news = news.await.map_err(unknown)?;
    run.ui.answer(&news, || text(run, &news));
    let outdated = news.iter().any(News::is_outdated);
    Ok(if outdated && exit_code {
        Exit::Failure
    } else {
        Exit::Success
    })
}

/// Who is asked for bases.
pub(super) fn finder(run: &Invocation, plain: &[String], offline: bool) -> Finder {
    let accounts = Credentials::new(run.environment.accounts.clone());
    Finder {
        registry: Registry::new(plain.to_vec(), accounts),
        store: run.environment.image_store.clone(),
        archives: Archives::new(run.cache().join("debian")),
        bootstrap: run.bootstrap(),
        offline,
    }
}

/// The services' own files don't say what they are built upon.
pub(super) fn unread(error: BuildError) -> CommandError {
    let hints = error.hints();
    CommandError {
        hints,
        ..CommandError::failure(error)
    }
}

/// It isn't known what a base's name means.
pub(super) fn unknown(error: LookError) -> CommandError {
    let hints = error.hints();
    let mut error = match error {
        error if error.is_offline() => CommandError::environment(error),
        LookError::Store(error) => store(error),
        error => CommandError::failure(error),
    };
    error.hints = hints;
    error
}

/// A digest as people tell it from another one.
pub(super) fn short(digest: &str) -> &str {
    let known = digest.parse::<Digest>().is_ok();
    if known {
        &digest["sha256:".len()..][..12]
    } else {
        digest
    }
}

fn text(run: &Invocation, all: &[News]) -> String {
    if all.is_empty() {
        return "the stack's images are built upon no base\n".to_owned();
    }
    let mut text = String::new();
    for news in all {
        let services: Vec<&str> = news.services.iter().map(ServiceName::as_str).collect();
        let services = dim(&format!("({})", services.join(", ")));
        let _infallible = writeln!(text, "{} {services}", bold(&news.reference));
        for line in lines(news) {
            let _infallible = writeln!(text, "  {line}");
        }
    }
    if all.iter().any(News::is_outdated) {
        let typed = run.typed("image update");
        let _infallible = writeln!(
            text,
            "{}",
            dim(&format!("`{typed}` takes the newest bases"))
        );
    }
    text
}

fn lines(news: &News) -> Vec<String> {
    let mut lines = Vec::new();
    let digest = news.digest.as_deref().map(short);
    match (digest, news.newest.as_deref().map(short)) {
        (Some(old), Some(new)) => lines.push(format!("image {old} → {new}")),
        (None, Some(new)) => lines.push(format!("image {new}")),
        _ => {}
    }
    let mut table = comfy_table::Table::new();
    table.load_style(comfy_table::presets::NOTHING);
    for update in &news.packages {
        table.add_row([
            update.package.clone(),
            format!("{} → {}", update.installed, update.newest),
            if update.security {
                warning("security")
            } else {
                String::new()
            },
        ]);
    }
    if !news.packages.is_empty() {
        lines.extend(table.trim_fmt().lines().map(|line| line.trim().to_owned()));
    }
    if let Some(note) = &news.note {
        lines.push(dim(note));
    }
    if lines.is_empty() {
        lines.push(dim("nothing is newer"));
    }
    if !news.recorded {
        lines.push(dim(
            "not recorded: builds take what the name means when they look it up",
        ));
    }
    lines
}
