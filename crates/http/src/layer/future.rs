//! [`PaymentFuture`]: a free request's own future, or a covered request on its way.

use crate::header::SETTLEMENT_OVERRIDES;
use axum::response::Response;
use pin_project_lite::pin_project;
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

pub(crate) type Covered<E> = Pin<Box<dyn Future<Output = Result<Response, E>> + Send>>;

pin_project! {
    /// What [`PaymentService`](super::PaymentService) answers with.
    pub struct PaymentFuture<F, E> {
        #[pin]
        state: State<F, E>,
    }
}

pin_project! {
    #[project = Project]
    enum State<F, E> {
        Free { #[pin] handler: F },
        Covered { future: Covered<E> },
    }
}

impl<F, E> PaymentFuture<F, E> {
    pub(crate) fn free(handler: F) -> Self {
        Self { state: State::Free { handler } }
    }

    pub(crate) fn covered(future: Covered<E>) -> Self {
        Self { state: State::Covered { future } }
    }
}

impl<F: Future<Output = Result<Response, E>>, E> Future for PaymentFuture<F, E> {
    type Output = Result<Response, E>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let polled = match self.project().state.project() {
            Project::Free { handler } => handler.poll(cx),
            Project::Covered { future } => future.as_mut().poll(cx),
        };
        polled.map_ok(|mut response| {
            // Meant for the server; whoever reads it outside learns what the handler thinks a customer used.
            response.headers_mut().remove(SETTLEMENT_OVERRIDES);
            response
        })
    }
}

impl<F, E> fmt::Debug for PaymentFuture<F, E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PaymentFuture").finish_non_exhaustive()
    }
}
