//! minikube's machine interface: what to type, and what its answers mean.
//!
//! Written from its source and documentation. Every version of it changes words and counts, so
//! unknown words are kept as they are and never numbers but names are relied upon. Running it is
//! the engine's work.

mod arguments;
mod diagnosis;
mod event;
mod failure;
mod image;
mod machine;
mod profile;
mod status;

pub use arguments::{
    ENVIRONMENT, StartOptions, delete, image_list, image_load, profile_list, start,
    status as status_arguments, stop, unpause, update_context, version,
};
pub use diagnosis::{Finding, Seen, diagnose};
pub use event::{Event, event};
pub use failure::{Failure, failure};
pub use image::{Listed, contains, images};
pub use machine::{Machine, is_by_ssh, machine};
pub use profile::{Profile, ProfileList, is_profile_name, profile, profiles};
pub use status::{Condition, Report, State, Status, status};
