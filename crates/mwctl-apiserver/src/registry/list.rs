//! Lists and watches: from which revision, and what of it.

use super::{Registry, Target};
use crate::selector::Selector;
use crate::status::{Cause, Details, Status};
use crate::storage::{Compacted, Continue, Object, Page, Query, Watcher};
use std::sync::Arc;

/// What a list or a watch is to hold (`meta/v1 ListOptions`).
#[derive(Debug, Clone, Default)]
pub struct ListOptions {
    /// Which objects.
    pub selector: Selector,
    /// At most this many; 0 for all.
    pub limit: usize,
    /// Where the page before ended.
    pub continue_token: String,
    /// `resourceVersion`.
    pub resource_version: String,
    /// `resourceVersionMatch`.
    pub resource_version_match: String,
    /// `sendInitialEvents`.
    pub send_initial_events: Option<bool>,
}

/// Where a watch begins.
#[derive(Debug)]
pub struct WatchStart {
    /// Objects that were there before, to be told as new.
    pub initial: Vec<Arc<Object>>,
    /// The revision that these are of.
    pub revision: u64,
    /// Whether the client wants to hear that these were all.
    pub tell_end: bool,
    /// What follows.
    pub watcher: Watcher,
}

const LOST: &str = "The provided continue parameter is too old to display a consistent list result. You can start a new list without the continue parameter, or use the continue token in this response to retrieve the remainder of the results. Continuing with the provided token results in an inconsistent list - objects that were created, modified, or deleted between the time the first chunk was returned and now may show up in the list.";

impl Registry {
    /// A list, or one page of it.
    pub fn list(&self, target: &Target, options: &ListOptions) -> Result<Page, Status> {
        options.check(false)?;
        let place = match options.continue_token.as_str() {
            "" => None,
            token => Some(Continue::parse(token).ok_or_else(|| {
                Status::bad_request("invalid continue token: continue key is not valid: it is not one of this server's")
            })?),
        };
        let asked = parse_version(&options.resource_version)
            .map_err(|fault| Status::bad_request(format!("invalid resource version: {fault}")))?;
        let revision = if let Some(place) = &place {
            place.revision
        } else {
            self.refuse_future(asked)?;
            (options.resource_version_match == "Exact").then_some(asked)
        };
        let wanted = |object: &Object| options.selector.matches(object.value());
        let query = Query {
            namespace: (!target.namespace.is_empty()).then_some(&target.namespace),
            wanted: (!options.selector.is_everything()).then_some(&wanted),
            revision,
            after: place.map(|place| place.after),
            limit: (options.limit > 0).then_some(options.limit),
        };
        self.store
            .list(&target.collection(), &query)
            .map_err(|compacted| match query.after {
                Some(after) => {
                    let resume = Continue {
                        revision: None,
                        after,
                    };
                    Status::expired(LOST).resumable(resume.token())
                }
                None => too_old(compacted),
            })
    }

    /// The beginning of a watch.
    pub fn watch(&self, target: &Target, options: &ListOptions) -> Result<WatchStart, Status> {
        options.check(true)?;
        let asked = parse_version(&options.resource_version)
            .map_err(|fault| Status::new(500, "", fault))?;
        let tell_end = options.send_initial_events == Some(true);
        if !tell_end && (asked > 0 || options.send_initial_events == Some(false)) {
            let revision = if asked > 0 {
                asked
            } else {
                self.store.revision()
            };
            return Ok(WatchStart {
                initial: Vec::new(),
                revision,
                tell_end,
                watcher: self.store.watch(&target.collection(), revision),
            });
        }
        self.refuse_future(asked)?;
        let now = ListOptions {
            selector: options.selector.clone(),
            ..ListOptions::default()
        };
        let page = self.list(target, &now)?;
        Ok(WatchStart {
            revision: page.revision,
            tell_end,
            watcher: self.store.watch(&target.collection(), page.revision),
            initial: page.objects,
        })
    }

    fn refuse_future(&self, asked: u64) -> Result<(), Status> {
        let current = self.store.revision();
        if asked <= current {
            return Ok(());
        }
        let message = format!("Timeout: Too large resource version: {asked}, current: {current}");
        let mut status = Status::new(504, "Timeout", message);
        status.details = Some(Box::new(Details {
            causes: vec![Cause {
                reason: "ResourceVersionTooLarge",
                message: "Too large resource version".to_owned(),
                field: String::new(),
            }],
            retry_after_seconds: Some(1),
            ..Details::default()
        }));
        Err(status)
    }
}

/// `410 Expired` of a revision that is no longer kept.
pub(crate) fn too_old(compacted: Compacted) -> Status {
    Status::expired(format!(
        "too old resource version: {} ({})",
        compacted.asked, compacted.oldest
    ))
}

impl ListOptions {
    /// Refuses options that contradict one another.
    fn check(&self, watch: bool) -> Result<(), Status> {
        let (version, matching) = (
            self.resource_version.as_str(),
            self.resource_version_match.as_str(),
        );
        let known = ["", "Exact", "NotOlderThan"].contains(&matching);
        let forbidden = match (watch, self.send_initial_events, matching) {
            (false, Some(_), _) => (
                "sendInitialEvents",
                "sendInitialEvents is forbidden for list",
            ),
            (true, Some(_), other) if other != "NotOlderThan" => (
                "resourceVersionMatch",
                "sendInitialEvents requires setting resourceVersionMatch to NotOlderThan",
            ),
            (true, Some(_), _) | (_, None, "") => return Ok(()),
            (true, None, _) => (
                "resourceVersionMatch",
                "resourceVersionMatch is forbidden for watch unless sendInitialEvents is provided",
            ),
            (false, None, _) if version.is_empty() => (
                "resourceVersionMatch",
                "resourceVersionMatch is forbidden unless resourceVersion is provided",
            ),
            (false, None, _) if !self.continue_token.is_empty() => (
                "resourceVersionMatch",
                "resourceVersionMatch is forbidden when continue is provided",
            ),
            (false, None, "Exact") if version == "0" => (
                "resourceVersionMatch",
                "resourceVersionMatch \"exact\" is forbidden for resourceVersion \"0\"",
            ),
            (false, None, _) if known => return Ok(()),
            (false, None, other) => {
                let message = format!(
                    "Unsupported value: \"{other}\": supported values: \"Exact\", \"NotOlderThan\", \"\""
                );
                return Err(invalid(
                    "FieldValueNotSupported",
                    "resourceVersionMatch",
                    message,
                ));
            }
        };
        Err(invalid(
            "FieldValueForbidden",
            forbidden.0,
            format!("Forbidden: {}", forbidden.1),
        ))
    }
}

fn invalid(reason: &'static str, field: &str, message: String) -> Status {
    let cause = Cause {
        reason,
        message,
        field: field.to_owned(),
    };
    Status::invalid("meta.k8s.io", "ListOptions", "", vec![cause])
}

/// A revision; an empty text is 0.
fn parse_version(text: &str) -> Result<u64, String> {
    if text.is_empty() {
        return Ok(0);
    }
    text.parse().map_err(|_| {
        format!("resourceVersion: Invalid value: \"{text}\": strconv.ParseUint: parsing \"{text}\": invalid syntax")
    })
}
