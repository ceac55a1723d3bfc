//! One open stream to the agent of one container: messages in, messages out, heartbeats between.
//!
//! The stream is an exec of `agent connect` that stays open. This file carries messages and notices
//! silence; what they mean is the session's business.

use std::time::Duration;

use k8s_openapi::api::core::v1::Pod;
use kube::Api;
use kube::api::AttachParams;
use mwctl_agent::frame::{self, Decoder, FrameError};
use mwctl_agent::protocol::{
    FromAgent, HEARTBEAT, Hello, OWNER_SILENCE, PROTOCOL, Refused, ToAgent, Welcome,
};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::sync::mpsc;
use tokio::task::JoinSet;

use crate::kube::{ApiError, Cluster};

/// Where the agent stands in a container of the develop form.
pub const AGENT: &str = "/.mwctl/agent";

/// Room for a whole burst of edits, so that a writer rarely waits for the reader.
const STREAM_BUFFER: usize = 1 << 20;

/// How long the agent may take to answer the first message.
const GREETING: Duration = Duration::from_secs(10);

/// Who this session is, as the agent will tell others.
#[derive(Clone, Debug)]
pub struct Identity {
    /// Identifies the session, over reconnections.
    pub session: String,
    /// For people: user, host and process.
    pub owner: String,
    /// The digest of the agent that this program carries.
    pub agent_digest: String,
}

/// No conversation with the agent.
#[derive(Debug, thiserror::Error)]
pub enum Link {
    /// The stream can't be opened.
    #[error("cannot reach the agent in pod `{pod}`")]
    Open {
        /// The pod.
        pod: String,
        /// Why.
        #[source]
        source: Box<ApiError>,
    },
    /// The agent doesn't let this session in.
    #[error("the agent in pod `{pod}` refuses: {}", refused.reason)]
    Refused {
        /// The pod.
        pod: String,
        /// What it says.
        refused: Refused,
    },
    /// The container runs another build of the agent than this program carries.
    #[error(
        "the agent in pod `{pod}` is {theirs}, not the {ours} of this program; \
         `mwctl develop` gives the service a pod with its own"
    )]
    OtherAgent {
        /// The pod.
        pod: String,
        /// The digest that this program carries.
        ours: String,
        /// The digest that the agent was delivered under.
        theirs: String,
    },
    /// The stream ended or made no sense before the agent had answered.
    #[error("the agent in pod `{pod}` does not answer: {reason}")]
    Silent {
        /// The pod.
        pod: String,
        /// What came instead.
        reason: String,
    },
}

/// What arrives from a link.
#[derive(Debug)]
pub enum Arrival {
    /// A message.
    Message(FromAgent),
    /// The stream is over; nothing follows.
    Closed {
        /// Why, as far as it is known.
        reason: String,
    },
}

/// An open conversation; dropping it closes the stream.
#[derive(Debug)]
pub struct Conversation {
    /// What the agent said first.
    pub welcome: Welcome,
    /// session --messages--> agent
    pub outgoing_tx: mpsc::UnboundedSender<ToAgent>,
    /// agent --messages--> session
    pub incoming_rx: mpsc::UnboundedReceiver<Arrival>,
    _tasks: JoinSet<()>,
}

/// Opens the stream into `container` of `pod` and introduces this session.
pub async fn open(
    cluster: &Cluster,
    pod: &str,
    container: &str,
    identity: &Identity,
    take_over: bool,
) -> Result<Conversation, Link> {
    let pods: Api<Pod> = Api::namespaced(cluster.client.clone(), &cluster.namespace);
    let parameters = AttachParams {
        container: Some(container.to_owned()),
        stdin: true,
        stdout: true,
        stderr: false,
        tty: false,
        max_stdin_buf_size: Some(STREAM_BUFFER),
        max_stdout_buf_size: Some(STREAM_BUFFER),
        max_stderr_buf_size: None,
    };
    let mut attached = pods
        .exec(pod, [AGENT, "connect"], &parameters)
        .await
        .map_err(|source| Link::Open {
            pod: pod.to_owned(),
            source: Box::new(ApiError(source)),
        })?;
    let silent = |reason: &str| Link::Silent {
        pod: pod.to_owned(),
        reason: reason.to_owned(),
    };
    let (Some(stdin), Some(stdout)) = (attached.stdin(), attached.stdout()) else {
        return Err(silent("the stream has no input or no output"));
    };
    let status = attached.take_status();
    let conversation = start(stdin, stdout, identity, take_over, async move {
        let status = match status {
            Some(status) => status.await,
            None => None,
        };
        drop(attached);
        status
            .and_then(|status| status.message)
            .unwrap_or_else(|| "the stream ended".to_owned())
    })
    .await;
    match conversation {
        Ok(conversation) => Ok(conversation),
        Err(Start::Refused(refused)) => Err(Link::Refused {
            pod: pod.to_owned(),
            refused,
        }),
        Err(Start::OtherAgent(theirs)) => Err(Link::OtherAgent {
            pod: pod.to_owned(),
            ours: identity.agent_digest.clone(),
            theirs,
        }),
        Err(Start::Silent(reason)) => Err(silent(&reason)),
    }
}

#[derive(Debug)]
enum Start {
    Refused(Refused),
    OtherAgent(String),
    Silent(String),
}

