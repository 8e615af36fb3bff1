//! The answer of a watch: a stream that holds its place among the watches and ends when the server stops or its time is up.

use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http::HeaderMap;
use http_body::Frame;
use sluice_domain::Span;
use sluice_telemetry::TraceContext;
use tokio_util::sync::CancellationToken;
use tonic::Status;
use tonic::body::Body;

use super::places::Place;
use crate::fault::Fault;

/// When a client may watch again, by then with another replica or this one started anew.
const RETRY_AFTER: Span = Span::from_secs(1);

/// A streamed answer, cut off with `UNAVAILABLE` at its end.
pub(crate) struct WatchBody {
    inner: Body,
    end: Pin<Box<dyn Future<Output = &'static str> + Send>>,
    ended: bool,
    _place: Option<Place>,
    context: Option<TraceContext>,
}

impl WatchBody {
    /// An answer that ends once `stopping` is cancelled, or at this age; what it goes on to do belongs to the call's trace.
    pub(crate) fn new(
        inner: Body,
        stopping: CancellationToken,
        age: Option<Duration>,
        place: Option<Place>,
        context: Option<TraceContext>,
    ) -> Self {
        let grown_old = async move {
            match age {
                Some(age) => tokio::time::sleep(age).await,
                None => std::future::pending().await,
            }
        };
        let end = async move {
            tokio::select! {
                () = stopping.cancelled_owned() => "the server is stopping; watch again",
                () = grown_old => "the stream has lasted as long as one without a token may; ask again",
            }
        };
        Self { inner, end: Box::pin(end), ended: false, _place: place, context }
    }
}

impl http_body::Body for WatchBody {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        if self.ended {
            return Poll::Ready(None);
        }
        if let Poll::Ready(why) = self.end.as_mut().poll(context) {
            self.ended = true;
            let status = Status::from(Fault::unavailable(why, RETRY_AFTER));
            let mut trailers = HeaderMap::new();
            return Poll::Ready(Some(status.add_header(&mut trailers).map(|()| Frame::trailers(trailers))));
        }
        let trace = self.context;
        let inner = Pin::new(&mut self.inner);
        match trace {
            Some(trace) => trace.within(|| inner.poll_frame(context)),
            None => inner.poll_frame(context),
        }
    }

    fn is_end_stream(&self) -> bool {
        self.ended || self.inner.is_end_stream()
    }
}
