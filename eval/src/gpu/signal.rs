//! A value that a callback of the device gives to who waits for it, on whatever thread that is.

use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Waker};

use super::open::lock;

/// What is sent, and who waits for it.
type Shared<T> = Arc<Mutex<(Option<T>, Option<Waker>)>>;

/// What a callback sends with.
pub(super) struct Sender<T>(Shared<T>);

/// What is waited for.
pub(super) struct Signal<T>(Shared<T>);

/// A value on its way. It is waited for without end if its sender is dropped: a device calls all of its callbacks, those
/// of a lost device, too.
pub(super) fn signal<T>() -> (Sender<T>, Signal<T>) {
    let shared = Shared::default();
    (Sender(Arc::clone(&shared)), Signal(shared))
}

impl<T> Sender<T> {
    /// Gives the value to who waits.
    pub fn send(self, value: T) {
        let (sent, waiting) = &mut *lock(&self.0);
        *sent = Some(value);
        if let Some(waker) = waiting.take() {
            waker.wake();
        }
    }
}

impl<T> Future for Signal<T> {
    type Output = T;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<T> {
        let (sent, waiting) = &mut *lock(&self.0);
        match sent.take() {
            Some(value) => Poll::Ready(value),
            None => {
                *waiting = Some(context.waker().clone());
                Poll::Pending
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_sent_arrives_before_and_after_it_is_waited_for() {
        let (sender, early) = signal();
        sender.send(1);
        assert_eq!(pollster::block_on(early), 1);
        let (sender, late) = signal();
        let thread = std::thread::spawn(move || pollster::block_on(late));
        sender.send(2);
        assert_eq!(thread.join().unwrap(), 2);
    }
}
