//! Futures of handlers and of producing: driven side by side, and caught where they panic.

use std::panic::AssertUnwindSafe;
use std::pin::Pin;
use std::task::Poll;

use crate::error::ConsumeError;

/// Drives all of them side by side, and gives their results in order.
pub(in crate::consumer) async fn join_all<T>(mut futures: Vec<Pin<Box<dyn Future<Output = T> + Send + '_>>>) -> Vec<T> {
    let mut results: Vec<Option<T>> = futures.iter().map(|_| None).collect();
    std::future::poll_fn(|cx| {
        for (future, result) in futures.iter_mut().zip(&mut results) {
            if result.is_none()
                && let Poll::Ready(value) = future.as_mut().poll(cx)
            {
                *result = Some(value);
            }
        }
        if results.iter().all(Option::is_some) { Poll::Ready(()) } else { Poll::Pending }
    })
    .await;
    results.into_iter().flatten().collect()
}

/// A handler that panics is a failed message.
pub(in crate::consumer) async fn catch_panic<T>(
    mut future: Pin<Box<dyn Future<Output = Result<T, ConsumeError>> + Send + '_>>,
) -> Result<T, ConsumeError> {
    std::future::poll_fn(move |cx| {
        std::panic::catch_unwind(AssertUnwindSafe(|| future.as_mut().poll(cx)))
            .unwrap_or_else(|panic| Poll::Ready(Err(format!("the handler panicked: {}", panic_text(&*panic)).into())))
    })
    .await
}

/// What a panic said.
fn panic_text(panic: &(dyn std::any::Any + Send)) -> &str {
    panic
        .downcast_ref::<&'static str>()
        .copied()
        .or_else(|| panic.downcast_ref::<String>().map(String::as_str))
        .unwrap_or("(no text)")
}
