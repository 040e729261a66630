//! Work that goes on to its end although nobody may be waiting for it any more.

use std::future::{Future, poll_fn};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::task::{Context, Poll, Waker};
use tokio::runtime::Handle;
use tollway_core::{Fault, FaultKind};

/// Runs a future to its end, whether or not the caller stays: in place for as long as it need not wait, and in a task
/// of its own from there on. Most claims are taken without waiting, and a task costs more than they do.
///
/// # Errors
/// It panicked.
pub(crate) async fn to_the_end<T: Send + 'static>(work: impl Future<Output = T> + Send + 'static) -> Result<T, Fault> {
    let panicked = |what: &str| Fault::new(FaultKind::Internal, format!("{what} ended abnormally"));
    let mut work = Box::pin(work);
    match poll_fn(|cx| Poll::Ready(poll_safely(work.as_mut(), cx))).await {
        Some(Poll::Ready(done)) => Ok(done),
        Some(Poll::Pending) => tokio::spawn(work).await.map_err(|why| panicked("a task").source(why)),
        None => Err(panicked("a step of a request")),
    }
}

/// The same for work whose result nobody wants.
pub(crate) fn leave_to_end(runtime: &Handle, work: impl Future<Output = ()> + Send + 'static) {
    let mut work = Box::pin(work);
    // A guard may be dropped on a thread without a runtime, and what is awaited may need one.
    let _entered = runtime.enter();
    // The task polls again with a waker of its own.
    if let Some(Poll::Pending) = poll_safely(work.as_mut(), &mut Context::from_waker(Waker::noop())) {
        runtime.spawn(work);
    }
}

/// Waits for work in place; `None` if it panicked.
pub(crate) async fn unless_it_panics<T>(work: impl Future<Output = T>) -> Option<T> {
    let mut work = std::pin::pin!(work);
    poll_fn(|cx| match poll_safely(work.as_mut(), cx) {
        Some(poll) => poll.map(Some),
        None => Poll::Ready(None),
    })
    .await
}

/// One poll; `None` if it panicked, as a task would report it.
fn poll_safely<F: Future>(work: Pin<&mut F>, cx: &mut Context<'_>) -> Option<Poll<F::Output>> {
    // What a panic leaves behind is dropped with the future and never looked at.
    catch_unwind(AssertUnwindSafe(|| work.poll(cx))).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;
    use std::sync::atomic::{AtomicBool, Ordering};
    use std::time::Duration;

    #[tokio::test]
    async fn what_need_not_wait_is_done_in_place() {
        let id = tokio::task::try_id();
        assert_eq!(to_the_end(async { tokio::task::try_id() }).await.unwrap(), id);
    }

    #[tokio::test]
    async fn what_has_to_wait_goes_on_without_its_caller() {
        let done = Arc::new(AtomicBool::new(false));
        let flag = done.clone();
        let work = to_the_end(async move {
            tokio::time::sleep(Duration::from_millis(5)).await;
            flag.store(true, Ordering::SeqCst);
        });
        assert!(tokio::time::timeout(Duration::from_millis(1), work).await.is_err());
        tokio::time::sleep(Duration::from_millis(50)).await;
        assert!(done.load(Ordering::SeqCst));
    }

    #[tokio::test]
    async fn a_panic_is_a_fault_now_and_later() {
        assert!(to_the_end::<()>(async { panic!("now") }).await.is_err());
        let later = to_the_end::<()>(async {
            tokio::task::yield_now().await;
            panic!("later")
        });
        assert!(later.await.is_err());
    }

    #[tokio::test]
    async fn what_nobody_wants_ends_too() {
        let done = Arc::new(AtomicBool::new(false));
        let flag = done.clone();
        leave_to_end(&Handle::current(), async move {
            tokio::time::sleep(Duration::from_millis(1)).await;
            flag.store(true, Ordering::SeqCst);
        });
        tokio::time::sleep(Duration::from_millis(50)).await;
        assert!(done.load(Ordering::SeqCst));
    }
}
