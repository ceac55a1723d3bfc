//! A shell where a step of a build has failed: this terminal becomes the one in the container.

use std::fs::File;
use std::io::{self, IsTerminal as _};

use mwctl_engine::images::build::{Running, Shell, Size};
use tokio::runtime::Handle;
use tokio::sync::watch;

use crate::error::CommandError;
use crate::ui::terminal::Raw;

/// The shell, if there is a terminal for it.
pub(super) fn shell(terminal: Option<String>) -> Result<Shell, CommandError> {
    if !io::stdin().is_terminal() || !io::stdout().is_terminal() {
        return Err(CommandError::usage(
            "`--shell-on-failure` needs a terminal: this command's input or output is none",
        ));
    }
    Ok(Shell {
        terminal: terminal.unwrap_or_else(|| "xterm".to_owned()),
        open: Box::new(|running, handle| {
            if let Err(error) = carry(running, handle) {
                tracing::warn!("the shell has no terminal: {error}");
            }
        }),
    })
}

/// Carries what is typed and what is shown, until the shell ends.
fn carry(running: &Running, handle: &Handle) -> io::Result<()> {
    let Some(terminal) = running.terminal() else {
        return Err(io::Error::other("it was started without one"));
    };
    let shown = File::from(terminal.try_clone()?);
    let typed = File::from(terminal.try_clone()?);
    let raw = Raw::enter()?;
    let screen = std::thread::spawn(move || copy(shown, io::stdout()));
    // It waits for a key until this process ends, which is soon: the build has failed.
    std::thread::spawn(move || copy(io::stdin(), typed));
    let (size_tx, mut size_rx) = watch::channel(Raw::size());
    handle.block_on(async {
        let resized = async {
            loop {
                let (columns, rows) = *size_rx.borrow_and_update();
                // A shell that has ended has no size.
                let _ended = running.resize(Size { rows, columns });
                if size_rx.changed().await.is_err() {
                    std::future::pending::<()>().await;
                }
            }
        };
        tokio::select! {
            _ = running.ended() => {}
            () = resized => {}
            () = raw.follow_size(&size_tx) => {}
        }
    });
    drop(raw);
    // What it wrote last; the other side of the terminal is closed by now.
    drop(screen.join());
    Ok(())
}

/// Copies until either side is closed: a terminal says that by an error.
fn copy(mut from: impl io::Read, mut to: impl io::Write) {
    let mut piece = [0; 4096];
    while let Ok(count) = from.read(&mut piece)
        && count > 0
    {
        if to
            .write_all(&piece[..count])
            .and_then(|()| to.flush())
            .is_err()
        {
            return;
        }
    }
}
