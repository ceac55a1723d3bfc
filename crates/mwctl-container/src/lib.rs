//! Containers on this machine, as root and as an ordinary user, without a daemon and without another program.
//!
//! A [`Runtime`] is a zygote: one small process that is the first of a PID namespace of its own, and starts [`Container`]s in
//! milliseconds. It ends with whoever started it, however that ends, and everything in it ends with it: nothing is left but
//! empty directories of limits, which [`limits::sweep`] removes.
//!
//! It knows no Kubernetes, no images and no network: a root file system is a list of directories, a network namespace is a
//! file. What a machine doesn't let its user have is told by [`Runtime::lacks`], and isn't an error.
//!
//! ```no_run
//! # async fn run() -> Result<(), Box<dyn std::error::Error>> {
//! use mwctl_container::{Container, Options, Process, Runtime, host};
//!
//! let runtime = Runtime::start(Options::default()).await?;
//! let (root, mounts) = host::root();
//! let process = Process::new(["/bin/sh", "-c", "exit 7"]);
//! let container = Container { root, mounts, process: Some(process), ..Container::new("one") };
//! let running = runtime.run(container).await?;
//! println!("{:?}", running.ended().await);
//! # Ok(()) }
//! ```

mod answers;
mod container;
pub mod host;
mod ids;
pub mod limits;
mod lower;
mod maps;
mod running;
mod runtime;
pub mod subordinate;
mod system;
pub mod tree;
mod usage;
mod zygote;

pub use container::{Container, Join, Shared, Streams};
pub use ids::{Ids, Lack};
pub use limits::Limits;
pub use mwctl_zygote::protocol::{
    Bind, End, Entry, Failure, File, Identity, Layer, Mount, Process, Resource, Root, Seccomp,
    Size, Source, Step, Terminal, USUAL_CAPABILITIES, Upper, Volume,
};
pub use running::Running;
pub use runtime::{Error, Options, Runtime};
pub use usage::Usage;
pub use zygote::StartError;
