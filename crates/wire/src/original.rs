//! Text from senders that do not promise UTF-8.

use model::Value;

/// The attribute that holds a message as it was sent when its text had to be mended, by
/// OpenTelemetry's semantic conventions.
pub(crate) const LOG_RECORD_ORIGINAL: &str = "log.record.original";

/// A message as a body that can be searched and, when it is not UTF-8, its bytes besides.
pub(crate) fn body_of(message: Vec<u8>) -> (Value, Option<Value>) {
    match String::from_utf8(message) {
        Ok(text) => (Value::String(text), None),
        Err(error) => {
            let message = error.into_bytes();
            let mended = String::from_utf8_lossy(&message).into_owned();
            (Value::String(mended), Some(Value::Bytes(message)))
        }
    }
}