/// Starts a conversation on any pair of streams; `end` tells why the stream ended, once it has.
async fn start(
    mut writer: impl AsyncWrite + Unpin + Send + 'static,
    reader: impl AsyncRead + Unpin + Send + 'static,
    identity: &Identity,
    take_over: bool,
    end: impl Future<Output = String> + Send + 'static,
) -> Result<Conversation, Start> {
    let hello = ToAgent::Hello(Hello {
        protocol: PROTOCOL,
        agent_digest: identity.agent_digest.clone(),
        session: identity.session.clone(),
        owner: identity.owner.clone(),
        take_over,
    });
    let failed = |error: FrameError| Start::Silent(error.to_string());
    let bytes = frame::encode(&hello).map_err(failed)?;
    let written = async {
        writer.write_all(&bytes).await?;
        writer.flush().await
    };
    written
        .await
        .map_err(|error| Start::Silent(error.to_string()))?;

    let (incoming_tx, mut incoming_rx) = mpsc::unbounded_channel();
    let (outgoing_tx, outgoing_rx) = mpsc::unbounded_channel();
    let mut tasks = JoinSet::new();
    tasks.spawn(receive(reader, incoming_tx, end));
    let first = tokio::time::timeout(GREETING, incoming_rx.recv()).await;
    let welcome = match first {
        Ok(Some(Arrival::Message(FromAgent::Welcome(welcome)))) => welcome,
        Ok(Some(Arrival::Message(FromAgent::Refused(refused)))) => {
            return Err(Start::Refused(refused));
        }
        Ok(Some(Arrival::Message(_))) => {
            return Err(Start::Silent("it did not greet".to_owned()));
        }
        Ok(Some(Arrival::Closed { reason })) => return Err(Start::Silent(reason)),
        Ok(None) => return Err(Start::Silent("the stream ended".to_owned())),
        Err(_) => return Err(Start::Silent("no greeting within 10 s".to_owned())),
    };
    // An agent that was started by hand was told no digest, and is taken as it is.
    if let Some(theirs) = &welcome.digest
        && *theirs != identity.agent_digest
    {
        return Err(Start::OtherAgent(theirs.clone()));
    }
    tasks.spawn(transmit(writer, outgoing_rx));
    Ok(Conversation {
        welcome,
        outgoing_tx,
        incoming_rx,
        _tasks: tasks,
    })
}

/// Writes messages as they come, and a heartbeat when its time is there.
async fn transmit(
    mut writer: impl AsyncWrite + Unpin,
    mut outgoing_rx: mpsc::UnboundedReceiver<ToAgent>,
) {
    let mut heartbeat = tokio::time::interval(HEARTBEAT);
    heartbeat.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    let mut nonce = 0;
    loop {
        let message = tokio::select! {
            message = outgoing_rx.recv() => match message {
                Some(message) => message,
                None => break,
            },
            _ = heartbeat.tick() => {
                nonce += 1;
                ToAgent::Heartbeat { nonce }
            }
        };
        let Ok(bytes) = frame::encode(&message) else {
            tracing::error!("a message for the agent is too long");
            break;
        };
        if writer.write_all(&bytes).await.is_err() || writer.flush().await.is_err() {
            break;
        }
    }
    drop(writer.shutdown().await);
}

/// Reads messages until the stream ends, makes no sense, or is silent for too long.
async fn receive(
    mut reader: impl AsyncRead + Unpin,
    incoming_tx: mpsc::UnboundedSender<Arrival>,
    end: impl Future<Output = String>,
) {
    let mut decoder = Decoder::<FromAgent>::default();
    let mut buffer = vec![0; 64 << 10];
    let reason = loop {
        let count = match tokio::time::timeout(OWNER_SILENCE, reader.read(&mut buffer)).await {
            Ok(Ok(0)) => break end.await,
            Ok(Ok(count)) => count,
            Ok(Err(error)) => break error.to_string(),
            Err(_) => break format!("silent for {} s", OWNER_SILENCE.as_secs()),
        };
        decoder.push(&buffer[..count]);
        let failure = loop {
            match decoder.next_frame() {
                Ok(Some(message)) => {
                    if incoming_tx.send(Arrival::Message(message)).is_err() {
                        return;
                    }
                }
                Ok(None) => break None,
                Err(error) => break Some(error.to_string()),
            }
        };
        if let Some(failure) = failure {
            break failure;
        }
    };
    // Nobody listens any more when the session has ended by itself.
    drop(incoming_tx.send(Arrival::Closed { reason }));
}

#[cfg(test)]
mod tests {
    use mwctl_agent::protocol::ProcessState;

    use super::*;

    /// Greets a session as an agent that was delivered under `digest` does.
    async fn greeted_by(digest: Option<&str>) -> Result<Conversation, Start> {
        let (ours, theirs) = tokio::io::duplex(1 << 16);
        let (reader, writer) = tokio::io::split(ours);
        let identity = Identity {
            session: "s".to_owned(),
            owner: "ada".to_owned(),
            agent_digest: "carried".to_owned(),
        };
        let welcome = FromAgent::Welcome(Welcome {
            protocol: PROTOCOL,
            version: "1".to_owned(),
            digest: digest.map(str::to_owned),
            agent_id: "a".to_owned(),
            process: ProcessState::AwaitingSession,
            last_update: None,
            mounted: false,
            previous_owner: None,
        });
        let (_reader, mut answer) = tokio::io::split(theirs);
        answer
            .write_all(&frame::encode(&welcome).unwrap())
            .await
            .unwrap();
        start(writer, reader, &identity, false, std::future::pending()).await
    }

    #[tokio::test]
    async fn an_agent_of_another_build_is_not_spoken_to() {
        let refused = greeted_by(Some("older")).await;
        assert!(matches!(refused, Err(Start::OtherAgent(theirs)) if theirs == "older"));
    }

    #[tokio::test]
    async fn the_agent_that_this_program_carries_is_welcome() {
        assert!(greeted_by(Some("carried")).await.is_ok());
        assert!(greeted_by(None).await.is_ok());
    }
}
