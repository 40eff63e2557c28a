//! A relay of Dyad's contract on tonic, without tokens, limits, numbers or resuming.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use dyad::signaling_server::{Signaling, SignalingServer};
use dyad::{
    Frame, ListenRequest, ListenResponse, SendRequest, SendResponse, SignalRequest, SignalResponse,
};
use tokio::sync::mpsc;
use tokio_stream::Stream;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Request, Response, Status, Streaming};

mod dyad {
    tonic::include_proto!("dyad.v1");
}

/// How many messages may wait for a participant who does not read.
const WAITING: usize = 64;

type Answers<T> = Pin<Box<dyn Stream<Item = Result<T, Status>> + Send>>;
type Writer = mpsc::Sender<Result<SignalResponse, Status>>;

/// The two ends of each room.
#[derive(Clone, Default)]
struct Relay(Arc<Mutex<HashMap<String, Vec<Writer>>>>);

impl Relay {
    fn rooms(&self) -> MutexGuard<'_, HashMap<String, Vec<Writer>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn enter(&self, room: &str, here: Writer) {
        self.rooms().entry(room.to_owned()).or_default().push(here);
    }

    fn leave(&self, room: &str, here: &Writer) {
        let mut rooms = self.rooms();
        if let Some(ends) = rooms.get_mut(room) {
            ends.retain(|end| !end.same_channel(here));
            if ends.is_empty() {
                rooms.remove(room);
            }
        }
    }

    async fn forward(&self, room: &str, here: &Writer, frames: Vec<Frame>) {
        let peer = self
            .rooms()
            .get(room)
            .and_then(|ends| ends.iter().find(|end| !end.same_channel(here)).cloned());
        if let Some(peer) = peer {
            // A peer that has just left takes nothing more.
            let _ = peer.send(Ok(SignalResponse { frames })).await;
        }
    }

    async fn participant(self, mut requests: Streaming<SignalRequest>, here: Writer) {
        let Ok(Some(SignalRequest { frames })) = requests.message().await else {
            return;
        };
        let Some(first) = frames.first() else { return };
        let room = if first.room_id.is_empty() {
            uuid::Uuid::new_v4().to_string()
        } else {
            first.room_id.clone()
        };
        let confirmed = Frame {
            room_id: room.clone(),
            reply_to: first.seq,
            event: first.event.clone(),
            ..Frame::default()
        };
        self.enter(&room, here.clone());
        let answer = SignalResponse {
            frames: vec![confirmed],
        };
        let _ = here.send(Ok(answer)).await;
        self.forward(&room, &here, frames).await;
        while let Ok(Some(SignalRequest { frames })) = requests.message().await {
            self.forward(&room, &here, frames).await;
        }
        self.leave(&room, &here);
    }
}

#[tonic::async_trait]
impl Signaling for Relay {
    type SignalStream = ReceiverStream<Result<SignalResponse, Status>>;
    type ListenStream = Answers<ListenResponse>;

    async fn signal(
        &self,
        request: Request<Streaming<SignalRequest>>,
    ) -> Result<Response<Self::SignalStream>, Status> {
        let (here, answers) = mpsc::channel(WAITING);
        tokio::spawn(self.clone().participant(request.into_inner(), here));
        Ok(Response::new(ReceiverStream::new(answers)))
    }

    async fn listen(
        &self,
        _: Request<ListenRequest>,
    ) -> Result<Response<Self::ListenStream>, Status> {
        Err(Status::unimplemented("only Signal"))
    }

    async fn send(&self, _: Request<SendRequest>) -> Result<Response<SendResponse>, Status> {
        Err(Status::unimplemented("only Signal"))
    }
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let address: SocketAddr = format!("127.0.0.1:{}", std::env::var("PORT")?).parse()?;
    let relay = SignalingServer::new(Relay::default());
    tonic::transport::Server::builder()
        .add_service(relay)
        .serve(address)
        .await?;
    Ok(())
}
