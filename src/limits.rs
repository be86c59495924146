//! Every bound of the link in one place, with its reason. What belongs to one room alone (a pool's
//! size, a file's) stands there.

/// How much one head or one trailer section may hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FieldLimits {
    /// Most bytes of all lines together, line ends included.
    pub bytes: usize,
    /// Most lines.
    pub count: usize,
}

/// The longest WebSocket message taken in, in bytes, unless negotiated otherwise.
pub const MESSAGE_BYTES_MAX: usize = 1 << 20;
/// The least a peer may offer for it: a head of 64 KiB must fit, with a path of 32 KiB and a body.
pub const MESSAGE_BYTES_MIN: usize = 128 << 10;
/// The same for an agent that takes streams in JSON: text takes up to six times the bytes of a body that
/// it stands for, and twice those of a head or of trailers.
pub const MESSAGE_BYTES_MIN_JSON: usize = 320 << 10;
/// The longest first message: a stranger is given no more memory than that.
pub const HELLO_BYTES_MAX: usize = 16 << 10;
/// Bodies up to this travel inside `http_request` and `http_response`.
pub const INLINE_BODY_BYTES_MAX: usize = 16 << 10;
/// The most bytes of a stream in one message. Gateways exist that cut at 32 KiB: in the binary
/// encoding such a message stays under that, unless trailers of more than 900 bytes come with it. A
/// head with its inline body may be longer.
pub const DATA_BYTES_MAX: usize = 31 << 10;
/// The head of a request or an answer: 64 KiB and 200 fields hold what real devices send.
pub const FIELDS: FieldLimits = FieldLimits {
    bytes: 64 << 10,
    count: 200,
};
/// The longest text of a reset, in bytes, as the schema has it: one sentence.
pub const RESET_TEXT_BYTES_MAX: usize = 1024;
/// Interim answers (1xx) of one request: what devices send is one or two.
pub const INTERIM_HEADS_MAX: usize = 16;
/// Streams open at once on one connection, unless negotiated otherwise.
pub const STREAMS_MAX: usize = 1024;
/// Bytes of one stream that may be sent before the receiver gave credit.
pub const STREAM_CREDIT_INITIAL: u64 = 256 << 10;
/// The most bytes of one stream that lie unread at the receiver: one stream alone can fill a path
/// of 1 Gb/s and 100 ms, which has 12.5 MB on its way. Only a path that needs it is given as much.
pub const STREAM_WINDOW_MAX: u64 = 13 << 20;
/// Bytes of all streams that may be sent before the receiver gave credit.
pub const SESSION_CREDIT_INITIAL: u64 = 1 << 20;
/// The most bytes of all streams of one connection that lie unread at the receiver: more than two
/// streams' largest windows, so that one reader who stops does not hold up the others, and half of
/// what an agent may use.
pub const SESSION_WINDOW_MAX: u64 = 32 << 20;
/// Bytes of all streams that wait to be sent before each stream may hold one piece only: 64 streams
/// that each hold what a busy one needs.
pub const SESSION_QUEUE_BYTES_MAX: usize = 8 << 20;
/// The interval of heartbeats, in milliseconds.
pub const HEARTBEAT_MS: u32 = 15_000;
/// Heartbeat intervals without a byte received after which the peer is taken for dead.
pub const SILENT_INTERVALS_MAX: u32 = 3;
/// How long a peer has for its `hello`, in milliseconds.
pub const HELLO_MS_MAX: u64 = 10_000;

const _: () = assert!(HELLO_BYTES_MAX < MESSAGE_BYTES_MIN);
const _: () = assert!(FIELDS.bytes + INLINE_BODY_BYTES_MAX + (34 << 10) < MESSAGE_BYTES_MIN);
const _: () = assert!(MESSAGE_BYTES_MIN <= MESSAGE_BYTES_MAX);
const _: () = assert!(MESSAGE_BYTES_MIN_JSON <= MESSAGE_BYTES_MAX);
const _: () = assert!(
    6 * INLINE_BODY_BYTES_MAX + 2 * (FIELDS.bytes + (32 << 10)) + (4 << 10)
        < MESSAGE_BYTES_MIN_JSON
);
const _: () = assert!(6 * DATA_BYTES_MAX + 2 * FIELDS.bytes + (4 << 10) < MESSAGE_BYTES_MIN_JSON);
const _: () = assert!(DATA_BYTES_MAX as u64 * 4 <= STREAM_CREDIT_INITIAL);
const _: () = assert!(STREAM_CREDIT_INITIAL <= SESSION_CREDIT_INITIAL);
const _: () = assert!(2 * STREAM_WINDOW_MAX < SESSION_WINDOW_MAX);
