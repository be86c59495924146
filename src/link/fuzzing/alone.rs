//! One link against a peer that keeps no rule.

use super::{
    super::{Agent, AgentEvent, Link, Platform, PlatformEvent, Side, StreamKey, Time},
    Input, Program, TRANSMIT_MAX, admission, bytes, canary, check, hello, look, request, response,
};
use crate::{
    ids::{StreamId, Uuid},
    wire::{
        fields::FieldLines,
        messages::{
            Ack, AgentToPlatform, Error, ErrorCode, Heartbeat, PlatformToAgent, Refuse,
            StreamCredit, StreamData, StreamReset, StreamStop, Welcome,
        },
    },
};

/// Streams that the peer speaks of.
const STREAMS: u8 = 6;

/// A side under attack.
trait Attacked:
    Side<
    Receive: From<StreamData>
                 + From<StreamCredit>
                 + From<StreamReset>
                 + From<StreamStop>
                 + From<Ack>
                 + From<Error>,
>
{
    /// What the peer begins with, or something that belongs to no stream.
    fn greeting(input: &mut Input<'_>) -> Self::Receive;
    /// A head of a stream.
    fn heading(number: u64, input: &mut Input<'_>) -> Option<Self::Receive>;
    /// What this side sends as a head.
    fn own_head(input: &mut Input<'_>) -> Option<Self::Head>;
    /// What the program does of itself: decide on the peer, open a stream.
    fn act(link: &mut Link<Self>, input: &mut Input<'_>, now: Time) -> Option<StreamKey>;
    /// The stream that an event opens.
    fn opened(event: Self::Event) -> Option<StreamKey>;
}

/// A platform whose agent keeps no rule.
pub(super) fn platform(input: &mut Input<'_>) {
    let mut link = Link::accept(Time::default());
    let greets = input.byte();
    if greets & 1 == 1 {
        let hello = hello(greets & 2 == 2);
        let _ = link.handle(hello.into(), Time::default());
        link.admit(admission(), Time::default());
    }
    attack::<Platform>(link, input);
}

/// An agent whose platform keeps no rule.
pub(super) fn agent(input: &mut Input<'_>) {
    let mut link = Link::connect(hello(false), Time::default());
    if input.chance() {
        let _ = link.handle(welcome().into(), Time::default());
    }
    attack::<Agent>(link, input);
}

fn welcome() -> Welcome {
    Welcome {
        protocol_version: 1,
        session_id: Uuid::nil(),
        heartbeat_interval_ms: 15_000,
        limits: None,
        capabilities: Vec::new(),
        platform_time: None,
        resumed_messages: None,
        host_id: None,
    }
}

fn attack<S: Attacked>(mut link: Link<S>, input: &mut Input<'_>) {
    let mut program = Program::default();
    let mut now = Time::default();
    // Where the pieces of each stream would rightly go on.
    let mut offsets = [0_u64; STREAMS as usize];
    while !input.is_empty() {
        let done = match input.below(8) {
            0..=3 => {
                let unread = link.window.unread();
                let (message, reset) = message::<S>(input, &mut offsets);
                let done = message.map_or(Ok(()), |message| link.handle(message, now));
                canary(reset && done.is_ok(), unread);
                done
            }
            4 => {
                program.call(&mut link, input, now, S::own_head);
                Ok(())
            }
            5 => {
                let opened = S::act(&mut link, input, now);
                opened.into_iter().for_each(|key| program.hold(key));
                Ok(())
            }
            6 => {
                transmit(&mut link, input.byte().into(), now);
                Ok(())
            }
            _ => {
                now = now + input.duration();
                link.handle_timeout(now)
            }
        };
        if done.is_err() {
            link.close();
        }
        while let Some(event) = link.poll_event() {
            S::opened(event)
                .into_iter()
                .for_each(|key| program.hold(key));
        }
        if input.chance() {
            look(&mut link);
        }
        check(&link, program.handles.len());
    }
    program.leave(&mut link, now);
    link.close();
    look(&mut link);
    assert_eq!(link.stream_count(), 0, "a closed link keeps streams");
    transmit(&mut link, TRANSMIT_MAX, now);
}

fn transmit<S: Side>(link: &mut Link<S>, most: usize, now: Time) {
    for sent in 0..=most {
        if link.poll_transmit(now).is_none() {
            return;
        }
        assert!(sent < TRANSMIT_MAX, "it sends without end");
    }
}

/// A message by chance, and whether it is a reset.
fn message<S: Attacked>(
    input: &mut Input<'_>,
    offsets: &mut [u64; STREAMS as usize],
) -> (Option<S::Receive>, bool) {
    let kind = input.below(10);
    let stream = input.below(STREAMS);
    let place = &mut offsets[usize::from(stream)];
    let number = u64::from(stream) + 1;
    let id = StreamId::from_number(number);
    let offset = if input.below(16) == 0 {
        input.number()
    } else {
        *place
    };
    let message = match kind {
        0..=2 => {
            let data = bytes(input.length());
            *place += data.len() as u64;
            Some(S::Receive::from(StreamData {
                id,
                offset,
                data,
                fin: input.below(8) == 0,
                trailers: FieldLines::default(),
            }))
        }
        3 => Some(S::Receive::from(StreamCredit {
            id,
            max_offset: input.number(),
        })),
        4 => Some(S::Receive::from(StreamReset {
            id,
            code: ErrorCode::Cancelled,
            final_offset: offset,
            message: String::new(),
        })),
        5 => Some(S::Receive::from(StreamStop {
            id,
            code: ErrorCode::Cancelled,
        })),
        6 => Some(S::Receive::from(Ack {
            messages: input.number(),
            bytes: input.number(),
            delay_us: input.number() as u32,
            max_bytes: input.number(),
        })),
        7 => Some(S::greeting(input)),
        _ => {
            let message = S::heading(number, input);
            *place = 0;
            message
        }
    };
    (message, kind == 4)
}

impl Attacked for Platform {
    fn greeting(input: &mut Input<'_>) -> AgentToPlatform {
        match input.below(3) {
            0 => hello(input.chance()).into(),
            _ => Heartbeat {
                uptime_seconds: None,
                cpu_percent: None,
                memory_percent: None,
                disk_percent: None,
                load_1m: None,
                temperature_celsius: None,
                sent_us: Some(input.number()),
                round_trip_us: u32::try_from(input.number()).ok(),
            }
            .into(),
        }
    }

    fn heading(number: u64, input: &mut Input<'_>) -> Option<AgentToPlatform> {
        Some(response(number, input).into())
    }

    fn own_head(_input: &mut Input<'_>) -> Option<crate::wire::messages::HttpRequest> {
        None
    }

    fn act(link: &mut Link<Self>, input: &mut Input<'_>, now: Time) -> Option<StreamKey> {
        match input.below(8) {
            0 => link.admit(admission(), now),
            1 if link.is_deciding() => link.refuse(Refuse {
                code: ErrorCode::Overloaded,
                message: String::new(),
                permanent: false,
                retry_after_ms: 0,
            }),
            _ => return request(0, input).and_then(|request| link.open(request, now).ok()),
        }
        None
    }

    fn opened(_event: PlatformEvent) -> Option<StreamKey> {
        None
    }
}

impl Attacked for Agent {
    fn greeting(input: &mut Input<'_>) -> PlatformToAgent {
        match input.below(3) {
            0 => welcome().into(),
            _ => crate::wire::messages::HeartbeatAck {
                sent_us: input.number(),
                platform_time: None,
            }
            .into(),
        }
    }

    fn heading(number: u64, input: &mut Input<'_>) -> Option<PlatformToAgent> {
        request(number, input).map(Into::into)
    }

    fn own_head(input: &mut Input<'_>) -> Option<crate::wire::messages::HttpResponse> {
        Some(response(0, input))
    }

    fn act(_link: &mut Link<Self>, _input: &mut Input<'_>, _now: Time) -> Option<StreamKey> {
        None
    }

    fn opened(event: AgentEvent) -> Option<StreamKey> {
        match event {
            AgentEvent::Opened { key, .. } => Some(key),
            _ => None,
        }
    }
}
