//! Ends a container: its hook, the signal that asks, and the one that doesn't.

use std::time::Duration;

use k8s_openapi::api::core::v1::{Container, Pod};
use tokio::time::{Instant, timeout_at};

use crate::context::Context;

use super::decide::Notice;
use super::hooks;
use super::live::Live;

/// Whoever has used up its time with its hook gets so much more to hear the signal.
const LEAST: Duration = Duration::from_secs(2);

/// Is back when the container has ended, or was killed.
pub(crate) async fn stop(
    context: &Context,
    pod: &Pod,
    container: &Container,
    live: &Live,
    grace: Duration,
) {
    let deadline = Instant::now() + grace;
    let hook = container
        .lifecycle
        .as_ref()
        .and_then(|lifecycle| lifecycle.pre_stop.as_ref());
    if let Some(hook) = hook.filter(|_| !grace.is_zero()) {
        let hook = timeout_at(deadline, hooks::run(context, pod, container, live, hook));
        if let Ok(Err(message)) = hook.await {
            let notice = Notice::warning("FailedPreStopHook", message).of(&container.name);
            context.tell(pod, &notice);
        }
    }
    if !grace.is_zero() {
        if let Err(error) = live.running.signal(live.stop_signal).await {
            tracing::debug!("it ended by itself: {error}");
        }
        let least = Instant::now() + LEAST.min(grace);
        if timeout_at(deadline.max(least), live.running.ended())
            .await
            .is_ok()
        {
            return;
        }
    }
    live.running.kill();
}
