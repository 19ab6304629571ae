//! `POST /api/segments/preview`: what rules would change, before they are saved.

use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::Poll;

use audience_auth::{Needs, Permission};
use audience_protocol::{Preview, PreviewInput, PreviewProgress};
use futures_util::stream;
use hyper::header::{ACCEPT, HeaderMap};
use hyper::{Method, StatusCode};
use tokio::sync::mpsc;
use warp::Reply as _;
use warp::sse::{self, Event};

use crate::api::Api;
use crate::body::Media;
use crate::json;
use crate::problem::{HandlerResult, Problem};
use crate::reply;
use crate::request::Call;
use crate::route::{Route, Side};

/// Messages that a client has not read yet; further progress is left out then.
const UNREAD: usize = 8;

const PREVIEW: Needs = Needs::Permission(Permission::SegmentPreview);

pub(crate) const ROUTES: &[Route] =
    &[Route::new(Method::POST, "/api/segments/preview", Side::Segments, PREVIEW, |api, call| {
        Box::pin(preview(api, call))
    })];

/// A message of a preview; the last is the answer.
enum PreviewMessage {
    Progress(PreviewProgress),
    Answer(Result<Preview, Problem>),
}

/// Stops the preview once nobody waits for it. Who takes events is noticed to be gone when the next one is sent; who takes a
/// document may only have closed the sending side, and waits at most as long as a request may take.
struct Gone(Arc<AtomicBool>);

impl Drop for Gone {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

async fn preview(api: Arc<Api>, call: Call) -> HandlerResult {
    Media::of(&call.headers, &[Media::Json])?;
    let body = api.body(&call.headers, call.body).await?;
    let input: PreviewInput = json::parse(&body)?;
    let (mut pieces, gone) = begin(&api, input)?;
    let late = || Problem::unavailable("timeout", "no answer within the time limit");
    let patience = api.options.request_timeout;
    if !wants_events(&call.headers) {
        let answered = async {
            loop {
                match pieces.recv().await {
                    Some(PreviewMessage::Answer(answer)) => return answer,
                    Some(PreviewMessage::Progress(_)) => {}
                    // The work panicked; the panic is in the log.
                    None => return Err(Problem::internal()),
                }
            }
        };
        let preview = tokio::time::timeout(patience, answered).await.map_err(|_| late())??;
        drop(gone);
        return Ok(reply::json(StatusCode::OK, &preview));
    }
    // Faults of the rules are found at once: they have a status of their own.
    let first = tokio::time::timeout(patience, pieces.recv()).await.map_err(|_| late())?;
    let mut first = match first.ok_or_else(Problem::internal)? {
        PreviewMessage::Answer(Err(problem)) => return Err(problem),
        piece => Some(piece),
    };
    let events = stream::poll_fn(move |context| {
        let _held = &gone;
        match first.take() {
            Some(first) => Poll::Ready(Some(Ok::<_, Infallible>(event(first)))),
            None => pieces.poll_recv(context).map(|piece| piece.map(|piece| Ok(event(piece)))),
        }
    });
    Ok(sse::reply(events).into_response())
}

/// Begins a preview on a thread of its own.
fn begin(api: &Arc<Api>, input: PreviewInput) -> Result<(mpsc::Receiver<PreviewMessage>, Gone), Problem> {
    let Ok(place) = Arc::clone(&api.previews).try_acquire_owned() else { return Err(Problem::busy(1)) };
    let (sender, pieces) = mpsc::channel(UNREAD);
    let gone = Gone(Arc::default());
    let (is_gone, api) = (gone.0.clone(), api.clone());
    tokio::task::spawn_blocking(move || {
        let _place = place;
        let mut watch = |progress| {
            // Who reads slowly misses some.
            let _ = sender.try_send(PreviewMessage::Progress(progress));
            !is_gone.load(Ordering::Relaxed) && !api.is_draining()
        };
        let answer = api.platform.segments.preview(input, &mut watch).map_err(Problem::from);
        // Nobody reads it where the client has gone.
        let _ = sender.blocking_send(PreviewMessage::Answer(answer));
    });
    Ok((pieces, gone))
}

fn wants_events(headers: &HeaderMap) -> bool {
    let accepted = headers.get_all(ACCEPT).iter().filter_map(|header| header.to_str().ok());
    accepted.flat_map(|text| text.split(',')).any(|media| media.trim().starts_with("text/event-stream"))
}

fn event(piece: PreviewMessage) -> Event {
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap_or_default();
    match piece {
        PreviewMessage::Progress(progress) => Event::default().event("progress").data(text(reply::to_json(&progress))),
        PreviewMessage::Answer(Ok(preview)) => Event::default().event("result").data(text(reply::to_json(&preview))),
        PreviewMessage::Answer(Err(problem)) => Event::default().event("problem").data(text(problem.to_json())),
    }
}
