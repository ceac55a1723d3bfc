//! What the node and its containers use, for whoever asks in the cluster's name (`kubectl top`).
//!
//! Nothing is measured while nobody asks. A rate is the difference of two looks: the last one serves as the first where it is of use, else
//! the node looks twice. What the numbers are is decided in [`rate`]; how they are counted is `mwctl-container`'s, and the machine's here.

mod machine;
mod rate;

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use k8s_openapi::jiff::Timestamp;
use mwctl_container::{Running, Usage};
use tokio::sync::{mpsc, oneshot};
use tokio::time::sleep;

use crate::context::Context;
use rate::{Counted, Look};

/// The shortest time between two looks. Whoever asks again within it gets the same answer.
const SHORTEST: Duration = Duration::from_secs(1);

/// The longest: what was so long ago says nothing of now.
const LONGEST: Duration = Duration::from_secs(30);

/// How much is used.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Use {
    /// Of the processors, in billionths of one.
    pub processors: u64,
    /// Of memory, in bytes.
    pub memory: u64,
}

/// What is used on a node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NodeUse {
    /// The end of the time that this is about.
    pub at: Timestamp,
    /// How long that was.
    pub window: Duration,
    /// The whole machine.
    pub node: Use,
    /// The containers that run, by their pod's uid and their name.
    pub containers: HashMap<(String, String), Use>,
}

/// Somebody who waits for an answer.
type Asked = oneshot::Sender<Arc<NodeUse>>;

/// Asks a node what is used. Copies ask the same one.
#[derive(Clone, Debug)]
pub struct NodeMeter {
    pub(crate) asked: mpsc::Sender<Asked>,
}

impl NodeMeter {
    /// What is used now; none when the node has ended. It takes a second where nobody has asked for long.
    ///
    /// Cancel safe.
    pub async fn usage(&self) -> Option<Arc<NodeUse>> {
        let (answer_tx, answer_rx) = oneshot::channel();
        self.asked.send(answer_tx).await.ok()?;
        answer_rx.await.ok()
    }
}

/// A meter, and the other end of it.
pub(crate) fn channel() -> (NodeMeter, mpsc::Receiver<Asked>) {
    let (asked, asked_rx) = mpsc::channel(64);
    (NodeMeter { asked }, asked_rx)
}

/// Answers until nobody can ask any more.
pub(crate) async fn serve(context: Arc<Context>, mut asked: mpsc::Receiver<Asked>) {
    let mut last: Option<(Look, Arc<NodeUse>)> = None;
    while let Some(first) = asked.recv().await {
        let answer = match &last {
            Some((look, answer)) if look.moment.elapsed() < SHORTEST => answer.clone(),
            _ => {
                let before = last.take().map(|(look, _)| look);
                let Some((look, used)) = measure(&context, before).await else {
                    continue;
                };
                let answer = Arc::new(used);
                last = Some((look, answer.clone()));
                answer
            }
        };
        // Whoever has asked meanwhile doesn't wait for another second.
        let others = std::iter::from_fn(|| asked.try_recv().ok());
        for asked in std::iter::once(first).chain(others) {
            drop(asked.send(answer.clone()));
        }
    }
}

async fn measure(context: &Arc<Context>, before: Option<Look>) -> Option<(Look, NodeUse)> {
    let mut now = look(context).await?;
    let usable = before.filter(|before| now.follows(before, SHORTEST..=LONGEST));
    let before = if let Some(before) = usable {
        before
    } else {
        sleep(SHORTEST).await;
        let next = look(context).await?;
        std::mem::replace(&mut now, next)
    };
    let used = rate::between(&before, &now);
    Some((now, used))
}

/// Looks at everything that runs. None when the program ends meanwhile.
async fn look(context: &Arc<Context>) -> Option<Look> {
    let context = context.clone();
    let look = move || {
        let (names, running): (Vec<_>, Vec<Running>) = context.all_running().into_iter().unzip();
        let used = context.runtime.usage(&running);
        let containers = (names.into_iter().zip(&running).zip(used))
            .filter_map(|((name, running), used)| Some((name, counted(running, used?))))
            .collect();
        Look {
            at: Timestamp::now(),
            moment: Instant::now(),
            node: machine::used(),
            containers,
        }
    };
    tokio::task::spawn_blocking(look).await.ok()
}

fn counted(running: &Running, used: Usage) -> Counted {
    Counted {
        which: running.order(),
        processors: used.processors,
        memory: used.memory,
    }
}
