//! A listener, called with messages as bytes: any RPC, whatever its types.

use std::collections::BTreeSet;

use bytes::{Buf as _, BufMut as _, Bytes};
use http::uri::PathAndQuery;
use prost::Message;
use tokio_stream::StreamExt as _;
use tonic::client::Grpc;
use tonic::codec::{Codec, DecodeBuf, Decoder, EncodeBuf, Encoder};
use tonic::metadata::AsciiMetadataValue;
use tonic::transport::Channel;
use tonic::{Request, Status};

use super::reply::Reply;

/// Where calls come in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Listener {
    /// For users and their products: all public services.
    Public,
    /// The registry's for Sluice's own services.
    RegistryInternal,
    /// The dispatcher's for Sluice's own services.
    DispatcherInternal,
}

impl Listener {
    /// All of them.
    pub(crate) const ALL: [Self; 3] = [Self::Public, Self::RegistryInternal, Self::DispatcherInternal];

    /// Its name in tables.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Public => "public",
            Self::RegistryInternal => "registry",
            Self::DispatcherInternal => "dispatcher",
        }
    }
}

/// The way in at one listener.
#[derive(Debug, Clone)]
pub(crate) struct Door {
    channel: Channel,
    watches: BTreeSet<String>,
}

impl Door {
    /// Calls over this channel; these RPCs answer with streams.
    pub(crate) const fn new(channel: Channel, watches: BTreeSet<String>) -> Self {
        Self { channel, watches }
    }

    /// The values of the call's `authorization` headers, none for a call without: what came of it. Of a stream, its beginning.
    pub(crate) async fn call(&self, rpc: &str, authorization: &[String], message: Vec<u8>) -> Reply {
        let mut request = Request::new(Bytes::from(message));
        for value in authorization {
            let value: AsciiMetadataValue = value.parse().expect("a header's value");
            request.metadata_mut().append("authorization", value);
        }
        match Box::pin(self.answered(rpc, request)).await {
            Ok(reply) => reply,
            Err(status) => Reply::refused(status),
        }
    }

    async fn answered(&self, rpc: &str, request: Request<Bytes>) -> Result<Reply, Status> {
        let mut client = Grpc::new(self.channel.clone());
        client.ready().await.expect("the listener should take calls");
        let path = PathAndQuery::try_from(rpc).expect("an RPC's path");
        if !self.watches.contains(rpc) {
            let (metadata, message, _) = client.unary(request, path, Plain).await?.into_parts();
            return Ok(Reply::good(&metadata, Some(message)));
        }
        let (metadata, mut stream, _) = client.server_streaming(request, path, Plain).await?.into_parts();
        let first = stream.next().await.transpose()?;
        Ok(Reply::good(&metadata, first))
    }

    /// Calls as somebody who is let in; the answer.
    pub(crate) async fn ask<Q: Message, A: Message + Default>(
        &self,
        rpc: &str,
        token: &str,
        request: &Q,
    ) -> A {
        let reply = self.call(rpc, &[format!("Bearer {token}")], request.encode_to_vec()).await;
        match reply.answer {
            Ok(answer) => A::decode(answer).expect("the answer should decode"),
            Err(refusal) => panic!("{rpc} should be answered: {refusal:?}"),
        }
    }
}

/// Messages as they are.
#[derive(Debug, Clone, Copy)]
struct Plain;

impl Codec for Plain {
    type Encode = Bytes;
    type Decode = Bytes;
    type Encoder = Self;
    type Decoder = Self;

    fn encoder(&mut self) -> Self {
        Self
    }

    fn decoder(&mut self) -> Self {
        Self
    }
}

impl Encoder for Plain {
    type Item = Bytes;
    type Error = Status;

    fn encode(&mut self, message: Bytes, wire: &mut EncodeBuf<'_>) -> Result<(), Status> {
        wire.put(message);
        Ok(())
    }
}

impl Decoder for Plain {
    type Item = Bytes;
    type Error = Status;

    fn decode(&mut self, wire: &mut DecodeBuf<'_>) -> Result<Option<Bytes>, Status> {
        Ok(Some(wire.copy_to_bytes(wire.remaining())))
    }
}
