//! Threads and apartments (rule R30). Our own threads belong to the multithreaded apartment; a thread of a client's single-threaded
//! one must go on pumping messages while it waits, or its own callbacks never reach it.

use std::thread;

use windows::Win32::Foundation::{CloseHandle, HANDLE};
use windows::Win32::System::Com::{
    APTTYPE, APTTYPE_MAINSTA, APTTYPE_STA, APTTYPEQUALIFIER, COINIT_MULTITHREADED, CoGetApartmentType,
    CoInitializeEx, CoUninitialize, CoWaitForMultipleHandles,
};
use windows::Win32::System::Threading::{CreateEventW, INFINITE, SetEvent};

use crate::fault::Answer;

/// This thread's place in the multithreaded apartment. Stays on its thread.
#[derive(Debug)]
pub struct Multithreaded(std::marker::PhantomData<*const ()>);

impl Multithreaded {
    /// Enters it. For threads of ours only: they are in no apartment yet.
    pub fn enter() -> Answer<Self> {
        // SAFETY: no contract but that it is paired with CoUninitialize, which dropping does on the same thread.
        unsafe { CoInitializeEx(None, COINIT_MULTITHREADED).ok()? };
        Ok(Self(std::marker::PhantomData))
    }
}

impl Drop for Multithreaded {
    fn drop(&mut self) {
        // SAFETY: pairs with CoInitializeEx in `enter`, on the same thread, as this type is not Send.
        unsafe { CoUninitialize() };
    }
}

/// Whether the calling thread has a single-threaded apartment.
pub fn is_single_threaded() -> bool {
    let (mut kind, mut qualifier) = (APTTYPE::default(), APTTYPEQUALIFIER::default());
    // SAFETY: both can be written.
    let known = unsafe { CoGetApartmentType(&mut kind, &mut qualifier) };
    known.is_ok() && (kind == APTTYPE_STA || kind == APTTYPE_MAINSTA)
}

/// An event of the system's, to wait for.
struct Event(HANDLE);

// SAFETY: a handle is a number for the kernel; any thread may use it.
unsafe impl Sync for Event {}

impl Event {
    fn new() -> Answer<Self> {
        // SAFETY: no security attributes and no name; the handle is ours.
        Ok(Self(unsafe { CreateEventW(None, true, false, None)? }))
    }

    fn set(&self) {
        // SAFETY: the handle is open while this lives. It cannot fail for an open event.
        let _ = unsafe { SetEvent(self.0) };
    }
}

impl Drop for Event {
    fn drop(&mut self) {
        // SAFETY: the handle is ours, and nobody uses it any more.
        let _ = unsafe { CloseHandle(self.0) };
    }
}

/// Sets the event however the work ends.
struct SetAtEnd<'a>(&'a Event);

impl Drop for SetAtEnd<'_> {
    fn drop(&mut self) {
        self.0.set();
    }
}

/// Does work that waits. Where the calling thread has a single-threaded apartment, the work is done by another thread and this one
/// takes messages and calls until it is done.
pub fn pumping<T: Send>(work: impl FnOnce() -> T + Send) -> Answer<T> {
    if !is_single_threaded() {
        return Ok(work());
    }
    let done = Event::new()?;
    thread::scope(|scope| {
        let worker = scope.spawn(|| {
            let _done = SetAtEnd(&done);
            // Letting go of what a client gave may need COM.
            let _apartment = Multithreaded::enter();
            work()
        });
        loop {
            // SAFETY: the handle is open.
            let waited = unsafe { CoWaitForMultipleHandles(0, INFINITE, &[done.0]) };
            if waited.is_ok() || worker.is_finished() {
                break;
            }
            // Waiting was interrupted; where it cannot be done at all, messages have to wait, too.
            thread::yield_now();
        }
        match worker.join() {
            Ok(value) => Ok(value),
            Err(panic) => std::panic::resume_unwind(panic),
        }
    })
}
