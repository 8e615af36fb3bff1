//! The answer of a watch: a stream that holds its place among the watches and ends when the server stops.

use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use http::HeaderMap;
use http_body::Frame;
use sluice_domain::Span;
use tokio::sync::OwnedSemaphorePermit;
use tokio_util::sync::{CancellationToken, WaitForCancellationFutureOwned};
use tonic::Status;
use tonic::body::Body;

use crate::fault::Fault;

/// When a client may watch again, by then with another replica or this one started anew.
const RETRY_AFTER: Span = Span::from_secs(1);

/// A streamed answer, cut off with `UNAVAILABLE` once the server stops.
pub(crate) struct WatchBody {
    inner: Body,
    stopping: Pin<Box<WaitForCancellationFutureOwned>>,
    ended: bool,
    _place: Option<OwnedSemaphorePermit>,
}

impl WatchBody {
    pub(crate) fn new(inner: Body, stopping: CancellationToken, place: Option<OwnedSemaphorePermit>) -> Self {
        Self { inner, stopping: Box::pin(stopping.cancelled_owned()), ended: false, _place: place }
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
        if self.stopping.as_mut().poll(context).is_ready() {
            self.ended = true;
            let status = Status::from(Fault::unavailable("the server is stopping; watch again", RETRY_AFTER));
            let mut trailers = HeaderMap::new();
            return Poll::Ready(Some(status.add_header(&mut trailers).map(|()| Frame::trailers(trailers))));
        }
        Pin::new(&mut self.inner).poll_frame(context)
    }

    fn is_end_stream(&self) -> bool {
        self.ended || self.inner.is_end_stream()
    }
}
